"""A lane with a writer, a consumer and an app of paper."""

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from faust.types import TP

from streams.engine.handler import Effects, Run, Standing
from streams.engine.lane import Lane
from streams.engine.marker import new_marker
from streams.engine.memory import MemoryRecord
from streams.engine.owned import Owned
from streams.engine.partition import Chunk, Partition, Transaction
from streams.engine.settings import EngineSettings
from streams.engine.sweep import SweepCursor

if TYPE_CHECKING:
    from streams.engine.transport import Reach

WEB = "web"
SETTINGS = EngineSettings(
    bootstrap_servers="",
    app_id="app",
    inputs=(WEB,),
    flush_min_s=0.0,
    flush_per_partition_s=0.0,
    hold_s=0.0,
    queue_bytes=500,
    chunk_bytes=200,
)


class Counting:
    """Counts records a key."""

    failing = False
    urgent = False

    def __init__(self) -> None:
        self.swept: list[tuple[list[bytes], float]] = []
        self.begun: list[bool] = []

    def begin(self, partition: int, rows: Mapping[bytes, bytes], standing: Standing) -> Any:
        """Start a unit of work."""
        del partition, standing
        return CountingWork(self, rows)

    def committed(self, partition: int, effects: Effects) -> None:
        """Hear of a commit."""


class CountingWork:
    """One unit of work."""

    def __init__(self, handler: Counting, rows: Mapping[bytes, bytes]) -> None:
        self.handler = handler
        self.rows = rows
        self.effects = Effects()

    @property
    def urgent(self) -> bool:
        """Tell what the handler says."""
        return self.handler.urgent

    def apply(self, runs: Sequence[Run]) -> None:
        """Count."""
        if self.handler.failing:
            raise ZeroDivisionError
        for record in (record for _, records in runs for record in records):
            key = record.key or b""
            before = self.effects.rows.get(key) or self.rows.get(key) or b"0"
            self.effects.rows[key] = b"%d" % (int(before) + 1)
            self.effects.counts.accepted += 1

    def settle(self) -> None:
        """Keep all until the end."""

    def sweep(self, keys: Iterable[bytes], now_s: float, *, begins: bool = False) -> None:
        """Write the watermark into each row."""
        self.handler.swept.append((list(keys), now_s))
        self.handler.begun.append(begins)
        for key in keys:
            self.effects.rows[key] = b"%d" % int(now_s)

    def finish(self) -> Effects:
        """Return what changed."""
        return self.effects


class PaperWriter:
    """Writes nowhere; `outcomes` are raised in turn, `gate` holds the commit back."""

    def __init__(self) -> None:
        self.written: list[Transaction] = []
        self.outcomes: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = False
        self.wrote = asyncio.Event()

    async def write(self, transaction: Transaction) -> None:
        """Commit, or fail as told."""
        await self.gate.wait()
        if self.outcomes:
            raise self.outcomes.pop(0)
        self.written.append(transaction)
        self.wrote.set()

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class PaperConsumer:
    """What the lane asks of the consumer."""

    def __init__(self) -> None:
        self.space = asyncio.Event()
        self.reaches: dict[TP, Reach] = {}
        self.sequences: defaultdict[TP, int] = defaultdict(int)
        self.lease = 10.0
        self.heartbeat = -1.0
        self.flowing = True

    def stop_flow(self) -> None:
        """Stop."""
        self.flowing = False

    def lease_left_s(self) -> float:
        """Return how long nobody else can own our partitions."""
        return self.lease

    def last_heartbeat_s(self) -> float:
        """Return when the broker last confirmed us."""
        return self.heartbeat


class PaperApp:
    """What the lane asks of Faust."""

    def __init__(self) -> None:
        self.consumer = PaperConsumer()
        self.flow_control = self
        self.rebalancing = False
        self.should_stop = False

    def suspend(self) -> None:
        """Do nothing."""

    def clear(self) -> None:
        """Do nothing."""


class Bench:
    """A lane at work on two partitions of some inputs."""

    def __init__(self, *inputs: str) -> None:
        self.app = PaperApp()
        self.handler = Counting()
        self.fatal: list[BaseException] = []
        self.settings = dataclasses.replace(SETTINGS, inputs=inputs or (WEB,))
        self.lane = Lane(self.app, self.settings, self.handler, on_fatal=self.fatal.append)
        self.writers = [PaperWriter(), PaperWriter()]
        for number in (0, 1):
            self.own(number)
        self.lane.activate()

    def configure(self, **changes: Any) -> None:
        """Let the lane work with other settings."""
        self.lane.settings = self.lane.fetching.settings = dataclasses.replace(self.settings, **changes)

    def own(self, number: int) -> Owned:
        """Own a partition that starts empty."""
        state = Partition(number, self.handler, session=self.lane.session)
        state.load({}, new_marker(dict.fromkeys(self.settings.inputs, 0)))
        owned = Owned(state, self.writers[number], 1, SweepCursor(1.0, 10))  # type: ignore[arg-type]
        self.lane.partitions._owned[number] = owned
        return owned

    def owned(self, number: int = 0) -> Owned:
        """Return a partition."""
        found = self.lane.partitions.get(number)
        assert found is not None
        return found

    async def send(
        self,
        first: int = 0,
        count: int = 1,
        *,
        partition: int = 0,
        session: int | None = None,
        customers: int = 1,
    ) -> None:
        """Submit a chunk of records from offset `first` on."""
        tp = TP(WEB, partition)
        keys = b"k", b"l", b"m"
        records = [MemoryRecord(keys[n % customers], b"v", (), first + n, 1000) for n in range(count)]
        sequence, self.app.consumer.sequences[tp] = (
            self.app.consumer.sequences[tp],
            self.app.consumer.sequences[tp] + 1,
        )
        now = self.lane.session if session is None else session
        self.lane.submit(Chunk(WEB, partition, records, first + count, sequence, now, 50 * count))

    def close(self) -> None:
        """End the tasks."""
        for owned in self.lane.partitions:
            if owned.task is not None:
                owned.task.cancel()

    async def behind_a_commit(self, chunks: int) -> list[int]:
        """Send chunks of a record while another is committed; return the records of each transaction."""
        self.writers[0].gate.clear()
        await self.send(0)
        await self.settle()
        for offset in range(1, chunks + 1):
            await self.send(offset)
        self.writers[0].gate.set()
        await self.settle()
        return [transaction.records for transaction in self.writers[0].written]

    async def settle(self, number: int = 0) -> None:
        """Let the partition's task work until it has nothing to do."""
        await self.settle_unless_busy()
        if not self.writers[number].gate.is_set():
            return
        await asyncio.wait_for(self.lane._idle.wait(), 1)

    async def settle_unless_busy(self) -> None:
        """Let the tasks work as far as they get without waiting for time."""
        for _ in range(50):
            await asyncio.sleep(0)
