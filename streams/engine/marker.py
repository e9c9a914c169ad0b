"""The marker: the one row of a state partition that says how far its inputs are applied.

It travels in the transaction of the rows it speaks of, so that rows, counts and positions are never apart.
Recovery seeks every input to it; nothing else decides a position.
"""

import math
import secrets
import zlib
from collections.abc import Mapping

import msgspec

from streams.engine.errors import Inconsistent
from streams.engine.handler import Bucket, Counts, Record

MARKER_KEY = b"\x00cx-marker"
"""Reserved key of the changelog: the handler rejects an input that has it."""
VERSION = 2
READS = (1, 2)
"""Version 1 had neither tokens nor rebuilds."""
NO_TIME = -math.inf


class Fingerprint(msgspec.Struct, array_like=True, frozen=True):
    """The last record applied from an input: tells a topic from its successor of the same name."""

    offset: int
    timestamp_ms: int
    crc: int


class Position(msgspec.Struct, array_like=True, frozen=True):
    """How far an input is applied.

    `next_offset - origin` is the number of offsets moved so far; `origin` is the first offset ever applied,
    shifted where a person moved the position of a topic that was made anew.
    """

    next_offset: int
    origin: int
    topic_id: str = ""
    """The broker's id of the topic, in hex; empty where the broker knows none."""
    newest_event_s: float = NO_TIME
    """Newest event time applied from this input, seconds since the epoch."""
    last: Fingerprint | None = None

    @property
    def moved(self) -> int:
        """Return the number of offsets moved."""
        return self.next_offset - self.origin

    @property
    def last_record_s(self) -> float:
        """Return the timestamp of the last record applied, seconds since the epoch."""
        return self.last.timestamp_ms / 1000 if self.last else NO_TIME

    def moved_to(self, next_offset: int, topic_id: str) -> "Position":
        """Return the position at `next_offset` of a topic made anew; what was moved stays counted."""
        return msgspec.structs.replace(
            self, next_offset=next_offset, origin=next_offset - self.moved, topic_id=topic_id, last=None
        )


class Rebuild(msgspec.Struct, array_like=True, frozen=True):
    """A replay of the inputs into a clean table, and how far this partition is with it."""

    id: str
    phase: str
    """`clearing` the old rows, `replaying` the inputs, or `done`."""


class Marker(msgspec.Struct, array_like=True, frozen=True):
    """Where a state partition stands. Immutable: a transaction makes a new one."""

    version: int
    generation: str
    """Random id made with the changelog partition; part of every alert id."""
    inputs: dict[str, Position]
    counts: Counts
    transactions: int
    tokens: dict[str, Bucket] = {}
    """Token buckets of the handler, by its own names."""
    rebuild: Rebuild | None = None
    """The last rebuild; one that is not done makes every worker leave the partition alone."""

    def check(self) -> None:
        """Raise `Inconsistent` unless every offset moved has exactly one outcome."""
        moved = 0
        for position in self.inputs.values():  # a sum of their `moved` costs twice as much, at every commit
            moved += position.next_offset - position.origin
        if moved != self.counts.total():
            msg = f"{moved} offsets moved, but {self.counts.total()} outcomes counted: {self.counts}"
            raise Inconsistent(msg)

    @property
    def newest_event_s(self) -> float:
        """Return the newest event time applied from any input."""
        return max((position.newest_event_s for position in self.inputs.values()), default=NO_TIME)

    @property
    def under_rebuild(self) -> bool:
        """Tell whether the rows are those of a rebuild that was begun and not ended."""
        return self.rebuild is not None and self.rebuild.phase != "done"

    def encode(self) -> bytes:
        """Return the marker as the changelog carries it."""
        return msgspec.msgpack.encode(self)

    def replaced(self, topic: str, position: Position, *, skipped: int = 0) -> "Marker":
        """Return the marker with another position of `topic` and `skipped` more offsets counted."""
        return msgspec.structs.replace(
            self,
            inputs={**self.inputs, topic: position},
            counts=self.counts.plus(Counts(skipped=skipped)),
            transactions=self.transactions + 1,
        )


def new_marker(starts: Mapping[str, int], topic_ids: Mapping[str, str] | None = None) -> Marker:
    """Return the marker of a state partition that nothing was applied to yet."""
    ids = topic_ids or {}
    inputs = {topic: Position(start, start, ids.get(topic, "")) for topic, start in starts.items()}
    return Marker(VERSION, secrets.token_hex(8), inputs, Counts(), 0)


def decode_marker(data: bytes) -> Marker:
    """Return the marker that `encode` wrote; raises `Inconsistent` for one of an unknown version."""
    marker = _DECODER.decode(data)
    if marker.version not in READS:
        msg = f"the marker has version {marker.version}; this program reads up to version {VERSION}"
        raise Inconsistent(msg)
    return msgspec.structs.replace(marker, version=VERSION)


def fingerprint(record: Record) -> Fingerprint:
    """Return what identifies `record`."""
    crc = zlib.crc32(record.value or b"", zlib.crc32(record.key or b""))
    return Fingerprint(record.offset, record.timestamp, crc)


_DECODER = msgspec.msgpack.Decoder(Marker)
