"""uvloop and a connection that was reset."""

from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

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


def test_an_open_connection_sends_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is changed."""
    monkeypatch.setattr(loop, "_send", lambda _, request, expect: (request, expect))
    assert loop.send(PaperConnection(), "request", False) == ("request", False)  # noqa: FBT003  # aiokafka's


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
