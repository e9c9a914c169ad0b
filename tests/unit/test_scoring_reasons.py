"""Why now, in one sentence."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Touchpoint
from schemas.outputs import REASON_MAX_CHARS
from schemas.times import at_time
from streams.demo.words import plain
from streams.scoring.drivers import Drivers, Parts
from streams.scoring.explain import assess
from streams.scoring.reasons import ago, reason_of, whole, words
from streams.scoring.rules import Because, Cause, Decision, Rule
from tests.customers import DAY, DEFAULT, event, live, row, scorer, seconds
from tests.unit.test_scoring_cases import FAILED, LOYAL, alert, decided

Life = list[Touchpoint]


REASONS: list[tuple[str, Life, float | None, str]] = [
    (
        "trend",
        [*LOYAL, FAILED],
        None,
        (
            "Experience is falling, 14 points below the usual, driven by failed delivery;"
            " last experience: failed delivery, just now."
        ),
    ),
    (
        "critical",
        [event("complaint.raised", 0), event("delivery.failed", 1)],
        None,
        (
            "Experience fell to critical, 24 of 100, driven by failed delivery and complaint;"
            " last experience: failed delivery, just now."
        ),
    ),
    (
        "a driver that takes next to nothing is not named",
        [
            *LOYAL,
            event("order.returned", 346),
            event("order.refunded", 375, requested_at=at_time(seconds(346)), amount=100),
        ],
        None,
        (
            "Experience is falling, 13 points below the usual, driven by refund slow;"
            " last experience: refund slow, just now."
        ),
    ),
    (
        "what stands is of the alert's rule: a broken promise is another's",
        [*LOYAL, event("ticket.reopened", 346, ticket_id="t"), event("delivery.failed", 346.1, order_id="p")],
        None,
        "A ticket was reopened and is still open (just now); last experience: failed delivery, just now.",
    ),
    (
        "silence",
        [LOYAL[0]],
        66,
        (
            "Chance of buying within 90 days has fallen 50% since 1 Jan 2026;"
            " last experience: purchase, 66 d ago."
        ),
    ),
    (
        "lost",
        LOYAL,
        426,
        (
            "Churn risk 71%: chance of buying within 90 days has fallen 75% since 12 Dec 2026;"
            " last experience: purchase, 81 d ago."
        ),
    ),
    (
        "intent",
        [
            *(event("order.placed", 30 * n) for n in range(3)),
            *(event("cancel_page.viewed", 61 + n) for n in (0, 1)),
        ],
        None,
        (
            "Churn risk within 90 days is 84%, driven by declared intent to leave;"
            " last experience: purchase, 2 d ago."
        ),
    ),
    ("engaged", [LOYAL[0], event("order.placed", 200)], None, "Resolved: the customer engaged again."),
    (
        "a complaint without a usual",
        [event("complaint.raised")],
        None,
        "Experience after a complaint is 37 of 100; last experience: complaint, just now.",
    ),
    (
        "cancelled",
        [*LOYAL, event("subscription.cancelled", 346)],
        None,
        "The customer cancelled: churn risk within 90 days is 26%; last experience: purchase, 24 h ago.",
    ),
    ("cancelled, without an engagement", [event("subscription.cancelled")], None, "The customer cancelled."),
]


@pytest.mark.parametrize(
    ("life", "until", "reason"), [case[1:] for case in REASONS], ids=[case[0] for case in REASONS]
)
def test_reasons(life: Life, until: float | None, reason: str):
    """An alert says in one sentence why now."""
    assert alert(life, until)["reason"] == reason


def but(step: Decision, /, **fields: Any) -> Decision:
    """Return a step with some other fields."""
    names = ("rule", "number", "step", "severity", "cause", "because", "glance")
    return Decision(**{name: getattr(step, name) for name in names} | fields)


@pytest.mark.parametrize("because", Because)
def test_resolutions_have_words(because: Because):
    """Each reason to resolve has a sentence of its own."""
    state, step = decided([*LOYAL, FAILED])
    found = assess(DEFAULT, state, step.glance.at_s)

    reason = reason_of(DEFAULT, state, but(step, step="resolved", because=because), found)
    assert re.fullmatch(r"Resolved: .+[^.]\.", reason)


def test_churn_risk_by_experience_names_its_drivers():
    """Churn risk that experience drives names the worst drivers and the probability."""
    state, steps = live([event("order.placed"), event("complaint.raised", 1), event("delivery.failed", 1)])
    step = next(step for step in steps if step.rule is Rule.CHURN_RISK)

    reason = reason_of(DEFAULT, state, step, assess(DEFAULT, state, step.glance.at_s))
    assert re.match(r"Churn risk within 90 days is \d\d%, driven by .*(complaint|failed delivery)", reason)


def test_intent_is_told_before_a_trifle():
    """Where declared intent weighs more than a bad moment, it is named first."""
    life = [*(event("order.placed", 30 * n) for n in range(3)), event("rage.clicked", 61)]
    state, step = decided([*life, *(event("cancel_page.viewed", 61 + n) for n in (0, 1))])

    reason = reason_of(DEFAULT, state, step, assess(DEFAULT, state, step.glance.at_s))
    assert "driven by declared intent to leave and rage click" in reason


def test_two_intents_are_told_as_one():
    """Whoever declared in two ways to leave is told of once, beside what else weighs most."""
    life = [*(event("order.placed", 30 * n) for n in range(3)), event("rage.clicked", 61)]
    left = [
        event("message.unsubscribed", 61),
        event("cancel_page.viewed", 61),
        event("cancel_page.viewed", 62),
    ]
    state, step = decided([*life, *left])

    reason = reason_of(DEFAULT, state, step, assess(DEFAULT, state, step.glance.at_s))
    assert "driven by declared intent to leave and rage click" in reason


def test_a_complaint_is_no_word_of_leaving():
    """Who complained and said nothing else has not declared to leave: the complaint is told once."""
    life = [*(event("order.placed", 30 * n) for n in range(3)), event("rage.clicked", 61)]
    state, step = decided([*life, *(event("complaint.raised", 62 + n) for n in (0, 1))])

    reason = reason_of(DEFAULT, state, step, assess(DEFAULT, state, step.glance.at_s))
    assert "driven by complaint" in reason
    assert "leave" not in reason


def test_a_trend_is_told_as_what_falls():
    """Who reads that a risk is driven by a trend does not know of what."""
    post = event("social.mentioned", 346, post_id="s", sentiment=-0.9, reach=100_000)
    state, step = decided([*LOYAL, post], 392)

    reason = reason_of(DEFAULT, state, step, assess(DEFAULT, state, step.glance.at_s))
    assert "driven by public complaint and falling experience; last" in reason


@pytest.mark.parametrize(
    ("name", "said"),
    [("failed_delivery", "failed delivery"), ("nps", "NPS"), ("csat_price", "CSAT price"), ("ces", "CES")],
)
def test_surveys_are_named_as_people_name_them(name: str, said: str):
    """A name is told as words, and an answer to a survey by the letters that it is known by."""
    assert (words(name), plain(name)) == (said, said)


@pytest.mark.parametrize(("bound", "said"), [(35, 31), (31, 30), (30.8, 30)])
def test_what_is_critical_is_told_below_the_bound(bound: float, said: int):
    """A score of 30.6 that is critical under 31 is not told as 31, which would not be critical."""
    by = scorer(bands={"critical_below": bound})
    state, step = decided([event("delivery.failed")], by=by)

    reason = reason_of(by, state, step, assess(by, state, step.glance.at_s))
    assert reason.startswith(f"Experience fell to critical, {said} of 100")


def test_a_step_after_the_fall_tells_where_the_customer_is_now():
    """A score that has left the critical band is not called critical."""
    state, step = decided([event("delivery.failed", 0), event("delivery.failed", 1)])
    found = assess(DEFAULT, state, step.glance.at_s + 150 * DAY)

    assert found.experience.score > DEFAULT.policy.bands.critical_below
    reason = reason_of(DEFAULT, state, but(step, step="snoozed"), found)
    assert re.match(r"Experience fell to critical and is (3[5-9]|4\d) of 100 now, driven by", reason)


def test_what_failed_is_named_before_that_something_stands():
    """`broken promise` beside `failed delivery` would say the same twice."""
    life = [
        *LOYAL,
        event("delivery.failed", 346, order_id="o1"),
        event("delivery.failed", 347, order_id="o2"),
    ]
    state, step = decided(life)
    step = but(step, rule=Rule.CHURN_RISK, cause=Cause.EXPERIENCE)

    reason = reason_of(DEFAULT, state, step, assess(DEFAULT, state, seconds(347)))
    assert "driven by failed delivery and" in reason


@pytest.mark.sources
def test_a_long_reason_is_cut(monkeypatch: pytest.MonkeyPatch):
    """A reason is never longer than the contract allows, and ends as a sentence."""
    state, step = decided([*LOYAL, FAILED])
    monkeypatch.setattr(Drivers, "name", lambda *_: "x" * 200)

    reason = reason_of(DEFAULT, state, step, assess(DEFAULT, state, step.glance.at_s))
    assert len(reason) == REASON_MAX_CHARS
    assert reason.endswith("x.")


def test_churn_risk_without_a_cause():
    """A policy that asks for no experience in churn risk tells the risk alone."""
    _, step = decided([*LOYAL, FAILED])
    step = but(step, rule=Rule.CHURN_RISK, cause=Cause.EXPERIENCE)
    state = row(LOYAL)
    found = assess(DEFAULT, state, 0)
    state.last = None

    assert re.fullmatch(r"Churn risk within 90 days is \d+%\.", reason_of(DEFAULT, state, step, found))


def test_a_fall_without_a_bad_driver():
    """A falling trend with no driver below zero is told without one, and without a last experience."""
    state, step = decided([*LOYAL, FAILED])
    found = assess(DEFAULT, state, step.glance.at_s)
    found.experience.parts = Parts([])
    state.last = None

    assert reason_of(DEFAULT, state, step, found) == "Experience is falling, 14 points below the usual."


def test_silence_without_an_engagement_is_a_mistake():
    """Nobody can be told of the silence of a customer who never engaged."""
    state, step = decided([*LOYAL, FAILED])
    state.rhythm = None

    with pytest.raises(ValueError, match="silence was opened for a customer without an engagement"):
        reason_of(DEFAULT, state, but(step, rule=Rule.SILENCE, cause=Cause.LOST), assess(DEFAULT, state, 0))


@pytest.mark.parametrize(
    ("age_s", "text"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 min ago"),
        (59 * 60, "59 min ago"),
        (3600, "1 h ago"),
        (47.4 * 3600, "47 h ago"),
        (2 * 86_400, "2 d ago"),
        (400 * 86_400, "400 d ago"),
    ],
)
def test_ages_in_words(age_s: float, text: str):
    """An age is told in minutes, hours or days."""
    assert ago(age_s) == text


@given(st.floats(-1e3, 1e15) | st.integers(0, 1000).map(lambda half: half / 2))
def test_whole_numbers_in_words(number: float):
    """A fraction is rounded away as in any text: half a unit to the even one."""
    assert whole(number) == f"{number:.0f}"


def test_words():
    """A driver is told in words."""
    assert words("failed_delivery") == "failed delivery"
