"""What people do about alerts, and what comes of it."""

from typing import Any

import msgspec
import orjson
import pytest

from schemas.outputs import ChurnAlert
from schemas.times import at_time
from streams.engine.handler import Counts
from streams.observe.tally import Processed
from streams.scoring.cases import alert_id
from streams.scoring.rows import unpack
from streams.scoring.rules import Rule
from streams.scoring.state import Episode
from streams.topics import ACTIONS, ALERTS
from tests.customers import line, plain, seconds
from tests.handling import ANNA, Rig, documents, shopper, silent, written

CHURN = alert_id("generation", "anna", Rule.CHURN_RISK, 1)


def at_risk(told: bool = False) -> Rig:  # noqa: FBT001, FBT002
    """Return a customer with an open alert, of which people may have been told."""
    rig = Rig(now_day=300)
    rig.apply(*silent())
    if told:
        rig.sweep(300.05)
    rig.now_s = seconds(300.1)
    return rig


def act(rig: Rig, kind: str, day: float = 300.1, **data: Any) -> Processed:
    """Let somebody do something about the alert."""
    rig.now_s = max(rig.now_s, seconds(day))
    return rig.apply(line(kind, day, **{"alert_id": CHURN, **data}), topic=ACTIONS.name)


def churn(rig: Rig) -> Episode:
    """Return the episode of the alert."""
    return unpack(rig.rows[ANNA]).episodes[Rule.CHURN_RISK]


def actions(rig: Rig) -> dict[tuple[str, str], int]:
    """Return the actions counted so far."""
    return dict(rig.processor.tally.outcomes.actions)


def test_who_takes_an_alert_on_is_in_its_next_step():
    """The step names the person and the remark, and is a whole case; nobody need be told any more."""
    rig = at_risk()
    done = act(rig, "alert.acknowledged", by="m.koch", note="I call her")
    (each,) = written(done, ALERTS.name)
    found = msgspec.json.decode(each.value or b"", type=ChurnAlert, strict=True)
    assert (each.key, found.step, found.by, found.note) == (
        CHURN.encode(),
        "acknowledged",
        "m.koch",
        "I call her",
    )
    assert (found.announced, found.acknowledged_at) == (False, at_time(seconds(300.1)))
    assert rig.processor.office.desk(0).waiting == {}
    assert not documents(rig.sweep(300.2), ALERTS.name)
    assert done.counts == Counts(accepted=1)
    assert not rig.processor.tally.outcomes.results


def test_a_repeated_action_changes_nothing():
    """It is counted as unchanged and makes no step."""
    rig = at_risk()
    act(rig, "alert.acknowledged")
    assert not documents(act(rig, "alert.acknowledged", 300.2, id="again"), ALERTS.name)
    assert actions(rig) == {("acknowledged", "applied"): 1, ("acknowledged", "unchanged"): 1}


def test_a_snoozed_alert_comes_back():
    """Until then nobody hears of it; then it is told again if it still holds."""
    rig = at_risk(told=True)
    (found,) = documents(act(rig, "alert.snoozed", until=at_time(seconds(303))), ALERTS.name)
    assert (found["step"], found["snoozed_until"]) == ("snoozed", at_time(seconds(303)))
    rig.tokens.pop("announcements")
    for day, told in ((302.9, False), (303.1, True), (304.5, False)):
        rig.now_s = seconds(day)
        steps = [each["step"] for each in documents(rig.sweep(day), ALERTS.name)]
        assert steps == (["announced"] if told else [])


def test_a_snooze_without_an_end_lasts_as_the_policy_says():
    """Seven days by default."""
    rig = at_risk()
    act(rig, "alert.snoozed")
    assert churn(rig).snoozed_until_s == pytest.approx(seconds(307.1))
    rig.apply(line("order.placed", 301.0))
    assert rig.processor.tally.outcomes.suppressed == {("churn_risk", "snoozed"): 1}


def test_an_alert_closed_by_hand_is_over():
    """It has an outcome, does not reopen while it rests, and is no longer told."""
    rig = at_risk()
    (found,) = documents(act(rig, "alert.closed", outcome="false_alarm", by="m.koch"), ALERTS.name)
    assert (found["step"], found["outcome"], found["by"]) == ("closed", "false_alarm", "m.koch")
    assert churn(rig).closed_s is not None
    assert rig.processor.tally.outcomes.results == {("churn_risk", "false_alarm"): 1}
    rig.now_s = seconds(301)
    assert not [each for each in documents(rig.sweep(301), ALERTS.name) if each["rule"] == "churn_risk"]


def test_an_outcome_becomes_known_later():
    """It closes what is open, is a step of what was resolved long ago, and counts each time it changes."""
    rig = at_risk()
    rig.apply(line("order.placed", 301.0))
    (found,) = documents(act(rig, "outcome.recorded", 360.0, outcome="saved"), ALERTS.name)
    assert (found["step"], found["outcome"], found["by"]) == ("closed", "saved", None)
    assert not documents(act(rig, "outcome.recorded", 361.0, outcome="saved"), ALERTS.name)
    act(rig, "outcome.recorded", 362.0, outcome="churned")
    assert rig.processor.tally.outcomes.results == {("churn_risk", "saved"): 1, ("churn_risk", "churned"): 1}
    assert churn(rig).closed_s == seconds(301)


def test_an_outcome_without_an_alert_is_of_the_newest():
    """A customer whose newest alert is of silence was lost to silence."""
    rig = Rig(now_day=300)
    state = shopper()
    state.episodes[Rule.SILENCE] = Episode(2, seconds(250), seconds(299), "lost", 1, 0)
    state.episodes[Rule.CHURN_RISK] = Episode(1, seconds(200), seconds(299), "lost", 1, 0)
    rig.hold(state)
    act(rig, "outcome.recorded", outcome="churned", alert_id=None)
    assert rig.processor.tally.outcomes.results == {("silence", "churned"): 1}


def test_an_outcome_without_an_alert_is_of_what_is_open():
    """What ended by itself meanwhile is not what somebody had in hand."""
    rig = at_risk()
    state = unpack(rig.rows[ANNA])
    over = Episode(1, seconds(300.05), seconds(300.06), "critical", 2, 0)
    state.episodes[Rule.EXPERIENCE_DROP] = over
    rig.hold(state)
    act(rig, "outcome.recorded", outcome="saved", alert_id=None)
    assert rig.processor.tally.outcomes.results == {("churn_risk", "saved"): 1}
    assert churn(rig).closed_s == seconds(300.1)


def test_an_action_taken_takes_the_alert_on():
    """Who did something for the customer has taken on what is open; of what is closed nothing changes."""
    rig = at_risk()
    (found,) = documents(act(rig, "action.taken", alert_id=None, by="m.koch"), ALERTS.name)
    assert (found["step"], found["by"], found["note"]) == ("acknowledged", "m.koch", None)
    rig.apply(line("order.placed", 301.0))
    assert not documents(act(rig, "action.taken", 302.0, alert_id=None), ALERTS.name)
    assert actions(rig) == {("action", "applied"): 1, ("action", "unknown_alert"): 1}


def test_an_action_on_an_alert_nobody_knows_is_counted():
    """It is accepted and changes nothing; an earlier episode of a rule is told from an id never given."""
    rig = at_risk()
    state = unpack(rig.rows[ANNA])
    state.episodes[Rule.CHURN_RISK].number = 3
    rig.hold(state)
    for number, name in ((2, "past"), (4, "unknown_alert")):
        wanted = alert_id("generation", "anna", Rule.CHURN_RISK, number)
        done = act(rig, "alert.closed", alert_id=wanted, id=name)
        assert done.counts == Counts(accepted=1)
        assert not documents(done, ALERTS.name)
    assert actions(rig) == {("closed", "past"): 1, ("closed", "unknown_alert"): 1}
    assert churn(rig).closed_s is None


def test_an_action_on_a_stranger_is_counted():
    """An outcome of a customer without any alert has nothing to judge."""
    rig = Rig()
    rig.apply(line("outcome.recorded", 1.0, outcome="churned"), topic=ACTIONS.name)
    assert actions(rig) == {("outcome", "unknown_alert"): 1}


def test_an_action_is_no_engagement_and_no_moment():
    """It moves the newest time and no score."""
    rig = at_risk()
    before = unpack(rig.rows[ANNA])
    act(rig, "alert.acknowledged")
    after = unpack(rig.rows[ANNA])
    for part in ("rhythm", "points", "mass"):
        assert plain(getattr(after, part)) == plain(getattr(before, part))
    assert orjson.dumps(after.profile) == orjson.dumps(before.profile)
