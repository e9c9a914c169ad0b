"""A demo without Kafka: the in-memory log in this process, with the same scoring, metrics and health."""

import asyncio
from types import SimpleNamespace
from typing import Any, Self

from streams.demo.feed import Record
from streams.demo.observer import Observer
from streams.demo.sinks import Sink
from streams.demo.stage import demo_settings
from streams.engine.memory import MemoryLog, MemoryWorker
from streams.engine.settings import engine_settings
from streams.engine.stats import InputSnapshot, PartitionSnapshot, Snapshot, Stats, counts_as_dict
from streams.observe.server import AdminServer
from streams.observe.watch import Watch
from streams.processing import build_processor


class MemoryStage:
    """The in-memory log: one process, no Kafka; the same function scores."""

    sink: Sink

    def __init__(self) -> None:
        settings = demo_settings("127.0.0.1:9092", metrics_port=0)
        engine = engine_settings(settings)
        self.name = "the in-memory log"
        self.metrics_url: str | None = None
        self.observer = Observer(settings.topic_prefix, engine.changelog)
        self.log = MemoryLog(settings.partitions)
        self.sink = MemorySink(self.log)
        self.processor = build_processor(settings)
        self.processor.partitions = settings.partitions
        self._worker = MemoryWorker(self.log, engine, self.processor)
        self._server = AdminServer(settings, Watch(self.processor, lane=MemoryEngine(self._worker)))
        self._seen: dict[tuple[str, int], int] = {}

    async def __aenter__(self) -> Self:
        self._worker.assign(range(self.log.partitions))
        self._server.bind()
        self._server.start(asyncio.get_running_loop())
        self.metrics_url = f"{self._server.url}/metrics"
        return self

    async def __aexit__(self, *_: object) -> None:
        # In a thread: the server ends when nobody is being answered, and answers come from this loop.
        await asyncio.to_thread(self._server.stop)

    async def poll(self) -> None:
        """Score what was fed, look at whom it is time to look at, and show the output to the observer."""
        for number in self._worker.partitions:
            self._worker.step(number)
            await asyncio.sleep(0)
        self._worker.sweep_due()
        for topic in (*self.observer.topics, self.observer.changelog):
            for number in self._worker.partitions:
                self._show(topic, number)

    def _show(self, topic: str, number: int) -> None:
        records = self.log.read(topic, number, self._seen.get((topic, number), 0))
        for record in records:
            self.observer.take(topic, number, record.key, record.value, record.headers)
        self._seen[topic, number] = self._seen.get((topic, number), 0) + len(records)


class MemorySink:
    """Appends to the in-memory log; record timestamps are now, as on Kafka."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log

    async def add(self, record: Record) -> None:
        """Append a record to its topic."""
        self._log.append(record.topic, record.key, record.value)

    async def flush(self) -> None:
        """Nothing is held back."""


class MemoryEngine:
    """A worker on the in-memory log, as `observe.watch.Watch` looks at an engine."""

    def __init__(self, worker: MemoryWorker) -> None:
        self._worker = worker
        self.app = SimpleNamespace(started=True)

    @property
    def partitions(self) -> dict[int, Any]:
        """Return the partitions held, each with its `state`."""
        worker = self._worker
        return {each: SimpleNamespace(ready=True, state=worker.state(each)) for each in worker.partitions}

    def snapshot(self) -> Snapshot:
        """Return the engine's figures: there is no rebalance, no recovery and no queue."""
        partitions = tuple(map(self._partition, self._worker.partitions))
        stats = Stats(
            commits=sum(each.transactions for each in partitions),
            records=sum(sum(each.counts.values()) for each in partitions),
        )
        return Snapshot(stats, partitions, session=self._worker.session)

    def _partition(self, number: int) -> PartitionSnapshot:
        state = self._worker.state(number)
        return PartitionSnapshot(
            partition=number,
            ready=True,
            problem="",
            rows=len(state.rows),
            queue_bytes=0,
            watermark_s=self._worker.watermark(number),
            sweep_passes=self._worker.sweep_passes(number),
            transactions=state.marker.transactions,
            counts=counts_as_dict(state.marker.counts),
            inputs=tuple(self._input(number, topic) for topic in state.marker.inputs),
        )

    def _input(self, number: int, topic: str) -> InputSnapshot:
        at = self._worker.state(number).marker.inputs[topic]
        end = self._worker.log.end(topic, number)
        return InputSnapshot(
            topic=topic,
            next_offset=at.next_offset,
            highwater=end,
            last_record_s=at.last_record_s,
            newest_event_s=at.newest_event_s,
            at_end=at.next_offset >= end,
            moved=at.next_offset,
        )
