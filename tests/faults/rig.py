"""The rig of a fault test: topics, a feed with poison in it, worker processes, and the oracle's verdict."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from oracle import behind, differences

from streams.admin import ensure_topics
from streams.engine.marker import MARKER_KEY
from streams.settings import Settings
from streams.topics import INPUTS

HERE = Path(__file__).parent
READY = "working on partitions"
PARTITIONS = 4
CUSTOMERS = 1500
POISON = 0.004
POLL_S = 0.05
STOP_S = 30.0
FED, FEED_EVERY_S = 1500, 0.4
"""What is fed in the background."""


class Rig:
    """One application on one Kafka, with a folder for the workers' logs."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.folder = folder
        self.app_id = f"{prefix}cx"
        self.changelog = f"{self.app_id}-customers-changelog"
        self.command = [sys.executable, str(HERE / "worker.py")]
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._feed: asyncio.Task[int] | None = None
        self._stop_feed = asyncio.Event()

    @property
    def inputs(self) -> list[str]:
        """Return the full names of the inputs."""
        return [self.prefix + topic.name for topic in INPUTS]

    def settings(self, **other: Any) -> Settings:
        """Return the settings that the workers run on."""
        return Settings(
            bootstrap_servers=self.bootstrap,
            topic_prefix=self.prefix,
            app_id=self.app_id,
            partitions=PARTITIONS,
            **other,
        )

    async def create(self, **other: Any) -> None:
        """Create the topics."""
        await ensure_topics(self.settings(**other))

    # -- workers

    def start(self, name: str, *, bootstrap: str = "", **env: Any) -> None:
        """Start a worker; `env` adds or overrides `CX_*` and `FAULT_*`."""
        variables = {
            "CX_BOOTSTRAP_SERVERS": bootstrap or self.bootstrap,
            "CX_TOPIC_PREFIX": self.prefix,
            "CX_APP_ID": self.app_id,
            "CX_PARTITIONS": PARTITIONS,
            "CX_DATA_DIR": self.folder / f"{name}-data",
            "CX_SESSION_TIMEOUT_S": 6,
            "CX_HEARTBEAT_INTERVAL_S": 1,
            "CX_REBALANCE_TIMEOUT_S": 20,
            "CX_SWEEP_INTERVAL_S": 2,
            "CX_CHUNK_RECORDS": 300,
            "FAULT_SLOW_S": 0.01,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **env,
        }
        with self.log_file(name).open("ab") as log:
            self.workers[name] = subprocess.Popen(
                ["nice", "-n", "5", *self.command],
                env={**os.environ, **{key: str(value) for key, value in variables.items()}},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a worker."""
        self.workers[name].send_signal(number)

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """End a worker and return its exit code."""
        self.send(name, number)
        return self.workers[name].wait(STOP_S)

    def log_file(self, name: str) -> Path:
        """Return where a worker's lines go."""
        return self.folder / f"{name}.log"

    def log(self, name: str) -> str:
        """Return what a worker has logged."""
        path = self.log_file(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def times_ready(self, name: str, what: str = READY) -> int:
        """Return how often a worker has begun to work."""
        return self.log(name).count(what)

    async def ready(self, name: str, times: int = 1, *, what: str = READY) -> float:
        """Wait until a worker has begun to work for the `times`-th time; return how long that took."""
        started = time.monotonic()
        await self.until(
            lambda: self.times_ready(name, what) >= times or self.workers[name].poll() is not None,
            f"{name} ready #{times}",
        )
        assert self.times_ready(name, what) >= times, f"{name} ended\n{self.tails()}"
        return time.monotonic() - started

    async def until(self, condition: Callable[[], bool], what: str, wait_s: float = 60) -> None:
        """Wait for a condition, bounded."""
        deadline = time.monotonic() + wait_s
        while not condition():
            if time.monotonic() > deadline:
                msg = f"{what} not seen in {wait_s} s\n{self.tails()}"
                raise TimeoutError(msg)
            await asyncio.sleep(POLL_S)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.workers.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def tails(self) -> str:
        """Return the last lines of each worker."""
        names = sorted(self.folder.glob("*.log"))
        return "\n".join(
            f"--- {path.stem}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-25:])
            for path in names
        )

    # -- input

    async def feed(self, count: int, seed: int) -> int:
        """Write `count` records, some of them poison, to the inputs by the customers' keys."""
        rnd = random.Random(seed)
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            sent = []
            for _ in range(count):
                customer = b"c%d" % rnd.randrange(CUSTOMERS)
                key, value = _record(rnd, customer)
                topic = rnd.choice((self.inputs[0], *self.inputs))
                number = (murmur2(customer) & 0x7FFFFFFF) % PARTITIONS
                sent.append(await producer.send(topic, value, key, partition=number))
            await asyncio.gather(*sent)
        finally:
            await producer.stop()
        return count

    def feed_on(self) -> None:
        """Keep feeding in the background until `stop_feeding`."""
        self._feed = asyncio.create_task(self._feeding())

    async def _feeding(self) -> int:
        total, seed = 0, 1000
        while not self._stop_feed.is_set():
            seed += 1
            total += await self.feed(FED, seed)
            await asyncio.sleep(FEED_EVERY_S)
        return total

    async def stop_feeding(self) -> int:
        """End the background feed; return what it wrote."""
        self._stop_feed.set()
        return await self._feed if self._feed else 0

    # -- verdict

    async def drained(self, wait_s: float = 90) -> None:
        """Wait until every record is covered by a committed marker."""
        deadline = time.monotonic() + wait_s
        left: int | str = "?"
        while time.monotonic() < deadline:
            try:
                left = await behind(self.bootstrap, self.prefix, self.changelog)
            except KafkaError as error:
                left = repr(error)
            if left == 0:
                return
            await asyncio.sleep(0.5)
        msg = f"{left} records not applied after {wait_s} s\n{self.tails()}"
        raise TimeoutError(msg)

    async def verdict(self) -> None:
        """Fail with every difference that the oracle finds."""
        found = await differences(self.bootstrap, self.prefix, self.changelog)
        assert not found, f"{len(found)} differences: " + "; ".join(found[:20]) + "\n" + self.tails()


def _record(rnd: random.Random, customer: bytes) -> tuple[bytes | None, bytes | None]:
    if rnd.random() >= POISON:
        return customer, orjson.dumps({"v": rnd.randrange(100), "pad": "x" * 60})
    return rnd.choice(
        (
            (customer, b"\xff\x00{{"),
            (customer, None),
            (None, b'{"v":1}'),
            (customer, b"[]"),
            (customer, b'{"v":"text"}'),
            (MARKER_KEY, b'{"v":1}'),
        )
    )


def say(line: str) -> None:
    """Say what a test did; pytest shows it with -s and where it fails."""
    sys.stdout.write(f"{line}\n")
