"""The shadow: writes what would be sent, and sends nothing."""

from typing import Any, TextIO

import orjson

from schemas.deliveries import Settlement
from streams.delivery.book import Memory
from streams.delivery.client import Answer, Result
from streams.delivery.receivers import Receiver


class ShadowClient:
    """Writes each message as one line of JSON and takes it for accepted."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    async def post(self, receiver: Receiver, headers: dict[str, str], body: bytes) -> Answer:
        """Write the message; the signature is left out, as it would be valid."""
        shown = {name: text for name, text in headers.items() if name != "webhook-signature"}
        line = {
            "receiver": receiver.name,
            "url": str(receiver.url),
            "headers": shown,
            "body": orjson.Fragment(body),
        }
        self._out.write(orjson.dumps(line).decode() + "\n")
        self._out.flush()
        return Answer(Result.ACCEPTED)


class ShadowBook:
    """Writes nothing down: what a shadow did must not keep a delivery from doing it."""

    async def memory(self, partition: int) -> Memory:  # noqa: ARG002  # the protocol's
        """Return nothing."""
        return Memory()

    async def settle(self, partition: int, settlement: Settlement) -> None:
        """Write nothing."""

    async def bury(self, record: Any, settlement: Settlement, why: str) -> None:
        """Write nothing."""
