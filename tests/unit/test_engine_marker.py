"""The marker: what it remembers, and that it cannot lie about counts."""

import math

import msgspec
import pytest

from streams.engine.errors import Inconsistent
from streams.engine.handler import Counts
from streams.engine.marker import (
    VERSION,
    Fingerprint,
    Marker,
    Position,
    decode_marker,
    fingerprint,
    new_marker,
)
from streams.engine.memory import MemoryRecord


def marker(**inputs: Position) -> Marker:
    """Return a marker whose counts fit its positions."""
    moved = sum(position.moved for position in inputs.values())
    return Marker(VERSION, "g", inputs, Counts(accepted=moved), 4)


def test_a_marker_survives_the_changelog() -> None:
    """Everything is read back as it was written, -inf too."""
    made = marker(web=Position(9, 4, "ab", 12.5, Fingerprint(8, 1000, 7)), store=Position(0, 0))
    assert decode_marker(made.encode()) == made


def test_each_changelog_partition_has_its_own_generation() -> None:
    """Alert ids of a table made anew never equal those of the old one."""
    assert new_marker({"web": 0}).generation != new_marker({"web": 0}).generation


def test_a_new_marker_starts_where_it_is_told() -> None:
    """Nothing is counted as moved that was never there."""
    made = new_marker({"web": 100}, {"web": "id"})
    made.check()
    assert made.inputs == {"web": Position(100, 100, "id")}
    assert made.newest_event_s == -math.inf


def test_a_marker_of_another_version_is_refused() -> None:
    """An older program does not misread a newer state."""
    data = msgspec.msgpack.encode((VERSION + 1, "g", {}, Counts(), 0))
    with pytest.raises(Inconsistent, match=f"version {VERSION + 1}"):
        decode_marker(data)


def test_a_marker_without_tokens_is_read_on() -> None:
    """What an earlier release wrote is not lost: version 1 is read, and written as version 2."""
    data = msgspec.msgpack.encode((1, "g", {"web": Position(3, 0)}, Counts(accepted=3), 2))
    assert decode_marker(data) == Marker(VERSION, "g", {"web": Position(3, 0)}, Counts(accepted=3), 2)


def test_counts_that_do_not_fit_are_found() -> None:
    """One offset without an outcome is enough."""
    wrong = msgspec.structs.replace(marker(web=Position(5, 0)), counts=Counts(accepted=4))
    with pytest.raises(Inconsistent, match="5 offsets moved, but 4"):
        wrong.check()


def test_a_topic_made_anew_keeps_what_was_counted() -> None:
    """The position starts again, the number of offsets moved does not."""
    moved = Position(500, 20, "old", 9.0, Fingerprint(499, 1, 1)).moved_to(0, "new")
    assert (moved.next_offset, moved.moved, moved.topic_id, moved.last) == (0, 480, "new", None)


def test_skipped_records_are_counted_when_a_position_is_adopted() -> None:
    """A loss that a person accepted stays visible in the counts."""
    made = marker(web=Position(5, 0))
    adopted = made.replaced("web", Position(15, 0), skipped=10)
    adopted.check()
    assert (adopted.counts.skipped, adopted.transactions) == (10, made.transactions + 1)


def test_the_last_record_gives_the_record_time() -> None:
    """Seconds, and -inf before the first."""
    assert Position(1, 0, last=Fingerprint(0, 2500, 0)).last_record_s == 2.5
    assert Position(0, 0).last_record_s == -math.inf


@pytest.mark.parametrize("other", [(b"k", b"other"), (b"other", b"v"), (None, b"v"), (b"k", None)])
def test_a_fingerprint_tells_records_apart(other: tuple[bytes | None, bytes | None]) -> None:
    """Key and value both matter; so does where the record lies."""
    seen = fingerprint(MemoryRecord(b"k", b"v", (), 3, 10))
    assert seen == Fingerprint(3, 10, seen.crc)
    assert seen.crc != fingerprint(MemoryRecord(*other, (), 3, 10)).crc
