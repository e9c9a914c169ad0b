"""Records reach their partition in their order, and a broker that fails is named."""

import asyncio
import io
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError

from streams.demo import sinks
from streams.demo.feed import Pace, Record
from streams.demo.sinks import FileSink, KafkaSink, Sent, pump
from streams.errors import CxError, Exit
from streams.settings import Settings
from streams.topics import INPUTS

BROKER = Settings(bootstrap_servers="b:1")

WEB = "cx.touchpoints.web"


def records(count: int) -> list[Record]:
    """Return records of five customers, a second of event time apart."""
    return [Record(b"%d" % n, b"c%d" % (n % 5), WEB, 1000.0 + n) for n in range(count)]


class Batch:
    """A batch of at most three records."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes | None, bytes]] = []

    def append(self, *, timestamp: object, key: bytes | None, value: bytes) -> object | None:
        """Take a record, or return None when full."""
        assert timestamp is None
        if len(self.records) == 3:
            return None
        self.records.append((key, value))
        return object()

    def close(self) -> None:
        """Close the batch."""


class Producer:
    """Stands in for aiokafka's producer: keeps what it is sent, fails as it is told."""

    fail_start: Exception | None = None
    fail_send: Exception | None = None
    fail_later: Exception | None = None
    topics = tuple(topic.name for topic in INPUTS)

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.log: dict[tuple[str, int], list[tuple[bytes | None, bytes]]] = defaultdict(list)
        self.stopped = False
        self.client = self
        type(self).last = self

    async def start(self) -> None:
        """Connect, or fail as told."""
        if self.fail_start:
            raise self.fail_start

    async def stop(self) -> None:
        """Disconnect."""
        self.stopped = True

    async def fetch_all_metadata(self) -> Any:
        """Return the topics of the cluster."""
        return SimpleNamespace(partitions_for_topic=lambda name: {0, 1, 2} if name in self.topics else None)

    def create_batch(self) -> Batch:
        """Return an empty batch."""
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> "asyncio.Future[None]":
        """Keep the batch and acknowledge it, or fail as told."""
        if self.fail_send:
            raise self.fail_send
        self.log[topic, partition] += batch.records
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.fail_later:
            future.set_exception(self.fail_later)
        else:
            future.set_result(None)
        return future


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> type[Producer]:
    """Put a producer of this test in the place of aiokafka's."""
    fresh = type("Fresh", (Producer,), {})
    monkeypatch.setattr(sinks, "AIOKafkaProducer", fresh)
    return fresh


async def test_a_customers_records_keep_their_order_on_one_partition(producer: type[Producer]):
    """All records of a key are on one partition in the order they were sent, however they were batched."""
    sent = records(50)
    async with KafkaSink(BROKER) as sink:
        assert (await pump(sent, sink, Pace())).records == 50
    log = producer.last.log
    assert sum(map(len, log.values())) == 50
    for key in {record.key for record in sent}:
        places = [where for where, content in log.items() if any(k == key for k, _ in content)]
        assert len(places) == 1
        assert [v for k, v in log[places[0]] if k == key] == [r.value for r in sent if r.key == key]


async def test_the_partition_is_the_one_of_kafkas_own_producers(producer: type[Producer]):
    """Keys go to the partition that the Java client's murmur2 gives them (values from its own tests)."""
    java = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}
    async with KafkaSink(BROKER) as sink:
        await pump([Record(b"v", key, WEB, None) for key in java], sink, Pace())
    for (_, partition), content in producer.last.log.items():
        assert all((java[key] & 0x7FFFFFFF) % 3 == partition for key, _ in content if key)


async def test_records_without_a_key_take_turns(producer: type[Producer]):
    """Bytes that name nobody are spread over the partitions."""
    async with KafkaSink(BROKER) as sink:
        await pump([Record(b"v", None, WEB, None)] * 9, sink, Pace())
    counts = {partition: len(content) for (_, partition), content in producer.last.log.items()}
    assert counts == {0: 3, 1: 3, 2: 3}


async def test_the_prefix_is_put_before_the_topic(producer: type[Producer]):
    """With a prefix, the topics looked for and written to carry it."""
    producer.topics = tuple(f"eu.{topic.name}" for topic in INPUTS)
    async with KafkaSink(Settings(bootstrap_servers="b:1", topic_prefix="eu.")) as sink:
        await pump(records(1), sink, Pace())
    assert [topic for topic, _ in producer.last.log] == [f"eu.{WEB}"]


async def test_writes_are_idempotent_and_wait_for_all_replicas(producer: type[Producer]):
    """A retry writes nothing twice, and an acknowledged record is on every replica."""
    async with KafkaSink(BROKER):
        pass
    assert producer.last.options["enable_idempotence"] is True
    assert producer.last.options["acks"] == "all"
    assert producer.last.stopped


async def test_no_broker_is_named_with_what_starts_one(producer: type[Producer]):
    """Where nothing answers, the error has the address and the command that starts a broker."""
    producer.fail_start = KafkaConnectionError("refused")
    with pytest.raises(CxError, match="no Kafka broker answers at b:1") as caught:
        async with KafkaSink(BROKER):
            pass
    assert "cx kafka start" in caught.value.mend
    assert caught.value.code is Exit.ENVIRONMENT
    assert producer.last.stopped


async def test_a_missing_topic_is_named_with_what_creates_it(producer: type[Producer]):
    """Where a topic is not there, nothing is sent and the error names the topic and the command."""
    producer.topics = (WEB,)
    with pytest.raises(CxError, match=r"cx\.touchpoints\.store does not exist") as caught:
        async with KafkaSink(BROKER):
            pass
    assert caught.value.mend == "cx topics create"
    assert producer.last.stopped


@pytest.mark.parametrize("when", ["fail_send", "fail_later"])
async def test_a_refused_batch_ends_the_command(producer: type[Producer], when: str):
    """A batch the broker does not take is an error, at once or when it is acknowledged."""
    setattr(producer, when, MessageSizeTooLargeError("too large"))
    with pytest.raises(CxError, match=r"b:1 did not take a batch.*too large"):
        async with KafkaSink(BROKER) as sink:
            await pump(records(1), sink, Pace())


async def test_refusals_are_seen_long_before_the_end(
    producer: type[Producer], monkeypatch: pytest.MonkeyPatch
):
    """A stream that never ends learns of refused batches after a bounded number of them."""
    monkeypatch.setattr(sinks, "IN_FLIGHT", 2)
    producer.fail_later = KafkaTimeoutError()
    async with KafkaSink(BROKER) as sink:
        with pytest.raises(CxError):
            await pump(records(10_000), sink, Pace())
    assert sum(map(len, producer.last.log.values())) < 100


async def test_an_unforeseen_failure_is_not_swallowed(producer: type[Producer]):
    """An error that is not Kafka's comes out as it is."""
    producer.fail_later = RuntimeError("bug")
    with pytest.raises(RuntimeError, match="bug"):
        async with KafkaSink(BROKER) as sink:
            await pump(records(1), sink, Pace())


class Clock:
    """A clock that moves only when someone sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Move the time on."""
        if seconds:
            self.sleeps.append(seconds)
            self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the pump a clock that moves only by its own sleep."""
    clock = Clock()
    monkeypatch.setattr(sinks, "time", clock)
    monkeypatch.setattr(sinks, "asyncio", clock)
    return clock


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [(Pace(rate=10), 9.9), (Pace(speedup=60), 99 / 60), (Pace(), 0.0), (Pace(rate=10_000), 0.0)],
)
async def test_the_pump_keeps_the_pace(clock: Clock, pace: Pace, seconds: float):
    """A hundred records, a second of event time apart, take as long as their pace says, to a tick."""
    await pump(records(100), FileSink(io.BytesIO()), pace)
    assert clock.now == pytest.approx(seconds, abs=sinks.TICK_S)


async def test_records_due_within_a_tick_leave_together(clock: Clock):
    """A fast pace sleeps once a tick, not once a record."""
    await pump(records(1_000), FileSink(io.BytesIO()), Pace(rate=1_000))
    assert len(clock.sleeps) <= 1.0 / sinks.TICK_S


async def test_what_was_taken_is_flushed_when_the_source_fails():
    """Records handed over before a failure are safe, and counted."""

    def failing():
        yield from records(3)
        message = "disk"
        raise OSError(message)

    file, sent = io.BytesIO(), Sent()
    with pytest.raises(OSError, match="disk"):
        await pump(failing(), FileSink(file), Pace(), sent=sent)
    assert (file.getvalue(), sent.records) == (b"0\n1\n2\n", 3)


async def test_progress_is_told_now_and_at_the_end():
    """Progress is called every few hundred records and once at the end."""
    seen: list[int] = []
    sent = await pump(
        records(1_500), FileSink(io.BytesIO()), Pace(), progress=lambda s: seen.append(s.records)
    )
    assert seen == [512, 1024, 1500]
    assert sent.by_topic == {WEB: 1500}
    assert (sent.first_time, sent.last_time) == (1000.0, 2499.0)


async def test_times_that_cannot_be_read_are_left_out():
    """The span of event time knows only times that could be read, and a late one does not move it back."""
    odd = [Record(b"", None, WEB, at) for at in (None, 50.0, 20.0, 70.0, None)]
    sent = await pump(odd, FileSink(io.BytesIO()), Pace(speedup=1e9))
    assert (sent.first_time, sent.last_time) == (50.0, 70.0)
