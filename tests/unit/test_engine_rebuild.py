"""What a rebuild refuses before it touches anything; the rest is tested on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import msgspec
import pytest
from aiokafka import TopicPartition

from streams.engine import loader
from streams.engine import rebuild as module
from streams.engine import writer as engine_writer
from streams.engine.errors import Lost
from streams.engine.handler import Counts, Effects
from streams.engine.loader import Loaded
from streams.engine.marker import Marker, Position, Rebuild, new_marker
from streams.engine.memory import MemoryRecord
from streams.engine.rebuild import (
    CLEARING,
    DONE,
    Orders,
    Progress,
    _Inputs,
    _One,
    _refuse_losses,
    rebuild,
)
from streams.engine.settings import EngineSettings
from streams.errors import CxError, Exit
from streams.local_kafka.wire import free_port
from tests.lane_bench import Counting, PaperWriter


def marker(origin: int, moved: int) -> Marker:
    """Return a marker that counted `moved` records of the web from `origin` on."""
    return Marker(2, "g", {"web": Position(origin + moved, origin)}, Counts(accepted=moved), 1)


def test_records_deleted_since_are_not_forgotten_in_silence() -> None:
    """Retention took what the rows have counted: the loss is named by input, and only a flag accepts it."""
    starts = {0: {"web": Position(40, 40)}, 1: {"web": Position(0, 0)}}
    with pytest.raises(CxError, match=r"web\[0\]: 30 records") as caught:
        _refuse_losses({0: marker(10, 100), 1: marker(0, 5)}, starts)
    assert "--accept-loss" in caught.value.mend


def test_what_was_deleted_before_it_was_counted_is_no_loss() -> None:
    """A table that began in mid-topic can be rebuilt from there, and a new input has no past."""
    _refuse_losses({0: marker(10, 100)}, {0: {"web": Position(10, 10), "store": Position(7, 7)}})


async def test_a_broker_that_fails_leaves_a_rebuild_to_be_taken_up() -> None:
    """The way on is named; nothing is said of a bug."""
    settings = EngineSettings(bootstrap_servers=f"127.0.0.1:{free_port()}", app_id="app", inputs=("web",))

    async def settle(*_: object) -> Effects:
        return Effects()

    orders = Orders(None, settle, lambda _: False, len, lambda _: None)  # type: ignore[arg-type]  # never reached
    with pytest.raises(CxError, match="broken off") as caught:
        await rebuild(settings, orders)
    assert "goes on where it was" in caught.value.mend


class Silent:
    """A producer whose brokers accept the connection and never answer; `answers` has one that does."""

    def __init__(self, number: int, *, answers: bool) -> None:
        self.number = number
        self.answers = answers
        self.given_up = self.stopped = False

    async def start(self) -> None:
        """Ask for an id."""
        if self.answers:
            return
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up = True

    async def stop(self) -> None:
        """Let go."""
        self.stopped = True


async def test_brokers_that_give_no_id_are_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was waited for, of which partitions and how to go on is told, and nothing was touched."""
    made: list[Silent] = []

    def new(_: EngineSettings, number: int) -> Silent:
        made.append(Silent(number, answers=number == 1))
        return made[-1]

    async def survey(*_: object) -> tuple[dict[int, Marker], dict[int, dict[str, Position]]]:
        numbers = range(3)
        return {number: marker(0, 5) for number in numbers}, {number: {} for number in numbers}

    @asynccontextmanager
    async def read(_: EngineSettings) -> AsyncIterator[None]:
        yield None

    monkeypatch.setattr(module, "new_producer", new)
    monkeypatch.setattr(module, "_survey", survey)
    monkeypatch.setattr(module, "reader", read)
    monkeypatch.setattr(engine_writer, "START_S", 0.01)
    monkeypatch.setattr(module, "give_bare", lambda _: None)
    settings = EngineSettings(bootstrap_servers="", app_id="app", inputs=("web",))
    with pytest.raises(CxError) as caught:
        await asyncio.wait_for(rebuild(settings, SimpleNamespace(check=len)), 10)  # type: ignore[arg-type]  # never asked
    assert caught.value.message == (
        "the rebuild was broken off: the brokers gave no id to write with in 0.01 s, for partitions 0, 2"
    )
    assert caught.value.mend == "cx rebuild goes on where it was; cx doctor"
    assert caught.value.code is Exit.STOPPED
    assert [(each.given_up, each.stopped) for each in made] == [(True, True), (False, True), (True, True)]


def of_rebuild(name: str, phase: str) -> Marker:
    """Return a marker that tells of a rebuild."""
    return msgspec.structs.replace(marker(0, 5), rebuild=Rebuild(name, phase))


def one(monkeypatch: pytest.MonkeyPatch, *shown: Marker) -> _One:
    """Return the rebuild of a partition of whose markers readers see one after the other."""
    markers = list(shown)

    async def read(*_: object) -> dict[int, Loaded]:
        return {0: Loaded({b"anna": b"row"}, markers.pop(0) if len(markers) > 1 else markers[0])}

    monkeypatch.setattr(module, "read_changelog", read)
    monkeypatch.setattr(module, "CLAIM_POLL_S", 0.0)
    orders = SimpleNamespace(handler=None, keep=lambda _: False)
    return _One(SimpleNamespace(changelog="log"), 0, orders, None, None)  # type: ignore[arg-type]


async def test_a_claim_is_waited_for_until_readers_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker confirms it a moment before: neither no rebuild nor one that is done is taken for it."""
    claim = of_rebuild("new", CLEARING)
    found = one(monkeypatch, marker(0, 5), of_rebuild("old", DONE), claim)

    assert await found._load() == Rebuild("new", CLEARING)
    assert found.partition.marker == claim


async def test_a_claim_that_never_shows_was_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that took the partition over is told of, and nothing is replayed into its rows."""
    monkeypatch.setattr(module, "CLAIM_SHOWS_S", 0.0)
    with pytest.raises(Lost, match="was overwritten"):
        await one(monkeypatch, marker(0, 5))._load()


async def test_a_replay_of_which_nothing_comes_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that were there and answer no more would else be asked for ever, in silence."""
    tp = TopicPartition("web", 0)

    async def nothing(*_: object, **__: object) -> dict[TopicPartition, list[MemoryRecord]]:
        return {}

    async def position(_: object) -> int:
        return 4

    async def bounds(*_: object) -> object:
        return {tp: 0}, {tp: 11}

    monkeypatch.setattr(module, "bounds", bounds)
    monkeypatch.setattr(loader, "STALLED_S", 0.0)
    consumer = SimpleNamespace(assign=len, seek=lambda *_: None, getmany=nothing, position=position)
    inputs = _Inputs(consumer, EngineSettings(bootstrap_servers="", app_id="app", inputs=("web",)), 0)
    await inputs.start(new_marker({"web": 4}))
    with pytest.raises(
        TimeoutError, match="nothing of the inputs of partition 0 for 0 s, with 7 offsets to go"
    ):
        await asyncio.wait_for(inputs.fill(), 10)


@pytest.mark.parametrize(("at_ms", "until_ms"), [(5000, 5000), (1 << 62, 4000)])
def test_a_record_that_came_during_a_replay_is_as_new_as_it_says(at_ms: int, until_ms: int) -> None:
    """Only a clock that is ahead of now is not believed."""
    inputs = _Inputs(None, EngineSettings(bootstrap_servers="", app_id="app", inputs=("web",)), 0)
    inputs._asked_s, tp = 4.5, TopicPartition("web", 0)
    for offset, timestamp in enumerate((4000, at_ms)):
        inputs._positions[tp] = offset + 1
        inputs._put(tp, [MemoryRecord(b"anna", b"x", (), offset, timestamp)])
    assert inputs.queue.until_ms(["web"]) == until_ms


async def test_a_transaction_of_a_replay_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its records are held until all are there: of large ones it takes fewer."""
    settings = EngineSettings(bootstrap_servers="", app_id="app", inputs=("web",), transaction_bytes=240)
    tp = TopicPartition("web", 0)
    records = [MemoryRecord(b"anna", b"x" * 36, (), offset, 0) for offset in range(10)]
    at = 0

    async def fetch(*_: object, **__: object) -> object:
        nonlocal at
        at += 2
        return {tp: records[at - 2 : at]}

    async def position(_: object) -> int:
        return at if at < 10 else 11

    async def bounds(*_: object) -> object:
        return {tp: 0}, {tp: 11}

    monkeypatch.setattr(module, "bounds", bounds)
    consumer = SimpleNamespace(assign=len, seek=lambda *_: None, getmany=fetch, position=position)
    told: list[Progress] = []
    orders = SimpleNamespace(handler=Counting(), tell=told.append)
    writer = PaperWriter()
    replay = _One(settings, 0, orders, writer, consumer)  # type: ignore[arg-type]
    replay.partition.load({}, new_marker({"web": 0}))
    await replay._replay()
    assert [each.records for each in writer.written] == [6, 4]
    assert replay.partition.rows == {b"anna": b"10"}
    assert (told[-1].applied, told[-1].total) == (11, 11)
