"""Quiet hours: the time of day, where the customer lives, in which nobody is to be told."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` of each day, over midnight where `end` is the earlier one."""

    start: time
    end: time
    zone: ZoneInfo
    """Of customers of whom no zone is known."""
    passes: frozenset[str] = frozenset()
    """Severities that are told at any time."""

    def until_s(self, now_s: float, timezone: str | None, severity: str) -> float | None:
        """Return when the quiet that reigns at `now_s` ends (both seconds); None where there is none."""
        if severity in self.passes:
            return None
        zone = zone_of(timezone) or self.zone
        here = datetime.fromtimestamp(now_s, zone)
        clock = here.time()
        over_midnight = self.end <= self.start
        if over_midnight and clock >= self.start:
            day = here + DAY
        elif (over_midnight or clock >= self.start) and clock < self.end:
            day = here
        else:
            return None
        ends_s = datetime.combine(day.date(), self.end, zone).timestamp()
        # In the hour that a change of the clock repeats, the quiet has ended the first time.
        return ends_s if ends_s > now_s else None

    @property
    def length_s(self) -> float:
        """Return how long it is quiet, seconds, on a day without a change of the clock."""
        start, end = (datetime.combine(date.min, each) for each in (self.start, self.end))
        return ((end - start) % DAY).total_seconds()


def zone_of(name: str | None) -> ZoneInfo | None:
    """Return a zone by its IANA name, None for no name or one that nobody knows."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
