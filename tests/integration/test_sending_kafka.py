"""Transactions on a real broker: of today, and as a cluster has them that has not agreed on these."""

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from streams.admin import ensure_topics
from streams.engine import sending
from streams.engine.cluster import new_producer, reader
from streams.engine.implicit import JoiningProduceHandler
from streams.engine.loader import read_newest
from streams.engine.settings import EngineSettings, engine_settings
from streams.engine.writer import NO_COMPRESSION, Batch
from streams.settings import Settings

pytestmark = pytest.mark.kafka


@pytest.fixture
async def engine(kafka: str, topic_prefix: str) -> EngineSettings:
    """Return settings for topics of this test's own, which are there."""
    settings = Settings(
        bootstrap_servers=kafka, topic_prefix=topic_prefix, app_id=f"{topic_prefix}cx", partitions=2
    )
    await ensure_topics(settings)
    return engine_settings(settings)


def batches(topic: str, *values: bytes) -> list[tuple[TopicPartition, Batch]]:
    """Return a batch for each value, of as many partitions in turn."""
    found = []
    for number, value in enumerate(values):
        batch = Batch(1 << 16, NO_COMPRESSION, is_transactional=True)
        batch.fill((b"key", value, ()), iter(()))
        batch.close()
        found.append((TopicPartition(topic, number % 2), batch))
    return found


async def committed(engine: EngineSettings, topic: str) -> list[dict[bytes, bytes]]:
    """Return what each partition of a topic holds."""
    async with reader(engine) as consumer:
        found = await read_newest(consumer, topic, [0, 1])
    return [found[number].rows for number in (0, 1)]


@pytest.mark.parametrize("of_today", [True, False])
async def test_the_next_owner_fences_the_last(
    engine: EngineSettings, monkeypatch: pytest.MonkeyPatch, *, of_today: bool
) -> None:
    """What was committed is there once and in order; what the last owner tries after the take-over is not."""
    if not of_today:

        async def never(_: object) -> bool:
            return False

        monkeypatch.setattr(sending, "joins_implicitly", never)
    topic = engine.inputs[0]
    last, following = new_producer(engine, 0), new_producer(engine, 0)
    await last.start()
    try:
        assert (last._produce is JoiningProduceHandler) == of_today
        epoch = last._txn_manager.producer_epoch
        for number in range(5):
            await last.transact(batches(topic, *(b"%d" % each for each in range(number, number + 3))))
        assert last._txn_manager.producer_epoch == epoch + (5 if of_today else 0)
        await following.start()
        with pytest.raises(ProducerFenced):
            await last.transact(batches(topic, b"lost", b"lost"))
        assert await committed(engine, topic) == [{b"key": b"6"}, {b"key": b"5"}]
        await following.transact(batches(topic, b"mine"))
        assert await committed(engine, topic) == [{b"key": b"mine"}, {b"key": b"5"}]
    finally:
        await last.stop()
        await following.stop()
