"""Business hours: when so many hours of them have passed since a moment.

Counted are the hours from opening to closing on business days, on the wall clock of the policy's time zone;
a moment outside of them counts from the next opening. Public holidays are not known.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from streams.scoring.policy import PromiseSection

HOUR_S = 3600.0


class BusinessHours:
    """The business hours of one policy."""

    def __init__(self, section: PromiseSection) -> None:
        self._zone = ZoneInfo(section.timezone)
        self._days = frozenset(section.business_days)
        self._opens = section.business_from_hour
        self._closes = section.business_to_hour

    def due_s(self, from_s: float, hours: float) -> int:
        """Return the time at which `hours` of business have passed since `from_s`, whole seconds."""
        left_s = hours * HOUR_S
        day = datetime.fromtimestamp(from_s, self._zone).date()
        while True:
            if day.isoweekday() in self._days:
                midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
                opens_s = (midnight + timedelta(hours=self._opens)).astimezone(UTC).timestamp()
                closes_s = (midnight + timedelta(hours=self._closes)).astimezone(UTC).timestamp()
                starts_s = max(from_s, opens_s)
                if starts_s + left_s <= closes_s:
                    return int(starts_s + left_s)
                left_s -= max(0.0, closes_s - starts_s)
            day += timedelta(days=1)
