"""The whole engine in this process, on a real Kafka: start, work, share partitions, stop, start again."""

import asyncio
import gc
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))  # handler, feed and oracle are shared

from counting import CountingHandler
from rig import Rig

from streams.app import build_app
from streams.engine.identity import adopt
from streams.engine.settings import engine_settings
from streams.errors import CxError
from streams.topics import ALERTS, DEAD_LETTERS

pytestmark = [
    pytest.mark.kafka,
    # Faust and aiokafka leave sockets and loops to the collector when they stop.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


class Workers:
    """Workers of one application in this process."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.apps: list[Any] = []
        self.fatal: list[BaseException] = []

    async def start(self, **other: Any) -> Any:
        """Start a worker and return its application."""
        handler = CountingHandler(self.rig.prefix + ALERTS.name, self.rig.prefix + DEAD_LETTERS.name)
        folder = str(self.rig.folder / f"app-{len(self.apps)}")
        settings = self.rig.settings(data_dir=folder, heartbeat_interval_s=1.0, sweep_interval_s=0.5, **other)
        app = build_app(settings, handler=handler, on_fatal=self.fatal.append)
        self.apps.append(app)
        await app.start()
        await self.until(lambda: app.lane.snapshot().ready and app.lane.snapshot().partitions)
        return app

    async def until(self, condition: Callable[[], object], wait_s: float = 30) -> None:
        """Wait for a condition, bounded."""
        deadline = monotonic() + wait_s
        while not condition():
            assert monotonic() < deadline, "not seen in time"
            await asyncio.sleep(0.05)

    async def stop(self, app: Any) -> None:
        """Stop a worker."""
        self.apps.remove(app)
        await stopped(app)


async def stopped(app: Any) -> None:
    """Stop an application and close the loop of its consumer's thread, which Faust leaves open."""
    await app.stop()
    loop = app.consumer._thread.thread_loop
    if not loop.is_running():
        loop.close()


def forget() -> None:
    """Collect what Faust leaves open, here: at the end of the run its warnings would be errors."""
    gc.unfreeze()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            gc.collect()


@pytest.fixture
async def workers(kafka: str, topic_prefix: str, tmp_path: Path) -> Any:
    """Return workers on topics of this test's own; those that are left are stopped."""
    made = Workers(Rig(kafka, topic_prefix, tmp_path))
    await made.rig.create()
    yield made
    for app in list(made.apps):
        await made.stop(app)
    made.apps.clear()
    forget()


async def test_work_is_shared_and_taken_over(workers: Workers) -> None:
    """A second worker takes half of the partitions, and gives them back when it stops."""
    rig = workers.rig
    await rig.feed(4_000, seed=1)
    first = await workers.start()
    second = await workers.start()
    await workers.until(
        lambda: len(first.lane.snapshot().partitions) == len(second.lane.snapshot().partitions)
    )
    await rig.feed(3_000, seed=2)
    await rig.drained()
    assert first.lane.stats.kept > 0
    await workers.stop(second)
    await workers.until(lambda: len(first.lane.snapshot().partitions) == 4 and first.lane.snapshot().ready)
    await rig.feed(1_000, seed=3)
    await rig.drained()
    await workers.until(
        lambda: all(each.at_end for p in first.lane.snapshot().partitions for each in p.inputs)
    )
    await workers.until(lambda: first.lane.stats.swept > 0)
    snapshot = first.lane.snapshot()
    assert sum(sum(each.counts.values()) for each in snapshot.partitions) == 8_000
    assert {each.lag for p in snapshot.partitions for each in p.inputs} == {0}
    assert workers.fatal == []
    await workers.stop(first)
    await rig.verdict()


async def test_a_restart_goes_on_where_it_stood(workers: Workers) -> None:
    """State and positions come from the log; recovery is counted."""
    rig = workers.rig
    await rig.feed(3_000, seed=4)
    await workers.stop(await drained(workers))
    await rig.feed(2_000, seed=5)
    app = await drained(workers)
    assert app.lane.stats.recovery_rows > 0
    assert app.lane.stats.recovery_left == 0
    assert app.lane.stats.assignments >= 1
    assert app.lane.stats.assignment_seconds >= app.lane.stats.ready_seconds > 0
    assert app.lane.stats.records == 2_000
    await workers.stop(app)
    await rig.verdict()


async def test_a_lost_partition_heals_itself(workers: Workers) -> None:
    """Whoever fences one partition once disturbs it for a moment, and no count."""
    rig = workers.rig
    await rig.feed(2_000, seed=6)
    app = await drained(workers)
    owned = app.lane.partitions.get(1)
    await owned.writer.producer.stop()
    await rig.feed(2_000, seed=7)
    await rig.drained()
    assert app.lane.stats.heals == 1
    assert app.lane.stats.failed >= 1
    await workers.stop(app)
    await rig.verdict()


async def test_a_stopped_partition_goes_on_after_adopting(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the partition whose input lost records stops; after `cx topics adopt` it goes on by itself.

    The others are left alone, however often it is run: a worker fenced twice in a minute ends.
    """
    monkeypatch.setattr("streams.engine.recovery.HALTED_RETRY_S", 0.5)
    rig = workers.rig
    await rig.feed(2_000, seed=8)
    await workers.stop(await drained(workers))
    await rig.feed(4_000, seed=9)
    tp = TopicPartition(rig.inputs[0], 2)
    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    try:
        await admin.delete_records({tp: RecordsToDelete(before_offset=-1)})
    finally:
        await admin.close()
    handler_running = asyncio.create_task(workers.start())
    await workers.until(lambda: workers.apps and workers.apps[0].lane.partitions.halted())
    app = workers.apps[0]
    assert list(app.lane.partitions.halted()) == [2]
    await workers.until(lambda: sum(each.ready for each in app.lane.snapshot().partitions) == 3)
    [done] = await adopt(engine_settings(rig.settings()), tp.topic)
    assert done.partition == 2
    await handler_running
    await workers.until(lambda: app.lane.snapshot().ready)
    await rig.drained()

    def skipped() -> dict[int, int | None]:
        # A partition that is being loaded again has no counts.
        return {each.partition: each.counts.get("skipped") for each in app.lane.snapshot().partitions}

    await workers.until(lambda: skipped().get(2) == done.skipped)
    assert await adopt(engine_settings(rig.settings()), rig.inputs[1]) == ()
    await rig.feed(500, seed=11)
    await rig.drained()
    assert app.lane.stats.fenced == 0
    assert workers.fatal == []


async def test_a_topic_deleted_and_made_anew_under_a_running_worker(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Partitions stop, once loudly for each, although the worker never restarted; adopted, it is read."""
    monkeypatch.setattr("streams.engine.recovery.IDENTITY_S", 0.3)
    monkeypatch.setattr("streams.engine.recovery.HALTED_RETRY_S", 0.5)
    rig = workers.rig
    await rig.feed(1_000, seed=10)
    app = await drained(workers)

    def halted_by(what: str) -> bool:
        found = app.lane.partitions.halted()
        return len(found) == 4 and all(what in each.reason for each in found.values())

    admin = AIOKafkaAdminClient(bootstrap_servers=rig.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics([rig.inputs[1]])
    finally:
        await admin.close()
    await workers.until(lambda: halted_by("is not there any more"))
    assert app.lane.partitions.halted()[0].mend.startswith("cx topics create, then cx topics adopt")
    assert not app.lane.snapshot().ready
    assert app.lane.stats.out_of_range == 4
    await rig.create()
    await workers.until(lambda: halted_by("made anew"))
    told = app.lane.stats.out_of_range
    assert told == 8
    heals = app.lane.stats.heals
    await workers.until(lambda: app.lane.stats.heals > heals + 1)
    assert app.lane.stats.out_of_range == told

    await adopt(engine_settings(rig.settings()), rig.inputs[1])
    await workers.until(lambda: app.lane.snapshot().ready)
    await rig.feed(500, seed=12)
    await rig.drained()
    assert workers.fatal == []


async def test_a_worker_refuses_topics_that_are_not_there(
    kafka: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Started by whatever command, the first thing it says is what to do."""
    rig = Rig(kafka, topic_prefix, tmp_path)
    said: list[BaseException] = []

    def stop(error: BaseException) -> None:
        said.append(error)
        raise error

    settings = rig.settings(data_dir=str(tmp_path / "app"))
    app = build_app(settings, handler=CountingHandler("a", "d"), on_fatal=stop)
    with pytest.raises(CxError, match="missing topics"):
        await app.start()
    await stopped(app)
    assert len(said) == 1
    del app
    forget()


async def drained(workers: Workers) -> Any:
    """Start a worker and let it apply everything."""
    app = await workers.start()
    await workers.rig.drained()
    await workers.until(lambda: app.lane.stats.commits > 0)
    return app
