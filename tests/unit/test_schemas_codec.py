"""The codec accepts what the contract allows, in both modes, and names the reason for the rest."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas import codec
from schemas.codec import decode, decode_line, encode, judge_time, to_binary
from schemas.envelope import Touchpoint, time_s
from schemas.families.orders import Line, OrderPlaced
from schemas.families.support import CallEnded
from schemas.families.web import PageViewed, PageViewedData
from schemas.rejects import Reject, RejectReason

KEY = b"c-1"
TIME_MEND = "Send RFC 3339 with an offset, such as 2026-05-03T14:00:00+02:00."
BASE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop",
    "type": "cx.page.viewed.v1",
    "time": "2026-05-03T14:00:00+02:00",
    "subject": "c-1",
    "data": {"page": "/"},
}


def event(**changes: Any) -> bytes:
    """Return the base event with attributes changed; an attribute given as ... is left out."""
    merged = {**BASE, **changes}
    return json.dumps({name: value for name, value in merged.items() if value is not ...}).encode()


def order(**data: Any) -> bytes:
    """Return an order with the data given."""
    return event(type="cx.order.placed.v1", data=data)


def accepted(found: Touchpoint | Reject) -> Touchpoint:
    """Return the touchpoint; fails with the reject's detail."""
    assert isinstance(found, Touchpoint), found.detail
    return found


def rejected(found: Touchpoint | Reject) -> Reject:
    """Return the reject; fails where the event was accepted."""
    assert isinstance(found, Reject), f"{found} was accepted"
    return found


class TestAccepts:
    """What a publisher may send."""

    def test_structured_event(self):
        """A structured event becomes the Struct of its type, with its data typed."""
        found = accepted(decode(order(total=990, currency="EUR", lines=[{"sku": "a", "quantity": 2}]), KEY))

        assert isinstance(found, OrderPlaced)
        assert found.type == "cx.order.placed.v1"
        assert found.data.total == 990
        assert found.data.lines == (Line(sku="a", quantity=2),)
        assert time_s(found) == datetime(2026, 5, 3, 12, tzinfo=UTC).timestamp()

    def test_null_optional_is_absent(self):
        """A null optional field equals an absent one, in the envelope and in the data."""
        nulls = {"channel": None, "backfill": None, "role": None}
        with_nulls = decode(event(data={"page": "/", "reason": None}, **nulls), KEY)

        assert with_nulls == decode(event(), KEY)

    @pytest.mark.parametrize("data", [..., None, {}])
    def test_data_may_be_absent_where_it_is_optional(self, data: object):
        """An event that means something without data is accepted without, with null and with empty data."""
        found = accepted(decode(event(data=data), KEY))

        assert found == accepted(decode_line(event(data=data)))
        assert found.data == PageViewedData()

    def test_unknown_attributes_are_ignored(self):
        """Attributes and data fields that the contract does not know change nothing."""
        extra = decode(event(dataschema="x", data={"page": "/", "colour": [1, {"a": None}]}), KEY)

        assert extra == decode(event(), KEY)

    def test_fractions_of_a_second(self):
        """A duration may be a fraction or a whole number of seconds."""
        found = decode(event(type="cx.call.ended.v1", data={"wait_s": 12.5, "talk_s": 3}), KEY)

        assert isinstance(found, CallEnded)
        assert (found.data.wait_s, found.data.talk_s) == (12.5, 3.0)

    @pytest.mark.parametrize("key", [None, b"", b"visitor-7"])
    def test_anonymous_event(self, key: bytes | None):
        """An event of a visitor not yet known is no reject, whatever its key."""
        found = accepted(decode(event(subject=..., anonymousid="visitor-7"), key))

        assert found.subject is None
        assert found.anonymousid == "visitor-7"

    def test_names_of_128_bytes(self):
        """Subject, id and source may be 128 bytes of UTF-8 long."""
        name = "ü" * 64

        assert accepted(decode(event(subject=name, id=name, source=name), name.encode())).subject == name

    def test_exactly_the_size_limit(self):
        """A value of exactly 256 KiB is accepted."""
        value = event().ljust(codec.MAX_BYTES)

        accepted(decode(value, KEY))

    def test_headers_without_ce_specversion_are_structured_mode(self):
        """Headers that are not CloudEvents' leave the event in structured mode."""
        assert accepted(decode(event(), KEY, [("trace", b"x")])) == accepted(decode(event(), KEY))

    def test_encode_reverses_decode(self):
        """An encoded touchpoint decodes to itself, without the fields that were never set."""
        found = accepted(decode(order(total=1, lines=[{"sku": "a"}]), KEY))

        assert decode_line(encode(found)) == found
        assert b"null" not in encode(found)

    def test_line_as_text_or_bytes(self):
        """A line of a file may be text or bytes, with its line end."""
        assert decode_line(event().decode() + "\n") == decode_line(event()) == decode(event(), KEY)


class TestBinaryMode:
    """Attributes in `ce_*` headers, data in the value."""

    @pytest.mark.parametrize(
        "value", [event(), event(backfill=True, channel="app"), order(total=5), event(data=...)]
    )
    def test_equals_structured_mode(self, value: bytes):
        """An event decodes to the same touchpoint in either mode."""
        structured = accepted(decode(value, KEY))
        body, headers = to_binary(structured)

        assert decode(body, KEY, headers) == structured

    @pytest.mark.parametrize("value", [None, b"{}"])
    def test_data_is_no_attribute(self, value: bytes | None):
        """A header `ce_data` says nothing: data are the value."""
        _, headers = to_binary(accepted(decode(event(), KEY)))

        assert accepted(decode(value, KEY, [*headers, ("ce_data", b"{}")])).data == PageViewedData()

    @pytest.mark.parametrize(("text", "history"), [(b"true", True), (b"false", False)])
    def test_history_in_a_header(self, text: bytes, history: bool):  # noqa: FBT001
        """Both words of a boolean are read."""
        value, headers = to_binary(accepted(decode(event(), KEY)))

        assert accepted(decode(value, KEY, [*headers, ("ce_backfill", text)])).backfill is history

    @pytest.mark.parametrize("value", [None, b"", b"null", b" null "])
    def test_no_data(self, value: bytes | None):
        """No value, an empty one and null are data left out."""
        _, headers = to_binary(accepted(decode(event(), KEY)))

        assert accepted(decode(value, KEY, headers)).data == PageViewedData()

    @pytest.mark.parametrize(
        ("header", "content", "reason", "path"),
        [
            ("ce_type", None, "schema_violation", "$.type"),
            ("ce_type", b"cx.page.seen.v1", "unknown_type", "$.type"),
            ("ce_type", b"cx.page.viewed.v9", "unsupported_version", "$.type"),
            ("ce_specversion", b"0.3", "unsupported_version", "$.specversion"),
            ("ce_id", b"\xff", "schema_violation", "$.id"),
            ("ce_id", None, "schema_violation", "$.id"),
            ("ce_time", b"yesterday", "schema_violation", "$.time"),
            ("ce_backfill", b"perhaps", "schema_violation", "$.backfill"),
            ("ce_channel", b"pigeon", "schema_violation", "$.channel"),
            ("ce_subject", b"c-2", "key_mismatch", "$.subject"),
            ("ce_subject", None, "key_missing", "$.subject"),
        ],
    )
    def test_bad_header(self, header: str, content: bytes | None, reason: str, path: str):
        """A missing or wrong attribute is named like in structured mode."""
        value, headers = to_binary(accepted(decode(event(), KEY)))
        changed = {**dict(headers), header: content}
        found = rejected(decode(value, KEY, [(n, c) for n, c in changed.items() if c is not None]))

        assert (found.reason, found.path) == (reason, path)

    @pytest.mark.parametrize(
        ("value", "reason", "path", "seen"),
        [
            (b'{"total":"much"}', "schema_violation", "$.data.total", "string"),
            (b'{"lines":[{"quantity":-1}]}', "schema_violation", "$.data.lines[0].quantity", "integer"),
            (b'{"total":1e400}', "schema_violation", "$.data.total", "number"),
            (b"[]", "schema_violation", "$.data", "array"),
            (b"{", "not_json", "$", "JSON that ends too early"),
            (b'{"reason":"\xff"}', "not_json", "$", "bytes that are not UTF-8"),
        ],
    )
    def test_bad_data(self, value: bytes, reason: str, path: str, seen: str):
        """Wrong data is named by its path below `$.data`."""
        _, headers = to_binary(accepted(decode(order(), KEY)))
        found = rejected(decode(value, KEY, headers))

        assert (found.reason, found.path, found.seen) == (reason, path, seen)

    def test_data_cannot_smuggle_attributes(self):
        """The value is one JSON document: it cannot close the data and add attributes."""
        _, headers = to_binary(accepted(decode(event(), KEY)))

        assert rejected(decode(b'{},"subject":"c-2"', KEY, headers)).reason is RejectReason.NOT_JSON

    def test_header_without_content(self):
        """A header whose content is null is an absent attribute."""
        value, headers = to_binary(accepted(decode(event(), KEY)))
        odd: Any = [*headers, ("ce_channel", None)]

        assert accepted(decode(value, KEY, odd)).channel is None


class TestRejects:
    """What is refused, and what its publisher is told."""

    @pytest.mark.parametrize(
        ("value", "seen"),
        [
            (None, "a tombstone (no value)"),
            (b"", "JSON that ends too early"),
            (event()[:40], "JSON that ends too early"),
            (b"\x00\x01garbage", "malformed JSON: invalid character (byte 0)"),
            (b"[" * 10_000, "objects or arrays nested too deeply"),
            (
                event(deep=0).replace(b'"deep": 0', b'"deep": ' + b"[" * 10_000 + b"]" * 10_000),
                "objects or arrays nested too deeply",
            ),
            (event().replace(b"e-1", b"\xff\xfe"), "bytes that are not UTF-8"),
            (
                event().replace(b"e-1", b"\\ud800"),
                "malformed JSON: unexpected end of escaped utf-16 surrogate pair (byte 37)",
            ),
            (b'{"data": {"page": "\\ud800"}}', "malformed JSON: half of a utf-16 surrogate pair"),
            (b'{"page": "\\\\\\ud800"}', "malformed JSON: half of a utf-16 surrogate pair"),
            (b'{"page": "\\\\ud800"', "JSON that ends too early"),
            (event(data={"page": 1}).replace(b"1}", b"NaN}"), "malformed JSON: invalid character (byte 156)"),
        ],
        ids=[
            *("tombstone", "empty", "half", "garbage", "brackets", "deep", "utf8", "surrogate", "lone"),
            *("lone behind a backslash", "an escaped backslash", "nan"),
        ],
    )
    def test_not_json(self, value: bytes | None, seen: str):
        """What is no JSON is told by its kind and position, never by its content."""
        found = rejected(decode(value, KEY))

        assert (found.reason, found.path) == (RejectReason.NOT_JSON, "$")
        assert found.seen.split("(")[0] == seen.split("(", maxsplit=1)[0]

    @pytest.mark.parametrize(
        ("value", "path", "seen", "mend"),
        [
            (b"[]", "$", "array", "Send one JSON object."),
            (b'"text"', "$", "string", "Send one JSON object."),
            (b"{}", "$.type", "nothing", "Send `type`."),
            (event(type=5), "$.type", "integer", "Send a string."),
            (event(id=...), "$.id", "nothing", "Send `id`."),
            (event(id=""), "$.id", "string", "Send a string of length >= 1."),
            (event(id="x" * 129), "$.id", "string", "Send a string of length <= 128."),
            (event(id="ü" * 65), "$.id", "string", "Send at most 128 bytes of UTF-8."),
            (event(id="𝄞" * 33), "$.id", "string", "Send at most 128 bytes of UTF-8."),
            (event(source="ü" * 65), "$.source", "string", "Send at most 128 bytes of UTF-8."),
            (event(time="2026-05-03T14:00:00"), "$.time", "string", TIME_MEND),
            (event(time=1_746_273_600), "$.time", "integer", TIME_MEND),
            (event(recordedtime="now"), "$.recordedtime", "string", TIME_MEND),
            (event(backfill="yes"), "$.backfill", "string", "Send true or false."),
            (event(data=[]), "$.data", "array", "Send an object."),
            (order(total="9"), "$.data.total", "string", "Send an integer."),
            (order(total=9.5), "$.data.total", "number", "Send an integer."),
            (order(total=-1), "$.data.total", "integer", "Send an integer >= 0."),
            (order(total=2**70), "$.data.total", "integer", "Send an integer <= 10000000000000."),
            (order(total=True), "$.data.total", "boolean", "Send an integer."),
            (
                order(currency="eur"),
                "$.data.currency",
                "string",
                "Send the three capital letters of ISO 4217, such as EUR.",
            ),
            (order(lines=[{}, {"sku": 7}]), "$.data.lines[1].sku", "integer", "Send a string."),
            (event(type="cx.survey.answered.v1", data=None), "$.data", "null", "Send an object."),
            (
                event(type="cx.survey.answered.v1", data={"score": 3}),
                "$.data.survey",
                "nothing",
                "Send `survey`.",
            ),
            (
                event(type="cx.survey.answered.v1", data={"survey": "likes", "score": 3}),
                "$.data.survey",
                "string",
                "Send one of ces, csat, nps.",
            ),
            (
                event(type="cx.ticket.solved.v1", data={"first_reply": {"business_s": "1"}}),
                "$.data.first_reply.business_s",
                "string",
                "Send a number.",
            ),
            (
                event(type="cx.customer.updated.v1", data={"since": "long ago"}),
                "$.data.since",
                "string",
                "Send a date such as 2026-05-03.",
            ),
        ],
    )
    def test_schema_violation(self, value: bytes, path: str, seen: str, mend: str):
        """A violation names the path, the type seen there and what to send."""
        found = rejected(decode(value, KEY))

        assert (found.reason, found.path, found.seen, found.mend) == (
            RejectReason.SCHEMA_VIOLATION,
            path,
            seen,
            mend,
        )

    def test_closed_field_of_an_array_lists_its_values(self):
        """A wrong item of an array is named by its index, with the values allowed there."""
        found = rejected(
            decode(event(type="cx.customer.updated.v1", data={"contact_by": ["email", "fax"]}), KEY)
        )

        assert found.path == "$.data.contact_by[1]"
        assert found.mend.startswith("Send one of app, chat, email")

    def test_number_beyond_a_double(self):
        """A number too large for a double is a violation at its place, not broken JSON."""
        value = event(type="cx.call.ended.v1", data={"wait_s": 1}).replace(b": 1}", b": 1e999}")
        found = rejected(decode(value, KEY))

        assert (found.reason, found.path, found.seen) == ("schema_violation", "$.data.wait_s", "number")

    def test_number_beyond_a_double_elsewhere(self):
        """Such a number beside another fault hides the type seen there, and nothing else."""
        found = rejected(decode(event(id=5, extra=1).replace(b'"extra": 1', b'"extra": 1e999'), KEY))

        assert (found.path, found.seen, found.mend) == ("$.id", "value", "Send a string.")

    def test_type_given_twice(self):
        """An object that names its type twice is a reject, whatever the second name is."""
        value = event(channel="pigeon")[:-1] + b',"type":5}'

        assert rejected(decode(value, KEY)).reason is RejectReason.SCHEMA_VIOLATION

    @pytest.mark.parametrize(
        ("name", "reason", "mend"),
        [
            ("cx.page.veiwed.v1", "unknown_type", "Did you mean cx.page.viewed.v1?"),
            ("page.viewed", "unknown_type", "Did you mean cx.page.viewed.v1?"),
            ("CX.PAGE.VIEWED.V1", "unknown_type", "Did you mean cx.page.viewed.v1?"),
            ("com.example.something", "unknown_type", "Use a name of `cx schema list`."),
            ("", "unknown_type", "Use a name of `cx schema list`."),
            ("x" * 5000, "unknown_type", "Use a name of `cx schema list`."),
            ("cx.page.viewed.v2", "unsupported_version", "Send cx.page.viewed.v1."),
            ("cx.page.viewed.v0", "unsupported_version", "Send cx.page.viewed.v1."),
        ],
    )
    def test_type_not_in_the_contract(self, name: str, reason: str, mend: str):
        """An unknown type is told from an unknown version of a known one, and a near miss gets a hint."""
        found = rejected(decode(event(type=name), KEY))

        assert (found.reason, found.path, found.mend) == (reason, "$.type", mend)

    def test_other_specversion(self):
        """Another version of CloudEvents is an unsupported version, not a violation."""
        found = rejected(decode(event(specversion="0.3"), KEY))

        assert (found.reason, found.path) == (RejectReason.UNSUPPORTED_VERSION, "$.specversion")

    @pytest.mark.parametrize(
        ("changes", "key", "reason"),
        [
            ({}, None, "key_missing"),
            ({"subject": ...}, b"c-1", "key_missing"),
            ({"subject": None}, None, "key_missing"),
            ({}, b"c-2", "key_mismatch"),
            ({}, b"", "key_mismatch"),
            ({"subject": "ü"}, b"\xfc", "key_mismatch"),
            ({}, b"\x00c-1", "reserved_key"),
            ({"subject": "\x00c"}, b"\x00c", "reserved_key"),
            ({"subject": ..., "anonymousid": "v"}, b"\x00", "reserved_key"),
        ],
    )
    def test_key(self, changes: dict[str, Any], key: bytes | None, reason: str):
        """The key must be the subject's bytes, and not one of the engine's own."""
        assert rejected(decode(event(**changes), key)).reason == reason

    def test_key_missing_says_which_is_missing(self):
        """A record without a key is told from an event without a subject."""
        assert "no key" in rejected(decode(event(), None)).mend
        assert rejected(decode(event(subject=...), KEY)).seen == "nothing"

    def test_subject_of_129_bytes(self):
        """A subject within 128 characters and beyond 128 bytes is a violation."""
        name = "ü" * 65

        assert rejected(decode(event(subject=name), name.encode())).path == "$.subject"

    def test_line_with_the_engines_key(self):
        """A line whose subject is reserved is refused like a record with that key."""
        assert rejected(decode_line(event(subject="\x00a"))).reason is RejectReason.RESERVED_KEY

    def test_line_without_subject(self):
        """A line with neither subject nor visitor has nobody to score."""
        assert rejected(decode_line(event(subject=...))).reason is RejectReason.KEY_MISSING

    def test_line_with_half_a_surrogate(self):
        """Text that cannot be UTF-8 is a reject, not an exception."""
        assert (
            rejected(decode_line(event().decode().replace("e-1", "\ud800"))).reason is RejectReason.NOT_JSON
        )

    @pytest.mark.parametrize("value", [b"x" * (codec.MAX_BYTES + 1), b"x" * (5 << 20)])
    def test_too_large(self, value: bytes):
        """Size is judged before anything is read, and the size alone is told."""
        _, headers = to_binary(accepted(decode(event(), KEY)))
        for found in (decode(value, KEY), decode(value, None, headers), decode_line(value)):
            assert rejected(found).reason is RejectReason.TOO_LARGE
            assert rejected(found).seen == f"{len(value)} bytes"


class TestJudgeTime:
    """Event times are held against the record's timestamp and the policy's earliest date."""

    ANCIENT_S = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
    RECORDED_S = datetime(2026, 5, 3, 12, tzinfo=UTC).timestamp()

    @pytest.mark.parametrize(
        ("time", "reason"),
        [
            ("2026-05-03T12:05:00Z", None),
            ("2026-05-03T12:05:00.001Z", "clock_future"),
            ("2100-01-01T00:00:00Z", "clock_future"),
            ("9999-12-31T23:59:59-14:00", "clock_future"),
            ("1990-01-01T00:00:00Z", None),
            ("1989-12-31T23:59:59Z", "clock_ancient"),
            ("1970-01-01T00:00:00Z", "clock_ancient"),
            ("0001-01-01T00:00:00+14:00", "clock_ancient"),
        ],
    )
    def test_bounds(self, time: str, reason: str | None):
        """Five minutes after the record and the earliest date are the last times accepted."""
        found = judge_time(time_s(accepted(decode(event(time=time), KEY))), self.RECORDED_S, self.ANCIENT_S)

        assert (found.reason.value if found else None) == reason
        assert found is None or found.path == "$.time"


@pytest.mark.parametrize("time", ["2106-02-07T06:28:16Z", "9999-12-31T23:59:59-14:00"])
def test_no_event_lies_beyond_the_calendar(time: str):
    """Where no record tells the time, a year that nobody lives to see is refused all the same."""
    found = judge_time(time_s(accepted(decode(event(time=time), KEY))), float("inf"), 0.0)

    assert found is not None
    assert found.reason == RejectReason.CLOCK_FUTURE


@pytest.mark.parametrize(
    ("line", "reason", "seen"),
    [
        (b"null", "schema_violation", "null"),
        (b"7", "schema_violation", "integer"),
        (b'\xef\xbb\xbf{"id":"1"}', "not_json", "a byte order mark"),
    ],
)
def test_a_line_that_is_no_object_is_named(line: bytes, reason: str, seen: str):
    """What an editor or a careless export leaves in a file is called by its name."""
    found = decode_line(line)

    assert isinstance(found, Reject)
    assert (found.reason.value, found.path, found.seen) == (reason, "$", seen)


def test_page_viewed_is_what_its_name_says():
    """The Struct of a type can be made in Python and encodes to what decodes."""
    made = PageViewed(
        specversion="1.0", id="1", source="s", time=datetime(2026, 1, 1, tzinfo=UTC), subject="c"
    )

    assert json.loads(encode(made)) == {
        "type": "cx.page.viewed.v1",
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "time": "2026-01-01T00:00:00Z",
        "subject": "c",
    }
