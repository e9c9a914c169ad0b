"""Alert episodes: what opens them, what closes them, how grave they are, and when they rest."""

import math
from dataclasses import dataclass
from typing import Any

import pytest

from schemas.envelope import Touchpoint
from schemas.times import at_time
from streams.scoring.apply import Applied, Scorer
from streams.scoring.episodes import any_open
from streams.scoring.explain import assess
from streams.scoring.facts import all_until
from streams.scoring.rules import SEVERITIES, Band, Because, Cause, Decision, Rule
from streams.scoring.state import CustomerState, Episode
from tests.customers import DEFAULT, START, event, live, row, scorer, seconds, told

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


CASES = {
    "who buys on is never an alert": Case(LOYAL, 350, []),
    "a single buyer falls silent: low": Case(
        orders(1, 1), 500, [("silence", 1, "opened", "low", "lost", None)]
    ),
    "silence closes on engagement": Case(
        [*orders(1, 1), event("order.placed", 200)],
        210,
        [
            ("silence", 1, "opened", "low", "lost", None),
            ("silence", 1, "resolved", "low", "lost", "engaged"),
        ],
    ),
    "silence does not close on a page view": Case(
        [*orders(1, 1), event("page.viewed", 200)], 210, [("silence", 1, "opened", "low", "lost", None)]
    ),
    "silence of a repeat buyer folds into churn risk, which escalates and closes on engagement": Case(
        [*WEEKLY, event("order.placed", 600)],
        620,
        [
            ("silence", 1, "opened", "medium", "lost", None),
            ("churn_risk", 1, "opened", "medium", "lost", None),
            ("silence", 1, "resolved", "medium", "lost", "folded"),
            ("churn_risk", 1, "escalated", "high", "lost", None),
            ("churn_risk", 1, "resolved", "high", "lost", "engaged"),
        ],
    ),
    "an experience that falls": Case(
        [*LOYAL, FAILED], 347, [("experience_drop", 1, "opened", "medium", "trend", None)]
    ),
    "an experience that falls on, drives churn risk, and fades": Case(
        [*LOYAL, *each_day("delivery.failed", 346, 4)],
        530,
        [
            ("experience_drop", 1, "opened", "medium", "trend", None),
            ("experience_drop", 1, "escalated", "high", "trend", None),
            ("churn_risk", 1, "opened", "medium", "experience", None),
            ("churn_risk", 1, "escalated", "critical", "experience", None),
            ("experience_drop", 1, "resolved", "high", "trend", "recovered"),
        ],
    ),
    "a new customer whose experience is critical": Case(
        [event("order.placed"), *each_day("delivery.failed", 1, 4)],
        10,
        [
            ("churn_risk", 1, "opened", "medium", "experience", None),
            ("experience_drop", 1, "opened", "high", "critical", None),
            ("churn_risk", 1, "escalated", "critical", "experience", None),
        ],
    ),
    "churn risk by experience closes when the risk is gone": Case(
        [
            event("order.placed"),
            *each_day("delivery.failed", 1, 2),
            *(event("order.placed", 4 + n) for n in range(25)),
        ],
        28,
        [
            ("churn_risk", 1, "opened", "medium", "experience", None),
            ("experience_drop", 1, "opened", "high", "critical", None),
            ("churn_risk", 1, "resolved", "medium", "experience", "recovered"),
            ("experience_drop", 1, "resolved", "high", "critical", "recovered"),
        ],
    ),
    "without an engagement there is no churn risk": Case(
        each_day("complaint.raised", 1, 4),
        200,
        [
            ("experience_drop", 1, "opened", "high", "complaint", None),
            ("experience_drop", 1, "resolved", "high", "complaint", "recovered"),
        ],
    ),
    "declared intent to leave is grave": Case(
        [*orders(30, 3), *each_day("cancel_page.viewed", 61, 3)],
        100,
        [("churn_risk", 1, "opened", "high", "experience", None)],
    ),
    "who is delighted and cancels is a risk at once": Case(
        [*LOYAL, event("subscription.cancelled", 350)],
        360,
        [("churn_risk", 1, "opened", "high", "leaving", None)],
    ),
    "who cancels and comes back": Case(
        [*LOYAL, event("subscription.cancelled", 350), event("order.placed", 352)],
        352,
        [
            ("churn_risk", 1, "opened", "high", "leaving", None),
            ("churn_risk", 1, "resolved", "high", "leaving", "engaged"),
        ],
    ),
    "who cancelled and came back did not cancel again by what goes wrong": Case(
        [
            *LOYAL,
            event("subscription.cancelled", 350),
            event("subscription.cancelled", 351),
            event("order.placed", 352),
            event("delivery.failed", 356),
        ],
        357,
        [
            ("churn_risk", 1, "opened", "high", "leaving", None),
            ("churn_risk", 1, "resolved", "high", "leaving", "engaged"),
            ("experience_drop", 1, "opened", "high", "trend", None),
        ],
    ),
    "who cancelled twice and came back did not cancel again by how to": Case(
        [
            *LOYAL,
            event("subscription.cancelled", 350),
            event("subscription.cancelled", 351),
            event("order.placed", 352),
            event("cancel_page.viewed", 355),
            event("delivery.failed", 356),
        ],
        357,
        [
            ("churn_risk", 1, "opened", "high", "leaving", None),
            ("churn_risk", 1, "resolved", "high", "leaving", "engaged"),
            ("experience_drop", 1, "opened", "high", "trend", None),
        ],
    ),
    "who cancels, comes back and cancels again": Case(
        [
            *LOYAL,
            event("subscription.cancelled", 350),
            event("order.placed", 352),
            event("subscription.cancelled", 354),
        ],
        357,
        [
            ("churn_risk", 1, "opened", "high", "leaving", None),
            ("churn_risk", 1, "resolved", "high", "leaving", "engaged"),
            ("churn_risk", 2, "opened", "high", "leaving", None),
        ],
    ),
    "a risk by experience is over for who cancelled and came back": Case(
        [
            event("order.placed"),
            *each_day("delivery.failed", 1, 2),
            event("subscription.cancelled", 3),
            *(event("order.placed", 4 + n) for n in range(25)),
        ],
        28,
        [
            ("churn_risk", 1, "opened", "medium", "experience", None),
            ("experience_drop", 1, "opened", "high", "critical", None),
            ("churn_risk", 1, "escalated", "critical", "experience", None),
            ("churn_risk", 1, "resolved", "critical", "experience", "recovered"),
            ("experience_drop", 1, "resolved", "high", "critical", "recovered"),
        ],
    ),
    "who cancels without ever having engaged, and is no risk two months later": Case(
        [event("subscription.cancelled")],
        61,
        [
            ("churn_risk", 1, "opened", "high", "leaving", None),
            ("churn_risk", 1, "resolved", "high", "leaving", "recovered"),
        ],
    ),
    "who cancels and lives through more is a graver risk": Case(
        [*orders(1, 1), event("subscription.cancelled", 2), *each_day("delivery.failed", 3, 4)],
        10,
        [
            ("churn_risk", 1, "opened", "high", "leaving", None),
            ("churn_risk", 1, "escalated", "critical", "leaving", None),
            ("experience_drop", 1, "opened", "high", "critical", None),
        ],
    ),
    "a complaint of somebody of whom nothing else is known": Case(
        [event("complaint.raised")],
        100,
        [
            ("experience_drop", 1, "opened", "high", "complaint", None),
            ("experience_drop", 1, "resolved", "high", "complaint", "recovered"),
        ],
    ),
    "a complaint that was settled is over": Case(
        [
            event("store.visited"),
            event("complaint.raised", 1, complaint_id="c", issue_id="i"),
            event("call.ended", 2, direction="inbound", issue_id="i", resolved="yes"),
        ],
        30,
        [
            ("experience_drop", 1, "opened", "high", "complaint", None),
            ("experience_drop", 1, "resolved", "high", "complaint", "recovered"),
        ],
    ),
    "a complaint that nobody settled is not over by another that was": Case(
        [
            event("store.visited"),
            event("complaint.raised", 1, complaint_id="c", issue_id="i"),
            event("complaint.raised", 1.5),
            event("call.ended", 2, direction="inbound", issue_id="i", resolved="yes"),
            *each_day("store.visited", 3, 20),
        ],
        40,
        [("experience_drop", 1, "opened", "high", "complaint", None)],
    ),
    "a complaint that was told and mended is not told by who cancels": Case(
        [
            *(event("store.visited", 15 * n) for n in range(24)),
            *(event("call.ended", 350 + n / 10, direction="inbound", issue_id="i") for n in range(2)),
            event("complaint.raised", 350.2, issue_id="i"),
            event("call.ended", 352, direction="inbound", issue_id="i", resolved="yes"),
            event("subscription.cancelled", 353),
        ],
        360,
        [
            ("service_failure", 1, "opened", "medium", "repeat", None),
            ("service_failure", 1, "escalated", "high", "repeat", None),
            ("service_failure", 1, "resolved", "high", "repeat", "recovered"),
            ("churn_risk", 1, "opened", "high", "leaving", None),
        ],
    ),
    "a fall that was told and mended is not told by who cancels": Case(
        [
            *LOYAL,
            *(event("call.ended", 350 + n / 10, direction="inbound", issue_id="i") for n in range(2)),
            event("complaint.raised", 350.3),
            event("call.ended", 352, direction="inbound", issue_id="i", resolved="yes"),
            event("subscription.cancelled", 353),
        ],
        360,
        [
            ("service_failure", 1, "opened", "medium", "repeat", None),
            ("service_failure", 1, "escalated", "high", "repeat", None),
            ("service_failure", 1, "resolved", "high", "repeat", "recovered"),
            ("churn_risk", 1, "opened", "high", "leaving", None),
        ],
    ),
    "a complaint after one that was told is told again": Case(
        [
            event("complaint.raised"),
            *each_day("store.visited", 1, 68),
            event("complaint.raised", 70),
        ],
        72,
        [
            ("experience_drop", 1, "opened", "high", "complaint", None),
            ("experience_drop", 1, "resolved", "high", "complaint", "recovered"),
            ("experience_drop", 2, "opened", "high", "complaint", None),
        ],
    ),
    "one rage click": Case([event("rage.clicked")], 100, []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_steps(case: Case):
    """A life raises exactly the steps of its case."""
    assert [in_full(step) for step in live(case.life, until=case.until, every=0.5)[1]] == case.steps


@pytest.mark.parametrize(
    "bands", [{"critical_below": 30, "at_risk_below": 36}, {"min_coverage": 0.9}], ids=["steady", "unknown"]
)
def test_a_complaint_that_leaves_nobody_at_risk_is_no_alert(bands: dict[str, float]):
    """A complaint raises nothing where the experience is not at risk, or too little is known of it."""
    assert live([event("complaint.raised")], scorer(bands=bands), until=100, every=0.5)[1] == []


@pytest.mark.parametrize(
    ("score", "coverage", "band"),
    [
        (34.999, 0.3, Band.CRITICAL),
        (35, 0.3, Band.AT_RISK),
        (54.999, 1, Band.AT_RISK),
        (55, 1, Band.STEADY),
        (74.999, 1, Band.STEADY),
        (75, 1, Band.DELIGHTED),
        (0, 0.2999, Band.UNKNOWN),
        (100, 0, Band.UNKNOWN),
    ],
)
def test_bands(score: float, coverage: float, band: Band):
    """A band begins at its lower bound, and little coverage is no band at all."""
    assert DEFAULT.rules.band_of(score, coverage) is band
    assert band.label == band.name.lower()


def test_a_policy_that_makes_nothing_of_cancelling_tells_nobody():
    """Where a cancelled subscription adds nothing to the risk, it is no alert, no end of a rest, no floor."""
    deaf = scorer(churn={"cancelled": 0})
    state, steps = live([*LOYAL, event("subscription.cancelled", 346)], deaf, until=350)

    assert steps == []
    assert deaf.apply(state, event("subscription.cancelled", 350), seconds(350), 0) is Applied.ACCEPTED
    assert deaf.rules.gravity.weighed(state, seconds(350), 0) == 0


def test_two_cancellations_are_one():
    """Who cancels twice leaves as who cancels once, the last time; in whatever order that is heard of."""
    cancelled = [event("subscription.cancelled", day) for day in (350, 354)]
    once, twice, late = (row([*LOYAL, *each]) for each in (cancelled[1:], cancelled, cancelled[::-1]))
    risks = [assess(DEFAULT, state, seconds(360)).churn for state in (once, twice, late)]

    assert len({round(risk.probability, 9) for risk in risks if risk is not None}) == 1


def test_a_complaint_that_a_graver_alert_told_is_not_told_again():
    """A complaint while something stands is told with it, if only by the risk that both are folded into."""
    cancelled = event("subscription.cancelled", 349)
    calls = [event("call.ended", day, direction="inbound", issue_id="i") for day in (350, 350.5)]
    complained = event("complaint.raised", 351, issue_id="i")
    solved = event("call.ended", 353, direction="inbound", issue_id="i", resolved="yes")
    back = [event("order.placed", 354), event("delivery.failed", 360)]
    _, steps = live(
        [*LOYAL, cancelled, *calls, complained, solved, *back], scorer(rules={"drop_open": -60}), until=365
    )

    assert told(steps) == [("churn_risk", "opened"), ("churn_risk", "resolved")]


def test_an_order_before_the_cancellation_is_no_return():
    """Of an order that was placed before a customer cancelled may be heard after it."""
    state, _ = live([*orders(15, 23), event("subscription.cancelled", 350)])
    DEFAULT.apply(state, event("order.placed", 345), seconds(345), 0)

    assert evaluate(state, 351) == []
    DEFAULT.apply(state, event("order.placed", 352), seconds(352), 0)
    assert evaluate(state, 352) == [("churn_risk", "resolved")]


def test_a_cancellation_that_is_heard_late_is_none_of_who_came_back_since():
    """Nobody is told that a customer cancelled who has bought on a later day; on the same day they are."""
    for bought, opens in ((351, False), (350, True)):
        state = row([*LOYAL, event("order.placed", bought)])
        applied = DEFAULT.apply(state, event("subscription.cancelled", 350), seconds(350), 0)

        assert evaluate(state, 352, strong=applied.name == "STRONG") == [("churn_risk", "opened")] * opens


def test_an_order_between_two_cancellations_is_no_return():
    """Of an order that was placed before a second cancellation may be heard after it."""
    state, _ = live([*LOYAL, event("subscription.cancelled", 350), event("subscription.cancelled", 354)])
    DEFAULT.apply(state, event("order.placed", 352), seconds(352), 0)

    assert evaluate(state, 355) == []


def evaluate(
    state: CustomerState, day: float, *, strong: bool = False, read: float | None = None, by: Scorer = DEFAULT
) -> list[tuple[str, str]]:
    """Evaluate a row at a day from START, every input read up to `read`, and return (rule, step) pairs."""
    until_s = seconds(day if read is None else read)
    return told(by.rules.evaluate(state, seconds(day), absence_until_s=until_s, strong=strong))


def closed(rule: Rule, day: float) -> dict[int, Episode]:
    """Return the episodes of a row in which a rule was closed on a day."""
    return {rule: Episode(1, START, seconds(day), Cause.TREND, 1, 0)}


@pytest.mark.parametrize(
    ("rested", "strong", "opens"),
    [(0, False, False), (13.99, False, False), (13.99, True, True), (14, False, True), (400, False, True)],
)
def test_a_rule_rests_for_14_days(rested: float, *, strong: bool, opens: bool):
    """No rule reopens within 14 days of its last episode, except on a serious signal."""
    state = row([*LOYAL, FAILED])
    state.episodes.update(closed(Rule.EXPERIENCE_DROP, 346 - rested))

    assert evaluate(state, 346, strong=strong) == [("experience_drop", "opened")] * opens
    assert state.episodes[Rule.EXPERIENCE_DROP].number == 1 + opens


@pytest.mark.parametrize(
    ("kind", "data", "strong"),
    [
        ("delivery.failed", {}, True),
        ("complaint.raised", {}, True),
        ("delivery.delivered", {"promised_at": "2026-01-01T00:00:00Z"}, False),
        ("rage.clicked", {}, False),
        ("survey.answered", {"survey": "csat", "score": 5}, False),  # a good one is no reason to alert
    ],
)
def test_a_strong_signal_reopens_at_once(kind: str, data: dict[str, Any], *, strong: bool):
    """Of a worker's events only one with a bad signal of weight 2 or more reopens a resting rule."""
    state, _ = live([*LOYAL, event("complaint.raised", 345.5)])
    state.episodes.update(closed(Rule.EXPERIENCE_DROP, 345.9))
    again = event(kind, 346, **data)

    applied = DEFAULT.apply(state, again, seconds(346), 0)
    assert applied.name == ("STRONG" if strong else "ACCEPTED")
    assert bool(evaluate(state, 346, strong=applied.name == "STRONG")) is strong


@pytest.mark.parametrize(("trend_now", "steps"), [(-13.7, []), (-4.01, []), (-3.99, ["resolved"])])
def test_hysteresis_of_a_drop(trend_now: float, steps: list[str]):
    """A drop that opened at -10 stays open until the trend is above -4."""
    state, opened = live([*LOYAL, FAILED])
    assert told(opened) == [("experience_drop", "opened")]
    trend_s = next(
        at_s
        for at_s in (seconds(346 + hour / 24) for hour in range(24 * 200))
        if DEFAULT.ledger.trend(state, at_s) >= trend_now
    )

    found = DEFAULT.rules.evaluate(state, trend_s, absence_until_s=0.0)
    assert [step.step for step in found if step.rule is Rule.EXPERIENCE_DROP] == steps


def test_a_critical_experience_does_not_recover_by_its_trend():
    """A drop stays open while the score is critical, though the trend has come back."""
    state, _ = live(each_day("complaint.raised", 0, 4))

    assert DEFAULT.ledger.trend(state, seconds(60)) == pytest.approx(0, abs=1e-9)
    assert evaluate(state, 60) == []
    assert state.episodes[Rule.EXPERIENCE_DROP].closed_s is None


def test_a_drop_needs_coverage():
    """A falling trend of which too little is known opens nothing."""
    blind = scorer(bands={"min_coverage": 0.95})

    assert live([*LOYAL, FAILED], blind)[1] == []


@pytest.mark.parametrize(("read", "opens"), [(499.9, False), (500, True)])
def test_silence_needs_every_input_read(read: float, *, opens: bool):
    """Silence opens nothing for a time up to which not every input was read."""
    state = row(orders(1, 1))

    assert bool(evaluate(state, 500, read=read)) is opens


def test_nobody_waits_who_never_engaged():
    """Without an engagement there is no silence."""
    assert evaluate(row([event("page.viewed")]), 2000) == []


def test_a_folded_silence_stays_folded():
    """While churn risk is open, silence opens no alert of its own."""
    state, _ = live(WEEKLY, until=500)

    assert state.episodes[Rule.CHURN_RISK].closed_s is None
    assert evaluate(state, 520) == []
    assert state.episodes[Rule.SILENCE].closed_s is not None


def test_churn_risk_stays_between_its_thresholds():
    """Churn risk that experience opened neither closes nor opens again between .50 and .70."""
    life = [event("order.placed"), *each_day("delivery.failed", 1, 1)]
    state, _ = live(life)
    found = DEFAULT.rules.glance(state, seconds(1))
    logit = DEFAULT.churn.logit(state, seconds(1), found.terms, DEFAULT.policy.alert_horizon)
    assert state.episodes[Rule.CHURN_RISK].cause == Cause.EXPERIENCE
    assert logit is not None
    between = scorer(rules={"churn_open": 0.999, "churn_close": 0.01})

    assert told(live(life, between)[1]) == [("experience_drop", "opened")]
    assert evaluate(state, 2, by=between) == []
    assert state.episodes[Rule.CHURN_RISK].closed_s is None


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


@pytest.mark.parametrize(("closed", "opened"), [(300, 1), (330, 0)])
def test_what_was_told_lately_is_no_fall(closed: float, opened: int):
    """A falling experience is no alert of its own within 30 days of one about a failure of service."""
    state = row([*LOYAL, FAILED])
    state.episodes[Rule.SERVICE_FAILURE] = Episode(1, seconds(290), seconds(closed), "failure", 2, 0)

    found = DEFAULT.rules.evaluate(state, seconds(346), absence_until_s=0.0)
    assert [step.rule for step in found].count(Rule.EXPERIENCE_DROP) == opened


@pytest.mark.parametrize(("at", "opened"), [(434, 0), (437, 1)])
def test_what_was_told_long_ago_hides_no_fall(at: float, opened: int):
    """Friction alone is no experience of its own, and is told 90 days after an alert about something else."""
    state = row([*LOYAL, *(event("error.shown", at, id=f"e{number}") for number in range(20))])
    state.episodes[Rule.SERVICE_FAILURE] = Episode(1, seconds(340), seconds(346), "failure", 2, 0)

    found = DEFAULT.rules.evaluate(state, seconds(at), absence_until_s=0.0)
    assert [step.rule for step in found].count(Rule.EXPERIENCE_DROP) == opened


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


def test_evaluation_is_not_before_the_newest_event():
    """An evaluation for an earlier time is one at the newest event."""
    state = row([*LOYAL, FAILED])
    (step,) = DEFAULT.rules.evaluate(state, 0.0, absence_until_s=0.0)

    assert step.glance.at_s == seconds(346)
    assert state.episodes[Rule.EXPERIENCE_DROP].opened_s == seconds(346)


def test_numbers_count_up():
    """Each episode of a rule has the next number."""
    _, steps = live([*WEEKLY, event("order.placed", 395)], until=445)

    assert [(step.number, step.step) for step in steps if step.rule is Rule.SILENCE][:3] == [
        (1, "opened"),
        (1, "resolved"),
        (2, "opened"),
    ]


def test_the_risk_of_the_angry_grows_in_silence():
    """Who complained and then stays away becomes a churn risk before silence alone would say so."""
    angry = [event("complaint.raised", 45 * n + 1) for n in range(1, 8)]
    edge = scorer(rules={"critical_margin": 0}, bands={"at_risk_below": 36})
    state, _ = live([*orders(20, 18), *angry], edge)
    assert not any(episode.closed_s is None for episode in state.episodes.values())

    days = (seconds(day) for day in range(362, 430))
    steps = [step for at_s in days for step in edge.rules.evaluate_silence(state, at_s, absence_until_s=at_s)]
    assert (steps[0].rule, steps[0].cause) == (Rule.CHURN_RISK, Cause.EXPERIENCE)


def test_the_risk_of_who_said_so_grows_in_silence():
    """Who declared intent to leave and lived through nothing bad is looked at in silence too."""
    lasting = scorer(churn={"cancel_page": 2.4, "intent_half_life_days": 365})
    state, steps = live([*WEEKLY, event("cancel_page.viewed", 357.2)], lasting)
    assert steps == []

    found = lasting.rules.evaluate_silence(state, seconds(382), absence_until_s=seconds(382))
    assert [(step.rule, step.cause) for step in found] == [(Rule.CHURN_RISK, Cause.EXPERIENCE)]


def test_a_risk_that_is_rounded_to_certainty_opens():
    """A policy that alerts at a probability of 1 alerts where the log-odds are too great to tell from it."""
    sure = scorer(rules={"churn_open": 1.0}, churn={"base": [40.0, 40.0, 40.0], "terms_cap": 9.0})
    _, steps = live([*orders(0, 20), event("complaint.raised", 40)], sure)

    assert (Rule.CHURN_RISK, Cause.EXPERIENCE) in [(step.rule, step.cause) for step in steps]


def test_a_good_score_may_become_critical_in_silence():
    """Where the prior itself is critical, also who lived through nothing bad is looked at in silence."""
    picky = scorer(bands={"critical_below": 70.0, "at_risk_below": 75.0, "steady_below": 80.0})
    state = row([event("order.placed", float(day)) for day in range(6)], picky)

    found = picky.rules.evaluate_silence(state, seconds(200), absence_until_s=0.0)
    assert [step.rule for step in found] == [Rule.EXPERIENCE_DROP]


def test_an_advocate_may_be_found_in_silence():
    """Where advocates are told of, nobody is passed over by the cheap look: a rest may be over."""
    glad = scorer(rules={"advocate": True, "advocate_score": 62.0, "advocate_coverage": 0.1})
    state = row([event("order.placed", float(day)) for day in range(12)], glad)

    found = glad.rules.evaluate_silence(state, seconds(12), absence_until_s=0.0)
    assert [step.rule for step in found] == [Rule.ADVOCATE]


def test_what_is_long_forgotten_opens_nothing():
    """A failure of ten years ago asks for no full evaluation and opens nothing."""
    state = row([FAILED])

    assert DEFAULT.ledger.worst_case(state, seconds(4000)) == (pytest.approx(0, abs=1e-6), 0.0)
    assert DEFAULT.rules.evaluate_silence(state, seconds(4000), absence_until_s=seconds(4000)) == []


def test_the_latest_engagement_is_what_closes():
    """An order that comes late, from before the silence began, does not close it."""
    state, steps = live(WEEKLY, until=392)
    assert told(steps) == [("silence", "opened")]
    DEFAULT.apply(state, event("order.placed", 355), seconds(355), 0)

    assert evaluate(state, 392) == []
    assert state.episodes[Rule.SILENCE].closed_s is None


def test_because_is_a_closed_set():
    """A resolution has one of three reasons, and every one of them was seen in the cases above."""
    seen = {step[5] for case in CASES.values() for step in case.steps} - {None}

    assert seen == {because.value for because in Because}


def looked_at(life: Life, *, absence_until: float) -> CustomerState:
    """Return a row whose rules found nothing more to decide as of its newest event."""
    state = row(life)
    while DEFAULT.rules.evaluate(state, state.newest_s, absence_until_s=seconds(absence_until)):
        assert stirs(state, absence_until), "what was decided is followed by another look"
    return state


def stirs(state: CustomerState, absence_until: float) -> bool:
    """Tell whether a row is to be looked at as of its newest event."""
    return DEFAULT.rules.stirs(state, state.newest_s, absence_until_s=seconds(absence_until))


def test_a_row_is_not_looked_at_twice_as_of_one_time():
    """An act that comes late, while an alert is open, calls for no look that would find the same."""
    state = looked_at([*LOYAL, FAILED], absence_until=0)
    assert any_open(state)
    DEFAULT.apply(state, event("page.viewed", 345.5), seconds(345.5), 0)
    assert not stirs(state, 0)

    DEFAULT.apply(state, event("page.viewed", 346.5), seconds(346.5), 0)
    assert stirs(state, 0)


def test_a_late_event_calls_for_a_look():
    """Evidence that comes late is looked at, though the row's time stays."""
    state = looked_at([*LOYAL, FAILED], absence_until=0)
    DEFAULT.apply(state, event("rage.clicked", 345.5), seconds(345.5), 0)

    assert stirs(state, 0)


def test_an_episode_that_somebody_may_have_changed_calls_for_a_look():
    """What was closed by hand no longer keeps the other rules from telling."""
    state = looked_at([*LOYAL, FAILED], absence_until=0)
    state.episodes[Rule.EXPERIENCE_DROP] = Episode(1, seconds(340), None, "trend", 1, 0)

    assert stirs(state, 0)


def test_a_missed_deadline_calls_for_a_look():
    """A promise that is found broken is looked at, though the row's time stays."""
    promised = event("order.placed", 1, order_id="o1", promised_at=at_time(seconds(3)))
    state = looked_at([promised, event("delivery.failed", 10)], absence_until=0)
    assert not stirs(state, 0)

    assert DEFAULT.expire(state, seconds(20), all_until(seconds(20)))
    assert stirs(state, 0)


def test_inputs_that_were_read_on_call_for_a_look():
    """Silence says something as of a time once every input was read up to there."""
    state = looked_at([*orders(1, 1), event("page.viewed", 500)], absence_until=400)
    assert not stirs(state, 400)

    assert stirs(state, 500)
