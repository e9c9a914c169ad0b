"""The transport below Faust: chunks instead of records, positions from the marker instead of from acks.

Plugged in as `lane://host:port`. Each override names the trap it closes; the worst of them are listed in
docs/decisions/0003-partition-batch-lane.md.
"""

import asyncio
import contextlib
import logging
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import aiokafka
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.engine.bare import give_bare
from streams.engine.bundling import Bundle, bundled
from streams.engine.cutting import cut
from streams.engine.partition import Chunk

log = logging.getLogger(__name__)

SCHEME = "lane"
POLL_S = 0.1
"""Longest wait of a fetch: a rebalance waits for it."""
SPACE_S = 0.25


@dataclass(slots=True)
class Reach:
    """How far an input was fetched, as the last fetch saw it."""

    position: int
    end: int
    """Last stable offset."""
    seen_s: float
    """When the broker said so, seconds since the epoch."""


class LaneThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped
    """The thread with the group's consumer."""

    last_heartbeat_s = -math.inf
    """Last sign of life that the broker confirmed, by the monotonic clock."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Return our own consumer: committed records only, and no automatic reset of a position.

        Stock reads uncommitted records, of upstream transactions that were aborted too.
        """
        self._assignor = self.app.assignor
        settings = self.app.lane.settings
        return aiokafka.AIOKafkaConsumer(
            client_id=self.app.conf.broker_client_id,
            group_id=self.app.conf.id,
            group_instance_id=settings.static_id or None,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=self.app.conf.broker_max_poll_records,
            max_poll_interval_ms=int(self.app.conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=settings.chunk_bytes,
            fetch_min_bytes=settings.gather_bytes,
            fetch_max_wait_ms=int(settings.gather_s * 1000),
            request_timeout_ms=int(self.app.conf.broker_request_timeout * 1000),
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            rebalance_timeout_ms=int(settings.rebalance_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.heartbeat_interval_s * 1000),
            check_crcs=False,
            **settings.security,
        )

    async def on_start(self) -> None:
        """Start the consumer and note every sign of life that the broker confirmed."""
        await super().on_start()
        give_bare(self._consumer)
        coordinator = self._consumer._coordinator  # noqa: SLF001  # the one place that knows
        for name in ("_do_heartbeat", "_do_rejoin_group"):
            # A consumer without a group has no heartbeat.
            if hasattr(coordinator, name):
                setattr(coordinator, name, self._noting(getattr(coordinator, name)))

    def _noting(self, request: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
        async def noting(*args: Any) -> bool:
            asked = monotonic()
            confirmed = await request(*args)
            if confirmed:
                # A heartbeat vouches from when it was sent; a join, which may take long, from its answer.
                self.last_heartbeat_s = monotonic() if args else asked
            return confirmed

        return noting

    async def getmany(self, active_partitions: set[Any] | None, timeout: float) -> Any:  # noqa: ASYNC109  # Faust's
        """Fetch in the consumer's thread; stock's queue of calls makes three tasks of each."""
        consumer = self._ensure_consumer()
        fetching = self._fetch_records(consumer, active_partitions, timeout, consumer._max_poll_records)  # noqa: SLF001  # as stock asks
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(fetching, self.thread_loop))

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[Any] | None,
        timeout: float | None = None,  # noqa: ASYNC109  # Faust's signature
        max_records: int | None = None,
    ) -> Any:
        """Fetch, and note in the same breath how far each input was read and where it ends."""
        try:
            most = min(max_records or self.consumer.most_records, self.consumer.most_records)
            records = await super()._fetch_records(consumer, active_partitions, timeout, most)
        except OffsetOutOfRangeError as error:
            self.consumer.app.loop.call_soon_threadsafe(self.consumer.on_out_of_range, error.args[0])
            return {}
        except NoOffsetForPartitionError:
            # Assigned, but not yet sought to its marker: recovery does that before the flow goes on.
            return {}
        return Fetched(records, _reaches(consumer))

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Copy the markers into the group for lag tools; a failure is of no consequence.

        Stock crashes the worker on most errors here and advances on the others.
        """
        assigned = self.assignment()
        ours = {
            driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        if not ours:
            return False
        try:
            await self._ensure_consumer().commit(ours)
        except (KafkaError, IllegalStateError) as error:
            log.info("offsets of the group were not copied, the markers hold: %r", error)
            return False
        return True

    async def seek_all(self, positions: Mapping[Any, int]) -> None:
        """Seek every input; in the consumer's thread, all in one step."""

        def seek() -> None:
            consumer = self._ensure_consumer()
            for tp, offset in positions.items():
                consumer.seek(tp, offset)

        await self.call_thread(seek)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leave out stock's livelock detector: it crashes the worker on a position of None."""


class Fetched(dict):  # type: ignore[type-arg]  # records by partition, as Faust wants them
    """The records of a fetch with the reach of every assigned input at that moment."""

    def __init__(self, records: Mapping[Any, Any], reaches: Mapping[Any, Reach]) -> None:
        super().__init__({TP(*tp): found for tp, found in records.items()})
        self.reaches = reaches


def _reaches(consumer: Any) -> dict[TP, Reach]:
    subscription = consumer._subscription.subscription  # noqa: SLF001  # read in the consumer's own thread
    assignment = subscription.assignment if subscription else None
    if assignment is None:
        return {}
    found = {}
    for tp in assignment.tps:
        state = assignment.state_value(tp)
        if state.lso is not None and state._position is not None:  # noqa: SLF001  # `position` raises on None
            found[TP(*tp)] = Reach(state._position, state.lso, state.timestamp / 1000)  # noqa: SLF001  # the seam itself
    return found


class LaneConsumer(driver.Consumer):  # type: ignore[misc]  # Faust is untyped
    """Cuts fetches into numbered chunks and leaves positions to the markers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parked = asyncio.Event()
        """Set while no fetch is in flight: only then may positions be moved."""
        self.parked.set()
        self.space = asyncio.Event()
        self.sequences: defaultdict[TP, int] = defaultdict(int)
        self.reaches: dict[TP, Reach] = {}
        self.most_records = self.app.lane.settings.chunk_records
        """Most records of a fetch, at the size of the last ones."""

    def _new_consumer_thread(self) -> LaneThread:
        return LaneThread(self, loop=self.loop, beacon=self.beacon)

    def last_heartbeat_s(self) -> float:
        """Return when the broker last confirmed our membership, by the monotonic clock."""
        seen: float = self._thread.last_heartbeat_s
        return seen

    def lease_left_s(self) -> float:
        """Return for how long no other worker can have been given our partitions."""
        timeout_s: float = self.app.lane.settings.session_timeout_s
        return timeout_s - (monotonic() - self.last_heartbeat_s())

    def on_out_of_range(self, positions: Mapping[Any, int]) -> None:
        """Hear from the thread that the broker does not have these positions."""
        for tp, offset in positions.items():
            self.app.lane.on_out_of_range(tp.topic, tp.partition, offset)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand every chunk to the queue of its agent, until the worker stops.

        Stock drops, silently, every message at or below its own read offset; chunks have numbers.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                async for tp, message in self.getmany(POLL_S):
                    await self._hand_over(tp, message)
        except (asyncio.CancelledError, *self.consumer_stopped_errors):
            if not self.app.should_stop:
                raise

    async def _hand_over(self, tp: TP, message: ConsumerMessage) -> None:
        """Put a message into the queues of its agents; one that waits for room stops when the flow does.

        Stock makes four tasks for each message, whether it has to wait or not.
        """
        room = not any(topic.queue.full() for topic in self.app.topics._tp_index.get(tp, ()))  # noqa: SLF001  # the seam itself
        if room and self.app.flow_control.is_active():
            await self.callback(message)
        else:
            await self.wait_first(self.callback(message), self.suspend_flow.wait())

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  # Faust's
        """Yield a message per bundle of chunks."""
        self.parked.clear()
        try:
            async for item in self._chunks(min(timeout, POLL_S)):
                yield item
        finally:
            self.parked.set()

    async def _chunks(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109  # Faust's signature
        records, _ = await self._wait_next_records(timeout)
        if not records or self.should_stop:
            return
        # Every chunk gets its number now, also one that is dropped below: the hole is seen.
        session = self.app.lane.session
        generation = self.app.consumer_generation_id
        for bundle in self._cut(records, session):
            if not self.flow_active or session != self.app.lane.session:
                return
            first = bundle[0]
            last = first.records[-1]
            tp = TP(first.topic, first.partition)
            yield (
                tp,
                ConsumerMessage(
                    tp.topic,
                    tp.partition,
                    last.offset,
                    last.timestamp / 1000,
                    0,
                    None,
                    None,
                    bundle,
                    None,
                    0,
                    0,
                    tp,
                    generation_id=generation,
                ),
            )

    def _cut(self, records: Any, session: int) -> list[Bundle]:
        """Return the chunks of a fetch, one of each input in turn."""
        settings = self.app.lane.settings
        rounds: list[list[Chunk]] = []
        for tp, found in records.items():
            cuts = cut(found, settings.chunk_records, settings.chunk_bytes)
            reach = records.reaches.get(tp)
            for turn, (part, size) in enumerate(cuts):
                if turn + 1 < len(cuts):
                    after = cuts[turn + 1][0][0].offset
                else:
                    # Behind the last record there may be offsets without one, as commit markers are.
                    after = max(part[-1].offset + 1, reach.position if reach else 0)
                chunk = Chunk(tp.topic, tp.partition, part, after, self.sequences[tp], session, size)
                self.sequences[tp] += 1
                if turn == len(rounds):
                    rounds.append([])
                rounds[turn].append(chunk)
        self.reaches.update(records.reaches)
        self._expect(rounds)
        bounds = settings.chunk_records, settings.chunk_bytes
        return [bundle for turn in rounds for bundle in bundled(turn, *bounds)]

    def _expect(self, rounds: Iterable[Iterable[Chunk]]) -> None:
        """Bound the next fetches by the size of these records."""
        chunks = [chunk for turn in rounds for chunk in turn]
        if size := sum(chunk.size for chunk in chunks):
            number = sum(len(chunk.records) for chunk in chunks)
            self.most_records = max(1, self.app.lane.fetching.fetch_bytes() * number // size)

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP]]:  # noqa: ASYNC109  # Faust's
        if not self.flow_active:
            self.parked.set()
            await self.wait(self.can_resume_flow)
            self.parked.clear()
        active = self.app.lane.fetching.fetchable(self._get_active_partitions())
        if not active:
            # Stock sleeps for a second here.
            self.space.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.space.wait(), SPACE_S)
            return {}, active
        records = await self._getmany(active_partitions=active, timeout=timeout)
        if isinstance(records, Fetched) and not records:
            self.reaches.update(records.reaches)
        return records, active

    def on_buffer_drop(self, tp: TP) -> None:
        """Hear that Faust's queue has room again."""
        super().on_buffer_drop(tp)
        self.space.set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Fetch from `tps` again."""
        super().resume_partitions(tps)
        self.space.set()

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:  # noqa: ARG002  # Faust's
        """Return what may be copied into the group; acks say nothing (Faust acks what raised)."""
        return [TP(topic, number) for number, topic in self.app.lane.partitions.positions()]

    def _new_offset(self, tp: TP) -> int | None:
        offset: int | None = self.app.lane.partitions.positions().get((tp.partition, tp.topic))
        return offset

    async def _commit_offsets(
        self,
        offsets: Mapping[TP, int],
        start_new_transaction: bool = True,  # noqa: ARG002, FBT001, FBT002  # Faust's
    ) -> bool:
        if not await self._commit(offsets):
            return False
        self._committed_offset.update(offsets)
        self.app.monitor.on_tp_commit(offsets)
        return True

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow, let the transactions in hand end, disown everything; then Faust's part."""
        # aiokafka goes on with heartbeats during this callback, not during that of the assignment.
        await self.app.lane.on_revoked()
        await super().on_partitions_revoked(revoked)

    async def wait_empty(self) -> None:
        """Wait, bounded, for the transactions in hand; chunks still queued will be fetched again."""
        await self.app.lane.quiesce()

    async def on_stop(self) -> None:
        """End the transactions in hand, copy the markers into the group, let the producers go."""
        await self.app.lane.stop()
        await self.force_commit()


class LaneProducer(driver.Producer):  # type: ignore[misc]  # Faust is untyped
    """Faust's own producer (agents may send with it); the lane's transactions have theirs."""

    async def on_start(self) -> None:
        """Check the cluster first: this is the first service of a worker that talks to a broker."""
        await self.app.lane.preflight()
        await super().on_start()

    def _settings_auth(self) -> Mapping[str, Any]:
        security: Mapping[str, Any] = self.app.lane.settings.security
        return security

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class LaneTransport(driver.Transport):  # type: ignore[misc]  # Faust is untyped
    """Brings consumer and producer of the lane to Faust."""

    Consumer = LaneConsumer
    Producer = LaneProducer


def register() -> None:
    """Make `lane://` known to Faust."""
    TRANSPORTS.aliases[SCHEME] = f"{__name__}:LaneTransport"
