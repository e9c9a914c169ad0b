"""The rules about what stands: failures of service, broken promises, and who would say good things."""

from dataclasses import dataclass

import pytest

from streams.scoring.rules import SEVERITIES, Because, Cause, Decision, Rule
from tests.customers import event, live, scorer, seconds, then
from tests.register import call, placed, ticket
from tests.standing import CALM, CAME, Life, lived
from tests.unit.test_stories import LOYAL


def short(steps: list[Decision]) -> list[tuple[str, str, str, str]]:
    """Return each step as (rule, step, cause, severity)."""
    return [(s.rule.label, s.step, str(s.cause), SEVERITIES[s.severity]) for s in steps]


@dataclass(frozen=True)
class Story:
    """A life after 24 orders, the day of the last sweep, and its steps."""

    life: Life
    until: float
    steps: list[tuple[str, str, str, str]]


PUBLIC = event("social.mentioned", 346, post_id="s1", sentiment=-1, reach=5000, issue_id="i1")


ANSWER = event("social.mentioned", 346.5, post_id="s1", direction="outbound")


STORIES = {
    "a promise broken, then kept": Story(
        [placed(348, "p", 346), event("delivery.delivered", 349, order_id="p")],
        360,
        [("promise_broken", "opened", "broken", "high"), ("promise_broken", "resolved", "broken", "high")],
    ),
    "a delivery that failed": Story(
        [event("delivery.failed", 346, order_id="p")], 347, [("promise_broken", "opened", "broken", "high")]
    ),
    "an escalated ticket": Story(
        [ticket("escalated", 346), ticket("solved", 347)],
        348,
        [
            ("service_failure", "opened", "failure", "high"),
            ("service_failure", "resolved", "failure", "high"),
        ],
    ),
    "a reopened ticket": Story(
        [ticket("reopened", 346)], 347, [("service_failure", "opened", "reopened", "medium")]
    ),
    "a target missed": Story(
        [ticket("created", 346)], 347.2, [("service_failure", "opened", "target", "medium")]
    ),
    "came again": Story([call(346), call(347)], 348, [("service_failure", "opened", "repeat", "medium")]),
    "came again for a reason": Story(
        [event("call.ended", 346, reason="lost"), event("call.ended", 347, reason="lost")],
        355,
        [
            ("service_failure", "opened", "repeat", "medium"),
            ("service_failure", "resolved", "repeat", "medium"),
        ],
    ),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_steps(story: Story):
    """A life raises the steps of its story and no others of these rules."""
    found = [
        step for step in short(lived([*LOYAL, *story.life], story.until)) if step[0] != "experience_drop"
    ]

    assert found == story.steps


def test_a_graver_failure_escalates():
    """A second, graver failure of service raises the open alert and opens no other."""
    steps = lived([*LOYAL, ticket("reopened", 346), ticket("escalated", 346.1, ticket_id="t2")], 347, CALM)

    assert short(steps) == [
        ("service_failure", "opened", "reopened", "medium"),
        ("service_failure", "escalated", "reopened", "high"),
    ]


def test_a_public_complaint_waits_for_an_answer():
    """A complaint with reach is a failure of service from a day without an answer on, until it is settled."""
    told = short(lived([*LOYAL, PUBLIC, call(348, resolved="yes")], 350, CALM))
    assert told == [
        ("service_failure", "opened", "unanswered", "high"),
        ("service_failure", "resolved", "unanswered", "high"),
    ]
    assert lived([*LOYAL, PUBLIC, ANSWER], 350, CALM) == []
    assert lived([*LOYAL, PUBLIC, event("action.taken", 346.5, issue_id="i1")], 350, CALM) == []


def test_a_graver_rule_folds_the_lesser():
    """What is told by a broken promise is told by the experience that falls to critical, once."""
    life = [
        *LOYAL,
        event("delivery.failed", 346, order_id="p"),
        event("delivery.failed", 347, order_id="q"),
        event("delivery.failed", 348, order_id="r"),
    ]
    steps = lived(life, 349)

    assert [(step.rule, step.step) for step in steps[:3]] == [
        (Rule.PROMISE_BROKEN, "opened"),
        (Rule.EXPERIENCE_DROP, "opened"),
        (Rule.PROMISE_BROKEN, "resolved"),
    ]
    assert (steps[1].cause, steps[2].because) == (Cause.CRITICAL, Because.FOLDED)


def test_mending_alarms_nobody():
    """What a broken promise told is not told again as a falling experience when the promise is mended."""
    life = [
        *LOYAL,
        event("delivery.failed", 346, order_id="p"),
        event("delivery.delivered", 348, order_id="p"),
        *(event("order.placed", 360 + 15 * n) for n in range(4)),
    ]

    assert short(lived(life, 406)) == [
        ("promise_broken", "opened", "broken", "high"),
        ("promise_broken", "resolved", "broken", "high"),
    ]


def drops(life: Life, until: float) -> list[float]:
    """Return the days on which a fall of the experience of a loyal customer is told."""
    steps = lived([*LOYAL, *life], until, every=0.5)
    found = [step for step in steps if step.rule is Rule.EXPERIENCE_DROP and step.step == "opened"]
    return [(step.glance.at_s - seconds(0)) / 86_400 for step in found]


@pytest.mark.parametrize("mended", [[event("delivery.delivered", 348, order_id="p")], []])
def test_silence_after_what_was_told_is_no_fall(mended: Life):
    """Who falls silent after a failure that was told lives nothing worse: no fall is told later."""
    assert drops([event("delivery.failed", 346, order_id="p"), *mended], 450) == []


def test_a_fall_after_what_was_told_is_told():
    """What goes wrong later, once the alert about what was mended is 30 days old, is a fall of its own."""
    failed = [event("delivery.failed", 346, order_id="p"), event("delivery.delivered", 348, order_id="p")]

    assert drops([*failed, event("checkout.failed", 377)], 420) == [378.0]
    assert drops([*failed, event("checkout.failed", 385)], 420) == [385.0]


def test_two_bad_calls_are_one_alert_that_escalates():
    """Two bad calls about one issue in a day leave the loyal at risk, with one alert that escalates."""
    calls = [call(346, resolved="no"), call(346.5, resolved="no")]
    steps = lived([*LOYAL, *calls], 347)

    assert [(step.rule, step.step, SEVERITIES[step.severity]) for step in steps] == [
        (Rule.EXPERIENCE_DROP, "opened", "medium"),
        (Rule.EXPERIENCE_DROP, "escalated", "high"),
    ]


def test_the_edge_of_critical_is_one_alert():
    """Who complains monthly and lives at the edge of critical is one alert, not one a month."""
    weekly = [event("order.placed", 7 * n) for n in range(52)]
    life = [*weekly, *(event("complaint.raised", 30 * n) for n in range(1, 12))]
    flicker = scorer(rules={"critical_margin": 0, "drop_close": -9.0}, bands={"at_risk_below": 36})

    drops = [step for step in lived(life, 360, every=1.0) if step.step == "opened"]
    assert len(drops) == 1
    assert len([step for step in lived(life, 360, flicker, every=1.0) if step.step == "opened"]) > 1


VALUES: list[tuple[int, str]] = [(0, "medium"), (100, "low"), (5_000, "medium"), (90_000, "high")]


@pytest.mark.parametrize(("total", "severity"), VALUES)
def test_severity_by_value(total: int, severity: str):
    """The same drop is graver for who is worth much, and less grave for who is worth little."""
    life = [event("order.placed", 15 * n, total=total) for n in range(24)]
    steps = lived([*life, event("delivery.failed", 346)], 346.1)

    assert [SEVERITIES[step.severity] for step in steps] == [severity]


def test_an_advocate_is_told_where_it_is_asked_for():
    """Who is delighted is an alert where the policy asks for it, until they are no longer."""
    kind = scorer(rules={"advocate": True, "advocate_score": 76, "drop_open": -60})
    life = [*LOYAL, *(event("delivery.failed", 350 + n) for n in range(2))]
    assert [step for step in lived(life, 360) if step.rule is Rule.ADVOCATE] == []

    steps = [step for step in lived(life, 352, kind) if step.rule is Rule.ADVOCATE]
    assert short(steps) == [
        ("advocate", "opened", "delight", "low"),
        ("advocate", "resolved", "delight", "low"),
    ]


def test_a_missed_deadline_opens_a_rule_that_rests():
    """Nobody need send anything: a second broken promise is told within the 14 days after the first."""
    life = [placed(347, "p", 346), CAME, placed(350, "q", 346.5)]
    steps = [step for step in lived([*LOYAL, *life], 351, CALM) if step.rule is Rule.PROMISE_BROKEN]

    assert [(step.step, step.number) for step in steps] == [("opened", 1), ("resolved", 1), ("opened", 2)]


REST: dict[str, tuple[Life, list[float]]] = {
    "reopened": ([ticket("reopened", 349)], [346, 349]),
    "reopened, solved, and reopened": (
        [ticket("reopened", 348), ticket("solved", 348.5), ticket("reopened", 349)],
        [346, 348, 349],
    ),
    "another matter": ([call(349, issue_id="i2"), call(349.5, issue_id="i2")], [346]),
}


@pytest.mark.parametrize(("life", "opened"), REST.values(), ids=list(REST))
def test_a_reopened_ticket_ends_the_rest(life: Life, opened: list[float]):
    """What was told to be solved and is not is news; what comes up otherwise waits for the 14 days to end."""
    before = [*LOYAL, ticket("escalated", 346), ticket("solved", 347)]
    steps = [step for step in lived([*before, *life], 350, CALM) if step.step == "opened"]

    assert [round((step.glance.at_s - seconds(0)) / 86_400, 2) for step in steps] == opened


def test_a_ticket_that_was_reopened_before_the_newest_event_ends_the_rest():
    """Of a ticket that was solved and reopened is heard late: what was told to be solved is news even so."""
    state, _ = live([*LOYAL, ticket("escalated", 346), event("page.viewed", 349)], CALM)
    steps: list[Decision] = []
    for late in (ticket("solved", 347), ticket("reopened", 348)):
        steps += then(state, late, CALM, topic=2)

    assert [(step.rule.label, step.step) for step in steps] == [
        ("service_failure", "resolved"),
        ("service_failure", "opened"),
    ]
