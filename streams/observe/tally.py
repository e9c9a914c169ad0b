"""What the worker has done, as plain counters: added up a transaction at a time, read at scrape time."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from streams.engine.handler import Effects

LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
SCORE_BUCKETS: Final = (10.0, 20.0, 30.0, 35.0, 40.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 90.0, 100.0)


class Histogram:
    """Counts by upper bound; the last one is unbounded."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add(self, other: "Histogram") -> None:
        """Add the counts of another histogram of the same bounds."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total


@dataclass(slots=True)
class Census:
    """The customers of one partition as a whole pass of the sweep found them."""

    customers: int = 0
    bands: Counter[str] = field(default_factory=Counter)
    experience: Histogram = field(default_factory=lambda: Histogram(SCORE_BUCKETS))
    service: Histogram = field(default_factory=lambda: Histogram(SCORE_BUCKETS))
    open_alerts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (rule, severity)."""
    other_policy: int = 0
    """Rows whose sums hold the weights of another policy."""


@dataclass(slots=True)
class Tally:
    """Counters of one transaction, or of everything that was committed."""

    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (topic, reason)."""
    alerts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By (rule, severity, step)."""
    scores: int = 0
    """Messages on `cx.scores`."""
    alert_records_s: list[float] = field(default_factory=list)
    """Record timestamps of the events that raised an alert, seconds; drained when committed."""
    newest_event_s: dict[str, float] = field(default_factory=dict)
    """By channel."""
    misplaced: Counter[str] = field(default_factory=Counter)
    """New customers on a partition that Kafka's default partitioner does not give, by topic."""

    def add(self, other: "Tally") -> None:
        """Add another tally, but for `alert_records_s`."""
        self.rejects.update(other.rejects)
        self.alerts.update(other.alerts)
        self.scores += other.scores
        self.misplaced.update(other.misplaced)
        for channel, event_s in other.newest_event_s.items():
            if event_s > self.newest_event_s.get(channel, 0.0):
                self.newest_event_s[channel] = event_s


@dataclass(slots=True)
class Processed(Effects):
    """Effects with the counters that go with them."""

    tally: Tally = field(default_factory=Tally)
