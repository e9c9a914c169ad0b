"""uvloop where it can be had, made safe for aiokafka.

A write to a connection that was just reset raises OSError in asyncio's loop, which aiokafka turns into a lost
connection; uvloop raises RuntimeError, which ends aiokafka's background tasks for good: a producer that never
sends again, a consumer that leaves its group without a word.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError

_send = AIOKafkaConnection.send


def install_uvloop() -> bool:
    """Make event loops uvloop's and tell whether it can be had; call before the worker's loop is made."""
    try:
        import uvloop  # noqa: PLC0415  # not built for every platform
    except ImportError:
        return False
    AIOKafkaConnection.send = send
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return True


def send(self: Any, request: Any, expect_response: Any = True) -> Any:  # noqa: FBT002  # aiokafka's signature
    """Send as aiokafka does; a closed transport is a lost connection on every loop."""
    try:
        answer = _send(self, request, expect_response)
    except (KafkaError, NotImplementedError):
        # These are RuntimeErrors too: a broker that does not speak a request would be asked for ever.
        raise
    except RuntimeError as error:
        self.close(reason=CloseReason.CONNECTION_BROKEN)
        msg = f"Connection at {self.host}:{self.port} broken: {error}"
        raise KafkaConnectionError(msg) from error
    return _within_time(self, answer) if expect_response else answer


def _within_time(connection: Any, waiting: Coroutine[Any, Any, Any]) -> Any:
    """Return the future of the request just sent, which a timer ends.

    Stock waits for it in a coroutine with a time-out of its own, at four times the price.
    """
    waiting.close()
    _, _, future = connection._requests[-1]  # noqa: SLF001  # where a connection has what it waits for
    timer = connection._loop.call_later(connection._request_timeout, _end, future)  # noqa: SLF001  # as above
    future.add_done_callback(lambda _: timer.cancel())
    return future


def _end(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_exception(TimeoutError())
