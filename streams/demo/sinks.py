"""Where records go: a file, or Kafka in batches by partition; and the pump that sends them at their pace."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, BinaryIO, Protocol, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.partitioner import murmur2

from streams.connection import client_options
from streams.demo.feed import Pace, Record
from streams.errors import CxError
from streams.reach import unreachable
from streams.settings import Settings
from streams.topics import INPUT_MAX_BYTES, INPUTS

TICK_S = 0.02
"""Records due within a tick leave together: a batch a partition and tick, not a request a record."""
YIELD_EVERY = 512
"""Records between two looks at the clock of a person: progress, and Ctrl-C, which waits for an await."""
BATCH_BYTES = 256 << 10
IN_FLIGHT = 256
"""Batches whose acknowledgement is still awaited; their failures are seen at the latest after so many."""


@dataclass(slots=True)
class Sent:
    """What has been handed over so far."""

    records: int = 0
    bytes: int = 0
    by_topic: Counter[str] = field(default_factory=Counter)
    first_time: float | None = None
    last_time: float | None = None
    """Event times of the first record, and of the newest; None where none could be read."""

    def count(self, record: Record) -> None:
        """Count one more record."""
        self.records += 1
        self.bytes += len(record.value)
        self.by_topic[record.topic] += 1
        if record.time is not None:
            if self.first_time is None or self.last_time is None:
                self.first_time = self.last_time = record.time
            elif record.time > self.last_time:
                self.last_time = record.time


class Sink(Protocol):
    """Takes records one by one; what it took is safe after `flush`."""

    async def add(self, record: Record) -> None:
        """Take a record."""

    async def flush(self) -> None:
        """Return when all records taken are safe."""


class FileSink:
    """Writes a line a record."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    async def add(self, record: Record) -> None:
        """Write the record's bytes as a line."""
        self.file.write(record.value + b"\n")

    async def flush(self) -> None:
        """Hand what is written to the system."""
        self.file.flush()


class KafkaSink:
    """Sends records to the input topics in batches by partition, idempotently, waiting for all replicas.

        async with KafkaSink(settings) as sink:
            await pump(records, sink, Pace(rate=1000))

    The partition is the murmur2 hash of the key, as Kafka's own producers have it; records without a key take
    turns. A record's timestamp is the time it is sent at: Kafka deletes by it. Raises CxError, naming the
    address, where no broker answers, and where the topics are not there.
    """

    def __init__(self, settings: Settings) -> None:
        self.bootstrap_servers = settings.bootstrap_servers
        self.prefix = settings.topic_prefix
        self._options = client_options(settings)
        self._partitions: dict[str, int] = {}
        self._batches: dict[tuple[str, int], Any] = {}
        self._acknowledgements: list[Awaitable[Any]] = []
        self._turns = itertools.count()

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            **self._options,
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            max_request_size=INPUT_MAX_BYTES,
        )
        try:
            await self._producer.start()
            await self._find_topics()
        except KafkaConnectionError as error:
            await self._producer.stop()
            raise await unreachable(self._options) from error
        except BaseException:
            await self._producer.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def add(self, record: Record) -> None:
        """Put a record into the open batch of its partition; a full batch is sent first."""
        topic = self.prefix + record.topic
        key = record.key
        number = next(self._turns) if key is None else _hash(key)
        where = (topic, number % self._partitions[topic])
        batch = self._batches.get(where)
        if batch is None or batch.append(timestamp=None, key=key, value=record.value) is None:
            await self._send(where)
            batch = self._batches[where] = self._producer.create_batch()
            batch.append(timestamp=None, key=key, value=record.value)

    async def flush(self) -> None:
        """Send all open batches and wait until the brokers have them."""
        for where in tuple(self._batches):
            await self._send(where)
        await self._settle()

    async def _find_topics(self) -> None:
        cluster = await self._producer.client.fetch_all_metadata()
        for topic in (self.prefix + topic.name for topic in INPUTS):
            partitions = cluster.partitions_for_topic(topic)
            if not partitions:
                message = f"the topic {topic} does not exist at {self.bootstrap_servers}"
                raise CxError(message, mend="cx topics create")
            self._partitions[topic] = len(partitions)

    async def _send(self, where: tuple[str, int]) -> None:
        batch = self._batches.pop(where, None)
        if batch is None:
            return
        batch.close()
        topic, partition = where
        try:
            self._acknowledgements.append(await self._producer.send_batch(batch, topic, partition=partition))
        except KafkaError as error:
            raise self._refused(error) from error
        if len(self._acknowledgements) >= IN_FLIGHT:
            await self._settle()

    async def _settle(self) -> None:
        waiting, self._acknowledgements = self._acknowledgements, []
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(outcome, KafkaError):
                raise self._refused(outcome) from outcome
            if isinstance(outcome, BaseException):
                raise outcome

    def _refused(self, error: KafkaError) -> CxError:
        message = f"the broker at {self.bootstrap_servers} did not take a batch: {error}"
        return CxError(message, mend="cx doctor")


async def pump(
    records: Iterable[Record],
    sink: Sink,
    pace: Pace,
    *,
    sent: Sent | None = None,
    progress: Callable[[Sent], None] | None = None,
) -> Sent:
    """Send all records at their pace and flush; return what was sent.

    `sent` counts while it runs, so that an interrupted caller still knows; `progress` is called now and then.
    """
    sent = Sent() if sent is None else sent
    start = time.monotonic()
    try:
        for record in records:
            if pace.bounded:
                event_time = (record.time or 0.0) - (sent.first_time or record.time or 0.0)
                ahead = pace.due(sent.records, event_time) - (time.monotonic() - start)
                if ahead > TICK_S:
                    await sink.flush()
                    await asyncio.sleep(ahead)
            await sink.add(record)
            sent.count(record)
            if sent.records % YIELD_EVERY == 0:
                if progress:
                    progress(sent)
                await asyncio.sleep(0)
    finally:
        # What was taken is sent even if the command is interrupted: no half batch is lost without a word.
        await sink.flush()
    if progress:
        progress(sent)
    return sent


@lru_cache(maxsize=1 << 17)  # the hash is pure Python: most customers come again
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF
