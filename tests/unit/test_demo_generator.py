"""Generated journeys: a seed names a world to the byte, and its truth is known."""

import hashlib
from collections import Counter
from datetime import UTC, datetime
from random import Random

import orjson
import pytest

from schemas.codec import decode_line, judge_time
from schemas.envelope import time_s
from schemas.rejects import Reject
from streams.demo.feed import Record, record_of
from streams.demo.generator import POISON, Truth, generate
from streams.demo.journeys import PERSONAS
from streams.demo.scenes import draw_customer

ANCIENT_S = datetime(1990, 1, 1, tzinfo=UTC).timestamp()


def digest(records: list[Record]) -> str:
    """Return a digest of all bytes."""
    return hashlib.sha256(b"\n".join(record.value for record in records)).hexdigest()


def judged(record: Record) -> str | None:
    """Return the reason a record of a file is rejected with, None where it is accepted."""
    event = decode_line(record.value)
    if isinstance(event, Reject):
        return event.reason
    recorded = event.recordedtime or event.time
    late = judge_time(time_s(event), recorded.timestamp(), ANCIENT_S)
    return late.reason if late else None


@pytest.fixture(scope="module")
def world() -> tuple[list[Record], Truth]:
    """Return a world of some 240 customers with its truth."""
    truth = Truth()
    return list(generate(30_000, seed=7, truth=truth)), truth


@pytest.fixture(scope="module")
def customers(world: tuple[list[Record], Truth]) -> list[dict]:
    """Return the customers of the truth's side file."""
    lines = [orjson.loads(line) for line in world[1].lines()]
    return [line for line in lines if line["kind"] == "customer"]


def test_a_seed_names_a_world_to_the_byte():
    """The same seed gives the same bytes and truth, another seed gives others."""
    first, again = Truth(), Truth()
    one = digest(list(generate(5_000, seed=3, poison=0.01, truth=first)))
    assert one == digest(list(generate(5_000, seed=3, poison=0.01, truth=again)))
    assert list(first.lines()) == list(again.lines())
    assert one != digest(list(generate(5_000, seed=4, poison=0.01)))


@pytest.mark.parametrize("events", [0, 1, 8, 1_000])
def test_exactly_as_many_records_as_asked_for(events: int):
    """The number of records is the number asked for, faults and all."""
    assert len(list(generate(events, poison=0.2, duplicates=0.2, late=0.2))) == events


def test_every_event_keeps_the_contract(world: tuple[list[Record], Truth]):
    """Without poison, the contract accepts every event, and the record's key is its subject."""
    for record in world[0]:
        event = decode_line(record.value)
        assert not isinstance(event, Reject), event
        assert record.key == (event.subject or "").encode()


def test_a_line_of_the_file_is_the_record_sent_at_once(world: tuple[list[Record], Truth]):
    """A record read back from its bytes has the key, topic and time that it was generated with."""
    assert [record_of(record.value) for record in world[0]] == world[0]


def test_events_come_in_the_order_of_their_time(world: tuple[list[Record], Truth]):
    """Events are in order of event time, but for those that the truth names as late or sent again."""
    records, truth = world
    known = {fault["id"] for fault in truth.faults}
    events = [orjson.loads(record.value) for record in records]
    times = [event["time"] for event in events if event["id"] not in known]
    assert times == sorted(times)


def test_the_span_is_about_the_days_asked_for(world: tuple[list[Record], Truth]):
    """The number of customers is chosen so that the world spans about as many days as asked for."""
    records, truth = world
    assert 0.85 < (truth.end - (records[0].time or 0)) / 86_400 / 500 < 1.15


def test_all_personas_are_there_in_their_shares(customers: list[dict]):
    """Every kind of customer is in the world, in about its share."""
    counts = Counter(customer["persona"] for customer in customers)
    assert set(counts) == set(PERSONAS)
    assert abs(counts["regular"] / len(customers) - 16 / 50) < 0.05
    assert len({customer["customer_id"] for customer in customers}) == len(customers)


def test_even_a_small_world_has_every_persona():
    """Every kind of customer comes once before any comes twice."""
    truth = Truth()
    list(generate(1_000, truth=truth))
    assert {who.persona for who in truth.customers[: len(PERSONAS)]} == set(PERSONAS)


def test_what_is_planted_is_in_the_events(world: tuple[list[Record], Truth], customers: list[dict]):
    """Each planted event of the truth was sent, with the type and the customer that the truth names."""
    sent = {}
    for record in world[0]:
        event = orjson.loads(record.value)
        sent[event["id"]] = (event["type"], event["subject"])
    planted = [(who, event) for who in customers for event in who["planted"]]
    assert planted
    assert all(sent[event["id"]] == (event["type"], who["customer_id"]) for who, event in planted)


def test_a_hit_customer_had_a_failed_delivery_then_a_bad_call(customers: list[dict]):
    """What is planted for a hit customer begins with a failed delivery and goes on with a call."""
    hits = [who for who in customers if who["persona"] == "hit" and len(who["planted"]) > 1]
    assert hits
    for who in hits:
        first, second = who["planted"][:2]
        assert (first["type"], second["type"]) == ("cx.delivery.failed.v1", "cx.call.ended.v1")
        assert first["time"] < second["time"]


def test_nobody_buys_after_they_left(world: tuple[list[Record], Truth], customers: list[dict]):
    """A customer whom the truth calls gone places no order after that time."""
    left = {who["customer_id"]: who["churned_at"] for who in customers if who["churned_at"]}
    personas = {who["persona"] for who in customers if who["churned_at"]}
    assert personas == {"hit", "fading", "one_time", "public"}
    for record in world[0]:
        event = orjson.loads(record.value)
        if event["type"] == "cx.order.placed.v1" and event["subject"] in left:
            assert event["time"] <= left[event["subject"]]


@pytest.mark.parametrize(("end", "churned_at"), [(99, None), (100, "1970-01-01T00:01:40Z")])
def test_the_truth_ends_with_the_world(end: int, churned_at: str | None):
    """Who will leave after the last event has not left: the truth knows no more than the events do."""
    who = draw_customer("c1", "hit", Random(1))
    who.churned_at = 100
    (line,) = Truth(customers=[who], end=end).lines()
    assert orjson.loads(line)["churned_at"] == churned_at


def test_december_buyers_buy_in_december_only(world: tuple[list[Record], Truth], customers: list[dict]):
    """A December buyer places orders in December and in no other month."""
    ids = {who["customer_id"] for who in customers if who["persona"] == "december"}
    events = [orjson.loads(record.value) for record in world[0]]
    orders = [e for e in events if e["subject"] in ids and e["type"] == "cx.order.placed.v1"]
    assert {event["time"][5:7] for event in orders} == {"12"}
    assert {event["time"][:4] for event in orders} == {"2023", "2024"}


def test_support_only_customers_never_buy(world: tuple[list[Record], Truth], customers: list[dict]):
    """Who only asks for help has tickets and answers surveys, and no orders."""
    ids = {who["customer_id"] for who in customers if who["persona"] == "support_only"}
    types = {e["type"] for e in (orjson.loads(record.value) for record in world[0]) if e["subject"] in ids}
    assert "cx.ticket.solved.v1" in types
    assert "cx.order.placed.v1" not in types


def test_each_bad_record_is_rejected_for_the_reason_the_truth_names():
    """Poison is rejected with the reasons that the truth counts, and nothing else is rejected."""
    truth = Truth()
    records = list(generate(6_000, seed=5, poison=0.02, truth=truth))
    reasons = Counter(reason for record in records if (reason := judged(record)))
    named = Counter(fault["fault"] for fault in truth.faults if fault["fault"] in POISON)
    assert set(reasons) == set(POISON)
    assert sum((named - reasons).values()) <= 1  # the last one may lie beyond the end
    assert not reasons - named


def test_a_duplicate_is_the_same_bytes_again():
    """An event that is sent again is sent with the same bytes, soon after."""
    records = list(generate(3_000, duplicates=0.1, late=0.0))
    again = [value for value, times in Counter(record.value for record in records).items() if times > 1]
    assert 200 < len(again) < 400


def test_a_late_event_says_when_it_was_recorded():
    """A late event comes after newer ones, up to three days, and carries the time at which it came."""
    records = list(generate(3_000, duplicates=0.0, late=0.1))
    late = [record for record in records if b'"recordedtime"' in record.value]
    assert 150 < len(late) < 400
    for record in late:
        event = decode_line(record.value)
        assert not isinstance(event, Reject)
        assert 0 < (record.time or 0) - event.time.timestamp() <= 3 * 86_400
