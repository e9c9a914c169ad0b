"""The newest state-changing events of each source topic: by them a row knows an event again.

They stay the bytes that a row has of them, all numbers of one byte: how many topics, and of each its number,
the length of its ring, and the hashes in it of 6 bytes each, the oldest first.
"""

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64

from streams.scoring.binary import Reader, six_of

RING_IDS: Final = 8
ID_BYTES: Final = 6
RING_BYTES: Final = RING_IDS * ID_BYTES
NO_RINGS: Final = b"\0"
_HEAD: Final = 2  # bytes of a topic before its ring


def remembered(rings: bytes, topic: i64, event: bytes) -> bytes | None:
    """Return the rings with an event entered in the one of its topic; None if it is there already."""
    place: i64 = 1
    for _number in range(rings[0]):  # compiled, `_` would be an object each time
        begin = place + _HEAD
        end = begin + rings[place + 1]
        if rings[place] == topic:
            return None if _holds(rings, begin, end, event) else _entered(rings, begin, end, event)
        place = end
    to = BytesWriter()
    to.write(rings)
    to[0] = rings[0] + 1
    to.append(topic)
    to.append(ID_BYTES)
    to.write(event)
    return to.getvalue()


def _holds(rings: bytes, begin: i64, end: i64, event: bytes) -> bool:
    sought = six_of(event, 0)
    while begin < end:
        if six_of(rings, begin) == sought:
            return True
        begin += ID_BYTES
    return False


def _entered(rings: bytes, begin: i64, end: i64, event: bytes) -> bytes:
    to = BytesWriter()
    if end - begin < RING_BYTES:
        to.write(rings[:end])
        length: int = end - begin + ID_BYTES
        to[begin - 1] = length
    else:
        to.write(rings[:begin])
        to.write(rings[begin + ID_BYTES : end])
    to.write(event)
    if end < len(rings):
        to.write(rings[end:])
    return to.getvalue()


def take_rings(found: Reader) -> bytes:
    """Return the rings that come next in a row."""
    begun = found.place()
    for _number in range(found.short()):
        found.short()
        length = found.short()
        if length % ID_BYTES:
            msg = f"a ring of {length} bytes"
            raise ValueError(msg)
        found.skip(length)
    return found.since(begun)


def rings_of(rings: bytes) -> dict[int, bytes]:
    """Return the ring of each topic."""
    found = Reader(rings)
    return {found.short(): found.data() for _ in range(found.short())}


def packed_rings(rings: dict[int, bytes]) -> bytes:
    """Return the rings of some topics; raises ValueError where they are none."""
    parts = [bytes((topic, len(ring))) + ring for topic, ring in rings.items()]
    return take_rings(Reader(bytes((len(rings),)) + b"".join(parts)))
