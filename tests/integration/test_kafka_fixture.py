"""The `kafka` fixture gives a real broker, with transactions."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

pytestmark = pytest.mark.kafka


async def test_a_record_comes_back_byte_for_byte(kafka: str, topic_prefix: str):
    """A record committed in a transaction is read back with its key, value and headers unchanged."""
    topic = f"{topic_prefix}echo"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic_prefix}id")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"\xff\x00", key=b"k", headers=[("h", b"\x80")])
    await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed")
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0)])
    await consumer.seek_to_beginning()
    record = await asyncio.wait_for(consumer.getone(), 10)
    await consumer.stop()
    assert (record.key, record.value, record.headers) == (b"k", b"\xff\x00", (("h", b"\x80"),))
