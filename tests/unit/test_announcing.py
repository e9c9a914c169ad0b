"""The budget of announcements, and the desk that knows what waits for it."""

import msgspec
import pytest

from streams.announcing import LOOKED_AT, Desk, refill
from streams.engine.handler import Bucket
from streams.scoring.policy import AnnouncementSection
from tests.customers import DAY, DEFAULT, START

LIMITS = DEFAULT.policy.announcements
"""10 alerts a week for 1,000 active customers; a day's worth is kept."""


def limits(**changes: float) -> AnnouncementSection:
    """Return the limits of the default policy with changes."""
    return msgspec.structs.replace(LIMITS, **changes)


def test_the_worst_that_waits_comes_first():
    """By how bad it is, figure by figure, then by key; what no longer waits is gone."""
    desk = Desk()
    for key, worst in ((b"a", (1, 9.0)), (b"b", (3, 1.0)), (b"c", (3, 1.0)), (b"d", (0, 4.0))):
        desk.note(key, worst)
    assert desk.worst() == [b"c", b"b", b"a", b"d"]
    desk.note(b"c", None)
    desk.note(b"never", None)
    assert desk.worst() == [b"b", b"a", b"d"]


def test_a_tick_looks_at_a_bounded_number_of_customers():
    """However many wait."""
    desk = Desk()
    for number in range(3 * LOOKED_AT):
        desk.note(b"%d" % number, (number / 1000,))
    assert len(desk.worst()) == LOOKED_AT


def test_a_pass_counts_active_customers():
    """Only a whole pass tells how many there are."""
    desk = Desk()
    desk.see(active=True)
    desk.see(active=False)
    assert desk.active == 0
    desk.end_pass()
    assert desk.active == 1
    desk.end_pass()
    assert desk.active == 0


@pytest.mark.parametrize(
    ("active", "before", "days", "level"),
    [
        (7000, None, 0, 10.0),
        (7000, 0.0, 0.5, 5.0),
        (7000, 3.0, 0.5, 8.0),
        (7000, 3.0, 5, 10.0),
        (7000, 3.0, -1, 3.0),
        (100, None, 0, 1.0),
        (100, 0.0, 3.5, 0.5),
        (100, 0.0, 365, 1.0),
        (0, 5.0, 1, 0.0),
    ],
    ids=[
        "first",
        "half a day",
        "on top",
        "a day at most",
        "time went back",
        "at least one",
        "slowly",
        "one",
        "0",
    ],
)
def test_the_budget_fills_by_active_customers(active: int, before: float | None, days: float, level: float):
    """7,000 active customers make 10 announcements a day, 100 make one a week; one can always be saved."""
    bucket = None if before is None else Bucket(before, START)
    found = refill(bucket, Desk(active=active), LIMITS, START + days * DAY)
    assert found.level == pytest.approx(level)
    assert found.at_s == START + max(0.0 if before is not None else days, days) * DAY


def test_a_budget_of_zero_announces_nothing():
    """Not even the one that could else be saved."""
    assert refill(None, Desk(active=9000), limits(per_1000_a_week=0.0), START).level == 0.0


def test_a_longer_burst_saves_more():
    """A week's worth of 7,000 active customers is 70."""
    assert refill(None, Desk(active=7000), limits(burst_days=7.0), START).level == pytest.approx(70.0)
