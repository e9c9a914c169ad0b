"""Casework that tells nobody: what a silent source holds back, what is counted, what leaves the topic."""

import pytest

from streams.engine.handler import Bucket
from streams.outages import SEEN, SILENT
from streams.scoring.lifecycle import RETIRE_AFTER_S
from streams.scoring.rows import unpack
from streams.scoring.rules import Rule
from streams.scoring.state import Episode
from streams.topics import ALERTS, INCIDENTS
from tests.customers import DAY, event, line, row, seconds
from tests.handling import ANNA, Rec, Rig, angry, documents, shopper, silent, steps, told, written


def outage(rig: Rig, day: float) -> None:
    """Let an outage of the web stand since `day`."""
    rig.tokens |= {
        SEEN + "web": Bucket(1e6, seconds(day)),
        SILENT + "web": Bucket(seconds(day), seconds(day)),
    }


def test_while_a_source_is_silent_nobody_is_called_silent():
    """Neither beside an event nor by the sweep; once it is over the sweep says it."""
    rig = Rig(now_day=300)
    rig.hold(shopper())
    outage(rig, 299)
    assert not steps(rig.apply(line("page.viewed", 300.0), watermark_s=seconds(300)))
    done = rig.sweep(300.1)
    assert not steps(done)
    (closed,) = documents(done, INCIDENTS.name)
    assert closed["until"] == "2026-10-28T02:24:00Z"
    assert ("churn_risk", "opened", "high", False) in steps(rig.sweep(300.2))


def test_while_a_source_is_silent_an_alert_of_silence_waits():
    """What silence had opened before is not told while it may be the source's fault; it is counted so."""
    rig = Rig(now_day=300)
    rig.apply(*silent(), topic="cx.touchpoints.store")
    outage(rig, 300.05)
    assert not told(rig.sweep(300.1))
    rig.now_s = seconds(300.2)
    rig.apply(line("order.placed", 300.2), topic="cx.touchpoints.store", watermark_s=seconds(300.2))
    assert rig.processor.tally.outcomes.suppressed == {("churn_risk", "source_silent"): 1}


def test_a_silent_channel_is_an_incident_of_the_partition():
    """The sweep that has read everything finds it; one that is behind cannot know."""
    rig = Rig(now_day=300)
    rig.hold(shopper())
    rig.tokens = {SEEN + "web": Bucket(1e6, seconds(299)), "usual:web": Bucket(0.0, seconds(200))}
    assert not documents(rig.sweep(299.5, caught_up=False), INCIDENTS.name), "behind"
    (found,) = documents(rig.sweep(299.5), INCIDENTS.name)
    assert (found["channel"], found["since"]) == ("web", "2026-10-27T00:00:00Z")
    assert rig.processor.tally.outcomes.incidents == {("web", "opened"): 1}
    assert not documents(rig.sweep(299.6), INCIDENTS.name)


def test_what_a_channel_sends_is_counted_when_it_is_applied():
    """By channel, at the newest event time."""
    rig = Rig()
    rig.apply(line("page.viewed", 1.0))
    rig.apply(line("page.viewed", 2.0), line("page.viewed", 1.5), b"{")
    found = rig.tokens[SEEN + "web"]
    assert found.at_s == seconds(2)
    assert 1.5 < found.level < 2.0


def test_the_latency_of_an_alert_counts_from_the_record_that_raised_it():
    """Seconds from the record's timestamp to the commit, once an event; a clock behind counts as none."""
    rig = Rig(now_day=300)
    recorded_ms = int((seconds(300) - 2.0) * 1000)
    *before, cause = silent()
    rig.apply(*before, Rec(cause, timestamp=recorded_ms))
    assert sum(rig.processor.alert_latency.counts) == 1
    assert rig.processor.alert_latency.total == pytest.approx(2.0)
    berta = Rig(now_day=0)
    berta.apply(*silent())
    assert berta.processor.alert_latency.total == 0.0
    assert rig.processor.tally.alert_records_s == []


def test_alerts_are_counted_by_rule_severity_and_step():
    """The counters tell what was written to `cx.alerts`."""
    done = Rig().apply(*silent())
    (found,) = documents(done, ALERTS.name)
    assert done.tally.alerts == {(found["rule"], found["severity"], found["step"]): 1}


def test_an_alert_is_counted_as_before_or_after_the_first_complaint():
    """A complaint that raises an alert itself came first."""
    assert Rig().apply(*silent()).tally.outcomes.raised == {"before_complaint": 1}
    assert set(Rig().apply(*angry()).tally.outcomes.raised) == {"after_complaint"}


def test_an_outcome_is_inferred_when_it_is_known():
    """Who comes back returned, at once; whose horizon passes is lost: the prediction is judged by it."""
    rig = Rig(now_day=300)
    rig.apply(*silent())
    rig.apply(line("order.placed", 301.0))
    outcomes = rig.processor.tally.outcomes
    assert outcomes.inferred == {("churn_risk", "returned", "untold"): 1}
    assert sum(outcomes.predicted.values()) == 1
    assert not any(outcomes.came_true.values())
    berta = Rig(now_day=300)
    berta.apply(*silent())
    berta.sweep(300.1)
    berta.sweep(391)
    berta.sweep(392)
    outcomes = berta.processor.tally.outcomes
    assert outcomes.inferred == {("churn_risk", "lost", "told"): 1}
    assert sum(outcomes.came_true.values()) == 1


def test_a_loss_is_counted_with_the_warnings_and_their_lead():
    """Recall: of the customers who were silent for the horizon, those of whom a rule had warned."""
    rig = Rig(now_day=125)
    rig.hold(shopper(), ANNA)
    fresh = row([event("order.placed", 30.0)])
    rig.hold(fresh, b"berta")
    state = unpack(rig.rows[ANNA])
    assert state.rhythm is not None
    state.episodes[Rule.SILENCE] = Episode(1, seconds(60), None, "lost", 1, state.rhythm.last_day)
    rig.hold(state)
    rig.sweep(119, [ANNA])
    assert rig.processor.tally.outcomes.losses == 0
    rig.sweep(121)
    rig.sweep(122)
    outcomes = rig.processor.tally.outcomes
    assert outcomes.losses == 2
    assert outcomes.foretold["silence"] == outcomes.foretold["any"] == 1
    assert outcomes.lead_s["silence"].total == pytest.approx(60 * DAY)


def test_a_closed_alert_leaves_its_topic_after_thirty_days():
    """The sweep writes a tombstone once."""
    rig = Rig(now_day=300)
    rig.apply(*silent())
    rig.apply(line("order.placed", 301.0))
    state = unpack(rig.rows[ANNA])
    assert state.episodes[Rule.CHURN_RISK].closed_s == seconds(301)
    day = 301 + RETIRE_AFTER_S / DAY
    assert not [each for each in written(rig.sweep(day - 0.1), ALERTS.name) if each.value is None]
    (gone,) = [each for each in written(rig.sweep(day + 0.1), ALERTS.name) if each.value is None]
    opened = documents(Rig(now_day=300).apply(*silent()), ALERTS.name)[0]
    assert gone.key == opened["alert_id"].encode()
    assert not [each for each in written(rig.sweep(day + 0.2), ALERTS.name) if each.value is None]
