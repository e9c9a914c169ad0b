"""Chunks of one state partition that wait to be applied."""

from collections import deque

from streams.engine.partition import Chunk


class PartitionQueue:
    """A queue per input topic; the topic whose head is oldest goes first, so that inputs stay in step."""

    def __init__(self) -> None:
        self._topics: dict[str, deque[Chunk]] = {}
        self._bytes: dict[str, int] = {}
        self.bytes = 0
        self.records = 0

    def __bool__(self) -> bool:
        return any(self._topics.values())

    def put(self, chunk: Chunk) -> None:
        """Add a chunk behind the others of its topic."""
        self._topics.setdefault(chunk.topic, deque()).append(chunk)
        self._count(chunk.topic, chunk.size, len(chunk.records))

    def pop(self) -> Chunk:
        """Return the chunk whose first record is oldest among the heads; the queue is not empty."""
        heads = [queue for queue in self._topics.values() if queue]
        oldest = heads[0] if len(heads) == 1 else min(heads, key=lambda queue: queue[0].records[0].timestamp)
        chunk = oldest.popleft()
        self._count(chunk.topic, -chunk.size, -len(chunk.records))
        return chunk

    def waiting(self, topic: str) -> int:
        """Return the bytes that wait of `topic`."""
        return self._bytes.get(topic, 0)

    def clear(self) -> None:
        """Drop everything."""
        self._topics.clear()
        self._bytes.clear()
        self.bytes = self.records = 0

    def _count(self, topic: str, size: int, records: int) -> None:
        self._bytes[topic] = self._bytes.get(topic, 0) + size
        self.bytes += size
        self.records += records
