"""The rings of a row: what is known again, what is pushed out, and what is no ring."""

import pytest

from streams.errors import CxError
from streams.scoring.rings import NO_RINGS, RING_IDS, packed_rings, remembered, rings_of
from streams.scoring.rows import pack, unpack
from streams.scoring.state import VERSION, CustomerState


def test_ids_are_found_whole():
    """Bytes that two neighbouring ids have in common by chance are no repeat."""
    rings = packed_rings({0: b"abcdefghijkl"})

    assert rings_of(remembered(rings, 0, b"defghi")) == {0: b"abcdefghijkldefghi"}
    assert remembered(rings, 0, b"ghijkl") is None


def test_ids_are_told_apart_by_every_byte():
    """An id that has one other byte than a known one is another, wherever that byte stands."""
    for known in (b"\x00" * 6, b"\xff" * 6):
        rings = packed_rings({3: known})
        for place in range(6):
            other = bytearray(known)
            other[place] ^= 0x80
            assert remembered(rings, 3, bytes(other))


def test_a_ring_is_in_its_place():
    """Rings keep their order, and an event goes into the one of its topic alone."""
    rings = NO_RINGS
    for topic, event in ((4, b"first."), (0, b"second"), (4, b"third."), (9, b"fourth"), (0, b"fifth.")):
        rings = remembered(rings, topic, event)

    assert list(rings_of(rings).items()) == [(4, b"first.third."), (0, b"secondfifth."), (9, b"fourth")]
    assert packed_rings(rings_of(rings)) == rings


def test_the_oldest_of_a_full_ring_goes():
    """Of a topic the newest ids stay, and those of its neighbours with them."""
    ids = [b"%06d" % number for number in range(RING_IDS + 1)]
    rings = packed_rings({1: b"before", 2: b"".join(ids[:-1]), 3: b"behind"})

    assert rings_of(remembered(rings, 2, ids[-1])) == {1: b"before", 2: b"".join(ids[1:]), 3: b"behind"}


@pytest.mark.parametrize("rings", [{0: b"five."}, {253: b"sixsix"}, {0: bytes(6 * 43)}, {-1: b"sixsix"}])
def test_rings_that_no_row_can_have(rings: dict[int, bytes]):
    """Rings of an earlier row that this version could not read again are refused."""
    with pytest.raises(ValueError, match=r"a ring of|none of a byte|range"):
        packed_rings(rings)


@pytest.mark.parametrize(
    "damage", [b"\x01\x00\x05", b"\x01\x00\xff", b"\x01\xfd\x06", b"\xff", b"\x01\x00\x0c"]
)
def test_what_is_no_ring_is_damage(damage: bytes):
    """A ring of half an id, or with numbers that no ring has, is refused with the row."""
    state = CustomerState(VERSION, 0, 0.0, 0.0)
    state.packed_rings = damage + b"sixsix"

    with pytest.raises(CxError, match="damaged"):
        unpack(pack(state))
