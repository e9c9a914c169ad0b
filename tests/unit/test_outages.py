"""The guard against silent sources."""

import math
from collections.abc import Iterable
from typing import Any

import msgspec
import orjson
import pytest

from schemas.outputs import Incident
from streams.engine.handler import Bucket
from streams.outages import HALF_LIFE_S, HOUR_S, SEEN, SILENT, USUAL, Watchman, count, expected, held_since
from tests.customers import DAY, DEFAULT, START

LIMITS = DEFAULT.policy.outages
RATE = 20
"""Events an hour of the channel in these tests."""


class Partition:
    """A partition whose channels send each hour or do not, with a caught-up sweep after each hour."""

    def __init__(self, starts: dict[str, float] | None = None) -> None:
        self.tokens: dict[str, Bucket] = {}
        self.watchman = Watchman(LIMITS)
        self.starts: dict[str, float] = {} if starts is None else starts
        self.hour = 0
        self.incidents: list[dict[str, Any]] = []
        self.keys: list[bytes] = []

    def live(self, hours: Iterable[bool], *channels: str) -> "Partition":
        """Live through hours in which channels (by default web) send or do not."""
        for sends in hours:
            self.hour += 1
            now_s = START + self.hour * HOUR_S
            if sends:
                for channel in channels or ("web",):
                    self.tokens[SEEN + channel] = count(self.tokens.get(SEEN + channel), RATE, now_s - 60.0)
            found = self.watchman.look(self.tokens, now_s, self.starts)
            changed = {**self.tokens, **found.tokens}
            self.tokens = {name: bucket for name, bucket in changed.items() if bucket is not None}
            self.incidents += [orjson.loads(turn.value) for turn in found.turns]
            self.keys += [turn.key for turn in found.turns]
        return self

    def restart(self) -> "Partition":
        """Forget what only the worker's memory knows."""
        self.watchman = Watchman(LIMITS)
        return self


def days(count: float) -> list[bool]:
    """Return days in which each hour has events."""
    return [True] * round(24 * count)


NIGHTS = ([True] * 14 + [False] * 10) * 8
"""Eight days of a shop that is closed for ten hours a night."""


def test_a_steady_channel_that_stops_is_one_incident():
    """After six silent hours there is one incident, dated the hour in which it began, and no second one."""
    partition = Partition().live(days(8)).live([False] * 5)
    assert partition.incidents == []
    partition.live([False] * 40)
    (found,) = partition.incidents
    incident = msgspec.convert(found, Incident)
    assert (incident.kind, incident.channel, incident.until) == ("source_silent", "web", None)
    assert incident.since == "2026-01-08T23:00:00Z"
    assert incident.detail.startswith("no event of web for 6.0 h, its longest usual silence is 0.0 h; about")
    assert partition.keys == [b"source_silent:web:2026-01-08T23:00:00Z"]


def test_it_ends_when_the_channel_sends_again():
    """The same incident says until when; its silence does not become usual."""
    partition = Partition().live(days(8)).live([False] * 30).live([True])
    opened, closed = partition.incidents
    assert opened["incident_id"] == closed["incident_id"]
    assert closed["until"] == "2026-01-10T07:00:00Z"
    assert SILENT + "web" not in partition.tokens
    assert partition.tokens[USUAL + "web"].level < HOUR_S


def test_what_is_usual_is_learned_by_sweeps_that_write_nothing():
    """The marker is behind for days; the worker's memory is not."""
    partition = Partition().live(days(1))
    kept = partition.tokens[USUAL + "web"]
    for _ in range(8 * 24):
        partition.live([partition.hour % 24 < 14])
        partition.tokens[USUAL + "web"] = kept
    assert partition.live([True] * 14).live([False] * 19).incidents == []


def test_nights_are_usual():
    """What closes each night is missed after twice a night only."""
    partition = Partition().live(NIGHTS).live([True] * 14).live([False] * 19)
    assert partition.incidents == []
    partition.live([False])
    assert [each["until"] for each in partition.incidents] == [None]


def test_a_usual_silence_fades():
    """A long pause that was never repeated is forgotten by half in four weeks."""
    partition = Partition().live(days(3)).live([False] * 24).live(days(1))
    usual = partition.tokens[USUAL + "web"].level
    assert usual == pytest.approx(24 * HOUR_S, rel=0.1)
    partition.live(days(28))
    assert partition.tokens[USUAL + "web"].level == pytest.approx(usual / 2, rel=0.1)


def test_a_channel_is_watched_for_a_week_first():
    """Before that its week-end is not known."""
    assert Partition().live(days(6)).live([False] * 23).incidents == []


def test_few_events_make_no_outage():
    """Where fewer than fifty were to be expected, silence may be the customers'."""
    rare = ([True] + [False] * 23) * 10
    partition = Partition().live(rare).live([False] * 72)
    assert expected(partition.tokens[SEEN + "web"], 72 * HOUR_S) < LIMITS.events
    assert partition.incidents == []


def test_what_was_silent_for_weeks_is_no_outage():
    """A data set that ended long ago, or a channel that was given up, is not a source that fell silent."""
    partition = Partition().live(days(8))
    partition.hour += 24 * 15
    assert partition.live([False]).incidents == []


def test_other_channels_are_watched_by_themselves():
    """One falls silent, the other goes on."""
    partition = Partition().live(days(8), "web", "store").live([True] * 8, "store")
    assert [each["channel"] for each in partition.incidents] == ["web"]


def test_partitions_of_a_worker_name_the_same_incident():
    """Their last events lie in different hours; the id is that of the first to see it."""
    first = Partition().live(days(8)).live([False] * 12)
    second = Partition(first.starts).live(days(8)).live([True] * 2).live([False] * 12)
    assert first.keys == second.keys
    third = Partition(first.starts).live(days(9)).live([False] * 12)
    assert third.keys != first.keys


def test_two_workers_name_one_outage_alike():
    """Each sees its own partition alone, and both have its last events in the same hour."""
    one, other = (Partition().live(days(8)).live([False] * 12) for _ in range(2))
    assert one.keys == other.keys == [b"source_silent:web:2026-01-08T23:00:00Z"]
    assert one.live([True]).keys == other.live([True]).keys == one.keys[:1] * 2


def test_an_incident_that_another_worker_found_is_joined():
    """A partition that moves brings its incident along; the worker's own partitions take up its start."""
    moved = Partition().live(days(8)).live([False] * 12).restart()
    moved.starts = {"web": START}  # an outage of long ago
    moved.live([False])
    late = Partition(moved.starts).live(days(8)).live([True] * 4).live([False] * 12)
    assert [each["since"] for each in late.incidents] == ["2026-01-08T23:00:00Z"]
    assert late.keys == moved.keys


def test_a_restart_forgets_no_incident():
    """It stands in the marker, with what is usual; the worker's memory is not needed to end it."""
    partition = Partition().live(NIGHTS).live([True] * 2).live([False] * 22).restart()
    assert len(partition.live([False] * 5).incidents) == 1
    assert partition.live([True]).incidents[-1]["until"] is not None
    assert partition.restart().live([True] * 12).live([False] * 18).incidents[2:] == []


def test_silence_is_held_back_from_the_start_of_the_oldest_outage():
    """For two weeks; then a channel that never came back holds nothing back any more."""
    tokens = {SILENT + "web": Bucket(0.0, START + DAY), SILENT + "app": Bucket(0.0, START), "x": Bucket(0, 0)}
    assert held_since(tokens, START + 2 * DAY, LIMITS) == START
    assert held_since(tokens, START + 14.5 * DAY, LIMITS) == START + DAY
    assert held_since(tokens, START + 15 * DAY, LIMITS) == math.inf
    assert held_since({}, START, LIMITS) == math.inf


def test_the_rate_is_that_of_the_last_week():
    """A steady stream is expected as it came; the first transaction tells nothing."""
    tokens: dict[str, Bucket] = {}
    for hour in range(24 * 70):
        tokens[SEEN + "web"] = count(tokens.get(SEEN + "web"), RATE, START + hour * HOUR_S)
    assert expected(tokens[SEEN + "web"], 24 * HOUR_S) == pytest.approx(24 * RATE, rel=0.01)
    assert count(None, 5000, START).level == 0.0


def test_history_in_one_piece_is_spread_over_its_time():
    """Ten weeks of a stream in one transaction tell the rate of the same stream in many."""
    first = count(None, RATE, START)
    at_once = count(first, RATE * 24 * 70, START + 70 * DAY)
    assert expected(at_once, DAY) == pytest.approx(24 * RATE, rel=0.01)
    late = count(at_once, 5, START)
    assert (late.level, late.at_s) == (at_once.level + 5, at_once.at_s)
    assert HALF_LIFE_S == 7 * DAY
