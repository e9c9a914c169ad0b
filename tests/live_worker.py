"""A worker as a process, for tests on a real Kafka: started, asked over HTTP, stopped; records to feed it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from streams.cli.worker import worker_command
from streams.topics import INPUT_MAX_BYTES

T = TypeVar("T")
POLL_S = 0.05
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Sent:
    """A record to be sent; `partition` None: where Kafka's default partitioner puts it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


def until(condition: Callable[[], T], what: str, wait_s: float = 30.0) -> T:
    """Return what `condition` returns once it is true; fails after `wait_s`."""
    deadline = time.monotonic() + wait_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} not seen within {wait_s} s"
        time.sleep(POLL_S)
    return found


class LiveWorker:
    """One worker process of the application `<prefix>cx`."""

    def __init__(self, kafka: str, prefix: str, folder: Path, **env: Any) -> None:
        self.env = {
            "CX_BOOTSTRAP_SERVERS": kafka,
            "CX_TOPIC_PREFIX": prefix,
            "CX_APP_ID": f"{prefix}cx",
            "CX_DATA_DIR": folder / "data",
            "CX_METRICS_PORT": 0,
            "CX_SESSION_TIMEOUT_S": 6,
            "CX_HEARTBEAT_INTERVAL_S": 1,
            **env,
        }
        self.folder = folder
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """Return the whole environment of the process."""
        ours = {key: str(value) for key, value in self.env.items()}
        return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **ours}

    def start(self, *arguments: str, command: Sequence[str] = ()) -> "LiveWorker":
        """Start the process and wait until it is ready."""
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                ["nice", *(command or worker_command(*arguments))], env=self.variables, stdout=out, stderr=err
            )
        if not command:
            line = until(lambda: self._ended() or self._ready_line(), "the ready line")
            assert isinstance(line, str), self.said()
            self.url = line.rsplit(" ", 1)[1].removesuffix("/metrics")
        return self

    def _ended(self) -> int:
        return 1 if self.process is not None and self.process.poll() is not None else 0

    def _ready_line(self) -> str:
        return next((line for line in self.out().splitlines() if line.startswith("ready: ")), "")

    def out(self) -> str:
        """Return the standard output so far."""
        return (self.folder / "out").read_text()

    def said(self) -> str:
        """Return the standard error so far."""
        return (self.folder / "err").read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the process and return its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of GET `path`."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as response:  # noqa: S310  # our own
                return response.status, response.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    def customer(self, customer_id: str, at: str) -> dict[str, Any]:
        """Return the reading of a customer."""
        status, body = self.get(f"/customers/{customer_id}?at={at}")
        assert status == 200, body
        found: dict[str, Any] = json.loads(body)
        return found

    def metrics(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return the values of a metric, added up by the labels named."""
        found: dict[tuple[str, ...], float] = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if sample.name == name:
                    key = tuple(sample.labels[label] for label in labels)
                    found[key] = found.get(key, 0.0) + sample.value
        return found

    def applied(self, count: int) -> None:
        """Wait until `count` records were applied."""
        try:
            until(lambda: self.metrics("cx_records_total").get((), 0.0) >= count, f"{count} records applied")
        except AssertionError as error:
            lag = self.metrics("cx_lag_records", "topic", "partition")
            msg = f"{error}: {self.get('/readyz')} {lag} {self.said()[-4000:]}"
            raise AssertionError(msg) from error


async def _send(producer: AIOKafkaProducer, each: Sent) -> Any:
    headers = list(each.headers)
    if each.key is not None or each.value is not None:
        return await producer.send(
            each.topic, each.value, each.key, headers=headers, partition=each.partition
        )
    batch = producer.create_batch()  # `send` refuses a record of nothing; other producers do not
    batch.append(key=None, value=None, timestamp=None, headers=headers)
    return await producer.send_batch(batch, each.topic, partition=each.partition or 0)


def send(kafka: str, records: Iterable[Sent]) -> int:
    """Write records in order and return their number."""

    async def sending() -> int:
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka, enable_idempotence=True, max_request_size=INPUT_MAX_BYTES
        )
        await producer.start()
        try:
            waiting = [await _send(producer, each) for each in records]
            await asyncio.gather(*waiting)
        finally:
            await producer.stop()
        return len(waiting)

    return asyncio.run(sending())


def read_topic(kafka: str, topic: str) -> list[Any]:
    """Return all committed records of a topic."""

    async def reading() -> list[Any]:
        consumer = AIOKafkaConsumer(bootstrap_servers=kafka, isolation_level="read_committed")
        await consumer.start()
        try:
            await consumer._client.set_topics({topic})
            tps = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            assert tps, f"{topic} does not exist"
            begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
            consumer.assign(tps)
            for tp in tps:
                consumer.seek(tp, begins[tp])
            found: list[Any] = []
            while [tp for tp in tps if await consumer.position(tp) < ends[tp]]:
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    found += batch
            return found
        finally:
            await consumer.stop()

    return asyncio.run(reading())
