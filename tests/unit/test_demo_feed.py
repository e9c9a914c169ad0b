"""What a producer sends keeps its bytes; when it sends is the pace's to say."""

import pytest

from streams.demo.feed import Pace, Record, epoch_seconds, record_of

TIME = b'"time":"2024-01-01T00:00:00Z"'


@pytest.mark.parametrize(
    ("line", "key", "topic", "time"),
    [
        (b'{"type":"cx.page.viewed.v1","subject":"c1",%s}' % TIME, b"c1", "web", 1_704_067_200.0),
        (b'{"type":"cx.order.placed.v1","channel":"store","subject":"c1"}', b"c1", "store", None),
        (b'{"type":"cx.call.ended.v1","channel":"phone","subject":"\xc3\xa9"}', b"\xc3\xa9", "support", None),
        (b'{"type":"cx.page.viewed.v1","subject":""}', None, "web", None),
        (b'{"type":"cx.page.viewed.v1","subject":7,"time":7,"channel":7}', None, "web", None),
        (b'{"type":7}', None, "web", None),
        (b"[1, 2]", None, "web", None),
        (b'{"type":"cx.pa', None, "web", None),
        (b"\xff\x00", None, "web", None),
        (b'{"subject":"\\ud800"}', None, "web", None),
        (b"[" * 10_000, None, "web", None),
    ],
)
def test_any_line_becomes_a_record_of_its_own_bytes(
    line: bytes, key: bytes | None, topic: str, time: float | None
):
    """Key, topic and time are read where they can be, and the bytes are never changed or refused."""
    assert record_of(line) == Record(line, key, f"cx.touchpoints.{topic}", time)


def test_what_was_recorded_later_is_paced_by_then():
    """An event that its source recorded late leaves when it was recorded."""
    line = b'{"subject":"c1",%s,"recordedtime":"2024-01-02T00:00:00Z"}' % TIME
    assert record_of(line).time == 1_704_153_600.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00.5+01:00", 60.5),
        ("1970-01-01T00:01:00", None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_a_time_needs_an_offset(text: str | None, seconds: float | None):
    """A time without an offset could be any time, so it is none."""
    assert epoch_seconds(text) == seconds


@pytest.mark.parametrize(
    ("pace", "sent", "elapsed", "due"),
    [
        (Pace(), 1_000, 5.0, 0.0),
        (Pace(rate=100), 250, 0.0, 2.5),
        (Pace(speedup=60), 3, 120.0, 2.0),
        (Pace(speedup=60), 3, -120.0, 0.0),
        (Pace(rate=1, speedup=60), 3, 120.0, 3.0),
        (Pace(rate=10, speedup=60), 3, 120.0, 2.0),
    ],
)
def test_the_slower_of_rate_and_event_time_decides(pace: Pace, sent: int, elapsed: float, due: float):
    """A record is due when both bounds allow it, and one that is late by event time is due at once."""
    assert pace.due(sent, elapsed) == due
    assert pace.bounded is (pace != Pace())
