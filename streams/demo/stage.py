"""What a demo runs on: a real Kafka with a worker of its own, or the in-memory log."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.error import URLError
from urllib.request import urlopen

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.admin import ensure_topics
from streams.app import engine_settings
from streams.demo.feed import Record
from streams.demo.observer import Observer
from streams.demo.sinks import KafkaSink, Sink
from streams.engine.memory import MemoryLog, MemoryWorker
from streams.errors import CxError
from streams.local_kafka.node import LocalKafka
from streams.local_kafka.wire import free_port
from streams.processing import build_processor
from streams.settings import Settings, variable

PARTITIONS = 4
SWEEP_S = 86_400.0
"""Of event time: a demo lives through a year in a minute, so every customer is looked at once a day of it."""
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
POLL_S = 0.05
LOG_TAIL = 20


class Stage(Protocol):
    """Where a demo plays: `sink` takes its events, `poll` brings what came of them to `observer`."""

    name: str
    metrics_url: str | None
    observer: Observer
    sink: Sink

    async def __aenter__(self) -> Self:
        """Start everything; raises CxError where it cannot."""

    async def __aexit__(self, *_: object) -> None:
        """Leave no process behind."""

    async def poll(self) -> None:
        """Show new output to the observer."""


def demo_settings(bootstrap_servers: str, **changes: Any) -> Settings:
    """Return the settings of a demo's worker: event time is its clock."""
    return Settings(
        bootstrap_servers=bootstrap_servers,
        partitions=PARTITIONS,
        clock="event",
        sweep_interval_s=SWEEP_S,
        **changes,
    )


class KafkaStage:
    """A broker and a worker, both of them processes of this demo's own, in a folder that goes with it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cx-demo-"))
        self._broker = LocalKafka(self._folder / "kafka")
        self._worker: subprocess.Popen[bytes] | None = None
        self._consumer: Any = None
        self._port = free_port()
        self.name = "a local Kafka"
        self.metrics_url: str | None = f"http://127.0.0.1:{self._port}/metrics"

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _start(self) -> None:
        self._broker.start()
        self.name = f"Kafka at {self._broker.bootstrap_servers}"
        settings = demo_settings(
            self._broker.bootstrap_servers,
            metrics_port=self._port,
            data_dir=str(self._folder / "worker"),
            log_level="warning",
        )
        self.observer = Observer(settings.topic_prefix, engine_settings(settings).changelog)
        await ensure_topics(settings)
        self._start_worker(settings)
        await self._until_ready()
        self.sink: Sink = await KafkaSink(settings.bootstrap_servers).__aenter__()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
        )
        await self._consumer.start()
        topics = (*self.observer.topics, self.observer.changelog)
        self._consumer.assign(
            [TopicPartition(topic, number) for topic in topics for number in range(settings.partitions)]
        )

    def _start_worker(self, settings: Settings) -> None:
        names = ("bootstrap_servers", "clock", "sweep_interval_s", "metrics_port", "data_dir", "log_level")
        own = {variable(name): str(getattr(settings, name)) for name in names}
        with (self._folder / "worker.log").open("wb") as log:
            self._worker = subprocess.Popen(  # this program itself
                [sys.executable, "-m", "streams.cli.main", "worker"],
                env={**os.environ, **own},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    async def _until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        url = f"http://127.0.0.1:{self._port}/readyz"
        while not await asyncio.to_thread(_answers, url):
            if self._worker is None or self._worker.poll() is not None or time.monotonic() > deadline:
                lines = (self._folder / "worker.log").read_text(errors="replace").splitlines()
                msg = "the demo's worker did not get ready:\n" + "\n".join(lines[-LOG_TAIL:])
                raise CxError(msg, mend="cx demo --memory runs without Kafka")
            await asyncio.sleep(POLL_S)

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
            await self.sink.__aexit__()  # type: ignore[attr-defined]  # a KafkaSink here
        if self._worker is not None and self._worker.poll() is None:
            self._worker.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(self._worker.wait, STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()
        self._broker.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def poll(self) -> None:
        """Show new output to the observer; raises CxError where the worker has died."""
        if self._worker is not None and self._worker.poll() is not None:
            lines = (self._folder / "worker.log").read_text(errors="replace").splitlines()
            msg = f"the demo's worker ended with {self._worker.returncode}:\n" + "\n".join(lines[-LOG_TAIL:])
            raise CxError(msg, mend="cx doctor")
        for where, records in (await self._consumer.getmany(timeout_ms=0)).items():
            for record in records:
                self.observer.take(where.topic, where.partition, record.key, record.value, record.headers)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1.0) as response:  # noqa: S310  # a loopback address made here
            return bool(response.status == 200)  # noqa: PLR2004  # OK
    except (URLError, OSError):
        return False


class MemoryStage:
    """The in-memory log: one process, no Kafka; the same function scores."""

    def __init__(self) -> None:
        settings = demo_settings("127.0.0.1:9092")
        engine = engine_settings(settings)
        self.name = "the in-memory log"
        self.metrics_url: str | None = None
        self.observer = Observer(settings.topic_prefix, engine.changelog)
        self.log = MemoryLog(settings.partitions)
        self.sink: Sink = MemorySink(self.log)
        self.processor = build_processor(settings)
        self._worker = MemoryWorker(self.log, engine, self.processor)
        self._seen: dict[tuple[str, int], int] = {}

    async def __aenter__(self) -> Self:
        self._worker.assign(range(self.log.partitions))
        return self

    async def __aexit__(self, *_: object) -> None:
        return

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
