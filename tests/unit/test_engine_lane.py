"""The lane with a writer and a consumer of paper: what is written when, and what a failure does."""

import asyncio
import gc
import itertools
import weakref
from collections.abc import AsyncIterator
from itertools import chain, repeat
from time import monotonic
from typing import Any

import pytest
from faust.types import TP

from streams.engine import lane, partition
from streams.engine.errors import Fenced, Lost
from streams.engine.settings import EngineSettings
from streams.engine.transport import Reach
from streams.errors import CxError, Exit
from tests.lane_bench import (
    WEB,
    Bench,
    CountingWork,
)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Return a lane at work; its tasks end with the test."""
    made = Bench()
    yield made
    made.close()


async def test_a_chunk_is_written_and_then_in_memory(bench: Bench) -> None:
    """The row and the position move together."""
    await bench.send(0, 3)
    await bench.settle()
    assert bench.owned().state.rows == {b"k": b"3"}
    assert bench.lane.partitions.positions()[0, WEB] == 3
    assert (bench.lane.stats.commits, bench.lane.stats.records) == (1, 3)


async def test_memory_waits_for_the_commit(bench: Bench) -> None:
    """While the transaction is in flight, rows are the committed ones."""
    bench.writers[0].gate.clear()
    await bench.send(0, 3)
    await bench.settle()
    assert bench.owned().state.rows == {}
    bench.writers[0].gate.set()
    await bench.settle()
    assert bench.owned().state.rows == {b"k": b"3"}


async def test_other_partitions_compute_while_one_commits(bench: Bench) -> None:
    """A slow commit of one partition holds nobody else up."""
    bench.writers[0].gate.clear()
    await bench.send(0)
    await bench.send(0, partition=1)
    await bench.settle()
    assert [len(writer.written) for writer in bench.writers] == [0, 1]
    bench.writers[0].gate.set()
    await bench.settle()


async def test_what_waits_goes_into_one_transaction(bench: Bench) -> None:
    """Chunks that came during a commit share the next one."""
    assert await bench.behind_a_commit(3) == [1, 3]


async def test_the_flush_interval_gathers_and_a_full_batch_ends_it(bench: Bench) -> None:
    """Little waits for the interval; a whole chunk is written at once: the partition is behind."""
    bench.configure(flush_min_s=30.0, flush_max_s=30.0, chunk_records=5)
    await bench.send(0)
    await bench.settle()
    await bench.send(1, 2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert [transaction.records for transaction in bench.writers[0].written] == [1], "it had been idle"
    await bench.send(3, 3)
    for _ in range(20):
        await asyncio.sleep(0)
    assert [transaction.records for transaction in bench.writers[0].written] == [1, 5]


async def test_the_chunks_of_a_fetch_share_a_transaction(bench: Bench) -> None:
    """They are submitted in one turn of the loop: the first does not run off with its own transaction."""
    await asyncio.gather(bench.send(0), bench.send(1), bench.send(2))
    await asyncio.wait_for(bench.writers[0].wrote.wait(), 5)
    assert [transaction.records for transaction in bench.writers[0].written] == [3]


@pytest.mark.parametrize("bound", [{"transaction_bytes": 100}, {"transaction_records": 2}])
async def test_a_transaction_is_bounded(bench: Bench, bound: dict[str, int]) -> None:
    """What a transaction takes is bounded in bytes and records; the rest goes into the next."""
    bench.configure(**bound)  # type: ignore[arg-type]
    assert await bench.behind_a_commit(3) == [1, 2, 1]


async def test_a_partition_that_was_given_up_leaves_memory(bench: Bench) -> None:
    """Nothing holds its rows, though the collector never again looks at what was frozen."""
    await bench.send(0)
    await bench.settle()
    held = weakref.ref(bench.owned().lock)
    gc.collect()
    gc.freeze()
    try:
        await bench.lane.partitions.close()
        await asyncio.sleep(0)
        assert held() is None
    finally:
        gc.unfreeze()


def order_of_work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that is filled with what is worked on; a dot is a turn of the others."""
    apply, seen = CountingWork.apply, []

    def applying(work: CountingWork, runs: Any) -> None:
        seen.extend({each.key.decode() for _, records in runs for each in records})
        asyncio.get_running_loop().call_soon(seen.append, ".")
        apply(work, runs)

    monkeypatch.setattr(CountingWork, "apply", applying)
    monkeypatch.setattr(partition, "GROUP_RECORDS", 2)
    return seen


async def test_others_get_a_turn_after_each_group(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A partition that computes does not hold up the answers that others wait for."""
    seen = order_of_work(monkeypatch)
    await bench.send(0, 4, customers=2)
    await bench.settle()
    assert [transaction.records for transaction in bench.writers[0].written] == [4]
    assert "".join(seen) in ("k.l.", "l.k.")


async def test_others_get_a_turn_within_a_large_group(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single customer with very many records does not hold them up either."""
    bench.configure(chunk_records=8)
    seen = order_of_work(monkeypatch)
    await bench.send(0, 4)
    await bench.send(4, 4)
    await bench.settle()
    assert [transaction.records for transaction in bench.writers[0].written] == [8]
    assert "".join(seen) == "k.k."
    assert bench.owned().state.rows == {b"k": b"8"}


async def test_partitions_that_are_behind_compute_one_after_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their transactions are the larger for it; one that keeps up goes in between."""
    bench.configure(chunk_records=4)
    seen = order_of_work(monkeypatch)
    for number in (0, 1):
        await bench.send(0, 4, customers=2, partition=number)
    await bench.settle(1)
    assert "".join(seen) in ("k.l.k.l.", "l.k.l.k.")
    seen.clear()
    await bench.send(4, 4, customers=2)
    await bench.send(4, 1, partition=1)
    await bench.settle()
    assert "".join(seen).replace(".", "") in ("kkl", "lkk"), "between the two groups of the other"


async def test_a_partition_that_is_behind_waits_for_more(bench: Bench) -> None:
    """As long as chunks come of what the broker has; then it takes what is there."""
    bench.configure(chunk_records=2, chunk_bytes=10_000, fill_s=0.2)
    bench.lane._speed = 10.0
    reach = bench.app.consumer.reaches[TP(WEB, 0)] = Reach(position=2, end=99, seen_s=5000.0)
    await bench.send(0, 2)
    await bench.settle_unless_busy()
    for first in (2, 4):
        assert bench.writers[0].written == []
        await bench.send(first, 2)
        await bench.settle_unless_busy()
    assert bench.writers[0].written == []
    started = monotonic()
    await asyncio.wait_for(bench.writers[0].wrote.wait(), 5)
    assert monotonic() - started > 0.1, "nothing came for a while"
    reach.position = reach.end
    await bench.send(6, 3)
    await bench.settle()
    assert [transaction.records for transaction in bench.writers[0].written] == [6, 3], "all was read"


async def test_a_partition_that_is_behind_waits_no_longer_than_it_computes(bench: Bench) -> None:
    """Small chunks that keep coming do not hold up the others that are behind."""
    bench.configure(
        chunk_records=2,
        chunk_bytes=1 << 40,
        queue_bytes=1 << 40,
        transaction_records=1 << 40,
        compute_s=0.01,
    )
    bench.lane._speed = 1e12
    bench.app.consumer.reaches[TP(WEB, 0)] = Reach(position=2, end=99, seen_s=5000.0)
    await bench.send(0, 2)
    async with asyncio.timeout(5):
        for first in itertools.count(2):
            if bench.writers[0].wrote.is_set():
                break
            await bench.send(first)
            await asyncio.sleep(0)


async def test_a_transaction_has_enough(bench: Bench) -> None:
    """Nobody waits for more than can be computed in its time, as fast as it went last."""
    bench.configure(chunk_records=2, chunk_bytes=10_000, fill_s=60.0)
    bench.lane._speed = 5.0
    bench.app.consumer.reaches[TP(WEB, 0)] = Reach(position=2, end=99, seen_s=5000.0)
    await bench.send(0, 2)
    await bench.settle_unless_busy()
    assert bench.writers[0].written == []
    await bench.send(2, 4)
    await bench.send(6, 4)
    await bench.settle_unless_busy()
    assert [transaction.records for transaction in bench.writers[0].written][:1] == [6]
    assert bench.lane._speed > 5.0


async def test_a_failed_write_drops_the_partition(bench: Bench) -> None:
    """Memory stays behind, nothing more is taken, and healing is asked for; the other partition works on."""
    bench.writers[0].outcomes = [Lost("who knows")]
    await bench.send(0)
    await bench.settle()
    await bench.send(1)
    await bench.send(0, partition=1)
    await bench.settle()
    owned = bench.owned()
    assert (owned.state.rows, owned.ready, owned.state.loaded) == ({}, False, False)
    assert bench.lane.broken.is_set()
    assert bench.lane.needs_healing()
    assert bench.lane.stats.failed == 1
    assert len(bench.writers[1].written) == 1
    assert bench.fatal == []


async def test_a_hole_drops_the_partition(bench: Bench) -> None:
    """A chunk that was lost on the way is fetched again, not stepped over."""
    bench.app.consumer.sequences[TP(WEB, 0)] += 1
    await bench.send(5)
    await bench.settle()
    assert bench.writers[0].written == []
    assert bench.lane.stats.refused == 1
    assert bench.lane.broken.is_set()


async def test_fenced_twice_without_a_rebalance_ends_the_worker(bench: Bench) -> None:
    """Two processes with one id would take the partition from each other for ever."""
    for _ in range(2):
        bench.own(0)
        bench.lane.activate()
        bench.app.consumer.sequences.clear()
        bench.writers[0].outcomes = [Fenced("epoch")]
        await bench.send(0)
        await bench.settle()
    [error] = bench.fatal
    assert isinstance(error, CxError)
    assert error.code is Exit.STOPPED
    assert "static_id" in error.mend


async def test_fenced_twice_with_a_rebalance_between_goes_on(bench: Bench) -> None:
    """A worker that was frozen twice is no clash."""
    for _ in range(2):
        bench.own(0)
        bench.lane.activate()
        bench.app.consumer.sequences.clear()
        bench.writers[0].outcomes = [Fenced("epoch")]
        await bench.send(0)
        await bench.settle()
        await bench.lane.on_revoked()
    assert bench.fatal == []
    assert bench.lane.stats.fenced == 2


async def test_a_bug_in_the_handler_ends_the_worker(bench: Bench) -> None:
    """A record is never skipped because scoring failed on it."""
    bench.handler.failing = True
    await bench.send(0)
    await bench.settle()
    assert [type(error) for error in bench.fatal] == [ZeroDivisionError]
    assert bench.writers[0].written == []


async def test_nothing_is_written_without_a_lease(bench: Bench) -> None:
    """A worker that the broker has not heard of waits; a rebalance then takes the partition away."""
    bench.app.consumer.lease = 0.5
    await bench.send(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert bench.writers[0].written == []
    bench.app.rebalancing = True
    await bench.settle()
    assert bench.writers[0].written == []
    assert bench.lane.stats.failed == 1


async def test_the_lease_may_come_back(bench: Bench) -> None:
    """After a heartbeat the transaction in hand is written."""
    bench.app.consumer.lease = 0.5
    await bench.send(0)
    for _ in range(20):
        await asyncio.sleep(0)
    bench.app.consumer.lease = 9.0
    await bench.settle()
    assert len(bench.writers[0].written) == 1


async def test_halting_disowns_everything(bench: Bench) -> None:
    """A new session begins; chunks of the old one are refused."""
    before = bench.lane.session
    await bench.lane.halt(1.0)
    assert bench.lane.session == before + 1
    assert not bench.app.consumer.flowing
    await bench.send(0, session=before)
    await bench.settle()
    assert bench.lane.stats.refused == 1
    assert bench.writers[0].written == []


async def test_halting_lets_the_transaction_in_hand_end(bench: Bench) -> None:
    """A rebalance waits for a commit, bounded."""
    bench.writers[0].gate.clear()
    await bench.send(0)
    await bench.settle()
    halting = asyncio.create_task(bench.lane.halt(5.0))
    await asyncio.sleep(0)
    bench.writers[0].gate.set()
    await halting
    assert bench.owned().state.rows == {b"k": b"1"}


async def test_healing_waits_for_a_heartbeat(bench: Bench) -> None:
    """A worker that was put out of the group must not take partitions back before it hears of it."""
    bench.app.rebalancing = True
    assert not await bench.lane.start_healing()
    bench.app.rebalancing = False
    bench.app.consumer.heartbeat = monotonic() + 60
    assert await bench.lane.start_healing()
    assert bench.lane.healing
    assert bench.lane.stats.heals == 1


async def test_healing_again_and_again_ends_the_worker(bench: Bench) -> None:
    """Without one commit between, going on is an endless loop."""
    bench.app.consumer.heartbeat = monotonic() + 60
    for _ in range(11):
        await bench.lane.start_healing()
    assert [type(error) for error in bench.fatal] == [CxError]


async def test_a_position_out_of_range_drops_the_partition(bench: Bench) -> None:
    """Loading it again finds out why."""
    bench.lane.on_out_of_range(WEB, 1, 77)
    bench.lane.on_out_of_range(WEB, 9, 77)
    assert not bench.owned(1).ready
    assert bench.owned(0).ready
    assert bench.lane.broken.is_set()


async def test_a_full_queue_stops_fetching(bench: Bench) -> None:
    """Bytes that wait are bounded by partition and topic, and fetching goes on when they are applied."""
    first, second, other = TP(WEB, 0), TP(WEB, 1), TP(WEB, 9)
    assert bench.lane.fetching.fetchable([first, second, other]) == {first, second, other}
    bench.writers[0].gate.clear()
    await bench.send(0)
    await bench.settle()
    await bench.send(1, 5)
    assert bench.lane.fetching.fetchable([first, second, other]) == {second, other}
    bench.writers[0].gate.set()
    await bench.settle()
    assert bench.lane.fetching.fetchable([first]) == {first}


async def test_a_partition_that_ended_leaves_its_share_to_the_others(bench: Bench) -> None:
    """What waits is shared by the partitions of which the broker has more."""
    first, second = TP(WEB, 0), TP(WEB, 1)
    bench.configure(transaction_bytes=100)
    bench.writers[0].gate.clear()
    await bench.send(0)
    await bench.settle()
    await bench.send(1, 6)
    bench.app.consumer.reaches[second] = Reach(position=8, end=9, seen_s=5000.0)
    assert bench.lane.fetching.fetchable([first, second]) == {second}
    bench.app.consumer.reaches[second] = Reach(position=9, end=9, seen_s=5000.0)
    assert bench.lane.fetching.fetchable([first, second]) == {first, second}
    bench.writers[0].gate.set()
    await bench.settle()


async def test_all_queues_together_are_bounded(bench: Bench) -> None:
    """With many partitions little waits of each, and yet too much of all."""
    for writer in bench.writers:
        writer.gate.clear()
    for number in (0, 1):
        await bench.send(0, partition=number)
        await bench.settle(number)
        await bench.send(1, 7, partition=number)
    assert bench.lane.fetching.fetchable([TP(WEB, 9)]) == set()
    for writer in bench.writers:
        writer.gate.set()
    await bench.settle()


async def test_the_last_room_is_left_to_whose_turn_it_is(bench: Bench) -> None:
    """And to inputs of which nothing waits: they hold up the others of their partition."""
    fetching, inputs = bench.lane.fetching, [TP(WEB, 0), TP(WEB, 1)]
    bench.configure(transaction_bytes=300)
    bench.writers[0].gate.clear()
    await bench.send(0)
    await bench.settle()
    await bench.send(1, 5)
    assert fetching.fetchable(inputs) == {TP(WEB, 1)}
    with fetching.first(bench.owned()):
        assert bench.app.consumer.space.is_set()
        assert fetching.fetchable(inputs) == set(inputs)
    assert fetching.fetchable(inputs) == {TP(WEB, 1)}
    bench.writers[0].gate.set()
    await bench.settle()


async def test_what_all_wait_for_may_go_beyond_the_bound() -> None:
    """Where nothing that waits can be applied, nothing else would ever make room."""
    bench = Bench(WEB, "store")
    for first in (0, 10):
        await bench.send(first, 10)
    inputs = [TP(topic, number) for topic in (WEB, "store") for number in (0, 1)]
    assert bench.owned().queue.bytes > bench.settings.queue_bytes
    assert bench.lane.fetching.fetchable(inputs) == set(inputs) - {TP(WEB, 0)}
    bench.owned().queue.overlook(["store"])
    assert bench.lane.fetching.fetchable(inputs) == set()
    bench.close()


def test_a_fetch_leaves_room_for_the_others(bench: Bench) -> None:
    """What may wait is shared by the inputs of which the broker has more."""
    assert bench.lane.fetching.fetch_bytes() == 250
    for number in (0, 1):
        bench.app.consumer.reaches[TP(WEB, number)] = Reach(position=9, end=9, seen_s=5000.0)
        assert bench.lane.fetching.fetch_bytes() == 500


async def test_the_sweep_writes_like_any_batch(bench: Bench) -> None:
    """Once the input was read to its end, customers that are due are evaluated at the watermark."""
    bench.owned().state.load({b"k": b"1"}, bench.owned().state.marker)
    await bench.lane._sweep(bench.owned())
    assert bench.owned().state.rows == {b"k": b"1"}, "no watermark yet"
    bench.app.consumer.reaches[TP(WEB, 0)] = Reach(position=0, end=0, seen_s=5000.0)
    await bench.lane._sweep(bench.owned())
    assert bench.owned().state.rows == {b"k": b"5000"}
    assert bench.lane.stats.swept == 1


async def test_every_tick_reaches_the_handler(bench: Bench) -> None:
    """What depends on time alone waits for no customer's turn; a tick without effects writes nothing."""
    owned = bench.owned()
    owned.state.load({b"k": b"1"}, owned.state.marker)
    bench.app.consumer.reaches[TP(WEB, 0)] = Reach(position=0, end=0, seen_s=5000.0)
    await bench.lane._sweep(owned)
    await bench.lane._sweep(owned)
    assert [keys for keys, _ in bench.handler.swept] == [[b"k"], []]
    assert bench.handler.begun == [True, False], "a pass, and its second tick"
    assert len(bench.writers[0].written) == 1


async def test_the_sweep_does_not_rest_for_its_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It rests by the time of a core that it takes: neither that of the broker nor that of others is one."""
    due(bench)
    clock = chain((10.0, 10.2, 10.5), repeat(60.0))
    monkeypatch.setattr(lane, "monotonic", lambda: next(clock))
    assert await bench.lane._sweep(bench.owned()) == 0.5
    assert bench.lane.stats.commit_seconds == 0.0
    assert bench.writers[0].written


def due(bench: Bench) -> None:
    """Have a customer on each partition whom it is time to visit, every input read to its end."""
    for number in (0, 1):
        owned = bench.owned(number)
        owned.state.load({b"k": b"1"}, owned.state.marker)
        bench.app.consumer.reaches[TP(WEB, number)] = Reach(position=0, end=0, seen_s=5000.0)


async def test_the_sweep_waits_for_a_partition_at_work_beside_the_others(bench: Bench) -> None:
    """Its turn may come late, among many that are behind: nobody else hears later of silence for that."""
    due(bench)
    async with bench.owned(0).lock:
        for _ in range(3):
            await asyncio.wait_for(bench.lane._sweep_round(1.0), 5)
        assert bench.owned(1).state.rows == {b"k": b"5000"}
        assert len(bench.handler.swept) == 3
        assert bench.owned(0).state.rows == {b"k": b"1"}
    await bench.settle()
    assert bench.owned(0).state.rows == {b"k": b"5000"}
    assert len(bench.handler.swept) == 4, "one visit waited, however many rounds went by"


async def test_the_sweep_waits_for_a_commit_beside_the_others(bench: Bench) -> None:
    """The broker of one partition may not answer for a while."""
    due(bench)
    bench.writers[0].gate.clear()
    assert await asyncio.wait_for(bench.lane._sweep_round(0.01), 5) >= 0.0
    assert bench.owned(1).state.rows == {b"k": b"5000"}
    bench.writers[0].gate.set()
    await bench.settle()
    assert bench.owned(0).state.rows == {b"k": b"5000"}


async def test_the_sweep_leaves_a_partition_that_is_not_ours(bench: Bench) -> None:
    """Ownership is checked again under the lock."""
    await bench.send(0)
    await bench.settle()
    bench.app.consumer.reaches[TP(WEB, 0)] = Reach(position=1, end=1, seen_s=5000.0)
    bench.owned().ready = False
    await bench.lane._sweep(bench.owned())
    assert bench.owned().state.rows == {b"k": b"1"}


async def test_the_snapshot_shows_positions_and_lag(bench: Bench) -> None:
    """What metrics need is there without asking a broker."""
    await bench.send(0, 2)
    await bench.settle()
    bench.app.consumer.reaches[TP(WEB, 0)] = Reach(position=2, end=7, seen_s=5000.0)
    snapshot = bench.lane.snapshot()
    first = snapshot.partitions[0]
    [seen] = first.inputs
    assert (seen.next_offset, seen.highwater, seen.lag, seen.at_end) == (2, 7, 5, False)
    assert (first.rows, first.transactions, first.counts["accepted"]) == (1, 1, 2)
    assert snapshot.ready


async def test_stopping_ends_the_producers(bench: Bench) -> None:
    """Nothing new is begun."""
    await bench.lane.stop()
    assert all(writer.closed for writer in bench.writers)
    assert len(bench.lane.partitions) == 0


@pytest.mark.parametrize(("partitions", "seconds"), [(1, 0.020), (4, 0.022), (100, 0.55), (500, 1.0)])
def test_the_flush_interval_grows_with_the_partitions(partitions: int, seconds: float) -> None:
    """Transactions cost a constant share of a core, and no partition waits longer than a second."""
    settings = EngineSettings(bootstrap_servers="", app_id="a", inputs=())
    assert settings.flush_interval_s(partitions) == pytest.approx(seconds)
