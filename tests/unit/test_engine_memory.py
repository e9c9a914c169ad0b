"""The in-memory log and the worker on it: the demo's engine, and the simulation's."""

from collections.abc import Sequence

import pytest
from aiokafka.partitioner import murmur2

from streams.engine.errors import Fenced, Inconsistent
from streams.engine.handler import Effects, Output, Run
from streams.engine.memory import MemoryLog, MemoryWorker
from streams.engine.settings import EngineSettings
from tests.drained import drain

WEB, STORE, ALERTS = "web", "store", "alerts"
SETTINGS = EngineSettings(
    bootstrap_servers="",
    app_id="m",
    inputs=(WEB, STORE),
    outputs=(ALERTS,),
    clock="event",
    sweep_interval_s=10.0,
)


class Shout:
    """Keeps each value, and shouts it into the alerts."""

    def begin(self, *_: object) -> "ShoutWork":
        """Start a unit of work."""
        return ShoutWork()

    def committed(self, partition: int, effects: Effects) -> None:
        """Hear of a commit."""


class ShoutWork:
    """One unit of work."""

    def __init__(self) -> None:
        self.effects = Effects()

    urgent = True

    def apply(self, runs: Sequence[Run]) -> None:
        """Keep and shout."""
        for topic, record in ((topic, record) for topic, records in runs for record in records):
            self.effects.counts.accepted += 1
            self.effects.rows[record.key] = record.value
            self.effects.newest_event_s[topic] = record.timestamp / 1000
            self.effects.outputs.append(Output(ALERTS, record.key, record.value.upper(), (("h", b"1"),)))

    def settle(self) -> None:
        """Keep all until the end."""

    def sweep(self, keys: object, now_s: float, *, begins: bool = False) -> None:
        """Write the watermark into each row."""
        del begins
        for key in keys:  # type: ignore[attr-defined]
            self.effects.rows[key] = b"%d" % int(now_s)

    def finish(self) -> Effects:
        """Return what changed."""
        return self.effects


@pytest.fixture
def log() -> MemoryLog:
    """Return an empty log."""
    return MemoryLog(2)


@pytest.fixture
def worker(log: MemoryLog) -> MemoryWorker:
    """Return a worker that holds both partitions."""
    made = MemoryWorker(log, SETTINGS, Shout(), now=lambda: 500.0)
    made.assign(range(2))
    return made


def everything(log: MemoryLog, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """Return keys and values of a topic."""
    return [(each.key, each.value) for number in range(2) for each in log.read(topic, number)]


def test_records_lie_where_kafka_would_put_them(log: MemoryLog) -> None:
    """The partitioner is murmur2; a record without a key goes to partition 0."""
    for key in (b"a", b"b", b"customer-17"):
        assert log.partition_for(key) == (murmur2(key) & 0x7FFFFFFF) % 2
    assert log.partition_for(None) == 0


def test_everything_is_applied_once(log: MemoryLog, worker: MemoryWorker) -> None:
    """Rows and outputs are there, and a second drain finds nothing."""
    for number in range(5):
        log.append(WEB, b"c%d" % number, b"v", timestamp_ms=1000)
    assert drain(worker) == 5
    assert drain(worker) == 0
    assert sorted(everything(log, ALERTS)) == [(b"c%d" % number, b"V") for number in range(5)]


def test_a_worker_takes_up_where_another_stopped(log: MemoryLog, worker: MemoryWorker) -> None:
    """State and position come from the log."""
    log.append(WEB, b"c1", b"one", timestamp_ms=1000)
    drain(worker)
    log.append(STORE, b"c1", b"two", timestamp_ms=2000)
    successor = MemoryWorker(log, SETTINGS, Shout())
    successor.assign(range(2))
    number = log.partition_for(b"c1")
    assert successor.state(number).rows == {b"c1": b"one"}
    assert drain(successor) == 1
    assert successor.state(number).rows == {b"c1": b"two"}


def test_who_was_replaced_can_write_nothing(log: MemoryLog, worker: MemoryWorker) -> None:
    """The old owner is fenced, and what it had in hand is not in the log."""
    log.append(WEB, b"c1", b"one", timestamp_ms=1000)
    number = log.partition_for(b"c1")
    worker.poll(number)
    transaction = worker.compute(number)
    assert transaction is not None
    MemoryWorker(log, SETTINGS, Shout()).assign([number])
    with pytest.raises(Fenced):
        worker.write(transaction)
    assert everything(log, ALERTS) == []
    assert not worker.state(number).loaded


def test_memory_is_kept_over_a_rebalance(log: MemoryLog, worker: MemoryWorker) -> None:
    """A partition held before is not read again; what was fetched is fetched anew."""
    log.append(WEB, b"c1", b"one", timestamp_ms=1000)
    number = log.partition_for(b"c1")
    state = worker.state(number)
    worker.poll(number)
    worker.assign([number])
    assert worker.partitions == (number,)
    assert worker.state(number) is state
    assert drain(worker) == 1


def test_the_sweep_runs_on_event_time(log: MemoryLog, worker: MemoryWorker) -> None:
    """With everything read, the watermark is the newest event time of the partition."""
    number = log.partition_for(b"c1")
    assert worker.sweep_due() == 0
    assert worker.sweep(number, [b"c1"]) is None
    log.append(WEB, b"c1", b"one", timestamp_ms=60_000)
    drain(worker)
    assert worker.watermark(number) == 60.0
    assert worker.sweep_due() == 1
    assert worker.state(number).rows == {b"c1": b"60"}
    assert worker.sweep_due() == 0


def test_an_input_behind_holds_the_watermark(log: MemoryLog, worker: MemoryWorker) -> None:
    """Nothing is said about a time before every input was read up to it."""
    number = log.partition_for(b"c1")
    log.append(WEB, b"c1", b"one", timestamp_ms=60_000)
    drain(worker)
    before = worker.watermark(number)
    log.append(STORE, b"c1", b"two", timestamp_ms=90_000)
    assert worker.watermark(number) == before


def test_rows_without_a_marker_are_refused(log: MemoryLog) -> None:
    """Such a changelog was not written by this engine."""
    log.create(SETTINGS.changelog)
    log.append(SETTINGS.changelog, b"c1", b"row", partition=0)
    with pytest.raises(Inconsistent, match="without a marker"):
        MemoryWorker(log, SETTINGS, Shout()).assign([0])


def test_appending_says_where(log: MemoryLog) -> None:
    """Offsets count up within a partition; a record is dated now unless told."""
    log.create(WEB)
    assert [log.append(WEB, None, b"v") for _ in range(2)] == [0, 1]
    assert log.end(WEB, 0) == 2
    assert log.read(WEB, 0)[0].timestamp > 1_600_000_000_000
    assert [each.offset for each in log.read(WEB, 0, 1, 5)] == [1]
