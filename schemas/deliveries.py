"""What the delivery remembers on its own topic: how each message ended, and when nothing was to be sent."""

from typing import Annotated, Final, Literal

import msgspec
import orjson

from schemas.fields import says

Ending = Literal["accepted", "refused", "gone", "expired", "undecodable", "paused", "muted", "withdrawn"]

ENDINGS: Final[dict[str, str]] = {
    "accepted": "The receiver answered 2xx.",
    "refused": "The receiver answered that it will never take this message (400, 413, 415, 422).",
    "gone": "The receiver answered 410: it wants no more messages.",
    "expired": "It was not accepted within the endpoint's max_age_s.",
    "undecodable": "The record on the topic of alerts is no alert.",
    "paused": "Delivery was paused between the alert and its delivery.",
    "muted": "A route leads to nowhere.",
    "withdrawn": "The alert was resolved or erased before the first attempt.",
}
"""Every way in which the delivery of a step ends, and what it means."""

DEAD: Final = frozenset({"refused", "gone", "expired", "undecodable"})
"""Endings that leave a dead letter."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How the delivery of one step of an alert ended. Key: the message id. It names no customer."""

    message_id: Annotated[str, says("The `webhook-id`: equal in every attempt.")]
    alert_id: Annotated[str, says("The alert.")]
    step: Annotated[str, says("The step of the alert.")]
    endpoint: Annotated[str, says("The endpoint of the routes file; empty where none was chosen.")]
    ending: Annotated[Ending, says("How it ended.")]
    at: Annotated[str, says("When, RFC 3339 in UTC.")]
    attempts: Annotated[int, says("Attempts since the last start.")]
    status: Annotated[int | None, says("The last HTTP status, null without an answer.")] = None


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which nothing is sent."""

    from_s: Annotated[float, says("When it began, seconds since the epoch.")]
    until_s: Annotated[float | None, says("When it ended; null while it lasts.")] = None
    reason: Annotated[str, says("Why, in the words of who paused.")] = ""


class Pauses(msgspec.Struct, frozen=True, kw_only=True):
    """All pauses of the delivery, the oldest first. Key: `pauses`."""

    pauses: Annotated[list[Pause], says("The latest ones, the newest last.")] = []

    @property
    def current(self) -> Pause | None:
        """Return the pause that lasts, None where deliveries are made."""
        newest = self.pauses[-1] if self.pauses else None
        return newest if newest is not None and newest.until_s is None else None

    @property
    def paused(self) -> bool:
        """Tell whether nothing is sent now."""
        return self.current is not None

    def since(self, at_s: float) -> bool:
        """Tell whether a pause was in force at some time from `at_s` (seconds) until now."""
        return any(each.until_s is None or each.until_s > at_s for each in self.pauses)


def encode(record: Settlement | Pauses) -> bytes:
    """Return a record of the topic as JSON in UTF-8 with sorted keys."""
    return orjson.dumps(msgspec.to_builtins(record), option=orjson.OPT_SORT_KEYS)
