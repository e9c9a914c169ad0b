"""What is wrong in a file that a person wrote: all of it, each by its name, with what was probably meant."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import fields

_AT = " - at `$"
"""How msgspec begins to tell a place below the value that it was given."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean ...?` for a word that is not among the known ones; empty if none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    # The letter that a page gives to what has a longer name in the file: `w` is the weight.
    near = near or [each for each in names if word and each.startswith(word)]
    return f", did you mean `{near[0]}`?" if len(near) == 1 else ""


def known_part(value: Any, hint: Any, problems: list[str], path: str = "") -> Any:
    """Return a value without the keys that no table has and the words that are not of a closed set.

    These are added to the `problems`, and what is left can be checked further. Where nothing is, it is UNSET.
    """
    kind = get_origin(hint)
    if kind is Literal and isinstance(value, str):
        return _known_word(value, get_args(hint), problems, path)
    if kind is tuple and isinstance(value, list):
        found = [known_part(inner, get_args(hint)[0], problems, path) for inner in value]
        return [inner for inner in found if inner is not UNSET]
    if kind is dict and isinstance(value, Mapping):
        return _known_entries(value, get_args(hint), problems, path)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and isinstance(value, Mapping):
        return _known_fields(value, get_type_hints(hint), problems, path)
    return value


def _known_word(word: str, known: tuple[str, ...], problems: list[str], path: str) -> str | UnsetType:
    if word in known:
        return word
    words = ", ".join(f'"{each}"' for each in known)
    problems.append(f"{path} can be {words}, not `{word}`" + did_you_mean(word, known))
    return UNSET


def _known_entries(
    value: Mapping[str, Any], hints: tuple[Any, ...], problems: list[str], path: str
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in value.items():
        is_known = known_part(name, hints[0], problems, f"a name in {path}") is not UNSET
        left = known_part(inner, hints[1], problems, _join(path, name))
        if is_known and left is not UNSET:
            found[name] = left
    return found


def _known_fields(
    value: Mapping[str, Any], hints: Mapping[str, Any], problems: list[str], path: str
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if name not in hints:
            problems.append(f"unknown key `{_join(path, name)}`" + did_you_mean(name, hints))
        elif (left := known_part(inner, hints[name], problems, _join(path, name))) is not UNSET:
            found[name] = left
    return found


def ill_formed(value: Any, hint: Any, path: str = "") -> Iterator[str]:
    """Yield each value that `hint` does not allow, and each that is missing; unknown keys are passed over.

    msgspec itself tells one, and not the key of its table.
    """
    below, missing = list(_below(value, hint, path)), list(_missing(value, hint, path))
    yield from missing
    for inner in below:
        yield from ill_formed(*inner)
    if not below and not missing:
        try:
            msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            said, _, place = str(error).partition(_AT)
            yield said + (f"{_AT}.{path}{place or '`'}" if path else "")


def _below(value: Any, hint: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    """Yield the values in a table that are looked at one by one, each with what it has to be."""
    if (struct := _struct_of(value, hint)) is not None:
        hints = get_type_hints(struct, include_extras=True)
        known = {each.encode_name: hints[each.name] for each in fields(struct)}
        yield from ((inner, known[key], _join(path, key)) for key, inner in value.items() if key in known)
    elif get_origin(hint) is dict and isinstance(value, dict):
        keys, values = get_args(hint)
        yield from ((key, keys, path) for key in value)
        yield from ((inner, values, _join(path, key)) for key, inner in value.items())
    elif get_origin(hint) in {list, tuple} and isinstance(value, list):
        inner_hint = get_args(hint)[0]
        yield from ((inner, inner_hint, f"{path}[{number}]") for number, inner in enumerate(value))


def _missing(value: Any, hint: Any, path: str) -> Iterator[str]:
    """Yield the keys that a table has to have and does not."""
    struct = _struct_of(value, hint)
    for each in fields(struct) if struct is not None else ():
        if each.required and each.encode_name not in value:
            yield f"missing key `{_join(path, each.encode_name)}`"


def _struct_of(value: Any, hint: Any) -> type[msgspec.Struct] | None:
    """Return what a table is to be read as; None where a value is no table, or not of named keys."""
    if not isinstance(value, Mapping):
        return None
    hints = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    return next((each for each in hints if isinstance(each, type) and issubclass(each, msgspec.Struct)), None)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
