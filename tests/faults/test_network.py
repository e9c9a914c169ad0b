"""A network that is slow, resets connections, or goes silent without closing them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from proxy import Proxy
from rig import Rig, say

from streams.errors import CxError
from streams.local_kafka.node import LocalKafka
from streams.local_kafka.wire import LOOPBACK, free_port

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

Wires = tuple[Rig, Proxy, str]


@pytest.fixture
async def wires(tmp_path: Path, topic_prefix: str) -> AsyncIterator[Wires]:
    """Return a rig whose own clients reach the broker directly, a proxy, and its address for workers."""
    inside, behind, outside, controller = (free_port() for _ in range(4))
    listeners = {
        "listeners": f"PLAINTEXT://{LOOPBACK}:{inside},PROXIED://{LOOPBACK}:{behind},"
        f"CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{inside},PROXIED://{LOOPBACK}:{outside}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    broker = LocalKafka(tmp_path / "broker", port=inside, voters={1: controller}, extra_properties=listeners)
    try:
        await asyncio.to_thread(broker.start)
    except CxError as error:
        pytest.skip(f"no real Kafka: {error.message.splitlines()[0]} ({error.mend})")
    proxy = Proxy(outside, behind)
    await proxy.start()
    rig = Rig(broker.bootstrap_servers, topic_prefix, tmp_path)
    try:
        yield rig, proxy, f"{LOOPBACK}:{outside}"
    finally:
        rig.end()
        await proxy.stop()
        await asyncio.to_thread(broker.stop)


async def started(wires: Wires) -> None:
    """Start two workers behind the proxy, with records to work on."""
    rig, _, address = wires
    await rig.create()
    await rig.feed(20_000, seed=20)
    for name in ("w0", "w1"):
        rig.start(name, bootstrap=address)
    for name in ("w0", "w1"):
        await rig.ready(name)


async def finished(rig: Rig) -> None:
    """Let the workers finish, then ask the oracle."""
    await rig.feed(3_000, seed=21)
    await rig.drained(120)
    for name in ("w0", "w1"):
        assert rig.workers[name].poll() is None, rig.tails()
        # In a thread: the proxy lives in this loop.
        assert await asyncio.to_thread(rig.stop, name) == 0
    await rig.verdict()


@pytest.mark.long
async def test_slow_network(wires: Wires) -> None:
    """With 60 ms more on every piece the workers are slow, and exact."""
    rig, proxy, _ = wires
    await started(wires)
    proxy.slow(0.06)
    await rig.feed(10_000, seed=22)
    await asyncio.sleep(5)
    say("5 s with 60 ms on every piece")
    proxy.mend()
    await finished(rig)


async def test_resetting_network(wires: Wires) -> None:
    """Connections reset again and again, inside transactions too, lose and double nothing."""
    rig, proxy, _ = wires
    await started(wires)
    rig.feed_on()
    for _ in range(8):
        await asyncio.sleep(0.7)
        say(f"reset {proxy.reset()} connections")
    await rig.stop_feeding()
    await finished(rig)


@pytest.mark.long
async def test_half_open_network(wires: Wires) -> None:
    """A network that goes silent past the session timeout, and comes back, loses and doubles nothing."""
    rig, proxy, _ = wires
    await started(wires)
    rig.feed_on()
    await asyncio.sleep(1)
    proxy.hang()
    await asyncio.sleep(9)
    say("9 s of silence, with a session timeout of 6 s")
    proxy.mend()
    proxy.reset()
    await rig.stop_feeding()
    await finished(rig)
