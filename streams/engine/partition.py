"""The state of one partition and the life of one transaction on it, without any transport.

        draft = partition.draft(watermark_s, caught_up=False)
        draft.add(chunk)                  # once per chunk; refuses holes and old chunks
        for _ in draft.compute(): ...     # applies them step by step; `seal` does what is left of it
        draft.urgent, draft.room          # whether somebody waits for it; how much may still be added
        transaction = draft.seal()        # rows, outputs and the next marker; memory is untouched
        ... written and committed ...
        partition.commit(transaction)     # now memory moves

The Kafka lane and the in-memory log drive the same class: what the simulation proves here holds for both.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec

from streams.engine.errors import Lost, OldSession, Rewound, SequenceHole
from streams.engine.grouping import grouped
from streams.engine.handler import Bucket, Effects, Handler, Record, Run, Standing, Work
from streams.engine.marker import MARKER_KEY, Fingerprint, Marker, Position, fingerprint

GROUP_RECORDS = 512
"""Records of a group of customers, about: what their states take fits into a core's own cache."""


class Chunk(msgspec.Struct):
    """Raw records of one partition of one input topic, in offset order.

    `sequence` numbers the chunks of an input partition from 0 within a `session` (the time between two
    rebalances of this process); `next_offset` is where the input goes on behind the chunk.
    """

    topic: str
    partition: int
    records: Sequence[Record]
    next_offset: int
    sequence: int
    session: int
    size: int = 0
    """Bytes of keys and values."""
    ends: bool = True
    """False for the first part of one that was split: the rest has the same number."""

    def split(self, number: int) -> tuple["Chunk", "Chunk"]:
        """Return the first `number` records and the rest, as chunks; neither is empty."""
        records, size = self.records, self.size * number // len(self.records)
        at = self.topic, self.partition
        first = Chunk(
            *at, records[:number], records[number].offset, self.sequence, self.session, size, ends=False
        )
        rest = Chunk(
            *at, records[number:], self.next_offset, self.sequence, self.session, self.size - size, self.ends
        )
        return first, rest


class Transaction(msgspec.Struct, frozen=True):
    """What is written at once: the effects and the marker that goes with them."""

    partition: int
    effects: Effects
    marker: Marker
    records: int
    expected: Mapping[str, int]

    def changelog(self) -> Iterable[tuple[bytes, bytes | None]]:
        """Yield the rows for the changelog, the marker last."""
        yield from self.effects.rows.items()
        yield MARKER_KEY, self.marker.encode()


class Partition:
    """One state partition: committed rows as bytes, and the marker they were committed with."""

    def __init__(self, number: int, handler: Handler, *, session: int) -> None:
        self.number = number
        self.handler = handler
        self.session = session
        self.rows: dict[bytes, bytes] = {}
        self.expected: dict[str, int] = {}
        """Sequence number of the next chunk by topic."""
        self.dirty = False
        """A transaction has failed: whether it was written is for the log to say."""
        self._marker: Marker | None = None

    @property
    def loaded(self) -> bool:
        """Tell whether the rows and the marker are those of the log."""
        return self._marker is not None and not self.dirty

    @property
    def marker(self) -> Marker:
        """Return the marker of the last commit."""
        if self._marker is None:
            msg = f"partition {self.number} is not loaded"
            raise Lost(msg)
        return self._marker

    def load(self, rows: dict[bytes, bytes], marker: Marker) -> None:
        """Take what the log says."""
        self.rows = rows
        self._marker = marker
        self.dirty = False
        self.expected = {}

    def begin_session(self, session: int) -> None:
        """Keep the memory over a rebalance; chunks are numbered from 0 again."""
        self.session = session
        self.expected = {}

    def draft(self, watermark_s: float, *, caught_up: bool = False) -> "Draft":
        """Start a unit of work on the committed rows; `caught_up`: every input is applied to its end."""
        return Draft(self, watermark_s, caught_up)

    def commit(self, transaction: Transaction) -> None:
        """Move memory to where the log is; called once the transaction is committed."""
        for key, row in transaction.effects.rows.items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self._marker = transaction.marker
        self.expected = dict(transaction.expected)
        self.handler.committed(self.number, transaction.effects)


class _Progress(msgspec.Struct):
    """How far a draft has moved one input."""

    next_offset: int
    last: Fingerprint | None = None


@dataclass(slots=True)
class Draft:
    """A unit of work in the making. Dropping it leaves no trace."""

    partition: Partition
    watermark_s: float
    caught_up: bool
    records: int = 0
    size: int = 0
    """Bytes of keys and values."""
    skipped: int = 0
    _runs: list[Run] = field(default_factory=list)
    """What was added, until it is worked on."""
    _groups: deque[deque[Run]] = field(default_factory=deque)
    """What is left to be applied."""
    _begun: bool = False
    """Something was applied."""
    _progress: dict[str, _Progress] = field(default_factory=dict)
    _expected: dict[str, int] = field(init=False)
    _base: Marker = field(init=False)
    _work: Work = field(init=False)

    def __post_init__(self) -> None:
        partition = self.partition
        self._base = partition.marker
        self._expected = dict(partition.expected)
        standing = Standing(
            self._base.generation,
            self.watermark_s,
            self.caught_up,
            self._base.tokens,
        )
        self._work = partition.handler.begin(partition.number, partition.rows, standing)

    def gap(self, chunk: Chunk) -> int:
        """Return the offsets missing before `chunk`; negative where it starts below the position."""
        return chunk.records[0].offset - self._next(chunk.topic)

    def add(self, chunk: Chunk) -> None:
        """Take a chunk to apply. Raises `OldSession`, `SequenceHole` or `Rewound` if it must not be."""
        if chunk.session != self.partition.session:
            msg = f"{chunk.topic}[{chunk.partition}]: a chunk of session {chunk.session}"
            raise OldSession(msg)
        if chunk.sequence != (wanted := self._expected.get(chunk.topic, 0)):
            msg = f"{chunk.topic}[{chunk.partition}]: chunk {chunk.sequence} where {wanted} was due"
            raise SequenceHole(msg)
        if self.gap(chunk) < 0:
            msg = f"{chunk.topic}[{chunk.partition}]: {-self.gap(chunk)} offsets below the marker"
            raise Rewound(msg)
        self._runs.append((chunk.topic, chunk.records))
        self._expected[chunk.topic] = wanted + chunk.ends
        self.records += len(chunk.records)
        self.size += chunk.size
        self.skipped += chunk.next_offset - self._next(chunk.topic) - len(chunk.records)
        self._progress[chunk.topic] = _Progress(chunk.next_offset, fingerprint(chunk.records[-1]))

    @property
    def urgent(self) -> bool:
        """Tell whether somebody waits for what was applied so far."""
        return self._work.urgent

    @property
    def room(self) -> int:
        """Return how many records may still be added once some were applied.

        All of them are one group then: of its customers more may come, of those of an earlier group not.
        """
        return max(0, GROUP_RECORDS - self.records)

    def compute(self) -> Iterator[None]:
        """Apply what was added, in steps between which others may work.

        A step is a group of customers (see `grouping`) with all of their records. One that is far too large,
        because of a single customer or of records without a key, takes several. The last group is left open
        until `seal`, for what else comes of it within `room`.
        """
        groups = [self._runs] if self._begun else grouped(self._runs, GROUP_RECORDS)
        self._groups.extend(deque(group) for group in groups if group)
        self._runs = []
        self._begun = True
        while self._groups:
            group, number = self._groups[0], 0
            runs: list[Run] = []
            while group and number < 2 * GROUP_RECORDS:
                runs.append(group.popleft())
                number += len(runs[-1][1])
            self._work.apply(runs)
            if not group:
                self._groups.popleft()
                if self._groups:
                    self._work.settle()
            yield

    def sweep(self, keys: Iterable[bytes], now_s: float, *, begins: bool = False) -> None:
        """Evaluate customers at the watermark; `begins`: they are the first of a pass."""
        self._work.sweep(keys, now_s, begins=begins)

    def seal(self) -> Transaction:
        """Return what this work changed, with the marker that goes with it.

        Raises `Inconsistent` where the handler did not give every record exactly one outcome.
        """
        for _ in self.compute():
            pass
        effects = self._work.finish()
        base = self._base
        inputs = dict(base.inputs)
        for topic, progress in self._progress.items():
            inputs[topic] = _moved(base.inputs[topic], progress, effects.newest_event_s.get(topic))
        effects.counts.skipped += self.skipped
        marker = msgspec.structs.replace(
            base,
            inputs=inputs,
            counts=base.counts.plus(effects.counts),
            transactions=base.transactions + 1,
            tokens=_spent(base.tokens, effects.tokens),
        )
        marker.check()
        return Transaction(self.partition.number, effects, marker, self.records, self._expected)

    def _next(self, topic: str) -> int:
        progress = self._progress.get(topic)
        return progress.next_offset if progress else self._base.inputs[topic].next_offset


def _spent(old: dict[str, Bucket], changed: Mapping[str, Bucket | None]) -> dict[str, Bucket]:
    tokens = {**old, **changed}
    if None in changed.values():
        return {name: bucket for name, bucket in tokens.items() if bucket is not None}
    return cast("dict[str, Bucket]", tokens)


def _moved(old: Position, progress: _Progress, newest_event_s: float | None) -> Position:
    newest = old.newest_event_s if newest_event_s is None else max(old.newest_event_s, newest_event_s)
    return Position(progress.next_offset, old.origin, old.topic_id, newest, progress.last)
