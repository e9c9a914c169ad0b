"""A backlog of unequal inputs, worked off by a lane with a broker of paper: in step, bounded, not stalled."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from time import monotonic

import pytest
from faust.types import TP

from streams.engine.cutting import cut
from streams.engine.memory import MemoryRecord
from streams.engine.partition import Chunk
from streams.engine.transport import Reach
from tests.lane_bench import Bench

SHARES = {"web": 0.75, "support": 0.2, "store": 0.05}
SIZE = 50
"""Bytes of a record."""


class PaperBroker:
    """Has a backlog for each partition, whose timestamps are in step, and hands it out as it is asked."""

    def __init__(self, bench: Bench, seed: int, records: int, fetch: int) -> None:
        self.bench = bench
        self.draw = Random(seed)
        self.fetch = fetch
        self.logs = {
            TP(topic, owned.state.number): list[MemoryRecord]()
            for owned in bench.lane.partitions
            for topic in SHARES
        }
        for number in range(records):
            [topic] = self.draw.choices(list(SHARES), list(SHARES.values()))
            log = self.logs[TP(topic, self.draw.randrange(2))]
            log.append(MemoryRecord(b"k%d" % self.draw.randrange(99), b"v", (), len(log), number))
        self.positions = dict.fromkeys(self.logs, 0)
        self.away: set[TP] = set()
        """Inputs whose leader is away."""
        self.most_waiting = 0

    @asynccontextmanager
    async def feeding(self) -> AsyncIterator[None]:
        """Hand out what the lane may have, in the background."""
        task = asyncio.create_task(self._feed())
        try:
            yield
        finally:
            task.cancel()

    async def applied(self, records: int | None = None) -> None:
        """Wait until so many records are applied: all, if not told."""
        wanted = records or sum(map(len, self.logs.values()))
        async with asyncio.timeout(10):
            while True:
                if self.bench.lane.stats.records >= wanted:
                    return
                await asyncio.sleep(0.001)

    async def _feed(self) -> None:
        lane, consumer = self.bench.lane, self.bench.app.consumer
        while True:
            fetchable = lane.fetching.fetchable(self.logs) - self.away
            left = min(self.fetch, lane.fetching.fetch_bytes() // SIZE)
            for tp in self.draw.sample(sorted(fetchable), len(fetchable)):
                start = self.positions[tp]
                records = self.logs[tp][start : start + left]
                left -= len(records)
                self.positions[tp] += len(records)
                self._submit(tp, records)
                if not left:
                    break
            for tp, log in self.logs.items():
                consumer.reaches[tp] = Reach(self.positions[tp], len(log), 5000.0)
            waiting = sum(owned.queue.bytes for owned in lane.partitions)
            self.most_waiting = max(self.most_waiting, waiting)
            await asyncio.sleep(self.draw.choice((0, 0, 0.001)))

    def _submit(self, tp: TP, records: list[MemoryRecord]) -> None:
        lane, sequences = self.bench.lane, self.bench.app.consumer.sequences
        for part, _ in cut(records, lane.settings.chunk_records, lane.settings.chunk_bytes):
            chunk = Chunk(*tp, part, part[-1].offset + 1, sequences[tp], lane.session, SIZE * len(part))
            sequences[tp] += 1
            lane.submit(chunk)

    def skews(self) -> list[float]:
        """Return by how much each transaction went past the oldest record that was left, in ms."""
        found = []
        for number, writer in enumerate(self.bench.writers):
            for transaction in writer.written:
                logs = {topic: self.logs[TP(topic, number)] for topic in SHARES}
                at = {topic: each.next_offset for topic, each in transaction.marker.inputs.items()}
                newest = max(logs[topic][after - 1].timestamp for topic, after in at.items() if after)
                left = [
                    logs[topic][after].timestamp for topic, after in at.items() if after < len(logs[topic])
                ]
                found.append(newest - min(left, default=math.inf))
        return found


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Return a lane at work on three inputs."""
    made = Bench(*SHARES)
    made.configure(
        chunk_records=20,
        chunk_bytes=20 * SIZE,
        queue_bytes=600 * SIZE,
        transaction_records=150,
        transaction_bytes=300 * SIZE,
    )
    made.lane._speed = 1e9
    yield made
    made.close()


@pytest.mark.parametrize("among", range(20))
async def test_a_backlog_is_applied_in_step(bench: Bench, among: int) -> None:
    """No transaction goes past a record that is left. They are as large as may be; what waits is bounded."""
    broker = PaperBroker(bench, among, records=6000, fetch=80)
    async with broker.feeding():
        await broker.applied()
    assert max(broker.skews()) < 0
    assert broker.most_waiting < (600 + 80) * SIZE
    assert bench.lane.stats.commits < 1.35 * 6000 / 150
    assert bench.fatal == []


async def test_an_input_whose_leader_is_away_stops_nobody(bench: Bench) -> None:
    """The others wait for a while, then go on; once it comes, they wait for it until it is where they are."""
    bench.configure(chunk_records=20, queue_bytes=600 * SIZE, step_s=0.1, fill_s=0.01)
    broker = PaperBroker(bench, 1, records=2000, fetch=80)
    broker.away = {TP("web", 0), TP("web", 1)}
    others = sum(len(log) for tp, log in broker.logs.items() if tp not in broker.away)
    began_s = monotonic()
    async with broker.feeding():
        await broker.applied(1)
        assert monotonic() - began_s >= 0.1, "they wait"
        await broker.applied(others)
        broker.away = set()
        await broker.applied()
    assert max(broker.skews()) > 0


async def test_an_input_that_has_nothing_more_after_all_is_not_waited_for(bench: Bench) -> None:
    """What was still to come were commit markers, which no chunk shows."""
    bench.configure(step_s=60.0, fill_s=0.01)
    reaches = bench.app.consumer.reaches
    for tp in (TP(topic, 0) for topic in SHARES):
        reaches[tp] = Reach(0, 0, 5000.0)
    reaches[TP("web", 0)] = Reach(0, 1, 5000.0)
    record = MemoryRecord(b"k", b"v", (), 0, 7)
    bench.lane.submit(Chunk("store", 0, [record], 1, 0, bench.lane.session, SIZE))
    await bench.settle()
    assert bench.writers[0].written == []
    reaches[TP("web", 0)] = Reach(1, 1, 5000.0)
    await asyncio.wait_for(bench.writers[0].wrote.wait(), 5)


async def test_an_input_that_waits_for_others_does_not_hold_the_watermark(bench: Bench) -> None:
    """It was read up to what waits: on a backlog a record now and then would hold silence up for days."""
    bench.configure(step_s=60.0, fill_s=0.01)
    for topic in SHARES:
        bench.app.consumer.reaches[TP(topic, 0)] = Reach(0, 0, 5000.0)
    for topic, at_ms in (("web", 20_000), ("store", 50_000)):
        bench.app.consumer.sequences[TP(topic, 0)] = 1
        record = MemoryRecord(b"k", b"v", (), 0, at_ms)
        bench.owned().queue.put(Chunk(topic, 0, [record], 1, 0, bench.lane.session, SIZE))
    bench.app.consumer.reaches[TP("web", 0)] = Reach(1, 2, 5000.0)
    bench.owned().wake.set()
    await bench.settle()
    assert bench.owned().queue.records == 1
    assert bench.owned().standing(bench.app.consumer, "wall") == (20.0, False)


async def test_a_clock_that_is_ahead_holds_no_input_up(bench: Bench) -> None:
    """Though another input never comes to its end."""
    consumer = bench.app.consumer
    consumer.reaches |= {TP(topic, 0): Reach(0, 0, 5000.0) for topic in SHARES}
    consumer.reaches[TP("web", 0)] = Reach(1, 9, 5000.0)
    for offset, at_ms in enumerate((10, 1 << 62, 15)):
        record = MemoryRecord(b"k", b"v", (), offset, at_ms)
        bench.lane.submit(Chunk("store", 0, [record], offset + 1, offset, bench.lane.session, SIZE))
    bench.lane.submit(Chunk("web", 0, [MemoryRecord(b"k", b"v", (), 0, 20)], 1, 0, bench.lane.session, SIZE))
    await bench.settle()
    assert [transaction.records for transaction in bench.writers[0].written] == [4]


async def test_time_that_goes_back_makes_no_empty_transactions(bench: Bench) -> None:
    """What is old waits behind what is newer, and both no longer than for an input whose leader is away."""
    bench.configure(step_s=0.1, fill_s=0.01)
    for topic in SHARES:
        bench.app.consumer.reaches[TP(topic, 0)] = Reach(0, 0, 5000.0)
    bench.owned().queue.put(Chunk("web", 0, [MemoryRecord(b"k", b"v", (), 0, 70)], 1, 0, bench.lane.session))
    for offset, at_ms in enumerate((70, 100, 60)):
        record = MemoryRecord(b"k", b"v", (), offset, at_ms)
        bench.lane.submit(Chunk("store", 0, [record], offset + 1, offset, bench.lane.session, SIZE))
    bench.app.consumer.reaches[TP("web", 0)] = Reach(1, 2, 5000.0)
    await PaperBroker(bench, 0, records=0, fetch=1).applied(4)
    assert [transaction.records for transaction in bench.writers[0].written] == [2, 2]


async def test_a_chunk_on_its_way_is_waited_for(bench: Bench) -> None:
    """The last of an input were fetched, and come a little after the others."""
    consumer = bench.app.consumer
    for tp in (TP(topic, 0) for topic in SHARES):
        consumer.reaches[tp] = Reach(1, 1, 5000.0)
    consumer.sequences.update({TP("web", 0): 1, TP("store", 0): 1})
    for topic, at_ms in (("store", 9), ("web", 7)):
        assert bench.writers[0].written == []
        record = MemoryRecord(b"k", b"v", (), 0, at_ms)
        bench.lane.submit(Chunk(topic, 0, [record], 1, 0, bench.lane.session, SIZE))
        await bench.settle_unless_busy()
    await asyncio.wait_for(bench.writers[0].wrote.wait(), 5)
    assert [transaction.records for transaction in bench.writers[0].written] == [2]
