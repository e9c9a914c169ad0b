"""The queue of a partition: oldest head first, bytes counted."""

import pytest

from streams.engine.memory import MemoryRecord
from streams.engine.partition import Chunk
from streams.engine.queue import PartitionQueue


def chunk(topic: str, timestamp: int, size: int = 10, sequence: int = 0) -> Chunk:
    """Return a chunk whose first record has `timestamp`."""
    return Chunk(topic, 0, [MemoryRecord(b"k", b"v", (), 0, timestamp)], 1, sequence, 1, size)


@pytest.fixture
def queue() -> PartitionQueue:
    """Return an empty queue."""
    return PartitionQueue()


def test_the_topic_with_the_oldest_head_goes_first(queue: PartitionQueue) -> None:
    """Inputs stay in step while a worker is behind."""
    for each in (chunk("web", 30), chunk("web", 40, sequence=1), chunk("store", 10), chunk("store", 35)):
        queue.put(each)
    order = [(each.topic, each.records[0].timestamp) for each in (queue.pop() for _ in range(4))]
    assert order == [("store", 10), ("web", 30), ("store", 35), ("web", 40)]


def test_the_order_within_a_topic_is_kept(queue: PartitionQueue) -> None:
    """A timestamp that goes back does not let a chunk overtake."""
    queue.put(chunk("web", 50, sequence=0))
    queue.put(chunk("web", 5, sequence=1))
    assert [queue.pop().sequence, queue.pop().sequence] == [0, 1]


def test_bytes_are_counted_by_topic(queue: PartitionQueue) -> None:
    """What waits is known, so that fetching can stop in time."""
    queue.put(chunk("web", 1, size=100))
    queue.put(chunk("store", 2, size=5))
    assert (queue.waiting("web"), queue.waiting("store"), queue.waiting("none"), queue.bytes) == (
        100,
        5,
        0,
        105,
    )
    queue.pop()
    assert (queue.waiting("web"), queue.bytes, queue.records) == (0, 5, 1)


def test_a_cleared_queue_is_empty(queue: PartitionQueue) -> None:
    """Nothing is left and nothing is counted."""
    queue.put(chunk("web", 1))
    assert queue
    queue.clear()
    assert not queue
    assert (queue.bytes, queue.records, queue.waiting("web")) == (0, 0, 0)
