"""What customers say themselves: who cancels and who complains, told once."""

import pytest

from streams.scoring import lifecycle
from streams.scoring.apply import Applied
from streams.scoring.explain import assess
from streams.scoring.rules import Rule
from tests.alerts import LOYAL, Case, closed, each_day, evaluate, in_full, orders
from tests.customers import DEFAULT, event, live, row, scorer, seconds, then, told

CASES = {
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


def test_a_complaint_that_was_told_is_not_told_by_what_is_grave_later():
    """An alert that was over told the complaint: what brings the experience down again is another matter."""
    visits = each_day("store.visited", 0, 50)
    life = [*visits, event("complaint.raised", 1), event("complaint.raised", 1), event("delivery.failed", 51)]
    _, steps = live(life, scorer(rules={"drop_open": -60}), until=52)

    assert told(steps) == [("experience_drop", "opened"), ("experience_drop", "resolved")]


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
        late = event("subscription.cancelled", 350)

        assert told(then(state, late)) == [("churn_risk", "opened")] * opens


def test_an_order_between_two_cancellations_is_no_return():
    """Of an order that was placed before a second cancellation may be heard after it."""
    state, _ = live([*LOYAL, event("subscription.cancelled", 350), event("subscription.cancelled", 354)])
    DEFAULT.apply(state, event("order.placed", 352), seconds(352), 0)

    assert evaluate(state, 355) == []


def test_a_complaint_that_is_heard_after_a_later_cancellation_is_told():
    """The risk of churn tells the cancellation: a complaint of before is news, however late it comes."""
    state, _ = live([event("store.visited"), event("subscription.cancelled", 2)])

    assert told(then(state, event("complaint.raised", 1.5))) == [("experience_drop", "opened")]


def test_a_cancellation_that_is_heard_late_tells_no_other_rule_again():
    """A fall that was told and mended is not told by who cancelled, though a page was viewed since."""
    calls = [event("call.ended", 350 + n / 10, direction="inbound", issue_id="i") for n in range(2)]
    solved = event("call.ended", 352, direction="inbound", issue_id="i", resolved="yes")
    complained, viewed = event("complaint.raised", 350.3), event("page.viewed", 353.5)
    state, _ = live([*LOYAL, *calls, complained, solved, viewed])

    assert told(then(state, event("subscription.cancelled", 353))) == [("churn_risk", "opened")]


def test_a_cancellation_that_is_heard_after_the_risk_was_closed_is_told():
    """Who closed the risk did not know of it; of an earlier one than the last, nobody is told again."""
    state, _ = live([*LOYAL, event("page.viewed", 349)])
    state.episodes.update(closed(Rule.CHURN_RISK, 348.5))

    assert told(then(state, event("subscription.cancelled", 348))) == [("churn_risk", "opened")]
    lifecycle.close(state.episodes[Rule.CHURN_RISK], seconds(349), "saved")
    assert told(then(state, event("subscription.cancelled", 347))) == []


def test_a_complaint_that_is_only_old_was_not_settled():
    """A policy under which what is wrong stands for three weeks does not settle what nobody did."""
    life = [event("store.visited"), event("complaint.raised", 1, complaint_id="c")]
    _, steps = live(life, scorer(promises={"standing_days": 21}), until=40)

    assert told(steps) == [("experience_drop", "opened")]
