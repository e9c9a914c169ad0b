"""What the engine asks of the code it drives: work on one state partition, then the effects of that work.

The engine delivers records and writes effects; it knows nothing of scores. A `Handler` computes and writes
nothing. Rows in memory are the bytes that the changelog holds. They change only after the transaction that
carried them was committed, so memory is never ahead of the log.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from streams.engine.effects import Effects
from streams.engine.parts import Bucket, Counts, Output

__all__ = ["Bucket", "Counts", "Effects", "Handler", "Output", "Record", "Run", "Standing", "Work"]


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


Run = tuple[str, Sequence[Record]]
"""Records of one input in offset order, with the full name of its topic, prefix included."""


class Standing(msgspec.Struct, frozen=True):
    """Where a state partition stands when a unit of work on it begins."""

    generation: str
    """Random id made with the changelog partition; part of every alert id."""
    watermark_s: float
    """Time up to which every input was read, seconds since the epoch; -inf where unknown."""
    caught_up: bool = False
    """Everything that every input holds was applied when this work began. Chunks that wait for this very work
    make it False, so it speaks for the sweep."""
    tokens: dict[str, Bucket] = {}
    """Token buckets by the handler's own names, as the last transaction left them."""


class Work(Protocol):
    """One unit of work on one state partition. It is dropped whole when its transaction fails."""

    @property
    def urgent(self) -> bool:
        """Tell whether somebody waits for what was done so far; what else there is may gather."""
        ...

    def apply(self, runs: Sequence[Run]) -> None:
        """Apply records, run by run.

        A customer's records come in the order in which they were read; of different customers they do not.
        """
        ...

    def settle(self) -> None:
        """Hear that nothing more comes of the customers applied so far, no sweep either."""
        ...

    def sweep(self, keys: Iterable[bytes], now_s: float, *, begins: bool = False) -> None:
        """Evaluate the customers in `keys` at the watermark `now_s` (seconds since the epoch).

        Called at every tick of the sweep, with no keys where nobody's turn has come. `begins`: a pass over
        those who have a row by now begins; one that was under way goes no further.
        """
        ...

    def finish(self) -> Effects:
        """Return everything that this work changed. Called once."""
        ...


class Handler(Protocol):
    """The application on top of the engine. One per worker."""

    def begin(self, partition: int, rows: dict[bytes, bytes], standing: Standing) -> Work:
        """Start a unit of work on `partition`; `rows` are the committed rows, never mutated by the work."""
        ...

    def committed(self, partition: int, effects: Effects) -> None:
        """Hear that the transaction carrying `effects` was committed: the place to count metrics."""
        ...
