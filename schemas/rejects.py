"""The closed set of reasons to reject a record, and the reject itself: a value, never an exception."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

import msgspec


class RejectReason(StrEnum):
    """Why a record was rejected: one word for the metric's label, the dead letter's header and the docs."""

    NOT_JSON = "not_json"
    SCHEMA_VIOLATION = "schema_violation"
    UNKNOWN_TYPE = "unknown_type"
    UNSUPPORTED_VERSION = "unsupported_version"
    KEY_MISSING = "key_missing"
    KEY_MISMATCH = "key_mismatch"
    TOO_LARGE = "too_large"
    CLOCK_FUTURE = "clock_future"
    CLOCK_ANCIENT = "clock_ancient"
    CAPACITY = "capacity"
    RESERVED_KEY = "reserved_key"
    FORGET_KEY = "forget_key"


@dataclass(frozen=True, slots=True)
class ReasonInfo:
    """What a reason means and what its publisher or operator does about it, one line each."""

    meaning: str
    mend: str


REASONS: Final[dict[RejectReason, ReasonInfo]] = {
    RejectReason.NOT_JSON: ReasonInfo(
        "The value is no JSON document in UTF-8, or nests too deeply to be read.",
        "Send one JSON object in UTF-8 per record.",
    ),
    RejectReason.SCHEMA_VIOLATION: ReasonInfo(
        "A field is missing, has another type than the contract's, or lies outside its bounds.",
        "Send the named field as `cx schema show TYPE` has it.",
    ),
    RejectReason.UNKNOWN_TYPE: ReasonInfo(
        "The event's `type` is none of the contract's.",
        "Use a name of `cx schema list`.",
    ),
    RejectReason.UNSUPPORTED_VERSION: ReasonInfo(
        "The `type` is known, but not in this major version; or `specversion` is not 1.0.",
        "Send the version that `cx schema list` names.",
    ),
    RejectReason.KEY_MISSING: ReasonInfo(
        "There is nobody to score: neither `subject` nor `anonymousid`, or the record has no key.",
        "Send the customer id as `subject` and as the record's key.",
    ),
    RejectReason.KEY_MISMATCH: ReasonInfo(
        "The record's key differs from `subject`, so the event would be counted on another partition.",
        "Use the UTF-8 bytes of `subject` as the record's key.",
    ),
    RejectReason.TOO_LARGE: ReasonInfo(
        "The value is larger than 256 KiB.",
        "Send identifiers instead of documents.",
    ),
    RejectReason.CLOCK_FUTURE: ReasonInfo(
        "The event time is more than 5 minutes after the record's timestamp.",
        "Set the publisher's clock, and leave the record's timestamp to the producer.",
    ),
    RejectReason.CLOCK_ANCIENT: ReasonInfo(
        "The event time lies before the policy's earliest date.",
        "Send `time` in RFC 3339 (a number of seconds read as milliseconds gives 1970).",
    ),
    RejectReason.CAPACITY: ReasonInfo(
        "The partition holds as many customers as CX_MAX_CUSTOMERS allows.",
        "Raise CX_MAX_CUSTOMERS, then send them again with `cx deadletters replay --reason capacity`.",
    ),
    RejectReason.RESERVED_KEY: ReasonInfo(
        "The record's key starts with the byte 0, which the engine keeps for itself.",
        "Use customer ids that do not start with the byte 0.",
    ),
    RejectReason.FORGET_KEY: ReasonInfo(
        "A customer is to be forgotten, and the worker has no key, or not the one of who asks.",
        "Give every worker the CX_FORGET_KEY_FILE of `cx forget`, then run `cx forget` again.",
    ),
}


@final
class Reject(msgspec.Struct, frozen=True, gc=False):
    """A record that was not applied: where it failed, what was seen there, and what to do.

    `path` is a JSON path such as `$.data.score`. `seen` is the type of what stood there, never its value, so
    that a reject can be logged and counted without a customer's data.
    """

    reason: RejectReason
    path: str
    seen: str
    mend: str

    @property
    def detail(self) -> str:
        """The reject in one line."""
        return f"{self.reason.value} at {self.path}: saw {self.seen}. {self.mend}"


def reject(reason: RejectReason, path: str, seen: str, mend: str = "") -> Reject:
    """Return a reject, with the reason's own mend where none more precise is given."""
    return Reject(reason, path, seen, mend or REASONS[reason].mend)


class _Sourced(msgspec.Struct, gc=False):
    """What is still looked for in a record that was rejected."""

    source: str | None = None


_SOURCED: Final = msgspec.json.Decoder(_Sourced)


def source_of(value: bytes | None, headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """Return the CloudEvents `source` that a rejected record names; None where it cannot be read."""
    for name, content in headers:
        if name == "ce_source" and content is not None:
            return content.decode("utf-8", "replace")
    try:
        return _SOURCED.decode(value or b"").source
    except (ValueError, RecursionError):
        return None


DEAD_LETTER_HEADERS: Final[dict[str, str]] = {
    "cx-reason": "Why it was rejected, one of a closed set.",
    "cx-detail": "Where it failed, the type seen there and the mend, in one line without any value.",
    "cx-topic": "The topic it came from.",
    "cx-partition": "Its partition there, in decimal.",
    "cx-offset": "Its offset there, in decimal.",
    "cx-timestamp": "Its record timestamp there, ms since the epoch, in decimal.",
}


def dead_letter_headers(
    found: Reject, *, topic: str, partition: int, offset: int, timestamp_ms: int
) -> tuple[tuple[str, bytes], ...]:
    """Return the headers that a dead letter carries after the original's own, in the order of the table."""
    values = (found.reason.value, found.detail, topic, partition, offset, timestamp_ms)
    return tuple((name, str(value).encode()) for name, value in zip(DEAD_LETTER_HEADERS, values, strict=True))
