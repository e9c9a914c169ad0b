"""Writing a transaction: what is not committed for certain is lost, and nobody waits for it for ever."""

import asyncio
import dataclasses
from collections.abc import Iterable
from unittest import mock

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

import streams.engine.writer
from streams.engine.errors import Fenced, Lost
from streams.engine.handler import Effects, Output
from streams.engine.marker import MARKER_KEY, new_marker
from streams.engine.partition import Transaction
from streams.engine.settings import EngineSettings
from streams.engine.writer import Batch, Item, Writer

SETTINGS = EngineSettings(
    bootstrap_servers="127.0.0.1:1",
    app_id="app",
    inputs=("in",),
    outputs=("out",),
    table="customers",
    transaction_timeout_s=0.02,
    max_batch_bytes=300,
)
MARKER = new_marker({"in": 0})


class Producer:
    """A producer whose transactions end as told; None: never."""

    def __init__(self, outcome: BaseException | object | None) -> None:
        self.outcome = outcome
        self.sent: list[tuple[str, Batch]] = []
        self.stopped = False

    async def transact(self, batches: Iterable[tuple[TopicPartition, Batch]]) -> None:
        """Take what is written."""
        for tp, batch in batches:
            assert tp.partition == 0
            self.sent.append((tp.topic, batch))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        if self.outcome is None:
            await asyncio.Event().wait()

    async def stop(self) -> None:
        """Let go."""
        self.stopped = True


def writer(
    outcome: BaseException | object | None, settings: EngineSettings = SETTINGS
) -> tuple[Writer, Producer]:
    """Return a writer on such a producer."""
    producer = Producer(outcome)
    return Writer(settings, 0, producer), producer  # type: ignore[arg-type]


async def test_a_commit_that_never_comes_is_a_loss() -> None:
    """A client that hangs must not hold the partition for ever."""
    under_test, _ = writer(None)
    with pytest.raises(Lost, match="partition 0"):
        await asyncio.wait_for(under_test.write_marker(MARKER), 10)


async def test_a_producer_that_is_let_go_ends_the_transaction_under_way() -> None:
    """What a closed client waits for never comes: the sweep would stand still until the time is over."""
    under_test, producer = writer(None, dataclasses.replace(SETTINGS, transaction_timeout_s=1000))
    writing = asyncio.create_task(under_test.write_marker(MARKER))
    await asyncio.sleep(0)
    assert producer.sent
    await under_test.close()
    with pytest.raises(Lost, match="TimeoutError"):
        await asyncio.wait_for(writing, 10)
    await under_test.close()


async def test_a_producer_is_let_go_while_its_transaction_runs_out_of_time() -> None:
    """It ends by itself already."""
    under_test, producer = writer(None)

    async def leaving(_: object) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await under_test.close()

    with mock.patch.object(producer, "transact", leaving), pytest.raises(Lost):
        await under_test.write_marker(MARKER)
    assert producer.stopped


@pytest.mark.parametrize(
    ("error", "kind"),
    [(KafkaTimeoutError(), Lost), (NotImplementedError(), Lost), (ProducerFenced(), Fenced)],
)
async def test_a_refusal_is_told_by_its_kind(error: BaseException, kind: type[Exception]) -> None:
    """Fenced means another owner; anything else only that nobody can tell, or a broker that became older."""
    under_test, _ = writer(error)
    with pytest.raises(kind):
        await under_test.write_marker(MARKER)


def told(batch: Batch) -> list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]]:
    """Return keys, values and headers of what a batch carries."""
    assert batch.closed()
    records = list(MemoryRecords(bytes(batch._build())).next_batch())
    assert [each.offset for each in records] == list(range(batch.record_count()))
    return [(each.key, each.value, each.headers) for each in records]


async def test_everything_is_sent_once_in_its_order_and_a_large_record_alone() -> None:
    """Rows come first and the marker last; a batch ends where the next record would not fit."""
    under_test, producer = writer(object())
    sizes = [(b"a", 100), (b"b", 100), (b"c", 100), (b"d", 4_000), (b"e", 10)]
    rows: dict[bytes, bytes | None] = {key: b"x" * size for key, size in sizes} | {b"gone": None}
    outputs = [Output("out", b"k", b"1", (("h", None),)), Output("out", None, b"2")]
    effects = Effects(rows)
    effects.outputs = outputs
    await under_test.write(Transaction(0, effects, MARKER, 0, {}))
    *changelog, out = [(topic, told(batch)) for topic, batch in producer.sent]
    assert {topic for topic, _ in changelog} == {SETTINGS.changelog}
    kinds = [[key for key, _, _ in found] for _, found in changelog]
    assert kinds == [[b"a", b"b"], [b"c"], [b"d"], [b"e", b"gone", MARKER_KEY]]
    written = [(key, value, []) for key, value in (*rows.items(), (MARKER_KEY, MARKER.encode()))]
    assert [each for _, found in changelog for each in found] == written
    assert out == ("out", [(b"k", b"1", [("h", None)]), (None, b"2", [])])


TEXTS = st.binary(max_size=60)
ITEMS = st.tuples(
    st.none() | TEXTS,
    st.none() | st.binary(max_size=400),
    st.lists(st.tuples(st.text(max_size=5), st.none() | TEXTS), max_size=2).map(tuple),
)


@given(st.lists(ITEMS, max_size=30), st.integers(70, 1000))
def test_batches_are_those_of_stock(items: list[Item], size: int) -> None:
    """Filled at once or, as aiokafka does, one by one: batches have the same records in the same bytes."""
    wanted: list[bytes] = []
    left = list(items)
    while left:
        batch = BatchBuilder(size, 0, is_transactional=True)
        while left:
            key, value, headers = left[0]
            if batch.append(key=key, value=value, timestamp=7_000, headers=list(headers)) is None:
                break
            left.pop(0)
        wanted.append(built(batch))

    producer = mock.Mock()
    under_test = Writer(dataclasses.replace(SETTINGS, max_batch_bytes=size), 0, producer)
    with mock.patch.object(streams.engine.writer, "time", return_value=7.0):
        sent = [batch for _, batch in under_test._batched("out", items)]

    assert [built(batch) for batch in sent] == wanted


def built(batch: BatchBuilder) -> bytes:
    """Return the bytes that go out of a batch."""
    batch.close()
    batch._set_producer_state(1, 0, 0)
    return bytes(batch._build())
