"""A handler with the rows of one partition in a test's hand, and what to give it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from streams.engine.handler import Bucket, Effects, Output, Standing
from streams.observe.tally import Processed
from streams.processing import Processor
from streams.scoring.apply import Scorer
from streams.scoring.rows import pack
from streams.scoring.state import CustomerState
from streams.topics import ALERTS, WEB
from streams.work import PartitionWork
from tests.customers import DAY, DEFAULT, START, event, line, row, seconds

ANNA = b"anna"
Step = tuple[str, str, str, bool]
LATER_MS = int((START + 3000 * DAY) * 1000)
"""Record timestamps after every event time of these tests."""


@dataclass(frozen=True)
class Rec:
    """A raw record as Kafka delivers it."""

    value: bytes | None
    key: bytes | None = ANNA
    headers: tuple[tuple[str, bytes | None], ...] = ()
    offset: int = 0
    timestamp: int = LATER_MS


class Rig:
    """A handler and the rows of one partition; what it does is committed at once."""

    def __init__(self, scorer: Scorer = DEFAULT, *, now_day: float = 3000.0, **options: Any) -> None:
        self.now_s = seconds(now_day)
        self.processor = Processor(scorer, clock=lambda: self.now_s, **options)
        self.rows: dict[bytes, bytes] = {}
        self.tokens: dict[str, Bucket] = {}

    def apply(
        self,
        *records: Rec | bytes,
        topic: str = WEB.name,
        partition: int = 0,
        watermark_s: float = float("inf"),
    ) -> Processed:
        """Apply records of one topic in one unit of work."""
        work = self.begin(partition, watermark_s)
        work.apply([(topic, numbered(records))])
        return self._commit(partition, work.finish())

    def sweep(self, day: float, keys: Iterable[bytes] | None = None, *, caught_up: bool = True) -> Processed:
        """Let the sweep visit all customers, or `keys`, at a day."""
        work = self.begin(0, seconds(day), caught_up=caught_up)
        work.sweep(list(self.rows) if keys is None else keys, seconds(day))
        return self._commit(0, work.finish())

    def begin(self, partition: int, watermark_s: float, *, caught_up: bool = False) -> PartitionWork:
        """Start a unit of work on the rows as they are."""
        standing = Standing("generation", watermark_s, caught_up=caught_up, tokens=self.tokens)
        return self.processor.begin(partition, self.rows, standing)

    def _commit(self, partition: int, done: Processed) -> Processed:
        for key, value in done.rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        if done:
            self.tokens = {
                name: bucket for name, bucket in {**self.tokens, **done.tokens}.items() if bucket is not None
            }
        self.processor.committed(partition, done)
        return done

    def hold(self, state: CustomerState, key: bytes = ANNA) -> None:
        """Put a row in the table."""
        self.rows[key] = pack(state)


def numbered(records: Iterable[Rec | bytes]) -> list[Rec]:
    """Return records with offsets from 0; bytes become a record of anna's."""
    return [
        replace(each if isinstance(each, Rec) else Rec(each), offset=number)
        for number, each in enumerate(records)
    ]


def changed(line: bytes, **changes: Any) -> bytes:
    """Return an event with other attributes."""
    return orjson.dumps({**orjson.loads(line), **changes})


def written(done: Effects, topic: str) -> list[Output]:
    """Return what was written to a topic."""
    return [each for each in done.outputs if each.topic == topic]


def documents(done: Effects, topic: str) -> list[Any]:
    """Return the documents written to a topic."""
    return [orjson.loads(each.value or b"null") for each in written(done, topic)]


def orders(days: Sequence[float]) -> list[bytes]:
    """Return one order a day of `days`."""
    return [line("order.placed", day) for day in days]


def shopper(last_day: float = 30.0) -> CustomerState:
    """Return a row that bought every ten days."""
    return row(event("order.placed", day) for day in range(0, int(last_day) + 1, 10))


def silent(kind: str = "page.viewed", **changes: Any) -> list[bytes]:
    """Return orders, then something small 270 days later: silence has cost most of the chance."""
    return [*orders([0, 10, 20, 30]), changed(line(kind, 300.0), **changes)]


def steps(done: Processed) -> list[Step]:
    """Return each step as (rule, step, severity, whether people are told)."""
    return [
        (each["rule"], each["step"], each["severity"], each["announced"])
        for each in documents(done, ALERTS.name)
    ]


def told(done: Processed) -> list[str]:
    """Return the customers that people are told of."""
    return [each["customer_id"] for each in documents(done, ALERTS.name) if each["announced"]]


def angry(**changes: Any) -> list[bytes]:
    """Return orders, then two complaints after 270 days: the second makes the risk of churn critical."""
    found = [line("complaint.raised", 300.0), line("complaint.raised", 300.01)]
    return [*orders([0, 10, 20, 30]), *(changed(each, **changes) for each in found)]
