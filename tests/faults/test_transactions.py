"""A worker frozen inside an open transaction."""

import asyncio
import signal

import pytest
from rig import Rig, say

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

TRANSACTION_TIMEOUT_S = 5


async def test_frozen_inside_an_open_transaction_past_its_timeout(rig: Rig) -> None:
    """The broker aborts the transaction, nobody rebalances: the worker loads the partition again."""
    await rig.create()
    freeze = rig.folder / "freeze"
    rig.start(
        "w0",
        CX_SESSION_TIMEOUT_S=60,
        CX_TRANSACTION_TIMEOUT_S=TRANSACTION_TIMEOUT_S,
        FAULT_STOP_FILE=freeze,
    )
    await rig.ready("w0")
    rig.feed_on()
    await asyncio.sleep(1)
    freeze.touch()
    await rig.until(lambda: not freeze.exists(), "the freeze")
    await asyncio.sleep(3 * TRANSACTION_TIMEOUT_S)
    rig.send("w0", signal.SIGCONT)
    took = await rig.ready("w0", 2)
    say(f"healed {took:.2f} s after it ran on; fed {await rig.stop_feeding()} records")
    await rig.drained()
    assert rig.stop("w0") == 0
    await rig.verdict()


@pytest.mark.long
async def test_frozen_inside_a_transaction_and_replaced(rig: Rig) -> None:
    """A zombie that wakes inside its open transaction cannot commit it after the take-over."""
    await rig.create()
    freeze = rig.folder / "freeze"
    rig.start("w0", FAULT_STOP_FILE=freeze)
    await rig.ready("w0")
    rig.start("w1")
    await rig.ready("w1")
    rig.feed_on()
    await asyncio.sleep(1)
    before = rig.times_ready("w0")
    freeze.touch()
    took = await rig.ready("w1", what="working on partitions [0, 1, 2, 3]")
    await asyncio.sleep(1)
    rig.send("w0", signal.SIGCONT)
    back = await rig.ready("w0", before + 1)
    say(f"taken over after {took:.2f} s, zombie back after {back:.2f} s")
    say(f"fed {await rig.stop_feeding()} records")
    await rig.drained()
    for name in ("w0", "w1"):
        assert rig.stop(name) == 0
    await rig.verdict()
