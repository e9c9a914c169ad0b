"""Deadlines that were said more than once: which was missed, and what no later word takes back."""

from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from schemas.envelope import Touchpoint
from schemas.fields import CHANNELS
from schemas.times import at_time
from streams.scoring.cases import alert_document
from streams.scoring.deadlines import FIRST_WORDS, RECITED
from streams.scoring.entry import NO_CODE, Case
from streams.scoring.facts import CHANNEL, DUE, SAID, all_until
from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
from tests.customers import DAY, DEFAULT, START, event, row, seconds, told
from tests.standing import lived
from tests.unit.test_stories import LOYAL

Life = list[Touchpoint]
Failure = tuple[float, float, float]
"""Weight, day it began, day until which it counts in full."""


def day(number: float) -> str:
    """Return the time of a day from START."""
    return at_time(seconds(number))


def placed(at: float, due: float) -> Touchpoint:
    """Return order o1, promised by a day."""
    return event("order.placed", at, order_id="o1", promised_at=day(due))


def moved(at: float, due: float | None = None, **data: Any) -> Touchpoint:
    """Return the delivery of order o1 moved to a day, or to none that is known."""
    date = {} if due is None else {"promised_at": day(due)}
    return event("delivery.rescheduled", at, order_id="o1", **date, **data)


def delivered(at: float, due: float | None = None) -> Touchpoint:
    """Return order o1 delivered, with what the delivery says had been promised."""
    date = {} if due is None else {"promised_at": day(due)}
    return event("delivery.delivered", at, order_id="o1", **date)


def called_off(at: float) -> Touchpoint:
    """Return order o1 cancelled."""
    return event("order.cancelled", at, order_id="o1", by="customer")


def promise(at: float, due: float) -> Touchpoint:
    """Return promise p1, made or made anew."""
    return event("promise.made", at, promise_id="p1", due_at=day(due))


def only_case(state: CustomerState) -> Case:
    """Return the one entry of a register."""
    (case,) = state.entries.all()
    return case


def swept(life: Life, at: float) -> CustomerState:
    """Return the row after events as they come and a sweep at a day, every channel read so far."""
    state = row(life)
    DEFAULT.expire(state, seconds(at), all_until(seconds(at)))
    return state


def found_at(life: Life, at: float) -> Failure | None:
    """Return the failure that a life leaves after a sweep at a day, None for none."""
    case = only_case(swept(life, at))
    if case.key == NO_CODE:
        return None
    return case.weight / 1000, (case.since_s - START) / DAY, (case.until_s - START) / DAY


STANDS = (3.0, 10.0, 70.0)
SECOND = 1 / 86_400
STORIES: dict[str, tuple[Life, float, Failure | None]] = {
    "moved before its day": ([placed(0, 10), moved(9, 15)], 14, None),
    "moved on its very second": ([placed(0, 10), moved(10, 15)], 14, None),
    "moved a second too late": ([placed(0, 10), moved(10 + SECOND, 15)], 11, STANDS),
    "moved by the customer too late": ([placed(0, 10), moved(12, 15, by="customer")], 13, STANDS),
    "moved too late to no known day": ([placed(0, 10), moved(12)], 13, STANDS),
    "moved in time to no known day": ([placed(0, 10), moved(9), moved(20, 30)], 29, None),
    "moved in time to no known day, then to one that was missed": (
        [placed(0, 10), moved(9), moved(20, 30)],
        33,
        (3.0, 30.0, 90.0),
    ),
    "the new promise is kept": ([placed(0, 10), moved(12, 15), delivered(14)], 20, (1.5, 10.0, 14.0)),
    "the new promise is kept late": ([placed(0, 10), moved(12, 15), delivered(17)], 20, (1.5, 10.0, 17.0)),
    "the new promise is broken too": ([placed(0, 10), moved(12, 15)], 20, STANDS),
    "delivered late, and moved after that": (
        [placed(0, 10), delivered(11), moved(12, 15)],
        20,
        (1.5, 10.0, 11.0),
    ),
    "delivered in time, and moved after that": ([placed(0, 10), delivered(9), moved(12, 15)], 20, None),
    "called off before its day": ([placed(0, 10), called_off(9), moved(12, 15)], 20, None),
    "called off after the new word": ([placed(0, 10), moved(12, 15), called_off(13)], 20, (3.0, 10.0, 13.0)),
    "moved in time, then too late": ([placed(0, 10), moved(5, 20), moved(25, 30)], 28, (3.0, 20.0, 80.0)),
    "moved too late twice": ([placed(0, 10), moved(12, 15), moved(17, 30)], 28, STANDS),
    "moved too late, then in time": ([placed(0, 10), moved(12, 15), moved(14, 30)], 28, STANDS),
    "moved to an earlier day that was missed": (
        [placed(0, 10), moved(5, 7), moved(9, 20)],
        12,
        (3.0, 7.0, 67.0),
    ),
    "moved away and back": ([placed(0, 10), moved(5, 20), moved(7, 10), moved(12, 30)], 20, STANDS),
    "said twice": ([placed(0, 10), moved(2, 10), moved(9, 15)], 14, None),
    "said twice at once": ([placed(0, 10), moved(0, 15)], 14, None),
    "the fourth word comes too late": (
        [placed(0, 10), moved(5, 20), moved(15, 30), moved(32, 40)],
        35,
        (3.0, 30.0, 90.0),
    ),
    "the delivery names what was promised": ([placed(0, 10), delivered(9, 8)], 20, (1.5, 8.0, 9.0)),
    "the delivery names a day that nobody told of": ([placed(0, 10), delivered(12, 15)], 20, None),
    "two parcels name two days": ([placed(0, 10), delivered(12, 15), delivered(13, 11)], 20, None),
    "two parcels name one day": ([delivered(8, 9), delivered(12, 9), placed(0, 10)], 20, None),
    "the delivery names the day after the missed one": (
        [placed(0, 10), moved(12, 15), delivered(14, 15)],
        20,
        (1.5, 10.0, 14.0),
    ),
    "the delivery names the day before the move": (
        [placed(0, 10), moved(5, 20), delivered(12, 10)],
        20,
        (1.5, 10.0, 12.0),
    ),
    "only the delivery names it": ([delivered(12, 10)], 20, (1.5, 10.0, 12.0)),
    "the delivery names it before it was placed": ([delivered(12, 15), placed(13, 15)], 20, None),
    "a promise of an agent": ([promise(0, 10), promise(12, 15)], 13, STANDS),
    "a promise of an agent moved in time": ([promise(0, 10), promise(9, 15)], 14, None),
}


@pytest.mark.parametrize("story", STORIES)
def test_which_deadline_counts(story: str):
    """A deadline that passes while it holds is missed for good, a word by then moves it: in any order."""
    life, at, failure = STORIES[story]

    for arrived in permutations(life):
        assert found_at(list(arrived), at) == failure


def test_an_alert_outlives_a_move_that_came_too_late():
    """The alert of a broken promise is not resolved by a new date, and tells of the one that was missed."""
    life = [*LOYAL, placed(345, 350), moved(352, 355, by="customer")]
    steps = lived(life, 354)

    assert told(steps) == [("promise_broken", "opened")]
    found = alert_document(DEFAULT, "anna", swept(life, 354), steps[0], generation="g", announced=True)
    assert found["promises"] == [{"kind": "order", "due": day(350), "status": "broken"}]
    assert told(lived([*life, delivered(354)], 356)) == [*told(steps), ("promise_broken", "resolved")]


@pytest.mark.parametrize("broken_at", [10.5, 11.0, 12.5, None])
def test_a_sweep_between_changes_nothing(broken_at: float | None):
    """Whether a sweep broke the promise before the new word came is all the same."""
    state = row([placed(0, 10)])
    if broken_at is not None:
        assert DEFAULT.expire(state, seconds(broken_at), all_until(seconds(broken_at)))
    late = moved(12, 15)
    DEFAULT.apply(state, late, seconds(12), 0)
    DEFAULT.expire(state, seconds(13), all_until(seconds(13)))

    case = only_case(state)
    assert (case.weight, case.since_s, case.pending_s) == (3000, int(seconds(10)), 0)


def test_late_word_of_a_move_in_time_takes_it_back():
    """Where it is heard late that the deadline had been moved in time, nothing was broken."""
    state = swept([placed(0, 10), moved(12, 15)], 13)
    assert state.failing == 1

    DEFAULT.apply(state, moved(8, 14), seconds(8), 0)
    assert (state.failing, only_case(state).pending_s) == (0, int(seconds(15)))


def test_of_many_words_the_first_and_the_last_are_kept():
    """Whatever is sent of a deadline, four words and the last are kept: from then on that one moves it."""
    in_time = [placed(0, 3), *(moved(number, number + 3) for number in range(1, 40))]
    case = only_case(row([*in_time, moved(60, 70)]))

    assert case.pending_s == int(seconds(70))
    assert len(case.facts) == 2 + 2 * FIRST_WORDS
    missed = only_case(row([placed(0, 3), moved(4, 5), *in_time[5:]]))
    assert missed.pending_s == int(seconds(3))
    assert len(missed.facts) == 4 + 2 * FIRST_WORDS


def test_the_last_word_says_where_the_fulfilment_is_reported():
    """The channel that has to be read is that of the last word, in whatever order the words come."""
    first = event("promise.made", 0, promise_id="p1", due_at=day(10), fulfilled_by="phone")
    last = event("promise.made", 5, promise_id="p1", due_at=day(20), fulfilled_by="store")

    for life in ([first, last], [last, first]):
        assert not DEFAULT.expire(row(life), seconds(30), {"phone": seconds(30)})
        assert DEFAULT.expire(row(life), seconds(30), {"store": seconds(30)})


def test_a_delivery_hides_no_word():
    """An earlier word that comes after the delivery has no say in where the fulfilment is reported."""
    last = replace(placed(5, 10), channel="chat")
    state = row([last, delivered(8, 10), placed(0, 10)])

    assert only_case(state).facts[CHANNEL] == CHANNELS.index("chat")


SIZES: list[tuple[Life, int]] = [
    ([placed(0, 10), delivered(2)], 2),
    ([placed(0, 10), delivered(2, 10)], 2),
    ([delivered(2, 10), placed(0, 10)], 2),
    ([delivered(2, 10)], 2),
    ([placed(0, 10), delivered(2, 8)], 5),
    ([placed(0, 10), moved(3, 10)], 4),
    ([placed(0, 10), moved(3, 12)], 4),
    ([placed(0, 10), moved(11, 12)], 6),
]


@pytest.mark.parametrize(("life", "kept"), SIZES)
def test_only_a_second_word_takes_room(life: Life, kept: int):
    """Of a deadline that was said once, and maybe named by the delivery, only time and date are kept."""
    facts = only_case(unpack(pack(row(life)))).facts

    assert len([fact for fact in facts if fact in (SAID, DUE) or fact >= RECITED]) == kept
