"""Times as numbers, and as outputs write them."""

from datetime import UTC, date, datetime
from typing import Final

_DAY_S: Final = 86400
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT_S: Final = 9_000_000_000
"""Up to here, in the year 2255, a double holds every microsecond since the epoch."""
_MINUTE: Final = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]
_WHOLE: Final = [f"{second:02d}Z" for second in range(60)]
_SECOND: Final = [f"{second:02d}." for second in range(60)]
_MILLI: Final = [f"{milli:03d}" for milli in range(1000)]
_MICRO: Final = [f"{micro:03d}Z" for micro in range(1000)]
_DATES: Final[dict[int, str]] = {}
"""Day since the epoch -> its date, of the days asked for lately: a calendar is slow."""
_MOST_DATES: Final = 4096


def seconds_of(moment: datetime) -> float:
    """Return a moment with an offset in seconds since the epoch: `moment.timestamp()`, to the last bit.

    That takes the long way over integers of any size, on every event.
    """
    since = moment - _EPOCH
    whole = since.days * _DAY_S + since.seconds
    micros = since.microseconds
    if not micros:
        return float(whole)
    if not -_EXACT_S < whole < _EXACT_S:
        return moment.timestamp()
    return (whole * 1e6 + micros) / 1e6


def at_time(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the microsecond: the outputs' form of a time.

    Half a microsecond is rounded to the even one, as `datetime.fromtimestamp` does. Raises ValueError for
    times beyond the year 9999.
    """
    whole = int(seconds // 1.0)
    micros = (seconds - whole) * 1e6
    micro = int(micros)
    rest = micros - micro
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


def _date(day: int) -> str:
    found = _DATES.get(day)
    if found is None:
        if len(_DATES) >= _MOST_DATES:
            _DATES.clear()
        found = _DATES[day] = date.fromordinal(day + _EPOCH_DAY).isoformat()
    return found
