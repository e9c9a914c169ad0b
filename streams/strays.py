"""Fields of an event that its type does not know: they are ignored, and a misspelled one is lost silently."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args, get_type_hints

import msgspec

from schemas.envelope import Touchpoint
from schemas.touchpoints import TYPES
from streams.mistakes import did_you_mean


class Stray(NamedTuple):
    """A field that nobody reads, and what was probably meant."""

    path: str
    meant: str


def strays(line: bytes, event: Touchpoint) -> list[Stray]:
    """Return the unknown fields in the data of `line`, which was decoded as `event`, each once."""
    data = msgspec.json.decode(line).get("data")
    return list(dict.fromkeys(_within(data, TYPES[event.type].data, "$.data")))


def _within(value: Any, hint: Any, path: str) -> Iterator[Stray]:
    fields = _fields(hint)
    if isinstance(value, Mapping) and fields:
        for name, inner in value.items():
            if name in fields:
                yield from _within(inner, fields[name], f"{path}.{name}")
            else:
                yield Stray(f"{path}.{name}", did_you_mean(name, fields).removeprefix(", "))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _within(inner, hint, f"{path}[]")


def _fields(hint: Any) -> dict[str, Any]:
    """Return the fields of a structure, or of the one that a hint has within; none where there is none."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return get_type_hints(hint)
    return next(filter(None, map(_fields, get_args(hint))), {})
