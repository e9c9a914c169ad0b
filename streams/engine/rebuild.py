"""Replaying the inputs from their beginning into a clean table.

Partition by partition: old rows are tombstoned, the inputs replayed, and what the application wants to set
right is written with the marker that says so. Every step is a transaction with the phase in its marker, so
that a rebuild which was broken off goes on where it was, and a worker leaves a half-built partition alone.
"""

import asyncio
import math
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.engine.bare import give_bare
from streams.engine.cluster import bounds, new_producer, reader
from streams.engine.errors import Lost
from streams.engine.handler import Counts, Effects, Handler
from streams.engine.loader import Headway, read_changelog
from streams.engine.marker import Marker, Position, Rebuild, new_marker
from streams.engine.partition import Chunk, Draft, Partition, Transaction
from streams.engine.queue import PartitionQueue
from streams.engine.settings import EngineSettings
from streams.engine.watermark import InputState, watermark
from streams.engine.wire import describe
from streams.engine.writer import Writer, start_all
from streams.errors import CxError, Exit

CLEARING, REPLAYING, DONE = "clearing", "replaying", "done"
TOMBSTONES = 20_000
"""Most tombstones in one transaction."""
POLL_MS = 200
CLAIM_SHOWS_S = 10.0
CLAIM_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the rebuild is with one partition."""

    partition: int
    applied: int
    """Offsets of the inputs replayed."""
    total: int
    rows: int
    """Rows of its own; those that stay through a rebuild are not among them."""
    done: bool = False


@dataclass(frozen=True, slots=True)
class Orders:
    """What the application wants of a rebuild."""

    handler: Handler
    """Replays; what it wants to publish is not written."""
    settle: Callable[[Any, Partition], Awaitable[Effects]]
    """Given a reader and a rebuilt partition, returns what is to be set right at its end."""
    keep: Callable[[bytes], bool]
    """Names the keys of rows that no input can bring back: they stay."""
    check: Callable[[Mapping[bytes, bytes]], object]
    """Raises `CxError` where rows must not be replayed like this, before anything is touched."""
    tell: Callable[[Progress], None]


async def rebuild(settings: EngineSettings, orders: Orders, *, accept_loss: bool = False) -> None:
    """Rebuild every partition, or those that a broken-off rebuild has left.

    Raises `CxError` where records were deleted from an input that the old rows have counted, unless
    `accept_loss`; where there is nothing to rebuild; where another process takes a partition or the broker
    fails: what was done until then stays done.
    """
    mend = "cx rebuild goes on where it was; cx doctor"
    try:
        async with reader(settings) as consumer:
            give_bare(consumer)
            await _rebuild(settings, orders, consumer, accept_loss=accept_loss)
    except Lost as error:
        msg = f"another process took a partition over: {error}"
        raise CxError(msg, mend=f"stop all workers; {mend}", code=Exit.STOPPED) from error
    except (KafkaError, OSError, TimeoutError) as error:
        msg = f"the rebuild was broken off: {str(error) or repr(error)}"
        raise CxError(msg, mend=mend, code=Exit.STOPPED) from error


async def _rebuild(settings: EngineSettings, orders: Orders, consumer: Any, *, accept_loss: bool) -> None:
    markers, starts = await _survey(consumer, settings, orders.check)
    unfinished = {marker.rebuild.id for marker in markers.values() if marker.rebuild and marker.under_rebuild}
    if not (unfinished or accept_loss):
        _refuse_losses(markers, starts)
    name = min(unfinished, default=secrets.token_hex(4))
    left = [number for number, marker in markers.items() if marker.rebuild != Rebuild(name, DONE)]
    async with _writers(settings, left) as writers:
        for number in left:
            # All are claimed before the first is touched: what is left can be told from what is done.
            if not markers[number].under_rebuild:
                await writers[number].write_marker(_marked(markers[number], Rebuild(name, CLEARING)))
        for number, writer in writers.items():
            await _One(settings, number, orders, writer, consumer).run(starts[number])


async def _survey(
    consumer: Any, settings: EngineSettings, check: Callable[[Mapping[bytes, bytes]], object]
) -> tuple[dict[int, Marker], dict[int, dict[str, Position]]]:
    """Return the marker of each partition, and where each of its inputs begins."""
    found = await describe(consumer, (*settings.inputs, settings.changelog))
    if settings.changelog not in found:
        msg = f"{settings.changelog} does not exist: there is nothing to rebuild"
        raise CxError(msg, mend="cx worker", code=Exit.FINDING)
    markers, starts = {}, {}
    for number in range(found[settings.changelog].partitions):
        tps = [TopicPartition(topic, number) for topic in settings.inputs]
        begin, _ = await bounds(consumer, tps)
        starts[number] = {tp.topic: Position(begin[tp], begin[tp], found[tp.topic].topic_id) for tp in tps}
        # One by one: the rows of all together may be more than there is memory.
        loaded = await read_changelog(consumer, settings.changelog, [number])
        check(loaded[number].rows)
        markers[number] = loaded[number].marker or new_marker({tp.topic: begin[tp] for tp in tps})
    return markers, starts


def _refuse_losses(markers: Mapping[int, Marker], starts: Mapping[int, Mapping[str, Position]]) -> None:
    lost = [
        f"{topic}[{number}]: {starts[number][topic].next_offset - position.origin} records"
        for number, marker in markers.items()
        for topic, position in marker.inputs.items()
        if topic in starts[number] and starts[number][topic].next_offset > position.origin
    ]
    if lost:
        msg = (
            f"the rows have counted records that were deleted since, and would forget them: {'; '.join(lost)}"
        )
        raise CxError(msg, mend="cx rebuild --accept-loss, if that is what you want", code=Exit.FINDING)


@asynccontextmanager
async def _writers(settings: EngineSettings, numbers: Collection[int]) -> AsyncIterator[dict[int, Writer]]:
    """Yield a writer for each partition; whoever wrote before is fenced."""
    writers = {number: Writer(settings, number, new_producer(settings, number)) for number in numbers}
    try:
        await start_all(writers.values())
        yield writers
    finally:
        await asyncio.gather(*(writer.close() for writer in writers.values()))


def _marked(marker: Marker, rebuild: Rebuild, **changes: Any) -> Marker:
    return msgspec.structs.replace(marker, rebuild=rebuild, transactions=marker.transactions + 1, **changes)


class _One:
    """The rebuild of one partition."""

    def __init__(
        self, settings: EngineSettings, number: int, orders: Orders, writer: Writer, consumer: Any
    ) -> None:
        self.settings = settings
        self.number = number
        self.orders = orders
        self.writer = writer
        self.consumer = consumer
        self.partition = Partition(number, orders.handler, session=0)
        self._kept = 0

    async def run(self, starts: Mapping[str, Position]) -> None:
        """Clear, replay and settle, each unless it was done before."""
        at = await self._load()
        if at.phase == CLEARING:
            await self._clear(Rebuild(at.id, REPLAYING), starts)
        await self._replay()
        effects = await self.orders.settle(self.consumer, self.partition)
        await self._write(effects, _marked(self.partition.marker, Rebuild(at.id, DONE)))
        self._tell(self.partition.marker, done=True)

    async def _load(self) -> Rebuild:
        """Take the partition as its claim left it, and return where its rebuild stands.

        A broker confirms a transaction a moment before readers see it; until then they see the marker before,
        which may tell of an earlier rebuild that is done.
        """
        deadline_s = time.monotonic() + CLAIM_SHOWS_S
        while True:
            loaded = (await read_changelog(self.consumer, self.settings.changelog, [self.number]))[
                self.number
            ]
            marker = loaded.marker
            if marker is not None and marker.rebuild is not None and marker.under_rebuild:
                self.partition.load(loaded.rows, marker)
                self._kept = sum(map(self.orders.keep, loaded.rows))
                return marker.rebuild
            if time.monotonic() > deadline_s:
                msg = f"partition {self.number}: the marker of the rebuild was overwritten"
                raise Lost(msg)
            await asyncio.sleep(CLAIM_POLL_S)

    async def _clear(self, then: Rebuild, starts: Mapping[str, Position]) -> None:
        old = [key for key in self.partition.rows if not self.orders.keep(key)]
        for first in range(0, len(old), TOMBSTONES):
            marker = self.partition.marker
            gone = Effects(rows=dict.fromkeys(old[first : first + TOMBSTONES]))
            await self._write(gone, msgspec.structs.replace(marker, transactions=marker.transactions + 1))
        # The generation stays: an alert that goes on keeps its id.
        await self._write(
            Effects(), _marked(self.partition.marker, then, inputs=dict(starts), counts=Counts())
        )

    async def _replay(self) -> None:
        inputs = _Inputs(self.consumer, self.settings, self.number)
        await inputs.start(self.partition.marker)
        reached_s = -math.inf
        while await inputs.fill():
            reached_s = max(reached_s, inputs.watermark(self.partition.marker))
            draft = self.partition.draft(reached_s)
            while (room := self._room(draft)) and await inputs.fill():
                for chunk in inputs.take(*room):
                    draft.add(chunk)
            sealed = draft.seal()
            sealed.effects.outputs.clear()
            await self.writer.write(sealed)
            self.partition.commit(sealed)
            self._tell(sealed.marker, left=inputs.left())

    def _room(self, draft: Draft) -> tuple[int, int] | None:
        """Return how many records and bytes `draft` may still take, None where that is nothing."""
        records = self.settings.transaction_records - draft.records
        size = self.settings.transaction_bytes - draft.size
        return (records, size) if records > 0 and size > 0 else None

    async def _write(self, effects: Effects, marker: Marker) -> None:
        transaction = Transaction(self.number, effects, marker, 0, {})
        await self.writer.write(transaction)
        self.partition.commit(transaction)

    def _tell(self, marker: Marker, *, left: int = 0, done: bool = False) -> None:
        applied = marker.counts.total()
        rows = len(self.partition.rows) - self._kept
        self.orders.tell(Progress(self.number, applied, applied + left, rows, done))


class _Inputs:
    """The inputs of one partition side by side, so that they are applied in step."""

    def __init__(self, consumer: Any, settings: EngineSettings, number: int) -> None:
        self.consumer = consumer
        self.settings = settings
        self.queue = PartitionQueue()
        self._number = number
        self.tps = [TopicPartition(topic, number) for topic in settings.inputs]
        self._sequences = dict.fromkeys(settings.inputs, 0)
        self._open: set[TopicPartition] = set()
        """Inputs that have more than was fetched."""
        self._positions: dict[TopicPartition, int] = {}
        self._ends: Mapping[TopicPartition, int] = {}
        self._asked_s = -math.inf

    async def start(self, marker: Marker) -> None:
        """Go to where the marker stands."""
        self.consumer.assign(self.tps)
        for tp in self.tps:
            self._positions[tp] = marker.inputs[tp.topic].next_offset
            self.consumer.seek(tp, self._positions[tp])
        await self._ask()

    async def fill(self) -> bool:
        """Fetch until every input that has more has something waiting; False when all is read."""
        if not (self._open or self.queue):
            await self._ask()  # producers may have gone on meanwhile
        headway = Headway(f"the inputs of partition {self._number}")
        while lacking := [tp for tp in self._open if not self.queue.holds(tp.topic)]:
            most = self.settings.chunk_records
            found = await self.consumer.getmany(*lacking, timeout_ms=POLL_MS, max_records=most)
            for tp in lacking:
                # The position passes commit markers, which no record shows.
                self._positions[tp] = await self.consumer.position(tp)
                if records := found.get(tp):
                    self._put(tp, records)
                if self._positions[tp] >= self._ends[tp]:
                    self._open.discard(tp)
            headway.look(self.left())
        return bool(self.queue)

    def take(self, most_records: int, most_bytes: int) -> Iterator[Chunk]:
        """Yield what is no newer than anything that was not fetched yet."""
        more = [tp.topic for tp in self._open]
        return self.queue.take(most_records, most_bytes, self.queue.until_ms(more))

    def left(self) -> int:
        """Return the offsets that were not fetched yet."""
        return sum(max(0, self._ends[tp] - self._positions[tp]) for tp in self.tps)

    def watermark(self, marker: Marker) -> float:
        """Return the time that every input was read up to."""
        states = []
        for tp in self.tps:
            at = marker.inputs[tp.topic]
            at_end = tp not in self._open and not self.queue.holds(tp.topic)
            next_s = self.queue.next_s(tp.topic)
            states.append(InputState(at_end, self._asked_s, at.last_record_s, at.newest_event_s, next_s))
        return watermark(states, self.settings.clock)

    async def _ask(self) -> None:
        self._asked_s = time.time()
        _, self._ends = await bounds(self.consumer, self.tps)
        self._open = {tp for tp in self.tps if self._positions[tp] < self._ends[tp]}

    def _put(self, tp: TopicPartition, records: list[Any]) -> None:
        after = max(records[-1].offset + 1, self._positions[tp])
        size = sum([len(each.key or b"") + len(each.value or b"") for each in records])
        chunk = Chunk(tp.topic, tp.partition, records, after, self._sequences[tp.topic], 0, size)
        self._sequences[tp.topic] += 1
        self.queue.put(chunk, time.time() * 1000 if self.settings.clock == "wall" else math.inf)
