"""Business hours: only they count towards a first reply."""

from datetime import UTC, datetime

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
    assert len(bounded._day_of) <= 3
    assert len(bounded._spans) <= 3
