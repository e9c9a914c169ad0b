"""Business hours: when so many hours of them have passed since a moment.

Counted are the hours from opening to closing on business days, on the wall clock of the policy's time zone;
a moment outside of them counts from the next opening. Public holidays are not known.
"""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from mypy_extensions import mypyc_attr

from streams.scoring.policy import DAY_S, PromiseSection

HOUR_S: Final = 3600.0
EPOCH: Final = date(1970, 1, 1).toordinal()
MOST_REMEMBERED: Final = 20_000


@mypyc_attr(acyclic=True)
class Day:
    """A day on the wall clock: when it begins, ends, opens and closes; it does not open where that is 0.

    Its number is that of `date.toordinal`.
    """

    __slots__ = ("begins_s", "closes_s", "ends_s", "number", "opens_s")

    def __init__(
        self, number: int, begins_s: float, ends_s: float, opens_s: float = 0.0, closes_s: float = 0.0
    ) -> None:
        self.number = number
        self.begins_s = begins_s
        self.ends_s = ends_s
        self.opens_s = opens_s
        self.closes_s = closes_s


class BusinessHours:
    """The business hours of one policy. Calendars are slow, so what they said of a day is remembered."""

    def __init__(self, section: PromiseSection) -> None:
        self._zone = ZoneInfo(section.timezone)
        self._days = frozenset(section.business_days)
        self._opens = section.business_from_hour
        self._closes = section.business_to_hour
        self._asked: dict[int, Day] = {}
        """By their numbers."""

    def due_s(self, from_s: float, hours: float) -> int:
        """Return the time at which `hours` of business have passed since `from_s`, whole seconds."""
        left_s = hours * HOUR_S
        day = self._day_of(from_s)
        while True:
            starts_s = max(from_s, day.opens_s)
            if day.closes_s and starts_s + left_s <= day.closes_s:
                return int(starts_s + left_s)
            left_s -= max(0.0, day.closes_s - starts_s)
            day = self._day(day.number + 1)

    def _day_of(self, at_s: float) -> Day:
        """Return the day that a time lies in: zones are less than a day from UTC."""
        day = self._day(EPOCH + int(at_s // DAY_S))
        if at_s < day.begins_s:
            return self._day(day.number - 1)
        return day if at_s < day.ends_s else self._day(day.number + 1)

    def _day(self, number: int) -> Day:
        day = self._asked.get(number)
        if day is None:
            if len(self._asked) >= MOST_REMEMBERED:
                self._asked.clear()
            day = self._asked[number] = self._ask(number)
        return day

    def _ask(self, number: int) -> Day:
        midnight = self._midnight(number)
        begins_s, ends_s = midnight.timestamp(), self._midnight(number + 1).timestamp()
        if midnight.isoweekday() not in self._days:
            return Day(number, begins_s, ends_s)
        opens = midnight + timedelta(hours=self._opens)
        closes = midnight + timedelta(hours=self._closes)
        return Day(number, begins_s, ends_s, opens.timestamp(), closes.timestamp())

    def _midnight(self, number: int) -> datetime:
        day = date.fromordinal(number)
        return datetime(day.year, day.month, day.day, tzinfo=self._zone)
