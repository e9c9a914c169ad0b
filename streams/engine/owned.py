"""A state partition with everything this process needs to work on it."""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from faust.types import TP

from streams.engine.errors import OutOfRange
from streams.engine.partition import Partition
from streams.engine.queue import PartitionQueue
from streams.engine.settings import Clock
from streams.engine.stats import InputSnapshot, PartitionSnapshot, counts_as_dict
from streams.engine.sweep import SweepCursor
from streams.engine.watermark import InputState, watermark
from streams.engine.writer import Writer


@dataclass(eq=False, slots=True)
class Owned:
    """State, queue, producer and task of one partition."""

    state: Partition
    writer: Writer
    generation: int
    """Kafka's generation of the assignment that it was kept or loaded in."""
    sweep: SweepCursor
    queue: PartitionQueue = field(default_factory=PartitionQueue)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    full: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a whole chunk waits."""
    hurried: bool = False
    """What nobody waits for gathers no longer: somebody needs the partition."""
    task: "asyncio.Task[None] | None" = None
    ready: bool = False
    """Records may be applied: loaded, and every input stands at its marker."""
    problem: OutOfRange | None = None
    flushed_s: float = 0.0
    _watermark_s: float = -math.inf

    async def close(self) -> None:
        """Stop the task and let the producer go; nothing holds the rows from then on.

        A task keeps the error that ended it, whose traceback keeps the partition: a cycle, which is never
        looked at once memory is frozen.
        """
        if self.task is not None:
            self.task.cancel()
            self.task = None
        await self.writer.close()

    def hurry(self) -> None:
        """Let whoever holds the partition write what it has."""
        self.hurried = True
        self.wake.set()

    def inputs(self, consumer: Any) -> Iterator[tuple[str, InputState, int | None]]:
        """Yield each input with how far it is applied and where it ends (None before the first fetch)."""
        for topic, position in self.state.marker.inputs.items():
            tp = TP(topic, self.state.number)
            reach = consumer.reaches.get(tp)
            # Everything fetched is applied, and the fetch had reached the end.
            drained = self.state.expected.get(topic, 0) == consumer.sequences.get(tp, 0)
            at_end = reach is not None and drained and reach.position >= reach.end
            reached_s = reach.seen_s if reach is not None else -math.inf
            record_s, event_s = position.last_record_s, position.newest_event_s
            state = InputState(at_end, reached_s, record_s, event_s, self.queue.next_s(topic))
            yield topic, state, None if reach is None else reach.end

    def standing(self, consumer: Any, clock: Clock) -> tuple[float, bool]:
        """Return the watermark, which never goes back, and whether all that every input holds is applied."""
        states = [state for _, state, _ in self.inputs(consumer)]
        self._watermark_s = max(self._watermark_s, watermark(states, clock))
        return self._watermark_s, all(state.at_end for state in states)

    def snapshot(self, consumer: Any) -> PartitionSnapshot:
        """Return the partition as metrics show it."""
        state = self.state
        loaded = state.loaded
        return PartitionSnapshot(
            partition=state.number,
            ready=self.ready,
            problem=str(self.problem or ""),
            rows=len(state.rows),
            queue_bytes=self.queue.bytes,
            watermark_s=self._watermark_s,
            sweep_passes=self.sweep.passes,
            transactions=state.marker.transactions if loaded else 0,
            counts=counts_as_dict(state.marker.counts) if loaded else {},
            inputs=tuple(self._input_snapshots(consumer)) if loaded else (),
        )

    def _input_snapshots(self, consumer: Any) -> Iterator[InputSnapshot]:
        positions = self.state.marker.inputs
        for topic, each, end in self.inputs(consumer):
            position = positions[topic]
            yield InputSnapshot(
                topic,
                position.next_offset,
                end,
                each.record_s,
                each.event_s,
                each.at_end,
                position.moved,
            )
