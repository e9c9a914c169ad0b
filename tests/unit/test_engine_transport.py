"""How fetches become chunks."""

import asyncio
import threading
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import by_url
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP
from mode.utils.locks import Event

from streams.engine.bundling import bundled
from streams.engine.cutting import cut
from streams.engine.memory import MemoryRecord
from streams.engine.partition import Chunk
from streams.engine.settings import EngineSettings
from streams.engine.transport import SCHEME, Fetched, LaneConsumer, LaneThread, Reach, register

WEB = TP("web", 0)


def records(*sizes: int) -> list[MemoryRecord]:
    """Return records of these sizes."""
    return [MemoryRecord(b"k", b"x" * (size - 1), (), offset, 0) for offset, size in enumerate(sizes)]


def shapes(cuts: object) -> list[tuple[list[int], int]]:
    """Return offsets and bytes of each run."""
    return [([record.offset for record in run], size) for run, size in cuts]  # type: ignore[attr-defined]


def test_runs_are_bounded_in_records() -> None:
    """No run is longer than told, none is empty."""
    assert shapes(cut(records(5, 5, 5, 5, 5), 2, 1000)) == [([0, 1], 10), ([2, 3], 10), ([4], 5)]


def test_runs_are_bounded_in_bytes() -> None:
    """The record that would break the bound begins the next run."""
    assert shapes(cut(records(60, 30, 30, 10), 100, 100)) == [([0, 1], 90), ([2, 3], 40)]


def test_a_record_beyond_the_bound_runs_alone() -> None:
    """It is neither dropped nor an endless loop."""
    assert shapes(cut(records(5, 500, 5), 100, 100)) == [([0], 5), ([1], 500), ([2], 5)]


def test_nothing_makes_no_run() -> None:
    """An empty fetch has no chunk."""
    assert shapes(cut([], 10, 10)) == []


def test_tombstones_and_keyless_records_have_a_size() -> None:
    """None counts as no bytes."""
    assert shapes(cut([MemoryRecord(None, None, (), 7, 0)], 10, 10)) == [([7], 0)]


def chunk(topic: str, partition: int, *sizes: int) -> Chunk:
    """Return a chunk of records of these sizes."""
    return Chunk(topic, partition, records(*sizes), len(sizes), 0, 0, sum(sizes))


def places(bundles: list[list[Chunk]]) -> list[list[tuple[str, int]]]:
    """Return topic and partition of each chunk of each bundle."""
    return [[(each.topic, each.partition) for each in bundle] for bundle in bundles]


def test_the_chunks_of_a_topic_go_together() -> None:
    """A message costs the same whatever it carries; each topic has its own agent."""
    fetch = [chunk(topic, number, 5) for number in (0, 1) for topic in ("web", "calls")]
    assert places(bundled(fetch, 100, 100)) == [[("web", 0), ("web", 1)], [("calls", 0), ("calls", 1)]]


@pytest.mark.parametrize("bounds", [(3, 1000), (1000, 30)])
def test_a_bundle_is_bounded(bounds: tuple[int, int]) -> None:
    """What waits in Faust's queues is so many chunks, as if they came one by one; a large one goes alone."""
    fetch = [
        chunk("web", number, *sizes)
        for number, sizes in enumerate([(10,), (10, 10), (10,), (10,) * 9, (10,)])
    ]
    first, second, third, fourth = places(bundled(fetch, *bounds))
    assert (len(first), len(second), len(third), len(fourth)) == (2, 1, 1, 1)


def test_a_fetch_knows_how_far_it_reached() -> None:
    """Records by partition, with the reach of every input."""
    fetched = Fetched({("web", 1): records(3)}, {("web", 1): Reach(5, 9, 1.0)})
    assert [tp.topic for tp in fetched] == ["web"]
    assert fetched.reaches["web", 1].end == 9


def test_the_scheme_is_known_to_faust() -> None:
    """`lane://` names our transport."""
    register()
    assert by_url(f"{SCHEME}://localhost:9092").__name__ == "LaneTransport"


class Handing:
    """A consumer that hands over to a queue of `room` messages, and what it fetches."""

    def __init__(self, room: int, *fetches: list[Any], stopping: bool = False) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue(room)
        self.fetches = list(fetches)
        consumer = self.consumer = object.__new__(LaneConsumer)
        self.fetcher = SimpleNamespace(should_stop=False)
        vars(consumer).update(
            app=SimpleNamespace(
                topics=SimpleNamespace(_tp_index={WEB: [SimpleNamespace(queue=self.queue)]}),
                flow_control=SimpleNamespace(is_active=lambda: not consumer.suspend_flow.is_set()),
                should_stop=stopping,
            ),
            callback=self.queue.put,
            getmany=self.getmany,
            suspend_flow=Event(),
            _loop=asyncio.get_running_loop(),
            _stopped=Event(),
            _crashed=Event(),
        )

    async def getmany(self, timeout: float) -> Any:  # noqa: ARG002, ASYNC109  # as the consumer's
        """Yield what one fetch brought; an exception is raised; after the last the fetcher stops."""
        for each in self.fetches.pop(0):
            if isinstance(each, BaseException):
                raise each
            yield WEB, each
        self.fetcher.should_stop = not self.fetches

    async def drain(self) -> list[Any]:
        """Drain until the fetcher stops; return what was handed over."""
        await self.consumer._drain_messages(self.fetcher)
        return [self.queue.get_nowait() for _ in range(self.queue.qsize())]


async def test_messages_are_handed_over_in_order() -> None:
    """Fetch after fetch, whatever their offsets say: chunks carry numbers."""
    assert await Handing(9, ["b", "c"], ["a"]).drain() == ["b", "c", "a"]


async def test_handing_over_makes_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is room a message costs no race with the suspension of the flow."""
    handing = Handing(9, ["a"])
    monkeypatch.setattr(handing.consumer, "wait_first", None)
    assert await handing.drain() == ["a"]


async def test_a_message_waits_for_room() -> None:
    """A full queue loses nothing."""
    handing = Handing(1, ["a", "b"])
    draining = asyncio.create_task(handing.drain())
    assert await handing.queue.get() == "a"
    assert await draining == ["b"]


async def test_a_suspended_flow_ends_the_wait_for_room() -> None:
    """A rebalance that waits for the fetch in flight would wait for ever."""
    handing = Handing(1, ["a", "b"])
    asyncio.get_running_loop().call_later(0.01, handing.consumer.suspend_flow.set)
    assert await asyncio.wait_for(handing.drain(), 5) == ["a"]


async def test_a_message_of_a_suspended_flow_is_not_waited_for() -> None:
    """Also where there is room: handing over would wait until the flow goes on."""
    handing = Handing(9, ["a"])
    handing.consumer.suspend_flow.set()
    handing.consumer.callback = lambda _: asyncio.Event().wait()
    assert await asyncio.wait_for(handing.drain(), 5) == []


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), *(kind() for kind in LaneConsumer.consumer_stopped_errors)]
)
async def test_the_end_of_the_consumer_is_quiet_only_when_the_worker_stops(error: BaseException) -> None:
    """Else Faust starts the fetcher again, or ends the worker."""
    assert await Handing(9, ["a", error], stopping=True).drain() == ["a"]
    with pytest.raises(type(error)):
        await Handing(9, ["a", error]).drain()


async def test_a_fetch_is_no_more_than_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are counted by the size of the last ones: large ones do not fill the memory."""
    settings = EngineSettings(bootstrap_servers="", app_id="app", inputs=("web",))
    fetching = SimpleNamespace(fetch_bytes=lambda: 1000)
    consumer = object.__new__(LaneConsumer)
    app = SimpleNamespace(lane=SimpleNamespace(settings=settings, fetching=fetching))
    vars(consumer).update(app=app, sequences=defaultdict(int), reaches={}, most_records=3)
    thread = object.__new__(LaneThread)
    vars(thread).update(consumer=consumer)
    asked: list[int | None] = []

    async def fetched(*given: Any) -> dict[Any, Any]:
        asked.append(given[-1])
        return {}

    monkeypatch.setattr(AIOKafkaConsumerThread, "_fetch_records", fetched)
    unassigned = SimpleNamespace(_subscription=SimpleNamespace(subscription=None))
    for sizes in ((5, 5), (200, 300), (5000,)):
        await thread._fetch_records(unassigned, {WEB}, max_records=100)
        consumer._cut(Fetched({WEB: records(*sizes)}, {}), 0)
    await thread._fetch_records(unassigned, {WEB}, max_records=100)
    assert asked == [3, 100, 4, 1]


async def test_a_fetch_runs_in_the_thread_of_the_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it finds, or why it finds nothing, comes back to the worker's loop."""
    lane_thread = object.__new__(LaneThread)
    vars(lane_thread).update(
        thread_loop=asyncio.new_event_loop(), _consumer=SimpleNamespace(_max_poll_records=7)
    )
    asked: list[tuple[Any, ...]] = []

    async def fetching(*given: Any) -> dict[str, int]:
        asked.append((threading.current_thread(), *given[1:]))
        if given[1] is None:
            raise LaneConsumer.consumer_stopped_errors[0]
        return {"found": 1}

    monkeypatch.setattr(lane_thread, "_fetch_records", fetching)
    running = threading.Thread(target=lane_thread.thread_loop.run_forever)
    running.start()
    try:
        assert await lane_thread.getmany({WEB}, 0.1) == {"found": 1}
        with pytest.raises(LaneConsumer.consumer_stopped_errors[0]):
            await lane_thread.getmany(None, 0.1)
    finally:
        lane_thread.thread_loop.call_soon_threadsafe(lane_thread.thread_loop.stop)
        running.join()
        lane_thread.thread_loop.close()
    assert asked == [(running, {WEB}, 0.1, 7), (running, None, 0.1, 7)]
