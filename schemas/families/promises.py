"""Touchpoints of what the company promised."""

from datetime import MAXYEAR, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from schemas.envelope import Touchpoint
from schemas.fields import Channel, Data, FieldError, Id, Text, Time, Zone, says


def zone(name: str) -> ZoneInfo | None:
    """Return the IANA time zone `name`; None where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # ZoneInfo answers a folder, a NUL or an overlong name with ValueError or OSError.
        return None


def check_zone(name: str | None) -> None:
    """Raise FieldError where `name` is given and no IANA time zone."""
    if name is not None and zone(name) is None:
        raise FieldError(
            field="timezone", seen="string", mend="Send an IANA time zone, such as Europe/Berlin."
        )


class PromiseMadeData(Data, frozen=True, kw_only=True):
    """A promise, due at a time or by the end of a day."""

    promise_id: Annotated[Id, says("The promise; kept and withdrawn name it too.")]
    kind: Annotated[Text | None, says("What was promised, such as callback, refund, repair or reply.")] = None
    due_at: Annotated[Time | None, says("Due by then; or send due_on and timezone.")] = None
    due_on: Annotated[date | None, says("Due by the end of that day in `timezone`.")] = None
    timezone: Annotated[Zone | None, says("IANA time zone of due_on.")] = None
    fulfilled_by: Annotated[
        Channel | None, says("The channel that will report it kept; without it, this one.")
    ] = None

    def __post_init__(self) -> None:
        """Require one due time that means the same everywhere."""
        check_zone(self.timezone)
        if self.due_on is not None and self.due_on.year == MAXYEAR:  # the next midnight is no datetime
            raise FieldError(field="due_on", seen="string", mend=f"Send a day before the year {MAXYEAR}.")
        if self.due_at is None and (self.due_on is None or self.timezone is None):
            field = "due_at" if self.due_on is None else "timezone"
            raise FieldError(field, "nothing", "Send `due_at` with an offset, or `due_on` with `timezone`.")

    @property
    def due(self) -> datetime | None:
        """The moment at which the promise is broken if it was not kept."""
        if self.due_at is not None or self.due_on is None or self.timezone is None:
            return self.due_at
        return datetime.combine(self.due_on, time(), zone(self.timezone)) + timedelta(days=1)


class PromiseMade(Touchpoint, frozen=True, kw_only=True, tag="cx.promise.made.v1"):
    """The customer was promised something by a time."""

    data: PromiseMadeData


class PromiseEndData(Data, frozen=True, kw_only=True):
    """The promise that ended."""

    promise_id: Annotated[Id, says("The promise.")]


class PromiseKept(Touchpoint, frozen=True, kw_only=True, tag="cx.promise.kept.v1"):
    """A promise was kept, at the event's time."""

    data: PromiseEndData


class PromiseWithdrawn(Touchpoint, frozen=True, kw_only=True, tag="cx.promise.withdrawn.v1"):
    """A promise no longer holds, by agreement with the customer."""

    data: PromiseEndData
