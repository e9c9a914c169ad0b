"""Bulk reading of the changelog: rows stay bytes, nothing is decoded but the marker."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from aiokafka import TopicPartition

from streams.engine.cluster import bounds
from streams.engine.errors import Inconsistent
from streams.engine.marker import MARKER_KEY, Marker, decode_marker
from streams.engine.settings import RETRY_LIMIT_S
from streams.engine.stats import Stats

POLL_MS = 200
STALLED_S = RETRY_LIMIT_S
"""So long nothing may come of what is there to be read."""


@dataclass(slots=True)
class Loaded:
    """What the changelog of one state partition says."""

    rows: dict[bytes, bytes] = field(default_factory=dict)
    marker: Marker | None = None


async def read_changelog(
    consumer: Any, changelog: str, partitions: Collection[int], stats: Stats | None = None
) -> dict[int, Loaded]:
    """Return the rows and marker of each partition; `consumer` is a `reader`, `stats` those of a recovery.

    Raises `Inconsistent` where there are rows without a marker: they were not written by this engine.
    """
    found = await read_newest(consumer, changelog, partitions, stats)
    for number, loaded in found.items():
        find_marker(f"{changelog}[{number}]", loaded)
    return found


async def read_newest(
    consumer: Any, topic: str, partitions: Collection[int], stats: Stats | None = None
) -> dict[int, Loaded]:
    """Return the newest value of each key of a compacted topic, by partition; tombstoned keys are gone.

    What was read, and how much is left, is noted in `stats` on the way.
    """
    stats = Stats() if stats is None else stats
    found = {TopicPartition(topic, number): Loaded() for number in partitions}
    consumer.assign(list(found))
    begin, end = await bounds(consumer, list(found))
    for tp in found:
        consumer.seek(tp, begin[tp])
    headway = Headway(topic)
    left = {tp for tp in found if end[tp] > begin[tp]}
    stats.recovery_left = sum(end[tp] - begin[tp] for tp in left)
    while left:
        for tp, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
            take(found[tp], records)
            stats.recovery_rows += len(records)
        owed = 0
        for tp in list(left):
            # The position passes commit markers, which no record shows.
            if (position := await consumer.position(tp)) >= end[tp]:
                left.discard(tp)
                consumer.pause(tp)
            else:
                owed += end[tp] - position
        stats.recovery_left = owed
        headway.look(owed)
        await asyncio.sleep(0)
    return {tp.partition: loaded for tp, loaded in found.items()}


class Headway:
    """Ends a reading of which nothing comes any more: a client asks brokers that do not answer for ever."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._left = -1
        self._since_s = monotonic()

    def look(self, left: int) -> None:
        """Hear how many offsets are left; raises `TimeoutError` where that has stood for `STALLED_S`."""
        now_s = monotonic()
        if left != self._left:
            self._left, self._since_s = left, now_s
        elif now_s - self._since_s > STALLED_S:
            msg = f"the brokers gave nothing of {self._what} for {STALLED_S:g} s, with {left:,} offsets to go"
            raise TimeoutError(msg)


def take(loaded: Loaded, records: Collection[Any]) -> None:
    """Replay changelog records, tombstones too."""
    rows = loaded.rows
    for record in records:
        if record.value is None:
            rows.pop(record.key, None)
        else:
            rows[record.key] = record.value


def find_marker(where: str, loaded: Loaded) -> None:
    """Take the marker out of the rows; raises `Inconsistent` for rows without one."""
    data = loaded.rows.pop(MARKER_KEY, None)
    if data is not None:
        loaded.marker = decode_marker(data)
    elif loaded.rows:
        msg = f"{where} holds rows without a marker: it was not written by this engine"
        raise Inconsistent(msg)
