"""Who sent what: records by channel, source, type and outcome, and how late they came."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from schemas.envelope import Touchpoint

OTHER: Final = "other"
UNKNOWN: Final = "unknown"
"""The source of a record that does not say it in a form that can be read."""
MOST_SOURCES: Final = 20
"""Sources of the policy's list with a label of their own: whatever the policy lists, series stay bounded."""
LATE_S: Final = 3600.0
"""An event that reaches the log later than this after it was recorded is late."""
TICK_MS: Final = 100
"""Record timestamps are remembered to a tenth of a second until their transaction is committed."""


class _Sourced(msgspec.Struct, gc=False):
    """What is still looked for in a record that was rejected."""

    source: str | None = None


_SOURCED: Final = msgspec.json.Decoder(_Sourced)


def named_sources(sources: Sequence[str]) -> frozenset[str]:
    """Return the sources that get a label of their own."""
    return frozenset(sources[:MOST_SOURCES])


def source_of(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> str:
    """Return the source that a rejected record names; `UNKNOWN` where it does not."""
    for name, content in headers:
        if name == "ce_source":
            return content.decode("utf-8", "replace")
    try:
        return _SOURCED.decode(value or b"").source or UNKNOWN
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return UNKNOWN


@dataclass(slots=True)
class Intake:
    """Counters of the records of one transaction, or of everything that was committed."""

    sources: frozenset[str] = frozenset()
    """Those with a label of their own; the others count as `OTHER`."""
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By (channel, source, outcome): accepted, duplicate, anonymous, suppressed."""
    types: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Accepted events by (type with its version, source)."""
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (source, reason)."""
    late: Counter[str] = field(default_factory=Counter)
    """Accepted events by source that came more than an hour after they were recorded."""
    newest_event_s: dict[str, float] = field(default_factory=dict)
    """By source."""
    arrivals: Counter[int] = field(default_factory=Counter)
    """Records by record timestamp in ticks; drained when committed."""

    def label(self, source: str) -> str:
        """Return the label of a source."""
        return source if source in self.sources or source == UNKNOWN else OTHER

    def accepted(self, event: Touchpoint, channel: str, event_s: float, record_s: float) -> None:
        """Count an accepted event."""
        source = self.label(event.source)
        self.outcomes[channel, source, "accepted"] += 1
        self.types[event.type, source] += 1
        recorded = event.recordedtime
        if record_s - (event_s if recorded is None else recorded.timestamp()) > LATE_S:
            self.late[source] += 1
        if event_s > self.newest_event_s.get(source, 0.0):
            self.newest_event_s[source] = event_s

    def seen(self, event: Touchpoint, channel: str, outcome: str) -> None:
        """Count an event that was read and not applied: duplicate, anonymous or suppressed."""
        self.outcomes[channel, self.label(event.source), outcome] += 1

    def rejected(self, value: bytes | None, headers: Sequence[tuple[str, bytes]], reason: str) -> None:
        """Count a rejected record under the source that it names."""
        source = self.label(source_of(value, headers)) if self.sources else OTHER
        self.rejects[source, reason] += 1

    def add(self, other: "Intake") -> None:
        """Add another intake, but for its arrivals."""
        self.outcomes.update(other.outcomes)
        self.types.update(other.types)
        self.rejects.update(other.rejects)
        self.late.update(other.late)
        for source, event_s in other.newest_event_s.items():
            if event_s > self.newest_event_s.get(source, 0.0):
                self.newest_event_s[source] = event_s

    def copy(self) -> "Intake":
        """Return an intake with the same counts, but for arrivals, that shares nothing with this one."""
        copy = Intake(self.sources)
        copy.add(self)
        return copy
