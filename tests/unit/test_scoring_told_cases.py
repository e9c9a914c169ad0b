"""What an alert says of what stands: its reason, its case, and what to do."""

from typing import Any

import pytest

from schemas.envelope import time_s
from streams.scoring.apply import Scorer
from streams.scoring.cases import alert_document
from streams.scoring.facts import all_until
from streams.scoring.rules import Cause, Rule
from tests.customers import DEFAULT, event, scorer, seconds
from tests.register import call, day, placed, ticket
from tests.standing import CALM, CAME, FAILED, Life, lived
from tests.unit.test_stories import LOYAL


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


WAITED = event("queue.waited", 346.5, order_id="q", wait_s=3000)
CAME_IN_TIME = event("delivery.delivered", 346.6, order_id="q")
AT_THE_DOOR = event("delivery.failed", 346.2, order_id="q")
STATUS: dict[str, tuple[Life, str]] = {
    "a queue, and in time": ([WAITED, CAME_IN_TIME], "kept"),
    "a queue, and late": ([WAITED, event("delivery.delivered", 348, order_id="q")], "late"),
    "a queue, and not due yet": ([WAITED], "pending"),
    "a queue, and called off": ([WAITED, event("order.cancelled", 346.6, order_id="q")], "withdrawn"),
    "called off too late": ([event("order.cancelled", 348, order_id="q")], "broken"),
    "failed at the door, and in time": ([AT_THE_DOOR, CAME_IN_TIME], "kept"),
    "failed at the door": ([AT_THE_DOOR], "broken"),
    "failed at the door, and called off": (
        [AT_THE_DOOR, event("order.refunded", 346.6, order_id="q")],
        "broken",
    ),
}


@pytest.mark.parametrize(("life", "status"), STATUS.values(), ids=list(STATUS))
def test_a_promise_says_how_it_was_kept(life: Life, status: str):
    """A promise is late or broken by its deadline or at the door, whatever else was lived through."""
    failed = event("delivery.failed", 349, order_id="p")
    due = 352 if status == "pending" else 347
    found = alert([*LOYAL, placed(due, "q", 346), *life, failed], 350, Rule.PROMISE_BROKEN)

    assert [each["status"] for each in found["promises"]] == [status]


REMIND = "Remind once, with something that fits what was bought"


SAY_WHEN = "Say what happened and when it comes, with a date you can keep"


LISTEN = "Call, listen, and solve the cause before anything else"


CALL_BACK = "Read what was said before, then call back"


COMPLAINED = event("complaint.raised", 346, complaint_id="k", issue_id="i1")


ANSWER = "Answer where it was said, within the day, and go on in private"


POSTED = event("social.mentioned", 346, post_id="s", issue_id="i1", sentiment=-0.9, reach=100_000)


STAY_WITH_IT = "Give the matter to one person who stays with it until it is solved"


UNRESOLVED = call(346, resolved="no")


AGAIN = call(346.5, id="again", resolved="no")


ANSWERED = event("social.mentioned", 346.5, direction="outbound", post_id="s")


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
    "a post that nobody answered": ([POSTED], ANSWER),
    "a post that was answered": ([POSTED, ANSWERED], REMIND),
    "a post whose issue was answered": ([POSTED, ticket("replied", 346.5, issue_id="i1")], REMIND),
    "a post that was answered too late": (
        [POSTED, event("social.mentioned", 350, direction="outbound", post_id="s")],
        REMIND,
    ),
    "one of two posts was answered": (
        [POSTED, event("social.mentioned", 346.2, post_id="t", sentiment=-0.9), ANSWERED],
        ANSWER,
    ),
    "a post that was answered, another had no id": (
        [POSTED, event("social.mentioned", 346.2, sentiment=-0.9), ANSWERED],
        ANSWER,
    ),
    "a call that solved nothing": ([UNRESOLVED], STAY_WITH_IT),
    "a call that solved nothing, and its ticket was solved": ([UNRESOLVED, ticket("solved", 347)], REMIND),
    "a call that solved nothing, and its ticket was solved without a word of the issue": (
        [UNRESOLVED, ticket("created", 346.1), event("ticket.solved", 347, ticket_id="t1")],
        REMIND,
    ),
    "two calls, and then it was solved": ([UNRESOLVED, AGAIN, ticket("solved", 347)], REMIND),
    "a call that solved nothing, after what was solved": (
        [UNRESOLVED, ticket("solved", 346.2), AGAIN],
        STAY_WITH_IT,
    ),
    "two calls, and one of their matters was solved": (
        [UNRESOLVED, call(348, issue_id="i2", resolved="no"), ticket("solved", 349)],
        STAY_WITH_IT,
    ),
    "a call about nothing that was named, and another": (
        [UNRESOLVED, event("call.ended", 340, resolved="no"), ticket("solved", 349)],
        STAY_WITH_IT,
    ),
    "a call that solved nothing long after another about it": (
        [event("call.ended", 250, issue_id="i1"), UNRESOLVED, ticket("solved", 347)],
        REMIND,
    ),
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
