"""The events of a test, in short or in full, to touchpoints: through the decode of a worker."""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from schemas.envelope import Touchpoint, time_s
from schemas.rejects import Reject
from schemas.times import at_time
from schemas.touchpoints import TYPES
from streams.mistakes import did_you_mean
from streams.replay import judge
from streams.rulebook.spec import CaseSpec, EventSpec, convert, flat_events, is_full
from streams.rulebook.times import parse_moment, seconds_of
from streams.rulebook.yaml_file import YamlFile
from streams.scoring.apply import Scorer

CUSTOMER: Final = "customer"
"""Whose life a test lives, where no event says otherwise."""
MAX_REPEAT: Final = 10_000
Document = dict[str, Any]


class Clock:
    """Reads the times of a file: spans count from `start_s`, those with a + from the moment before."""

    def __init__(self, file: YamlFile, start: str) -> None:
        self.file = file
        self.start_s = 0.0
        self.start_s = self.moment("start", start, 0.0)

    def moment(self, path: str, text: str, before_s: float) -> float:
        """Return the time that `text` at `path` says, in seconds since the epoch."""
        try:
            return parse_moment(text, start_s=self.start_s, before_s=before_s)
        except ValueError as error:
            raise self.file.refuse((path, f"{path}: {text!r} is no time: {error}")) from error

    def span(self, path: str, text: str) -> float:
        """Return the span that `text` at `path` says, in seconds."""
        found = seconds_of(text)
        if not found:
            raise self.file.refuse((path, f"{path}: {text!r} is no span of time; write one like 1d or 15m"))
        return found


def events_of(clock: Clock, case: CaseSpec, path: str, scorer: Scorer) -> list[Touchpoint]:
    """Return the events of the test at `path`; raises CxError where a worker would reject one."""
    file, events = clock.file, list[Touchpoint]()
    before_s = clock.start_s
    for place, raw in flat_events(case.events, f"{path}.events"):
        for document in _documents(clock, raw, place, before_s, len(events)):
            event = judge(orjson.dumps(document), scorer)
            if isinstance(event, Reject):
                what = f"a worker would reject it as {event.reason.value}, for {event.path}: {event.mend}"
                raise file.refuse((place, what))
            before_s = time_s(event)
            events.append(event)
    if len({event.subject for event in events}) > 1:
        raise file.refuse((f"{path}.events", "events of several customers; a test lives the life of one"))
    return events


def _documents(clock: Clock, raw: Any, path: str, before_s: float, count: int) -> Iterator[Document]:
    """Yield each CloudEvent that an entry stands for; `count` events came before."""
    if is_full(raw):
        yield raw
        return
    short: EventSpec = convert(clock.file, raw, EventSpec, path)
    if not 1 <= short.repeat <= MAX_REPEAT:
        raise clock.file.refuse((f"{path}.repeat", f"repeat must lie between 1 and {MAX_REPEAT}"))
    first_s = clock.moment(f"{path}.at", short.at, before_s)
    every_s = clock.span(f"{path}.every", short.every)
    for number in range(short.repeat):
        at_s = first_s + number * every_s
        document = {
            "specversion": "1.0",
            "id": f"{short.id}-{number}" if short.id and number else short.id or f"e{count + number}",
            "source": short.source,
            "type": _full_type(clock, short.type, f"{path}.type"),
            "time": at_time(at_s),
            "subject": CUSTOMER,
            "data": _with_times(clock, short.data, f"{path}.data", at_s),
        }
        yield document | ({"channel": short.channel} if short.channel else {})


def _full_type(clock: Clock, name: str, path: str) -> str:
    full = name if name in TYPES else f"cx.{name}.v1"
    if full not in TYPES:
        short = [known.removeprefix("cx.").removesuffix(".v1") for known in TYPES]
        raise clock.file.refuse((path, f"no type `{name}`" + did_you_mean(name, [*short, *TYPES])))
    return full


def _with_times(clock: Clock, data: Document, path: str, at_s: float) -> Document:
    """Return the data with each time (a key that ends in `_at`) as RFC 3339."""
    return {
        key: at_time(clock.moment(f"{path}.{key}", value, at_s))
        if key.endswith("_at") and isinstance(value, str)
        else value
        for key, value in data.items()
    }
