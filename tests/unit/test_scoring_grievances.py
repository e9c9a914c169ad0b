"""The rules about what stands: failures of service, broken promises, and who would say good things."""

from dataclasses import dataclass
from typing import Any

import pytest

from schemas.envelope import Touchpoint, time_s
from streams.scoring.apply import Applied, Scorer
from streams.scoring.cases import alert_document
from streams.scoring.facts import all_until
from streams.scoring.rules import SEVERITIES, Because, Cause, Decision, Rule
from tests.customers import DEFAULT, event, live, scorer, seconds
from tests.register import HOUR, call, day, placed, ticket
from tests.unit.test_stories import LOYAL

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


def short(steps: list[Decision]) -> list[tuple[str, str, str, str]]:
    """Return each step as (rule, step, cause, severity)."""
    return [(s.rule.label, s.step, str(s.cause), SEVERITIES[s.severity]) for s in steps]


@dataclass(frozen=True)
class Story:
    """A life after 24 orders, the day of the last sweep, and its steps."""

    life: Life
    until: float
    steps: list[tuple[str, str, str, str]]


FAILED = event("delivery.failed", 346, order_id="p")
CAME = event("delivery.delivered", 348, order_id="p")
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


CALM = scorer(bands={"critical_below": 1, "at_risk_below": 2}, rules={"drop_open": -60, "churn_open": 1})
"""A policy under which no experience falls."""


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


def alert(life: Life, until: float, rule: Rule, by: Scorer = DEFAULT) -> dict[str, Any]:
    """Return the document of the rule's last step in a life."""
    life = sorted(life, key=time_s)
    state = by.new(time_s(life[0]))
    found: dict[str, Any] = {}
    for each in [*life, None]:
        at_s = seconds(until) if each is None else time_s(each)
        steps = by.sweep(state, at_s, absence_until_s=at_s, fulfilled_until_s=all_until(at_s))
        if each is not None:
            by.apply(state, each, at_s, 0)
            steps += by.rules.evaluate(state, at_s, absence_until_s=at_s)
        for step in steps:
            if step.rule is rule:
                found = alert_document(by, "anna", state, step, generation="g", announced=True)
    return found


REASONS = {
    "A promise was broken and not kept since (2 d ago)": (
        [placed(348, "p", 346)],
        350.5,
        Rule.PROMISE_BROKEN,
    ),
    "A delivery failed and was not made good (just now)": (
        [event("delivery.failed", 346, order_id="p")],
        346.1,
        Rule.PROMISE_BROKEN,
    ),
    "A matter that had to be escalated is not solved (just now)": (
        [ticket("escalated", 346)],
        346.1,
        Rule.SERVICE_FAILURE,
    ),
    "The customer had to come again about the same matter (just now)": (
        [call(346), call(346.5)],
        347,
        Rule.SERVICE_FAILURE,
    ),
    "Resolved: the reason no longer holds": (
        [ticket("escalated", 346), ticket("solved", 347)],
        347,
        Rule.SERVICE_FAILURE,
    ),
}


@pytest.mark.parametrize(("reason", "case"), REASONS.items(), ids=list(REASONS))
def test_reasons(reason: str, case: tuple[Life, float, Rule]):
    """An alert about what stands says what it is and since when."""
    life, until, rule = case

    assert alert([*LOYAL, *life], until, rule)["reason"].startswith(reason)


ENDS: dict[str, tuple[Life, str]] = {
    "never mended": ([], "Resolved: nobody mended it, and it is too old to stand."),
    "mended": ([event("delivery.delivered", 350, order_id="p")], "Resolved: the reason no longer holds."),
    "one too old, the other mended later": (
        [
            event("delivery.failed", 350, order_id="q"),
            event("delivery.delivered", 408, order_id="q"),
        ],
        "Resolved: the reason no longer holds.",
    ),
    "one mended, the other too old later": (
        [
            event("delivery.failed", 340, order_id="q"),
            event("delivery.delivered", 350, order_id="q"),
        ],
        "Resolved: nobody mended it, and it is too old to stand.",
    ),
    "one too old, the other mended at that moment": (
        [
            event("delivery.failed", 350, order_id="q"),
            event("delivery.delivered", 406, order_id="q"),
        ],
        "Resolved: the reason no longer holds.",
    ),
    "one mended, the other too old at that moment": (
        [
            placed(349, "q", 340),
            event("delivery.failed", 350, order_id="q"),
            event("delivery.delivered", 406, order_id="q"),
        ],
        "Resolved: the reason no longer holds.",
    ),
    "too old long ago, and another mended": (
        [
            event("delivery.failed", 265, order_id="q"),
            CAME,
        ],
        "Resolved: the reason no longer holds.",
    ),
}


@pytest.mark.parametrize(("life", "reason"), ENDS.values(), ids=list(ENDS))
def test_what_nobody_mended_is_not_said_to_be_mended(life: Life, reason: str):
    """An alert about a failure that became too old to stand says that nobody mended it."""
    found = alert([*LOYAL, FAILED, *life], 411, Rule.PROMISE_BROKEN, CALM)

    assert (found["resolved_because"], found["reason"]) == ("recovered", reason)


def test_a_standing_time_of_no_whole_seconds_is_outlived():
    """What stands for a share of a day is too old after its whole seconds: nobody mended it."""
    brief = scorer(promises={"standing_days": 0.7}, rules={"drop_open": -60, "churn_open": 1})
    found = alert([*LOYAL, FAILED], 347, Rule.PROMISE_BROKEN, brief)

    assert found["reason"] == "Resolved: nobody mended it, and it is too old to stand."


def test_a_repeated_contact_is_the_last_that_stood():
    """A rule that ends a week after a repeated contact does not tell of what was too old before."""
    calls = [event("call.ended", at, reason="lost") for at in (403, 404)]
    found = alert([*LOYAL, ticket("escalated", 346), *calls], 411, Rule.SERVICE_FAILURE, CALM)

    assert found["reason"] == "Resolved: the reason no longer holds."


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
        strong = CALM.apply(state, late, time_s(late), 2) is Applied.STRONG
        steps += CALM.rules.evaluate(state, seconds(349), absence_until_s=0.0, strong=strong)

    assert [(step.rule.label, step.step) for step in steps] == [
        ("service_failure", "resolved"),
        ("service_failure", "opened"),
    ]


def test_a_reason_outlives_its_case():
    """A step that is told when nothing stands any more names what opened it."""
    steps = lived([*LOYAL, ticket("escalated", 346)], 346.1)
    step = next(step for step in steps if step.rule is Rule.SERVICE_FAILURE)
    state = DEFAULT.new(seconds(0))

    found = alert_document(DEFAULT, "anna", state, step, generation="g", announced=True)
    assert found["reason"] == "A matter that had to be escalated is not solved."


def test_the_case_of_a_broken_promise():
    """An alert carries what stands, what was promised, what is at stake and what to do."""
    life = [
        *(event("order.placed", 15 * n, total=5_000) for n in range(24)),
        event("customer.updated", 1, contact_by=["email", "phone", "sms"]),
        event("message.unsubscribed", 2),
        event("survey.sent", 320),
        event("survey.sent", 340),
        placed(348, "p", 346),
        placed(400, "later", 346.5),
        event("promise.made", 346, promise_id="x", due_at=day(346.5)),
        event("promise.kept", 346.2, promise_id="x"),
        event("promise.made", 346, id="y", promise_id="y", due_at=day(346.4)),
        event("promise.withdrawn", 346.1, promise_id="y"),
    ]
    found = alert(life, 350.5, Rule.PROMISE_BROKEN)

    (issue,) = found["open_issues"]
    assert issue == {
        "kind": "order",
        "driver": "promise_broken",
        "since": "2026-12-15T00:00:00.000000Z"[:19] + "Z",
        "age_s": 2.5 * 86_400,
        "weight": 3.0,
    }
    assert sorted((each["kind"], each["status"]) for each in found["promises"]) == [
        ("order", "broken"),
        ("order", "pending"),
        ("promise", "kept"),
        ("promise", "withdrawn"),
    ]
    assert found["messages_30d"] == 1
    assert found["allowed_contact"] == ["phone"]
    assert found["do_not"] == ["Do not promise anything that somebody else has to keep"]
    assert found["act_by"] == "2026-12-19T12:00:00Z"
    value = found["value_at_risk"]
    assert value["currency"] == "EUR"
    share, yearly = (float(part.split()[0]) for part in value["formula"].split(" x ")[:2])
    assert value["formula"].endswith(" EUR a year x 1 year")
    assert value["amount"] == pytest.approx(share * yearly * 100, rel=0.05)
    assert 1_100 < yearly < 1_400
    chances = [each["probability"] for each in found["churn_by_horizon"]]
    assert [each["horizon_days"] for each in found["churn_by_horizon"]] == [30, 60, 90]
    assert chances == sorted(chances, reverse=True)


def test_a_case_of_which_little_is_known():
    """Without an amount there is no value at risk, and nobody said how they may be contacted."""
    found = alert([*LOYAL, event("delivery.failed", 346, order_id="p")], 346, Rule.PROMISE_BROKEN)

    assert (found["value_at_risk"], found["allowed_contact"], found["promises"]) == (None, None, [])
    assert found["evidence"] == [
        {"source": "/test", "id": "delivery.failed@346"},
        {"source": "/test", "id": "order.placed@345.0"},
    ]


def test_earlier_alerts_are_told():
    """An alert names the newest episode of each other rule."""
    life = [
        *LOYAL,
        ticket("escalated", 346),
        ticket("solved", 347),
        event("delivery.failed", 350, order_id="p"),
    ]
    (earlier,) = alert(life, 351, Rule.PROMISE_BROKEN, CALM)["earlier_alerts"]

    assert (earlier["rule"], earlier["episode"], earlier["outcome"]) == ("service_failure", 1, None)
    assert earlier["opened_at"] < earlier["closed_at"]


def test_a_late_delivery_is_a_promise_kept_late():
    """A promise that was kept late says so."""
    life = [*LOYAL, placed(347, "q", 346), event("delivery.delivered", 348, order_id="q")]
    found = alert([*life, event("delivery.failed", 349, order_id="p")], 350, Rule.PROMISE_BROKEN)

    assert [each["status"] for each in found["promises"]] == ["late"]


REMIND = "Remind once, with something that fits what was bought"
SAY_WHEN = "Say what happened and when it comes, with a date you can keep"
LISTEN = "Call, listen, and solve the cause before anything else"
CALL_BACK = "Read what was said before, then call back"
COMPLAINED = event("complaint.raised", 346, complaint_id="k", issue_id="i1")
ADVICE: dict[str, tuple[Life, str]] = {
    "came late": ([placed(347, "p", 346), CAME], REMIND),
    "came after all": ([FAILED, CAME], REMIND),
    "never came": ([FAILED], SAY_WHEN),
    "one of two came": ([FAILED, CAME, event("delivery.failed", 349, order_id="q")], SAY_WHEN),
    "failed, of no order": ([event("delivery.failed", 346)], SAY_WHEN),
    "one came, the other was of no order": ([FAILED, CAME, event("delivery.failed", 348)], SAY_WHEN),
    "one came, of the other no order was known long ago": (
        [event("delivery.failed", -200), FAILED, CAME],
        REMIND,
    ),
    "a complaint": ([COMPLAINED], LISTEN),
    "a complaint that was solved": ([COMPLAINED, ticket("solved", 347)], REMIND),
    "came again": ([call(346), call(347)], CALL_BACK),
    "came again, which settled it": ([call(346), call(347, resolved="yes")], REMIND),
    "came again for a reason": ([event("call.ended", 346 + n, reason="lost") for n in (0, 1)], CALL_BACK),
}


@pytest.mark.parametrize(("life", "advised"), ADVICE.values(), ids=list(ADVICE))
def test_what_was_made_good_needs_no_mending(life: Life, advised: str):
    """Who falls silent is told of what nobody made good, however long ago; of nothing that was made good."""
    assert alert([*LOYAL, *life], 415, Rule.SILENCE, CALM)["do"][0] == advised


def test_without_a_playbook_nothing_is_advised():
    """A rule and drivers without a play give no advice; an advocate's worst driver gives none either."""
    life = [*LOYAL, event("delivery.failed", 346, order_id="p")]
    found = alert(life, 346, Rule.PROMISE_BROKEN)
    assert found["do"] != []

    empty = scorer()
    empty.policy.playbook.clear()
    assert alert(life, 346, Rule.PROMISE_BROKEN, empty)["do"] == []
    kind = scorer(rules={"advocate": True, "advocate_score": 76})
    found = alert(LOYAL, 345, Rule.ADVOCATE, kind)
    assert (found["do_not"], found["reason"][:9]) == (["Do not pay for praise"], "Delighted")


@pytest.mark.parametrize("first", [346, 347])
def test_of_equal_grievances_the_oldest_leads(first: int):
    """Whichever parcel was heard of first, the one that failed first is told of."""
    parcels = {346: "a", 347: "b"}
    order = sorted(parcels, key=lambda at: at != first)
    state = DEFAULT.new(seconds(346))
    for at in order:
        failed = event("delivery.failed", at, order_id=parcels[at])
        DEFAULT.apply(state, failed, time_s(failed), 0)

    leading = DEFAULT.rules.grievances.leading(Rule.PROMISE_BROKEN, state, seconds(348))

    assert leading is not None
    assert (leading[0], leading[1].since_s) == (Cause.BROKEN, seconds(346))
