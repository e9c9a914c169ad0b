"""What the engine asks of the code it drives: work on one state partition, then the effects of that work.

The engine delivers records and writes effects; it knows nothing of scores. A `Handler` computes and writes
nothing. Rows in memory are the bytes that the changelog holds. They change only after the transaction that
carried them was committed, so memory is never ahead of the log.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


class Record(Protocol):
    """A raw Kafka record, as aiokafka's batches have it."""

    @property
    def key(self) -> bytes | None:
        """Customer id as the producer keyed it."""
        ...

    @property
    def value(self) -> bytes | None:
        """The touchpoint, or None for a tombstone."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Kafka headers; one may have no value."""
        ...

    @property
    def offset(self) -> int:
        """Offset in its partition."""
        ...

    @property
    def timestamp(self) -> int:
        """Record timestamp, ms since the epoch."""
        ...


class Counts(msgspec.Struct, array_like=True):
    """Outcomes of records; together they equal the offsets that the inputs have moved (guarantee G4)."""

    accepted: int = 0
    duplicate: int = 0
    anonymous: int = 0
    suppressed: int = 0
    rejected: int = 0
    skipped: int = 0
    """Offsets that carried no record: transaction markers, compaction, deleted records."""

    def total(self) -> int:
        """Return the sum over all outcomes."""
        return (
            self.accepted + self.duplicate + self.anonymous + self.suppressed + self.rejected + self.skipped
        )

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum of both, outcome by outcome."""
        return Counts(
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            self.anonymous + other.anonymous,
            self.suppressed + other.suppressed,
            self.rejected + other.rejected,
            self.skipped + other.skipped,
        )


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record to write to an output topic, at the state partition's number. `value` None is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Bucket(msgspec.Struct, array_like=True, frozen=True):
    """A token bucket as of a moment: the handler refills it from the time that went by since."""

    level: float
    at_s: float
    """When it held `level`, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a state partition stands when a unit of work on it begins."""

    generation: str
    """Random id made with the changelog partition; part of every alert id."""
    watermark_s: float
    """Time up to which every input was read, seconds since the epoch; -inf where unknown."""
    newest_event_s: Mapping[str, float] = field(default_factory=dict)
    """Newest event time applied per input topic; an input without an event yet is not in it."""
    caught_up: bool = False
    """Everything that every input holds was applied when this work began. Chunks that wait for this very work
    make it False, so it speaks for the sweep."""
    tokens: Mapping[str, Bucket] = field(default_factory=dict)
    """Token buckets by the handler's own names, as the last transaction left them."""


@dataclass(slots=True)
class Effects:
    """What one transaction carries, beside the marker that the engine adds."""

    rows: dict[bytes, bytes | None] = field(default_factory=dict)
    """Changed rows by customer key, packed; None is a tombstone."""
    outputs: list[Output] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    """Outcomes of the records applied (`skipped` is the engine's)."""
    newest_event_s: dict[str, float] = field(default_factory=dict)
    """Newest event time applied per input topic, seconds since the epoch."""
    tokens: dict[str, Bucket | None] = field(default_factory=dict)
    """Token buckets that changed; they travel in the marker, so that a crash neither refills nor empties one.
    None takes a bucket away. They alone make no transaction: whoever takes a token writes something too."""

    def __bool__(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(self.rows or self.outputs or self.counts.total())


class Work(Protocol):
    """One unit of work on one state partition. It is dropped whole when its transaction fails."""

    def apply(self, topic: str, records: Sequence[Record]) -> None:
        """Apply records of one input topic in offset order. `topic` is the full name, prefix included."""
        ...

    def sweep(self, keys: Iterable[bytes], now_s: float) -> None:
        """Evaluate the customers in `keys` at the watermark `now_s` (seconds since the epoch).

        Called at every tick of the sweep, with no keys where nobody's turn has come.
        """
        ...

    def finish(self) -> Effects:
        """Return everything that this work changed. Called once."""
        ...


class Handler(Protocol):
    """The application on top of the engine. One per worker."""

    def begin(self, partition: int, rows: Mapping[bytes, bytes], standing: Standing) -> Work:
        """Start a unit of work on `partition`; `rows` are the committed rows, never mutated by the work."""
        ...

    def committed(self, partition: int, effects: Effects) -> None:
        """Hear that the transaction carrying `effects` was committed: the place to count metrics."""
        ...
