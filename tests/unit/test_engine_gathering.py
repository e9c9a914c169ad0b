"""What nobody waits for gathers: how long, how much, and what ends it."""

from collections.abc import AsyncIterator

import pytest

from streams.engine import partition
from tests.lane_bench import WEB, Bench

FOR_EVER_S = 3600.0


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Return a lane whose transactions gather until something ends it; its tasks end with the test."""
    made = Bench()
    made.configure(hold_s=FOR_EVER_S)
    yield made
    made.close()


def written(bench: Bench) -> list[int]:
    """Return the records of each transaction of the first partition."""
    return [transaction.records for transaction in bench.writers[0].written]


async def test_it_gathers_until_somebody_waits(bench: Bench) -> None:
    """An alert takes along what came before it, in one transaction."""
    for offset in range(3):
        await bench.send(offset)
        await bench.settle_unless_busy()
        assert written(bench) == []
    assert bench.owned().state.rows == {}
    bench.handler.urgent = True
    await bench.send(3)
    await bench.settle()
    assert written(bench) == [4]
    assert bench.owned().state.rows == {b"k": b"4"}
    assert bench.lane.partitions.positions()[0, WEB] == 4


async def test_it_gathers_no_longer_than_it_may(bench: Bench) -> None:
    """A score is never held back for good."""
    bench.configure(hold_s=0.01)
    await bench.send(0)
    await bench.settle()
    assert written(bench) == [1]


async def test_an_alert_does_not_gather(bench: Bench) -> None:
    """Whoever is told at once is not told later."""
    bench.handler.urgent = True
    await bench.send(0)
    await bench.settle()
    assert written(bench) == [1]


async def test_it_gathers_no_more_than_a_group(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit goes into the next one; a group that is full is written."""
    monkeypatch.setattr(partition, "GROUP_RECORDS", 3)
    await bench.send(0, 2)
    await bench.settle_unless_busy()
    assert written(bench) == []
    await bench.send(2, 2)
    await bench.settle_unless_busy()
    assert written(bench) == [2]
    await bench.send(4)
    await bench.settle()
    assert written(bench) == [2, 3]
    assert bench.owned().state.rows == {b"k": b"5"}


async def test_what_came_as_several_groups_does_not_gather(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing more may come of the customers of a group that is done."""
    monkeypatch.setattr(partition, "GROUP_RECORDS", 3)
    await bench.send(0, 4, customers=2)
    await bench.settle()
    assert written(bench) == [4]


async def test_it_gathers_no_more_bytes_than_a_transaction_may_have(bench: Bench) -> None:
    """Large records are bounded too."""
    bench.configure(hold_s=FOR_EVER_S, transaction_bytes=100)
    await bench.send(0)
    await bench.settle_unless_busy()
    assert written(bench) == []
    await bench.send(1)
    await bench.settle()
    assert written(bench) == [2]


async def test_what_it_takes_while_it_gathers_has_the_bytes_that_are_left(bench: Bench) -> None:
    """What comes at once may not make it twice as large."""
    bench.configure(hold_s=FOR_EVER_S, transaction_bytes=100)
    await bench.send(0)
    await bench.settle_unless_busy()
    for offset in range(1, 4):
        await bench.send(offset)
    await bench.settle()
    assert written(bench) == [2, 2]


async def test_what_gathered_before_says_nothing_of_the_speed(bench: Bench) -> None:
    """How many records a second are computed is what bounds a transaction's time: not those of earlier."""
    bench.configure(hold_s=FOR_EVER_S, chunk_records=4)
    for offset in range(6):
        await bench.send(offset)
        await bench.settle_unless_busy()
    assert written(bench) == []
    assert bench.lane._speed == 0.0


async def test_the_sweep_does_not_wait_for_it(bench: Bench) -> None:
    """What gathers is written first, and the sweep finds it."""
    await bench.send(0)
    await bench.settle_unless_busy()
    await bench.lane._sweep(bench.owned())
    assert written(bench) == [1, 0], "and what the sweep has found"
    assert [keys for keys, _ in bench.handler.swept] == [[b"k"]]


async def test_a_rebalance_writes_what_gathers(bench: Bench) -> None:
    """Whoever takes the partition over has less to do again."""
    await bench.send(0)
    await bench.settle_unless_busy()
    await bench.lane.halt(5.0)
    assert written(bench) == [1]
    assert bench.owned().state.rows == {b"k": b"1"}


async def test_it_gathers_again_after_a_sweep(bench: Bench) -> None:
    """Whoever was in a hurry has been served."""
    await bench.lane._sweep(bench.owned())
    await bench.send(0)
    await bench.settle_unless_busy()
    assert written(bench) == []


async def test_what_gathers_on_a_partition_that_is_lost_is_dropped(bench: Bench) -> None:
    """It is applied again when the partition was loaded anew."""
    await bench.send(0)
    await bench.settle_unless_busy()
    bench.lane.on_out_of_range(WEB, 0, 7)
    await bench.lane.quiesce()
    assert written(bench) == []
    assert bench.lane.stats.failed == 1
    assert bench.owned().state.rows == {}
