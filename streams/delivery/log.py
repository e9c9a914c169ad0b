"""The topic `cx.delivery`: read up to its end, written record by record, each acknowledged by all copies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from streams.admin import admin_client, quiet_client
from streams.connection import client_options
from streams.engine.wire import SPREAD_S, describe
from streams.errors import CxError
from streams.reach import unreachable
from streams.settings import Settings
from streams.topics import DEAD_LETTER_MAX_BYTES

POLL_MS: Final = 200


@asynccontextmanager
async def reader(settings: Settings) -> AsyncIterator[Any]:
    """Yield a consumer without a group; a broker that cannot be reached is a `CxError` with its cause."""
    options = client_options(settings)
    consumer = AIOKafkaConsumer(
        **options,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    async with _started(consumer, options):
        yield consumer


@asynccontextmanager
async def writer(settings: Settings) -> AsyncIterator[Any]:
    """Yield an idempotent producer; a broker that cannot be reached is a `CxError` with its cause."""
    options = client_options(settings)
    producer = AIOKafkaProducer(
        **options, acks="all", enable_idempotence=True, linger_ms=0, max_request_size=DEAD_LETTER_MAX_BYTES
    )
    async with _started(producer, options):
        yield producer


@asynccontextmanager
async def _started(client: Any, options: dict[str, Any]) -> AsyncIterator[None]:
    try:
        with quiet_client():
            await client.start()
    except KafkaError as error:
        await client.stop()
        raise await unreachable(options) from error
    try:
        yield
    finally:
        await client.stop()


async def partitions_of(settings: Settings, topic: str) -> int:
    """Return the partition count of `topic`; raises `CxError` where nobody has made it."""
    async with admin_client(settings) as admin:
        found = (await describe(admin, [topic], wait_s=SPREAD_S)).get(topic)
    if found is None:
        msg = f"the topic {topic} does not exist"
        raise CxError(msg, mend="cx topics create")
    return found.partitions


async def records(consumer: Any, tp: TopicPartition) -> AsyncIterator[Any]:
    """Yield what is in a partition now, in order; what arrives meanwhile is not waited for."""
    consumer.assign([tp])
    end = (await consumer.end_offsets([tp]))[tp]
    await consumer.seek_to_beginning(tp)
    # The position passes what no record shows: commit markers, and offsets that were compacted away.
    while await consumer.position(tp) < end:
        for record in (await consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, ()):
            if record.offset < end:
                yield record
