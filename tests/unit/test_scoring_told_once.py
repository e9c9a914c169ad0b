"""What people were told, and closed, is not told again until something is new."""

from streams.scoring import lifecycle
from streams.scoring.cases import alert_document
from streams.scoring.rules import Decision, Rule
from streams.scoring.state import CustomerState
from tests.customers import DEFAULT, event, live, seconds, then, told
from tests.unit.test_stories import LOYAL


def silent(state: CustomerState, first: float, last: float) -> list[tuple[str, str]]:
    """Look at a row on each of the days, and return the steps."""
    steps: list[Decision] = []
    for day in range(int(first), int(last) + 1):
        steps += DEFAULT.rules.evaluate_silence(state, seconds(day), absence_until_s=seconds(day))
    return told(steps)


def test_a_silence_that_somebody_closed_is_not_told_again():
    """Who is called and stays silent is one alert, however long it goes on; the next silence is another."""
    state, steps = live([event("order.placed")], until=100)
    assert told(steps) == [("silence", "opened")]
    lifecycle.close(state.episodes[Rule.SILENCE], seconds(100), "false_alarm")

    assert silent(state, 101, 300) == []
    assert then(state, event("page.viewed", 301)) == []
    assert then(state, event("order.placed", 302)) == []
    assert silent(state, 303, 700)[0] == ("churn_risk", "opened")


def test_a_risk_by_silence_that_somebody_closed_is_not_told_again():
    """What the risk told does not come back as a silence the day after, nor as a risk two weeks later."""
    state, _ = live(LOYAL, until=430)
    assert lifecycle.close(state.episodes[Rule.CHURN_RISK], seconds(430), "churned") == "closed"

    assert silent(state, 431, 700) == []


def test_a_risk_by_silence_is_told_of_whom_a_silence_was_told():
    """What is graver is told of the same silence: the risk after the silence that somebody closed."""
    state, steps = live(LOYAL, until=410)
    assert told(steps) == [("silence", "opened")]
    lifecycle.close(state.episodes[Rule.SILENCE], seconds(410))

    assert silent(state, 411, 430) == [("churn_risk", "opened")]


def test_who_was_saved_did_not_cancel_again_by_what_goes_wrong():
    """A risk that somebody closed since is not told by a failure, but by who cancels again."""
    state, _ = live([*LOYAL, event("subscription.cancelled", 346)])
    lifecycle.close(state.episodes[Rule.CHURN_RISK], seconds(347), "saved")

    assert told(then(state, event("delivery.failed", 350))) == [("experience_drop", "opened")]
    assert ("churn_risk", "opened") in told(then(state, event("subscription.cancelled", 351)))


def test_who_fell_silent_and_cancels_is_said_to_have_cancelled():
    """A risk that was open says what is new, though something else opened it; of who is back it does not."""
    state, _ = live(LOYAL, until=430)
    [step] = then(state, event("subscription.cancelled", 431))
    document = alert_document(DEFAULT, "anna", state, step, generation="g", announced=False)

    assert (document["rule"], document["step"]) == ("churn_risk", "escalated")
    assert document["reason"].startswith("The customer cancelled: churn risk within 90 days is 97%")


def test_what_a_graver_alert_told_is_not_told_once_somebody_closed_that():
    """Who closes a critical experience has the broken promise in hand that it told, for two weeks."""
    failed = event("delivery.failed", 1, order_id="p")
    life = [event("store.visited"), failed, event("call.ended", 1.2, direction="inbound", resolved="no")]
    state, steps = live(life, until=3)
    assert told(steps) == [("experience_drop", "opened")]
    lifecycle.close(state.episodes[Rule.EXPERIENCE_DROP], seconds(3), "retained")
    assert state.episodes[Rule.EXPERIENCE_DROP].acknowledged_s == seconds(3)

    assert silent(state, 4, 16) == []
    assert silent(state, 17, 17) == [("experience_drop", "opened")]


def test_what_broke_after_a_graver_alert_was_closed_is_told():
    """A contact about the same matter a day later was in nobody's hands, though it is no serious signal."""
    contact = [event("call.ended", day, direction="inbound", issue_id="i") for day in (3.5, 4)]
    life = [
        event("store.visited"),
        event("delivery.failed", 1),
        event("complaint.raised", 1.2, complaint_id="c"),
    ]
    state, _ = live(life, until=3)
    lifecycle.close(state.episodes[Rule.EXPERIENCE_DROP], seconds(3), "retained")

    assert told([step for each in contact for step in then(state, each)]) == [("service_failure", "opened")]


def test_who_is_heard_late_to_have_cancelled_is_said_to_have():
    """Also where silence opened the risk after they had cancelled, and before that was heard."""
    state, _ = live(LOYAL, until=430)
    assert state.episodes[Rule.CHURN_RISK].opened_s > seconds(412)
    [step] = then(state, event("subscription.cancelled", 412))
    document = alert_document(DEFAULT, "anna", state, step, generation="g", announced=False)

    assert document["reason"].startswith("The customer cancelled: churn risk")
