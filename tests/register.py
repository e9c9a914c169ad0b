"""Lives whose matters stand in the register, and the failures that a row has of them."""

from typing import Any

from schemas.envelope import Touchpoint
from schemas.times import at_time
from streams.scoring.entry import NO_CODE
from streams.scoring.facts import all_until
from streams.scoring.state import CustomerState
from tests.customers import DAY, DEFAULT, START, event, row, seconds

Life = list[Touchpoint]
HOUR = 1 / 24


def day(number: float) -> str:
    """Return the time of a day from START."""
    return at_time(seconds(number))


def placed(due: float = 3.0, order: str = "o1", at: float = 0.0) -> Touchpoint:
    """Return an order that was promised by a day."""
    return event("order.placed", at, order_id=order, promised_at=day(due))


def ticket(kind: str, at: float, **data: Any) -> Touchpoint:
    """Return an event of ticket t1 about issue i1."""
    return event(f"ticket.{kind}", at, **{"ticket_id": "t1", "issue_id": "i1", **data})


def call(at: float, **data: Any) -> Touchpoint:
    """Return an inbound call about issue i1."""
    return event("call.ended", at, **{"issue_id": "i1", **data})


def failures(state: CustomerState) -> list[tuple[str, float, float, float]]:
    """Return each failure as (driver, weight, day it began, day until which it counts in full)."""
    names = DEFAULT.policy.driver_names
    found = [
        (names[case.key >> 3], case.weight / 1000, (case.since_s - START) / DAY, (case.until_s - START) / DAY)
        for case in state.entries.all()
        if case.key != NO_CODE
    ]
    return sorted(found, key=lambda each: (each[2], each[0]))


def swept(life: Life, at: float, under: Any = DEFAULT) -> CustomerState:
    """Return the row after its events and a sweep at a day, every channel read so far."""
    state = row(sorted(life, key=lambda each: each.time), under)
    under.expire(state, seconds(at), all_until(seconds(at)))
    return state
