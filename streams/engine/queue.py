"""Chunks of one state partition that wait to be applied, and what keeps its inputs in step.

Each input comes at its own pace, and on a backlog the largest ends last. Records are taken in slices of time,
by Kafka's timestamps, and none is taken that is newer than what the broker still has of another input: an act
and the call about it are applied in their order.
"""

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from operator import attrgetter

import msgspec

from streams.engine.partition import Chunk

SLICE_RECORDS = 6_000
"""Records of a slice of time, about: within one, each input has a run of its own. Shorter runs cost more."""
SLICE_MS = 60_000
"""Its length in time, at most: where little comes, so many records are the work of days."""

_timestamp = attrgetter("timestamp")


class Waiting(msgspec.Struct):
    """A chunk in the queue."""

    chunk: Chunk
    end_ms: float
    """Timestamp of its last record whose producer's clock may be right."""


class PartitionQueue:
    """A queue per input topic."""

    def __init__(self) -> None:
        self._topics: dict[str, deque[Waiting]] = {}
        self._fetched_ms: dict[str, float] = {}
        """Timestamp up to which records came, by topic."""
        self._came: dict[str, int] = {}
        self._overlooked: set[str] = set()
        """Topics for which the others no longer wait."""
        self.bytes = 0
        self.records = 0

    def __bool__(self) -> bool:
        return self.records > 0

    def put(self, chunk: Chunk, now_ms: float = math.inf) -> None:
        """Add a chunk behind the others of its topic.

        What is newer than `now_ms` counts as being as old as what came before: because of one clock that is
        wrong, an input would wait until all others have ended.
        """
        topic = chunk.topic
        before_ms = self._fetched_ms.get(topic, now_ms)
        end_ms = next((at for each in reversed(chunk.records) if (at := each.timestamp) <= now_ms), before_ms)
        queue = self._topics.setdefault(topic, deque())
        # Nothing that waits is newer, so that the first chunk of whoever is behind can always be taken.
        self._fetched_ms[topic] = max(end_ms, before_ms) if queue else end_ms
        queue.append(Waiting(chunk, end_ms))
        self._came[topic] = chunk.sequence + 1
        self._overlooked.discard(topic)
        self._count(chunk.size, len(chunk.records))

    def take(self, most_records: float, most_bytes: float, until_ms: float = math.inf) -> Iterator[Chunk]:
        """Yield what is no newer than `until_ms`, slice by slice; none is begun from either bound on."""
        few = self.records <= min(SLICE_RECORDS, most_records) and self.bytes <= most_bytes
        if few and until_ms == math.inf and self._is_one_slice():
            yield from self._all()
            return
        records = size = 0
        while records < most_records and size < most_bytes:
            taken = self._slice(min(SLICE_RECORDS, most_records - records), most_bytes - size, until_ms)
            if not taken:
                return
            records += sum(len(chunk.records) for chunk in taken)
            size += sum(chunk.size for chunk in taken)
            yield from taken

    def ready(self, until_ms: float) -> int:
        """Return how many records are no newer than `until_ms`; 0 only where nothing can be taken."""
        if until_ms == math.inf:
            return self.records
        return sum(_ready(queue, until_ms) for queue in self._topics.values())

    def until_ms(self, more: Collection[str]) -> float:
        """Return the timestamp up to which records may be taken where the broker has more of `more`.

        It is that of the last record of the topic that is furthest behind.
        """
        return min(
            (self._last_ms(topic) for topic in more if topic not in self._overlooked), default=math.inf
        )

    def wants(self, topic: str, more: Collection[str]) -> bool:
        """Tell whether more of a topic is of use now: not while what there is has to wait for another."""
        return topic not in more or not self.holds(topic) or self._last_ms(topic) <= self.until_ms(more)

    def overlook(self, more: Collection[str]) -> None:
        """Wait no longer for those of which nothing is here, until something comes."""
        self._overlooked.update(topic for topic in more if not self._topics.get(topic))

    def holds(self, topic: str) -> bool:
        """Tell whether something of `topic` waits."""
        return bool(self._topics.get(topic))

    def next_s(self, topic: str) -> float:
        """Return the timestamp of what waits first of `topic`, seconds since the epoch; -inf for nothing."""
        queue = self._topics.get(topic)
        return queue[0].chunk.records[0].timestamp / 1000 if queue else -math.inf

    def came(self, topic: str) -> int:
        """Return the number of the next chunk to come of `topic`."""
        return self._came.get(topic, 0)

    def clear(self) -> None:
        """Drop everything."""
        self._topics.clear()
        self._came.clear()
        self._fetched_ms.clear()
        self._overlooked.clear()
        self.bytes = self.records = 0

    def _last_ms(self, topic: str) -> float:
        return self._fetched_ms.get(topic, -math.inf)

    def _is_one_slice(self) -> bool:
        """Tell whether what waits is from a time that is short enough."""
        queues = self._heads()
        return max((queue[-1].end_ms for queue in queues), default=0.0) <= _slice_end_ms(queues)

    def _all(self) -> list[Chunk]:
        """Remove and return everything, the topic with the oldest head first."""
        queues = [queue for queue in self._topics.values() if queue]
        queues.sort(key=lambda queue: queue[0].chunk.records[0].timestamp)
        taken = [waiting.chunk for queue in queues for waiting in queue]
        for queue in queues:
            queue.clear()
        self.bytes = self.records = 0
        return taken

    def _slice(self, most_records: float, most_bytes: float, until_ms: float) -> list[Chunk]:
        """Remove and return one slice of time, topic by topic; empty where all is newer than `until_ms`.

        It grows by the chunk that ends first, with what the other topics have up to there.
        """
        found: dict[str, list[Chunk]] = {}
        records = size = 0
        until_ms = min(until_ms, _slice_end_ms(self._heads()))
        while records < most_records and size < most_bytes and (queues := self._heads()):
            end_ms = min(until_ms, *(queue[0].end_ms for queue in queues))
            taken = [chunk for queue in queues if (chunk := self._cut(queue, end_ms)) is not None]
            if not taken:
                break
            for chunk in taken:
                found.setdefault(chunk.topic, []).append(chunk)
                records += len(chunk.records)
                size += chunk.size
        return [chunk for chunks in found.values() for chunk in chunks]

    def _heads(self) -> list[deque[Waiting]]:
        return [queue for queue in self._topics.values() if queue]

    def _cut(self, queue: deque[Waiting], end_ms: float) -> Chunk | None:
        """Remove and return what the first chunk has up to `end_ms`, None where that is nothing."""
        chunk = queue[0].chunk
        number = _upto(queue[0], end_ms)
        if not number:
            return None
        if number == len(chunk.records):
            queue.popleft()
        else:
            chunk, queue[0].chunk = chunk.split(number)
        self._count(-chunk.size, -number)
        return chunk

    def _count(self, size: int, records: int) -> None:
        self.bytes += size
        self.records += records


def _slice_end_ms(queues: Iterable[deque[Waiting]]) -> float:
    """Return the timestamp up to which a slice goes that begins with the first of `queues`."""
    return SLICE_MS + min((queue[0].chunk.records[0].timestamp for queue in queues), default=0)


def _ready(queue: Iterable[Waiting], until_ms: float) -> int:
    """Return how many records of a topic are no newer: none behind one that has to wait."""
    ready = 0
    for waiting in queue:
        number = _upto(waiting, until_ms)
        ready += number
        if number < len(waiting.chunk.records):
            break
    return ready


def _upto(waiting: Waiting, end_ms: float) -> int:
    """Return how many records come before the first that is newer; about, where time goes back in between.

    A chunk whose end is not newer is taken whole, so that there is always something to take.
    """
    records = waiting.chunk.records
    return len(records) if waiting.end_ms <= end_ms else bisect_right(records, end_ms, key=_timestamp)
