"""Whatever bytes arrive, the codec answers with a touchpoint or a reject."""

import json
from typing import Any

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.codec import decode, decode_line, encode, judge_time, to_binary
from schemas.envelope import Touchpoint
from schemas.export import example as golden
from schemas.rejects import Reject
from schemas.touchpoints import TYPES

EXAMPLES = [golden(name) for name in TYPES]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=200)
    | st.sampled_from(list(TYPES)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.none() | st.binary(max_size=140) | st.just(b"c-20417")
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ce_specversion", "ce_id", "ce_type", "ce_time", "ce_backfill", "ce_data", "ce_", "x"]
        ),
        st.none()
        | st.binary(max_size=40)
        | st.sampled_from([b"1.0", b"cx.order.placed.v1", b"2026-01-01T00:00:00Z"]),
    ),
    max_size=8,
)

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A slow machine is no failure."""


def check(found: Touchpoint | Reject) -> None:
    """Hold what the codec returned to its promises."""
    if isinstance(found, Reject):
        assert found.path.startswith("$")
        assert "\n" not in found.detail
        return
    assert decode_line(encode(found)) == found
    body, headers = to_binary(found)
    key = None if found.subject is None else found.subject.encode()
    assert decode(body, key, headers) == found
    assert judge_time(found.time.timestamp(), found.time.timestamp(), float("-inf")) is None


@given(st.none() | st.binary(max_size=300), KEYS, HEADERS)
@example(b"\xef\xbb\xbf{}", b"", [])
@example(b'{"a":' * 100_000, None, [])
@settings(PATIENT)
def test_random_bytes_never_raise(value: bytes | None, key: bytes | None, headers: list[Any]):
    """Random values, keys and headers give a touchpoint or a reject."""
    check(decode(value, key, headers))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a golden example with an attribute or a data field replaced."""
    event = json.loads(draw(st.sampled_from(EXAMPLES)))
    place = draw(st.sampled_from([event, event["data"]]))
    name = draw(st.sampled_from(sorted(place)) | st.sampled_from(["channel", "extra", "reason", "direction"]))
    place[name] = draw(VALUES)
    return json.dumps(event).encode()


@given(mutated(), KEYS)
@settings(PATIENT, max_examples=300)
def test_mutated_events_never_raise(value: bytes, key: bytes | None):
    """A good event with a field replaced by anything gives a touchpoint or a reject."""
    check(decode(value, key))
    check(decode_line(value))


@given(st.sampled_from(EXAMPLES), st.data())
@settings(PATIENT, max_examples=200)
def test_damaged_bytes_never_raise(value: bytes, data: st.DataObject):
    """A good event with bytes cut out or overwritten gives a touchpoint or a reject."""
    start = data.draw(st.integers(0, len(value)))
    end = data.draw(st.integers(start, min(len(value), start + 20)))
    check(decode_line(value[:start] + data.draw(st.binary(max_size=8)) + value[end:]))


@given(st.sampled_from(EXAMPLES), st.data())
@settings(PATIENT, max_examples=300)
def test_a_reject_never_tells_a_value(value: bytes, data: st.DataObject):
    """What a customer's field held stands in no part of the reject that names the field."""
    event = json.loads(value)
    place = data.draw(st.sampled_from([event, event["data"]]))
    name = data.draw(st.sampled_from(sorted(place)))
    secret = data.draw(st.sampled_from(["Jane Doe, 12 Elm Street" * 30, 987_654_321_987_654_321]))
    place[name] = data.draw(st.sampled_from([secret, [secret], [[secret]]]))
    found = decode_line(json.dumps(event))

    assert isinstance(found, Reject)
    assert str(secret)[:9] not in msgspec.json.encode(found).decode()


def test_a_rejects_path_names_no_unknown_field():
    """Names that the publisher made up are as private as values."""
    event = json.loads(EXAMPLES[0]) | {"data": {"Jane Doe": {"x": 1}, "load_s": {"Jane Doe": 1}}}
    found = decode_line(json.dumps(event))

    assert isinstance(found, Reject)
    assert "Jane" not in found.detail
