"""Deadlines that were said more than once: one answer for all orders of arrival and all sweeps."""

import random
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Touchpoint, time_s
from schemas.times import at_time
from streams.scoring.deadlines import FIRST_WORDS
from streams.scoring.entry import NO_CODE
from streams.scoring.facts import all_until
from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
from tests.customers import DEFAULT, row, seconds
from tests.lives import days, figures, lives
from tests.property.test_scoring_evidence import same, same_customer

Life = list[Touchpoint]
DATES: Final = [{"promised_at": at_time(seconds(due))} for due in (2, 4, 7, 11, 16, 22, 30)]
WORDS: Final[list[tuple[str, dict[str, Any]]]] = [
    *((kind, {"order_id": "o1", **date}) for kind in ("order.placed", "delivery.promised") for date in DATES),
    *(("delivery.rescheduled", {"order_id": "o1", "by": "customer", **date}) for date in (*DATES, {})),
]
ENDS: Final[list[tuple[str, dict[str, Any]]]] = [
    *(("delivery.delivered", {"order_id": "o1", **date}) for date in ({}, {}, *DATES[2:5])),
    ("order.cancelled", {"order_id": "o1", "by": "customer"}),
]
PROMISES: Final[list[tuple[str, dict[str, Any]]]] = [
    *(
        ("promise.made", {"promise_id": "p1", "due_at": date["promised_at"], "fulfilled_by": channel})
        for channel in ("store", "phone")
        for date in DATES
    ),
    ("promise.kept", {"promise_id": "p1"}),
    ("promise.withdrawn", {"promise_id": "p1"}),
]
words = lives(of=WORDS, last=32, most=9)
orders = st.tuples(words, lives(of=[*WORDS, *ENDS], first=0.01, last=32, most=4)).map(
    lambda both: [*both[0], *both[1]]
)
parcels = lives(of=[*WORDS[1:9:2], *ENDS[:-1]], last=32, most=6)
"""Few words, and deliveries that name dates of their own."""
promised = lives(of=PROMISES, last=32, most=10)
lived = st.one_of(orders, parcels, promised)


def broken_at(life: Life) -> CustomerState:
    """Return the row after all of a life, and a sweep after its last deadline."""
    state = row(life)
    DEFAULT.expire(state, seconds(80), all_until(seconds(80)))
    return state


@settings(max_examples=300)
@given(lived, st.randoms(use_true_random=False))
def test_order_of_words(life: Life, shuffle: random.Random):
    """Which deadline was missed does not depend on the order in which its words and its end come."""
    for arrived in (life[::-1], shuffle.sample(life, len(life))):
        same_customer(broken_at(arrived), broken_at(life), seconds(80))


@given(lived, st.randoms(use_true_random=False), st.lists(days(0, 70), max_size=6))
def test_sweeps_among_late_words(life: Life, shuffle: random.Random, sweeps: list[float]):
    """No sweep and no reading between late words changes a score of a later time."""
    state = DEFAULT.new(time_s(life[0]))
    pending = list(sweeps)
    for each in shuffle.sample(life, len(life)):
        DEFAULT.apply(state, each, time_s(each), 0)
        if pending:
            at_s = max(seconds(pending.pop()), state.newest_s)
            DEFAULT.expire(state, at_s, all_until(at_s))
            state = unpack(pack(state))
    DEFAULT.expire(state, seconds(80), all_until(seconds(80)))

    same(figures(state, seconds(80)), figures(broken_at(life), seconds(80)))


@settings(max_examples=300)
@given(st.one_of(orders, parcels))
def test_the_first_deadline_that_passed_while_it_held(life: Life):
    """The failure is that of the first deadline that no other word moved in time, by all words at once."""
    (case,) = broken_at(life).entries.all()
    due_s = held_against(life)
    kept_s = min((_at_s(each) for each in life if each.type.startswith("cx.delivery.delivered")), default=0)
    gone_s = min((_at_s(each) for each in life if each.type.startswith("cx.order.cancelled")), default=0)

    if not due_s or 0 < gone_s <= due_s or 0 < kept_s <= due_s:
        assert case.key == NO_CODE
    else:
        assert (case.since_s, case.weight) == (due_s, 1500 if kept_s else 3000)


def held_against(life: Life) -> int:
    """Return the deadline that an order is held against, by the rule as the documentation says it."""
    said: dict[int, int] = {}
    named = []
    for each in life:
        date = getattr(each.data, "promised_at", None)
        due_s = 0 if date is None else int(date.timestamp())
        if each.type.startswith("cx.delivery.delivered"):
            named += [due_s] if due_s else []
        elif not each.type.startswith("cx.order.cancelled"):
            said[_at_s(each)] = max(due_s, said.get(_at_s(each), 0))
    times = sorted(said)
    for said_s in times[: FIRST_WORDS - 1]:
        due_s = said[said_s]
        later = [other_s for other_s in times[:FIRST_WORDS] if other_s > said_s]
        if due_s and later and not any(other_s <= due_s for other_s in later):
            return due_s
    if named:
        return max(named)
    return said[times[-1]] if times else 0


def _at_s(each: Touchpoint) -> int:
    return int(time_s(each))
