"""Times as numbers, and as outputs write them."""

from datetime import datetime
from typing import Final

import msgspec
from librt.strings import BytesWriter, read_i32_be, read_i64_be, write_i64_le
from mypy_extensions import i64

_DAY_S: Final = 86400
_stamped: Final = msgspec.msgpack.Encoder().encode
_WHOLE_BYTES: Final = 6
_SPLIT_BYTES: Final = 10
_SECOND_BITS: Final = 34
_SECONDS: Final = (1 << _SECOND_BITS) - 1
_NANOS: Final = (1 << 30) - 1
_HALF: Final = (1 << 32) - 1
_EXACT_S: Final = 9_000_000_000
"""Up to here, in the year 2255, a double holds every microsecond since the epoch."""
_FIRST_S: Final = -62_135_596_800.0
_END_S: Final = 253_402_300_800.0
"""The years 1 to 9999, of which a calendar knows."""
# Eight letters as a number, the first in its lowest byte: literals, for compiled code must look up the rest.
_DATE: Final = 0x2D00002D00000000  # ____-__-
_MINUTE: Final = 0x00003A0000540000  # __T__:__
_WHOLE: Final = 0x000000005A00003A  # :__Z
_SECOND: Final = 0x000000002E00003A  # :__.____
_MICRO: Final = 0x00000000005A0000  # __Z
_BEHIND_WHOLE: Final = 4  # letters of its word
_BEHIND_MICRO: Final = 5


def seconds_of(moment: datetime) -> float:
    """Return a moment with an offset in seconds since the epoch: `moment.timestamp()`, to the last bit.

    An offset can put it outside the years 1 to 9999 of UTC, where no output could name it: it is moved to
    their first or last second.

    `timestamp` takes the long way over integers of any size, on every event. A timestamp of MessagePack has
    the same numbers in a row: behind two bytes 32 bits of seconds, or 34 of them below 30 of nanoseconds.
    """
    try:
        stamp = _stamped(moment)
    except OverflowError:  # in UTC it is outside of every calendar
        return _within_calendar(moment)
    if len(stamp) == _WHOLE_BYTES:
        return float(i64(read_i32_be(stamp, 2)) & _HALF)
    if len(stamp) != _SPLIT_BYTES:  # before 1970, or far ahead
        return _within_calendar(moment)
    packed = read_i64_be(stamp, 2)
    whole = packed & _SECONDS
    if whole >= _EXACT_S:
        return _within_calendar(moment)
    micros = ((packed >> _SECOND_BITS) & _NANOS) // 1000
    return (float(whole) * 1e6 + float(micros)) / 1e6


def _within_calendar(moment: datetime) -> float:
    return min(max(moment.timestamp(), _FIRST_S), _END_S - 1.0)


def at_time(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the microsecond: the outputs' form of a time.

    Half a microsecond is rounded to the even one, as `datetime.fromtimestamp` does. Raises ValueError for
    times before the year 1 or beyond the year 9999.
    """
    written = BytesWriter()
    write_time(written, seconds)
    return written.getvalue().decode()


def write_time(written: BytesWriter, seconds: float) -> None:
    """Write `at_time`, eight letters at once."""
    if not _FIRST_S <= seconds < _END_S:
        msg = f"{seconds} seconds since 1970 lie before the year 1 or beyond the year 9999"
        raise ValueError(msg)
    whole: i64 = int(seconds)
    if float(whole) > seconds:  # before the epoch
        whole -= 1
    micros = (seconds - float(whole)) * 1e6
    micro: i64 = int(micros)
    rest = micros - float(micro)
    if rest > 0.5 or (rest == 0.5 and micro & 1):  # noqa: PLR2004  # a half
        micro += 1
    if micro == 1_000_000:  # noqa: PLR2004  # a second
        micro, whole = 0, whole + 1
    day = whole // _DAY_S
    second = whole - day * _DAY_S
    minute = second // 60
    hour = minute // 60
    _write_date(written, day, _MINUTE | _two(hour) << 24 | _two(minute - hour * 60) << 48)
    letters = _two(second - minute * 60) << 8
    if not micro:
        write_i64_le(written, letters | _WHOLE)
        written.truncate(len(written) - _BEHIND_WHOLE)
        return
    most = micro // 100
    upper = most // 100
    write_i64_le(written, letters | _SECOND | _two(upper) << 32 | _two(most - upper * 100) << 48)
    write_i64_le(written, _two(micro - most * 100) | _MICRO)
    written.truncate(len(written) - _BEHIND_MICRO)


def _write_date(written: BytesWriter, day: i64, rest: i64) -> None:
    """Write the date of a day since 1970 and what comes behind it, as its last six letters.

    Years begin in March, so that the leap day is the last of one; the first of them is 400 years of 146,097
    days before the year 1 or more (Hinnant, days_from_civil).
    """
    shifted = day + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    of_years = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * of_years + of_years // 4 - of_years // 100)
    month = (5 * of_year + 2) // 153
    date = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9  # noqa: PLR2004  # January is the eleventh, behind March
    year = of_years + era * 400 + (month <= 2)  # noqa: PLR2004  # and February the twelfth
    century = year // 100
    write_i64_le(written, _DATE | _two(century) | _two(year - century * 100) << 16 | _two(month) << 40)
    write_i64_le(written, _two(date) | rest)


def _two(number: i64) -> i64:
    """Return a number below 100 as two letters, the first of them in the lower byte."""
    tens = number // 10
    return 0x3030 | tens | (number - tens * 10) << 8
