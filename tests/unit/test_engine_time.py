"""Watermark and sweep: up to when everything was read, and who is due."""

import math

import pytest

from streams.engine.sweep import SweepCursor
from streams.engine.watermark import InputState, watermark

END = InputState(at_end=True, reached_s=1000.0, record_s=50.0, event_s=40.0)
BEHIND = InputState(at_end=False, reached_s=1000.0, record_s=60.0, event_s=30.0)
EMPTY = InputState(at_end=True, reached_s=990.0, record_s=-math.inf, event_s=-math.inf)
HELD = BEHIND._replace(next_s=80.0)
AHEAD = BEHIND._replace(next_s=2000.0)
BACK = BEHIND._replace(next_s=1.0)
UNREAD = InputState(at_end=False, reached_s=-math.inf, record_s=-math.inf, event_s=-math.inf)


@pytest.mark.parametrize(
    ("inputs", "wall", "event"),
    [
        ([END], 1000.0, 40.0),
        ([END, EMPTY], 990.0, 40.0),
        ([END, BEHIND], 60.0, 30.0),
        ([END, HELD], 80.0, 30.0),
        ([END, AHEAD], 1000.0, 30.0),
        ([END, BACK], 60.0, 30.0),
        ([END, UNREAD], -math.inf, -math.inf),
        ([EMPTY], 990.0, -math.inf),
        ([], -math.inf, -math.inf),
    ],
)
def test_the_watermark_is_the_least_time_read_up_to(
    inputs: list[InputState], wall: float, event: float
) -> None:
    """By the wall: the broker's word at the end, record time behind; by event: event time in both cases."""
    assert watermark(inputs, "wall") == wall
    assert watermark(inputs, "event") == event


def keys(count: int) -> dict[bytes, bytes]:
    """Return rows of `count` customers."""
    return {b"c%d" % number: b"" for number in range(count)}


def test_every_customer_is_visited_once_an_interval() -> None:
    """Over one interval the slices are everybody, nobody twice."""
    cursor, rows = SweepCursor(100.0, 1000), keys(250)
    seen = [key for now in range(51) for key in cursor.due(rows, float(now))]
    assert sorted(seen) == sorted(rows)
    later = [key for now in range(51, 152) for key in cursor.due(rows, float(now))]
    assert sorted(later) == sorted(rows)
    assert cursor.passes == 1


def test_the_pace_follows_the_clock() -> None:
    """Half an interval into a pass half of the customers were visited."""
    cursor, rows = SweepCursor(100.0, 1000), keys(100)
    assert len(cursor.due(rows, 0.0)) == 50
    assert len(cursor.due(rows, 25.0)) == 25
    assert not cursor.due(rows, 25.0)


def test_a_clock_that_jumps_makes_only_one_slice_due() -> None:
    """A partition is not stopped for a whole pass."""
    cursor, rows = SweepCursor(100.0, 10), keys(100)
    slices = [len(cursor.due(rows, 1e6)) for _ in range(11)]
    assert slices == [10] * 5 + [0] * 6


def test_an_empty_partition_has_nobody_due() -> None:
    """Who comes later is visited in a later pass."""
    cursor = SweepCursor(10.0, 10)
    assert not cursor.due({}, 0.0)
    assert list(cursor.due(keys(1), 20.0)) == []
    assert list(cursor.due(keys(1), 30.0)) == [b"c0"]


def test_a_clock_that_goes_back_makes_nobody_due_twice() -> None:
    """The cursor never moves back."""
    cursor, rows = SweepCursor(100.0, 1000), keys(10)
    first = list(cursor.due(rows, 100.0))
    assert not cursor.due(rows, 50.0)
    assert first == [b"c%d" % number for number in range(len(first))]


def test_a_clock_that_stands_lets_the_pass_end() -> None:
    """At the end of every input the event clock goes no further: whoever is left is visited all the same."""
    cursor, rows = SweepCursor(100.0, 30), keys(100)
    slices = [len(cursor.due(rows, 500.0, stands=True)) for _ in range(6)]
    assert slices == [30, 30, 30, 10, 0, 0]


def test_a_clock_that_stood_and_moved_makes_another_pass() -> None:
    """Also within the interval: the last events of a data set are followed by one whole pass."""
    cursor, rows = SweepCursor(100.0, 1000), keys(10)
    assert len(cursor.due(rows, 500.0, stands=True)) == 10
    assert len(cursor.due(rows, 501.0, stands=True)) == 10
    assert not cursor.due(rows, 501.0, stands=True)


def test_a_clock_that_stands_still_gets_one_whole_pass():
    """At the end of a data set every customer is looked at once more at the last time, then nobody."""
    cursor, rows = SweepCursor(100.0, 100), keys(250)
    assert len(cursor.due(rows, 0.0)) == 100

    seen = [key for _ in range(6) for key in cursor.due(rows, 7.0, stands=True)]

    assert seen[-250:] == list(rows)  # after the pass under way, a whole one
    assert len(seen) == 150 + 250
    assert cursor.due(rows, 7.0, stands=True) == ()


def test_a_pass_begins_with_those_who_are_due_first() -> None:
    """Whoever counts a pass begins with it, also where nobody is due yet."""
    cursor, rows = SweepCursor(100.0, 1000), keys(4)
    begins = []
    for now_s in (0.0, 10.0, 50.0, 60.0, 150.0, 151.0):
        cursor.due(rows, now_s)
        begins.append(cursor.begins)
    assert begins == [True, False, False, True, False, False]
