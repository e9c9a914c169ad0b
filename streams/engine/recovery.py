"""Recovery: load what is new, seek every input to its marker, then let the flow go on."""

import asyncio
import gc
import logging
from time import monotonic
from typing import Any

from aiokafka.errors import IllegalStateError, KafkaError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped
from faust.transport.drivers.aiokafka import ensure_aiokafka_TP
from mode import Service

from streams.engine.errors import Lost
from streams.errors import CxError, Exit

log = logging.getLogger(__name__)

RETRY_MIN_S = 0.5
RETRY_MAX_S = 5.0
HALTED_RETRY_S = 15.0
"""How often a stopped partition is looked at again: it goes on by itself after `cx topics adopt`."""
IDENTITY_S = 30.0
"""How often a running worker looks whether its inputs are still the same topics."""
TABLES_SETTLE_S = 0.05
COMPLETE_S = 15.0
"""So long an assignment may be in the making."""
COLLECT_AFTER = (200_000, 20, 20)
"""Objects that have to come before the collector looks for cycles. A transaction makes hundreds of thousands
that all go without it: on a backlog of 400,000 events it found 2,500 that would not. At Python's own 700
looking through them is 6% of the handler's CPU and 30% of a recovery's, at 50,000 1.4% of the worker's, here
half of that."""


class LaneRecovery(Recovery):  # type: ignore[misc]  # Faust is untyped
    """Replaces Faust's recovery, record by record, with the lane's."""

    @Service.task  # type: ignore[untyped-decorator]  # mode is untyped
    async def _slurp_changelogs(self) -> None:
        """Leave the changelog to the bulk loader."""

    @Service.task  # type: ignore[untyped-decorator]  # mode is untyped
    async def _restart_recovery(self) -> None:
        failing_since: float | None = None
        pause = RETRY_MIN_S
        while not self.should_stop:
            if await self.wait_for_stopped(self.signal_recovery_start):
                return
            self.signal_recovery_start.clear()
            try:
                await self._recover(self._generation_id)
            except (RebalanceAgain, IllegalStateError):
                # IllegalState: an input was taken away before the seek; a rebalance is on its way.
                continue
            except ServiceStopped:
                return
            except (KafkaError, Lost, OSError, TimeoutError) as error:
                failing_since = failing_since or monotonic()
                log.warning("partitions could not be loaded, trying again in %.1f s: %r", pause, error)
                if monotonic() - failing_since > self.app.lane.settings.retry_limit_s:
                    self.app.lane.fail(_gave_up(error))
                await self.sleep(pause)
                pause = min(RETRY_MAX_S, 2 * pause)
                self.signal_recovery_start.set()
            except Exception as error:  # noqa: BLE001  # whatever it is, work must not go on from a half-loaded state
                self.app.lane.fail(error)
            else:
                failing_since, pause = None, RETRY_MIN_S

    @Service.task  # type: ignore[untyped-decorator]  # mode is untyped
    async def _heal(self) -> None:
        """Load again what was lost without a rebalance: nobody else will start a recovery."""
        while not self.should_stop:
            if await self.wait_for_stopped(self.app.lane.broken):
                return
            self.app.lane.broken.clear()
            lane = self.app.lane
            if lane.needs_healing() and not self._busy() and await lane.start_healing():
                self.signal_recovery_start.set()

    @Service.task  # type: ignore[untyped-decorator]  # mode is untyped
    async def _look_again(self) -> None:
        while not self.should_stop:
            await self.sleep(HALTED_RETRY_S)
            if self.app.lane.partitions.halted() and not self._busy():
                self.app.lane.broken.set()

    @Service.task  # type: ignore[untyped-decorator]  # mode is untyped
    async def _check_identity(self) -> None:
        while not self.should_stop:
            await self.sleep(IDENTITY_S)
            if self._busy():
                continue
            self._ask_for_inputs()
            try:
                await self.app.lane.check_identity()
            except (KafkaError, OSError, TimeoutError) as error:
                log.info("the topics could not be looked at: %r", error)

    def _busy(self) -> bool:
        return bool(self.app.rebalancing or self.in_recovery or self.app.lane.healing)

    async def _recover(self, generation: int) -> None:
        started = monotonic()
        lane = self.app.lane
        # What an attempt that was given up had left is another's by now, or read from the start.
        lane.stats.recovery_left = 0
        self._set_recovery_started()
        # Now already: each row that is read makes objects too.
        gc.set_threshold(*COLLECT_AFTER)
        changelog = lane.settings.changelog
        await self._wait(self._complete(generation))
        self._ask_for_inputs()
        assigned = {tp.partition for tp in self.active_tps if tp.topic == changelog}
        await self._wait(lane.load(assigned, generation))
        await self._go_on(generation)
        lane.stats.ready_seconds = monotonic() - started
        lane.stats.assignments += 1
        lane.stats.assignment_seconds += lane.stats.ready_seconds
        log.info(
            "working on partitions %s after %.2f s", sorted(lane.partitions.loaded()), monotonic() - started
        )

    async def _complete(self, generation: int) -> None:
        """Refuse inputs without their partitions of the changelog: they would wait for ever, in silence.

        What the client has been given and what Faust has heard of differ for a moment in every rebalance.
        """
        settings = self.app.lane.settings
        deadline = monotonic() + COMPLETE_S
        while True:
            self._same(generation)
            known = {tp.partition for tp in self.active_tps if tp.topic == settings.changelog}
            given = {tp.partition for tp in self.app.consumer.assignment() if tp.topic in settings.inputs}
            if given <= known:
                return
            if monotonic() > deadline:
                msg = f"partitions {sorted(given - known)} came without those of the changelog"
                raise CxError(msg, mend="start the worker again; cx topics check", code=Exit.STOPPED)
            await asyncio.sleep(TABLES_SETTLE_S)

    def _ask_for_inputs(self) -> None:
        """Ask the brokers again for inputs that they did not have.

        The group goes on without a topic that was deleted. Of one made anew it would hear once its metadata
        are five minutes old, and until then a worker would seem to be at its end. The leader of the group has
        the others join again, also where it has no partition itself.
        """
        thread = self.app.consumer._thread  # noqa: SLF001  # our own thread class
        client = thread._ensure_consumer()._client  # noqa: SLF001  # the one that the group is led by
        known = client.cluster.partitions_for_topic
        if lacking := [topic for topic in self.app.lane.settings.inputs if known(topic) is None]:
            log.info("asking the brokers again for what they did not have: %s", ", ".join(lacking))
            thread.thread_loop.call_soon_threadsafe(client.force_metadata_update)

    async def _go_on(self, generation: int) -> None:
        app, consumer = self.app, self.app.consumer
        self._same(generation)
        self._set_recovery_ended()
        await app.on_rebalance_complete.send()
        inputs = {tp for tp in consumer.assignment() if not self._is_changelog_tp(tp)}
        ready = app.lane.partitions.loaded()
        going = {tp for tp in inputs if tp.partition in ready and tp.topic in app.lane.settings.inputs}
        # A record fetched before the seek would move the position after it.
        await self._wait(consumer.parked.wait())
        await self._wait(self._seek(going))
        self._same(generation)
        freeze_memory()
        app.lane.activate()
        consumer.resume_partitions(going)
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        await app._fetcher.maybe_start()  # noqa: SLF001  # as stock recovery does
        self.tables.on_actives_ready()
        self.tables.on_standbys_ready()
        app.on_rebalance_end()

    async def _seek(self, inputs: set[Any]) -> None:
        """Seek to the markers. No broker is asked: it would wait behind a long-poll fetch."""
        consumer, positions = self.app.consumer, self.app.lane.partitions.positions()
        await consumer._thread.seek_all(  # noqa: SLF001  # our own thread class
            {ensure_aiokafka_TP(tp): positions[tp.partition, tp.topic] for tp in inputs}
        )
        consumer.sequences.clear()
        consumer.reaches.clear()

    def _same(self, generation: int) -> None:
        if self.app.consumer_generation_id != generation:
            raise RebalanceAgain


def freeze_memory() -> None:
    """Hide what was loaded from the collector: it would walk over it again and again (15-31% of a core).

    Garbage in cycles would be kept with it: that of the recovery goes first.
    """
    gc.collect(1)
    gc.freeze()


def _gave_up(error: BaseException) -> CxError:
    msg = f"partitions could not be loaded for too long: {error!r}"
    return CxError(msg, mend="cx doctor", code=Exit.STOPPED)


class LaneTableManager(TableManager):  # type: ignore[misc]  # Faust is untyped
    """Brings the lane's recovery to Faust."""

    _recovery: LaneRecovery | None = None

    @property
    def recovery(self) -> LaneRecovery:
        """Return the recovery service, made once."""
        if self._recovery is None:
            self._recovery = LaneRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Start; stock sleeps for a second here."""
        await asyncio.sleep(TABLES_SETTLE_S)
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()
