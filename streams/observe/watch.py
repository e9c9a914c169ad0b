"""What an observer may know of a running worker: copies, taken in the worker's own loop.

The observers (metrics, health, customers) live in threads of their own, so that a slow client never holds the
worker up; everything they say is made of what `Watch` hands out.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from streams.engine.stats import InputSnapshot, PartitionSnapshot, Snapshot, Stats
from streams.observe.census import Census
from streams.observe.histogram import Histogram
from streams.observe.placement import partition_of
from streams.observe.tally import Latencies, Tally
from streams.scoring.apply import Scorer
from streams.suppression import GUARD, is_reserved


class Desk(Protocol):
    """Who decides of whom people are told on one partition; see `streams.announcing.Desk`."""

    waiting: dict[bytes, tuple[float, ...]]
    tokens_left: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Customers of whom people are to be told on one partition, and the announcements that are left."""

    waiting: int
    left: float


class Observed(Protocol):
    """The handler, as far as it is watched; see `streams.processing.Processor`."""

    scorer: Scorer
    event_clock: bool
    partitions: int
    tally: Tally
    alert_latency: Histogram
    latencies: Latencies
    censuses: dict[int, Census]

    @property
    def desks(self) -> Mapping[int, Desk]:
        """The desks of all partitions that were ever here."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A worker at a moment: everything that /metrics shows."""

    engine: Snapshot
    tally: Tally
    alert_latency: Histogram
    scored: Histogram
    first_contacts: Mapping[tuple[str, str], int]
    censuses: Mapping[int, Census]
    """Of the partitions that are here."""
    desks: Mapping[int, Waiting]
    """Likewise."""
    now_s: float
    uptime_s: float
    event_clock: bool = False
    """Time goes on with events alone."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a customer was looked for; `row` None: not known there."""

    partition: int
    here: bool
    """The partition is this worker's, and worked on."""
    row: bytes | None = None
    generation: str = ""
    at_s: float = -math.inf
    """What the partition takes for now, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class _Reserved:
    """How many of a partition's rows are no customers', and of what that was counted."""

    rows: Mapping[bytes, bytes]
    census: Census | None
    number: int


@dataclass(slots=True)
class Watch:
    """Looks at one worker. Call its methods in the worker's loop only."""

    observed: Observed
    lane: Any = None
    """The engine, once the application is built."""
    started_s: float = field(default_factory=time.time)
    _reserved: dict[int, _Reserved] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        """Tell whether the engine has been started: before that there is nothing to look at."""
        return self.lane is not None and bool(self.lane.app.started)

    def engine(self) -> Snapshot:
        """Return the state of the engine, with customers' rows alone for the rows of each partition."""
        if not self.running:
            return Snapshot(Stats(), rebalancing=True)
        engine: Snapshot = self.lane.snapshot()
        self._reserved = {each.partition: self._count_reserved(each) for each in engine.partitions}
        partitions = (
            replace(each, rows=each.rows - self._reserved[each.partition].number)
            for each in engine.partitions
        )
        return replace(engine, partitions=tuple(partitions))

    def _count_reserved(self, partition: PartitionSnapshot) -> _Reserved:
        """Count the rows that remember the forgotten: when they were loaded, and at each pass of the sweep.

        Those of whoever was forgotten since are counted by the next pass: to look at every key at each scrape
        would hold the worker up.
        """
        rows = self.lane.partitions.get(partition.partition).state.rows
        census, held = (
            self.observed.censuses.get(partition.partition),
            self._reserved.get(partition.partition),
        )
        if held is None or held.rows is not rows:
            # The guard is written with the first of them.
            return _Reserved(rows, census, sum(map(is_reserved, rows)) if GUARD in rows else 0)
        if census is None or census is held.census:
            return held
        return _Reserved(rows, census, census.forgotten)

    def read(self) -> Reading:
        """Return everything that /metrics shows."""
        engine, now_s = self.engine(), time.time()
        here = {each.partition for each in engine.partitions}
        censuses = {number: each for number, each in self.observed.censuses.items() if number in here}
        return Reading(
            engine=engine,
            tally=self.observed.tally.copy(),
            alert_latency=self.observed.alert_latency.copy(),
            scored=self.observed.latencies.scored.copy(),
            first_contacts=dict(self.observed.latencies.contacts.results),
            censuses=censuses,
            desks={
                number: Waiting(len(desk.waiting), desk.tokens_left)
                for number, desk in self.observed.desks.items()
                if number in here
            },
            now_s=now_s,
            uptime_s=max(0.0, now_s - self.started_s),
            event_clock=self.observed.event_clock,
        )

    def behind_s(self) -> float:
        """Return how far the worker is behind, in seconds, by its input that is furthest.

        An input at its end is so as of the broker's last answer: under the wall clock the watermark tells how
        long ago that was.
        """
        now_s, partitions = time.time(), self.engine().partitions
        inputs = [each for owner in partitions for each in owner.inputs]
        found = [lag_s(each, now_s, now_s - self.started_s) or 0.0 for each in inputs]
        if not self.observed.event_clock:
            found += [now_s - each.watermark_s for each in partitions if math.isfinite(each.watermark_s)]
        return max(found, default=0.0)

    def find(self, customer_id: str) -> Found:
        """Return a customer's committed row, from the partition where the key belongs."""
        key = customer_id.encode()
        number = partition_of(key, max(1, self.observed.partitions))
        owned = self.lane.partitions.get(number) if self.running else None
        if owned is None or not owned.ready:
            return Found(number, here=False)
        state = owned.state
        now_s = state.marker.newest_event_s if self.observed.event_clock else time.time()
        # A row that remembers a forgotten customer is nobody's.
        row = None if is_reserved(key) else state.rows.get(key)
        return Found(number, here=True, row=row, generation=state.marker.generation, at_s=now_s)


def lag_records(each: InputSnapshot) -> int | None:
    """Return the offsets of an input not applied yet; None before its first fetch.

    0 where everything is applied: the end of a producer's transaction takes an offset that holds no record,
    and an aborted one takes more.
    """
    return 0 if each.lag is not None and each.at_end else each.lag


def lag_s(each: InputSnapshot, now_s: float, uptime_s: float) -> float | None:
    """Return the age of the last record applied of an input, in seconds; None before its first fetch.

    0 where everything is applied; without any record applied, the worker's own age.
    """
    if not (waiting := lag_records(each)):
        return None if waiting is None else 0.0
    return uptime_s if each.last_record_s == -math.inf else max(0.0, now_s - each.last_record_s)
