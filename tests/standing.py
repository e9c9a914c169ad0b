"""Lives of which something stands in the register, for tests of what is told of it."""

from schemas.envelope import Touchpoint, time_s
from streams.scoring.apply import Scorer
from streams.scoring.facts import all_until
from streams.scoring.rules import Decision
from tests.customers import DEFAULT, event, scorer, seconds
from tests.register import HOUR

Life = list[Touchpoint]


def lived(life: Life, until: float, by: Scorer = DEFAULT, every: float = HOUR) -> list[Decision]:
    """Live through a life with a sweep each hour that has read every channel so far; return the steps."""
    life = sorted(life, key=time_s)
    state = by.new(time_s(life[0]))
    steps: list[Decision] = []
    at, waiting = (time_s(life[0]) - seconds(0)) / 86_400, list(life)
    while at <= until:
        while waiting and time_s(waiting[0]) <= seconds(at):
            each = waiting.pop(0)
            by.apply(state, each, time_s(each), 0)
            steps += by.rules.evaluate(state, time_s(each), absence_until_s=time_s(each))
        at_s = max(seconds(at), state.newest_s)
        steps += by.sweep(state, at_s, absence_until_s=at_s, fulfilled_until_s=all_until(at_s))
        at += every
    return steps


FAILED = event("delivery.failed", 346, order_id="p")


CAME = event("delivery.delivered", 348, order_id="p")


CALM = scorer(bands={"critical_below": 1, "at_risk_below": 2}, rules={"drop_open": -60, "churn_open": 1})
"""A policy under which no experience falls."""
