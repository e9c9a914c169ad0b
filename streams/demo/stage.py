"""What a demo runs on: here a real Kafka with a worker of its own (the in-memory log: `demo.memory`)."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.error import URLError
from urllib.request import urlopen

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.admin import ensure_topics
from streams.connection import client_options
from streams.demo.observer import Observer
from streams.demo.sinks import KafkaSink, Sink
from streams.engine.settings import engine_settings
from streams.errors import CxError
from streams.local_kafka.node import LocalKafka
from streams.local_kafka.wire import free_port
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


def _new_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="cx-demo-"))
    except OSError as error:
        msg = f"the demo's Kafka has no folder to write to: {error.strerror}"
        raise CxError(msg, mend="set TMPDIR to a folder with room, or: cx demo --memory") from error


class KafkaStage:
    """A broker and a worker, both of them processes of this demo's own, in a folder that goes with it."""

    def __init__(self) -> None:
        self._folder = _new_folder()
        self._broker = LocalKafka(self._folder / "kafka")
        self._worker: subprocess.Popen[bytes] | None = None
        self._consumer: Any = None
        self._clients: list[Any] = []
        """How what talks to the broker is ended."""
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
        sink = await KafkaSink(settings).__aenter__()
        self.sink: Sink = sink
        self._clients.append(sink.__aexit__)
        self._consumer = AIOKafkaConsumer(
            **client_options(settings),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
        )
        self._clients.append(self._consumer.stop)
        await self._consumer.start()
        topics = (*self.observer.topics, self.observer.changelog)
        self._consumer.assign(
            [TopicPartition(topic, number) for topic in topics for number in range(settings.partitions)]
        )

    def _start_worker(self, settings: Settings) -> None:
        # All of them: what the user has set for workers of their own is not meant for this one.
        own = {variable(each.name): str(getattr(settings, each.name)) for each in fields(settings)}
        worker = (sys.executable, "-m", "streams.cli.main", "worker")
        with (self._folder / "worker.log").open("wb") as log:
            self._worker = subprocess.Popen(  # noqa: S603  # this program itself, which dies with this process
                [sys.executable, "-m", "streams.local_kafka.tether", str(os.getpid()), *worker],
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
                msg = f"the demo's worker did not get ready:\n{self._log_tail()}"
                raise CxError(msg, mend="cx demo --memory runs without Kafka")
            await asyncio.sleep(POLL_S)

    def _log_tail(self) -> str:
        lines = (self._folder / "worker.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL:])

    async def __aexit__(self, *_: object) -> None:
        try:
            async with AsyncExitStack() as clients:  # whatever one of them says, the processes are ended
                for client in self._clients:
                    clients.push_async_callback(client)
        finally:
            await asyncio.to_thread(self._end_worker)
            self._broker.stop()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _end_worker(self) -> None:
        if self._worker is None or self._worker.poll() is not None:
            return
        self._worker.send_signal(signal.SIGTERM)
        try:
            self._worker.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()

    async def poll(self) -> None:
        """Show new output to the observer; raises CxError where the worker has died."""
        if self._worker is not None and self._worker.poll() is not None:
            msg = f"the demo's worker ended with {self._worker.returncode}:\n{self._log_tail()}"
            raise CxError(msg, mend="cx demo --memory runs without Kafka")
        for where, records in (await self._consumer.getmany(timeout_ms=0)).items():
            for record in records:
                self.observer.take(where.topic, where.partition, record.key, record.value, record.headers)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=1.0) as response:  # noqa: S310  # a loopback address made here
            return bool(response.status == 200)  # noqa: PLR2004  # OK
    except (URLError, OSError):
        return False
