"""Reading the changelog says how far it is, and of nothing else than of a recovery."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.engine import loader
from streams.engine.loader import read_newest
from streams.engine.stats import Stats

LOG = TopicPartition("log", 0)
OTHER = TopicPartition("log", 1)


class _Consumer:
    """Gives the batches of each partition one after the other, and notes what is said meanwhile."""

    def __init__(self, stats: Stats, begin: dict[TopicPartition, int], batches: list[Any]) -> None:
        self._client = SimpleNamespace(set_topics=_nothing)
        self._stats = stats
        self._begin = begin
        self._batches = batches
        self._positions = dict(begin)
        self._ends = dict(begin) | {tp: end for tp, _, end in batches}
        self.paused: list[TopicPartition] = []
        self.told: list[tuple[int, int]] = []
        """What was left, and how many were read, each time that more was asked for."""

    def assign(self, tps: list[TopicPartition]) -> None:
        assert set(tps) == set(self._begin)

    async def beginning_offsets(self, _: Any) -> dict[TopicPartition, int]:
        return self._begin

    async def end_offsets(self, _: Any) -> dict[TopicPartition, int]:
        return self._ends

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset

    async def getmany(self, *, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        assert timeout_ms > 0
        self.told.append((self._stats.recovery_left, self._stats.recovery_rows))
        tp, keys, self._positions[tp] = self._batches.pop(0)
        return {tp: [SimpleNamespace(key=key, value=b"row") for key in keys]}

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    def pause(self, tp: TopicPartition) -> None:
        self.paused.append(tp)


async def _nothing(_: set[str]) -> None:
    """Set no topics."""


async def test_what_is_left_and_what_was_read_are_told_on_the_way() -> None:
    """Offsets left fall batch by batch to 0; compacted ones were left too, and are no rows."""
    stats = Stats(recovery_rows=7)
    consumer = _Consumer(
        stats,
        {LOG: 10, OTHER: 0},
        [(LOG, [b"a", b"b"], 40), (OTHER, [b"c"], 5), (LOG, [], 90), (LOG, [b"a"], 100), (OTHER, [b"d"], 8)],
    )
    found = await read_newest(consumer, "log", [0, 1], stats)
    assert consumer.told == [(98, 7), (68, 9), (63, 10), (13, 10), (3, 11)]
    assert (stats.recovery_left, stats.recovery_rows) == (0, 12)
    assert consumer.paused == [LOG, OTHER]
    assert {number: sorted(loaded.rows) for number, loaded in found.items()} == {
        0: [b"a", b"b"],
        1: [b"c", b"d"],
    }


async def test_records_that_came_meanwhile_are_not_owed() -> None:
    """A position may pass the end that was asked for: less than nothing is never left."""
    stats = Stats()
    consumer = _Consumer(stats, {LOG: 0, OTHER: 0}, [(LOG, [b"a"], 3), (OTHER, [b"b"], 5)])
    consumer._ends[LOG] = 2
    await read_newest(consumer, "log", [0, 1], stats)
    assert consumer.told == [(7, 0), (5, 1)]
    assert stats.recovery_left == 0


async def test_brokers_that_give_nothing_are_not_asked_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headway is what counts, not time: as long as something comes, a large table may take what it takes."""
    clock_s = 0.0

    def monotonic() -> float:
        nonlocal clock_s
        clock_s += 200.0
        return clock_s

    monkeypatch.setattr(loader, "monotonic", monotonic)
    batches = [(LOG, [b"a"], 10), (LOG, [], 20), (LOG, [b"b"], 30), *[(LOG, [], 30)] * 2, (LOG, [b"c"], 40)]
    consumer = _Consumer(Stats(), {LOG: 0}, batches)
    with pytest.raises(
        TimeoutError, match=r"^the brokers gave nothing of log for 300 s, with 10 offsets to go$"
    ):
        await read_newest(consumer, "log", [0])
    assert len(consumer.told) == 5


async def test_an_empty_changelog_has_nothing_left() -> None:
    """What a failed attempt had left is gone once there is nothing to read."""
    stats = Stats(recovery_left=9)
    assert not (await read_newest(_Consumer(stats, {LOG: 4}, []), "log", [0], stats))[0].rows
    assert (stats.recovery_left, stats.recovery_rows) == (0, 0)


async def test_what_is_read_for_another_reason_is_no_recovery() -> None:
    """A rebuild and a look at the markers read the same topic."""
    stats = Stats()
    await read_newest(_Consumer(stats, {LOG: 0}, [(LOG, [b"a"], 1)]), "log", [0])
    assert (stats.recovery_left, stats.recovery_rows) == (0, 0)
