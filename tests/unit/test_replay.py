"""Touchpoints of a file to customers, and what a worker makes of the same touchpoints."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest

from schemas.rejects import Reject, RejectReason
from streams.demo.feed import Record
from streams.demo.generator import generate
from streams.engine.handler import Counts
from streams.engine.memory import MemoryLog, MemoryWorker
from streams.engine.settings import engine_settings
from streams.processing import Processor
from streams.replay import judge, replay
from streams.scoring.rings import RING_IDS
from streams.settings import Settings
from tests.agreement import close, unlike
from tests.customers import DAY, DEFAULT, event, line, row, seconds
from tests.drained import drain
from tests.lives import evidence

BOTH = ["failed_delivery", "payment_failed"]


def changed(line: bytes, **changes: Any) -> bytes:
    """Return an event with other attributes; None takes one away."""
    document = orjson.loads(line) | changes
    return orjson.dumps({name: value for name, value in document.items() if value is not None})


def test_a_customer_holds_the_evidence_of_the_events():
    """A file's row is what scoring makes of its events."""
    found = replay([line("order.placed", 1.0), line("complaint.raised", 2.0)], DEFAULT)
    wanted = row([event("order.placed", 1.0), event("complaint.raised", 2.0)])
    assert evidence(found.customers["anna"].state, seconds(9)) == evidence(wanted, seconds(9))
    assert (found.accepted, found.at_s) == (2, seconds(2))


def test_empty_lines_are_passed_over():
    """A line without anything on it is no event and no reject."""
    found = replay([b"\n", b"", b" \r\n", line("page.viewed") + b"\r\n"], DEFAULT)
    assert (found.accepted, found.rejects) == (1, Counter())


def test_of_nothing_comes_nothing():
    """No line: no customer, and no time to evaluate at."""
    found = replay([], DEFAULT)
    assert (found.customers, found.at_s) == ({}, 0.0)


def test_the_events_of_who_is_watched_are_kept():
    """Every event that counts, the neutral ones too, in file order; of who is to be forgotten none."""
    other = changed(line("page.viewed"), subject="berta")
    lines = [line("order.placed", 2.0), line("page.viewed", 1.0), other, line("order.placed", 2.0)]
    found = replay(lines, DEFAULT, watched="anna")
    assert found.events == [event("order.placed", 2.0), event("page.viewed", 1.0)]
    for asked, kept in (("anna", 0), ("berta", 2)):
        request = changed(line("customer.forgotten", 3.0, proof="0" * 64, alert_ids=[]), subject=asked)
        assert len(replay([*lines, request], DEFAULT, watched="anna").events) == kept
    assert replay(lines, DEFAULT).events == []


def test_later_events_are_left_out_and_counted():
    """With a time given, what happened after it is not known yet; the time itself still is."""
    lines = [line("order.placed", day) for day in (1.0, 2.0, 3.0, 4.0)]
    found = replay(lines, DEFAULT, at_s=seconds(2))
    assert (found.accepted, found.later, found.at_s) == (2, 2, seconds(2))
    assert found.customers["anna"].state.newest_s == seconds(2)


def test_a_customer_who_comes_later_is_not_there_yet():
    """Of whom nothing had happened by then, nothing is said."""
    assert replay([line("order.placed", 3.0)], DEFAULT, at_s=seconds(2)).customers == {}


def test_customers_are_evaluated_at_the_time_given():
    """A time long after the last event finds the silence."""
    lines = [line("order.placed", day) for day in (0, 10, 20, 30)]
    at_end = replay(lines, DEFAULT).customers["anna"]
    later = replay(lines, DEFAULT, at_s=seconds(300)).customers["anna"]
    assert at_end.steps == []
    assert [(step["rule"], step["step"]) for step in later.steps] == [("churn_risk", "opened")]
    assert later.steps[0]["at"] == "2026-10-28T00:00:00Z"


def test_a_visitor_is_counted_and_not_scored():
    """An event with an anonymous id only is neither scored nor rejected."""
    found = replay([changed(line("page.viewed"), subject=None, anonymousid="a1")], DEFAULT)
    assert (found.anonymous, found.accepted, found.rejects, found.customers) == (1, 0, Counter(), {})


def test_duplicates_are_judged_in_file_order():
    """The first line counts, whatever a later one with the same id says."""
    found = replay(
        [line("order.placed", 5.0, id="one"), line("complaint.raised", 1.0, id="one")],
        DEFAULT,
    )
    assert (found.accepted, found.duplicates) == (1, 1)
    assert found.customers["anna"].state.newest_s == seconds(5)


@pytest.mark.parametrize(("between", "counted"), [(RING_IDS - 1, 0), (RING_IDS, 1)])
def test_a_repeat_is_known_within_eight_events(between: int, counted: int):
    """A repeat within the last 8 state-changing events of its topic is found; beyond, it counts."""
    first = line("order.placed", 0.0, id="first")
    others = [line("order.placed", float(number), id=f"{number}") for number in range(1, between + 1)]
    neutral = [line("page.viewed", float(number)) for number in range(1, 40)]
    found = replay([first, *others, *neutral, first], DEFAULT)
    assert found.duplicates == 1 - counted
    assert found.accepted == 1 + between + len(neutral) + counted


def test_rings_are_kept_by_topic():
    """A line's topic follows its channel: orders in a store push no web order out."""
    web = changed(line("order.placed", id="first"), channel="web")
    store = [
        changed(line("order.placed", float(number), id=f"{number}"), channel="store")
        for number in range(1, RING_IDS + 2)
    ]
    found = replay([web, *store, web, changed(web, channel="store")], DEFAULT)
    assert (found.duplicates, found.accepted) == (1, len(store) + 2)


def lived(lines: Sequence[bytes]) -> list[list[str]]:
    """Return for each step of anna's alerts the drivers known by then."""
    steps = replay(lines, DEFAULT).customers["anna"].steps
    return [sorted({each["driver"] for each in step["drivers"]}) for step in steps]


def failures(*named: tuple[str, str, str]) -> list[bytes]:
    """Return failures at the same time, each opening or deepening a case: (kind, source, id)."""
    return [line(kind, 1.0, source=source, id=event_id) for kind, source, event_id in named]


@pytest.mark.parametrize(
    ("lines", "known"),
    [
        (failures(("delivery.failed", "/a", "2"), ("payment.failed", "/b", "1")), ["failed_delivery"]),
        (failures(("delivery.failed", "/b", "1"), ("payment.failed", "/a", "2")), BOTH),
        (failures(("delivery.failed", "/a", "1"), ("payment.failed", "/a", "2")), ["failed_delivery"]),
        (failures(("delivery.failed", "/a", "2"), ("payment.failed", "/a", "1")), BOTH),
    ],
    ids=["source", "source, other way", "id", "id, other way"],
)
def test_events_of_one_time_are_applied_by_source_then_id(lines: list[bytes], known: list[str]):
    """A failed delivery opens a case at once, a refused payment does not: the first step tells the order."""
    assert lived(lines)[0] == known
    assert lived(lines[::-1]) == lived(lines)


def test_the_order_of_lines_changes_nothing():
    """Without duplicates, scores and steps are the same however the lines are shuffled."""
    lines = [each.value for each in generate(600, seed=3, days=50, duplicates=0.0)]
    shuffled = random.Random(1).sample(lines, len(lines))
    one, other = replay(lines, DEFAULT), replay(shuffled, DEFAULT)
    assert one.at_s == other.at_s
    for customer_id, customer in one.customers.items():
        assert other.customers[customer_id].steps == customer.steps, customer_id
        at_s = one.at_s + DAY
        seen = evidence(other.customers[customer_id].state, at_s)
        assert close(seen, evidence(customer.state, at_s)), customer_id


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"time": "2100-01-01T00:00:00Z"}, None),
        ({"time": "2100-01-01T00:00:00Z", "recordedtime": "2026-01-01T00:00:00Z"}, RejectReason.CLOCK_FUTURE),
        ({"recordedtime": "2025-12-31T23:55:00Z"}, None),
        ({"recordedtime": "2025-12-31T23:54:59Z"}, RejectReason.CLOCK_FUTURE),
        ({"time": "1970-01-20T06:13:20Z"}, RejectReason.CLOCK_ANCIENT),
        (
            {"time": "1970-01-20T06:13:20Z", "recordedtime": "2026-01-01T00:00:00Z"},
            RejectReason.CLOCK_ANCIENT,
        ),
        ({"type": "cx.page.veiwed.v1"}, RejectReason.UNKNOWN_TYPE),
        ({"subject": None}, RejectReason.KEY_MISSING),
        ({"subject": "\x00cx"}, RejectReason.RESERVED_KEY),
    ],
    ids=str,
)
def test_a_line_is_judged_as_a_record_is(changes: dict[str, Any], reason: RejectReason | None):
    """The future is judged only where `recordedtime` stands in for a record's timestamp."""
    found = judge(changed(line("page.viewed"), **changes), DEFAULT)
    assert (found.reason if isinstance(found, Reject) else None) is reason


PARTITIONS = 3
ENGINE = engine_settings(Settings(partitions=PARTITIONS, clock="event"))


def as_sent(records: Sequence[Record], worker: MemoryWorker, _: random.Random) -> None:
    """Everything is there when the worker comes."""
    for each in records:
        worker.log.append(each.topic, each.key, each.value)
    drain(worker)


def topic_by_topic(records: Sequence[Record], worker: MemoryWorker, rng: random.Random) -> None:
    """One topic is read to its end before the next."""
    for topic in rng.sample(ENGINE.inputs, len(ENGINE.inputs)):
        as_sent([each for each in records if each.topic == topic], worker, rng)


def in_small_steps(records: Sequence[Record], worker: MemoryWorker, rng: random.Random) -> None:
    """Let records trickle in, partitions take turns, and the sweep come in between."""
    waiting = list(records)
    while waiting:
        count = rng.randrange(1, 300)
        for each in waiting[:count]:
            worker.log.append(each.topic, each.key, each.value)
        del waiting[:count]
        number = rng.randrange(PARTITIONS)
        worker.poll(number, rng.randrange(1, 20))
        if (transaction := worker.compute(number, rng.randrange(1, 4))) is not None:
            worker.write(transaction)
            worker.confirm(transaction)
        worker.sweep_due()
    drain(worker)


@pytest.mark.parametrize("schedule", [as_sent, topic_by_topic, in_small_steps])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_worker_leaves_what_a_file_gives(
    schedule: Callable[[Sequence[Record], MemoryWorker, random.Random], None], seed: int
):
    """Rows of a worker, however topics interleave, read as `cx score` reads the same events (G2, G4)."""
    records = list(generate(3000, seed=seed, days=50, poison=0.02, duplicates=0.02, late=0.02))
    worker = MemoryWorker(MemoryLog(PARTITIONS), ENGINE, processor := Processor(DEFAULT, event_clock=True))
    worker.assign(range(PARTITIONS))
    schedule(records, worker, random.Random(seed))

    found = replay((each.value for each in records), DEFAULT)
    assert min(found.duplicates, sum(found.rejects.values()), found.accepted) > 10
    states = [worker.state(number) for number in range(PARTITIONS)]
    rows = {key.decode(): value for state in states for key, value in state.rows.items()}
    assert unlike(found, rows, DEFAULT, found.at_s + 30 * DAY) == {}
    counts = Counts()
    for state in states:
        counts = counts.plus(state.marker.counts)
    assert counts == Counts(found.accepted, found.duplicates, found.anonymous, 0, sum(found.rejects.values()))
    by_reason: Counter[str] = Counter()
    for (_, reason), count in processor.tally.rejects.items():
        by_reason[reason] += count
    assert by_reason == found.rejects


@pytest.mark.parametrize(
    ("days", "alone"),
    [
        ([0, 1, 2, 63], True),
        ([0, 1, 2, 61], False),
        ([0, 30, 60, 700], True),
        ([0, 30, 60, 600], False),
        ([0, 1, 2, 400, 401], False),
        ([0, 1, 900], False),
        ([0, 0, 0, 900], True),
        ([], False),
    ],
    ids=[
        "far",
        "near",
        "far for rare events",
        "rare events",
        "two",
        "too few to tell",
        "at one time",
        "none",
    ],
)
def test_an_event_alone_beyond_all_others_is_found(days: list[int], alone: bool):  # noqa: FBT001  # a case
    """Far is measured in days and in the usual gap of the file, whoever the customers are."""
    lines = [line("page.viewed", float(day), id=f"e{number}") for number, day in enumerate(days)]
    for several in (lines, [changed(each, subject=f"c{number}") for number, each in enumerate(lines)]):
        found = replay(several, DEFAULT).outlier
        assert (found is not None) is alone
        if found is not None:
            assert (found.line, found.before_s) == (4, seconds(days[2]))


def test_a_time_that_was_asked_for_is_no_events():
    """With --at nothing moves it."""
    lines = [line("page.viewed", day) for day in (0.0, 1.0, 2.0, 900.0)]
    assert replay(lines, DEFAULT, at_s=seconds(1000)).outlier is None
