"""Bytes to touchpoints and back: one typed pass on the way in, reasons only for what failed it."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, Final

import msgspec

from schemas.arrivals import Arrival
from schemas.diagnosis import diagnose, diagnose_envelope, json_type, not_json, violation
from schemas.envelope import Touchpoint
from schemas.fields import ID_MAX_BYTES
from schemas.rejects import Reject, RejectReason, reject
from schemas.touchpoints import TYPES

MAX_BYTES: Final = 256 << 10
CLOCK_SKEW_S: Final = 300.0
"""A publisher's clock may be this far ahead of the broker's before its event times are refused."""
LATEST_S: Final = 4_294_967_296.0
"""2106-02-07T06:28:16Z, where the bits of rows end: a later event time is a mistake, whatever says it."""
SURELY_FITS: Final = ID_MAX_BYTES // 4
"""A character has at most four bytes."""
RESERVED_PREFIX: Final = b"\x00"
"""Keys that start so are no customers': the engine's marker and the forgotten live among the rows."""

Headers = Sequence[tuple[str, bytes | None]]
"""Headers of a record; Kafka lets one have no value."""

_UNION: Any = reduce(or_, (info.touchpoint for info in TYPES.values()))
_DECODER: Final[msgspec.json.Decoder[Touchpoint]] = msgspec.json.Decoder(_UNION)
_decode: Final = _DECODER.decode
_encode = msgspec.json.Encoder().encode
_DATA_DECODERS: Final = {name: msgspec.json.Decoder(info.data) for name, info in TYPES.items()}
_UNREADABLE: Final = (ValueError, RecursionError, OverflowError)
"""All that decoding raises: the errors of msgspec and of Unicode are ValueErrors."""


def decode(value: bytes | None, key: bytes | None, headers: Headers = ()) -> Touchpoint | Reject:
    """Decode a Kafka record in CloudEvents' structured or binary mode; never raises."""
    found = receive(value, key, headers)
    return found.event if isinstance(found, Arrival) else found


def receive(value: bytes | None, key: bytes | None, headers: Headers = ()) -> Arrival | Reject:
    """Decode a Kafka record as `decode` does, for those who read on in its envelope."""
    if value is None or len(value) > MAX_BYTES or (headers and _is_binary(headers)):
        return _arrived(_decode_odd(value, key, headers), key)
    try:
        arrival = Arrival(_decode(value), key)
    except _UNREADABLE as error:
        return _arrived(_second_look(value, key, error), key)
    subject = arrival.subject
    # The one test that all good events pass: what fails it is judged rule by rule.
    if (
        subject
        and key == subject.encode()
        and len(key) <= ID_MAX_BYTES
        and key[0]
        and _fits(arrival.id)
        and _fits(arrival.source)
    ):
        return arrival
    return _arrived(_judge_ids(arrival.event, key), key)


def decode_line(line: bytes | str) -> Touchpoint | Reject:
    """Decode one line of a file, as if `subject` had been the record's key; never raises."""
    value = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    if len(value) > MAX_BYTES:
        return _too_large(value)
    try:
        event = _decode(value)
    except _UNREADABLE as error:
        repaired = _without_null_data(value)
        if repaired is None:
            return diagnose(value, error)
        event = repaired
    return _judge_ids(event, None if event.subject is None else event.subject.encode())


def encode(touchpoint: Touchpoint) -> bytes:
    """Return a touchpoint as one structured JSON event; what equals its default is left out."""
    return _encode(touchpoint)


def to_binary(touchpoint: Touchpoint) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return a touchpoint in binary mode: the data as the value, the attributes as `ce_*` headers."""
    attributes = msgspec.to_builtins(touchpoint, str_keys=True)
    data = attributes.pop("data", {})
    headers = [("content-type", b"application/json")]
    for name, attribute in attributes.items():
        text = str(attribute).lower() if isinstance(attribute, bool) else str(attribute)
        headers.append((f"ce_{name}", text.encode()))
    return _encode(data), headers


def judge_time(happened_s: float, recorded_s: float, ancient_before_s: float) -> Reject | None:
    """Return a reject for an event time that cannot be true, else None.

    `happened_s` is the event time, `recorded_s` the record's timestamp and `ancient_before_s` the policy's
    earliest date, all in seconds since the epoch. The wall clock plays no part, so that a replay decides the
    same.
    """
    if happened_s > recorded_s + CLOCK_SKEW_S or happened_s >= LATEST_S:
        return reject(RejectReason.CLOCK_FUTURE, "$.time", "a time after the record's")
    if happened_s < ancient_before_s:
        return reject(RejectReason.CLOCK_ANCIENT, "$.time", "a time before the earliest")
    return None


def _arrived(found: Touchpoint | Reject, key: bytes | None) -> Arrival | Reject:
    return found if isinstance(found, Reject) else Arrival(found, key)


def _too_large(value: bytes) -> Reject:
    return reject(RejectReason.TOO_LARGE, "$", f"{len(value)} bytes")


def _decode_odd(value: bytes | None, key: bytes | None, headers: Headers) -> Touchpoint | Reject:
    """Decode a record that is too large, has no value, or is in binary mode."""
    if value is not None and len(value) > MAX_BYTES:
        return _too_large(value)
    if not _is_binary(headers):
        return reject(RejectReason.NOT_JSON, "$", "a tombstone (no value)")
    event = _binary(value, headers)
    return event if isinstance(event, Reject) else _judge_ids(event, key)


def _second_look(value: bytes, key: bytes | None, error: Exception) -> Touchpoint | Reject:
    """Accept an event that is well but for null data; else say what is wrong."""
    event = _without_null_data(value)
    return diagnose(value, error) if event is None else _judge_ids(event, key)


def _without_null_data(value: bytes) -> Touchpoint | None:
    """Return the event whose only fault is that its optional data is null; None for any other fault."""
    try:
        document = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        if bytes(document["data"]) != b"null":
            return None
        del document["data"]
        return _decode(_encode(document))
    except (*_UNREADABLE, KeyError):
        return None


def _is_binary(headers: Headers) -> bool:
    return any(name == "ce_specversion" for name, _ in headers)


def _binary(value: bytes | None, headers: Headers) -> Touchpoint | Reject:
    """Decode an event whose attributes are headers and whose value is the data."""
    attributes: dict[str, Any] = {}
    for name, content in headers:
        if name.startswith("ce_") and content is not None:
            try:
                attributes[name[3:]] = content.decode()
            except UnicodeDecodeError:
                seen = "bytes that are not UTF-8"
                return reject(RejectReason.SCHEMA_VIOLATION, f"$.{name[3:]}", seen, "Send UTF-8.")
    attributes.pop("data", None)
    wrong = diagnose_envelope(attributes)
    if wrong is not None:
        return wrong
    if "type" not in attributes:
        return reject(RejectReason.SCHEMA_VIOLATION, "$.type", "nothing", "Send `type` as header `ce_type`.")
    if attributes.get("backfill") in ("true", "false"):
        attributes["backfill"] = attributes["backfill"] == "true"
    return _join(attributes, value)


def _join(attributes: dict[str, Any], value: bytes | None) -> Touchpoint | Reject:
    """Decode the data by its type and put it under its attributes."""
    info = TYPES[attributes["type"]]
    if value and value.strip() != b"null":
        try:
            attributes["data"] = _DATA_DECODERS[info.name].decode(value)
        except _UNREADABLE as error:
            return _diagnose_data(attributes, value, error)
    try:
        return msgspec.convert(attributes, info.touchpoint)
    except _UNREADABLE as error:
        return violation(attributes, error)


def _diagnose_data(attributes: dict[str, Any], value: bytes, error: Exception) -> Reject:
    """Return why the data of a binary event could not be decoded."""
    try:
        attributes["data"] = msgspec.json.decode(value)
    except msgspec.ValidationError:
        pass  # a number beyond a double: well-formed, and the typed error names its place
    except (ValueError, RecursionError) as failure:
        return not_json(failure, value)
    return violation(attributes, error, "$.data")


def _fits(name: str) -> bool:
    """Tell whether a name is surely within its length in bytes: its type bounds it in characters only."""
    return len(name) <= SURELY_FITS or name.isascii()


def _judge_ids(event: Touchpoint, key: bytes | None) -> Touchpoint | Reject:
    """Hold the event's names to the record's key and to their length in bytes."""
    subject = event.subject
    if key is not None and key.startswith(RESERVED_PREFIX):
        return reject(RejectReason.RESERVED_KEY, "$.subject", "a key starting with the byte 0")
    if subject is not None and (key is None or subject.encode() != key):
        return _judge_key(key)
    if subject is None and event.anonymousid is None:
        return reject(RejectReason.KEY_MISSING, "$.subject", "nothing")
    if _fits(event.id) and _fits(event.source) and (key is None or len(key) <= ID_MAX_BYTES):
        return event
    return _judge_lengths(event)


def _judge_key(key: bytes | None) -> Reject:
    if key is None:
        mend = "The record has no key: use the UTF-8 bytes of `subject`."
        return reject(RejectReason.KEY_MISSING, "$.subject", "a record without a key", mend)
    return reject(RejectReason.KEY_MISMATCH, "$.subject", "another string than the key")


def _judge_lengths(event: Touchpoint) -> Touchpoint | Reject:
    """Measure the names in bytes: the types bound them in characters only."""
    for name in ("id", "source", "subject"):
        text = getattr(event, name)
        if text is not None and len(text.encode()) > ID_MAX_BYTES:
            mend = f"Send at most {ID_MAX_BYTES} bytes of UTF-8."
            return reject(RejectReason.SCHEMA_VIOLATION, f"$.{name}", json_type(text), mend)
    return event
