"""`cx alerts` against a real Kafka: only what was committed, the last step of each, and the pause."""

import asyncio

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner

from streams.admin import ensure_topics
from streams.cli.alerts import alerts
from streams.settings import Settings
from streams.topics import ALERTS
from tests.handling import Rig, documents, silent

pytestmark = pytest.mark.kafka

PARTITIONS = 2


def settings(kafka: str, prefix: str) -> Settings:
    """Return the settings of the command under test."""
    return Settings(bootstrap_servers=kafka, topic_prefix=prefix, partitions=PARTITIONS)


async def written(kafka: str, prefix: str) -> None:
    """Create the topics; commit two alerts on two partitions, and abort the end of the first."""
    await ensure_topics(settings(kafka, prefix))
    (opened,) = documents(Rig(now_day=300).apply(*silent()), ALERTS.name)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{prefix}alerts")
    await producer.start()

    async def put(name: str, partition: int, **changes: str) -> None:
        value = orjson.dumps({**opened, "alert_id": name, **changes})
        await producer.send_and_wait(prefix + ALERTS.name, value, name.encode(), partition=partition)

    try:
        async with producer.transaction():
            await put("first", 0)
            await put("second", 1)
            await put("second", 1, step="escalated", severity="critical")
        await producer.begin_transaction()
        await put("first", 0, step="resolved")
        await producer.abort_transaction()
    finally:
        await producer.stop()


def test_alerts_are_read_as_they_were_committed(kafka: str, topic_prefix: str):
    """An aborted step is none; the last committed step of each alert is listed, the gravest first."""
    asyncio.run(written(kafka, topic_prefix))
    options = ["--bootstrap-servers", kafka, "--topic-prefix", topic_prefix]
    run = CliRunner().invoke
    listed = orjson.loads(run(alerts, ["list", "--json", *options]).stdout)
    assert [(each["alert_id"], each["step"]) for each in listed] == [
        ("second", "escalated"),
        ("first", "opened"),
    ]
    shown = orjson.loads(run(alerts, ["show", "second", "--json", *options]).stdout)
    assert [each["step"] for each in shown] == ["opened", "escalated"]
    assert run(alerts, ["pause", "--reason", "a wave", *options]).output.startswith("paused")
    assert run(alerts, ["pause", *options]).output.startswith("already paused for moments: a wave")
    listing = run(alerts, ["list", "--json", *options]).stderr
    assert listing == "delivery is paused for moments: a wave; cx alerts resume\n"
    assert run(alerts, ["resume", *options]).output.startswith("resumed")
    assert run(alerts, ["resume", *options]).output == "nothing was paused\n"
