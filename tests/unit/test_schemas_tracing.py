"""W3C Trace Context: which contexts are passed on, and which are as if they were not there."""

import pytest

from schemas.tracing import STATE_BYTES, STATE_MEMBERS, trace_of

IDS = b"4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
PARENT = b"00-" + IDS + b"-01"
OTHER = "00-11111111111111111111111111111111-2222222222222222-00"


def parent_of(text: bytes) -> bytes | None:
    """Return what is passed on of a `traceparent`."""
    return dict(trace_of([("traceparent", text)])).get("traceparent")


@pytest.mark.parametrize("flags", [b"00", b"01", b"ff"])
def test_a_valid_parent_is_passed_on_as_it_came(flags: bytes):
    """Whoever only passes it on changes nothing, whatever the flags are."""
    text = b"00-" + IDS + b"-" + flags
    assert trace_of([("other", b"\xff"), ("traceparent", text)]) == (("traceparent", text),)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"00",
        PARENT[:-1],
        PARENT + b"0",
        PARENT + b"-",
        PARENT + b"-more",
        PARENT + b"\n",
        b" " + PARENT,
        PARENT.upper(),
        PARENT.replace(b"-", b"_"),
        b"ff-" + IDS + b"-01",
        b"0g-" + IDS + b"-01",
        b"00-" + IDS + b"-0g",
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01",
        b"\xff\xfe",
        b"01-" + IDS + b"-01more",
    ],
)
def test_a_parent_that_breaks_the_grammar_is_dropped(text: bytes):
    """Version, ids and flags are checked; ids of zeros alone name nothing."""
    assert trace_of([("traceparent", text), ("tracestate", b"a=b")]) == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"01-" + IDS + b"-03-what-will-be", b"00-" + IDS + b"-01"),
        (b"cc-" + IDS + b"-02", b"00-" + IDS + b"-00"),
        (b"fe-" + IDS + b"-09-" + b"x" * 5000, b"00-" + IDS + b"-01"),
    ],
)
def test_a_later_version_is_passed_on_as_far_as_it_is_known(text: bytes, wanted: bytes):
    """The specification's way with versions to come: the fields of version 00, and no other flag."""
    assert parent_of(text) == wanted


def test_the_header_wins_over_the_attribute():
    """The record's header is of the hop that wrote the record, the attribute of where the event began."""
    assert trace_of([("traceparent", PARENT)], OTHER) == (("traceparent", PARENT),)


@pytest.mark.parametrize("headers", [(), [("traceparent", b"broken")], [("traceparent", None)]])
def test_without_a_valid_header_the_attribute_counts(headers: list[tuple[str, bytes | None]]):
    """A header that is none, or null, hides no attribute; a `tracestate` was never the attribute's."""
    found = trace_of([*headers, ("tracestate", b"a=b")], OTHER)
    assert found == (("traceparent", OTHER.encode()),)


@pytest.mark.parametrize("attribute", [None, "", "broken", "00-" + "é" * 32, OTHER + "\u2028", "\ud800"])
def test_an_attribute_that_is_no_context_is_dropped(attribute: str | None):
    """Whatever text an event has there is no error."""
    assert trace_of((), attribute) == ()


def test_the_last_of_two_headers_counts():
    """Kafka keeps headers of one name in their order, and its clients read the last."""
    found = trace_of([("traceparent", OTHER.encode()), ("traceparent", PARENT), ("Traceparent", b"")])
    assert found == (("traceparent", PARENT),)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (b"congo=t61rcWkgMzE", True),
        (b"rojo=00f067aa0ba902b7, congo=t61rcWkgMzE,", True),
        (b"fw529a3039@dt=FfAAB, 0a-_*/=!", True),
        (b",".join(b"k%d=v" % number for number in range(STATE_MEMBERS)), True),
        (b",".join(b"k%d=v" % number for number in range(STATE_MEMBERS + 1)), False),
        (b"k=" + b"v" * 256, True),
        (b"k=" + b"v" * 257, False),
        (b"k=v" + b"," * (STATE_BYTES - 3), True),
        (b"k=v" + b"," * (STATE_BYTES - 2), False),
        (b"", False),
        (b" , ", False),
        (b"K=v", False),
        (b"k=", False),
        (b"k=a=b", False),
        (b"k", False),
        (b"k=v\r\nevil: 1", False),
        (b"k=\xc3\xa9", False),
        (None, False),
    ],
)
def test_a_state_is_passed_on_beside_its_parent_or_dropped(text: bytes | None, kept: bool):  # noqa: FBT001
    """A list of members as the grammar has it, and no longer than everybody passes on."""
    found = trace_of([("tracestate", text), ("traceparent", PARENT)])
    assert found == (("traceparent", PARENT), *([("tracestate", text)] if kept else []))
