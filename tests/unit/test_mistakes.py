"""What is wrong in a file, as a person is told of it."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from streams.mistakes import did_you_mean, ill_formed

Share = Annotated[float, Meta(ge=0, le=1)]
Short = Annotated[str, Meta(max_length=3)]


class Inner(msgspec.Struct, frozen=True, rename={"start": "from"}):
    """A table in a file."""

    start: Share = 0.0
    days: tuple[int, ...] = ()


class Need(msgspec.Struct, frozen=True, rename={"end": "to"}):
    """A table with keys that it has to have."""

    end: Share
    name: str
    days: int = 0


class Whole(msgspec.Struct):
    """A file."""

    one: Inner = Inner()
    maybe: Inner | None = None
    named: dict[Short, Inner] = {}
    several: list[Inner] = []
    need: Need | None = None


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("wieght", ", did you mean `weight`?"),
        ("w", ", did you mean `weight`?"),
        ("s", ""),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_a_word_is_answered_with_the_one_meant(word: str, said: str):
    """The nearest, or the only one that begins so; a guess between two would be one too many."""
    assert did_you_mean(word, ["value", "weight", "severity_at_least", "severity_at_most"]) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"one": {"from": 0.5}, "named": {"a": {}}}, []),
        ({"one": {"from": 2.0}}, ["Expected `float` <= 1.0 - at `$.one.from`"]),
        ({"one": {"days": [1, "2"]}}, ["Expected `int`, got `str` - at `$.one.days[1]`"]),
        ({"maybe": {"from": -1.0}}, ["Expected `float` >= 0.0 - at `$.maybe.from`"]),
        ({"named": {"abc": {"from": ""}}}, ["Expected `float`, got `str` - at `$.named.abc.from`"]),
        ({"named": {"abcd": {}}}, ["Expected `str` of length <= 3 - at `$.named`"]),
        ({"several": [{}, {"from": 3.0}]}, ["Expected `float` <= 1.0 - at `$.several[1].from`"]),
        ([], ["Expected `object`, got `array`"]),
        ({"one": {"form": 2.0}}, []),
        ({"need": {}}, ["missing key `need.to`", "missing key `need.name`"]),
        (
            {"need": {"to": 2.0, "days": ""}},
            [
                "missing key `need.name`",
                "Expected `float` <= 1.0 - at `$.need.to`",
                "Expected `int`, got `str` - at `$.need.days`",
            ],
        ),
        ({"several": 3}, ["Expected `array`, got `int` - at `$.several`"]),
        (
            {"one": {"from": 2.0, "days": 1}, "maybe": 1},
            [
                "Expected `float` <= 1.0 - at `$.one.from`",
                "Expected `array`, got `int` - at `$.one.days`",
                "Expected `object | null`, got `int` - at `$.maybe`",
            ],
        ),
    ],
)
def test_every_value_that_cannot_be_is_named(value: Any, said: list[str]):
    """Nobody mends a file one message at a time, nor looks for the table that is meant."""
    assert list(ill_formed(value, Whole)) == said
