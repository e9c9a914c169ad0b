"""Customers that a producer's partitioner put elsewhere."""

import logging
from typing import Any

import orjson
import pytest

from streams.engine.handler import Standing
from streams.observe.placement import CHECKED_ROWS, MEND, PlacementWarnings, partition_of
from streams.processing import Processor
from tests.customers import DEFAULT, line


@pytest.mark.parametrize(("key", "number"), [(b"21", 4), (b"foobar", 4), (b"a-little-bit-long-string", 3)])
def test_a_key_belongs_where_kafkas_own_producers_put_it(key: bytes, number: int):
    """The hash is Kafka's murmur2, by the values in Kafka's own unit test."""
    hashes = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    assert partition_of(key, 1 << 31) == hashes[key] & 0x7FFFFFFF
    assert partition_of(key, number) == (hashes[key] & 0x7FFFFFFF) % number


class ARecord:
    """A record of one event of `customer`."""

    headers: tuple[tuple[str, bytes], ...] = ()
    offset = 0
    timestamp = 1_800_000_000_000

    def __init__(self, customer: str) -> None:
        self.key = customer.encode()
        event = orjson.loads(line("page.viewed", session_id="s"))
        self.value = orjson.dumps({**event, "subject": customer})


def misplaced(partition: int, *, partitions: int, customers: int) -> dict[str, int]:
    """Return what a unit of work on `partition` counts as misplaced of new customers that all belong on 0."""
    names = (f"c{number}" for number in range(10_000))
    there = [name for name in names if partition_of(name.encode(), 4) == 0][:customers]
    processor = Processor(DEFAULT, partitions=partitions)
    work = processor.begin(partition, {}, Standing("g", 0.0))
    records: Any = [ARecord(name) for name in there]
    work.apply([("cx.touchpoints.web", records)])
    return dict(work.finish().tally.misplaced)


def test_new_customers_on_a_wrong_partition_are_counted_by_topic():
    """A crc32 producer is seen by the customers that it puts elsewhere."""
    assert misplaced(1, partitions=4, customers=3) == {"cx.touchpoints.web": 3}


def test_customers_in_their_place_are_not_counted():
    """Kafka's default partitioner raises no alarm."""
    assert misplaced(0, partitions=4, customers=3) == {}


def test_nothing_is_judged_while_the_partition_count_is_unknown():
    """A guess at the count would accuse every producer."""
    assert misplaced(1, partitions=0, customers=3) == {}


def test_a_bounded_number_is_looked_at():
    """The hash is slow Python: a flood of new customers pays for a few of them."""
    assert misplaced(1, partitions=4, customers=3 * CHECKED_ROWS) == {"cx.touchpoints.web": CHECKED_ROWS}


def test_the_warning_names_topic_and_mend_and_is_not_repeated_at_once(caplog: pytest.LogCaptureFixture):
    """One line a topic, again after five minutes, whatever number of customers is found."""
    now = [0.0]
    warnings = PlacementWarnings(clock=lambda: now[0])
    with caplog.at_level(logging.WARNING):
        warnings.warn({"web": 2, "store": 0})
        now[0] = 299.0
        warnings.warn({"web": 9})
        assert [record.getMessage() for record in caplog.records] == [caplog.messages[0]]
        assert caplog.messages[0].startswith("web: ")
        assert MEND in caplog.messages[0]
        now[0] = 300.0
        warnings.warn({"web": 1})
    assert len(caplog.messages) == 2
