"""The dead letters on the broker: read up to the end, counted, and sent again to where they came from."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.rejects import DEAD_LETTER_HEADERS, source_of
from streams.admin import admin_client
from streams.connection import client_options
from streams.engine.cluster import bounds, reader
from streams.engine.settings import engine_settings
from streams.engine.wire import describe
from streams.errors import CxError
from streams.settings import Settings
from streams.topics import DEAD_LETTER_MAX_BYTES, DEAD_LETTERS, INPUTS

POLL_MS: Final = 200
REPLAY_BATCH: Final = 500
"""Records sent before their acknowledgements are awaited."""
UNKNOWN: Final = "unknown"
"""The reason of a record that no worker of ours wrote."""
_PATH: Final = re.compile(r"^\w+ at (\$.*?): saw ")
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One rejected record, with what the worker said about it."""

    partition: int
    offset: int
    timestamp_ms: int
    """When it was rejected."""
    key: bytes | None
    value: bytes | None
    headers: Headers
    """All headers: the original's own, then those of the worker."""

    def said(self, name: str) -> str:
        """Return a header of the worker as text; empty where there is none."""
        found = [value for each, value in self.headers if each == name]
        return (found[-1] or b"").decode("utf-8", "replace") if found else ""

    @property
    def reason(self) -> str:
        """Return why it was rejected."""
        return self.said("cx-reason") or UNKNOWN

    @property
    def topic(self) -> str:
        """Return the topic that it came from."""
        return self.said("cx-topic")

    @property
    def path(self) -> str:
        """Return the JSON path of the failing field; `$` is the whole record."""
        found = _PATH.match(self.said("cx-detail"))
        return found.group(1) if found else "$"

    @property
    def original_headers(self) -> Headers:
        """Return the headers that the producer had sent."""
        return tuple(each for each in self.headers if each[0] not in DEAD_LETTER_HEADERS)

    @property
    def source(self) -> str:
        """Return the CloudEvents `source`, or `unknown` where it cannot be read."""
        return source_of(self.value, self.headers) or UNKNOWN


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters are meant."""

    reasons: frozenset[str] = frozenset()
    """Empty: all."""
    since_ms: int = 0

    def __call__(self, letter: DeadLetter) -> bool:
        """Tell whether `letter` is meant."""
        return letter.timestamp_ms >= self.since_ms and (not self.reasons or letter.reason in self.reasons)


async def read(settings: Settings, wanted: Filter) -> AsyncIterator[DeadLetter]:
    """Yield the dead letters that are there now, partition by partition in offset order.

    Those that arrive meanwhile are not read, so that this ends. Raises `CxError` where no broker answers or
    the topic does not exist.
    """
    topic = settings.topic_prefix + DEAD_LETTERS.name
    partitions = await _partitions(settings, topic)
    async with reader(engine_settings(settings)) as consumer:
        tps = [TopicPartition(topic, number) for number in range(partitions)]
        begin, end = await bounds(consumer, tps)
        starts = await _starts(consumer, begin, wanted.since_ms)
        for tp in tps:
            async for record in _records(consumer, tp, starts.get(tp, end[tp]), end[tp]):
                letter = _letter(record)
                if wanted(letter):
                    yield letter


async def _partitions(settings: Settings, topic: str) -> int:
    """Return the partition count of `topic`; asked of a missing one, a consumer would wait in vain."""
    async with admin_client(settings) as admin:
        found = (await describe(admin, [topic])).get(topic)
    if found is None:
        msg = f"the topic {topic} does not exist"
        raise CxError(msg, mend="cx topics create")
    return found.partitions


async def _starts(consumer: Any, begin: Any, since_ms: int) -> dict[TopicPartition, int]:
    """Return where to begin in each partition; one with nothing since then is left out."""
    if not since_ms:
        return dict(begin)
    found = await consumer.offsets_for_times(dict.fromkeys(begin, since_ms))
    return {tp: each.offset for tp, each in found.items() if each is not None}


async def _records(consumer: Any, tp: TopicPartition, start: int, end: int) -> AsyncIterator[Any]:
    if start >= end:
        return
    consumer.assign([tp])
    consumer.seek(tp, start)
    # The position passes commit markers, which no record shows.
    while await consumer.position(tp) < end:
        for record in (await consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, ()):
            if record.offset < end:
                yield record


def _letter(record: Any) -> DeadLetter:
    return DeadLetter(
        record.partition, record.offset, record.timestamp, record.key, record.value, tuple(record.headers)
    )


@dataclass(slots=True)
class Group:
    """Dead letters of one reason, topic and source."""

    count: int = 0
    first_ms: int = 0
    last_ms: int = 0


async def count(settings: Settings, wanted: Filter) -> dict[tuple[str, str, str], Group]:
    """Return the dead letters by (reason, topic, source), the most first."""
    groups: dict[tuple[str, str, str], Group] = {}
    async for letter in read(settings, wanted):
        key = (letter.reason, letter.topic, letter.source)
        group = groups.setdefault(key, Group(first_ms=letter.timestamp_ms))
        group.count += 1
        group.first_ms = min(group.first_ms, letter.timestamp_ms)
        group.last_ms = max(group.last_ms, letter.timestamp_ms)
    return dict(sorted(groups.items(), key=lambda item: (-item[1].count, item[0])))


@dataclass(slots=True)
class Replayed:
    """What a replay did, or would do."""

    by_topic: Counter[str] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)
    left: int = 0
    """Records that stay: from no input of ours, or with neither key nor value, which nothing can mend."""
    newest_ms: int = 0
    """When the newest of them was rejected."""

    @property
    def total(self) -> int:
        """Return the number of records."""
        return self.by_topic.total()


async def replay(
    settings: Settings,
    wanted: Filter,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Send dead letters again to the topic they came from: the original key, value and headers.

    The record's timestamp is now; the event keeps its id and its time. The dead letters stay where they are.
    """
    inputs = {settings.topic_prefix + topic.name for topic in INPUTS}
    done = Replayed()
    async with _sender(settings, dry_run=dry_run) as send:
        async for letter in read(settings, wanted):
            if letter.topic not in inputs or (letter.key is None and letter.value is None):
                done.left += 1
                continue
            await send(letter)
            done.by_topic[letter.topic] += 1
            done.by_reason[letter.reason] += 1
            done.newest_ms = max(done.newest_ms, letter.timestamp_ms)
            if progress is not None:
                progress(done.total)
    return done


@asynccontextmanager
async def _sender(settings: Settings, *, dry_run: bool) -> AsyncIterator[Any]:
    """Yield what sends one dead letter again; all are acknowledged when this ends without an error."""
    if dry_run:
        yield _send_nothing
        return
    producer = AIOKafkaProducer(
        **client_options(settings),
        acks="all",
        enable_idempotence=True,
        max_request_size=DEAD_LETTER_MAX_BYTES,
    )
    sending = _Sending(producer)
    try:
        await producer.start()
        yield sending.send
        await sending.settle()
    except KafkaError as error:
        msg = f"the replay stopped after {sending.acknowledged} records: {type(error).__name__}: {error}"
        mend = "mend the broker and replay again: an event that was accepted before counts as a duplicate"
        raise CxError(msg, mend=mend) from error
    finally:
        await producer.stop()


async def _send_nothing(_: DeadLetter) -> None:
    """Take the place of sending in a dry run."""


class _Sending:
    """Sends in batches and counts what the broker has acknowledged."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.acknowledged = 0
        self._producer = producer
        self._waiting: list[Any] = []

    async def send(self, letter: DeadLetter) -> None:
        headers = list(letter.original_headers)
        sent = await self._producer.send(letter.topic, letter.value, letter.key, headers=headers)
        self._waiting.append(sent)
        if len(self._waiting) >= REPLAY_BATCH:
            await self.settle()

    async def settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            await each
            self.acknowledged += 1
