"""Own connections to the brokers: a question on the group's connection waits behind a long-poll fetch."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.engine.sending import LaneWriter
from streams.engine.settings import EngineSettings

FETCH_PARTITION_BYTES = 4 << 20
FETCH_BYTES = 32 << 20
FETCH_WAIT_MS = 100
REQUEST_TIMEOUT_MS = 20_000


@asynccontextmanager
async def reader(settings: EngineSettings) -> AsyncIterator[Any]:
    """Yield a consumer without a group that reads committed records in large fetches.

    Checksums are left to TCP and the broker: checking each costs a third of the recovery.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        check_crcs=False,
        max_partition_fetch_bytes=FETCH_PARTITION_BYTES,
        fetch_max_bytes=FETCH_BYTES,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **settings.security,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def bounds(
    consumer: Any, partitions: Collection[TopicPartition]
) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
    """Return the first offset and the end (last stable offset) of each partition."""
    # Without its topics in the client's metadata, ListOffsets backs off three times 100 ms.
    await consumer._client.set_topics({tp.topic for tp in partitions})  # noqa: SLF001  # the client's own cache
    return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)


def new_producer(settings: EngineSettings, partition: int) -> LaneWriter:
    """Return the one producer that may write for `partition`; its start fences every earlier one."""
    return LaneWriter(
        bootstrap_servers=settings.bootstrap_servers,
        client_id=f"{settings.app_id}-writer-{partition}",
        transactional_id=settings.transactional_id(partition),
        transaction_timeout_ms=int(settings.transaction_timeout_s * 1000),
        max_batch_size=settings.max_batch_bytes,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        linger_ms=0,
        **settings.security,
    )
