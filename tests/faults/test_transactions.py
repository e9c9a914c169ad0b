"""A worker frozen inside an open transaction, and one whose cluster changes how these are written."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from features import write_transactions
from rig import Rig, say

from streams.errors import CxError
from streams.local_kafka.node import LocalKafka

pytestmark = [pytest.mark.kafka, pytest.mark.faults]

TRANSACTION_TIMEOUT_S = 5
OF_OLD, OF_TODAY = 1, 2
"""Levels of transactions: as before Kafka 4, and with partitions that join by themselves."""


@pytest.fixture
def old_rig(topic_prefix: str, tmp_path: Path) -> Iterator[Rig]:
    """Return a rig on a Kafka of its own, which writes transactions as before Kafka 4."""
    broker = LocalKafka(tmp_path / "broker")
    broker.format_arguments = ("--feature", f"transaction.version={OF_OLD}")
    try:
        broker.start()
    except CxError as error:
        pytest.skip(f"no real Kafka: {error.message.splitlines()[0]} ({error.mend})")
    made = Rig(broker.bootstrap_servers, topic_prefix, tmp_path)
    yield made
    made.end()
    broker.stop()


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


async def test_a_cluster_that_learns_to_write_transactions_anew_and_forgets_it(old_rig: Rig) -> None:
    """As before Kafka 4, raised, and taken back: a worker goes on through it, and is killed in each."""
    rig = old_rig
    await rig.create()
    rig.start("w0")
    await rig.ready("w0")
    rig.feed_on()
    for times, level in enumerate((OF_OLD, OF_TODAY, OF_OLD), 2):
        await write_transactions(rig.bootstrap, level)
        await asyncio.sleep(1.5)
        assert rig.workers["w0"].poll() is None, rig.tails()
        assert rig.times_ready("w0") == times - 1, rig.tails()
        rig.stop("w0", signal.SIGKILL)
        rig.start("w0")
        await rig.ready("w0", times)
    say(f"fed {await rig.stop_feeding()} records")
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
