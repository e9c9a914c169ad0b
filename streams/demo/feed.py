"""What a producer sends, and the pace it sends at."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson

from streams.routing import topic_for
from streams.topics import WEB


class Record(NamedTuple):
    """One record on its way to a topic (name without the prefix); `time` is event time in epoch seconds."""

    value: bytes
    key: bytes | None
    topic: str
    time: float | None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast records leave: `rate` a second, or event time divided by `speedup`, or both; 0 is no bound."""

    rate: float = 0.0
    speedup: float = 0.0

    @property
    def bounded(self) -> bool:
        """Whether records ever have to wait."""
        return self.rate > 0 or self.speedup > 0

    def due(self, sent: int, elapsed_event_time: float) -> float:
        """Return the seconds after the start at which the record after `sent` others may leave.

        `elapsed_event_time` is the seconds of event time since the first record. A record that is late by
        event time is due at once: it never holds the others up.
        """
        by_rate = sent / self.rate if self.rate > 0 else 0.0
        by_event_time = elapsed_event_time / self.speedup if self.speedup > 0 else 0.0
        return max(by_rate, by_event_time)


def record_of(line: bytes) -> Record:
    """Read key and topic from the bytes of one event; bytes that are no event travel as they are.

    Whoever tries what is rejected must be able to send it, so nothing is judged here.
    """
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return Record(line, None, WEB.name, None)
    if not isinstance(event, dict):
        return Record(line, None, WEB.name, None)
    subject = _text(event, "subject")
    topic = topic_for(_text(event, "type") or "", _text(event, "channel"))
    # What arrived late is paced by when its source recorded it, not by when it happened.
    at = epoch_seconds(_text(event, "recordedtime") or _text(event, "time"))
    return Record(line, subject.encode() if subject else None, topic.name, at)


def epoch_seconds(text: str | None) -> float | None:
    """Return an RFC 3339 time as epoch seconds; None where it is none or has no offset."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def _text(event: dict[str, object], name: str) -> str | None:
    value = event.get(name)
    return value if isinstance(value, str) else None
