"""Inputs that lose what was not read yet: loud, counted, never silent, and mended by one command."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from oracle import read_all
from rig import PARTITIONS, Rig

from streams.engine.identity import adopt
from streams.engine.marker import MARKER_KEY, Marker, decode_marker
from streams.engine.settings import engine_settings

pytestmark = [pytest.mark.kafka, pytest.mark.faults]


async def markers(rig: Rig) -> dict[int, Marker]:
    """Return the last committed marker of each partition."""
    found = (await read_all(rig.bootstrap, [rig.changelog]))[rig.changelog]
    return {each.partition: decode_marker(each.value) for each in found if each.key == MARKER_KEY}


async def prepared(rig: Rig) -> AIOKafkaAdminClient:
    """Let a worker apply something, then stop it."""
    await rig.create()
    await rig.feed(6_000, seed=10)
    rig.start("w0")
    await rig.ready("w0")
    await rig.drained()
    rig.stop("w0")
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    return admin


@pytest.mark.apart
async def test_records_deleted_before_they_were_applied(rig: Rig) -> None:
    """Retention that overtook a worker stops the partition; adopting counts the loss and goes on."""
    admin = await prepared(rig)
    tp = TopicPartition(rig.inputs[0], 0)
    try:
        before = (await markers(rig))[0].inputs[tp.topic].next_offset
        await rig.feed(4_000, seed=11)
        end = await end_of(rig, tp)
        await admin.delete_records({tp: RecordsToDelete(before_offset=end - 10)})
    finally:
        await admin.close()
    rig.start("w1")
    await rig.until(lambda: "is stopped" in rig.log("w1"), "the stopped partition")
    assert f"cx topics adopt {tp.topic}" in rig.log("w1")
    assert (await markers(rig))[0].inputs[tp.topic].next_offset == before
    [done] = await adopt(engine_settings(rig.settings()), tp.topic)
    assert (done.partition, done.skipped) == (0, end - 10 - before)
    await rig.until(lambda: rig.times_ready("w1") > 1, "work after adopting")
    await rig.drained()
    rig.stop("w1")
    marker = (await markers(rig))[0]
    assert marker.counts.skipped == done.skipped
    marker.check()


@pytest.mark.apart
async def test_topic_deleted_and_made_anew(rig: Rig) -> None:
    """A recreated input stops every partition, also one grown past the marker; adopting applies it all."""
    admin = await prepared(rig)
    topic = rig.inputs[1]
    try:
        before = sum(marker.counts.accepted for marker in (await markers(rig)).values())
        await admin.delete_topics([topic])
        await asyncio.sleep(1)
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
        await asyncio.sleep(1)
    finally:
        await admin.close()
    fed = await rig.feed(8_000, seed=12)
    rig.start("w1")
    await rig.until(lambda: rig.log("w1").count("is stopped") == PARTITIONS, "the stopped partitions")
    assert "made anew" in rig.log("w1")
    assert sum(marker.counts.accepted for marker in (await markers(rig)).values()) == before
    done = await adopt(engine_settings(rig.settings()), topic)
    assert len(done) == PARTITIONS
    await rig.until(lambda: rig.times_ready("w1") > 1, "work after adopting")
    await rig.drained()
    rig.stop("w1")
    found = (await markers(rig)).values()
    assert sum(marker.counts.total() - marker.counts.skipped for marker in found) == 6_000 + fed
    for marker in found:
        marker.check()


@pytest.mark.long
async def test_records_deleted_under_a_running_worker(rig: Rig) -> None:
    """A position that falls out of range while the worker runs stops the partition, not the worker."""
    admin = await prepared(rig)
    tp = TopicPartition(rig.inputs[0], 0)
    rig.start("w0", FAULT_SLOW_S=0.5, CX_CHUNK_RECORDS=20, CX_CHUNK_BYTES=2048, CX_QUEUE_BYTES=1 << 20)
    try:
        await rig.ready("w0", 2)
        await rig.feed(20_000, seed=13)
        await asyncio.sleep(1)
        await admin.delete_records({tp: RecordsToDelete(before_offset=await end_of(rig, tp))})
        await rig.until(lambda: "is stopped" in rig.log("w0"), "the stopped partition")
    finally:
        await admin.close()
    assert rig.workers["w0"].poll() is None
    for marker in (await markers(rig)).values():
        marker.check()


async def end_of(rig: Rig, tp: TopicPartition) -> int:
    """Return the end offset of a partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=rig.bootstrap)
    await consumer.start()
    try:
        return int((await consumer.end_offsets([tp]))[tp])
    finally:
        await consumer.stop()
