"""The queue of a partition: slices of time, inputs in step, bytes counted."""

import math
from itertools import groupby
from random import Random

import pytest

from streams.engine import queue as module
from streams.engine.memory import MemoryRecord
from streams.engine.partition import Chunk
from streams.engine.queue import PartitionQueue


def chunk(topic: str, *timestamps: int, size: int = 10, sequence: int = 0) -> Chunk:
    """Return a chunk whose records have `timestamps`."""
    records = [MemoryRecord(b"k", b"v", (), offset, at_ms) for offset, at_ms in enumerate(timestamps)]
    return Chunk(topic, 0, records, len(records), sequence, 1, size)


def taken(queue: PartitionQueue, *bounds: float) -> list[tuple[str, list[int]]]:
    """Return what is taken: topics and timestamps."""
    most = bounds or (math.inf, math.inf)
    return [(each.topic, [record.timestamp for record in each.records]) for each in queue.take(*most)]


@pytest.fixture
def queue() -> PartitionQueue:
    """Return an empty queue."""
    return PartitionQueue()


@pytest.fixture
def _records_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SLICE_RECORDS", 1)


def test_few_records_are_taken_as_they_came(queue: PartitionQueue) -> None:
    """The topic with the oldest head goes first; nothing is split."""
    for each in (chunk("web", 30, 50), chunk("web", 60, sequence=1), chunk("store", 10, 90)):
        queue.put(each)
    assert taken(queue) == [("store", [10, 90]), ("web", [30, 50]), ("web", [60])]
    assert (bool(queue), queue.bytes, queue.records) == (False, 0, 0)


def test_few_of_a_long_time_are_taken_in_slices_of_time(queue: PartitionQueue) -> None:
    """Where little comes, a whole backlog would go topic by topic: an hour's calls before its first act."""
    minute = 60_000
    queue.put(chunk("web", 0, 1, 2 * minute, 5 * minute))
    queue.put(chunk("store", 5, 3 * minute, 4 * minute))
    found = [(topic, [at_ms // minute for at_ms in times]) for topic, times in taken(queue)]
    assert found == [
        ("web", [0, 0]),
        ("store", [0]),
        ("web", [2]),
        ("store", [3]),
        ("store", [4]),
        ("web", [5]),
    ]


@pytest.mark.usefixtures("_records_alone")
def test_many_are_taken_in_slices_of_time(queue: PartitionQueue) -> None:
    """A slice ends with the chunk that ends first; the others give what they have up to there."""
    for each in (chunk("web", 10, 20), chunk("web", 30, 40, sequence=1), chunk("store", 15, 35)):
        queue.put(each)
    assert taken(queue) == [("web", [10, 20]), ("store", [15]), ("web", [30]), ("store", [35]), ("web", [40])]


def test_within_a_slice_each_topic_has_a_run_of_its_own(
    queue: PartitionQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short runs would cost more."""
    monkeypatch.setattr(module, "SLICE_RECORDS", 4)
    for number in range(3):
        queue.put(chunk("web", number * 10, number * 10 + 1, sequence=number))
        queue.put(chunk("store", number * 10, sequence=number))
    runs = [
        (topic, [at_ms for _, times in parts for at_ms in times])
        for topic, parts in groupby(taken(queue), lambda part: part[0])
    ]
    assert runs == [("web", [0, 1, 10]), ("store", [0, 10]), ("web", [11, 20, 21]), ("store", [20])]


@pytest.mark.usefixtures("_records_alone")
@pytest.mark.parametrize("bounds", [(2, math.inf), (math.inf, 2)])
def test_what_is_taken_is_bounded_and_in_step(queue: PartitionQueue, bounds: tuple[float, float]) -> None:
    """From either bound on no slice is begun; what is left is no older than what was taken."""
    for number in range(3):
        for topic in ("web", "store"):
            queue.put(chunk(topic, number * 10 + len(topic), size=1, sequence=number))
    assert taken(queue, *bounds) == [("web", [3]), ("store", [5])]
    assert (queue.bytes, queue.records) == (4, 4)


def test_large_records_are_not_taken_all_at_once(queue: PartitionQueue) -> None:
    """Few records may be more than a transaction's bytes."""
    queue.put(chunk("web", 1, size=100))
    queue.put(chunk("web", 2, size=100, sequence=1))
    assert taken(queue, math.inf, 100) == [("web", [1])]


def test_nothing_newer_than_what_is_still_to_come_is_taken(queue: PartitionQueue) -> None:
    """The input that is furthest behind, and of which there is more, holds the others."""
    queue.put(chunk("web", 10, 20))
    queue.put(chunk("store", 5, 15, 25, 35))
    assert queue.until_ms(["web", "store"]) == 20
    assert queue.until_ms([]) == math.inf
    assert (queue.ready(20), queue.ready(math.inf)) == (4, 6)
    assert taken(queue, math.inf, math.inf, 20) == [("web", [10, 20]), ("store", [5, 15])]
    assert taken(queue, math.inf, math.inf, queue.until_ms(["web"])) == []
    assert queue.records == 2


@pytest.mark.parametrize("others", [(), (20,)])
def test_a_clock_that_is_ahead_holds_nothing_up(queue: PartitionQueue, others: tuple[int, ...]) -> None:
    """What is newer than now is as old as what came before it, of its input."""
    now_ms = 100.0
    queue.put(chunk("store", 10), now_ms)
    queue.put(chunk("store", *others, 999, sequence=1), now_ms)
    queue.put(chunk("store", 25, sequence=2), now_ms)
    queue.put(chunk("web", 30), now_ms)
    until_ms = queue.until_ms(["web"])
    assert until_ms == 30
    assert queue.ready(until_ms) == 4 + len(others)
    found = taken(queue, math.inf, math.inf, until_ms)
    assert [at for topic, times in found if topic == "store" for at in times] == [10, *others, 999, 25]
    assert queue.until_ms(["store"]) == 25


def test_an_input_whose_clock_is_ahead_from_the_start_counts_as_of_now(queue: PartitionQueue) -> None:
    """Nothing tells how old it is."""
    queue.put(chunk("store", 999), 100.0)
    assert queue.until_ms(["store"]) == 100
    assert queue.ready(100) == 1


def test_what_comes_behind_a_record_that_waits_is_not_ready(queue: PartitionQueue) -> None:
    """However old it is: each input keeps its order."""
    for each in (chunk("web", 10), chunk("web", 60, 100, sequence=1), chunk("web", 20, sequence=2)):
        queue.put(each)
    assert queue.ready(70) == 2
    assert taken(queue, math.inf, math.inf, 70) == [("web", [10]), ("web", [60])]
    assert queue.ready(70) == 0
    assert taken(queue, math.inf, math.inf, 70) == []


def test_an_input_that_never_came_holds_all(queue: PartitionQueue) -> None:
    """Nobody knows how old its records are."""
    queue.put(chunk("web", 10))
    assert queue.until_ms(["web", "store"]) == -math.inf
    assert queue.ready(-math.inf) == 0


def test_an_input_is_overlooked_until_it_comes(queue: PartitionQueue) -> None:
    """The others go on without one that cannot be fetched; then they wait for it again."""
    more = ["web", "store"]
    queue.put(chunk("web", 50))
    queue.overlook(more)
    assert queue.until_ms(more) == 50
    queue.put(chunk("store", 7))
    assert queue.until_ms(more) == 7


def test_more_is_wanted_of_what_is_behind(queue: PartitionQueue) -> None:
    """Not of what would have to wait; of an input that has ended, or of which nothing waits, always."""
    more = ["web", "store"]
    queue.put(chunk("web", 10))
    queue.put(chunk("store", 20))
    assert [topic for topic in ("web", "store", "support") if queue.wants(topic, more)] == ["web", "support"]
    queue.put(chunk("web", 30, sequence=1))
    assert [topic for topic in more if queue.wants(topic, more)] == ["store"]
    assert len(taken(queue)) == 3
    assert [topic for topic in more if queue.wants(topic, more)] == more


@pytest.mark.usefixtures("_records_alone")
@pytest.mark.parametrize("seed", range(50))
def test_time_that_goes_back_stops_nothing(queue: PartitionQueue, seed: int) -> None:
    """Whatever the timestamps are, each input keeps its order, and there is always something to take."""
    draw = Random(seed)
    topics = ["web", "store", "support"]
    left = {topic: draw.randrange(1, 5) for topic in topics}
    put: dict[str, list[int]] = {topic: [] for topic in topics}
    got: dict[str, list[int]] = {topic: [] for topic in topics}
    while any(left.values()) or queue:
        more = [topic for topic in topics if left[topic]]
        for topic in [topic for topic in more if queue.wants(topic, more)]:
            left[topic] -= 1
            times = [draw.randrange(100) for _ in range(draw.randrange(1, 6))]
            put[topic] += times
            queue.put(chunk(topic, *times))
        found = taken(queue, draw.randrange(1, 20), math.inf, queue.until_ms([t for t in topics if left[t]]))
        assert found
        for topic, times in found:
            got[topic] += times
    assert got == put
    assert (queue.bytes, queue.records) == (0, 0)


def test_a_cleared_queue_is_empty(queue: PartitionQueue) -> None:
    """Nothing is left, nothing is counted, and nothing is known of what came."""
    queue.put(chunk("web", 1))
    queue.overlook(["store"])
    assert queue.holds("web")
    queue.clear()
    assert not queue
    assert not queue.holds("web")
    assert (queue.bytes, queue.records, queue.until_ms(["web", "store"])) == (0, 0, -math.inf)
