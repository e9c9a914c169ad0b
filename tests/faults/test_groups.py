"""Workers that come, go, freeze and return: partitions move, nothing is lost or doubled."""

import asyncio
import random
import signal

import pytest
from rig import Rig, say

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

SETTLE_S = 1.5
EVERYTHING = "working on partitions [0, 1, 2, 3]"


@pytest.mark.apart
async def test_one_two_three_one_workers(rig: Rig) -> None:
    """Scaling out and in, by SIGTERM and by kill -9, while records keep coming, changes no count."""
    await rig.create()
    rig.feed_on()
    for count, name in enumerate(("w0", "w1", "w2"), start=1):
        before = {other: rig.times_ready(other) for other in rig.workers}
        rig.start(name)
        took = await rig.ready(name)
        for other, times in before.items():
            await rig.ready(other, times + 1)
        say(f"{count} workers: {name} ready after {took:.2f} s")
        await asyncio.sleep(SETTLE_S)
    for name, number, survivors in (
        ("w1", signal.SIGTERM, ("w0", "w2")),
        ("w0", signal.SIGKILL, ("w2",)),
    ):
        before = {other: rig.times_ready(other) for other in survivors}
        rig.stop(name, number)
        took = max([await rig.ready(other, times + 1) for other, times in before.items()])
        say(f"{number.name} {name}: taken over after {took:.2f} s")
        await asyncio.sleep(SETTLE_S)
    say(f"fed {await rig.stop_feeding()} records")
    await rig.drained()
    rig.stop("w2")
    await rig.verdict()


@pytest.mark.apart
async def test_frozen_worker_is_replaced_and_returns(rig: Rig) -> None:
    """A worker frozen past the session timeout writes nothing after its partitions were taken over."""
    await rig.create()
    rnd = random.Random(4)
    rig.start("w0")
    await rig.ready("w0")
    rig.start("w1")
    await rig.ready("w1")
    rig.feed_on()
    for frozen, other in (("w0", "w1"), ("w1", "w0")):
        await asyncio.sleep(rnd.uniform(0.5, 1.5))
        before = rig.times_ready(other, EVERYTHING), rig.times_ready(frozen)
        rig.send(frozen, signal.SIGSTOP)
        took = await rig.ready(other, before[0] + 1, what=EVERYTHING)
        await asyncio.sleep(rnd.uniform(0.5, 1.5))
        rig.send(frozen, signal.SIGCONT)
        back = await rig.ready(frozen, before[1] + 1)
        say(f"froze {frozen}: taken over after {took:.2f} s, back in the group after {back:.2f} s")
        await asyncio.sleep(SETTLE_S)
    say(f"fed {await rig.stop_feeding()} records")
    await rig.drained()
    for name in ("w0", "w1"):
        assert rig.stop(name) == 0
    await rig.verdict()


@pytest.mark.apart
async def test_two_processes_with_one_static_id(rig: Rig) -> None:
    """A frozen static member whose replacement is at work does no harm when it wakes; one of them ends."""
    await rig.create()
    rig.start("w0", CX_STATIC_ID="same", CX_DATA_DIR=rig.folder / "old")
    await rig.ready("w0")
    rig.feed_on()
    await asyncio.sleep(SETTLE_S)
    rig.send("w0", signal.SIGSTOP)
    rig.start("w1", CX_STATIC_ID="same")
    took = await rig.ready("w1")
    await asyncio.sleep(SETTLE_S)
    rig.send("w0", signal.SIGCONT)
    await asyncio.sleep(4)
    codes = {name: process.poll() for name, process in rig.workers.items()}
    say(f"replacement ready after {took:.2f} s; 4 s after both ran: {codes}")
    say(f"fed {await rig.stop_feeding()} records")
    for name, code in codes.items():
        if code is None and name == "w0":
            rig.stop(name)
    if rig.workers["w1"].poll() is not None:
        rig.start("w1", CX_STATIC_ID="same")
    await rig.drained()
    rig.stop("w1")
    await rig.verdict()


@pytest.mark.long
async def test_chaos(rig: Rig, chaos_s: float) -> None:
    """Three workers killed, stopped, frozen and started at random count each event once."""
    await rig.create()
    rnd = random.Random(8)
    names = ("w0", "w1", "w2")
    for name in names:
        rig.start(name)
    await rig.ready("w0")
    rig.feed_on()
    done = await chaos(rig, rnd, names, chaos_s)
    for name in names:
        rig.send(name, signal.SIGCONT)
        if rig.workers[name].poll() is not None:
            rig.start(name)
    say(f"{', '.join(done)}; fed {await rig.stop_feeding()} records")
    await rig.drained()
    for name in names:
        if rig.workers[name].poll() is None:
            rig.stop(name)
    await rig.verdict()


async def chaos(rig: Rig, rnd: random.Random, names: tuple[str, ...], seconds: float) -> list[str]:
    """Do harm to random workers for a while; return what was done."""
    loop = asyncio.get_running_loop()
    end, thaw = loop.time() + seconds, dict.fromkeys(names, 0.0)
    done: list[str] = []
    while loop.time() < end:
        await asyncio.sleep(rnd.uniform(0.3, 2.5))
        for name in [name for name, at in thaw.items() if at and at < loop.time()]:
            rig.send(name, signal.SIGCONT)
            thaw[name] = 0.0
        name = rnd.choice(names)
        if rig.workers[name].poll() is not None:
            done.append("start")
            rig.start(name)
        elif not thaw[name]:
            action = rnd.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP))
            done.append(action.name)
            rig.send(name, action)
            thaw[name] = loop.time() + rnd.uniform(1, 9) if action is signal.SIGSTOP else 0.0
    return done
