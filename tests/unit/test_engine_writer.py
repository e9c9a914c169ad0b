"""Writing a transaction: what is not committed for certain is lost, and nobody waits for it for ever."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, ProducerFenced

from streams.engine.errors import Fenced, Lost
from streams.engine.marker import new_marker
from streams.engine.settings import EngineSettings
from streams.engine.writer import Writer

SETTINGS = EngineSettings(
    bootstrap_servers="127.0.0.1:1",
    app_id="app",
    inputs=("in",),
    outputs=("out",),
    table="customers",
    transaction_timeout_s=0.02,
)
MARKER = new_marker({"in": 0})


class Batch:
    """A batch that takes everything."""

    def __init__(self) -> None:
        self.records = 0

    def append(self, **_: Any) -> object:
        """Take a record."""
        self.records += 1
        return self

    def record_count(self) -> int:
        """Return the records taken."""
        return self.records

    def close(self) -> None:
        """Take no more."""


class Producer:
    """A producer whose batches end as told; None: never."""

    def __init__(self, outcome: BaseException | object | None) -> None:
        self.outcome = outcome
        self.committed = False

    async def begin_transaction(self) -> None:
        """Begin."""

    def create_batch(self) -> Batch:
        """Return an empty batch."""
        return Batch()

    async def send_batch(self, *_: Any, **__: Any) -> "asyncio.Future[object]":
        """Return the acknowledgement that is to come."""
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if isinstance(self.outcome, BaseException):
            future.set_exception(self.outcome)
        elif self.outcome is not None:
            future.set_result(self.outcome)
        return future

    async def commit_transaction(self) -> None:
        """Commit."""
        self.committed = True


def writer(outcome: BaseException | object | None) -> tuple[Writer, Producer]:
    """Return a writer on such a producer."""
    producer = Producer(outcome)
    return Writer(SETTINGS, 0, producer), producer  # type: ignore[arg-type]


async def test_what_is_acknowledged_is_committed() -> None:
    """The commit comes after the last acknowledgement."""
    under_test, producer = writer(object())
    await under_test.write_marker(MARKER)
    assert producer.committed


async def test_an_acknowledgement_that_never_comes_is_a_loss() -> None:
    """A client that lost its sender must not hold the partition for ever."""
    under_test, producer = writer(None)
    with pytest.raises(Lost, match="partition 0"):
        await asyncio.wait_for(under_test.write_marker(MARKER), 10)
    assert not producer.committed


@pytest.mark.parametrize(("error", "kind"), [(KafkaTimeoutError(), Lost), (ProducerFenced(), Fenced)])
async def test_a_refusal_is_told_by_its_kind(error: BaseException, kind: type[Exception]) -> None:
    """Fenced means another owner; anything else only that nobody can tell."""
    under_test, producer = writer(error)
    with pytest.raises(kind):
        await under_test.write_marker(MARKER)
    assert not producer.committed
