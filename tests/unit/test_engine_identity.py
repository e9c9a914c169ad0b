"""Adopting a topic: who is disturbed by it."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.engine import identity
from streams.engine.identity import Adopted
from streams.engine.settings import EngineSettings

SETTINGS = EngineSettings(bootstrap_servers="127.0.0.1:1", app_id="shop", inputs=("web",))
THERE = identity._There(TopicPartition("web", 2), 10, 20, "id")
STEP = (Adopted(2, 5, 10, 5), SimpleNamespace())


class Taking:
    """A producer that takes the partition over, and a writer of its marker."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def start(self) -> None:
        """Fence whoever writes there."""
        self.done.append("fenced")

    async def stop(self) -> None:
        """Let go."""
        self.done.append("stopped")

    async def write_marker(self, _: Any) -> None:
        """Write what was adopted."""
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
    monkeypatch.setattr(identity, "new_producer", lambda *_: taking)
    monkeypatch.setattr(identity, "Writer", lambda *_: taking)
    assert await identity._adopt_one(SETTINGS, THERE) == (steps[-1] and steps[-1][0])
    assert taking.done == done
