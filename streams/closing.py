"""TLS connections to brokers end at once.

A closed TLS connection waits for the peer's word of farewell, by default up to 30 s; with an answer still on
its way the word may never be read. A worker that lets its reader go would stand still that long in the middle
of a rebalance. Nothing is lost without the farewell: every request on the connection is answered or given up.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection

_close = AIOKafkaConnection.close


def close_at_once() -> None:
    """Let aiokafka's TLS connections of this process end without the farewell."""
    AIOKafkaConnection.close = close


def close(self: Any, reason: Any = None, exc: Any = None) -> Any:
    """Close as aiokafka does; a TLS transport is then dropped."""
    writer = self._writer
    closed = _close(self, reason, exc)
    if writer is not None and self._security_protocol in ("SSL", "SASL_SSL"):
        writer.transport.abort()
    return closed
