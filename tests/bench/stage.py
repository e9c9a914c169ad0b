"""A Kafka of the benchmark's own, with backlogs and tables put onto it."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from streams.admin import ensure_topics
from streams.demo.feed import Pace, Record
from streams.demo.sinks import KafkaSink, pump
from streams.engine.handler import Standing
from streams.processing import build_processor
from streams.settings import Settings
from tests.bench.processes import Worker
from tests.bench.workload import Workload, customer_id

PARTITIONS = 4
SAMPLE_CUSTOMERS = 2_000
SAMPLE_EVENTS = 20_000
PRIMER_EVENTS = 400
"""Enough that every state partition has a marker."""
BATCH_BYTES = 256 << 10
IN_FLIGHT = 64


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a measurement happens: the broker, a folder, the core of whatever is measured."""

    bootstrap: str
    folder: Path
    core: int
    second_core: int | None = None
    """Where a second worker runs; None where that would be the broker's core."""

    def settings(self, prefix: str) -> Settings:
        """Return the settings of the application whose topics have `prefix`."""
        return Settings(
            bootstrap_servers=self.bootstrap, topic_prefix=prefix, app_id=f"{prefix}cx", partitions=PARTITIONS
        )

    def create(self, prefix: str) -> None:
        """Create the topics of `prefix`."""
        asyncio.run(ensure_topics(self.settings(prefix)))

    def feed(self, prefix: str, records: Iterable[Record]) -> float:
        """Send records as fast as they go; return the bytes of an average value."""

        async def sending() -> float:
            async with KafkaSink(Settings(bootstrap_servers=self.bootstrap, topic_prefix=prefix)) as sink:
                sent = await pump(records, sink, Pace())
                return sent.bytes / sent.records

        return asyncio.run(sending())

    def backlog(self, prefix: str, customers: int, events: int) -> float:
        """Create the topics of `prefix` and fill them; return the bytes of an average value."""
        self.create(prefix)
        return self.feed(prefix, Workload(customers).backlog(events, time.time()))

    def worker(self, prefix: str, app_id: str = "", **env: Any) -> Worker:
        """Return a worker, not yet started, on the topics of `prefix`."""
        return Worker(self.bootstrap, prefix, app_id or f"{prefix}cx", self.folder, self.core, **env)

    def table(self, prefix: str, customers: int) -> "Table":
        """Make an application whose table has `customers` rows of the product's own size.

        A worker makes the changelog and a first transaction on each partition; the rows are then written
        behind them, as Kafka would hold them after compaction.
        """
        self.create(prefix)
        self.feed(prefix, Workload(customers).backlog(PRIMER_EVENTS, time.time()))
        with self.worker(prefix) as worker:
            base_bytes = worker.run(PRIMER_EVENTS).rss_bytes
        rows = asyncio.run(self._write_rows(f"{prefix}cx-customers-changelog", customers))
        return Table(prefix, customers, PRIMER_EVENTS, rows, base_bytes)

    async def _write_rows(self, changelog: str, customers: int) -> int:
        """Write a row for each customer; return the bytes of keys and rows."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, enable_idempotence=True, acks="all", max_batch_size=BATCH_BYTES
        )
        await producer.start()
        written = 0
        waiting: list[Any] = []
        batches: dict[int, Any] = {}
        try:
            for key, row in _rows(customers):
                number = (murmur2(key) & 0x7FFFFFFF) % PARTITIONS
                written += len(key) + len(row)
                batch = batches.get(number)
                if batch is None or batch.append(key=key, value=row, timestamp=None) is None:
                    if batch is not None:
                        batch.close()
                        waiting.append(await producer.send_batch(batch, changelog, partition=number))
                    if len(waiting) >= IN_FLIGHT:
                        await asyncio.gather(*waiting)
                        waiting.clear()
                    batch = batches[number] = producer.create_batch()
                    batch.append(key=key, value=row, timestamp=None)
            for number, batch in batches.items():
                batch.close()
                waiting.append(await producer.send_batch(batch, changelog, partition=number))
            await asyncio.gather(*waiting)
        finally:
            await producer.stop()
        return written


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was put onto the broker."""

    prefix: str
    customers: int
    applied: int
    """Records that its application has applied so far."""
    row_bytes: int
    """Keys and rows together."""
    base_bytes: int
    """Memory of its worker when the table was all but empty."""


@dataclass(frozen=True, slots=True)
class _Fed:
    key: bytes | None
    value: bytes
    offset: int
    timestamp: int
    headers: tuple[tuple[str, bytes], ...] = ()


def sample_rows() -> list[bytes]:
    """Return rows as the product packs them, of every fiftieth of a crowd with ten events each."""
    now_s = time.time()
    work = build_processor(Settings()).begin(0, {}, Standing("0" * 16, now_s))
    feed = Workload(SAMPLE_CUSTOMERS, step=50).backlog(SAMPLE_EVENTS, now_s)
    for offset, each in enumerate(feed):
        work.apply([(each.topic, [_Fed(each.key, each.value, offset, int(now_s * 1000))])])
    return [row for row in work.finish().rows.values() if row is not None]


def _rows(customers: int) -> Iterator[tuple[bytes, bytes]]:
    rows = sample_rows()
    for number in range(customers):
        yield customer_id(number).encode(), rows[number % len(rows)]
