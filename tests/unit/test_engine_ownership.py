"""What becomes of producers when partitions cannot be loaded."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.engine import ownership, writer
from streams.engine.ownership import Ownership
from streams.engine.stats import Stats
from tests.lane_bench import SETTINGS, Counting


class Producer:
    """A producer whose broker refuses, or never answers."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.gave_up = self.stopped = False

    async def start(self) -> None:
        """Refuse for partition 0, wait for all others."""
        if not self.number:
            raise KafkaConnectionError
        try:
            await asyncio.Event().wait()
        finally:
            self.gave_up = True

    async def stop(self) -> None:
        """Let go."""
        self.stopped = True


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Producer]:
    """Return the producers that are made."""
    found: list[Producer] = []

    def new(_: Any, number: int) -> Producer:
        found.append(Producer(number))
        return found[-1]

    monkeypatch.setattr(ownership, "new_producer", new)
    return found


async def test_no_producer_goes_on_starting_once_another_could_not(made: list[Producer]) -> None:
    """An id that it got later would fence whoever writes by then."""
    owned = Ownership(SETTINGS, Counting(), Stats())
    with pytest.raises(KafkaConnectionError):
        await owned.load({0, 1}, 1, 1, healing=False)
    assert [(each.gave_up, each.stopped) for each in made] == [(False, True), (True, True)]
    assert not len(owned)


async def test_a_cluster_that_gives_no_id_is_told_of(
    made: list[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few copies of the log of transactions, say: a loop in silence nobody sees."""
    monkeypatch.setattr(writer, "START_S", 0.01)
    with pytest.raises(TimeoutError, match=r"gave no id to write with in 0\.01 s, for partitions 1$"):
        await asyncio.wait_for(Ownership(SETTINGS, Counting(), Stats()).load({1}, 1, 1, healing=False), 10)
    assert made[0].stopped
