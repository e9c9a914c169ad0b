"""How grave an alert is: its risk, and floors that nothing lies below."""

import math

import pytest

from streams.scoring.rules import SEVERITIES, Rule
from tests.alerts import FAILED, LOYAL, Life, each_day
from tests.customers import DEFAULT, event, live, row, scorer, seconds

FLOORS: list[tuple[str, Life, float, str]] = [
    ("public voice", [event("social.mentioned", 346, sentiment=-1, reach=9000)], 346, "high"),
    ("public voice 31 days ago", [event("social.mentioned", 346, sentiment=-1, reach=9000)], 377, "medium"),
    (
        "public voice that stands",
        [event("social.mentioned", 346, post_id="p1", sentiment=-1, reach=9000)],
        346,
        "high",
    ),
    ("escalated", [event("ticket.escalated", 346)], 346, "high"),
    ("a failure", [FAILED], 346, "medium"),
    (
        "public voice, then a good moment",
        [event("social.mentioned", 346, sentiment=-1, reach=9000), event("order.placed", 346.1)],
        346.1,
        "medium",
    ),
    ("fresh intent", [FAILED, event("cancel_page.viewed", 346)], 346, "high"),
    ("intent of two half-lives ago", [FAILED, event("cancel_page.viewed", 285)], 346, "medium"),
]


@pytest.mark.parametrize(
    ("life", "day", "severity"), [case[1:] for case in FLOORS], ids=[f[0] for f in FLOORS]
)
def test_severity_floors(life: Life, day: float, severity: str):
    """A recent public voice or a declared intent makes an alert at least high, whatever its own gravity."""
    state = row([*LOYAL, *life])
    drop = Rule.EXPERIENCE_DROP
    loose = scorer(rules={"drop_open": -0.5, "drop_close": -0.1}, bands={"critical_below": 1})

    found = loose.rules.evaluate(state, seconds(day), absence_until_s=0.0)
    assert [SEVERITIES[step.severity] for step in found if step.rule is drop] == [severity]


@pytest.mark.parametrize(("probability", "severity"), [(0.899, "medium"), (0.901, "high")])
def test_severity_of_churn(probability: float, severity: str):
    """Churn risk is high from a probability of .9 on."""
    state = row([*LOYAL, FAILED])
    terms = DEFAULT.rules.glance(state, seconds(346)).terms
    logit = DEFAULT.churn.logit(state, seconds(346), terms, DEFAULT.policy.alert_horizon)
    assert logit is not None
    base = math.log(probability / (1 - probability)) - logit
    sure = scorer(churn={"base": [base] * 3})

    (churn, _) = sure.rules.evaluate(state, seconds(346), absence_until_s=0.0)
    assert (churn.rule, SEVERITIES[churn.severity]) == (Rule.CHURN_RISK, severity)


def test_escalation_never_goes_back():
    """An episode keeps the gravest severity it had."""
    state, steps = live([*LOYAL, *each_day("delivery.failed", 346, 4)], until=460)
    drop = [step.severity for step in steps if step.rule is Rule.EXPERIENCE_DROP]

    assert drop == sorted(drop)
    assert state.episodes[Rule.EXPERIENCE_DROP].severity == max(drop)
    assert DEFAULT.ledger.score(state, seconds(460)) < 35
