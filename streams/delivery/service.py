"""The delivery as a process: reads the alerts as a consumer group, one desk a partition."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import IllegalStateError, KafkaError

from schemas.deliveries import Pauses
from streams.admin import quiet_client
from streams.connection import client_options
from streams.delivery.book import Book, Memory
from streams.delivery.courier import Courier, Shared
from streams.delivery.desk import Desk
from streams.delivery.log import partitions_of
from streams.delivery.pauses import PauseWatch
from streams.delivery.receivers import Receiver
from streams.delivery.routes import Routes
from streams.errors import CxError
from streams.reach import unreachable
from streams.settings import Settings
from streams.topics import ALERTS, DEAD_LETTERS, DELIVERY, delivery_group

log = logging.getLogger(__name__)

SHADOW: Final = "-shadow"
POLL_MS: Final = 200
COMMIT_S: Final = 1.0
"""Positions only say where a restart reads on: what was sent is known by its ending."""
MOST_READ: Final = 500
MOST_UNDER_WAY: Final = 5_000
"""Steps held in memory, about 4 KB each; beyond it nothing is read until some have ended."""
LEAVE_S: Final = 15.0
"""Time that attempts on their way get to end when a partition goes: within the group's patience."""


@dataclass(slots=True)
class Health:
    """What may be asked of a running delivery."""

    partitions: tuple[int, ...] = ()
    joined: bool = False
    paused: bool = False
    answered_s: float | None = None
    """Since when every partition that is read has an answer of the broker, or is asked anew; unix seconds."""


class Delivery:
    """Delivers until it is told to stop; start as many as there are partitions.

    Raises `CxError` where topics or broker are missing, and when it must not go on.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        routes: Routes,
        receivers: Mapping[str, Receiver],
        shared: Shared,
        book: Book,
        shadow: bool = False,
    ) -> None:
        self.health = Health()
        self._settings = settings
        self._routes = routes
        self._shared = shared
        self._book = book
        self._topic = settings.topic_prefix + ALERTS.name
        self._group = delivery_group(settings.app_id) + (SHADOW if shadow else "")
        self._couriers = {name: Courier(each, shared) for name, each in receivers.items()}
        self._longest_s = max((each.endpoint.max_age_s for each in receivers.values()), default=0.0)
        self._desks: dict[TopicPartition, Desk] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        """The ends of the partitions that were read up to there, as of the last turn."""
        self._stop = asyncio.Event()
        self._polled_s = time.monotonic()
        self._committed_s = 0.0
        self._asked_s = 0.0
        """When reading went on after a hold, unix seconds: before it nobody waited for the broker."""
        self._consumer: Any = None
        shared.alive = self._is_alive

    def stop(self) -> None:
        """Have `run` end in order."""
        self._stop.set()

    async def run(self) -> None:
        """Deliver until `stop` is called; what is on its way then may end, the rest is left to the next."""
        await self._check_topics()
        async with AsyncExitStack() as stack:
            pauses = PauseWatch(self._settings)
            watching = asyncio.ensure_future(pauses.run())
            stack.callback(watching.cancel)
            await _first(pauses.known(), watching)
            await self._join(stack)
            while not self._stop.is_set():
                if watching.done():
                    await watching
                self._follow(pauses.pauses)
                await self._turn()
            await self._leave(list(self._desks))

    async def _check_topics(self) -> None:
        names = [self._settings.topic_prefix + topic.name for topic in (ALERTS, DELIVERY, DEAD_LETTERS)]
        counts = [await partitions_of(self._settings, name) for name in names]
        if len(set(counts)) > 1:
            shown = ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
            msg = f"an alert is remembered on its own partition, and the counts of partitions differ: {shown}"
            raise CxError(msg, mend="cx topics check")

    async def _join(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        options = client_options(settings)
        self._consumer = AIOKafkaConsumer(
            **options,
            group_id=self._group,
            group_instance_id=delivery_group(settings.static_id) if settings.static_id else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_poll_records=MOST_READ,
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.heartbeat_interval_s * 1000),
            rebalance_timeout_ms=int(settings.rebalance_timeout_s * 1000),
        )
        self._consumer.subscribe([self._topic], listener=_Listener(self))
        stack.push_async_callback(self._consumer.stop)
        try:
            with quiet_client():
                await self._consumer.start()
        except KafkaError as error:
            raise await unreachable(options) from error

    async def _turn(self) -> None:
        """Read what is there, hand it to the desks, and note how far they are."""
        self._make_room()
        found = await self._consumer.getmany(timeout_ms=POLL_MS)
        self._polled_s = time.monotonic()
        for tp, records in found.items():
            desk = await self._desk(tp, records[0].offset)
            if desk is not None:
                for record in records:
                    desk.take(record)
        for desk in self._desks.values():
            if error := desk.failure():
                raise error
        await self._note_lag()
        if self._polled_s - self._committed_s >= COMMIT_S:
            self._committed_s = self._polled_s
            await self._commit(self._desks.keys() | self._ends.keys())

    async def _desk(self, tp: TopicPartition, offset: int) -> Desk | None:
        """Return the desk of a partition; a new one remembers what was settled before it.

        None where there is nothing to take yet: the partition went meanwhile, or reading begins elsewhere.
        """
        if tp in self._desks:
            return self._desks[tp]
        memory = await self._book.memory(tp.partition)
        begin = await self._begin(tp, memory)
        if tp not in self._consumer.assignment():
            return None
        self._desks[tp] = desk = Desk(
            routes=self._routes,
            couriers=self._couriers,
            shared=self._shared,
            book=self._book,
            memory=memory,
        )
        if begin is not None and begin > offset:
            self._consumer.seek(tp, begin)
            return None
        return desk

    async def _begin(self, tp: TopicPartition, memory: Memory) -> int | None:
        """Return where to begin without a committed offset, None where there is one.

        A first start must not tell people of the whole history: it begins with what is not too old. A group
        whose offsets the broker has forgotten begins that long before its last message.
        """
        if await self._consumer.committed(tp) is not None:
            return None
        newest_s = time.time() if memory.newest_s is None else memory.newest_s
        wanted_ms = int((newest_s - self._longest_s) * 1000)
        at = (await self._consumer.offsets_for_times({tp: max(0, wanted_ms)}))[tp]
        if at is not None:
            return int(at.offset)
        return int((await self._consumer.end_offsets([tp]))[tp])

    def _make_room(self) -> None:
        full = sum(desk.under_way for desk in self._desks.values()) >= MOST_UNDER_WAY
        assigned, waiting = self._consumer.assignment(), self._consumer.paused()
        if full and assigned - waiting:
            self._consumer.pause(*assigned)
        elif not full and waiting:
            self._consumer.resume(*waiting)
            self._asked_s = time.time()

    async def _commit(self, tps: Iterable[TopicPartition]) -> None:
        """Copy the desks' positions to the group; where that fails, a restart reads more than it needs."""
        places = {tp: self._place(tp) for tp in tps}
        moved = {
            tp: place
            for tp, place in places.items()
            if place is not None and place != self._committed.get(tp)
        }
        if not moved:
            return
        try:
            await self._consumer.commit(moved)
        except (KafkaError, IllegalStateError) as error:
            log.info("positions were not committed: %r", error)
        else:
            self._committed |= moved

    def _place(self, tp: TopicPartition) -> int | None:
        """Return where a restart begins with a partition, None where that is not known yet.

        Where nothing waits it is the end: what comes after a delivery has stopped, waits for the next one.
        """
        desk = self._desks.get(tp)
        return desk.position if desk is not None and desk.next_offset else self._ends.get(tp)

    async def _leave(self, tps: Iterable[TopicPartition]) -> None:
        """Let partitions go: attempts on their way may end, nothing new is begun."""
        gone = [tp for tp in tps if tp in self._desks]
        await asyncio.gather(*(self._desks[tp].leave(LEAVE_S) for tp in gone))
        await self._commit(gone)
        for tp in gone:
            del self._desks[tp]
            self._committed.pop(tp, None)

    def _follow(self, pauses: Pauses) -> None:
        self._shared.pauses = pauses
        self.health.paused = pauses.paused
        self._shared.figures.paused.set(pauses.paused)

    async def _note_lag(self) -> None:
        """Note how far behind its partitions are, and when the broker said so: it may be away since."""
        waiting = {}
        self._ends = {}
        for tp in self._consumer.assignment():
            end = self._consumer.last_stable_offset(tp)
            if end is not None:
                # The position passes what no record shows: the ends of the workers' transactions.
                waiting[tp] = max(0, end - await self._consumer.position(tp))
                if not waiting[tp]:
                    self._ends[tp] = end
        figures = self._shared.figures
        figures.lag.clear()
        figures.answered.clear()
        for tp, records in waiting.items():
            figures.lag.labels(str(tp.partition)).set(records)
        answered = {
            tp: max(self._asked_s, self._consumer.last_poll_timestamp(tp) / 1000)
            for tp in waiting.keys() - self._consumer.paused()
        }
        for tp, at_s in answered.items():
            figures.answered.labels(str(tp.partition)).set(at_s)
        self.health.answered_s = min(answered.values(), default=None)

    def _is_alive(self) -> bool:
        """Tell whether this process has been at work lately: after a standstill it may have been replaced."""
        return time.monotonic() - self._polled_s < self._settings.session_timeout_s / 2


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Tells the delivery of partitions that come and go."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let partitions go before another member gets them."""
        self._delivery.health.partitions = ()
        await self._delivery._leave(list(revoked))  # noqa: SLF001  # its other half

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note that the group has taken this member in, and with which partitions."""
        self._delivery.health.partitions = tuple(sorted(tp.partition for tp in assigned))
        self._delivery.health.joined = True


async def _first(wanted: Any, watched: "asyncio.Future[None]") -> None:
    """Wait for `wanted`, or raise what ended `watched` before."""
    waiting = asyncio.ensure_future(wanted)
    await asyncio.wait({waiting, watched}, return_when=asyncio.FIRST_COMPLETED)
    if watched.done():
        waiting.cancel()
        await watched
