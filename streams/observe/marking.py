"""Where in a rejected record's bytes the failing field stands."""

import json
import re
from dataclasses import dataclass
from typing import Final

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Marked:
    """Text in three parts; `field` is what failed, empty where it cannot be told."""

    before: str
    field: str
    after: str


def mark(value: bytes | None, path: str, window: int = 400) -> Marked:
    """Return the text of `value` with what stands at the JSON `path` apart, `window` characters around it.

    A field that is missing is marked at the object that lacks it; bytes that are no JSON at the place where
    they stop being it.
    """
    if value is None:
        return Marked("(no value)", "", "")
    text = value.decode("utf-8", "backslashreplace")
    begin, end = _span(text, path)
    return Marked(
        _cut_before(text[:begin], window), _cut_after(text[begin:end], window), _cut_after(text[end:], window)
    )


def _cut_before(text: str, window: int) -> str:
    return text if len(text) <= window else f"...({len(text) - window:,} more)" + text[-window:]


def _cut_after(text: str, window: int) -> str:
    return text if len(text) <= window else text[:window] + f"...({len(text) - window:,} more)"


def _span(text: str, path: str) -> tuple[int, int]:
    """Return begin and end of what stands at `path`."""
    try:
        begin, end = _value(text, 0)
        if _skip(text, end) != len(text):
            return end, len(text)  # something follows the document
        for name, index in _STEP.findall(path):
            inner = _index(text, begin, int(index)) if index else _member(text, begin, name)
            if inner is None:
                break
            begin, end = inner
    except json.JSONDecodeError as error:
        return error.pos, min(len(text), error.pos + 1)
    except RecursionError:
        return 0, 0
    return begin, end


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _value(text: str, at: int) -> tuple[int, int]:
    begin = _skip(text, at)
    return begin, _DECODER.raw_decode(text, begin)[1]


def _member(text: str, at: int, name: str) -> tuple[int, int] | None:
    """Return the span of a member's value in the object at `at`; the last of a name that comes twice."""
    if not text.startswith("{", at):
        return None
    found = None
    at = _skip(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        begin, at = _value(text, _skip(text, at) + 1)  # behind the colon
        if key == name:
            found = begin, at
        at = _next(text, at)
    return found


def _index(text: str, at: int, index: int) -> tuple[int, int] | None:
    if not text.startswith("[", at):
        return None
    at = _skip(text, at + 1)
    while text[at] != "]":
        begin, at = _value(text, at)
        if index == 0:
            return begin, at
        index -= 1
        at = _next(text, at)
    return None


def _next(text: str, at: int) -> int:
    """Return where the next item begins, or the bracket that ends the items; the text was read before."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at
