"""One transaction per partition and flush: rows, marker and outputs become visible at once or not at all."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, groupby
from time import time

from aiokafka import TopicPartition
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.engine.errors import Fenced, Lost
from streams.engine.handler import Output
from streams.engine.marker import MARKER_KEY, Marker
from streams.engine.partition import Transaction
from streams.engine.sending import LaneWriter
from streams.engine.settings import EngineSettings

log = logging.getLogger(__name__)

START_S = 120.0
"""So long all producers may take to get their ids; aiokafka would ask a cluster that gives none for ever."""
STOP_TIMEOUT_S = 5.0
TIMEOUTS = 2.0
"""So many transaction timeouts are waited for: the broker has aborted it long since, and aiokafka would ask
again for ever."""

NO_COMPRESSION = 0
"""As aiokafka names it."""

Item = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes | None], ...]]


class Writer:
    """Writes transactions of one state partition with the producer that owns it."""

    def __init__(self, settings: EngineSettings, partition: int, producer: LaneWriter) -> None:
        self.settings = settings
        self.partition = partition
        self.producer = producer
        self._bound: asyncio.Timeout | None = None
        """Of the transaction under way."""

    async def write(self, transaction: Transaction) -> None:
        """Commit `transaction`. Raises `Lost` where it was not, or where nobody can tell."""
        rows = ((key, value, ()) for key, value in transaction.changelog())
        await self._in_transaction(rows, transaction.effects.outputs)

    async def write_marker(self, marker: Marker) -> None:
        """Commit a marker alone."""
        await self._in_transaction([(MARKER_KEY, marker.encode(), ())], [])

    async def close(self) -> None:
        """Let the producer go; an open transaction is aborted by whoever takes the partition over.

        One under way ends at once: a client that was closed learns of no leader, and it would wait for one.
        """
        if self._bound is not None and not self._bound.expired():
            self._bound.reschedule(0)
        try:
            await asyncio.wait_for(self.producer.stop(), STOP_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001  # whatever it is, the next owner fences this producer
            log.warning("the producer of partition %d did not stop: %r", self.partition, error)

    async def _in_transaction(self, rows: Iterable[Item], outputs: Iterable[Output]) -> None:
        try:
            async with asyncio.timeout(TIMEOUTS * self.settings.transaction_timeout_s) as self._bound:
                await self.producer.transact(self._batches(rows, outputs))
        except (ProducerFenced, InvalidProducerEpoch) as error:
            msg = f"partition {self.partition}: {error!r}"
            raise Fenced(msg) from error
        except (KafkaError, NotImplementedError, TimeoutError) as error:
            # Not implemented is what aiokafka says of a broker that is older than it was at the start.
            msg = f"partition {self.partition}: {error!r}"
            raise Lost(msg) from error
        finally:
            self._bound = None

    def _batches(
        self, rows: Iterable[Item], outputs: Iterable[Output]
    ) -> Iterator[tuple[TopicPartition, "Batch"]]:
        """Yield what is to be written, the changelog first."""
        yield from self._batched(self.settings.changelog, rows)
        for topic, group in groupby(sorted(outputs, key=_topic), key=_topic):
            yield from self._batched(topic, ((each.key, each.value, each.headers) for each in group))

    def _batched(self, topic: str, items: Iterable[Item]) -> Iterator[tuple[TopicPartition, "Batch"]]:
        tp = TopicPartition(topic, self.partition)
        left = iter(items)
        item = next(left, None)
        while item is not None:
            batch = Batch(self.settings.max_batch_bytes, NO_COMPRESSION, is_transactional=True)
            item = batch.fill(item, left)
            batch.close()
            yield tp, batch


async def start_all(writers: Collection[Writer]) -> None:
    """Let each producer connect and get its id from the brokers: whoever wrote with it before is fenced.

    Raises the error of the first that could not, or `TimeoutError` that names those without one in `START_S`.
    Then none goes on: one that got its id later would fence whoever writes by then.
    """
    starts = {asyncio.create_task(each.producer.start()): each.partition for each in writers}
    try:
        ended, waiting = await asyncio.wait(starts, timeout=START_S, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for start in starts:
            start.cancel()
    for start in ended:
        start.result()
    if waiting:
        lacking = ", ".join(map(str, sorted(starts[start] for start in waiting)))
        msg = f"the brokers gave no id to write with in {START_S:g} s, for partitions {lacking}"
        raise TimeoutError(msg)


class Batch(BatchBuilder):  # type: ignore[misc]  # aiokafka is untyped
    """A batch that takes many records at once: what stock does around each costs as much as the record."""

    def fill(self, first: Item, more: Iterator[Item]) -> Item | None:
        """Add records, in an empty batch the first whatever its size; return the one that did not fit."""
        append, now_ms = self._builder.append, int(time() * 1000)
        for item in chain((first,), more):
            key, value, headers = item
            if append(self._relative_offset, now_ms, key, value, list(headers)) is None:
                return item
            self._relative_offset += 1
        return None


def _topic(output: Output) -> str:
    return output.topic
