"""YAML files of tests: what a value is, where it stands, and what is refused."""

from pathlib import Path

import pytest

from streams.errors import CxError, Exit
from streams.rulebook.times import day_text, parse_moment, seconds_of
from streams.rulebook.yaml_file import parse_yaml, read_yaml

DAY = 86400.0
LAUGHS = "a0: &a0 [" + ", ".join("1" * 10) + "]\n"
"""A list of lists of lists, each ten times the one before."""
for depth in range(6):
    LAUGHS += f"a{depth + 1}: &a{depth + 1} [" + ", ".join([f"*a{depth}"] * 10) + "]\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("010", 10),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("-3", -3),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("'1'", "1"),
        ('"true"', "true"),
        ("[1, a]", [1, "a"]),
        ("{a: }", {"a": None}),
    ],
)
def test_values_are_what_they_look_like(text: str, value: object):
    """Only true, false, null and decimal numbers are more than text."""
    assert parse_yaml(text, "x").content == value


def test_an_empty_file_is_nothing():
    """A file without a value has none."""
    assert parse_yaml("# only a comment\n", "x").content is None


def test_every_value_has_its_line():
    """A path leads to the line of its value, or of what is around it."""
    found = parse_yaml("a:\n  - b: 1\n    c: 2\n", "x")

    assert [found.line(path) for path in ("a", "a[0].b", "a[0].c", "a[0].nowhere", "nowhere")] == [
        1,
        2,
        3,
        2,
        1,
    ]


def test_an_alias_repeats_what_it_names():
    """A value with an anchor counts wherever its alias stands."""
    assert parse_yaml("a: &x [1]\nb: *x\n", "x").content == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [1, 2", "x:1: not YAML"),
        ("a: 1\n\na: 2\n", "x:3: key `a` is given twice"),
        ("a: !!python/name:os.system 1", "x:1: tags such as"),
        ("{[1]: 2}", "x:1: a key must be a word"),
        ("a: *none\n", "x:1: not YAML"),
        ("a: &x [*x]\n", "x: an alias stands within what it names"),
        (LAUGHS, "x:1: more than 200000 values"),
        ("a: \x00", "x: not YAML that can be read"),
    ],
)
def test_what_is_refused(text: str, told: str):
    """What is no YAML, or more than values, is refused with its line."""
    with pytest.raises(CxError) as error:
        parse_yaml(text, "x")

    assert error.value.message.startswith(told)
    assert error.value.code is Exit.USAGE


def test_files_that_cannot_be_read(tmp_path: Path):
    """A missing file and one in another encoding are named."""
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    for name, told in (("none.yaml", "cannot read"), ("latin.yaml", "not UTF-8")):
        with pytest.raises(CxError, match=told):
            read_yaml(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3d", 3 * DAY), ("1w 2h", 7 * DAY + 7200), ("1.5h", 5400), ("15m30s", 930), ("", None), ("3", None)],
)
def test_spans(text: str, seconds: float | None):
    """A span is numbers with units."""
    assert seconds_of(text) == seconds


def test_moments():
    """A span counts from the start, one with a plus from the moment before, and a time is itself."""

    def read(text: str) -> float:
        return parse_moment(text, start_s=100 * DAY, before_s=200 * DAY)

    assert read("1d") == 101 * DAY
    assert read("+ 1d 2h") == 201 * DAY + 7200
    assert read("1970-01-02T00:00:00+00:00") == DAY


@pytest.mark.parametrize(
    "text", ["soon", "2026-01-01T00:00:00", "2026-01-01", "2300-01-01T00:00:00Z", "99999w"]
)
def test_what_is_no_moment(text: str):
    """Words, times without an offset and times beyond the calendar are refused."""
    with pytest.raises(ValueError, match=r"write a time like|beyond 2199"):
        parse_moment(text, start_s=0.0, before_s=0.0)


def test_days_read_as_they_are_written():
    """A time is told from the start as a test writes it."""
    texts = ["0d", "345d", "345d 12h", "2h 30m", "1d 1s"]

    assert [day_text(5.0 + (seconds_of(text) or 0.0), 5.0) for text in texts] == texts
    assert day_text(0.0, DAY) == "-1.0d"
