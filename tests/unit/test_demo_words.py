"""Moments and alerts in words a person would use."""

import orjson
import pytest

from streams.demo.feed import Record, record_of
from streams.demo.generator import Truth, generate
from streams.demo.words import KEPT_MOMENTS, TOLD_MOMENTS, Diary, ago, clock, day, moment_in_words, plain


def event(kind: str, time: str = "2024-03-01T10:05:00Z", **data: object) -> dict[str, object]:
    """Return an event of customer c1."""
    return {"type": f"cx.{kind}.v1", "time": time, "subject": "c1", "data": data}


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (event("delivery.failed", reason="parcel_lost"), "delivery failed: parcel lost"),
        (
            event("call.ended", wait_s=2040, hold_s=30, transfers=3, resolved="no"),
            "call ended: 34 min waiting, passed on 3 times, not resolved",
        ),
        (event("call.ended", wait_s=20, transfers=0, resolved="yes"), "call ended: resolved"),
        (event("order.placed", total=123450, currency="EUR"), "order placed: 1,234.50 EUR"),
        (event("order.placed", total=123450, currency="JPY"), "order placed: 123,450 JPY"),
        (
            event("order.placed", total=0, promised_at="2024-03-04T10:00:00Z"),
            "order placed: 0.00, promised for 2024-03-04",
        ),
        (event("survey.answered", survey="csat", score=5, scale_max=5), "survey answered: CSAT 5 of 5"),
        (event("social.mentioned", reach=12000, sentiment=-0.9), "social mentioned: read by 12,000"),
        (event("complaint.raised", about="delivery"), "complaint raised: about delivery"),
        (event("cancel_page.viewed"), "cancel page viewed"),
        (
            event("delivery.delivered", promised_at="2024-02-28T10:00:00Z"),
            "delivery arrived: late, promised for 2024-02-28",
        ),
    ],
)
def test_a_moment_reads_as_what_happened(moment: dict, words: str):
    """A moment says when, what, and what made it good or bad; what says nothing is left out."""
    assert moment_in_words(moment) == f"2024-03-01 10:05  {words}"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "moments"), (60, "1 minute"), (7_300, "2 hours"), (86_400, "1 day"), (40 * 86_400.0, "40 days")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, words: str):
    """Ages are rounded down to one unit."""
    assert ago(seconds) == words


def test_names_dates_and_durations_are_plain():
    """Names lose their underscores, times their hours, durations their fractions."""
    assert (plain("failed_delivery"), day("2024-03-01T10:00:00Z"), day(None)) == (
        "failed delivery",
        "2024-03-01",
        "?",
    )
    assert clock(65.9) == "01:05"


def lines(*events: dict[str, object]) -> list[Record]:
    """Return events as records."""
    return [record_of(orjson.dumps(each)) for each in events]


def test_a_diary_keeps_what_a_customer_lived_through():
    """The diary passes all records on, and tells a customer's moments in order, without page views."""
    late = event("call.ended", "2024-03-02T08:00:00Z")
    records = lines(late, event("page.viewed"), event("delivery.failed"), late)
    diary = Diary()
    assert list(diary.follow(records)) == records
    assert diary.of("c1") == ["2024-03-01 10:05  delivery failed", "2024-03-02 08:00  call ended"]
    assert diary.of("c1", until="2024-03-01T23:00:00.000000Z") == ["2024-03-01 10:05  delivery failed"]
    assert diary.of("c2") == []


def test_a_diary_is_not_confused_by_bad_records():
    """Bytes that are no event are passed on and are no moment of anybody's life."""
    bad = [Record(value, b"c1", "t", None) for value in (b"\xff", b"[]", b"{}", b'{"time":1,"type":2}')]
    diary = Diary()
    assert list(diary.follow(bad)) == bad
    assert diary.of("c1") == diary.of("c1", until="2024") == []


def test_a_diary_stays_small():
    """Only the last moments of a customer are kept, however long the demo runs."""
    times = [f"2024-{month:02d}-{day:02d}T00:00:00Z" for month in range(1, 6) for day in range(1, 29)]
    diary = Diary()
    list(diary.follow(lines(*(event("call.ended", time) for time in times))))
    told = diary.of("c1")
    assert len(told) == TOLD_MOMENTS
    assert told[-1].startswith("2024-05-28")
    assert diary.of("c1", until="2024-04-01")[-1].startswith("2024-03-28")
    assert diary.of("c1", until=times[-KEPT_MOMENTS - 1]) == []


def test_every_generated_moment_has_words():
    """Whatever a generated customer lives through, poison included, can be told."""
    diary, truth = Diary(), Truth()
    list(diary.follow(generate(5_000, poison=0.02, truth=truth)))
    told = [line for who in truth.customers for line in diary.of(who.id)]
    assert len(told) > 200
    assert not any("None" in line or "_" in line for line in told)
