"""What is wrong in a file that a person wrote: all of it, each by its name, with what was probably meant."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

_AT = " - at `$"
"""How msgspec begins to tell a place below the value that it was given."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean ...?` for a word that is not among the known ones; empty if none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    # The letter that a page gives to what has a longer name in the file: `w` is the weight.
    near = near or [each for each in names if word and each.startswith(word)]
    return f", did you mean `{near[0]}`?" if len(near) == 1 else ""


def ill_formed(value: Any, hint: Any, path: str = "") -> Iterator[str]:
    """Yield each value that `hint` does not allow. msgspec itself tells one, and not the key of its table."""
    below = list(_below(value, hint, path))
    for inner in below:
        yield from ill_formed(*inner)
    if not below:
        try:
            msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            said, _, place = str(error).partition(_AT)
            yield said + (f"{_AT}.{path}{place or '`'}" if path else "")


def _below(value: Any, hint: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """Yield the values in a table that are looked at one by one, each with what it has to be."""
    if get_origin(hint) is UnionType and isinstance(value, dict):
        hint = next(filter(_is_struct, get_args(hint)), hint)
    if _is_struct(hint) and isinstance(value, Mapping):
        hints = get_type_hints(hint, include_extras=True)
        named = dict(zip(hint.__struct_encode_fields__, hint.__struct_fields__, strict=True))
        yield from ((inner, hints[named[key]], _join(path, key)) for key, inner in value.items())
    elif get_origin(hint) is dict and isinstance(value, dict):
        keys, values = get_args(hint)
        yield from ((key, keys, path) for key in value)
        yield from ((inner, values, _join(path, key)) for key, inner in value.items())
    elif get_origin(hint) is list and isinstance(value, list):
        [inner_hint] = get_args(hint)
        yield from ((inner, inner_hint, f"{path}[{number}]") for number, inner in enumerate(value))


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
