"""What the worker has done, as plain counters: added up a transaction at a time, read at scrape time."""

from typing import Final

from streams.engine.handler import Effects
from streams.observe.census import Census
from streams.observe.contacts import FirstContacts
from streams.observe.counted import add_counts
from streams.observe.histogram import Histogram
from streams.observe.intake import TICK_MS, Intake
from streams.observe.kpis import Kpis
from streams.observe.outcomes import Outcomes
from streams.scoring.state import CustomerState

__all__ = ["LATENCY_BUCKETS_S", "Census", "Histogram", "Processed", "Tally"]

LATENCY_BUCKETS_S: Final[tuple[float, ...]] = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
SCORED_BUCKETS_S: Final[tuple[float, ...]] = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)


class Tally:
    """Counters of one transaction, or of everything that was committed."""

    __slots__ = (
        "_outcomes",
        "alert_records_s",
        "alerts",
        "changelog_bytes",
        "compute_s",
        "intake",
        "kpis",
        "misplaced",
        "rejects",
        "scores",
    )

    def __init__(self, sources: frozenset[str] = frozenset(), priced: frozenset[str] = frozenset()) -> None:
        self.rejects: dict[tuple[str, str], int] = {}
        """By (topic, reason)."""
        self.alerts: dict[tuple[str, str, str], int] = {}
        """By (rule, severity, step)."""
        self.scores = 0
        """Messages on `cx.scores`."""
        self.alert_records_s: list[float] = []
        """Record timestamps of the events that raised an alert, seconds; drained when committed."""
        self.misplaced: dict[str, int] = {}
        """New customers on a partition that Kafka's default partitioner does not give, by topic."""
        self.compute_s = 0.0
        """Time spent in decoding and scoring, seconds."""
        self.changelog_bytes = 0
        """Bytes of keys and rows written to the changelog."""
        self.intake = Intake(sources)
        self.kpis = Kpis(priced)
        self._outcomes: Outcomes | None = None
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
        return {channel: meter.newest_s for channel, meter in self.intake.by_channel().items()}

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
        copy = Tally(self.intake.sources, self.kpis.priced)
        copy.add(self)
        return copy


class Latencies:
    """What is known only when a transaction was committed."""

    __slots__ = ("contacts", "scored")

    def __init__(self) -> None:
        self.scored = Histogram(SCORED_BUCKETS_S)
        """Seconds from a record's timestamp to the commit of what it changed, to a tenth of a second."""
        self.contacts = FirstContacts()

    def take(self, partition: int, tally: Tally, now_s: float) -> None:
        """Take what a committed transaction left to be judged; `now_s` in seconds since the epoch."""
        for tick, records in tally.intake.arrivals.items():
            self.scored.observe(max(0.0, now_s - tick * TICK_MS / 1000.0), records)
        if tally.kpis.pending:
            self.contacts.take(partition, tally.kpis.pending)


class Processed(Effects):
    """Effects with the counters that go with them."""

    __slots__ = ("states", "tally")

    def __init__(self, tally: Tally, states: dict[bytes, CustomerState]) -> None:
        super().__init__()
        self.tally = tally
        self.states = states
        """What the rows were packed from, by customer; taken away when they are committed."""
