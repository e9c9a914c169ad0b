"""What the worker's handler makes of generated journeys, as one hash: for comparing builds of it."""

import hashlib

from streams.demo.generator import generate
from streams.engine.handler import Counts
from streams.engine.marker import MARKER_KEY, Marker, Position
from streams.engine.memory import MemoryLog, MemoryWorker
from streams.engine.settings import EngineSettings
from streams.processing import build_processor
from streams.settings import Settings
from streams.topics import INPUTS, OUTPUTS
from tests.drained import drain

PARTITIONS = 2
HEADERS: tuple[tuple[tuple[str, bytes | None], ...], ...] = (
    (),
    (("note", b"x"), ("empty", None)),  # Kafka lets a header have no value
    (("ce_source", None),),
)
SETTINGS = EngineSettings(
    bootstrap_servers="",
    app_id="handled",
    inputs=tuple(topic.name for topic in INPUTS),
    outputs=tuple(topic.name for topic in OUTPUTS),
    chunk_records=200,
    clock="event",
    sweep_interval_s=86_400.0,
)


def digest(events: int) -> str:
    """Return a hash of every row and output, in order, with how many alerts and scores there were."""
    log = MemoryLog(PARTITIONS)
    worker = MemoryWorker(log, SETTINGS, build_processor(Settings(clock="event")), now=lambda: 1.8e9)
    inputs = {topic: Position(0, 0) for topic in SETTINGS.inputs}
    for number in range(PARTITIONS):
        # A generation that is not random: it is a part of every alert's id.
        marker = Marker(2, "generation", inputs, Counts(), 0).encode()
        log.append(SETTINGS.changelog, MARKER_KEY, marker, timestamp_ms=0, partition=number)
    worker.assign(range(PARTITIONS))
    for number, record in enumerate(generate(events, seed=7, poison=0.01)):
        headers = HEADERS[number % len(HEADERS)]
        log.append(record.topic, record.key, record.value, headers=headers, timestamp_ms=1_790_000_000_000)
        if number % 500 == 0:
            drain(worker)
            worker.sweep_due()
    drain(worker)
    while worker.sweep_due():
        pass
    found = hashlib.sha256()
    counts = []
    for topic in (SETTINGS.changelog, *SETTINGS.outputs):
        records = [each for number in range(PARTITIONS) for each in log.read(topic, number)]
        counts.append(f"{topic} {len(records)}")
        for each in records:
            found.update(repr((topic, each.key, each.value)).encode())
    return f"{found.hexdigest()} {', '.join(counts)}"


if __name__ == "__main__":
    import sys

    import streams.work

    assert streams.work.__file__.endswith(".so"), "the handler is not compiled"
    sys.stdout.write(digest(int(sys.argv[1])))
