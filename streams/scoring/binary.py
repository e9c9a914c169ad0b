"""Numbers, texts and bytes one after the other: what a row is made of.

Compiled, numbers go into the bytes and come out of them without becoming Python objects in between.
"""

from typing import Final

from librt.strings import (
    BytesWriter,
    read_f64_le,
    read_i16_le,
    read_i32_le,
    read_i64_le,
    write_f64_le,
    write_i16_le,
    write_i32_le,
    write_i64_le,
)
from mypy_extensions import i16, i32, i64, mypyc_attr

# The first byte of a whole number: itself if it is below, else how many bytes follow.
_TWO: Final = 0xFD
_FOUR: Final = 0xFE
_EIGHT: Final = 0xFF
_I16: Final = 1 << 15
_I32: Final = 1 << 31
_I64: Final = 1 << 63
_BITS: Final = 1 << 64
_LOW: Final = (1 << 32) - 1
_MOST: Final = 1e90
"""No number of a row is as large: from there on products would leave what a float can hold."""


def put_whole(to: BytesWriter, number: int) -> None:
    """Add a signed whole number in 1, 3, 5 or 9 bytes; raises ValueError or OverflowError beyond 64 bits."""
    if 0 <= number < _TWO:
        to.append(number)
    elif -_I16 <= number < _I16:
        to.append(_TWO)
        write_i16_le(to, number)
    elif -_I32 <= number < _I32:
        to.append(_FOUR)
        write_i32_le(to, number)
    else:
        to.append(_EIGHT)
        write_i64_le(to, number)


def put_bits(to: BytesWriter, bits: int) -> None:
    """Add a number of 0 to 2 ** 64 - 1, in 8 bytes."""
    write_i64_le(to, bits if bits < _I64 else bits - _BITS)


def put_bytes(to: BytesWriter, data: bytes) -> None:
    """Add bytes, after their length."""
    put_whole(to, len(data))
    to.write(data)


def put_text(to: BytesWriter, text: str) -> None:
    """Add a text, as UTF-8."""
    if text:
        put_bytes(to, text.encode())
    else:
        to.append(0)


def put_six(to: BytesWriter, number: i64) -> None:
    """Add six bytes that are held as a number (see `six_of`)."""
    low = number & _LOW
    write_i32_le(to, i32(low if low < _I32 else low - _LOW - 1))
    write_i16_le(to, i16(number >> 32))


def six_of(data: bytes, place: i64) -> i64:
    """Return six bytes as a signed number, the lowest byte first."""
    return i64(read_i16_le(data, place + 4)) << 32 | i64(read_i32_le(data, place)) & _LOW


def put_optional(to: BytesWriter, number: float | None) -> None:
    """Add a number, or that there is none."""
    if number is None:
        to.append(0)
    else:
        to.append(1)
        write_f64_le(to, number)


# Compiled, the one that was freed last is used again: mostly there is one at a time.
@mypyc_attr(acyclic=True, free_list_len=1)
class Reader:
    """Takes out of bytes what was put into them, in the same order.

    Raises IndexError where they end too early and ValueError where a text or a number is none.
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes, place: i64 = 0) -> None:
        self._data = data
        self._at = place

    def whole(self) -> int:
        """Return the next whole number."""
        data, at = self._data, self._at
        first = data[at]
        if first < _TWO:
            self._at = at + 1
            return first
        if first == _TWO:
            self._at = at + 3
            return read_i16_le(data, at + 1)
        if first == _FOUR:
            self._at = at + 5
            return read_i32_le(data, at + 1)
        self._at = at + 9
        return read_i64_le(data, at + 1)

    def eight_bits(self) -> int:
        """Return the next byte."""
        at = self._at
        self._at = at + 1
        return self._data[at]

    def sixty_four_bits(self) -> int:
        """Return the next 64 bits as a number that is not negative."""
        at = self._at
        self._at = at + 8
        bits: int = read_i64_le(self._data, at)
        return bits if bits >= 0 else bits + _BITS

    def short(self) -> i64:
        """Return the next whole number, one of a byte; raises ValueError where it is none."""
        at = self._at
        self._at = at + 1
        number: i64 = self._data[at]
        if number >= _TWO:
            msg = f"a number of {number} is none of a byte"
            raise ValueError(msg)
        return number

    def number(self) -> float:
        """Return the next number."""
        at = self._at
        self._at = at + 8
        number = read_f64_le(self._data, at)
        if not -_MOST < number < _MOST:
            msg = f"a number of {number} is none of a row"
            raise ValueError(msg)
        return number

    def optional(self) -> float | None:
        """Return the next number, None if there is none."""
        return self.number() if self.whole() else None

    def data(self) -> bytes:
        """Return the next bytes."""
        length = self.whole()
        if not length:
            return b""
        at = self._at
        self.skip(length)
        return self._data[at : self._at]

    def passes_nothing(self, count: i64) -> bool:
        """Leave out the next `count` whole numbers if all of them are 0; tell whether they are."""
        data, at = self._data, self._at
        for place in range(at, at + count):
            if data[place]:
                return False
        self._at = at + count
        return True

    def skip(self, length: i64) -> None:
        """Leave out so many bytes."""
        at = self._at
        if length < 0 or length > len(self._data) - at:
            msg = f"{length} bytes at {at} of {len(self._data)}"
            raise IndexError(msg)
        self._at = at + length

    def skip_data(self) -> None:
        """Leave out bytes that came after their length."""
        self.skip(self.whole())

    def text(self) -> str:
        """Return the next text."""
        if self._data[self._at] == 0:
            self._at += 1
            return ""
        return self.data().decode()

    def six(self) -> i64:
        """Return six bytes as a number (see `six_of`)."""
        at = self._at
        self._at = at + 6
        return six_of(self._data, at)

    def next_is(self, byte: int) -> bool:
        """Tell what byte comes next."""
        return self._data[self._at] == byte

    def since(self, place: i64) -> bytes:
        """Return the bytes that were taken since `place`."""
        return self._data[place : self._at]

    def place(self) -> i64:
        """Return how much was taken."""
        return self._at

    def turn_to(self, place: i64) -> None:
        """Go on from a place; raises IndexError where that is before all bytes."""
        if place < 0:
            raise IndexError
        self._at = place

    def is_at_end(self) -> bool:
        """Tell whether everything was taken."""
        return self._at == len(self._data)


def pairs_of(data: bytes, place: i64, end: i64) -> dict[int, int]:
    """Return the pairs of whole numbers from `place` to `end`.

    Raises IndexError where the bytes end within one.
    """
    found, pairs = Reader(data, place), dict[int, int]()
    while found.place() < end:
        key = found.whole()
        pairs[key] = found.whole()
    if found.place() > end:
        raise IndexError
    return pairs


def value_of(data: bytes, place: i64, end: i64, key: int) -> int:
    """Return the value of a key among the pairs of whole numbers from `place` to `end`, 0 for none.

    Raises IndexError where the bytes end within one.
    """
    found = Reader(data, place)
    while found.place() < end:
        each = found.whole()
        value = found.whole()
        if found.place() > end:
            raise IndexError
        if each == key:
            return value
    return 0
