"""A step of an alert as the delivery reads it: what it decides by; the rest stays the bytes that came."""

import hashlib
from typing import Any, Final

import msgspec

from schemas.tracing import trace_of

ID_BYTES: Final = 15


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of `schemas.outputs.ChurnAlert` that the delivery looks at.

    Words of closed sets are plain texts here: a newer worker's step is delivered by an older delivery.
    """

    alert_id: str
    customer_id: str
    step: str
    severity: str
    rule: str
    reason: str
    at: str
    announced: bool = False
    resolved_because: str | None = None
    churn_probability: float | None = None
    horizon_days: int = 90
    experience: float | None = None
    owner: str | None = None
    cause_owner: str | None = None
    timezone: str | None = None
    link: str | None = None
    segment: str | None = None
    tier: str | None = None
    expected_by: str | None = None
    act_by: str | None = None
    allowed_contact: list[str] | None = None
    do: list[str] = []
    do_not: list[str] = []


_DECODER: Final = msgspec.json.Decoder(Alert)


def decode(value: bytes) -> Alert:
    """Return the step in a record's value; raises `msgspec.MsgspecError` where there is none."""
    return _DECODER.decode(value)


def message_id(alert: Alert) -> str:
    """Return the `webhook-id` of a step: the same in every attempt, process and replay."""
    text = f"{alert.alert_id}\x00{alert.step}\x00{alert.severity}\x00{alert.at}"
    return "msg_" + hashlib.blake2b(text.encode(), digest_size=ID_BYTES).hexdigest()


def trace_headers(record: Any) -> dict[str, str]:
    """Return what a record of `cx.alerts`, or its dead letter, says of its trace, as headers of HTTP."""
    return {name: text.decode("ascii") for name, text in trace_of(record.headers)}
