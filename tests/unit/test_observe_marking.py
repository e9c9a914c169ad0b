"""Where the failing field stands in the bytes."""

import pytest

from streams.observe.marking import Marked, mark


@pytest.mark.parametrize(
    ("value", "path", "field"),
    [
        (b'{"a":1,"b":{"c":"x"}}', "$.b.c", '"x"'),
        (b' { "a" : [ 1 , {"b":2} ] } ', "$.a[1].b", "2"),
        (b'{"a":[1,2,3]}', "$.a[0]", "1"),
        (b'{"a":1,"a":2}', "$.a", "2"),
        (b'{"a":1}', "$", '{"a":1}'),
        (b'{"data":{"x":1}}', "$.data.score", '{"x":1}'),
        (b'{"data":7}', "$.data.score", "7"),
        (b'{"a":[1]}', "$.a[5]", "[1]"),
        (b'{"a":3}', "$.a[0]", "3"),
        (b'{"a":[]}', "$.a[0]", "[]"),
        (b'{"a":1', "$", ""),
        (b'{"a":tru}', "$", "t"),
        (b"garbage", "$", "g"),
        (b'{"a":1} trailing', "$", " trailing"),
        (b"", "$", ""),
    ],
)
def test_the_field_is_found(value: bytes, path: str, field: str):
    """A member, an item, the object that lacks it, or the place where the bytes stop being JSON."""
    marked = mark(value, path)
    assert marked.field == field
    assert marked.before + marked.field + marked.after == value.decode()


def test_bytes_that_are_not_utf8_are_shown_escaped():
    """Whatever was sent can be looked at."""
    assert mark(b"\xff\x00{", "$").field == "\\"


def test_a_tombstone_has_no_bytes():
    """No value is said in words."""
    assert mark(None, "$") == Marked("(no value)", "", "")


def test_depth_does_not_break_it():
    """Ten thousand brackets are shown like anything else."""
    assert mark(b"[" * 10_000, "$").field in ("", "[")


def test_a_long_value_is_cut_around_the_mark():
    """Five megabytes do not fill the terminal: the field and its surroundings do."""
    marked = mark(b'{"a":"' + b"x" * 5_000 + b'","b":1,"c":"' + b"y" * 5_000 + b'"}', "$.b", window=20)
    assert marked.field == "1"
    assert marked.before.startswith("...(")
    assert len(marked.before) < 60
    assert marked.after.endswith(" more)")
