"""What a worker refuses to start on, and what the engine asks a real broker."""

import asyncio
import dataclasses
from zlib import crc32

import msgspec
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.admin import ensure_topics
from streams.cli.rebuild import _require_stopped
from streams.engine.changelog import ensure_changelog
from streams.engine.cluster import reader
from streams.engine.identity import adopt, settle
from streams.engine.marker import MARKER_KEY, Fingerprint, Marker, Position, Rebuild, new_marker
from streams.engine.preflight import check_cluster
from streams.engine.settings import EngineSettings, engine_settings
from streams.engine.wire import describe
from streams.errors import CxError
from streams.local_kafka.wire import free_port
from streams.settings import Settings
from streams.topics import WEB

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> Settings:
    """Return settings for topics of this test's own."""
    return Settings(
        bootstrap_servers=kafka, topic_prefix=topic_prefix, app_id=f"{topic_prefix}cx", partitions=2
    )


async def make(bootstrap: str, *topics: NewTopic) -> None:
    """Create topics and wait until the broker shows them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics(list(topics))
        names = {topic.name for topic in topics}
        while len(await describe(admin, names)) < len(names):  # noqa: ASYNC110  # the broker tells nobody
            await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def test_a_cluster_as_it_should_be_is_accepted(settings: Settings) -> None:
    """The partition count of the inputs is returned; no changelog was made by looking."""
    await ensure_topics(settings)
    engine = engine_settings(settings)
    assert await check_cluster(engine) == 2
    async with reader(engine) as consumer:
        assert engine.changelog not in await describe(consumer, [engine.changelog])


async def test_missing_topics_are_named_with_the_command_that_makes_them(settings: Settings) -> None:
    """The mend is `cx topics create`."""
    with pytest.raises(CxError, match=r"missing topics: .*touchpoints\.web") as caught:
        await check_cluster(engine_settings(settings))
    assert caught.value.mend == "cx topics create"


async def test_unequal_partition_counts_are_refused(settings: Settings) -> None:
    """Partition p of every topic has to lie on one worker."""
    name = settings.topic_prefix + WEB.name
    await ensure_topics(settings)
    engine = engine_settings(settings)
    odd = f"{settings.topic_prefix}odd"
    await make(settings.bootstrap_servers, NewTopic(odd, 3, 1))
    wrong = EngineSettings(
        bootstrap_servers=engine.bootstrap_servers, app_id=engine.app_id, inputs=(*engine.inputs, odd)
    )
    with pytest.raises(CxError, match=f"counts differ: {odd} has 3, the others 2") as caught:
        await check_cluster(wrong)
    assert caught.value.mend == "cx topics check"
    assert name in wrong.inputs


@pytest.mark.parametrize(
    ("partitions", "config", "found"),
    [
        (2, {"cleanup.policy": "delete"}, "not compacted"),
        (3, {"cleanup.policy": "compact"}, "has 3 partitions"),
    ],
)
async def test_a_changelog_that_would_lose_customers_is_refused(
    settings: Settings, partitions: int, config: dict[str, str], found: str
) -> None:
    """It must be compacted, and have as many partitions as the inputs."""
    await ensure_topics(settings)
    engine = engine_settings(settings)
    await make(settings.bootstrap_servers, NewTopic(engine.changelog, partitions, 1, topic_configs=config))
    with pytest.raises(CxError, match=found):
        await check_cluster(engine)


async def test_a_compacted_input_is_refused(settings: Settings) -> None:
    """Compaction takes a customer's earlier events away, maybe before they were applied."""
    await ensure_topics(settings)
    engine = engine_settings(settings)
    short = f"{settings.topic_prefix}short"
    await make(
        settings.bootstrap_servers, NewTopic(short, 2, 1, topic_configs={"cleanup.policy": "compact,delete"})
    )
    wrong = EngineSettings(
        bootstrap_servers=engine.bootstrap_servers, app_id=engine.app_id, inputs=(*engine.inputs, short)
    )
    with pytest.raises(CxError, match=f"lose events before they are applied: {short}\n") as caught:
        await check_cluster(wrong)
    assert short in caught.value.mend


async def test_a_broker_that_is_away_is_named() -> None:
    """Within seconds, with what to do."""
    away = EngineSettings(bootstrap_servers=f"127.0.0.1:{free_port()}", app_id="a", inputs=("web",))
    with pytest.raises(CxError, match="no Kafka broker answers") as caught:
        await check_cluster(away)
    assert "cx kafka start" in caught.value.mend


async def test_a_topic_made_anew_has_another_id(settings: Settings) -> None:
    """The broker's id tells it from its predecessor; a topic that is not there has none."""
    name = f"{settings.topic_prefix}again"
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        seen = []
        for _ in range(2):
            await admin.create_topics([NewTopic(name, 2, 1)])
            while name not in (found := await describe(admin, [name])):  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.05)
            seen.append(found[name])
            await admin.delete_topics([name])
            while name in await describe(admin, [name]):  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.05)
    finally:
        await admin.close()
    assert [each.partitions for each in seen] == [2, 2]
    assert seen[0].topic_id != seen[1].topic_id
    assert len(seen[0].topic_id) == 32


async def test_a_rebuild_without_topics_is_refused(settings: Settings) -> None:
    """There is nothing to replay; the command that mends is named."""
    with pytest.raises(CxError, match="missing topics") as caught:
        await _require_stopped(settings)
    assert caught.value.mend == "cx topics create"


async def test_a_changelog_that_cannot_be_made_is_told() -> None:
    """A broker that is away ends the start with words, not with a trace."""
    away = EngineSettings(bootstrap_servers=f"127.0.0.1:{free_port()}", app_id="app", inputs=("web",))
    with pytest.raises(CxError, match="could not be made"):
        await ensure_changelog(away, 2)


async def test_the_changelog_is_there_before_the_worker_joins(settings: Settings) -> None:
    """It is made compacted, with a leader everywhere; one that is there is left alone."""
    engine = engine_settings(settings)
    await ensure_topics(settings)
    for _ in range(2):
        await ensure_changelog(engine, 2)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        assert (await describe(admin, [engine.changelog]))[engine.changelog].partitions == 2
        assert await check_cluster(engine) == 2
    finally:
        await admin.close()


async def filled(settings: Settings) -> EngineSettings:
    """Return the engine's settings after five records were written to partition 0 of the first input."""
    await ensure_topics(settings)
    engine = engine_settings(settings)
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    for number in range(5):
        await producer.send_and_wait(
            engine.inputs[0], b"v%d" % number, b"k", partition=0, timestamp_ms=1000 + number
        )
    await producer.stop()
    return engine


def at(engine: EngineSettings, position: Position) -> Marker:
    """Return a marker that stands at `position` of the first input."""
    fresh = new_marker(dict.fromkeys(engine.inputs, 0))
    return Marker(
        fresh.version, fresh.generation, {**fresh.inputs, engine.inputs[0]: position}, fresh.counts, 1
    )


async def test_a_position_beyond_the_end_is_a_problem(settings: Settings) -> None:
    """The topic lost records that were applied, or was made anew."""
    engine = await filled(settings)
    async with reader(engine) as consumer:
        settled = await settle(consumer, engine, {0: at(engine, Position(6, 0)), 1: None})
    assert "stands at 6, the topic ends at 5" in str(settled.problems[0])
    assert settled.markers[1].inputs[engine.inputs[0]].next_offset == 0


async def test_an_input_that_is_gone_is_a_problem_of_each_partition(settings: Settings) -> None:
    """Nobody asks where a topic ends that is not there: that would take until the request times out."""
    engine = await filled(settings)
    engine = dataclasses.replace(engine, inputs=(*engine.inputs, f"{engine.inputs[0]}.gone"))
    async with reader(engine) as consumer:
        settled = await settle(consumer, engine, {0: at(engine, Position(2, 0)), 1: None})
    assert not settled.markers
    assert [str(settled.problems[number]) for number in (0, 1)] == [
        f"{engine.inputs[-1]}[{number}]: the topic is not there any more" for number in (0, 1)
    ]


async def test_a_partition_under_rebuild_is_left_alone(settings: Settings) -> None:
    """Half of the history is not the state; the way out is named."""
    engine = await filled(settings)
    begun = msgspec.structs.replace(at(engine, Position(2, 0)), rebuild=Rebuild("r", "replaying"))
    ended = msgspec.structs.replace(at(engine, Position(0, 0)), rebuild=Rebuild("r", "done"))
    async with reader(engine) as consumer:
        settled = await settle(consumer, engine, {0: begun, 1: ended})
    assert settled.problems[0].mend == "cx rebuild"
    assert list(settled.markers) == [1]


async def test_without_topic_ids_the_last_record_is_compared(settings: Settings) -> None:
    """A record with another content at that offset is another topic's."""
    engine = await filled(settings)
    right = Fingerprint(3, 1003, crc32(b"v3", crc32(b"k")))
    wrong = Fingerprint(3, 1003, 1)
    async with reader(engine) as consumer:
        good = await settle(consumer, engine, {0: at(engine, Position(4, 0, last=right))})
        bad = await settle(consumer, engine, {0: at(engine, Position(4, 0, last=wrong))})
    assert not good.problems
    assert good.markers[0].inputs[engine.inputs[0]].topic_id
    assert "made anew" in str(bad.problems[0])


async def test_an_input_never_seen_starts_at_its_first_record(settings: Settings) -> None:
    """A new input topic of an old state is read from the beginning."""
    engine = await filled(settings)
    marker = new_marker(dict.fromkeys(engine.inputs[1:], 0))
    async with reader(engine) as consumer:
        settled = await settle(consumer, engine, {0: marker})
    assert settled.markers[0].inputs[engine.inputs[0]].next_offset == 0
    settled.markers[0].check()


async def test_adopting_what_is_no_input_is_refused(settings: Settings) -> None:
    """The names that would do are listed."""
    engine = engine_settings(settings)
    with pytest.raises(CxError, match="is not an input topic") as caught:
        await adopt(engine, "elsewhere")
    assert engine.inputs[0] in caught.value.mend


async def test_adopting_changes_nothing_where_nothing_is_wrong(settings: Settings) -> None:
    """A partition that can be read on from keeps its marker."""
    engine = await filled(settings)
    await make(
        settings.bootstrap_servers,
        NewTopic(engine.changelog, 2, 1, topic_configs={"cleanup.policy": "compact"}),
    )
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    await producer.send_and_wait(
        engine.changelog, at(engine, Position(2, 0)).encode(), MARKER_KEY, partition=0
    )
    await producer.stop()
    assert await adopt(engine, engine.inputs[0]) == ()
    async with reader(engine) as consumer:
        tp = TopicPartition(engine.changelog, 0)
        assert (await consumer.end_offsets([tp]))[tp] == 1
