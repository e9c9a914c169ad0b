"""The bounded field types of touchpoints, and the fields that the data of any touchpoint may carry."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

ID_MAX_BYTES: Final = 128
"""Subject, id and source are kept in rows and rings: their length bounds a row."""

Channel = Literal[
    "web", "app", "store", "phone", "ivr", "email", "chat", "sms", "social", "review", "product", "other"
]
CHANNELS: Final[tuple[str, ...]] = get_args(Channel)

Id = Annotated[str, Meta(min_length=1, max_length=ID_MAX_BYTES)]
Text = Annotated[str, Meta(max_length=512)]
Time = Annotated[datetime, Meta(tz=True)]
Seconds = Annotated[float, Meta(ge=0, le=3_155_760_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
Money = Annotated[int, Meta(ge=0, le=10_000_000_000_000)]
SignedMoney = Annotated[int, Meta(ge=-10_000_000_000_000, le=10_000_000_000_000)]
Currency = Annotated[str, Meta(extra_json_schema={"type": "string", "pattern": "^[A-Z]{3}$"})]
"""Data with one holds it to the pattern by `currencies.hold_currency`."""
Sentiment = Annotated[float, Meta(ge=-1, le=1)]
Scale = Annotated[float, Meta(ge=-1_000_000, le=1_000_000)]
Zone = Annotated[str, Meta(min_length=1, max_length=64)]
Direction = Literal["inbound", "outbound"]
Party = Literal["customer", "company"]
Resolved = Literal["yes", "no", "unknown"]


class FieldError(ValueError):
    """A rule between fields that the types alone cannot state; becomes a reject `schema_violation`.

    `field` is the field's name within its object, `seen` a JSON type (never the value), `mend` what to send.
    """

    def __init__(self, field: str, seen: str, mend: str) -> None:
        super().__init__(f"{field}: {mend}")
        self.field = field
        self.seen = seen
        self.mend = mend


def says(text: str) -> Meta:
    """Return the meaning of a field, shown in its JSON Schema, in `cx schema show` and in the docs."""
    return Meta(description=text)


class Data(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What happened; every touchpoint's data may carry these fields, and null means absent."""

    issue_id: Annotated[
        Id | None,
        says("The customer's issue this belongs to; contacts on one issue are told from new ones by it."),
    ] = None
    reason: Annotated[
        Text | None, says("Why, as a short code of your own, such as damaged or too_expensive.")
    ] = None
    order_id: Annotated[Id | None, says("The order this belongs to.")] = None
    session_id: Annotated[Id | None, says("The visit to site or app this belongs to.")] = None
    store_id: Annotated[Id | None, says("The store where it happened.")] = None
    direction: Annotated[
        Direction | None,
        says("inbound: the customer came to us; outbound: we went to the customer, no contact of theirs."),
    ] = None


class Clocks(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One duration measured on the wall clock and in business hours, as ticket systems report it."""

    calendar_s: Annotated[Seconds | None, says("Seconds on the wall clock.")] = None
    business_s: Annotated[Seconds | None, says("Seconds within business hours.")] = None


def fill(struct: msgspec.Struct, **values: Any) -> None:
    """Set fields of a frozen Struct that is still being made: a default that depends on another field."""
    for name, value in values.items():
        msgspec.structs.force_setattr(struct, name, value)
