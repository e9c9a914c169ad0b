"""What a transaction asks of the brokers, in which order, and what is tried again."""

import asyncio
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any
from unittest import mock

import pytest
from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    BrokerResponseError,
    ConcurrentTransactions,
    CoordinatorLoadInProgressError,
    IncompatibleBrokerVersion,
    InvalidProducerEpoch,
    InvalidTxnState,
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    NotLeaderForPartitionError,
    ProducerClosed,
    ProducerFenced,
    TopicAuthorizationFailedError,
    for_code,
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

from streams.engine.implicit import FeaturesRequest, FeaturesResponse, joins_implicitly
from streams.engine.packed import (
    NO_TAGS,
    EndTxnResponseV5,
    JoiningProduce,
    ProduceResponseV12,
    RenewingEndTxn,
)
from streams.engine.sending import LaneWriter
from tests.produced import JOINED, JOINING, SPOKEN

ROWS, SCORES = TopicPartition("rows", 0), TopicPartition("scores", 0)
EPOCH, SEQUENCE = slice(51, 53), slice(53, 57)
"""Where they are in a batch of records."""


class Brokers:
    """Takes the place of a client; answers as told by kind of request, then without an error."""

    def __init__(self, leaders: dict[TopicPartition, int], level: int = 0) -> None:
        self.leaders = leaders
        self.level = level
        """Of the cluster's feature of transactions."""
        self.renewed: list[tuple[int, int]] = []
        """Ids and epochs that the next commits bring; then none."""
        self.errors: defaultdict[type, list[type[Exception]]] = defaultdict(list)
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
        errno = error.errno if error else 0
        if isinstance(request, FeaturesRequest):
            return features(errno, self.level)
        if isinstance(request, RenewingEndTxn):
            named = self.renewed.pop(0) if self.renewed else (-1, -1)
            return EndTxnResponseV5.decode(BytesIO(struct.pack(">ihqh", 0, errno, *named) + NO_TAGS))
        return answer(request, errno)

    def steps(self) -> list[str]:
        """Return what was asked, in one word each."""
        return [type(request).__name__.removesuffix("Request") for _, request in self.asked]

    def sent(self) -> list[dict[TopicPartition, tuple[int, int]]]:
        """Return for each produce request the first and the number of the records of each partition."""
        return [
            {tp: (struct.unpack(">i", data[SEQUENCE])[0], data[60]) for tp, data in carried(request).items()}
            for _, request in self.asked
            if isinstance(request, ProduceRequest | JoiningProduce)
        ]


def carried(request: Any) -> dict[TopicPartition, bytes]:
    """Return the batches of a produce request, by what goes over the wire."""
    sent = request.prepare(SPOKEN)
    schema = JOINING if isinstance(request, JoiningProduce) else sent.SCHEMA
    wire = BytesIO(sent.encode())
    topics: Any = schema.decode(wire)[3]
    assert not wire.read()
    return {
        TopicPartition(topic, number): bytes(data)
        for topic, partitions, *_ in topics
        for number, data, *_ in partitions
    }


def features(errno: int, level: int) -> FeaturesResponse:
    """Return what a broker tells of its cluster."""
    told = FeaturesResponse.FEATURES.encode([("other", 9, 0, {}), ("transaction.version", level, 0, {})])
    tags = bytes([1, 2, len(told)]) + told if level else bytes(1)
    untagged = FeaturesResponse(errno, [(18, 0, 4, {})], 0, {}).encode()[:-1]
    return FeaturesResponse.decode(untagged + tags)


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
        case JoiningProduce():
            joined = [
                (tp.topic, [(tp.partition, errno, 0, -1, 0, [], None, {})], {}) for tp in carried(request)
            ]
            return ProduceResponseV12.decode(BytesIO(JOINED.encode((joined, 0, {}))))
        case EndTxnRequest():
            return EndTxnResponse_v0(0, errno)
    raise AssertionError(request)


@asynccontextmanager
async def started(
    leaders: dict[TopicPartition, int] | None = None, level: int = 0
) -> AsyncIterator[tuple[LaneWriter, Brokers]]:
    """Yield a producer that has its id, with the brokers it talks to."""
    brokers = Brokers(dict.fromkeys((ROWS, SCORES), 1) if leaders is None else leaders, level)
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
    assert brokers.steps() == ["FindCoordinator", "InitProducerId", "Features"]
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
    """The others' batches are sent; where the leader is, is asked for, then comes a pause."""
    pauses: list[float] = []
    pause = asyncio.sleep

    async def pausing(seconds: float) -> None:
        pauses.append(seconds)
        await pause(0)

    async with started({SCORES: 1}) as (producer, brokers):
        with mock.patch("asyncio.sleep", pausing):
            await producer.transact(batches((ROWS, 1), (SCORES, 1)))
        assert pauses.count(producer._sender._retry_backoff) == brokers.updates == 1
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
    """Nothing is sent: a broker of before 3.6 takes what was not added, and the next commit would show it."""
    async with started() as (producer, brokers):
        brokers.errors[AddPartitionsToTxnRequest] = [TopicAuthorizationFailedError]
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.transact(batches((ROWS, 2)))
    assert brokers.steps() == ["AddPartitionsToTxn"]


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


async def test_where_partitions_join_by_themselves_two_requests_are_enough() -> None:
    """The commit brings an id and an epoch, under which batches are numbered from 0 again."""
    async with started(level=2) as (producer, brokers):
        brokers.renewed = [(7, 4), (8, 0)]
        await producer.transact(batches((ROWS, 2), (SCORES, 1)))
        await producer.transact(batches((ROWS, 3)))
        await producer.transact(batches((ROWS, 1), (SCORES, 1)))
    assert brokers.steps() == ["JoiningProduce", "RenewingEndTxn"] * 3
    assert brokers.sent() == [{ROWS: (0, 2), SCORES: (0, 1)}, {ROWS: (0, 3)}, {ROWS: (0, 1), SCORES: (0, 1)}]
    (_, first), (_, end), (_, second), *_, (_, last) = brokers.asked
    assert JOINING.decode(BytesIO(first.prepare(SPOKEN).encode()))[:3] == ("app-0", -1, 40_000)
    assert [struct.unpack(">h", carried(each)[ROWS][EPOCH]) for each in (first, second)] == [(3,), (4,)]
    ended = [each.prepare(SPOKEN) for each in (end, last)]
    assert [each.encode() for each in ended] == [
        b"\x06app-0" + struct.pack(">qhb", *named, 1) + b"\x00" for named in ((7, 3), (8, 0))
    ]


async def test_a_commit_that_brings_nothing_new_changes_no_number() -> None:
    """The broker may end a transaction in the way of old."""
    async with started(level=2) as (producer, brokers):
        for _ in range(2):
            await producer.transact(batches((ROWS, 2)))
    assert brokers.sent() == [{ROWS: (0, 2)}, {ROWS: (2, 2)}]


@pytest.mark.parametrize("level", [0, 1])
async def test_a_cluster_that_has_not_agreed_on_it_is_asked_as_of_old(level: int) -> None:
    """Its brokers may speak the requests already."""
    async with started(level=level) as (producer, brokers):
        await producer.transact(batches((ROWS, 2)))
    assert brokers.steps() == ["AddPartitionsToTxn", "Produce", "EndTxn"]


@pytest.mark.parametrize(
    "error",
    [
        CoordinatorLoadInProgressError,
        IncompatibleBrokerVersion,
        NodeNotReadyError,
        KafkaConnectionError,
        NotImplementedError,
    ],
)
async def test_a_broker_that_does_not_tell_is_asked_as_of_old(error: type[Exception]) -> None:
    """An error, and a connection that broke, say as little as a broker that is too old."""
    async with started(level=2) as (producer, brokers):
        brokers.errors[FeaturesRequest] = [error]
        assert not await joins_implicitly(producer._sender)
        assert await joins_implicitly(producer._sender)


def test_what_is_asked_of_a_broker_about_features() -> None:
    """The answer has a header of old: who asks does not know yet what the broker speaks."""
    request = FeaturesRequest().prepare(SPOKEN)
    assert request.encode() == b"\x0bcx-signals\x021\x00"
    assert request.parse_response_header(struct.pack(">i", 7)).correlation_id == 7
    with pytest.raises(NotImplementedError):
        FeaturesRequest().prepare({18: (0, 2)})


async def test_what_cannot_join_yet_is_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    """The transaction before is still being ended: that is no trouble to tell of."""
    async with started({ROWS: 1, SCORES: 2}, level=2) as (producer, brokers):
        brokers.errors[JoiningProduce] = [ConcurrentTransactions]
        await producer.transact(batches((ROWS, 2), (SCORES, 1)))
    assert brokers.sent() == [{ROWS: (0, 2)}, {SCORES: (0, 1)}, {ROWS: (0, 2)}]
    assert not caplog.records


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (JoiningProduce, NotLeaderForPartitionError),
        (JoiningProduce, NodeNotReadyError),
        (RenewingEndTxn, ConcurrentTransactions),
        (RenewingEndTxn, NodeNotReadyError),
    ],
)
async def test_what_passes_is_tried_again_where_partitions_join(kind: type, error: type[KafkaError]) -> None:
    """The same is asked for again, under the same epoch and number."""
    async with started(level=2) as (producer, brokers):
        brokers.errors[kind] = [error]
        brokers.renewed = [(7, 4), (7, 5)]
        await producer.transact(batches((ROWS, 2)))
    asked = [request for _, request in brokers.asked if type(request) is kind]
    assert len(asked) == 2
    assert len({each.prepare(SPOKEN).encode() for each in asked}) == 1


@pytest.mark.parametrize("kind", [JoiningProduce, RenewingEndTxn])
async def test_a_transaction_that_can_only_be_aborted_is_told_by_its_name(kind: type) -> None:
    """Kafka 4 says so by an error that aiokafka would call an unknown one; it is not tried again."""
    error = for_code(120)
    assert (error.message, error.retriable) == ("TRANSACTION_ABORTABLE", False)
    async with started(level=2) as (producer, brokers):
        brokers.errors[kind] = [error]
        with pytest.raises(error):
            await producer.transact(batches((ROWS, 2)))
    assert sum(type(request) is kind for _, request in brokers.asked) == 1


class TakenError(BrokerResponseError):
    """Another producer has the id by now."""

    errno = 90


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        (JoiningProduce, InvalidProducerEpoch, ProducerFenced),
        (RenewingEndTxn, InvalidProducerEpoch, ProducerFenced),
        (RenewingEndTxn, TakenError, ProducerFenced),
        (RenewingEndTxn, InvalidTxnState, InvalidTxnState),
    ],
)
async def test_a_refusal_ends_the_transaction_where_partitions_join(
    kind: type, error: type[KafkaError], told: type[KafkaError]
) -> None:
    """Fenced is told as such, in the words of old and in those of today."""
    async with started(level=2) as (producer, brokers):
        brokers.errors[kind] = [error]
        with pytest.raises(told):
            await producer.transact(batches((ROWS, 2)))
        assert isinstance(brokers.asked[-1][1], kind)
