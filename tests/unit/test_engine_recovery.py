"""An assignment is worked on only once it is whole."""

import gc
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from faust.tables.recovery import RebalanceAgain
from faust.types import TP

from streams.engine import recovery
from streams.engine.recovery import LaneRecovery, freeze_memory
from streams.engine.settings import EngineSettings
from streams.engine.stats import Stats
from streams.errors import CxError

SETTINGS = EngineSettings(bootstrap_servers="", app_id="app", inputs=("web", "store"))


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector of the test run as it was."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def made(
    assignment: set[TP], known: set[TP], topics: tuple[str, ...] = SETTINGS.inputs, asked: Any = None
) -> Any:
    """Return a recovery whose client was given `assignment`; of the changelog, Faust has heard of `known`.

    The brokers have the inputs in `topics`; `asked` hears of what is called in the thread of the client.
    """
    found = object.__new__(LaneRecovery)
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: {0} if topic in topics else None)
    client = SimpleNamespace(cluster=cluster, force_metadata_update=None)
    thread = SimpleNamespace(
        _ensure_consumer=lambda: SimpleNamespace(_client=client),
        thread_loop=SimpleNamespace(call_soon_threadsafe=asked),
    )
    consumer = SimpleNamespace(assignment=lambda: assignment, _thread=thread)
    found.app = SimpleNamespace(
        lane=SimpleNamespace(settings=SETTINGS), consumer=consumer, consumer_generation_id=1
    )
    found.active_tps = known
    return found


async def test_inputs_with_their_changelog_are_taken() -> None:
    """Nothing is waited for, also where a worker is given nothing."""
    await made({TP("web", 1)}, {TP(SETTINGS.changelog, 1)})._complete(1)
    await made(set(), set())._complete(1)


async def test_an_assignment_in_the_making_is_waited_for() -> None:
    """The client has its new partitions a moment before Faust hears of them."""
    known: set[TP] = set()
    waiting = made({TP("web", 1)}, known)
    asked = iter(range(2))

    def assignment() -> set[TP]:
        if next(asked, None) is None:
            known.add(TP(SETTINGS.changelog, 1))
        return {TP("web", 1)}

    waiting.app.consumer.assignment = assignment
    await waiting._complete(1)
    assert known


async def test_inputs_without_a_changelog_end_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stand ready with nothing to do, for good."""
    monkeypatch.setattr(recovery, "COMPLETE_S", 0.0)
    with pytest.raises(CxError, match=r"partitions \[1\] came without"):
        await made({TP("web", 0), TP("web", 1)}, {TP(SETTINGS.changelog, 0)})._complete(1)


async def test_a_newer_generation_is_another_matter() -> None:
    """What was assigned before says nothing of now."""
    with pytest.raises(RebalanceAgain):
        await made({TP("web", 1)}, set())._complete(2)


async def test_each_assignment_counts_with_the_time_until_work_went_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that ends before that counts nothing, and what it had left to read is owed by nobody any more."""
    stats = Stats(recovery_left=40)
    clock = iter([10.0, 20.0, 23.0, 23.0, 30.0, 32.0, 32.0])
    monkeypatch.setattr(recovery, "monotonic", lambda: next(clock))
    found = made(set(), set())
    left = []

    async def load(*_: Any) -> None:
        left.append(stats.recovery_left)
        assert gc.get_threshold() == recovery.COLLECT_AFTER, "rows are objects while they are read"

    found.app.lane = SimpleNamespace(
        settings=SETTINGS, stats=stats, load=load, partitions=SimpleNamespace(loaded=list)
    )
    found._set_recovery_started = int
    found._wait = lambda waited: waited
    found._complete = load
    ends = iter([RebalanceAgain, None, None])

    async def go_on(_: int) -> None:
        if error := next(ends):
            raise error

    found._go_on = go_on
    with pytest.raises(RebalanceAgain):
        await found._recover(1)
    assert (stats.assignments, stats.assignment_seconds) == (0, 0.0)
    await found._recover(1)
    await found._recover(1)
    assert (stats.assignments, stats.assignment_seconds, stats.ready_seconds) == (2, 5.0, 2.0)
    assert set(left) == {0}


def test_an_input_that_was_not_there_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    """In the client's thread, where one is missing: else it would be read minutes after it came."""
    caplog.set_level("INFO")
    asked: list[Any] = []
    made(set(), set(), SETTINGS.inputs, asked.append)._ask_for_inputs()
    assert asked == []
    lacking = made(set(), set(), ("store",), asked.append)
    lacking.app.consumer._thread._ensure_consumer()._client.force_metadata_update = "asked"
    lacking._ask_for_inputs()
    assert asked == ["asked"]
    assert "what they did not have: web" in caplog.text


def test_garbage_of_a_recovery_is_not_kept_for_ever() -> None:
    """What the collector is to look at no more holds no cycle that nobody refers to."""
    kept, lost = Stats(), made(set(), set())
    lost.itself = lost
    gone = weakref.ref(lost)
    del lost
    freeze_memory()
    assert gone() is None
    assert gc.get_freeze_count() > 0
    assert not any(each is kept for each in gc.get_objects())
