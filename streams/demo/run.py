"""One demo from its first event to its last: feed, look, show, end."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from streams.demo.feed import Pace, Record
from streams.demo.sinks import Sent, pump
from streams.demo.stage import Stage
from streams.demo.view import DemoSnapshot

LOOK_S = 0.1
SETTLE_S = 60.0
"""Longest wait for the last events to be scored after the feed has ended."""
QUIET_S = 2.0
"""Longer than the worker rests between two slices of its look at every customer."""
RATES_KEPT = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What is played: `records` at `pace`, for at most `limit_s` seconds (None: until all are scored)."""

    source: str
    records: Iterable[Record]
    pace: Pace
    total: int | None
    limit_s: float | None


class Demo:
    """Plays on a stage and keeps the figures of the view."""

    def __init__(self, stage: Stage, play: Play) -> None:
        self.stage = stage
        self.play = play
        self.sent = Sent()
        self._started_s = time.monotonic()
        self._rates: deque[float] = deque(maxlen=RATES_KEPT)
        self._second: tuple[float, int] = (self._started_s, 0)
        self._news: tuple[float, tuple[int, int]] = (self._started_s, (0, 0))
        """When it was last seen that something had changed: lag and records taken."""

    async def run(self, show: Callable[[DemoSnapshot], None]) -> DemoSnapshot:
        """Play to the end, calling `show` ten times a second; return the last snapshot."""
        feed = asyncio.create_task(pump(self.play.records, self.stage.sink, self.play.pace, sent=self.sent))
        try:
            await self._watch(feed, show)
        finally:
            feed.cancel()
            with suppress(asyncio.CancelledError):
                await feed
        return self.snapshot()

    async def _watch(self, feed: "asyncio.Task[Sent]", show: Callable[[DemoSnapshot], None]) -> None:
        ended_s: float | None = None
        while True:
            await self.stage.poll()
            now_s = time.monotonic()
            self._count_rate(now_s)
            show(self.snapshot())
            if self.play.limit_s is not None and now_s - self._started_s >= self.play.limit_s:
                return
            if feed.done():
                await feed  # raises what ended it
                ended_s = ended_s or now_s
                if self._settled(now_s) or now_s - ended_s > SETTLE_S:
                    return
            await asyncio.sleep(LOOK_S)

    def _count_rate(self, now_s: float) -> None:
        since_s, before = self._second
        if now_s - since_s >= 1.0:
            total = self.stage.observer.counts.total()
            self._rates.append((total - before) / (now_s - since_s))
            self._second = (now_s, total)

    def _settled(self, now_s: float) -> bool:
        """Tell whether everything is scored and the last look at every customer brings nothing more."""
        news = (self._lag(), self.stage.observer.taken)
        if news != self._news[1]:
            self._news = (now_s, news)
        return news[0] <= 0 and now_s - self._news[0] >= QUIET_S

    def _lag(self) -> int:
        return self.sent.records - self.stage.observer.counts.total()

    def snapshot(self, note: str = "") -> DemoSnapshot:
        """Return what is known now."""
        observer = self.stage.observer
        counts = observer.counts
        return DemoSnapshot(
            source=self.play.source,
            log=self.stage.name,
            elapsed_s=time.monotonic() - self._started_s,
            limit_s=self.play.limit_s,
            produced=self.sent.records,
            total=self.play.total,
            consumed=counts.total(),
            events_per_s=self._rates[-1] if self._rates else 0.0,
            rates=tuple(self._rates),
            duplicates=counts.duplicate,
            rejected=dict(observer.rejected),
            bands=observer.bands,
            alerts=tuple(observer.alerts),
            alerts_by_rule=dict(observer.opened),
            lag=max(0, self._lag()),
            event_time=observer.newest_event,
            metrics_url=self.stage.metrics_url,
            note=note,
        )
