"""A real Kafka through a crash of its process, alone and as one of three."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from streams.admin import admin_client, describe_topics, ensure_topics
from streams.errors import CxError
from streams.local_kafka.find import Runtime, locate
from streams.local_kafka.node import LocalKafka
from streams.settings import Settings
from streams.topics import TOPICS
from tests.local_cluster import LocalCluster

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    """Return a Java and Kafka's jars, or skip with the reason."""
    try:
        return locate()
    except CxError as error:
        pytest.skip(f"no real Kafka: {error.message.splitlines()[0]} ({error.mend})")


async def test_topics_survive_a_crash_of_the_broker(tmp_path: Path, runtime: Runtime):
    """After kill -9 and a start on the same folder and port, every topic is still there."""
    with LocalKafka(tmp_path, runtime=runtime) as broker:
        settings = Settings(bootstrap_servers=broker.bootstrap_servers)
        await ensure_topics(settings)
        broker.kill()
        broker.start()
        states = await describe_topics(settings)
    assert [state.problem for state in states] == [""] * len(TOPICS)


@pytest.mark.slow
async def test_three_nodes_go_on_when_the_leader_of_a_partition_is_killed(tmp_path: Path, runtime: Runtime):
    """With three copies, a partition that loses its leader takes the next record on another node."""
    with LocalCluster(tmp_path, runtime=runtime) as cluster:
        async with admin_client(Settings(bootstrap_servers=cluster.bootstrap_servers)) as admin:
            await admin.create_topics([NewTopic("t", 1, 3, topic_configs={"min.insync.replicas": "2"})])
        producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap_servers, acks="all")
        await producer.start()
        first = await producer.send_and_wait("t", b"1", partition=0)
        # The node that took the record is the one to lose: another node may not know of the topic yet.
        leader = producer.client.cluster.leader_for_partition(TopicPartition("t", 0))
        cluster.node(leader).kill()
        second = await producer.send_and_wait("t", b"2", partition=0)
        await producer.stop()
    assert (first.offset, second.offset) == (0, 1)
