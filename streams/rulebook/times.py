"""Times as tests write them: `12d`, `+3d 2h`, or RFC 3339."""

import re
from datetime import datetime
from typing import Final

from schemas.codec import LATEST_S

_UNITS: Final = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([wdhms])")
_SPAN: Final = re.compile(rf"\s*(?:{_PART.pattern}\s*)+")
HOW: Final = "write a time like 12d 6h (from the start), +2h (from the event before) or 2026-01-31T12:00:00Z"


def seconds_of(text: str) -> float | None:
    """Return a span such as `3d 2h` in seconds; None if `text` is none. Units: w, d, h, m (minutes), s."""
    if not _SPAN.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def parse_moment(text: str, *, start_s: float, before_s: float) -> float:
    """Return a time in seconds since the epoch; raises ValueError, saying how to write one.

    A span counts from `start_s`, one with a leading + from `before_s`, the moment before; anything else
    must be RFC 3339 with an offset.
    """
    relative = text.strip().startswith("+")
    span = seconds_of(text.strip().removeprefix("+"))
    if span is not None:
        found = (before_s if relative else start_s) + span
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(HOW) from error
        if moment.tzinfo is None:
            raise ValueError(HOW)
        found = moment.timestamp()
    if found >= LATEST_S:
        msg = "a time beyond 2199"
        raise ValueError(msg)
    return found


def day_text(at_s: float, start_s: float) -> str:
    """Return a time as tests write it from the start: `345d`, `345d 12h`, `2h 30m`."""
    left = round(at_s - start_s)
    if left < 0:
        return f"{left / _UNITS['d']:.1f}d"
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, int(_UNITS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0d"
