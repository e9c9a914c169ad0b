"""The lane: what is computed next, what is written, and what happens when a write fails.

Each state partition has a queue, a task and a producer. A task gathers chunks, lets the handler compute,
writes one transaction and only then moves memory; while one partition waits for its commit the others
compute.
"""

import asyncio
import logging
import math
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from time import monotonic, time
from typing import Any

from streams.engine.changelog import ensure_changelog
from streams.engine.errors import Fenced, Lost, OldSession, Rewound, SequenceHole
from streams.engine.fetching import Fetching
from streams.engine.handler import Handler
from streams.engine.owned import Owned
from streams.engine.ownership import Ownership
from streams.engine.partition import Chunk, Draft, Transaction
from streams.engine.preflight import check_cluster
from streams.engine.settings import EngineSettings
from streams.engine.stats import Snapshot, Stats
from streams.errors import CxError, Exit
from streams.words import tell

log = logging.getLogger(__name__)

QUIESCE_S = 10.0
HEAL_QUIESCE_S = 5.0
FENCED_WINDOW_S = 60.0
MOST_HEALS = 10
"""Heals in a row without a commit; then going on would be an endless loop."""
LEASE_MARGIN_S = 1.0
LEASE_POLL_S = 0.05
SHORTEST_S = 0.001
"""Time below which a speed says nothing."""
SWEEP_TICKS = 600
"""Ticks of the sweep in one interval: a pass is spread evenly."""
SWEEP_TICK_MIN_S = 0.05
SWEEP_TICK_MAX_S = 2.0
EVENT_SWEEP_SHARE = 0.5
"""The same under the event clock of demos and data sets, where a year goes by in seconds."""
SWEEP_SHARE = 0.2
"""Most of a core that the sweep may take; a pass over too many customers takes longer than its interval."""


class Lane:
    """Coordinates the partitions of one worker. `app` is the Faust application it is plugged into."""

    def __init__(
        self,
        app: Any,
        settings: EngineSettings,
        handler: Handler,
        *,
        on_fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.app = app
        self.settings = settings
        self.stats = Stats()
        self.partitions = Ownership(settings, handler, self.stats)
        self.fetching = Fetching(app, settings, self.partitions)
        self.session = 0
        """Counts the rebalances of this process: Kafka's generation does not change when a static member
        rejoins."""
        self.healing = False
        self.broken = asyncio.Event()
        """Set when a partition has to be loaded again without a rebalance."""
        self._fatal = on_fatal or exit_loudly
        self._in_hand = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._holding = True
        self._heals_in_a_row = 0
        self._speed = 0.0
        """Records a second that a partition which was behind computed last."""
        self._turn = asyncio.Lock()
        """Held by the partition that computes, of those that are behind."""
        self._visits: dict[Owned, asyncio.Task[float]] = {}
        """The visits of the sweep that are under way or wait for their partition."""
        self._fenced_s: dict[int, float] = {}

    # -- what transport and agents call

    def on_out_of_range(self, topic: str, partition: int, offset: int) -> None:
        """Hear that the broker does not have a position; loading again finds out why."""
        log.warning("%s[%d]: offset %d is out of range", topic, partition, offset)
        if (owned := self.partitions.get(partition)) is not None and owned.ready:
            self._drop(owned)

    def submit(self, chunk: Chunk) -> None:
        """Take a chunk; it is applied, with others, in the next transaction of its partition."""
        owned = self.partitions.get(chunk.partition)
        if owned is None or not self._mine(owned) or chunk.session != owned.state.session:
            self.stats.refused += 1
            return
        owned.queue.put(chunk, time() * 1000 if self.settings.clock == "wall" else math.inf)
        owned.wake.set()
        if owned.queue.records >= self.settings.chunk_records:
            owned.full.set()

    async def sweep_forever(self) -> None:
        """Visit every customer once per sweep interval, in slices."""
        pause, share = SWEEP_TICK_MIN_S, EVENT_SWEEP_SHARE
        if self.settings.clock == "wall":
            pause = min(SWEEP_TICK_MAX_S, max(pause, self.settings.sweep_interval_s / SWEEP_TICKS))
            share = SWEEP_SHARE
        while not self.app.should_stop:
            spent = await self._sweep_round(pause)
            await asyncio.sleep(max(pause, spent * (1 / share - 1)))

    async def _sweep_round(self, patience_s: float) -> float:
        """Visit each partition whose last visit has ended; return the seconds that those ended now took.

        One that is at work is waited for beside the others: among many that are behind its turn comes late.
        """
        for owned in self.partitions:
            if owned in self._visits:
                continue
            self._visits[owned] = visit = asyncio.create_task(self._sweep(owned))
            if not owned.lock.locked():
                await asyncio.wait({visit}, timeout=patience_s)
        ended = [owned for owned, visit in self._visits.items() if visit.done()]
        return sum(self._visits.pop(owned).result() for owned in ended)

    def snapshot(self) -> Snapshot:
        """Return the state of the engine for metrics and health; cheap enough for every scrape."""
        consumer = self.app.consumer
        owned = sorted(self.partitions, key=lambda each: each.state.number)
        return Snapshot(
            self.stats,
            tuple(each.snapshot(consumer) for each in owned),
            self.session,
            rebalancing=bool(self.app.rebalancing or self._holding),
        )

    # -- ownership, called by transport and recovery

    async def preflight(self) -> None:
        """Refuse a cluster on which events could be lost (see `check_cluster`); make the changelog."""
        try:
            await ensure_changelog(self.settings, await check_cluster(self.settings))
        except CxError as error:
            self.fail(error)

    async def on_revoked(self) -> None:
        """Stop before partitions move."""
        self.stats.rebalances += 1
        self.healing = False
        self._fenced_s.clear()
        await self.halt(self.settings.session_timeout_s / 2)

    async def halt(self, timeout_s: float) -> None:
        """Stop the flow, let transactions in hand end, disown everything; recovery seeks to the markers."""
        self.app.consumer.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()
        self._holding = True
        await self._quiet(timeout_s)
        self.session += 1
        for owned in self.partitions:
            owned.ready = False
            owned.queue.clear()

    async def load(self, numbers: set[int], generation: int) -> None:
        """Own exactly `numbers`."""
        await self.partitions.load(numbers, self.session, generation, healing=self.healing)

    async def check_identity(self) -> None:
        """Drop the partitions whose input topic is gone or another; loading them again stops them, loudly."""
        for owned in await self.partitions.made_anew():
            log.warning("partition %d: an input topic is gone or was made anew", owned.state.number)
            self._drop(owned)

    def activate(self) -> None:
        """Begin to work; every input stands at its marker."""
        self._holding = False
        self.healing = False
        for owned in self.partitions:
            owned.queue.clear()
            owned.ready = owned.state.loaded and not owned.problem and owned.state.session == self.session
            if owned.ready and owned.task is None:
                owned.task = asyncio.create_task(self._run(owned))

    def needs_healing(self) -> bool:
        """Tell whether a partition was lost, or is stopped and may have been mended by now."""
        return any(owned.state.dirty or owned.problem for owned in self.partitions)

    async def start_healing(self) -> bool:
        """Stop, so that recovery can load again what is lost; the others keep their memory.

        False where a rebalance came first. A worker that was frozen is fenced before it learns that it lost
        its place in the group: without a heartbeat it would take the partitions back from their new owner.
        """
        if not await self._confirmed(monotonic()):
            return False
        self.healing = True
        self.stats.heals += 1
        self._heals_in_a_row += 1
        if self._heals_in_a_row > MOST_HEALS and not self.partitions.halted():
            msg = f"partitions were lost {self._heals_in_a_row} times without one commit between"
            self.fail(CxError(msg, mend="cx doctor", code=Exit.STOPPED))
        await self.halt(HEAL_QUIESCE_S)
        return True

    async def quiesce(self) -> None:
        """Begin nothing new and wait, bounded, for the transactions in hand."""
        self._holding = True
        await self._quiet(QUIESCE_S)

    async def stop(self) -> None:
        """End the transactions in hand and let the producers go."""
        await self.quiesce()
        await self.partitions.close()

    def fail(self, error: BaseException) -> None:
        """End the worker, loudly: going on could lose or double events."""
        self._fatal(error)

    # -- work

    def _mine(self, owned: Owned) -> bool:
        return owned.ready and not self._holding and owned.state.session == self.session

    async def _quiet(self, timeout_s: float) -> None:
        for owned in self.partitions:
            owned.hurry()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            log.warning("%d transactions still in hand after %.1f s", self._in_hand, timeout_s)

    @asynccontextmanager
    async def _work(self, owned: Owned) -> AsyncIterator[None]:
        """Hold a partition for one transaction; whatever fails, it is loaded again or the worker ends."""
        self._in_hand += 1
        self._idle.clear()
        try:
            async with owned.lock:
                owned.hurried = False
                yield
        except Lost as error:
            self._lost(owned, error)
        except asyncio.CancelledError:
            owned.state.dirty = True
            raise
        except Exception as error:  # noqa: BLE001  # a bug in scoring or here: nothing may be skipped because of it
            self._drop(owned)
            self.fail(error)
        finally:
            self._in_hand -= 1
            if not self._in_hand:
                self._idle.set()

    async def _run(self, owned: Owned) -> None:
        """Work on one partition until the task is cancelled."""
        while True:
            await owned.wake.wait()
            owned.wake.clear()
            while owned.queue and self._mine(owned):
                await self._pace(owned)
                await self._keep_step(owned)
                async with self._work(owned):
                    await self._apply(owned)

    async def _pace(self, owned: Owned) -> None:
        """Wait until the partition's flush interval is over, or a whole chunk is there: it is behind."""
        interval = self.settings.flush_interval_s(sum(each.ready for each in self.partitions))
        left = owned.flushed_s + interval - monotonic()
        if left > 0 and owned.queue.records < self.settings.chunk_records:
            owned.full.clear()
            timer = asyncio.get_running_loop().call_later(left, owned.full.set)
            try:
                await owned.full.wait()
            finally:
                timer.cancel()

    async def _keep_step(self, owned: Owned) -> None:
        """Wait while all that waits is newer than what the broker still has of another input.

        Bounded: where that input cannot be fetched, the others go on without it until it comes.
        """
        until_s = monotonic() + self.settings.step_s
        while self._mine(owned) and owned.queue and not self.fetching.ready(owned):
            if monotonic() >= until_s:
                owned.queue.overlook(self.fetching.more(owned))
                return
            await self._next_chunk(owned, self.settings.fill_s)

    @staticmethod
    async def _next_chunk(owned: Owned, wait_s: float) -> bool:
        """Wait for a chunk; False where none came."""
        owned.wake.clear()
        try:
            async with asyncio.timeout(wait_s):
                await owned.wake.wait()
        except TimeoutError:
            return False
        return True

    async def _apply(self, owned: Owned) -> None:
        """Compute what waits, and write it.

        Partitions that are behind compute one after another: the larger their transactions are, the more of a
        customer's events share a row and a score. Those that keep up go in between.
        """
        behind = owned.queue.records >= self.settings.chunk_records
        async with self._turn if behind else nullcontext():
            if behind:
                await self._fill(owned)
            draft = self._draft(owned)
            if draft is None:
                return
            await self._compute(owned, draft)
        until_s = monotonic() + self.settings.hold_s
        while not draft.urgent and await self._gathered(owned, draft, until_s):
            await self._compute(owned, draft)
        await self._write(owned, draft.seal())

    async def _gathered(self, owned: Owned, draft: Draft, until_s: float) -> bool:
        """Wait for more that fits into `draft`; False where it is to be written as it is.

        Nobody waits for what it has, and a transaction costs about the same whatever it carries. Whoever
        needs the partition ends this by `Owned.hurry`.
        """
        room = draft.room if draft.size < self.settings.transaction_bytes else 0
        while self._mine(owned) and not owned.hurried and (left_s := until_s - monotonic()) > 0:
            if ready := self.fetching.ready(owned):
                return ready <= room
            if not (room and await self._next_chunk(owned, left_s)):
                return False
        return False

    async def _fill(self, owned: Owned) -> None:
        """Wait while more comes of what the broker has, until there is enough for a transaction.

        Fetching needs the core that computes: between two steps it gets too little of it to be ahead. Where
        chunks are small and keep coming, the others that are behind do not wait until they are enough.
        """
        until_s = monotonic() + self.settings.compute_s
        with self.fetching.first(owned):
            while (
                self._mine(owned)
                and monotonic() < until_s
                and self.fetching.ready(owned) < self._most_records()
            ):
                if not (self.fetching.comes(owned) and await self._next_chunk(owned, self.settings.fill_s)):
                    return

    def _draft(self, owned: Owned) -> Draft | None:
        """Begin a transaction; None where nothing waits, or nothing may be begun any more."""
        if not (self._mine(owned) and self.fetching.ready(owned)):
            return None
        watermark_s, caught_up = owned.standing(self.app.consumer, self.settings.clock)
        return owned.state.draft(watermark_s, caught_up=caught_up)

    async def _compute(self, owned: Owned, draft: Draft) -> None:
        """Apply what waits, step by step."""
        before, most = draft.records, (self._most_records(), self.settings.transaction_bytes - draft.size)
        for chunk in owned.queue.take(*most, self.fetching.until_ms(owned)):
            draft.add(chunk)
        self.app.consumer.space.set()
        started = monotonic()
        for _ in draft.compute():
            # The answers that other partitions wait for are as urgent.
            await asyncio.sleep(0)
        number = draft.records - before
        if number >= self.settings.chunk_records:
            self._speed = number / max(monotonic() - started, SHORTEST_S)

    def _most_records(self) -> int:
        """Return from how many records on a transaction takes no further chunk."""
        in_time = round(self._speed * self.settings.compute_s)
        return min(self.settings.transaction_records, max(self.settings.chunk_records, in_time))

    async def _sweep(self, owned: Owned) -> float:
        """Visit who is due; return the seconds of a core that it took, without those of waits."""
        spent = 0.0
        owned.hurry()
        async with self._work(owned):
            if self._mine(owned):
                spent = await self._visit(owned)
        return spent

    async def _visit(self, owned: Owned) -> float:
        started = monotonic()
        now_s, caught_up = owned.standing(self.app.consumer, self.settings.clock)
        if now_s == -math.inf:
            return 0.0
        if self.settings.clock == "event":
            keys = owned.sweep.due(owned.state.rows, now_s, stands=caught_up)
        else:
            keys = owned.sweep.due(owned.state.rows, monotonic())
        if not owned.state.rows:
            return 0.0
        # Also with no customer due: the handler may have something to do with time itself.
        draft = owned.state.draft(now_s, caught_up=caught_up)
        draft.sweep(keys, now_s, begins=owned.sweep.begins)
        self.stats.swept += len(keys)
        transaction = draft.seal()
        spent = monotonic() - started
        if transaction.effects:
            await self._write(owned, transaction)
        return spent

    async def _write(self, owned: Owned, transaction: Transaction) -> None:
        """Commit `transaction`, then move memory. Raises `Lost` where it was not committed for certain."""
        await self._lease(owned)
        started = owned.flushed_s = monotonic()
        try:
            await owned.writer.write(transaction)
        except BaseException:
            # Written or not: only the log knows.
            owned.state.dirty = True
            raise
        owned.state.commit(transaction)
        self.stats.commits += 1
        self.stats.records += transaction.records
        self.stats.rows_written += len(transaction.effects.rows)
        self.stats.commit_seconds += monotonic() - started
        self._heals_in_a_row = 0

    async def _lease(self, owned: Owned) -> None:
        """Write only while the broker has confirmed the membership within the session timeout.

        Fencing keeps a frozen worker's writes out in any case; this spares the new owner a disturbance.
        """
        while True:
            if not self._mine(owned) and not owned.ready:
                msg = f"partition {owned.state.number} was taken away while it was worked on"
                raise Lost(msg)
            if self.app.consumer.lease_left_s() >= LEASE_MARGIN_S:
                return
            if self.app.rebalancing:
                msg = f"partition {owned.state.number}: a rebalance began while the lease was over"
                raise Lost(msg)
            await asyncio.sleep(LEASE_POLL_S)

    async def _confirmed(self, since_s: float) -> bool:
        """Wait for a heartbeat after `since_s`; False where a rebalance came instead."""
        deadline = since_s + 2 * self.settings.session_timeout_s
        while self.app.consumer.last_heartbeat_s() < since_s and monotonic() < deadline:
            if self.app.rebalancing:
                return False
            await asyncio.sleep(LEASE_POLL_S)
        return not self.app.rebalancing

    # -- failures

    def _drop(self, owned: Owned) -> None:
        """Stop working on a partition until it was loaded again."""
        owned.state.dirty = True
        owned.ready = False
        owned.queue.clear()
        self.broken.set()

    def _lost(self, owned: Owned, error: Lost) -> None:
        self.stats.failed += 1
        if isinstance(error, OldSession | SequenceHole | Rewound):
            self.stats.refused += 1
        # A rebalance that took the partition away is the usual cause: nothing to warn of then.
        expected = self._holding or self.app.rebalancing
        log.log(
            logging.INFO if expected else logging.WARNING,
            "a transaction was dropped, its records are applied again: %s",
            error,
        )
        if isinstance(error, Fenced):
            self._fenced(owned, error, expected=expected)
        self._drop(owned)

    def _fenced(self, owned: Owned, error: Fenced, *, expected: bool) -> None:
        """End when fenced twice without a rebalance: two processes take the partition from each other."""
        self.stats.fenced += 1
        if expected:
            return
        now, number = monotonic(), owned.state.number
        last_s = self._fenced_s.get(number, -math.inf)
        self._fenced_s[number] = now
        if now - last_s < FENCED_WINDOW_S:
            msg = f"another process writes as {self.settings.app_id}: {error}"
            mend = "give each worker its own static_id, and each application its own app_id"
            self.fail(CxError(msg, mend=mend, code=Exit.STOPPED))


def exit_loudly(error: BaseException) -> None:
    """Say why, then end the process at once: its open transactions are aborted by whoever comes next."""
    if not isinstance(error, CxError):
        log.critical("the worker stops itself", exc_info=error)
        error = CxError(f"the worker stopped itself: {type(error).__name__}: {error}", code=Exit.STOPPED)
    logging.shutdown()
    sys.stdout.flush()
    tell("error", error.message, error.mend)
    sys.stderr.flush()
    os._exit(error.code)
