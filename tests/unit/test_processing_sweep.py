"""The sweep: silence up to the watermark, rows that are forgotten, the census."""

import pytest

from schemas.times import at_time
from streams.engine.handler import Output
from streams.scoring.rows import pack, unpack
from streams.scoring.rules import Rule
from streams.scoring.state import Episode
from streams.topics import ALERTS, SCORES, WEB
from tests.customers import event, line, row, scorer, seconds
from tests.handling import ANNA, Rig, documents, numbered, shopper, silent, written


@pytest.mark.parametrize("kind", ["page.viewed", "rage.clicked"])
def test_silence_opens_up_to_the_watermark_only(kind: str):
    """Beside an event, absence is told only of a time up to which every input was read."""
    assert not written(Rig().apply(*silent(kind), watermark_s=seconds(299)), ALERTS.name)
    found = documents(Rig().apply(*silent(kind), watermark_s=seconds(300)), ALERTS.name)
    assert {each["rule"] for each in found} == {"churn_risk"}


def test_the_sweep_opens_silence_up_to_the_watermark_only():
    """A row that is ahead of the watermark is left until every input has come as far."""
    rig = Rig()
    rig.apply(*silent(), watermark_s=seconds(30))
    assert not written(rig.sweep(299), ALERTS.name)
    done = rig.sweep(300)
    assert [each["step"] for each in documents(done, ALERTS.name)] == ["opened"]
    assert ANNA in done.rows
    assert not written(rig.sweep(300.5), ALERTS.name)


def test_a_sweep_in_the_same_work_sees_the_applied_row():
    """What was just applied is what the sweep evaluates, and it is written once."""
    rig = Rig()
    rig.hold(shopper())
    work = rig.begin(0, seconds(41))
    work.apply([(WEB.name, numbered([line("complaint.raised", 40.0)]))])
    work.sweep([ANNA], seconds(41))
    (found,) = documents(work.finish(), SCORES.name)
    assert (found["at"], found["events"]) == ("2026-02-11T00:00:00Z", 5)


def test_a_promise_breaks_when_its_channel_was_read_past_the_deadline():
    """Not while the sweep is behind, nor while nothing of the channel is newer: then it costs experience."""
    rig = Rig(now_day=3)
    due = at_time(seconds(1))
    rig.apply(line("promise.made", 0.0, promise_id="p1", kind="delivery", due_at=due))
    assert not documents(rig.sweep(3), ALERTS.name), "silent since the promise was made"
    rig.apply(line("page.viewed", 3.0))
    rig.now_s = seconds(3.2)
    assert not documents(rig.sweep(3.1, caught_up=False), ALERTS.name)
    found = documents(rig.sweep(3.1), ALERTS.name)
    assert found
    assert all(each["drivers"][0]["driver"] == "promise_broken" for each in found)
    assert not documents(rig.sweep(3.2), ALERTS.name), "broken once"


def test_a_customer_gone_in_between_is_passed_over():
    """A key without a row is no customer any more."""
    rig = Rig()
    assert not rig.sweep(10, [b"nobody"])


FORGOTTEN_DAY = 3 * 365


def test_a_row_of_which_nothing_is_left_is_forgotten():
    """After three years without an event the row and its score are tombstoned, and not a day before."""
    rig = Rig()
    rig.hold(row([event("complaint.raised", 0.0)]))
    assert rig.sweep(FORGOTTEN_DAY - 1).rows.get(ANNA, b"") is not None
    done = rig.sweep(FORGOTTEN_DAY)
    assert done.rows == {ANNA: None}
    assert written(done, SCORES.name) == [Output(SCORES.name, ANNA, None)]
    assert rig.rows == {}


def test_a_forgotten_customer_is_not_written_again_in_the_same_work():
    """A tombstone is the last word on a row that was touched before it."""
    rig = Rig()
    rig.hold(row([event("order.placed", 0.0)]))
    work = rig.begin(0, seconds(FORGOTTEN_DAY + 1))
    work.apply([(WEB.name, numbered([line("page.viewed", 0.1)]))])
    work.sweep([ANNA], seconds(FORGOTTEN_DAY + 1))
    done = work.finish()
    assert done.rows[ANNA] is not None, "an open episode of silence keeps the row"
    rig.hold(row([event("complaint.raised", 0.0)]))
    work = rig.begin(0, seconds(FORGOTTEN_DAY + 1))
    work.apply([(WEB.name, numbered([line("page.viewed", 0.1)]))])
    work.sweep([ANNA], seconds(FORGOTTEN_DAY + 1))
    done = work.finish()
    assert done.rows == {ANNA: None}
    assert [each.value for each in written(done, SCORES.name)] == [None]


def test_an_open_episode_keeps_a_row():
    """What somebody may still be working on is not forgotten."""
    rig, state = Rig(), row([event("complaint.raised", 0.0)])
    state.episodes[Rule.EXPERIENCE_DROP] = Episode(1, seconds(0), seconds(9), "critical", 2, 0)
    rig.hold(state)
    still = unpack(pack(state))
    still.rhythm = row([event("order.placed", 0.0)]).rhythm
    still.episodes[Rule.SILENCE] = Episode(1, seconds(0), None, "lost", 0, still.rhythm.last_day)  # type: ignore[union-attr]  # a shopper has one
    rig.hold(still, b"berta")
    assert rig.sweep(FORGOTTEN_DAY + 10).rows[ANNA] is None
    assert set(rig.rows) == {b"berta"}


def test_a_whole_pass_of_the_sweep_is_a_census():
    """Bands, scores, open alerts and rows of another policy are known when all customers were visited."""
    rig = Rig()
    rig.hold(shopper())
    other = row([event("complaint.raised", 30.0)], scorer(ledger={"prior": 50.0}))
    rig.hold(other, b"berta")
    rig.sweep(30, [ANNA])
    assert rig.processor.censuses == {}
    rig.sweep(30, [b"berta"])
    census = rig.processor.censuses[0]
    assert (census.customers, census.other_policy) == (2, 1)
    assert sum(census.bands.values()) == 2
    assert sum(census.experience.counts) == 2
    assert sum(census.open_alerts.values()) == sum(
        episode.closed_s is None for value in rig.rows.values() for episode in unpack(value).episodes.values()
    )
    rig.sweep(31)
    assert rig.processor.censuses[0].customers == 2, "the next pass counts anew"


def test_open_alerts_are_in_the_census_by_rule_and_severity():
    """A closed episode is not counted."""
    rig, state = Rig(), shopper()
    state.episodes[Rule.EXPERIENCE_DROP] = Episode(1, seconds(0), seconds(1), "trend", 1, 0)
    rig.hold(state)
    rig.sweep(300)
    assert dict(rig.processor.censuses[0].open_alerts) == {("churn_risk", "high"): 1}
