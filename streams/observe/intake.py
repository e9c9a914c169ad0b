"""Who sent what: records by channel, source, type and outcome, and how late they came."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from schemas.envelope import Touchpoint
from schemas.rejects import source_of

OTHER: Final = "other"
UNKNOWN: Final = "unknown"
"""The source of a record that does not say it in a form that can be read."""
MOST_SOURCES: Final = 20
"""Sources of the policy's list with a label of their own: whatever the policy lists, series stay bounded."""
LATE_S: Final = 3600.0
"""An event that reaches the log later than this after it was recorded is late."""
SAMPLED: Final = 16
"""Timestamps taken of a piece of work: enough for its percentiles, and the cost of none."""
TICK_MS: Final = 100
"""Record timestamps are remembered to a tenth of a second until their transaction is committed."""


class Stamped(Protocol):
    """As much of a record as is looked at here."""

    @property
    def timestamp(self) -> int:
        """Record timestamp, ms since the epoch."""
        ...


def named_sources(sources: Sequence[str]) -> frozenset[str]:
    """Return the sources that get a label of their own."""
    return frozenset(sources[:MOST_SOURCES])


def is_late(event: Touchpoint, event_s: float, record_s: float) -> bool:
    """Tell whether an event reached the log late; asked only of those that are old when they come."""
    recorded = event.recordedtime
    return record_s - (event_s if recorded is None else recorded.timestamp()) > LATE_S


Kind = tuple[type[Touchpoint], str, str]
"""Type, channel and source of accepted events."""


@dataclass(slots=True)
class Intake:
    """Counters of the records of one transaction, or of everything that was committed."""

    sources: frozenset[str] = frozenset()
    """Those with a label of their own; the others count as `OTHER`."""
    accepted: dict[Kind, list[float]] = field(default_factory=dict)
    """Accepted events: how many, the newest event time, how many were late. One look-up an event: that is
    why names and labels are made when the transaction was committed, and not here."""
    others: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Events that were read and not applied, by (channel, source, outcome)."""
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (source, reason)."""
    arrivals: Counter[int] = field(default_factory=Counter)
    """Records by record timestamp in ticks; drained when committed."""

    def label(self, source: str) -> str:
        """Return the label of a source."""
        return source if source in self.sources or source == UNKNOWN else OTHER

    def arrived(self, records: Sequence[Stamped]) -> None:
        """Remember when records came: each of a few, every n-th of many."""
        stride = max(1, len(records) // SAMPLED)
        for number in range(0, len(records), stride):
            weight = min(stride, len(records) - number)
            self.arrivals[records[number].timestamp // TICK_MS] += weight

    def seen(self, event: Touchpoint, channel: str, outcome: str) -> None:
        """Count an event that was read and not applied to a row: duplicate, anonymous or suppressed."""
        self.others[channel, self.label(event.source), outcome] += 1

    def rejected(self, value: bytes | None, headers: Sequence[tuple[str, bytes | None]], reason: str) -> None:
        """Count a rejected record under the source that it names."""
        source = self.label(source_of(value, headers) or UNKNOWN) if self.sources else OTHER
        self.rejects[source, reason] += 1

    def outcomes(self) -> Counter[tuple[str, str, str]]:
        """Return the records that could be read by (channel, source, outcome)."""
        found = Counter(self.others)
        for (_, channel, source), (number, _, _) in self.accepted.items():
            found[channel, source, "accepted"] += int(number)
        return found

    def types(self) -> Counter[tuple[str, str]]:
        """Return the accepted events by (type with its version, source)."""
        found: Counter[tuple[str, str]] = Counter()
        for (kind, _, source), (number, _, _) in self.accepted.items():
            found[str(kind.__struct_config__.tag), source] += int(number)
        return found

    def late(self) -> Counter[str]:
        """Return the accepted events that came late by source; 0 where none did."""
        found: Counter[str] = Counter()
        for (_, _, source), (_, _, late) in self.accepted.items():
            found[source] += int(late)
        return found

    def of_type(self, wanted: type[Touchpoint]) -> Counter[str]:
        """Return the accepted events of one type by channel."""
        found: Counter[str] = Counter()
        for (kind, channel, _), (number, _, _) in self.accepted.items():
            if kind is wanted:
                found[channel] += int(number)
        return found

    def by_channel(self) -> dict[str, tuple[int, float]]:
        """Return how many events each channel gave, and its newest event time."""
        found: dict[str, tuple[int, float]] = {}
        for (_, channel, _), (number, newest_s, _) in self.accepted.items():
            before, newest = found.get(channel, (0, 0.0))
            found[channel] = before + int(number), max(newest, newest_s)
        return found

    def newest_by_source(self) -> dict[str, float]:
        """Return the newest event time of each source."""
        found: dict[str, float] = {}
        for (_, _, source), (_, newest_s, _) in self.accepted.items():
            found[source] = max(newest_s, found.get(source, 0.0))
        return found

    def add(self, other: "Intake") -> None:
        """Add another intake, but for its arrivals; sources without a label become one here."""
        for (kind, channel, source), (number, newest_s, late) in other.accepted.items():
            entry = self.accepted.setdefault((kind, channel, self.label(source)), [0.0, 0.0, 0.0])
            entry[0] += number
            entry[1] = max(entry[1], newest_s)
            entry[2] += late
        self.others.update(other.others)
        self.rejects.update(other.rejects)

    def copy(self) -> "Intake":
        """Return an intake with the same counts, but for arrivals, that shares nothing with this one."""
        copy = Intake(self.sources)
        copy.add(self)
        return copy
