"""Records as their batches have them are the very records that aiokafka gives."""

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchError, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from streams.engine.bare import BareRecords, give_bare

TP = TopicPartition("web", 3)
ABORTED = 7
COMMITTED = 8
HEADERS = [("traceparent", b"00-1"), ("empty", None)]


def batch(base: int, *values: bytes | None, producer: int = COMMITTED) -> bytes:
    """Return a batch of a transaction whose first record has the offset `base`."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=1,
        producer_id=producer,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 20,
    )
    for number, value in enumerate(values):
        headers = HEADERS if number else []
        builder.append(number, timestamp=1_000 + number, key=b"%d" % number, value=value, headers=headers)
    built = builder.build()
    return base.to_bytes(8, "big") + bytes(built[8:])


LOG = batch(5, b"a", None, b"c") + batch(9, b"lost", producer=ABORTED) + batch(12, b"d", b"e")


def fetched(at: int = 5) -> FetchResult:
    """Return what aiokafka makes of a fetch from offset `at`."""
    state = SimpleNamespace(paused=False, position=at)
    state.consumed_to = lambda position: setattr(state, "position", position)
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    records = PartitionRecords(
        TP,
        MemoryRecords(LOG),
        [(ABORTED, 9)],
        at,
        None,
        None,
        check_crcs=True,
        isolation_level=READ_COMMITTED,
    )
    return FetchResult(TP, assignment=assignment, partition_records=records, backoff=0)


class Fetcher:
    """Fetches what it is told to."""

    def __init__(self, result: Any) -> None:
        self._records: OrderedDict[Any, Any] = OrderedDict()
        self._result = result

    async def _proc_fetch_request(self, *_: object) -> bool:
        self._records[TP] = self._result
        return True


async def bare(result: Any) -> Any:
    """Return a result as a consumer with bare records has it."""
    fetcher = Fetcher(result)
    give_bare(SimpleNamespace(_fetcher=fetcher))
    assert await fetcher._proc_fetch_request(None, 0, None)
    return fetcher._records[TP]


def told(records: list[Any]) -> list[Any]:
    """Return what a handler may ask of each record."""
    return [(each.key, each.value, tuple(each.headers), each.offset, each.timestamp) for each in records]


@pytest.mark.parametrize("at", [5, 6, 12], ids=["all", "amid a batch", "the last batch"])
async def test_a_bare_record_says_what_the_stock_one_says(at: int) -> None:
    """Keys, values, headers, offsets and times are the same; what was aborted is left out of both."""
    stock = told(fetched(at=at).getall())
    found = (await bare(fetched(at=at))).getall()
    assert told(found) == stock
    assert [value for _, value, *_ in stock] == [b"a", None, b"c", b"d", b"e"][{5: 0, 6: 1, 12: 3}[at] :]
    assert not hasattr(found[0], "topic")


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5])
async def test_what_is_taken_in_parts_moves_the_position_as_stock_does(most: int) -> None:
    """After each part the position is behind its last record, at the end behind the last batch."""
    stock, found = fetched(), await bare(fetched())
    while stock.has_more():
        assert told(found.getall(most)) == told(stock.getall(most))
        assert found._assignment.state_value(TP).position == stock._assignment.state_value(TP).position
    assert not found.has_more()


async def test_a_fetch_that_was_read_to_its_end_or_failed_stays_as_it_is() -> None:
    """There are no records in it to make bare."""
    read = fetched()
    read.getall()
    assert not (await bare(read)).has_more()
    error = FetchError(error=KeyError("x"), backoff=0)
    assert await bare(error) is error


def test_bare_records_come_one_by_one_too() -> None:
    """`getone` asks them as an iterator."""
    result = fetched()
    result._partition_records.__class__ = BareRecords
    assert result.getone().value == b"a"
