"""uvloop, a connection that was reset, and answers that do not come."""

import asyncio
import time
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import IncompatibleBrokerVersion, KafkaConnectionError

from streams.engine import loop


class PaperConnection:
    """A connection whose transport is closed."""

    host, port = "broker", 9092

    def __init__(self) -> None:
        self.closed: list[Any] = []

    def close(self, reason: Any = None) -> None:
        """Remember why."""
        self.closed.append(reason)


def test_a_write_to_a_closed_transport_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What uvloop raises becomes what aiokafka knows how to recover from."""

    def closed(*_: Any) -> None:
        msg = "the handler is closed"
        raise RuntimeError(msg)

    monkeypatch.setattr(loop, "_send", closed)
    connection = PaperConnection()
    with pytest.raises(KafkaConnectionError, match="broker:9092 broken: the handler is closed"):
        loop.send(connection, object())
    assert connection.closed == [CloseReason.CONNECTION_BROKEN]


@pytest.mark.parametrize("error", [NotImplementedError("v12"), IncompatibleBrokerVersion("v12")])
def test_a_request_that_a_broker_does_not_speak_is_no_lost_connection(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks is told as it is, and the connection stays."""

    def unspoken(*_: Any) -> None:
        raise error

    monkeypatch.setattr(loop, "_send", unspoken)
    connection = PaperConnection()
    with pytest.raises(type(error), match="v12") as caught:
        loop.send(connection, object())
    assert caught.value is error
    assert not connection.closed


def test_what_wants_no_answer_is_sent_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for."""
    monkeypatch.setattr(loop, "_send", lambda _, request, expect: (request, expect))
    assert loop.send(PaperConnection(), "request", False) == ("request", False)  # noqa: FBT003  # aiokafka's


class Waiting:
    """A connection with time-outs of 10 ms, and a request for which stock would wait in a coroutine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop = asyncio.get_running_loop()
        self._request_timeout = 0.01
        self.asked: asyncio.Future[str] = self._loop.create_future()
        self._requests = [(1, "request", self.asked)]
        monkeypatch.setattr(loop, "_send", lambda *_: asyncio.sleep(0))


async def test_an_answer_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock's coroutine is closed, and the time-out goes with the answer."""
    connection = Waiting(monkeypatch)
    answer = loop.send(connection, "request")
    connection.asked.set_result("answer")
    assert await answer == "answer"


async def test_an_answer_that_does_not_come_is_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As aiokafka's client expects it: it closes the connection then."""
    with pytest.raises(TimeoutError):
        await loop.send(Waiting(monkeypatch), "request")


async def test_an_answer_at_the_last_moment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer that is due in the same turn of the loop has come too late."""
    connection = Waiting(monkeypatch)
    wrong: list[Any] = []
    connection._loop.set_exception_handler(lambda _, context: wrong.append(context))
    answer = loop.send(connection, "request")
    time.sleep(0.02)  # noqa: ASYNC251  # the answer and the timer become due in the same turn
    connection._loop.call_soon(connection.asked.set_result, "answer")
    assert await answer == "answer"
    assert not wrong


def test_installing_guards_aiokafka(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where uvloop is used, the guard is in place."""
    monkeypatch.setattr(AIOKafkaConnection, "send", AIOKafkaConnection.send)
    monkeypatch.setattr("asyncio.set_event_loop_policy", lambda _: None)
    assert loop.install_uvloop()
    assert AIOKafkaConnection.send is loop.send


def test_without_uvloop_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker runs on asyncio's own loop."""
    before = AIOKafkaConnection.send
    monkeypatch.setitem(__import__("sys").modules, "uvloop", None)
    assert not loop.install_uvloop()
    assert AIOKafkaConnection.send is before
