"""The floor: what any Python program pays to read, decode and remember the same records once.

python -m tests.bench.floor BOOTSTRAP PREFIX RECORDS
"""

import asyncio
import os
import sys
from dataclasses import asdict

import orjson
from aiokafka import AIOKafkaConsumer

from schemas.codec import decode
from schemas.envelope import Touchpoint, time_s
from streams.engine.loop import install_uvloop
from streams.topics import INPUTS
from tests.bench.clock import Stopwatch

POLL_MS = 200


async def read(bootstrap: str, prefix: str, records: int) -> Stopwatch:
    """Read `records` records, decode each, and keep the newest time of each customer in a dict."""
    newest: dict[str | None, float] = {}
    consumer = AIOKafkaConsumer(
        *(prefix + topic.name for topic in INPUTS),
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    await consumer.start()
    watch = Stopwatch()
    left = records
    try:
        while left > 0:
            for batch in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                left -= len(batch)
                for record in batch:
                    event = decode(record.value, record.key, record.headers)
                    if isinstance(event, Touchpoint):
                        newest[event.subject] = time_s(event)
        watch.stop()
    finally:
        await consumer.stop()
    return watch


def main() -> None:
    """Print what it took."""
    bootstrap, prefix, records = sys.argv[1:]
    install_uvloop()
    watch = asyncio.run(read(bootstrap, prefix, int(records)))
    sys.stdout.write(orjson.dumps(asdict(watch.run(int(records), os.getpid()))).decode() + "\n")


if __name__ == "__main__":
    main()
