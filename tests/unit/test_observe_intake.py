"""Who sent what: accepted, late and rejected records, and moments, by source and channel."""

import math
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from schemas.codec import decode_line
from schemas.envelope import Touchpoint
from schemas.families.web import PageViewed
from schemas.rejects import source_of
from streams.engine.handler import Standing
from streams.observe.intake import LATE_S, MOST_SOURCES, Intake, Meter, is_late, named_sources
from streams.processing import Processor
from streams.topics import SUPPORT, WEB
from tests import handling
from tests.customers import DEFAULT, event, line, scorer, seconds


@dataclass(frozen=True)
class Rec(handling.Rec):
    """A record of the second day."""

    timestamp: int = int(seconds(2) * 1000)


def test_moments_are_weighed_by_driver_and_channel():
    """Weight times distance from the prior, bad and good apart: where it hurts."""
    processor = Processor(DEFAULT)
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    work.apply([(WEB.name, [Rec(line("delivery.failed", 1)), Rec(line("order.placed", 1))])])
    processor.committed(0, work.finish())
    assert processor.tally.intake.moments(DEFAULT.policy.driver_names) == {
        ("failed_delivery", "web", "bad"): pytest.approx(3 * 1.5 * 65),
        ("purchase", "web", "good"): pytest.approx(20.0),
    }


def test_a_type_from_several_sources_and_channels_is_counted_apart():
    """Also where they take turns."""
    processor = Processor(DEFAULT)
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    places = [("/shop", "web"), ("/shop", "app"), ("/other", "app"), ("/shop", "web")]
    for number, (source, channel) in enumerate(places):
        visited = line("store.visited", 1, id=f"v{number}", source=source)
        work.apply([(WEB.name, [Rec(visited.replace(b'"data"', f'"channel":"{channel}","data"'.encode()))])])
    accepted = work.finish().tally.intake.accepted
    assert {(channel, source): meter.number for (_, channel, source), meter in accepted.items()} == {
        ("web", "/shop"): 2,
        ("app", "/shop"): 1,
        ("app", "/other"): 1,
    }


def test_moments_of_several_drivers_that_take_turns_add_up():
    """A kind that knows more than one driver has the sum of each."""
    meter = Meter()
    for code, weight in ((1, 2.0), (-2, 3.0), (1, 4.0), (1, 1.0), (-2, 5.0)):
        meter.feel(code, weight)
    assert meter.felt == {1: 7.0, -2: 8.0}
    meter.feel(-2, 1.0)
    assert meter.felt == {1: 7.0, -2: 9.0}
    total = Meter()
    total.feel(1, 1.0)
    for each in (meter, Meter(), meter):
        total.add(each)
    assert total.felt == {1: 15.0, -2: 18.0}


def test_a_moment_of_a_driver_that_no_policy_has_is_other():
    """Codes that are kept from an earlier policy are one series together."""
    meter = Meter()
    meter.feel(3999, 2.0)
    meter.feel(-3998, 1.0)
    intake = Intake()
    intake.accepted[PageViewed, "web", "other"] = meter
    assert intake.moments({}) == {
        ("other", "web", "bad"): 2.0,
        ("other", "web", "good"): 1.0,
    }


def test_a_source_has_a_label_only_if_the_policy_lists_it():
    """All others count together, so that a producer cannot make series (G8)."""
    intake = Intake(named_sources(["/shop", *map(str, range(100))]))
    assert len(intake.sources) == MOST_SOURCES
    raw = Intake()
    raw.accepted = {(PageViewed, "web", f"/{name}"): Meter(1, 5.0) for name in ("shop", "x", "y")}
    intake.add(raw)
    intake.seen(event("page.viewed", source="/shop"), "web", "duplicate")
    assert intake.outcomes() == {
        ("web", "/shop", "accepted"): 1,
        ("web", "other", "accepted"): 2,
        ("web", "/shop", "duplicate"): 1,
    }
    assert intake.of_type(PageViewed) == {"web": 3}
    assert intake.types() == {("cx.page.viewed.v1", "/shop"): 1, ("cx.page.viewed.v1", "other"): 2}


def test_an_event_is_late_by_when_it_was_recorded():
    """More than an hour between its recording (without one, its time) and the log."""
    recorded = decode_line(line("page.viewed", 1)[:-1] + b',"recordedtime":"2026-01-02T02:00:00Z"}')
    assert isinstance(recorded, Touchpoint)
    for each, delay_s, late in (
        (event("page.viewed", 1), LATE_S, 0),
        (event("page.viewed", 1), LATE_S + 1, 1),
        (recorded, LATE_S + 1, 0),
        (recorded, 2 * 3600 + LATE_S + 1, 1),
    ):
        assert is_late(each, seconds(1), seconds(1) + delay_s) is bool(late)


def test_the_handler_keeps_the_newest_time_and_the_late_ones():
    """By source and by channel; records that are old when they come are late."""
    processor = Processor(scorer(sources=["/shop"]))
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    lines = [line("page.viewed", day, source="/shop") for day in (1.99, 1.0, 0.5)]
    work.apply([(WEB.name, [Rec(each) for each in lines])])
    processor.committed(0, work.finish())
    intake = processor.tally.intake
    assert intake.late() == {"/shop": 2}
    assert intake.newest_by_source() == {"/shop": seconds(1.99)}
    assert processor.tally.newest_event_s == {"web": seconds(1.99)}


def test_arrivals_of_a_large_piece_of_work_are_sampled():
    """Every record is counted once: a few stand for many."""
    intake = Intake()
    intake.arrived([Rec(b"", timestamp=number * 100) for number in range(1001)])
    assert sum(intake.arrivals.values()) == 1001
    assert len(intake.arrivals) <= 18
    few = Intake()
    few.arrived([Rec(b"", timestamp=100), Rec(b"", timestamp=300)])
    assert few.arrivals == {1: 1, 3: 1}


@pytest.mark.parametrize(
    ("value", "headers", "source"),
    [
        (b'{"source": "/shop", "type": 7}', (), "/shop"),
        (b"", (("ce_source", None), ("ce_source", b"/shop")), "/shop"),
        (b"", (("ce_source", None),), "unknown"),
        (b"not json", (), "unknown"),
        (b'{"source": 7}', (), "unknown"),
        (None, (), "unknown"),
    ],
)
def test_a_rejected_record_counts_for_the_source_that_it_names(value: Any, headers: Any, source: str):
    """Whoever can be read in a broken record is named; else it is unknown."""
    assert (source_of(value, headers) or "unknown") == source
    intake = Intake(frozenset({"/shop"}))
    intake.rejected(value, headers, "not_json")
    assert intake.rejects == {(source, "not_json"): 1}


def test_rejects_are_not_read_again_where_no_source_is_listed():
    """Without a list every source is `other`."""
    intake = Intake()
    intake.rejected(b"not json", (), "not_json")
    assert intake.rejects == {("other", "not_json"): 1}


def test_the_handler_counts_every_record_for_who_sent_it():
    """Accepted, duplicate, anonymous and rejected: each once, with its channel and source, when committed."""
    processor = Processor(scorer(sources=["/shop"]), clock=lambda: seconds(2) + 3.0)
    anonymous = orjson.loads(line("page.viewed", 1)) | {"subject": None, "anonymousid": "x"}
    call = line("call.ended", 1, id="1", source="/shop", wait_s=700)
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    work.apply([(SUPPORT.name, [Rec(call), Rec(call), Rec(b"{"), Rec(orjson.dumps(anonymous), key=None)])])
    processor.committed(0, work.finish())
    intake, kpis = processor.tally.intake, processor.tally.kpis
    assert intake.outcomes() == {
        ("phone", "/shop", "accepted"): 1,
        ("phone", "/shop", "duplicate"): 1,
        ("phone", "other", "anonymous"): 1,
    }
    assert intake.rejects == {("unknown", "not_json"): 1}
    assert kpis.contacts == {("phone", "other"): 1}
    assert ("waiting", "phone", "bad") in intake.moments(DEFAULT.policy.driver_names)
    assert processor.latencies.scored.total == pytest.approx(4 * 3.0)
    assert processor.tally.compute_s > 0.0
    assert processor.tally.changelog_bytes > 0
