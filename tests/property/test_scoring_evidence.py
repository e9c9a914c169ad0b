"""What a row knows is a function of its events, not of their order, lateness, repetition or reader."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Touchpoint, time_s
from streams.scoring.apply import Applied
from streams.scoring.rings import RING_IDS
from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
from tests.customers import DAY, DEFAULT, event, plain, row, scorer, seconds
from tests.lives import MOMENTS, days, evidence, figures, lives

Life = list[Touchpoint]
QUICK = scorer(
    ledger={"trend_half_life_days": 1}, churn={"horizons_days": [7], "base": [0], "alert_horizon_days": 7}
)
"""Half-lives so short that the reference of a row's sums moves often."""
NEUTRAL = "cx.page.viewed.v1"


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Assert that two readings are equal, numbers to 1e-9."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, abs=1e-9, rel=1e-9), name
        else:
            assert found[name] == value, name


def same_customer(found: CustomerState, expected: CustomerState, at_s: float) -> None:
    """Assert that two rows hold the same evidence and give the same scores at a time."""
    same(evidence(found, at_s), evidence(expected, at_s))
    same(figures(found, at_s), figures(expected, at_s))


@given(lives(), st.randoms(use_true_random=False))
def test_order(life: Life, shuffle: random.Random):
    """The order in which events come changes nothing, as far as they are less than 64 days late."""
    shuffled = shuffle.sample(life, len(life))

    same_customer(row(shuffled), row(life), seconds(70))


@given(lives(first=-1000, last=0, of=MOMENTS), lives(), st.integers(0, 30))
def test_lateness(past: Life, life: Life, late: int):
    """An event that comes late counts as if it had come in time, after any history."""
    past.sort(key=time_s)
    in_time = sorted(life, key=time_s)
    delayed = in_time[:late] + in_time[late + 1 :] + in_time[late : late + 1]

    same_customer(row([*past, *delayed]), row([*past, *in_time]), seconds(70))


@given(lives(), st.data())
def test_duplicates(life: Life, data: st.DataObject):
    """A repeat within the last 8 state-changing events of its topic changes nothing."""
    life = [event("order.placed", 1, id="first"), *(each for each in life if each.type != NEUTRAL)]
    state = row(life[:1])
    for number, each in enumerate(life[1:], 1):
        again = data.draw(st.sampled_from(life[max(0, number - RING_IDS) : number]))
        assert DEFAULT.apply(state, again, time_s(again), 0) is Applied.DUPLICATE
        DEFAULT.apply(state, each, time_s(each), 0)

    same_customer(state, row(life), seconds(70))


@given(lives(), st.randoms(use_true_random=False))
def test_packing(life: Life, chance: random.Random):
    """A row that was packed and read back between any two events goes on as if it had not been."""
    state = row(life[:1])
    for each in life[1:]:
        if chance.random() < 0.5:
            state = unpack(pack(state))
        DEFAULT.apply(state, each, time_s(each), 0)

    same_customer(state, row(life), seconds(70))
    assert pack(state) == pack(unpack(pack(state)))


@given(lives(), st.lists(days(64, 900), min_size=2, max_size=6))
def test_time_in_steps(life: Life, times: list[float]):
    """Looking at a row on the way to a time changes nothing of what is seen at that time."""
    state, untouched = row(life), row(life)
    for day in sorted(times):
        DEFAULT.rules.evaluate(state, seconds(day), absence_until_s=seconds(day))
        same(figures(state, seconds(day)), figures(untouched, seconds(day)))


@given(lives(), st.lists(days(64, 900), min_size=1, max_size=4))
def test_decay_composes(life: Life, times: list[float]):
    """Moving a row's reference through any times gives the same as reading it at once."""
    moved, untouched = row(life), row(life)
    for day in sorted(times):
        moved.newest_s = untouched.newest_s = max(moved.newest_s, seconds(day))
        DEFAULT._move_reference(moved, seconds(day))
        assert moved.ref_s == seconds(day)

    same_customer(moved, untouched, seconds(1000))


@given(lives(last=3000, most=12, of=MOMENTS))
def test_reference_moves_by_itself(life: Life):
    """Sums whose half-lives are short against a customer's years stay finite and right."""
    in_time = sorted(life, key=time_s)
    read_s = time_s(in_time[-1])
    fixed = QUICK.new(read_s)
    for each in in_time:
        QUICK.apply(fixed, each, time_s(each), 0)
    found = row(in_time, QUICK)

    for name, value in figures(fixed, read_s, QUICK).items():
        assert figures(found, read_s, QUICK)[name] == pytest.approx(value, abs=1e-9), name


@pytest.mark.parametrize("first_come", [0, 1])
def test_a_century_apart(first_come: int):
    """Of two events a century apart only the newer one is felt, whichever comes first."""
    life = [event("complaint.raised", -36_525), event("delivery.failed", 0)]
    state = row([life[first_come], life[1 - first_come]])

    found, alone = figures(state, seconds(0)), figures(row(life[1:]), seconds(0))
    assert found.pop("experience complaint") == pytest.approx(0.0, abs=1e-9)
    same(found, alone)
    assert plain(unpack(pack(state))) == plain(state)


@given(lives(most=12), days(0, 100))
def test_never_read_before_the_newest_event(life: Life, before: float):
    """A row that is asked for an earlier time is read at its newest event."""
    state, newest = row(life), max(map(time_s, life))

    same(figures(state, newest - before * DAY), figures(state, newest))
