"""What the worker has done, as plain counters: added up a transaction at a time, read at scrape time."""

from dataclasses import dataclass, field
from typing import Final

from streams.engine.handler import Effects
from streams.observe.census import Census
from streams.observe.contacts import FirstContacts
from streams.observe.counted import Counted, add_counts
from streams.observe.histogram import Histogram
from streams.observe.intake import TICK_MS, Intake
from streams.observe.kpis import Kpis
from streams.observe.outcomes import Outcomes
from streams.scoring.state import CustomerState

__all__ = ["LATENCY_BUCKETS_S", "Census", "Histogram", "Processed", "Tally"]

LATENCY_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
SCORED_BUCKETS_S: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


@dataclass(slots=True)
class Tally:
    """Counters of one transaction, or of everything that was committed."""

    rejects: Counted[tuple[str, str]] = field(default_factory=Counted)
    """By (topic, reason)."""
    alerts: Counted[tuple[str, str, str]] = field(default_factory=Counted)
    """By (rule, severity, step)."""
    scores: int = 0
    """Messages on `cx.scores`."""
    alert_records_s: list[float] = field(default_factory=list)
    """Record timestamps of the events that raised an alert, seconds; drained when committed."""
    misplaced: Counted[str] = field(default_factory=Counted)
    """New customers on a partition that Kafka's default partitioner does not give, by topic."""
    compute_s: float = 0.0
    """Time spent in decoding and scoring, seconds."""
    changelog_bytes: int = 0
    """Bytes of keys and rows written to the changelog."""
    intake: Intake = field(default_factory=Intake)
    kpis: Kpis = field(default_factory=Kpis)
    _outcomes: Outcomes | None = None
    """None until somebody asks: a dozen counters, of which most transactions need none."""

    @property
    def outcomes(self) -> Outcomes:
        """How alerts turned out."""
        if self._outcomes is None:
            self._outcomes = Outcomes()
        return self._outcomes

    @property
    def newest_event_s(self) -> dict[str, float]:
        """The newest event time of each channel."""
        return {channel: newest_s for channel, (_, newest_s) in self.intake.by_channel().items()}

    def add(self, other: "Tally") -> None:
        """Add another tally, but for what is drained when it is committed."""
        add_counts(self.rejects, other.rejects)
        add_counts(self.alerts, other.alerts)
        self.scores += other.scores
        add_counts(self.misplaced, other.misplaced)
        self.compute_s += other.compute_s
        self.changelog_bytes += other.changelog_bytes
        self.intake.add(other.intake)
        self.kpis.add(other.kpis)
        if other._outcomes is not None:  # noqa: SLF001  # of another tally
            self.outcomes.add(other._outcomes)  # noqa: SLF001  # as above

    def copy(self) -> "Tally":
        """Return a tally with the same counts that shares nothing with this one."""
        copy = Tally(intake=Intake(self.intake.sources))
        copy.add(self)
        return copy


@dataclass(slots=True)
class Latencies:
    """What is known only when a transaction was committed."""

    scored: Histogram = field(default_factory=lambda: Histogram(SCORED_BUCKETS_S))
    """Seconds from a record's timestamp to the commit of what it changed, to a tenth of a second."""
    contacts: FirstContacts = field(default_factory=FirstContacts)

    def take(self, partition: int, tally: Tally, now_s: float) -> None:
        """Take what a committed transaction left to be judged; `now_s` in seconds since the epoch."""
        for tick, records in tally.intake.arrivals.items():
            self.scored.observe(max(0.0, now_s - tick * TICK_MS / 1000.0), records)
        if tally.kpis.pending:
            self.contacts.take(partition, tally.kpis.pending)


@dataclass(slots=True)
class Processed(Effects):
    """Effects with the counters that go with them."""

    tally: Tally = field(default_factory=Tally)
    states: dict[bytes, CustomerState] = field(default_factory=dict)
    """What the rows were packed from, by customer; taken away when they are committed."""
