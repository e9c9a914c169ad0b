"""Adopting a topic: who is disturbed by it."""

import asyncio
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.engine import identity, writer
from streams.engine.errors import Fenced
from streams.engine.identity import Adopted, adopt
from streams.engine.loader import Loaded
from streams.engine.marker import new_marker
from streams.engine.settings import EngineSettings
from streams.errors import CxError, Exit

SETTINGS = EngineSettings(bootstrap_servers="127.0.0.1:1", app_id="shop", inputs=("web",))
TP = TopicPartition("web", 2)
STEP = (Adopted(2, 5, 10, 5), SimpleNamespace())


class Taking:
    """A producer that takes the partition over, and a writer of its marker; fenced itself `times`."""

    partition = 2

    def __init__(self, times: int = 0) -> None:
        self.done: list[str] = []
        self.times = times
        self.producer = self

    async def start(self) -> None:
        """Fence whoever writes there."""
        self.done.append("fenced")

    async def close(self) -> None:
        """Let go."""
        self.done.append("stopped")

    async def write_marker(self, _: Any) -> None:
        """Write what was adopted."""
        if self.times:
            self.times -= 1
            raise Fenced
        self.done.append("written")


@pytest.mark.parametrize(
    ("steps", "done"),
    [([None], []), ([STEP, STEP], ["fenced", "written", "stopped"]), ([STEP, None], ["fenced", "stopped"])],
    ids=["no need", "a need", "adopted by somebody else meanwhile"],
)
async def test_only_who_has_to_be_adopted_is_taken_over(
    monkeypatch: pytest.MonkeyPatch, steps: list[Any], done: list[str]
):
    """Who can read on is not fenced; what is written is decided behind the fence."""
    taking, found = Taking(), iter(steps)

    async def step(*_: Any) -> Any:
        return next(found)

    monkeypatch.setattr(identity, "_step", step)
    take(monkeypatch, taking)
    assert await identity._adopt_one(SETTINGS, TP, "id") == (steps[-1] and steps[-1][0])
    assert taking.done == done


def take(monkeypatch: pytest.MonkeyPatch, taking: Taking) -> None:
    """Let `taking` be the producer and the writer."""
    monkeypatch.setattr(identity, "new_producer", lambda *_: taking)
    monkeypatch.setattr(identity, "Writer", lambda *_: taking)


async def test_a_worker_that_looks_again_meanwhile_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes its stopped partition every 15 s; whoever adopts does it again, and gives up in the end."""

    async def step(*_: Any) -> Any:
        return STEP

    monkeypatch.setattr(identity, "_step", step)
    take(monkeypatch, taking := Taking(times=1))
    assert await identity._adopt_one(SETTINGS, TP, "id") == STEP[0]
    assert taking.done == ["fenced", "stopped", "fenced", "written", "stopped"]

    take(monkeypatch, Taking(times=identity.TRIES))
    with pytest.raises(CxError, match="partition 2 was taken by its worker 5 times") as caught:
        await identity._adopt_one(SETTINGS, TP, "id")
    assert caught.value.code is Exit.STOPPED


async def test_brokers_that_give_no_id_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was waited for is told, and what to look at."""

    class Silent(Taking):
        async def start(self) -> None:
            await asyncio.Event().wait()

    async def step(*_: Any) -> Any:
        return STEP

    monkeypatch.setattr(identity, "_step", step)
    monkeypatch.setattr(writer, "START_S", 0.01)
    take(monkeypatch, taking := Silent())
    with pytest.raises(CxError, match=r"gave no id to write with .* for partitions 2") as caught:
        await asyncio.wait_for(identity._adopt_one(SETTINGS, TP, "id"), 10)
    assert (caught.value.mend, taking.done) == ("cx doctor", ["stopped"])


async def test_a_worker_that_reads_on_meanwhile_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its position is compared with an end of later, not with one that it has left behind since."""
    end = 20

    async def describe(*_: Any) -> Any:
        return {"web": SimpleNamespace(partitions=1, topic_id="")}

    async def bounds(_: Any, tps: list[TopicPartition]) -> Any:
        return dict.fromkeys(tps, 10), dict.fromkeys(tps, end)

    async def read(*_: Any) -> dict[int, Loaded]:
        nonlocal end
        end = 30
        return {0: Loaded({}, new_marker({"web": 25}))}

    monkeypatch.setattr(identity, "reader", lambda _: nullcontext())
    monkeypatch.setattr(identity, "describe", describe)
    monkeypatch.setattr(identity, "bounds", bounds)
    monkeypatch.setattr(identity, "read_changelog", read)
    assert await adopt(SETTINGS, "web") == ()
