"""Business hours: only they count towards a first reply."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from streams.scoring import hours
from streams.scoring.hours import BusinessHours
from tests.customers import scorer

CASES = [
    ("Monday morning", "2026-03-02T09:30:00Z", "UTC", 4, "2026-03-02T13:30:00Z"),
    ("exactly at closing", "2026-03-02T13:00:00Z", "UTC", 4, "2026-03-02T17:00:00Z"),
    ("over the night", "2026-03-02T15:00:00Z", "UTC", 4, "2026-03-03T11:00:00Z"),
    ("before opening", "2026-03-02T03:00:00Z", "UTC", 4, "2026-03-02T13:00:00Z"),
    ("after closing on Friday", "2026-03-06T18:00:00Z", "UTC", 4, "2026-03-09T13:00:00Z"),
    ("over the weekend", "2026-03-06T16:00:00Z", "UTC", 4, "2026-03-09T12:00:00Z"),
    ("in another zone", "2026-03-02T15:00:00Z", "America/New_York", 4, "2026-03-02T19:00:00Z"),
    ("over a change of clocks", "2026-03-27T16:00:00Z", "Europe/Berlin", 1, "2026-03-30T08:00:00Z"),
    ("several days of work", "2026-03-02T09:00:00Z", "UTC", 20, "2026-03-04T13:00:00Z"),
]


@pytest.mark.parametrize(
    ("opened", "zone", "hours", "due"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_due(opened: str, zone: str, hours: float, due: str):
    """Hours run from opening to closing on business days, on the wall clock of the policy's zone."""
    section = scorer(promises={"timezone": zone}).policy.promises
    found = BusinessHours(section).due_s(datetime.fromisoformat(opened).timestamp(), hours)

    assert found == datetime.fromisoformat(due).timestamp()


@pytest.mark.sources
def test_what_calendars_said_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch):
    """However many days are asked for, only some are remembered, and the answers stay the same."""
    section = scorer().policy.promises
    times = [datetime(2026, 3, 2, tzinfo=UTC).timestamp() + hour * 3600.0 for hour in range(400)]
    wanted = [BusinessHours(section).due_s(at_s, 4) for at_s in times]
    monkeypatch.setattr(hours, "MOST_REMEMBERED", 3)
    bounded = BusinessHours(section)

    assert [bounded.due_s(at_s, 4) for at_s in times] == wanted
    assert len(bounded._asked) <= 3


@pytest.mark.parametrize(
    ("zone", "year"),
    [
        ("Europe/Berlin", 2026),
        ("America/New_York", 2026),
        ("Pacific/Kiritimati", 2026),
        ("Etc/GMT+12", 2026),
        ("Asia/Kathmandu", 2026),
        ("America/Havana", 2026),  # goes back from one to midnight
        ("Asia/Beirut", 2026),  # goes on from midnight to one, and back from midnight to eleven
        ("Pacific/Apia", 2011),  # left out a day
    ],
)
def test_the_day_is_that_of_the_wall_clock(zone: str, year: int):
    """Wherever clocks are put forward or back, a time lies in the day that they show."""
    found, clock = BusinessHours(scorer(promises={"timezone": zone}).policy.promises), ZoneInfo(zone)
    begin_s = datetime(year, 1, 1, tzinfo=UTC).timestamp()

    for quarter in range(365 * 96):
        for at_s in (begin_s + quarter * 900.0, begin_s + quarter * 900.0 - 1.0):
            assert found._day_of(at_s).number == datetime.fromtimestamp(at_s, clock).toordinal(), at_s
