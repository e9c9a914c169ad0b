"""The in-memory log: topics, offsets and transactions of one process, for the demo and for the simulation.

        log = MemoryLog()
        worker = MemoryWorker(log, settings, handler)     # creates what is missing
        worker.assign(range(4))
        log.append("cx.touchpoints.web", key, value, timestamp_ms=...)
        worker.step(0)                                    # what was appended to partition 0 is applied
        worker.sweep_due()

A worker here drives the same `Partition`, marker, queue and watermark as the lane on Kafka; only the
transport is another. Nothing survives the process.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import time

from aiokafka.partitioner import murmur2

from streams.engine.errors import Fenced
from streams.engine.handler import Handler
from streams.engine.loader import Loaded, find_marker, take
from streams.engine.marker import new_marker
from streams.engine.partition import Chunk, Draft, Partition, Transaction
from streams.engine.queue import PartitionQueue
from streams.engine.settings import EngineSettings
from streams.engine.sweep import SweepCursor
from streams.engine.watermark import InputState, watermark

SWEEP_SLICE = 500
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class MemoryRecord:
    """A record; `timestamp` in ms since the epoch."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    offset: int
    timestamp: int


class MemoryLog:
    """Topics as lists. Only committed records are ever in them: every reader is a read_committed one."""

    def __init__(self, partitions: int = 4) -> None:
        self.partitions = partitions
        self._topics: dict[str, list[list[MemoryRecord]]] = {}
        self._epochs: dict[str, int] = {}

    def create(self, topic: str) -> None:
        """Create a topic unless it is there."""
        self._topics.setdefault(topic, [[] for _ in range(self.partitions)])

    def partition_for(self, key: bytes | None) -> int:
        """Return the partition of a key as Kafka's default partitioner has it; without a key: 0."""
        return (murmur2(key) & 0x7FFFFFFF) % self.partitions if key else 0

    def append(  # a record has so many parts
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: int | None = None,
    ) -> int:
        """Append a record, by default now and where its key belongs; return its offset."""
        number = self.partition_for(key) if partition is None else partition
        records = self._topics[topic][number]
        at_ms = int(time() * 1000) if timestamp_ms is None else timestamp_ms
        records.append(MemoryRecord(key, value, headers, len(records), at_ms))
        return len(records) - 1

    def read(
        self, topic: str, partition: int, offset: int = 0, most: int | None = None
    ) -> Sequence[MemoryRecord]:
        """Return records from `offset` on."""
        records = self._topics[topic][partition]
        return records[offset : len(records) if most is None else offset + most]

    def end(self, topic: str, partition: int) -> int:
        """Return the offset behind the last record."""
        return len(self._topics[topic][partition])

    def fence(self, transactional_id: str) -> int:
        """Return a new epoch for `transactional_id`; every earlier one can commit nothing any more."""
        self._epochs[transactional_id] = self._epochs.get(transactional_id, -1) + 1
        return self._epochs[transactional_id]

    def commit(
        self, transactional_id: str, epoch: int, changelog: str, transaction: Transaction, timestamp_ms: int
    ) -> None:
        """Make everything that `transaction` carries visible at once. Raises `Fenced` for an old epoch."""
        if epoch != self._epochs.get(transactional_id):
            msg = f"{transactional_id}: epoch {epoch} is fenced"
            raise Fenced(msg)
        number = transaction.partition
        for key, value in transaction.changelog():
            self.append(changelog, key, value, timestamp_ms=timestamp_ms, partition=number)
        for each in transaction.effects.outputs:
            self.append(
                each.topic,
                each.key,
                each.value,
                headers=each.headers,
                timestamp_ms=timestamp_ms,
                partition=number,
            )


@dataclass(slots=True)
class _Held:
    """A partition that a worker holds."""

    state: Partition
    epoch: int
    sweep: SweepCursor
    queue: PartitionQueue = field(default_factory=PartitionQueue)
    fetched: dict[str, int] = field(default_factory=dict)
    """Offset to fetch next, by topic."""
    sequences: dict[str, int] = field(default_factory=dict)
    watermark_s: float = -math.inf


class MemoryWorker:
    """Works on partitions of a `MemoryLog`, step by step, in the caller's thread.

    `poll`, `compute`, `write` and `confirm` are the steps between which a process may die; `step` takes them
    all for one partition.
    """

    def __init__(
        self, log: MemoryLog, settings: EngineSettings, handler: Handler, *, now: Callable[[], float] = time
    ) -> None:
        self.log = log
        self.settings = settings
        self.handler = handler
        self.now = now
        self.session = 0
        self._held: dict[int, _Held] = {}
        for topic in (*settings.inputs, *settings.outputs, settings.changelog):
            log.create(topic)

    @property
    def partitions(self) -> tuple[int, ...]:
        """Return the partitions held."""
        return tuple(self._held)

    def state(self, number: int) -> Partition:
        """Return the state of a partition held."""
        return self._held[number].state

    def sweep_passes(self, number: int) -> int:
        """Return the passes of the sweep that were finished on a partition held."""
        return self._held[number].sweep.passes

    def assign(self, numbers: Iterable[int]) -> None:
        """Hold exactly `numbers`: those held before keep their memory unless they are dirty."""
        self.session += 1
        before, self._held = self._held, {}
        for number in numbers:
            held = before.get(number)
            if held is not None and held.state.loaded:
                held.state.begin_session(self.session)
                self._held[number] = self._rewound(held)
            else:
                self.load(number)

    def load(self, number: int) -> None:
        """Fence whoever held the partition, then take from the log what it says."""
        epoch = self.log.fence(self.settings.transactional_id(number))
        loaded = self._read(number)
        state = Partition(number, self.handler, session=self.session)
        starts = dict.fromkeys(self.settings.inputs, 0)
        state.load(loaded.rows, loaded.marker or new_marker(starts))
        sweep = SweepCursor(self.settings.sweep_interval_s, SWEEP_SLICE)
        self._held[number] = self._rewound(_Held(state, epoch, sweep))

    def poll(self, number: int, most: int | None = None) -> int:
        """Fetch the next records of the inputs that are behind into the queue; return how many."""
        held, count = self._held[number], 0
        more = self._more(held)
        for topic in [topic for topic in more if held.queue.wants(topic, more)]:
            records = self.log.read(topic, number, held.fetched[topic], most or self.settings.chunk_records)
            held.queue.put(self._chunk(held, topic, records))
            count += len(records)
        return count

    def compute(self, number: int, most_records: float = math.inf) -> Transaction | None:
        """Apply what waits, inputs in step; return what is to be written, None if nothing. Raises `Lost`."""
        draft = self.begin(number)
        if draft is None:
            return None
        self.gather(number, draft, most_records)
        return draft.seal()

    def begin(self, number: int) -> Draft | None:
        """Return a new unit of work, None where nothing may be applied."""
        held = self._held[number]
        if not self.ready(number):
            return None
        return held.state.draft(self.watermark(number), caught_up=self._at_end(held))

    def ready(self, number: int) -> int:
        """Return how many records may be applied."""
        queue = self._held[number].queue
        return queue.ready(queue.until_ms(self._more(self._held[number])))

    def gather(self, number: int, draft: Draft, most_records: float = math.inf) -> None:
        """Let a unit of work apply what waits, inputs in step. Raises `Lost`."""
        held = self._held[number]
        for chunk in held.queue.take(most_records, math.inf, held.queue.until_ms(self._more(held))):
            draft.add(chunk)
        for _ in draft.compute():
            pass

    def write(self, transaction: Transaction) -> None:
        """Commit to the log. Raises `Fenced` where the partition was taken over."""
        number = transaction.partition
        held = self._held[number]
        try:
            self.log.commit(
                self.settings.transactional_id(number),
                held.epoch,
                self.settings.changelog,
                transaction,
                int(self.now() * 1000),
            )
        except Fenced:
            held.state.dirty = True
            raise

    def confirm(self, transaction: Transaction) -> None:
        """Move memory to where the log is."""
        self._held[transaction.partition].state.commit(transaction)

    def step(self, number: int) -> int:
        """Poll, compute, write and confirm once for one partition; return the records applied."""
        self.poll(number)
        transaction = self.compute(number)
        if transaction is None:
            return 0
        self.write(transaction)
        self.confirm(transaction)
        return transaction.records

    def sweep_due(self) -> int:
        """Visit the customers whose turn it is on every partition; return how many."""
        return sum(self._sweep_one(number) for number in self._held)

    def sweep(self, number: int, keys: Sequence[bytes], *, begins: bool = False) -> Transaction | None:
        """Evaluate `keys` at the watermark; return what is to be written, None if nothing changed.

        `begins`: they are the first of a pass.
        """
        now_s = self.watermark(number)
        if now_s == -math.inf:
            return None
        held = self._held[number]
        draft = held.state.draft(now_s, caught_up=self._at_end(held))
        draft.sweep(keys, now_s, begins=begins)
        transaction = draft.seal()
        return transaction if transaction.effects else None

    def watermark(self, number: int) -> float:
        """Return the watermark of a partition; it never goes back."""
        held = self._held[number]
        now_s = watermark((self._input(held, topic) for topic in self.settings.inputs), self.settings.clock)
        held.watermark_s = max(held.watermark_s, now_s)
        return held.watermark_s

    def _sweep_one(self, number: int) -> int:
        held = self._held[number]
        now_s = self.watermark(number)
        if now_s == -math.inf:
            return 0
        if self.settings.clock == "event":
            keys = held.sweep.due(held.state.rows, now_s, stands=self._at_end(held))
        else:
            keys = held.sweep.due(held.state.rows, self.now())
        # Also with no customer due: the handler may have something to do with time itself.
        transaction = None
        if held.state.rows:
            transaction = self.sweep(number, keys, begins=held.sweep.begins)
        if transaction is not None:
            self.write(transaction)
            self.confirm(transaction)
        return len(keys)

    def _more(self, held: _Held) -> list[str]:
        """Return the inputs of which the log has more than was fetched."""
        number = held.state.number
        return [topic for topic in self.settings.inputs if held.fetched[topic] < self.log.end(topic, number)]

    def _at_end(self, held: _Held) -> bool:
        return all(self._input(held, topic).at_end for topic in self.settings.inputs)

    def _input(self, held: _Held, topic: str) -> InputState:
        position = held.state.marker.inputs[topic]
        at_end = position.next_offset >= self.log.end(topic, held.state.number)
        return InputState(at_end, self.now(), position.last_record_s, position.newest_event_s)

    def _chunk(self, held: _Held, topic: str, records: Sequence[MemoryRecord]) -> Chunk:
        after = records[-1].offset + 1
        held.fetched[topic] = after
        sequence = held.sequences.get(topic, 0)
        held.sequences[topic] = sequence + 1
        return Chunk(topic, held.state.number, records, after, sequence, self.session)

    def _rewound(self, held: _Held) -> _Held:
        """Seek every input to the marker."""
        held.queue.clear()
        held.sequences = {}
        held.fetched = {topic: at.next_offset for topic, at in held.state.marker.inputs.items()}
        return held

    def _read(self, number: int) -> Loaded:
        loaded = Loaded()
        take(loaded, self.log.read(self.settings.changelog, number))
        find_marker(f"{self.settings.changelog}[{number}]", loaded)
        return loaded
