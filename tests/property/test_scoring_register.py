"""The register: facts in any order, sweeps at any time, and failures that weigh the same in the sums."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.envelope import Touchpoint, time_s
from streams.scoring.apply import Scorer
from streams.scoring.facts import all_until
from streams.scoring.policy import DAY_S
from streams.scoring.register import ENTRIES
from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
from tests.customers import DEFAULT, event, packed_anew, row, scorer, seconds
from tests.lives import MATTERS, ORDERS, days, figures, lives
from tests.property.test_scoring_evidence import same, same_customer

Life = list[Touchpoint]
of_one_order = lives(of=[each for each in ORDERS if each[1].get("order_id") == "o1"], most=8)
TICKETS = [
    *((f"ticket.{word}", {"ticket_id": "t1"}) for word in ("created", "replied", "solved", "reopened")),
    ("social.mentioned", {"post_id": "s2", "issue_id": "i1", "sentiment": -0.8}),
    ("ticket.escalated", {"ticket_id": "t1", "issue_id": "i2"}),
    ("complaint.raised", {"complaint_id": "c2", "issue_id": "i2"}),
    ("call.ended", {"issue_id": "i2"}),
]
"""Of a ticket whose issue not each event names, and some name another one."""
of_matters = lives(of=[*MATTERS, *TICKETS], most=12)
of_all = lives(of=[*ORDERS, *MATTERS, *TICKETS], most=16)
HEAVY = scorer(ledger={"asymmetry": 1.0, "peak_share": 0.5, "prior": 50}, promises={"repaired_share": 0.1})
QUICK = scorer(promises={"standing_days": 5, "repaired_after_days": 1, "credit_after_days": 10})
scorers = st.sampled_from([DEFAULT, HEAVY])


@given(st.one_of(of_one_order, of_matters, of_all), st.randoms(use_true_random=False))
def test_order_of_facts(life: Life, shuffle: random.Random):
    """What is known of an order, promise, ticket or issue does not depend on the order of its events."""
    shuffled = row(shuffle.sample(life, len(life)))
    in_order = row(life)
    for state in (shuffled, in_order):
        DEFAULT.expire(state, seconds(80), all_until(seconds(80)))

    same_customer(shuffled, in_order, seconds(80))


@given(st.one_of(of_one_order, of_all), st.lists(days(0, 70), max_size=6), days(71, 400))
def test_sweeps_at_any_time(life: Life, sweeps: list[float], at: float):
    """How often and when a sweep looked for broken promises changes no score of a later time."""
    in_time = sorted(life, key=time_s)
    swept, unswept = DEFAULT.new(time_s(in_time[0])), row(in_time)
    pending = sorted(sweeps)
    for each in in_time:
        while pending and seconds(pending[0]) < time_s(each):
            expire(swept, pending.pop(0))
        DEFAULT.apply(swept, each, time_s(each), 0)
    for state in (swept, unswept):
        expire(state, at)

    same(figures(swept, seconds(at)), figures(unswept, seconds(at)))


def expire(state: CustomerState, day: float) -> None:
    """Break at a day what is overdue, every channel read so far."""
    at_s = max(seconds(day), state.newest_s)
    DEFAULT.expire(state, at_s, all_until(at_s))


@given(st.one_of(of_matters, of_all), st.sampled_from([DEFAULT, QUICK]), st.sets(st.integers(0, 15)))
def test_what_changed_is_packed_again(life: Life, under: Scorer, read_again: set[int]):
    """Whatever is learned, mended, settled or missed, no entry keeps bytes that say something else."""
    state = under.new(time_s(life[0]))
    for number, each in enumerate(life):
        under.expire(state, state.newest_s, all_until(state.newest_s))
        under.apply(state, each, time_s(each), 0)
        row = pack(state)
        assert packed_anew(state.entries) == state.entries.packed
        if number in read_again:
            state = unpack(row)


@given(of_all, scorers, days(70, 300), days(0, 300))
def test_folding_changes_no_score(life: Life, under: Scorer, folded: float, later: float):
    """A failure weighs in the sums what it weighed in the register: points, coverage and trend."""
    state = row(life, under)
    under.expire(state, seconds(folded), all_until(seconds(folded)))
    kept = unpack(pack(state))
    for case in list(state.entries.all()):
        if max(case.until_s, case.mended_s) < seconds(folded):
            under.register._fold(state, case, seconds(folded))
    before = {case.name: case.credit for case in state.entries.all()}
    under.register._refresh(state, state.newest_s)
    assume(before == {case.name: case.credit for case in state.entries.all()})

    at_s = seconds(folded + later)
    found, expected = figures(state, at_s, under), figures(kept, at_s, under)
    found["last points"] = expected.pop("last points", None)  # of it alone: from its day, not from its end
    same(found, {**expected, "last points": found["last points"]})


@given(of_all, scorers, days(64, 400))
def test_scores_are_sums_with_what_stands(life: Life, under: Scorer, day: float):
    """Points sum to the score and logits to the log-odds, with failures standing or fading (G5)."""
    state = row(life, under)
    under.expire(state, seconds(day), all_until(seconds(day)))
    found = figures(state, seconds(day), under)

    for ledger in ("experience", "service"):
        points = sum(
            value for name, value in found.items() if name.startswith(f"{ledger} ") and "coverage" not in name
        )
        assert under.policy.ledger.prior + points == pytest.approx(found[ledger], abs=1e-9)
    if found["churn"] is not None:
        logits = sum(value for name, value in found.items() if name.startswith("logit "))
        assert logits == pytest.approx(found["churn"], abs=1e-9)


@given(st.permutations(range(30)))
def test_the_register_is_bounded(order: list[int]):
    """However many orders go wrong, at most 16 entries are kept; the others are in the sums, and counted."""
    state = row(event("delivery.failed", day, order_id=f"o{day}") for day in order)

    assert (len(state.entries.all()), state.crowded) == (ENTRIES, 30 - ENTRIES)
    assert state.failing == ENTRIES
    alone = row([event("delivery.failed", 29, order_id="o29")])
    assert DEFAULT.ledger.score(state, seconds(30)) < DEFAULT.ledger.score(alone, seconds(30))


@given(of_all, scorers, days(64, 200))
def test_bad_never_lifts(life: Life, under: Scorer, day: float):
    """A broken promise more lifts no score, now and later."""
    state, worse = row(life, under), row(life, under)
    failed = event("delivery.failed", day, order_id="another")
    under.apply(worse, failed, time_s(failed), 0)

    for later in (0.0, 40.0, 200.0):
        at_s = seconds(day) + later * DAY_S
        assert under.ledger.score(worse, at_s) <= under.ledger.score(state, at_s) + 1e-9
