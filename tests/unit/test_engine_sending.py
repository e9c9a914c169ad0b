"""What a transaction asks of the brokers, in which order, and what is tried again."""

import asyncio
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    BrokerResponseError,
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    InvalidProducerEpoch,
    InvalidTxnState,
    KafkaError,
    NodeNotReadyError,
    NotLeaderForPartitionError,
    ProducerClosed,
    ProducerFenced,
    TopicAuthorizationFailedError,
)
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.coordination import FindCoordinatorRequest, FindCoordinatorResponse_v1
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v7
from aiokafka.protocol.transaction import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse_v0,
    EndTxnRequest,
    EndTxnResponse_v0,
    InitProducerIdRequest,
    InitProducerIdResponse_v0,
)

from streams.engine.sending import LaneWriter

ROWS, SCORES = TopicPartition("rows", 0), TopicPartition("scores", 0)
PRODUCER_ID, SEQUENCE = slice(43, 51), slice(53, 57)
"""Where they are in a batch of records."""


class Brokers:
    """Takes the place of a client; answers as told by kind of request, then without an error."""

    def __init__(self, leaders: dict[TopicPartition, int]) -> None:
        self.leaders = leaders
        self.errors: defaultdict[type, list[type[KafkaError]]] = defaultdict(list)
        self.asked: list[Any] = []
        self.at_once = self.most_at_once = self.updates = 0
        self._client_id = "writer"
        self.on_request: Callable[[Any], None] = lambda _: None
        self.cluster = mock.Mock(leader_for_partition=self.leader)
        self._wait_on_metadata = mock.AsyncMock()
        self._maybe_wait_metadata = mock.AsyncMock()
        self.bootstrap = mock.AsyncMock()
        self.close = mock.AsyncMock()
        self.ready = mock.AsyncMock(return_value=True)

    def leader(self, tp: TopicPartition) -> int | None:
        """Return who leads a partition, as far as it is known."""
        return self.leaders.get(tp)

    def coordinator_lookup(self, *_: Any) -> Any:
        """Look up as aiokafka does."""
        return AIOKafkaClient.coordinator_lookup(self, *_)  # type: ignore[arg-type]

    def get_random_node(self) -> int:
        """Return any node."""
        return 1

    def force_metadata_update(self) -> "asyncio.Future[bool]":
        """Learn of leaders."""
        self.updates += 1
        self.leaders = dict.fromkeys((ROWS, SCORES), 1)
        updated: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        updated.set_result(True)
        return updated

    async def send(self, node: int, request: Any, **_: Any) -> Any:
        """Answer a request."""
        self.asked.append((node, request))
        self.on_request(request)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        waiting = self.errors[type(request)]
        error = waiting.pop(0) if waiting else None
        if error is not None and not issubclass(error, BrokerResponseError):
            raise error
        return answer(request, error.errno if error else 0)

    def steps(self) -> list[str]:
        """Return what was asked, in one word each."""
        return [type(request).__name__.removesuffix("Request") for _, request in self.asked]

    def sent(self) -> list[dict[TopicPartition, tuple[int, int]]]:
        """Return for each produce request the first and the number of the records of each partition."""
        return [
            {
                TopicPartition(topic, number): (
                    struct.unpack(">i", bytes(data[SEQUENCE]))[0],
                    bytes(data)[60],
                )
                for topic, partitions in request._topics
                for number, data in partitions
            }
            for _, request in self.asked
            if isinstance(request, ProduceRequest)
        ]


def answer(request: Any, errno: int) -> Any:
    """Return what a broker answers."""
    match request:
        case FindCoordinatorRequest():
            return FindCoordinatorResponse_v1(0, errno, None, 1, "broker", 1)
        case InitProducerIdRequest():
            return InitProducerIdResponse_v0(0, errno, 7, 3)
        case AddPartitionsToTxnRequest():
            found = [(topic, [(number, errno) for number in numbers]) for topic, numbers in request._topics]
            return AddPartitionsToTxnResponse_v0(0, found)
        case ProduceRequest():
            taken = [(topic, [(n, errno, 0, -1, 0) for n, _ in data]) for topic, data in request._topics]
            return ProduceResponse_v7(taken, 0)
        case EndTxnRequest():
            return EndTxnResponse_v0(0, errno)
    raise AssertionError(request)


@asynccontextmanager
async def started(
    leaders: dict[TopicPartition, int] | None = None,
) -> AsyncIterator[tuple[LaneWriter, Brokers]]:
    """Yield a producer that has its id, with the brokers it talks to."""
    brokers = Brokers(dict.fromkeys((ROWS, SCORES), 1) if leaders is None else leaders)
    producer = LaneWriter(bootstrap_servers="127.0.0.1:1", transactional_id="app-0", retry_backoff_ms=1)
    producer.client = producer._sender.client = brokers
    producer._message_accumulator._cluster = brokers.cluster
    await producer.start()
    brokers.asked.clear()
    yield producer, brokers
    await producer.stop()
    brokers.close.assert_awaited_once_with()


def batches(*wanted: tuple[TopicPartition, int]) -> Iterable[tuple[TopicPartition, BatchBuilder]]:
    """Yield batches of so many records."""
    for tp, records in wanted:
        batch = BatchBuilder(1 << 16, 0, is_transactional=True)
        for number in range(records):
            batch.append(key=b"k", value=b"%d" % number, timestamp=1)
        batch.close()
        yield tp, batch


async def test_the_start_fences_whoever_wrote_before() -> None:
    """An id is asked for, in the name that all owners of a partition share; no task is left running."""
    before = asyncio.all_tasks()
    producer = LaneWriter(bootstrap_servers="127.0.0.1:1", transactional_id="app-0")
    producer.client = producer._sender.client = brokers = Brokers({})
    await producer.start()
    brokers.bootstrap.assert_awaited_once_with()
    assert brokers.steps() == ["FindCoordinator", "InitProducerId"]
    assert asyncio.all_tasks() == before
    await producer.stop()


async def test_a_small_transaction_takes_three_requests() -> None:
    """All partitions are added at once, and all batches sent at once, before the commit."""
    async with started() as (producer, brokers):
        await producer.transact(batches((ROWS, 2), (SCORES, 1)))
    assert brokers.steps() == ["AddPartitionsToTxn", "Produce", "EndTxn"]
    assert sorted(brokers.asked[0][1]._topics) == [("rows", [0]), ("scores", [0])]
    assert brokers.sent() == [{ROWS: (0, 2), SCORES: (0, 1)}]
    assert brokers.asked[2][1]._transaction_result


async def test_batches_are_numbered_on_from_transaction_to_transaction() -> None:
    """The broker refuses a number that it has seen or that leaves a hole."""
    async with started() as (producer, brokers):
        await producer.transact(batches((ROWS, 2), (SCORES, 1)))
        await producer.transact(batches((ROWS, 5)))
        await producer.transact(batches((ROWS, 1), (SCORES, 1)))
    assert brokers.sent() == [{ROWS: (0, 2), SCORES: (0, 1)}, {ROWS: (2, 5)}, {ROWS: (7, 1), SCORES: (1, 1)}]


async def test_batches_of_a_partition_are_sent_one_by_one() -> None:
    """The next is asked for once the one before was acknowledged; another partition's goes along with it."""
    async with started() as (producer, brokers):
        await producer.transact(batches((ROWS, 2), (ROWS, 3), (SCORES, 1), (SCORES, 4)))
    assert brokers.sent() == [{ROWS: (0, 2)}, {ROWS: (2, 3), SCORES: (0, 1)}, {SCORES: (1, 4)}]
    adding = "AddPartitionsToTxn"
    assert brokers.steps() == [adding, "Produce", adding, "Produce", "Produce", "EndTxn"]
    assert brokers.most_at_once == 1


async def test_every_broker_is_sent_its_own_at_once() -> None:
    """Leaders on different brokers take their batches at the same time."""
    async with started({ROWS: 1, SCORES: 2}) as (producer, brokers):
        await producer.transact(batches((ROWS, 1), (SCORES, 1)))
    assert sorted(node for node, request in brokers.asked if isinstance(request, ProduceRequest)) == [1, 2]
    assert brokers.most_at_once == 2
    assert brokers.steps()[-1] == "EndTxn"


async def test_a_partition_without_a_leader_waits_for_one() -> None:
    """The others' batches are sent; where the leader is, is asked for."""
    async with started({SCORES: 1}) as (producer, brokers):
        await producer.transact(batches((ROWS, 1), (SCORES, 1)))
    assert brokers.updates == 1
    assert brokers.sent() == [{SCORES: (0, 1)}, {ROWS: (0, 1)}]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (AddPartitionsToTxnRequest, CoordinatorLoadInProgressError),
        (AddPartitionsToTxnRequest, ConcurrentTransactions),
        (AddPartitionsToTxnRequest, NodeNotReadyError),
        (ProduceRequest, NotLeaderForPartitionError),
        (ProduceRequest, NodeNotReadyError),
        (EndTxnRequest, ConcurrentTransactions),
        (EndTxnRequest, NodeNotReadyError),
    ],
)
async def test_what_passes_is_tried_again(kind: type, error: type[KafkaError]) -> None:
    """The same is asked for again, a batch with the same number, until it is done."""
    async with started() as (producer, brokers):
        brokers.errors[kind] = [error, error]
        await producer.transact(batches((ROWS, 2)))
    wanted = [AddPartitionsToTxnRequest, ProduceRequest, EndTxnRequest]
    asked = [type(request) for _, request in brokers.asked if not isinstance(request, FindCoordinatorRequest)]
    assert asked == [each for each in wanted for _ in range(3 if each is kind else 1)]
    assert set(map(str, brokers.sent())) == {str({ROWS: (0, 2)})}


@pytest.mark.parametrize("kind", [AddPartitionsToTxnRequest, ProduceRequest, EndTxnRequest])
@pytest.mark.parametrize(
    ("error", "told"), [(InvalidProducerEpoch, ProducerFenced), (InvalidTxnState, InvalidTxnState)]
)
async def test_a_refusal_ends_the_transaction(
    kind: type, error: type[KafkaError], told: type[KafkaError], caplog: pytest.LogCaptureFixture
) -> None:
    """At whichever step it comes, nothing is asked after it, and no batch complains of its own."""
    async with started() as (producer, brokers):
        brokers.errors[kind] = [error]
        with pytest.raises(told):
            await producer.transact(batches((ROWS, 2), (SCORES, 1)))
        assert isinstance(brokers.asked[-1][1], kind)
    del producer
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_a_topic_that_may_not_be_written_is_a_refusal() -> None:
    """Nothing is committed."""
    async with started() as (producer, brokers):
        brokers.errors[AddPartitionsToTxnRequest] = [TopicAuthorizationFailedError]
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.transact(batches((ROWS, 2)))
    assert brokers.steps() == ["AddPartitionsToTxn", "Produce"]


@pytest.mark.parametrize("kind", [AddPartitionsToTxnRequest, ProduceRequest, EndTxnRequest])
async def test_a_producer_that_was_stopped_asks_nothing_more(kind: type) -> None:
    """A request that failed because the connection was closed is not tried again on a new one."""
    async with started() as (producer, brokers):
        brokers.errors[kind] = [NodeNotReadyError]

        def stopping(request: Any) -> None:
            producer._closed = isinstance(request, kind) or producer._closed

        brokers.on_request = stopping
        with pytest.raises(ProducerClosed):
            await producer.transact(batches((ROWS, 2)))
        assert isinstance(brokers.asked[-1][1], kind)
