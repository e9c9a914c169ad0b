"""The envelope that every touchpoint travels in: CloudEvents 1.0."""

from typing import Annotated, Final, Literal

import msgspec

from schemas.fields import Channel, Data, Id, Text, Time, says

SPEC_VERSION: Final = "1.0"


class Touchpoint(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="type", tag=False
):
    """A moment between one customer, in one role, and the company. Unknown attributes are ignored."""

    specversion: Annotated[Literal["1.0"], says("The version of CloudEvents.")]
    id: Annotated[Id, says("Unique within `source`; a repeat is a duplicate and counts once.")]
    source: Annotated[Id, says("The system that publishes, as a URI or path, such as /shop/web.")]
    time: Annotated[Time, says("When it happened (event time): RFC 3339 with offset.")]
    subject: Annotated[Id | None, says("The customer id, equal to the record's key.")] = None
    data: Data = Data()
    channel: Annotated[Channel | None, says("Where it happened; without it, the topic's channel.")] = None
    backfill: Annotated[
        bool | None, says("True for history: it changes the state and is announced to nobody.")
    ] = None
    recordedtime: Annotated[
        Time | None, says("When the source recorded it; lateness is measured from it.")
    ] = None
    account_id: Annotated[
        Id | None,
        says("The account or household of the customer, for other readers: scores are of customers."),
    ] = None
    role: Annotated[
        Id | None,
        says("The role of the customer, such as host or guest, whose subject is of that role alone."),
    ] = None
    anonymousid: Annotated[
        Id | None, says("A visitor not yet known; such an event is counted, not scored.")
    ] = None
    traceparent: Annotated[Text | None, says("W3C trace context of the publisher.")] = None

    @property
    def type(self) -> str:
        """The type's name, such as `cx.page.viewed.v1`."""
        return str(self.__struct_config__.tag)


def time_s(touchpoint: Touchpoint) -> float:
    """Return the event time in seconds since the epoch."""
    return touchpoint.time.timestamp()
