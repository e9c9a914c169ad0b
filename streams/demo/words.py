"""Alerts and moments in words a person would use."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from schemas.money import money
from streams.demo.feed import Record
from streams.scoring.reasons import words

TOLD_MOMENTS = 8
"""Moments told of a customer: as many as a case needs."""
KEPT_MOMENTS = 8 * TOLD_MOMENTS
"""Moments remembered a customer: an alert may be of a while ago, and a long demo must stay small."""

BANDS = ("critical", "at_risk", "steady", "delighted", "unknown")
BAND_STYLES = {
    "critical": "red",
    "at_risk": "yellow",
    "steady": "green",
    "delighted": "cyan",
    "unknown": "bright_black",
}
SEVERITY_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "bright_black"}


def plain(name: str) -> str:
    """Return a name such as `failed_delivery` as words, as the reasons of alerts have it."""
    return words(name)


def printable(text: object) -> str:
    """Return data as text for a terminal: what producers send must not move a cursor or paint a screen."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


def day(time: str | None) -> str:
    """Return the date of an RFC 3339 time."""
    return time[:10] if time else "?"


def ago(seconds: float) -> str:
    """Return an age in its largest whole unit, such as `3 days`."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "moments"


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, such as 01:05."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def moment_in_words(event: Mapping[str, Any]) -> str:
    """Return one touchpoint as a line: its time, what happened, and what made it good or bad."""
    kind = event["type"].removeprefix("cx.").rpartition(".")[0]
    what = "delivery arrived" if kind == "delivery.delivered" else plain(kind.replace(".", " "))
    details = [text for text in _details(event.get("data") or {}, event["time"]) if text]
    time = event["time"].replace("T", " ")[:16]
    return printable(f"{time}  {what}" + (f": {', '.join(details)}" if details else ""))


class Diary:
    """What the customers of a demo lived through lately; page views are left out."""

    def __init__(self) -> None:
        self._moments: defaultdict[bytes, deque[bytes]] = defaultdict(lambda: deque(maxlen=KEPT_MOMENTS))

    def follow(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records as they come, and remember them."""
        for record in records:
            if record.key is not None and b'"cx.page.viewed' not in record.value:
                self._moments[record.key].append(record.value)
            yield record

    def of(self, customer_id: str, until: str | None = None) -> list[str]:
        """Return the last moments of a customer in words, oldest first, none after `until` (RFC 3339)."""
        lines = []
        for value in self._moments.get(customer_id.encode(), ()):
            try:
                event = orjson.loads(value)
                if until is None or event["time"][:19] <= until[:19]:
                    lines.append(moment_in_words(event))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # a bad record: no moment of anybody's life
        return sorted(dict.fromkeys(lines))[-TOLD_MOMENTS:]


def _details(data: Mapping[str, Any], time: str) -> Iterator[str | None]:
    yield _money(data)
    yield _minutes(data.get("wait_s"), "waiting")
    yield _minutes(data.get("hold_s"), "on hold")
    yield f"passed on {data['transfers']} times" if data.get("transfers") else None
    yield {"no": "not resolved", "yes": "resolved"}.get(str(data.get("resolved")))
    if "score" in data:
        yield f"{data['survey'].upper()} {data['score']} of {data.get('scale_max', '?')}"
    yield f"read by {data['reach']:,}" if data.get("reach") else None
    yield f"about {data['about']}" if data.get("about") else None
    yield plain(data["reason"]) if data.get("reason") else None
    if promised := data.get("promised_at"):
        yield "late" if time[:19] > promised[:19] else None
        yield f"promised for {day(promised)}"


def _money(data: Mapping[str, Any]) -> str | None:
    total = data.get("total")
    return None if total is None else money(total, data.get("currency") or "")


def _minutes(seconds: float | None, what: str) -> str | None:
    return f"{seconds / 60:.0f} min {what}" if seconds and seconds >= 60 else None  # noqa: PLR2004  # a minute
