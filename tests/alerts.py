"""Lives and the steps of alerts that must come of them, for tests of the rules."""

from dataclasses import dataclass
from typing import Any

from schemas.envelope import Touchpoint
from streams.scoring.apply import Scorer
from streams.scoring.rules import SEVERITIES, Cause, Decision, Rule
from streams.scoring.state import CustomerState, Episode
from tests.customers import DEFAULT, START, event, seconds, told

Life = list[Touchpoint]


def orders(every: float, count: int) -> Life:
    """Buy `count` times, one each `every` days from day 0."""
    return [event("order.placed", every * n) for n in range(count)]


def each_day(kind: str, first: float, count: int, **data: Any) -> Life:
    """Live through the same thing on each of `count` days."""
    return [event(kind, first + n, **data) for n in range(count)]


LOYAL = orders(15, 24)
"""The last on day 345."""


WEEKLY = orders(7, 52)
"""The last on day 357."""


FAILED = event("delivery.failed", 346)


def in_full(step: Decision) -> tuple[str, int, str, str, str, str | None]:
    """Return a step as (rule, number, step, severity, cause, because)."""
    because = step.because.value if step.because else None
    return step.rule.label, step.number, step.step, SEVERITIES[step.severity], str(step.cause), because


@dataclass(frozen=True)
class Case:
    """A life, the day of the last sweep, and the steps that must come of it in that order."""

    life: Life
    until: float
    steps: list[tuple[str, int, str, str, str, str | None]]


def evaluate(
    state: CustomerState, day: float, *, strong: bool = False, read: float | None = None, by: Scorer = DEFAULT
) -> list[tuple[str, str]]:
    """Evaluate a row at a day from START, every input read up to `read`, and return (rule, step) pairs."""
    until_s = seconds(day if read is None else read)
    return told(by.rules.evaluate(state, seconds(day), absence_until_s=until_s, strong=strong))


def closed(rule: Rule, day: float) -> dict[int, Episode]:
    """Return the episodes of a row in which a rule was closed on a day."""
    return {rule: Episode(1, START, seconds(day), Cause.TREND, 1, 0)}
