"""The pause: a time in which nothing is sent, kept on `cx.delivery` where every delivery reads it.

A step is dropped if a pause was in force at some time between the step and its delivery. So nothing is
flushed when a pause ends, not even by a delivery that was down all the while.
"""

import asyncio
import logging
import time
from typing import Any, Final

import msgspec
from aiokafka import TopicPartition

from schemas.deliveries import Pause, Pauses, encode
from streams.delivery.log import partitions_of, reader, records, writer
from streams.settings import Settings
from streams.topics import DELIVERY

log = logging.getLogger(__name__)

KEY: Final = b"pauses"
PARTITION: Final = 0
MOST_KEPT: Final = 100
"""Pauses remembered: older ones lie far behind every step that could still be delivered."""


async def read_pauses(settings: Settings) -> Pauses:
    """Return the pauses as they are now. Raises `CxError` without a broker or its topics."""
    topic = settings.topic_prefix + DELIVERY.name
    await partitions_of(settings, topic)
    found = Pauses()
    async with reader(settings) as consumer:
        async for record in records(consumer, TopicPartition(topic, PARTITION)):
            if record.key == KEY and record.value is not None:
                found = decode(record.value)
    return found


async def pause(settings: Settings, at_s: float | None = None, reason: str = "") -> bool:
    """Have nothing sent from `at_s` (seconds, default now) on; False where a pause lasts already."""
    found = await read_pauses(settings)
    if found.paused:
        return False
    begun = Pause(from_s=time.time() if at_s is None else at_s, reason=reason)
    await _write(settings, Pauses(pauses=[*found.pauses, begun][-MOST_KEPT:]))
    return True


async def resume(settings: Settings, at_s: float | None = None) -> bool:
    """End the pause at `at_s` (seconds, default now); False where there is none."""
    found = await read_pauses(settings)
    lasting = found.current
    if lasting is None:
        return False
    ended = msgspec.structs.replace(lasting, until_s=time.time() if at_s is None else at_s)
    await _write(settings, Pauses(pauses=[*found.pauses[:-1], ended]))
    return True


def decode(value: bytes) -> Pauses:
    """Return the pauses of a record."""
    return msgspec.json.decode(value, type=Pauses)


async def _write(settings: Settings, pauses: Pauses) -> None:
    topic = settings.topic_prefix + DELIVERY.name
    async with writer(settings) as producer:
        await producer.send_and_wait(topic, encode(pauses), KEY, partition=PARTITION)


class PauseWatch:
    """Follows the pauses while a delivery runs: a pause takes hold within a second."""

    def __init__(self, settings: Settings) -> None:
        self.pauses = Pauses()
        self._settings = settings
        self._known = asyncio.Event()

    async def known(self) -> None:
        """Wait until the pauses of before were read."""
        await self._known.wait()

    async def run(self) -> None:
        """Follow the topic until cancelled."""
        tp = TopicPartition(self._settings.topic_prefix + DELIVERY.name, PARTITION)
        async with reader(self._settings) as consumer:
            async for record in records(consumer, tp):
                self._take(record)
            self._known.set()
            if self.pauses.paused:
                self._tell()
            while True:
                for record in (await consumer.getmany(tp, timeout_ms=1000)).get(tp, ()):
                    self._take(record)

    def _take(self, record: Any) -> None:
        if record.key != KEY or record.value is None:
            return
        before = self.pauses.paused
        self.pauses = decode(record.value)
        if self._known.is_set() and self.pauses.paused is not before:
            self._tell()

    def _tell(self) -> None:
        lasting = self.pauses.current
        if lasting is None:
            log.warning("delivery goes on")
        else:
            log.warning("delivery is paused: %s", lasting.reason or "no reason was given")
