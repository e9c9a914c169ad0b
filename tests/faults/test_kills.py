"""kill -9: exact counts, whenever the process dies."""

import asyncio
import random
import signal

import pytest
from rig import Rig, say

pytestmark = [pytest.mark.kafka, pytest.mark.faults]


async def test_one_worker_counts_every_record_once(rig: Rig) -> None:
    """Without any fault, rows, alerts, dead letters and counts are those of the oracle."""
    await rig.create()
    await rig.feed(20_000, seed=1)
    rig.start("w0")
    await rig.ready("w0")
    await rig.drained()
    assert rig.stop("w0") == 0
    await rig.verdict()


async def test_kill_9_at_random_moments(rig: Rig, kills: int) -> None:
    """A worker killed again and again counts each event once."""
    await rig.create()
    rnd = random.Random(kills)
    rig.feed_on()
    for number in range(kills):
        rig.start("w0")
        took = await rig.ready("w0", number + 1)
        pause = rnd.uniform(0.2, 1.5)
        say(f"kill {number + 1}: ready after {took:.2f} s, killed {pause:.2f} s later")
        await asyncio.sleep(pause)
        rig.stop("w0", signal.SIGKILL)
    say(f"fed {await rig.stop_feeding()} records")
    rig.start("w0")
    await rig.drained()
    rig.stop("w0")
    await rig.verdict()
