"""What a delivery writes down: how each message ended, and the dead letters."""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, Self

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from schemas.deliveries import Settlement, encode
from schemas.tracing import trace_of
from streams.delivery.log import reader, records, writer
from streams.errors import CxError, Exit
from streams.settings import Settings
from streams.topics import DEAD_LETTERS, DELIVERY

log = logging.getLogger(__name__)

PATIENCE_S: Final = 300.0
"""A broker that is away for longer ends the process, so that its supervisor sees it."""
RETRY_S: Final = 1.0
DEAD_REASON: Final = "delivery_"
"""Put before the ending, so that nobody takes the dead letter for a rejected touchpoint."""


@dataclass(slots=True)
class Memory:
    """Which messages of a partition are under way or settled, by id."""

    newest_s: float | None = None
    """When the newest was settled, seconds since the epoch."""
    _at_s: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """When each was settled, in that order; inf: it is under way."""

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._at_s

    def __len__(self) -> int:
        return len(self._at_s)

    def begin(self, message_id: str) -> None:
        """Note that a message is under way."""
        self._at_s[message_id] = math.inf

    def settle(self, message_id: str, at_s: float) -> None:
        """Note that a message ended at `at_s`, seconds since the epoch."""
        self._at_s[message_id] = self.newest_s = at_s
        self._at_s.move_to_end(message_id)

    def forget(self, before_s: float) -> None:
        """Forget what was settled before `before_s`, as far as nothing older is under way."""
        while self._at_s and next(iter(self._at_s.values())) < before_s:
            self._at_s.popitem(last=False)


class Book(Protocol):
    """Where endings are written down."""

    async def memory(self, partition: int) -> Memory:
        """Return what is written down of a partition."""

    async def settle(self, partition: int, settlement: Settlement) -> None:
        """Write down how a message ended; it is written when this returns."""

    async def bury(self, record: Any, settlement: Settlement, why: str) -> None:
        """Write the dead letter of a record that could not be delivered."""


class KafkaBook:
    """Endings on `cx.delivery`, partition by partition as the alerts; dead letters on `cx.deadletter`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = settings.topic_prefix + DELIVERY.name
        self._dead = settings.topic_prefix + DEAD_LETTERS.name
        self._stack = AsyncExitStack()
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        self._producer = await self._stack.enter_async_context(writer(self._settings))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def memory(self, partition: int) -> Memory:
        """Return what is written down of a partition."""
        found = Memory()
        async with reader(self._settings) as consumer:
            async for record in records(consumer, TopicPartition(self._topic, partition)):
                settlement = settlement_of(record.value)
                if settlement is not None:
                    found.settle(settlement.message_id, record.timestamp / 1000)
        return found

    async def settle(self, partition: int, settlement: Settlement) -> None:
        """Write down how a message ended."""
        key = settlement.message_id.encode()
        value = encode(settlement)
        await _patiently(lambda: self._producer.send_and_wait(self._topic, value, key, partition=partition))

    async def bury(self, record: Any, settlement: Settlement, why: str) -> None:
        """Write the dead letter of a record: its key, value and trace, and what became of it as headers."""
        said = {
            "cx-reason": DEAD_REASON + settlement.ending,
            "cx-detail": why,
            "cx-topic": record.topic,
            "cx-partition": str(record.partition),
            "cx-offset": str(record.offset),
            "cx-timestamp": str(record.timestamp),
            "cx-receiver": settlement.endpoint,
            "cx-message-id": settlement.message_id,
        }
        headers = [*trace_of(record.headers), *((name, text.encode()) for name, text in said.items())]
        await _patiently(
            lambda: self._producer.send_and_wait(
                self._dead, record.value, record.key, partition=record.partition, headers=headers
            )
        )


def settlement_of(value: bytes | None) -> Settlement | None:
    """Return the ending in a record; None for the pauses, which are on the same topic."""
    try:
        return msgspec.json.decode(value or b"", type=Settlement)
    except msgspec.MsgspecError:
        return None


async def _patiently(write: Callable[[], Awaitable[Any]]) -> None:
    """Write until the broker has it; what was sent must not be forgotten because a broker restarts."""
    begun_s = time.monotonic()
    while True:
        try:
            await write()
        except KafkaError as error:
            if time.monotonic() - begun_s > PATIENCE_S:
                msg = f"what was delivered cannot be written down: {type(error).__name__}: {error}"
                mend = "mend the broker and start again: what is in doubt is sent once more, with the same id"
                raise CxError(msg, mend=mend, code=Exit.STOPPED) from error
            log.warning("what was delivered is not written down yet: %r", error)
            await asyncio.sleep(RETRY_S)
        else:
            return
