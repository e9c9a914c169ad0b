"""Counters of transactions and histograms, and how they add up."""

import pytest

from schemas.families.web import PageViewed
from streams.observe.census import Census
from streams.observe.contacts import Contact
from streams.observe.histogram import Histogram
from streams.observe.intake import Meter
from streams.observe.tally import Latencies, Tally


def test_a_value_is_counted_under_its_upper_bound():
    """A bound belongs to its own bucket; beyond the last one there is a bucket without a bound."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.1, 99.0):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 2]
    assert histogram.total == pytest.approx(106.1)


def test_histograms_add_up_bucket_by_bucket():
    """The other one stays as it is."""
    one, other = Histogram((1.0,)), Histogram((1.0,))
    one.observe(0.5)
    other.observe(3.0)
    one.add(other)
    assert (one.counts, one.total) == ([1, 1], 3.5)
    assert other.counts == [0, 1]


def test_histograms_of_other_bounds_do_not_add_up():
    """Counts by other bounds would be lies."""
    with pytest.raises(ValueError, match="do not add up"):
        Histogram((1.0,)).add(Histogram((1.0, 2.0)))


def seen(**newest_s: float) -> Tally:
    """Return a tally of one page view a channel."""
    tally = Tally()
    tally.intake.accepted = {(PageViewed, name, "other"): Meter(1, at_s) for name, at_s in newest_s.items()}
    return tally


def test_tallies_add_up_and_the_newest_time_wins():
    """Counts are sums, times are maxima, and latencies are drained by whoever observes them."""
    total, other = seen(web=5.0, app=9.0), seen(web=7.0, app=8.0, store=1.0)
    total.rejects, total.scores = {("web", "not_json"): 1}, 2
    other.rejects, other.scores = {("web", "not_json"): 2}, 3
    other.alerts, other.misplaced = {("silence", "low", "opened"): 1}, {"web": 4}
    other.compute_s, other.changelog_bytes, other.alert_records_s = 0.5, 90, [1.0]
    total.add(other)
    assert total.newest_event_s == {"web": 7.0, "app": 9.0, "store": 1.0}
    assert (total.rejects, total.scores) == ({("web", "not_json"): 3}, 5)
    assert (total.alerts, total.misplaced) == (other.alerts, other.misplaced)
    assert (total.compute_s, total.changelog_bytes, total.alert_records_s) == (0.5, 90, [])


def test_two_censuses_share_nothing():
    """Each partition counts for itself."""
    one, other = Census(), Census()
    one.experience.observe(50.0)
    one.bands["steady"] += 1
    assert sum(other.experience.counts) == 0
    assert not other.bands


def test_latencies_are_taken_when_a_transaction_was_committed():
    """Each record's time from its timestamp, to a tenth of a second; contacts are judged then too."""
    tally, latencies = Tally(), Latencies()
    tally.intake.arrivals[10_000] = 3  # second 1000
    tally.kpis.pending += [Contact(1, 0.0, "phone"), Contact(1, 1.0, "phone")]
    latencies.take(0, tally, 1002.0)
    assert latencies.scored.total == pytest.approx(6.0)
    assert latencies.contacts.results == {("phone", "repeated"): 1}


def test_a_copy_of_a_tally_shares_nothing_with_it():
    """A scrape reads a copy while the worker counts on."""
    tally = Tally(frozenset({"/shop"}))
    tally.kpis.wait_s["phone"] = Histogram((1.0,))
    copy = tally.copy()
    tally.kpis.wait_s["phone"].observe(3.0)
    tally.intake.accepted[PageViewed, "web", "/shop"] = Meter(1, 2.0)
    tally.outcomes.raised["before_complaint"] = 1
    assert copy.kpis.wait_s["phone"].total == 0.0
    assert copy.intake.sources == {"/shop"}
    assert not copy.intake.accepted
    assert not copy.outcomes.raised
