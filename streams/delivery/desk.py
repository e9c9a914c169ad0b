"""The desk of one partition of alerts: which records are under way, and where a restart has to begin."""

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import msgspec

from schemas.deliveries import DEAD, Settlement
from schemas.times import at_time
from streams.delivery.alert import Alert, decode, message_id, trace_headers
from streams.delivery.book import Book, Memory
from streams.delivery.courier import Courier, Message, Outcome, Shared
from streams.delivery.payload import IN_HAND
from streams.delivery.routes import NOWHERE, Routes
from streams.scoring.vocabulary import Because

log = logging.getLogger(__name__)

KEPT_S: Final = 3_600.0
"""Least time for which a settled id is kept: clocks differ, and records lie about in the order of time."""


@dataclass(slots=True, eq=False)
class _Job:
    """A record that is under way; one that cannot be read has no message."""

    record: Any
    message: Message | None = None
    task: "asyncio.Task[None] | None" = None
    ended: bool = False
    """Its end is written down."""
    before: list["asyncio.Task[None]"] = field(default_factory=list)
    """The earlier steps of its alert."""


class Desk:
    """Takes the records of one partition and sees each announced step to its end."""

    def __init__(
        self, *, routes: Routes, couriers: Mapping[str, Courier], shared: Shared, book: Book, memory: Memory
    ) -> None:
        self._routes = routes
        self._couriers = couriers
        self._shared = shared
        self._book = book
        self._known = memory
        self._kept_s = max([KEPT_S, *(each.receiver.endpoint.max_age_s for each in couriers.values())])
        self._jobs: dict[int, _Job] = {}
        self._by_alert: dict[str, list[_Job]] = {}
        self._next = 0

    @property
    def under_way(self) -> int:
        """Return the number of records that have not ended."""
        return len(self._jobs)

    @property
    def position(self) -> int:
        """Return the first offset that is still needed: where a restart begins."""
        return min(self._jobs, default=self._next)

    @property
    def next_offset(self) -> int:
        """Return the first offset that was not taken; 0 where none was."""
        return self._next

    def take(self, record: Any) -> None:
        """Take a record: an announced step is under way from now on, anything else is passed over."""
        if record.offset < self._next:
            return  # read again after a rebalance that gave the partition back
        self._next = record.offset + 1
        self._forget(record)
        if record.value is None:
            for job in self._by_alert.get((record.key or b"").decode("utf-8", "replace"), ()):
                if job.message is not None:
                    job.message.erased = True
            return
        try:
            alert = decode(record.value)
        except msgspec.MsgspecError as error:
            self._begin(_Job(record), self._refuse(record, str(error)))
            return
        over = alert.step in IN_HAND and not _goes_on(alert) and self._withdraw(alert.alert_id)
        known = message_id(alert)
        if not alert.announced or known in self._known:
            return
        self._known.begin(known)
        message = Message(
            known,
            alert,
            record.value,
            record.timestamp / 1000,
            trace=trace_headers(record),
            withdrawn=over,
        )
        siblings = self._by_alert.setdefault(alert.alert_id, [])
        job = _Job(record, message, before=[each.task for each in siblings if each.task is not None])
        siblings.append(job)
        self._begin(job, self._deliver(job, message))

    def failure(self) -> BaseException | None:
        """Return what ended a record's way before its end was written down; None where all is well."""
        for job in self._jobs.values():
            if job.task is not None and job.task.done() and not job.task.cancelled():
                return job.task.exception()
        return None

    async def leave(self, wait_s: float) -> None:
        """Begin no attempt any more; return when those on their way have ended, or after `wait_s`."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None]
        for job in self._jobs.values():
            if job.message is not None:
                job.message.recalled = True
            if job.task is not None and (job.message is None or not job.message.busy):
                job.task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=wait_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, record: Any) -> None:
        """Forget what was settled long before `record` was published: none of it can follow any more.

        Measured by what is read and not by the clock: whoever reads again from an earlier place, after a
        standstill or because somebody put the position back, still knows all that was settled since.
        """
        read_s = min(record.timestamp / 1000, self._shared.clock.now_s())
        self._known.forget(read_s - self._kept_s)

    def _withdraw(self, alert_id: str) -> bool:
        """Withdraw the messages of an alert that nobody has been sent; tell whether there were any."""
        messages = [job.message for job in self._by_alert.get(alert_id, ()) if job.message is not None]
        found = [each for each in messages if not each.attempts and not each.withdrawn]
        for each in found:
            each.withdrawn = True
        return bool(found)

    def _begin(self, job: _Job, work: Awaitable[None]) -> None:
        self._jobs[job.record.offset] = job
        job.task = asyncio.ensure_future(work)
        job.task.add_done_callback(lambda _: self._let_go(job))

    def _let_go(self, job: _Job) -> None:
        """Forget what has ended; what was recalled or failed stays and holds the offset."""
        if not job.ended:
            return
        del self._jobs[job.record.offset]
        if job.message is not None:
            siblings = self._by_alert[job.message.alert.alert_id]
            siblings.remove(job)
            if not siblings:
                del self._by_alert[job.message.alert.alert_id]

    async def _deliver(self, job: _Job, message: Message) -> None:
        if job.before:
            # The steps of an alert arrive in their order.
            await asyncio.wait(job.before)
        name = self._routes.endpoint_of(message.alert)
        if name == NOWHERE:
            await self._settle(job, message, name, Outcome("muted"))
            return
        pending = self._shared.figures.pending.labels(name)
        pending.inc()
        try:
            await self._couriers[name].deliver(message, partial(self._settle, job, message, name))
        finally:
            pending.dec()

    async def _settle(self, job: _Job, message: Message, name: str, outcome: Outcome) -> None:
        now_s = self._shared.clock.now_s()
        settlement = Settlement(
            message_id=message.id,
            alert_id=message.alert.alert_id,
            step=message.alert.step,
            endpoint=name,
            ending=outcome.ending,
            at=at_time(now_s),
            attempts=message.attempts,
            status=outcome.status,
        )
        await self._write(job, settlement, outcome.why)
        if outcome.ending == "accepted":
            waited_s = max(0.0, now_s - message.published_s - message.quiet_s)
            self._shared.figures.seconds.labels(name).observe(waited_s)

    async def _refuse(self, record: Any, why: str) -> None:
        known = f"at_{record.partition}_{record.offset}"
        job = self._jobs[record.offset]
        if known in self._known:
            job.ended = True
            return
        at = at_time(self._shared.clock.now_s())
        settlement = Settlement(
            message_id=known, alert_id="", step="", endpoint="", ending="undecodable", at=at, attempts=0
        )
        await self._write(job, settlement, why)

    async def _write(self, job: _Job, settlement: Settlement, why: str) -> None:
        """Write down an end, the dead letter first: an end without it could not be made up for."""
        if settlement.ending in DEAD:
            log.warning("given up (%s), to %s: %s", settlement.ending, settlement.endpoint or "nobody", why)
            await self._book.bury(job.record, settlement, why)
        await self._book.settle(job.record.partition, settlement)
        self._known.settle(settlement.message_id, self._shared.clock.now_s())
        job.ended = True
        self._shared.figures.deliveries.labels(settlement.endpoint, settlement.ending).inc()


def _goes_on(alert: Alert) -> bool:
    """Tell whether what ended goes on in a graver alert: that one waits a day because of this message."""
    return alert.resolved_because == Because.FOLDED
