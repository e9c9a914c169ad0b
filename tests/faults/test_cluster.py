"""Three brokers, everything replicated three times, and the leader killed."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from rig import Rig, say

from streams.errors import CxError
from tests.local_cluster import LocalCluster

pytestmark = [pytest.mark.kafka, pytest.mark.faults, pytest.mark.long]


async def partition_0(rig: Rig, topic: str) -> dict[str, Any]:
    """Return the first partition of `topic` as the cluster has it: its leader, and its replicas."""
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    try:
        [described] = await admin.describe_topics([topic])
        return next(each for each in described["partitions"] if each["partition"] == 0)
    finally:
        await admin.close()


async def test_leaders_are_killed_one_after_the_other(topic_prefix: str, tmp_path: Path) -> None:
    """A cluster that loses the leader of an input, then that of the changelog, counts each event once."""
    try:
        cluster = LocalCluster(tmp_path / "cluster")
        await asyncio.to_thread(cluster.start)
    except CxError as error:
        pytest.skip(f"no real Kafka: {error.message.splitlines()[0]} ({error.mend})")
    rig = Rig(cluster.bootstrap_servers, topic_prefix, tmp_path)
    try:
        await rig.create(replication_factor=3)
        await rig.feed(20_000, seed=30)
        for name in ("w0", "w1"):
            rig.start(name, CX_REPLICATION_FACTOR=3)
        for name in ("w0", "w1"):
            await rig.ready(name)
        for topic in (rig.inputs[0], rig.changelog):
            found = await partition_0(rig, topic)
            assert len(found["replicas"]) == 3, topic
            node = cluster.node(int(found["leader"]))
            await asyncio.to_thread(node.kill)
            say(f"killed node {node.node_id}, leader of {topic}[0]")
            await rig.feed(8_000, seed=31)
            await asyncio.sleep(2)
            await asyncio.to_thread(node.start)
            say(f"node {node.node_id} is back")
            await rig.feed(4_000, seed=32)
        await rig.drained(150)
        for name in ("w0", "w1"):
            assert rig.workers[name].poll() is None, rig.tails()
            assert await asyncio.to_thread(rig.stop, name) == 0
        await rig.verdict()
    finally:
        rig.end()
        await asyncio.to_thread(cluster.stop)
