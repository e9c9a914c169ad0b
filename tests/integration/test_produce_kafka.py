"""`cx produce` against a real Kafka: every record arrives once, in its customer's order, dated now."""

import asyncio
import time
from collections import defaultdict

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from click.testing import CliRunner

from streams.admin import wait_for_leaders
from streams.cli.produce import produce
from streams.demo.generator import generate
from streams.errors import CxError
from streams.topics import INPUTS

pytestmark = pytest.mark.kafka

PARTITIONS = 3
Log = dict[tuple[str, int], list[tuple[bytes | None, bytes, int]]]


async def create_topics(servers: str, prefix: str) -> None:
    """Create the input topics under a prefix."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        topics = [
            NewTopic(prefix + topic.name, PARTITIONS, 1, topic_configs=topic.config) for topic in INPUTS
        ]
        await admin.create_topics(topics)
        await wait_for_leaders(admin, [topic.name for topic in topics])
    finally:
        await admin.close()


async def read_all(servers: str, prefix: str) -> Log:
    """Return key, value and timestamp of all records of the input topics, by topic and partition."""
    log: Log = defaultdict(list)
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(prefix + topic.name, n) for topic in INPUTS for n in range(PARTITIONS)]
        ends = await consumer.end_offsets(places)
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        while sum(map(len, log.values())) < sum(ends.values()):
            for place, batch in (await consumer.getmany(timeout_ms=1000)).items():
                name = place.topic.removeprefix(prefix)
                log[name, place.partition] += [(one.key, one.value, one.timestamp) for one in batch]
    finally:
        await consumer.stop()
    return log


def test_every_record_arrives_once_in_its_customers_order(kafka: str, topic_prefix: str):
    """What Kafka holds is what was generated: per topic and customer in order, dated the time of sending."""
    asyncio.run(create_topics(kafka, topic_prefix))
    before = time.time()
    arguments = ["--generate", "5000", "--seed", "9", "--poison", "0.01", "--json"]
    target = ["--bootstrap-servers", kafka, "--prefix", topic_prefix]
    result = CliRunner().invoke(produce, [*arguments, *target])
    assert result.exit_code == 0, result.output
    assert orjson.loads(result.stdout)["sent"] == 5000
    log = asyncio.run(read_all(kafka, topic_prefix))

    expected = defaultdict(list)
    for record in generate(5000, seed=9, poison=0.01):
        expected[record.topic, record.key].append(record.value)
    arrived = defaultdict(list)
    for (topic, _), records in log.items():
        for key, value, _ in records:
            arrived[topic, key].append(value)
    keyless = [place for place in expected if place[1] is None]
    for place in keyless:  # they take turns over the partitions: no order is promised
        assert sorted(arrived.pop(place)) == sorted(expected.pop(place))
    assert arrived == expected
    stamps = [stamp for records in log.values() for _, _, stamp in records]
    assert before * 1000 - 1 <= min(stamps) <= max(stamps) <= time.time() * 1000 + 1


def test_a_customer_is_on_the_same_partition_of_every_topic(kafka: str, topic_prefix: str):
    """Partition p of each topic holds the same customers, so that one worker sees all of a customer."""
    asyncio.run(create_topics(kafka, topic_prefix))
    target = ["--bootstrap-servers", kafka, "--prefix", topic_prefix]
    assert CliRunner().invoke(produce, ["--generate", "3000", *target]).exit_code == 0
    partitions = defaultdict(set)
    for (_, partition), records in asyncio.run(read_all(kafka, topic_prefix)).items():
        for key, _, _ in records:
            partitions[key].add(partition)
    assert all(len(places) == 1 for places in partitions.values())


def test_missing_topics_are_not_created_on_the_way(kafka: str, topic_prefix: str):
    """Without the topics nothing is sent, and the error says how to create them."""
    arguments = ["--generate", "10", "--bootstrap-servers", kafka, "--prefix", topic_prefix]
    error = CliRunner().invoke(produce, arguments).exception
    assert isinstance(error, CxError)
    assert error.mend == f"cx topics create --bootstrap-servers {kafka} --topic-prefix {topic_prefix}"
