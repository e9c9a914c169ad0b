"""Who sent what: records by channel, source, type and outcome, and how late they came."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from mypy_extensions import i64

from schemas.envelope import Touchpoint
from schemas.rejects import source_of
from streams.observe.counted import add_counts, count_up
from streams.scoring.sums import Sums

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


class Meter:
    """What was accepted of one kind."""

    __slots__ = ("channel", "late", "newest_s", "number", "source", "sums")

    def __init__(
        self,
        number: int = 0,
        newest_s: float = 0.0,
        late: int = 0,
        *,
        channel: str = "",
        source: str = "",
    ) -> None:
        self.channel = channel
        self.source = source
        self.number = number
        self.newest_s = newest_s
        """The newest event time."""
        self.late = late
        self.sums = Sums()
        """Weight times distance from the prior of all moments, before decay and saturation.

        By the driver's code, negative where they were good.
        """

    def feel(self, code: i64, weight: float) -> None:
        """Count a moment: its driver's code, negative if it was good, and its `Signal.m`."""
        self.sums.add(code, weight)

    @property
    def felt(self) -> dict[int, float]:
        """What `sums` has."""
        return dict(zip(self.sums.keys, self.sums.amounts, strict=True))

    def add(self, other: "Meter") -> None:
        """Add another of the same kind."""
        self.number += other.number
        if other.newest_s > self.newest_s:  # noqa: PLR1730  # max() costs several times as much
            self.newest_s = other.newest_s
        self.late += other.late
        amounts = other.sums.amounts
        for place, code in enumerate(other.sums.keys):
            self.sums.add(code, amounts[place])


class Intake:
    """Counters of the records of one transaction, or of everything that was committed."""

    __slots__ = ("accepted", "arrivals", "others", "rejects", "sources")

    def __init__(self, sources: frozenset[str] = frozenset()) -> None:
        self.sources = sources
        """Those with a label of their own; the others count as `OTHER`."""
        self.accepted: dict[Kind, Meter] = {}
        """Accepted events. One look-up an event: that is why names and labels are made when the transaction
        was committed, and not here."""
        self.others: dict[tuple[str, str, str], int] = {}
        """Events that were read and not applied, by (channel, source, outcome)."""
        self.rejects: dict[tuple[str, str], int] = {}
        """By (source, reason)."""
        self.arrivals: dict[int, int] = {}
        """Records by record timestamp in ticks; drained when committed."""

    def meter(self, kind: type[Touchpoint], channel: str, source: str) -> Meter:
        """Return the meter of accepted events of a type from a source by a channel, made anew if need be."""
        meter = self.accepted.get((kind, channel, source))
        if meter is None:
            meter = self.accepted[kind, channel, source] = Meter(channel=channel, source=source)
        return meter

    def label(self, source: str) -> str:
        """Return the label of a source."""
        return source if source in self.sources or source == UNKNOWN else OTHER

    def arrived(self, records: Sequence[Stamped]) -> None:
        """Remember when records came: each of a few, every n-th of many."""
        number, left = 0, len(records)
        stride = max(1, left // SAMPLED)
        tick = weight = 0
        while left > 0:  # a range with a step would make an object of each number
            came = records[number].timestamp // TICK_MS
            if came != tick:  # neighbours have mostly come together
                self._came(tick, weight)
                tick, weight = came, 0
            weight += min(stride, left)
            number += stride
            left -= stride
        self._came(tick, weight)

    def _came(self, tick: int, records: int) -> None:
        if records:
            count_up(self.arrivals, tick, records)

    def seen(self, event: Touchpoint, channel: str, outcome: str) -> None:
        """Count an event that was read and not applied to a row: duplicate, anonymous or suppressed."""
        count_up(self.others, (channel, self.label(event.source), outcome))

    def rejected(self, value: bytes | None, headers: Sequence[tuple[str, bytes | None]], reason: str) -> None:
        """Count a rejected record under the source that it names."""
        source = self.label(source_of(value, headers) or UNKNOWN) if self.sources else OTHER
        count_up(self.rejects, (source, reason))

    def outcomes(self) -> Counter[tuple[str, str, str]]:
        """Return the records that could be read by (channel, source, outcome)."""
        found = Counter(self.others)
        for (_, channel, source), meter in self.accepted.items():
            found[channel, source, "accepted"] += meter.number
        return found

    def types(self) -> Counter[tuple[str, str]]:
        """Return the accepted events by (type with its version, source)."""
        found: Counter[tuple[str, str]] = Counter()
        for (kind, _, source), meter in self.accepted.items():
            found[str(kind.__struct_config__.tag), source] += meter.number
        return found

    def late(self) -> Counter[str]:
        """Return the accepted events that came late by source; 0 where none did."""
        found: Counter[str] = Counter()
        for (_, _, source), meter in self.accepted.items():
            found[source] += meter.late
        return found

    def of_type(self, wanted: type[Touchpoint]) -> Counter[str]:
        """Return the accepted events of one type by channel."""
        found: Counter[str] = Counter()
        for (kind, channel, _), meter in self.accepted.items():
            if kind is wanted:
                found[channel] += meter.number
        return found

    def moments(self, names: Mapping[int, str]) -> dict[tuple[str, str, str], float]:
        """Return what was felt by (driver, channel, good or bad); a driver of no policy is `other`."""
        found: dict[tuple[str, str, str], float] = {}
        for (_, channel, _), meter in self.accepted.items():
            for code, weight in meter.felt.items():
                key = names.get(abs(code), OTHER), channel, "bad" if code > 0 else "good"
                found[key] = found.get(key, 0.0) + weight
        return found

    def by_channel(self) -> dict[str, Meter]:
        """Return number and newest event time of each channel's events."""
        found: dict[str, Meter] = {}
        for (_, channel, _), meter in self.accepted.items():
            of_all = found.get(channel)
            if of_all is None:
                of_all = found[channel] = Meter()
            of_all.number += meter.number
            if meter.newest_s > of_all.newest_s:  # noqa: PLR1730  # as above
                of_all.newest_s = meter.newest_s
        return found

    def newest_by_source(self) -> dict[str, float]:
        """Return the newest event time of each source."""
        found: dict[str, float] = {}
        for (_, _, source), meter in self.accepted.items():
            found[source] = max(meter.newest_s, found.get(source, 0.0))
        return found

    def add(self, other: "Intake") -> None:
        """Add another intake, but for its arrivals; sources without a label become one here."""
        for (kind, channel, source), each in other.accepted.items():
            self.meter(kind, channel, self.label(source)).add(each)
        add_counts(self.others, other.others)
        add_counts(self.rejects, other.rejects)
