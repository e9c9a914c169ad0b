"""Times as numbers and as outputs write them, held to the calendar of the standard library."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import at_time, seconds_of

FIRST_S = -62_135_596_800.0
LAST_S = 253_402_300_799.0
"""The first and the last second of the years 1 to 9999."""


def of_calendar(seconds: float) -> str:
    """Return what a datetime makes of it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6] + "Z"


@given(
    st.datetimes(timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))))
    | st.floats(8.99e9, 9.01e9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
    | st.integers(0, 1 << 40).map(lambda ms: datetime.fromtimestamp(ms / 1000.0, UTC))
    | st.integers(-(1 << 32), 1 << 35).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
)
def test_as_a_timestamp(moment: datetime):
    """The same number to the last bit, also where a double cannot hold every microsecond."""
    assert seconds_of(moment) == min(max(moment.timestamp(), FIRST_S), LAST_S)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0001-01-01T00:00:00+12:00", FIRST_S),
        ("0001-01-01T00:00:00+00:00", FIRST_S),
        ("9999-12-31T23:59:59-12:00", LAST_S),
        ("9999-12-31T23:59:59.999999+00:00", LAST_S),
        ("9999-12-31T23:59:58+00:00", LAST_S - 1.0),
    ],
)
def test_a_moment_that_no_calendar_has_in_utc(text: str, seconds: float):
    """An offset at either end of the calendar is moved into it, and an output can name what comes of it."""
    found = seconds_of(datetime.fromisoformat(text))
    assert found == seconds
    assert at_time(found) == of_calendar(seconds)


@given(
    st.floats(-62_135_596_800.0, 253_402_300_799.0)
    | st.integers(0, 1 << 33).map(float)
    | st.integers(1 << 30, 1 << 31).map(lambda ticks: ticks + ticks % 4194304 / 4194304)
    | st.integers(0, 1 << 40).map(lambda ms: ms / 1000.0)
)
def test_as_the_calendar_has_it(seconds: float):
    """To the microsecond, halves rounded to the even one, and without a fraction where there is none."""
    assert at_time(seconds) == of_calendar(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (-1.0, "1969-12-31T23:59:59Z"),
        (1.5e-6, "1970-01-01T00:00:00.000002Z"),
        (2.5e-6, "1970-01-01T00:00:00.000002Z"),
        (59.9999999, "1970-01-01T00:01:00Z"),
        (1_767_225_599.001, "2025-12-31T23:59:59.001000Z"),
    ],
)
def test_by_hand(seconds: float, text: str):
    """Some of them worked out."""
    assert at_time(seconds) == text


@pytest.mark.parametrize("seconds", [253_402_300_800.0, -62_135_596_801.0, math.inf, math.nan])
def test_calendars_end(seconds: float):
    """A year beyond 9999 has no such form, nor has one before the first."""
    with pytest.raises(ValueError, match="beyond the year 9999"):
        at_time(seconds)


def test_every_day_of_four_centuries():
    """The date is that of the calendar through leap years and centuries with and without a leap day."""
    first = datetime(1800, 1, 1, tzinfo=UTC)
    for days in range(146_097 + 366):
        moment = first + timedelta(days=days)
        assert at_time(moment.timestamp()) == f"{moment:%Y-%m-%dT%H:%M:%SZ}"
