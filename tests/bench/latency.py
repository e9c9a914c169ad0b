"""From producing an event to reading its alert: a steady feed with probes in it, and a reader of alerts."""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import suppress

import orjson
from aiokafka import AIOKafkaConsumer

from streams.demo.sinks import KafkaSink
from streams.settings import Settings
from streams.topics import ALERTS
from tests.bench.workload import Workload, probe

PROBES_PER_S = 20.0
TICK_S = 0.005
LAST_ALERTS_S = 10.0
READ_MS = 100


class Paced:
    """Sends `rate` events a second of `workload`; some are probes, whose alerts it waits for."""

    def __init__(
        self,
        bootstrap: str,
        prefix: str,
        rate: float,
        workload: Workload,
        probes_per_s: float = PROBES_PER_S,
    ) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.rate = rate
        self.workload = workload
        self.probes_per_s = probes_per_s
        self.sent = 0
        self.waits: list[float] = []
        self._ended = False
        self._numbers = itertools.count()
        self._open: dict[str, float] = {}

    def run(
        self, seconds: float, sample: Callable[[], None] | None = None, every_s: float = 1.0
    ) -> list[float]:
        """Send for `seconds`; return the seconds that each alert took. `sample` is called every `every_s`."""
        self.waits, self._ended = [], False
        asyncio.run(self._run(seconds, sample, every_s))
        if self._open:
            msg = f"{len(self._open)} alerts were not readable {LAST_ALERTS_S:.0f} s after their events"
            raise TimeoutError(msg)
        return self.waits

    async def _run(self, seconds: float, sample: Callable[[], None] | None, every_s: float) -> None:
        consumer = AIOKafkaConsumer(
            self.prefix + ALERTS.name,
            bootstrap_servers=self.bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="latest",
        )
        await consumer.start()
        await consumer.seek_to_end()
        reading = asyncio.create_task(self._read(consumer))
        try:
            settings = Settings(bootstrap_servers=self.bootstrap, topic_prefix=self.prefix)
            async with KafkaSink(settings) as sink:
                await self._send(sink, seconds, sample, every_s)
            self._ended = True
            with suppress(TimeoutError):  # what is still open then, `run` says
                await asyncio.wait_for(reading, LAST_ALERTS_S)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await consumer.stop()

    async def _send(
        self, sink: KafkaSink, seconds: float, sample: Callable[[], None] | None, every_s: float
    ) -> None:
        began = time.monotonic()
        sent = probes = samples = 0
        while (passed := time.monotonic() - began) < seconds:
            while sent < passed * self.rate:
                await sink.add(self.workload.event(time.time()))
                sent += 1
            while probes < passed * self.probes_per_s:
                number = next(self._numbers)
                self._open[f"probe-{number}"] = time.monotonic()
                await sink.add(probe(number, time.time()))
                probes += 1
            if sample is not None and samples < passed / every_s:
                sample()
                samples += 1
            await sink.flush()
            await asyncio.sleep(TICK_S)
        self.sent += sent + probes

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while self._open or not self._ended:
            for batch in (await consumer.getmany(timeout_ms=READ_MS)).values():
                now = time.monotonic()
                for record in batch:
                    alert = orjson.loads(record.value) if record.value else {}
                    began = self._open.pop(alert.get("customer_id", ""), None)
                    if began is not None:
                        self.waits.append(now - began)
