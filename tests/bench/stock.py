"""The baseline: a stock Faust agent and a stock Faust table around the very same scoring.

python -m tests.bench.stock BOOTSTRAP PREFIX APP_ID RECORDS

Each record runs through the product's own handler, alone; its row goes into a normal table (raw bytes), its
scores and alerts out by the normal `topic.send`. It is neither exactly once nor fenced: that is stock Faust.
"""

import math
import os
import sys
import traceback
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import faust
import orjson

from streams.engine.handler import Standing
from streams.engine.loop import install_uvloop
from streams.processing import build_processor
from streams.settings import Settings, load_settings
from streams.topics import INPUTS, OUTPUTS
from tests.bench.clock import Stopwatch

GENERATION = "0" * 16
PARTITIONS = 4


@dataclass(slots=True)
class Raw:
    """A Faust message as the handler wants a record."""

    key: bytes | None
    value: bytes | None
    headers: Any
    offset: int
    timestamp: int


class Baseline:
    """The application; it ends the process after `records` records."""

    def __init__(self, settings: Settings, records: int) -> None:
        self.records = records
        self.applied = 0
        self.watch: Stopwatch | None = None
        self.processor = build_processor(settings)
        self.app = faust.App(
            settings.app_id,
            broker=f"kafka://{settings.bootstrap_servers}",
            store="memory://",
            datadir=settings.data_dir,
            autodiscover=False,
            web_enabled=False,
            topic_partitions=PARTITIONS,
            topic_disable_leader=True,
            consumer_auto_offset_reset="earliest",
        )
        self.table = self.app.Table("customers", partitions=PARTITIONS, key_type=bytes, value_type=bytes)
        self.table.key_serializer = self.table.value_serializer = "raw"
        names = [settings.topic_prefix + topic.name for topic in OUTPUTS]
        self.outputs = {name: self._raw_topic(name) for name in names}
        for topic in INPUTS:
            name = settings.topic_prefix + topic.name
            self.app.agent(self._raw_topic(name), name=name)(self._take)

    def rows(self) -> dict[bytes, bytes]:
        """Return the dict in which the table's store has its rows: the handler looks no other mapping up."""
        rows: dict[bytes, bytes] = self.table.data.data
        return rows

    def _raw_topic(self, name: str) -> Any:
        return self.app.topic(
            name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            internal=False,
        )

    async def _take(self, stream: Any) -> None:
        async for event in stream.events():
            if self.watch is None:
                self.watch = Stopwatch()
            try:
                await self._score(event.message)
            except Exception:  # noqa: BLE001  # whatever it is: Faust would go on behind the record
                traceback.print_exc()
                os._exit(1)
            self.applied += 1
            if self.applied >= self.records:
                self._end(self.watch)

    async def _score(self, message: Any) -> None:
        record = Raw(
            message.key, message.value, message.headers or (), message.offset, int(message.timestamp * 1000)
        )
        work = self.processor.begin(message.partition, self.rows(), Standing(GENERATION, -math.inf))
        work.apply([(message.topic, [record])])
        done = work.finish()
        for key, row in done.rows.items():
            if row is None:
                del self.table[key]
            else:
                self.table[key] = row
        for each in done.outputs:
            await self.outputs[each.topic].send(
                key=each.key, value=each.value, partition=message.partition, headers=dict(each.headers)
            )

    def _end(self, watch: Stopwatch) -> NoReturn:
        watch.stop()
        sys.stdout.write(orjson.dumps(asdict(watch.run(self.applied, os.getpid()))).decode() + "\n")
        sys.stdout.flush()
        os._exit(0)


def main() -> None:
    """Run until the records are applied."""
    bootstrap, prefix, app_id, records = sys.argv[1:]
    install_uvloop()
    flags = {"bootstrap_servers": bootstrap, "topic_prefix": prefix, "app_id": app_id}
    baseline = Baseline(load_settings(flags), int(records))
    worker = baseline.app.Worker(loglevel="warning", redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
