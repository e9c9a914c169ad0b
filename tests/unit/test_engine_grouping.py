"""The records of a transaction in groups of customers."""

from collections import defaultdict
from random import Random
from zlib import crc32

from streams.engine.grouping import grouped
from streams.engine.handler import Run
from streams.engine.memory import MemoryRecord


def runs(number: int, customers: int) -> list[Run]:
    """Return `number` records of some customers on two inputs, in turns of seven."""
    draw = Random(number)
    found: list[Run] = []
    for first in range(0, number, 7):
        records = [
            MemoryRecord(draw.choice([None, *(b"c%d" % n for n in range(customers))]), b"v", (), offset, 0)
            for offset in range(first, min(first + 7, number))
        ]
        found.append((draw.choice(("web", "store")), records))
    return found


def test_a_customer_is_in_one_group_and_in_order() -> None:
    """Whoever is in a group has all records there, as they came; nothing is lost or doubled."""
    given = runs(400, 60)
    before: dict[bytes | None, list[tuple[str, int]]] = defaultdict(list)
    for topic, records in given:
        for record in records:
            before[record.key].append((topic, record.offset))
    after: dict[bytes | None, list[tuple[str, int]]] = {}
    groups = grouped(given, 20)
    for group in groups:
        own: dict[bytes | None, list[tuple[str, int]]] = defaultdict(list)
        for topic, records in group:
            for record in records:
                own[record.key].append((topic, record.offset))
        assert not own.keys() & after.keys()
        after.update(own)
    assert len(groups) == 32
    assert after == before


def test_runs_of_an_input_in_a_row_are_one() -> None:
    """As long as they are no more than a group is to have."""
    records = [MemoryRecord(b"anna", b"v", (), offset, 0) for offset in range(6)]
    given = [("web", records[:2]), ("web", records[2:3]), ("web", records[3:]), ("store", records)]
    found = [(topic, len(own)) for group in grouped(given, 3) for topic, own in group]
    assert found == [("web", 3), ("web", 3), ("store", 6)]


def test_few_records_are_one_group() -> None:
    """They are taken as they are; where nothing is there is no group."""
    given = runs(20, 5)
    assert grouped(given, 20) == [given]
    assert len(grouped(given, 19)) == 2
    assert grouped([], 20) == []


def test_groups_are_the_same_in_every_process() -> None:
    """They do not depend on Python's own hash, which is another in each process."""
    records = [MemoryRecord(key, b"v", (), 0, 0) for key in (b"anna", b"bo", b"carl", b"dieter", b"emil")]
    first, second = grouped([("web", records)], 3)
    assert [record.key for _, found in first for record in found] == [b"anna", b"carl", b"dieter"]
    assert [record.key for _, found in second for record in found] == [b"bo", b"emil"]


def test_a_partitioner_that_takes_the_same_sum_leaves_groups_even() -> None:
    """The customers that librdkafka's own partitioner puts together are not one group."""
    keys = [key for key in (b"c%d" % n for n in range(16_000)) if crc32(key) % 16 == 3]
    records = [MemoryRecord(key, b"v", (), offset, 0) for offset, key in enumerate(keys)]
    sizes = [sum(len(found) for _, found in group) for group in grouped([("web", records)], 100)]
    assert len(sizes) == 16
    assert max(sizes) < 2 * len(keys) / 16
