"""Times as numbers, and as outputs write them."""

from datetime import date, datetime
from typing import Final

import msgspec
from librt.strings import read_i32_be, read_i64_be
from mypy_extensions import i64

_DAY_S: Final = 86400
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_stamped: Final = msgspec.msgpack.Encoder().encode
_WHOLE_BYTES: Final = 6
_SPLIT_BYTES: Final = 10
_SECOND_BITS: Final = 34
_SECONDS: Final = (1 << _SECOND_BITS) - 1
_NANOS: Final = (1 << 30) - 1
_HALF: Final = (1 << 32) - 1
_EXACT_S: Final = 9_000_000_000
"""Up to here, in the year 2255, a double holds every microsecond since the epoch."""
_MINUTE: Final = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]
_WHOLE: Final = [f"{second:02d}Z" for second in range(60)]
_SECOND: Final = [f"{second:02d}." for second in range(60)]
_MILLI: Final = [f"{milli:03d}" for milli in range(1000)]
_MICRO: Final = [f"{micro:03d}Z" for micro in range(1000)]
_PLACES: Final = 4096
_DAYS: Final = [place + 1 for place in range(_PLACES)]  # none is of its place yet
_DATES: Final = [""] * _PLACES
"""The dates of the days asked for lately, each at the place of its day (`_DAYS`): a calendar is slow."""


def seconds_of(moment: datetime) -> float:
    """Return a moment with an offset in seconds since the epoch: `moment.timestamp()`, to the last bit.

    That takes the long way over integers of any size, on every event. A timestamp of MessagePack has the same
    numbers in a row: behind two bytes 32 bits of seconds, or 34 of them below 30 of nanoseconds.
    """
    stamp = _stamped(moment)
    if len(stamp) == _WHOLE_BYTES:
        return float(i64(read_i32_be(stamp, 2)) & _HALF)
    if len(stamp) != _SPLIT_BYTES:  # before 1970, or far ahead
        return moment.timestamp()
    packed = read_i64_be(stamp, 2)
    whole = packed & _SECONDS
    if whole >= _EXACT_S:
        return moment.timestamp()
    micros = ((packed >> _SECOND_BITS) & _NANOS) // 1000
    return (float(whole) * 1e6 + float(micros)) / 1e6


def at_time(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the microsecond: the outputs' form of a time.

    Half a microsecond is rounded to the even one, as `datetime.fromtimestamp` does. Raises ValueError for
    times beyond the year 9999.
    """
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
    second -= minute * 60
    if not micro:
        return f"{_date(day)}{_MINUTE[minute]}{_WHOLE[second]}"
    milli = micro // 1000
    below = micro - milli * 1000
    return f"{_date(day)}{_MINUTE[minute]}{_SECOND[second]}{_MILLI[milli]}{_MICRO[below]}"


def _date(day: i64) -> str:
    place = day % _PLACES
    if _DAYS[place] != day:
        _DATES[place] = date.fromordinal(day + _EPOCH_DAY).isoformat()
        _DAYS[place] = day
    return _DATES[place]
