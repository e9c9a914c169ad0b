"""Alert episodes: what opens them, what closes them, and when they rest."""

from typing import Any

import pytest

from streams.scoring.rules import Band, Because, Cause, Rule
from streams.scoring.state import Episode
from tests.alerts import FAILED, LOYAL, WEEKLY, Case, closed, each_day, evaluate, in_full, orders
from tests.customers import DEFAULT, event, live, row, scorer, seconds, told

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
    "one rage click": Case([event("rage.clicked")], 100, []),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_steps(case: Case):
    """A life raises exactly the steps of its case."""
    assert [in_full(step) for step in live(case.life, until=case.until, every=0.5)[1]] == case.steps


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
