"""Quiet hours are those of the place where the customer lives."""

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from streams.delivery.quiet import QuietHours, zone_of

ZURICH = "Europe/Zurich"
NIGHT = QuietHours(time(21), time(8), ZoneInfo(ZURICH), frozenset({"critical"}))
LUNCH = QuietHours(time(12), time(13, 30), ZoneInfo(ZURICH))


def at(text: str, zone: str = ZURICH, fold: int = 0) -> float:
    """Return a local time as seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-06-01T20:59:59", None),
        ("2026-06-01T21:00:00", "2026-06-02T08:00:00"),
        ("2026-06-01T23:59:59", "2026-06-02T08:00:00"),
        ("2026-06-02T00:00:00", "2026-06-02T08:00:00"),
        ("2026-06-02T07:59:59", "2026-06-02T08:00:00"),
        ("2026-06-02T08:00:00", None),
        ("2026-12-31T22:00:00", "2027-01-01T08:00:00"),
    ],
)
def test_a_night_ends_in_the_morning(now: str, ends: str | None):
    """Quiet over midnight: the beginning belongs to it, the end does not."""
    assert NIGHT.until_s(at(now), None, "high") == (None if ends is None else at(ends))


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-06-01T11:59:59", None),
        ("2026-06-01T12:00:00", "2026-06-01T13:30:00"),
        ("2026-06-01T13:30:00", None),
    ],
)
def test_quiet_within_a_day(now: str, ends: str | None):
    """Quiet that does not reach over midnight ends the same day."""
    assert LUNCH.until_s(at(now), None, "high") == (None if ends is None else at(ends))


def test_the_customers_own_zone_decides():
    """At noon in Zurich it is night in Los Angeles: only who lives there is left alone."""
    noon = at("2026-06-01T12:00:00")
    assert NIGHT.until_s(noon, None, "high") is None
    assert NIGHT.until_s(noon, "America/Los_Angeles", "high") == at(
        "2026-06-01T08:00:00", "America/Los_Angeles"
    )


@pytest.mark.parametrize("name", [None, "", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "\x00"])
def test_an_unknown_zone_is_that_of_the_file(name: str | None):
    """What a profile says for a zone cannot break the delivery: the file's zone counts then."""
    assert zone_of(name) is None
    assert NIGHT.until_s(at("2026-06-01T22:00:00"), name, "high") == at("2026-06-02T08:00:00")


def test_a_severity_that_passes_is_told_at_night():
    """What cannot wait does not wait."""
    night = at("2026-06-01T23:00:00")
    assert NIGHT.until_s(night, None, "critical") is None
    assert NIGHT.until_s(night, None, "high") is not None


def test_the_morning_is_that_of_the_changed_clock():
    """The night in which the clock is put forward is an hour shorter, the other one longer."""
    spring, autumn = at("2026-03-28T23:00:00"), at("2026-10-24T23:00:00")
    assert (NIGHT.until_s(spring, None, "high") or 0) - spring == 8 * 3600
    assert (NIGHT.until_s(autumn, None, "high") or 0) - autumn == 10 * 3600


def test_quiet_that_ended_in_the_repeated_hour_does_not_come_back():
    """Where the clock shows 2:30 twice, the quiet until 2:45 ends the first time, and time goes on."""
    quiet = QuietHours(time(21), time(2, 45), ZoneInfo(ZURICH))
    first, again = at("2026-10-25T02:30:00"), at("2026-10-25T02:30:00", fold=1)
    assert quiet.until_s(first, None, "high") == at("2026-10-25T02:45:00")
    assert quiet.until_s(again, None, "high") is None


def test_its_length_is_known():
    """The night above lasts eleven hours, the lunch one and a half."""
    assert (NIGHT.length_s, LUNCH.length_s) == (11 * 3600, 5400)
