"""Business hours: when so many hours of them have passed since a moment.

Counted are the hours from opening to closing on business days, on the wall clock of the policy's time zone;
a moment outside of them counts from the next opening. Public holidays are not known.
"""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from streams.scoring.policy import PromiseSection

HOUR_S: Final = 3600.0
QUARTER_S: Final = 900.0
MOST_REMEMBERED: Final = 20_000


class BusinessHours:
    """The business hours of one policy. Calendars are slow, so what they said of a day is remembered."""

    def __init__(self, section: PromiseSection) -> None:
        self._zone = ZoneInfo(section.timezone)
        self._days = frozenset(section.business_days)
        self._opens = section.business_from_hour
        self._closes = section.business_to_hour
        self._day_of: dict[int, int] = {}
        """Quarter of an hour since the epoch -> local day: clocks are put forward and back on quarters."""
        self._spans: dict[int, tuple[float, float]] = {}
        """Local day -> opening and closing; both 0 where it is no business day."""

    def due_s(self, from_s: float, hours: float) -> int:
        """Return the time at which `hours` of business have passed since `from_s`, whole seconds."""
        left_s = hours * HOUR_S
        day = self._local_day(from_s)
        while True:
            opens_s, closes_s = self._span(day)
            starts_s = max(from_s, opens_s)
            if closes_s and starts_s + left_s <= closes_s:
                return int(starts_s + left_s)
            left_s -= max(0.0, closes_s - starts_s)
            day += 1

    def _local_day(self, at_s: float) -> int:
        """Return the day of a time on the wall clock, as `date.toordinal` counts."""
        quarter = int(at_s // QUARTER_S)
        day = self._day_of.get(quarter)
        if day is None:
            if len(self._day_of) >= MOST_REMEMBERED:
                self._day_of.clear()
            day = self._day_of[quarter] = datetime.fromtimestamp(at_s, self._zone).toordinal()
        return day

    def _span(self, day: int) -> tuple[float, float]:
        span = self._spans.get(day)
        if span is None:
            if len(self._spans) >= MOST_REMEMBERED:
                self._spans.clear()
            span = self._spans[day] = self._ask(date.fromordinal(day))
        return span

    def _ask(self, day: date) -> tuple[float, float]:
        if day.isoweekday() not in self._days:
            return 0.0, 0.0
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        opens = midnight + timedelta(hours=self._opens)
        closes = midnight + timedelta(hours=self._closes)
        return opens.timestamp(), closes.timestamp()
