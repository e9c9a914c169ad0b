"""The broker goes away in mid-flow."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import Rig, say

from streams.errors import CxError
from streams.local_kafka.node import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

DOWN_S = 3.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """Return a broker of this test's own."""
    own = LocalKafka(tmp_path / "broker")
    try:
        own.start()
    except CxError as error:
        pytest.skip(f"no real Kafka: {error.message.splitlines()[0]} ({error.mend})")
    yield own
    own.stop()


async def test_broker_stopped_and_killed(broker: LocalKafka, topic_prefix: str, tmp_path: Path) -> None:
    """Workers outlive a broker that is stopped, and one that is killed, and count each event once."""
    rig = Rig(broker.bootstrap_servers, topic_prefix, tmp_path)
    try:
        await rig.create()
        await rig.feed(60_000, seed=5)
        for name in ("w0", "w1"):
            rig.start(name, FAULT_SLOW_S=0.05)
        for name in ("w0", "w1"):
            await rig.ready(name)
        for how in (broker.stop, broker.kill):
            await asyncio.sleep(2)
            await asyncio.to_thread(how)
            await asyncio.sleep(DOWN_S)
            await asyncio.to_thread(broker.start)
            codes = {name: process.poll() for name, process in rig.workers.items()}
            say(f"broker {how.__name__}: back, workers {codes}")
            assert set(codes.values()) == {None}, rig.tails()
            await rig.feed(5_000, seed=6)
        await rig.drained(150)
        for name in ("w0", "w1"):
            rig.stop(name)
        await rig.verdict()
    finally:
        rig.end()
