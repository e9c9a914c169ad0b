"""Why a record cannot be read: the slow half of the codec, which runs only for records that failed."""

import codecs
import re
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

import msgspec

from schemas.envelope import SPEC_VERSION
from schemas.fields import FieldError
from schemas.rejects import Reject, RejectReason, reject
from schemas.touchpoints import TYPES

_PATH: Final = re.compile(r" - at `(?:key in )?(\$[^`]*)`$")
_LONE_SURROGATE: Final = re.compile(
    # Behind an even number of backslashes: others are text, and looking on from each would take seconds.
    rb"(?<!\\)(?:\\\\)*\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])[^\"]*\""
)
_STEP: Final = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_MISSING: Final = re.compile(r"^Object missing required field `(\w+)`")
_EXPECTED: Final = re.compile(r"^Expected (.+?)(?:, got `.*`)?$")
_VERSION: Final = re.compile(r"^(.+)\.v\d+$")
_TIME_MEND: Final = "Send RFC 3339 with an offset, such as 2026-05-03T14:00:00+02:00."
_WORDS: Final = {
    "str": "a string",
    "bool": "true or false",
    "int": "an integer",
    "float": "a number",
    "array": "an array",
    "object": "an object",
    "date": "a date such as 2026-05-03",
}
_NAMES: Final = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    dict: "object",
    type(None): "null",
}


def json_type(value: object) -> str:
    """Return the JSON type of a decoded value: all of a value that a reject may show."""
    return _NAMES.get(type(value), "nothing")


def diagnose(value: bytes, error: Exception) -> Reject:
    """Return why a structured event could not be decoded; `error` is what the typed decoder raised."""
    if value.startswith(codecs.BOM_UTF8):
        return reject(RejectReason.NOT_JSON, "$", "a byte order mark", "Send UTF-8 without one.")
    document: Any = {}
    try:
        document = msgspec.json.decode(value)
    except msgspec.ValidationError:
        pass  # a number beyond a double: well-formed, and the typed error names its place
    except (ValueError, RecursionError) as failure:
        return not_json(failure, value)
    if not isinstance(document, dict):
        return reject(RejectReason.SCHEMA_VIOLATION, "$", json_type(document), "Send one JSON object.")
    return diagnose_envelope(document) or violation(document, error)


def not_json(failure: Exception, value: bytes) -> Reject:
    """Return the reject for bytes that are no JSON; msgspec's words name a position, never content."""
    if isinstance(failure, RecursionError):
        seen = "objects or arrays nested too deeply"
    elif isinstance(failure, UnicodeDecodeError):
        seen = "bytes that are not UTF-8"
    elif "truncated" not in str(failure):
        seen = f"malformed JSON: {str(failure).removeprefix('JSON is malformed: ')}"
    elif _LONE_SURROGATE.search(value):  # msgspec looks for the other half until the value ends
        seen = "malformed JSON: half of a utf-16 surrogate pair"
    else:
        seen = "JSON that ends too early"
    return reject(RejectReason.NOT_JSON, "$", seen)


def diagnose_envelope(attributes: dict[str, Any]) -> Reject | None:
    """Return what is wrong with the type's name or the version of CloudEvents; None if nothing is."""
    name = attributes.get("type")
    if isinstance(name, str) and name not in TYPES:
        return unknown_type(name)
    version = attributes.get("specversion")
    if isinstance(version, str) and version != SPEC_VERSION:
        mend = f"Send specversion {SPEC_VERSION}."
        return reject(RejectReason.UNSUPPORTED_VERSION, "$.specversion", "string", mend)
    return None


@lru_cache(maxsize=1024)  # a publisher repeats its mistake with every event
def unknown_type(name: str) -> Reject:
    """Return the reject for a type that is not in the contract, told apart from an unknown version of one."""
    stem = _VERSION.match(name)
    known = [known for known in TYPES if stem and _VERSION.sub(r"\1", known) == stem[1]]
    if known:
        mend = f"Send {known[0]}."
        return reject(RejectReason.UNSUPPORTED_VERSION, "$.type", "string", mend)
    suggestion = suggest(name)
    mend = f"Did you mean {suggestion}?" if suggestion else ""
    return reject(RejectReason.UNKNOWN_TYPE, "$.type", "string", mend)


def suggest(name: str) -> str | None:
    """Return the type closest to `name`, with or without `cx.` and `.v1`; None if none is close."""
    wanted = name[:128].lower()
    if not wanted.startswith("cx."):
        wanted = f"cx.{wanted}"
    if not _VERSION.match(wanted):
        wanted = f"{wanted}.v1"
    return next(iter(get_close_matches(wanted, TYPES, n=1, cutoff=0.75)), None)


def violation(document: dict[str, Any], error: Exception, root: str = "$") -> Reject:
    """Return a typed decoder's complaint as a reject: its path, the type seen there and the mend.

    `root` is where in `document` the decoder stood, `$.data` for the data of a binary event.
    """
    text, path = str(error), root
    found = _PATH.search(text)
    if found:
        text, path = text[: found.start()], root + found[1].removeprefix("$")
    cause = error.__cause__
    if isinstance(cause, FieldError):
        return reject(RejectReason.SCHEMA_VIOLATION, f"{path}.{cause.field}", cause.seen, cause.mend)
    missing = _MISSING.match(text)
    if missing:
        path = f"{path}.{missing[1]}"
        return reject(RejectReason.SCHEMA_VIOLATION, path, "nothing", f"Send `{missing[1]}`.")
    seen = "number" if text == "Number out of range" else _seen(document, path)
    return reject(RejectReason.SCHEMA_VIOLATION, path, seen, _mend(text, path, document.get("type")))


def _seen(document: Any, path: str) -> str:
    """Return the JSON type at `path`; "value" where the document was too odd to walk."""
    here = document
    for name, index in _STEP.findall(path):
        if isinstance(here, dict) and name in here:
            here = here[name]
        elif isinstance(here, list) and index.isdigit() and int(index) < len(here):
            here = here[int(index)]
        else:
            return "value"
    return json_type(here)


def _mend(text: str, path: str, type_name: object) -> str:
    """Return what to send instead; of msgspec's words only those that cannot carry a value are kept."""
    if text.endswith("encoded date"):
        return f"Send {_WORDS['date']}."
    if "datetime" in text:
        return _TIME_MEND
    if text.startswith("Invalid enum value"):
        values = allowed(str(type_name), path)
        return f"Send one of {', '.join(values)}." if values else ""
    expected = _EXPECTED.match(text)
    if expected is None:
        return ""
    kind, _, bounds = expected[1].replace("`", "").replace(" | null", "").partition(" ")
    return f"Send {_WORDS.get(kind, kind)} {bounds}".rstrip() + "."


@lru_cache(maxsize=256)
def allowed(type_name: str, path: str) -> tuple[str, ...]:
    """Return the values that the closed field at `path` of a type may have."""
    info = TYPES.get(type_name)
    if info is None:  # an object may name its type twice: msgspec took the first, the document kept the last
        return ()
    here: msgspec.inspect.Type | None = msgspec.inspect.type_info(info.touchpoint)
    for name, _ in _STEP.findall(path):
        here = _child(here, name)
    plain = _plain(here)
    return tuple(map(str, plain.values)) if isinstance(plain, msgspec.inspect.LiteralType) else ()


def _plain(kind: msgspec.inspect.Type | None) -> msgspec.inspect.Type | None:
    """Return a field's type without its constraints and without null."""
    while isinstance(kind, (msgspec.inspect.Metadata, msgspec.inspect.UnionType)):
        if isinstance(kind, msgspec.inspect.Metadata):
            kind = kind.type
        else:
            kind = next(t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType))
    return kind


def _child(kind: msgspec.inspect.Type | None, name: str) -> msgspec.inspect.Type | None:
    """Return the type of a field of an object, or of the items of an array where `name` is empty."""
    kind = _plain(kind)
    if isinstance(kind, msgspec.inspect.VarTupleType):
        return kind.item_type
    fields = kind.fields if isinstance(kind, msgspec.inspect.StructType) else ()
    return next((field.type for field in fields if field.name == name), None)
