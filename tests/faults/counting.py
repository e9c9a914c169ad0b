"""A handler small enough to be recomputed by an oracle: it counts and adds up, customer by customer."""

from collections.abc import Iterable, Mapping, Sequence

import orjson

from streams.engine.handler import Counts, Effects, Output, Record, Run, Standing
from streams.engine.marker import MARKER_KEY

ALERT_EVERY = 10
ABSENT_FROM = 5


class CountingHandler:
    """Row: [events, sum, swept]. An alert at each tenth event, one `absent` a customer from the sweep."""

    def __init__(self, alerts: str, deadletters: str) -> None:
        self.alerts = alerts
        self.deadletters = deadletters

    def begin(self, partition: int, rows: Mapping[bytes, bytes], standing: Standing) -> "CountingWork":
        """Start a unit of work."""
        del standing
        return CountingWork(self, partition, rows)

    def committed(self, partition: int, effects: Effects) -> None:
        """Nothing is counted outside the marker."""


class CountingWork:
    """One unit of work."""

    def __init__(self, handler: CountingHandler, partition: int, rows: Mapping[bytes, bytes]) -> None:
        self.handler = handler
        self.partition = partition
        self.rows = rows
        self.touched: dict[bytes, list[int]] = {}
        self.settled: set[bytes] = set()
        self.effects = Effects()

    @property
    def urgent(self) -> bool:
        """Tell whether there is an alert or a dead letter."""
        return bool(self.effects.outputs)

    def apply(self, runs: Sequence[Run]) -> None:
        """Count records; what is no count is a dead letter."""
        for topic, records in runs:
            self._count(topic, records)

    def _count(self, topic: str, records: Sequence[Record]) -> None:
        counts: Counts = self.effects.counts
        newest = self.effects.newest_event_s
        for record in records:
            value = amount(record)
            if value is None:
                counts.rejected += 1
                self._reject(topic, record)
                continue
            counts.accepted += 1
            newest[topic] = max(newest.get(topic, 0.0), record.timestamp / 1000)
            key = bytes(record.key or b"")
            if key in self.settled:
                msg = f"{key!r} came again after it was settled"
                raise AssertionError(msg)
            row = self._row(key)
            row[0] += 1
            row[1] += value
            if row[0] % ALERT_EVERY == 0:
                self._alert(b"%s:%d" % (key, row[0]), f"{row[1]}/{topic}:{record.offset}".encode())

    def settle(self) -> None:
        """Remember of whom nothing more may come."""
        self.settled.update(self.touched)

    def sweep(self, keys: Iterable[bytes], now_s: float, *, begins: bool = False) -> None:
        """Announce each customer with a few events once."""
        del now_s, begins
        for key in keys:
            if key not in self.rows:
                continue
            row = self._row(key)
            if row[0] >= ABSENT_FROM and not row[2]:
                row[2] = 1
                self._alert(b"absent:" + key, b"%d" % row[0])

    def finish(self) -> Effects:
        """Return the rows touched and the outputs."""
        self.effects.rows = {key: orjson.dumps(row) for key, row in self.touched.items()}
        return self.effects

    def _row(self, key: bytes) -> list[int]:
        row = self.touched.get(key)
        if row is None:
            packed = self.rows.get(key)
            row = self.touched[key] = orjson.loads(packed) if packed else [0, 0, 0]
        return row

    def _alert(self, key: bytes, value: bytes) -> None:
        self.effects.outputs.append(Output(self.handler.alerts, key, value))

    def _reject(self, topic: str, record: Record) -> None:
        origin = f"{topic}:{self.partition}:{record.offset}".encode()
        headers = (("cx-origin", origin),)
        self.effects.outputs.append(Output(self.handler.deadletters, record.key, record.value, headers))


def amount(record: Record) -> int | None:
    """Return the number that a record carries, or None where it is to be rejected."""
    if not record.key or record.key == MARKER_KEY or record.value is None:
        return None
    try:
        value = orjson.loads(record.value)["v"]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return None
    return value if type(value) is int else None
