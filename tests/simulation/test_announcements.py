"""The product on the in-memory log: history tells nobody; each announcement is made once, whatever dies."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import orjson

from streams.demo.generator import generate
from streams.engine.memory import MemoryLog, MemoryWorker
from streams.engine.settings import engine_settings
from streams.processing import Processor
from streams.scoring.apply import Scorer
from streams.scoring.policy import policy_from_tables
from streams.settings import Settings
from streams.topics import ALERTS
from tests.customers import DAY, DEFAULT
from tests.drained import drain

PARTITIONS = 2
NOW = datetime(2026, 6, 1, tzinfo=UTC)
GENEROUS = Scorer(policy_from_tables({"announcements": {"per_1000_a_week": 1000.0}}))


class World:
    """Journeys on an in-memory log, and workers on a wall clock of the test's own."""

    def __init__(self, ended_days_ago: float, scorer: Scorer = DEFAULT, events: int = 4000) -> None:
        self.now_s = NOW.timestamp()
        self.scorer = scorer
        self.log = MemoryLog(PARTITIONS)
        self.settings = engine_settings(Settings(partitions=PARTITIONS, sweep_interval_s=600.0))
        self.worker = self.start()
        start = NOW - timedelta(days=ended_days_ago + 60)
        for record in generate(events, seed=3, days=60, start=start):
            self.log.append(record.topic, record.key, record.value, timestamp_ms=int(self.now_s * 1000))

    def start(self) -> MemoryWorker:
        """Start a worker that takes everything over: whoever was there before is fenced."""
        processor = Processor(self.scorer, clock=lambda: self.now_s)
        self.worker = MemoryWorker(self.log, self.settings, processor, now=lambda: self.now_s)
        self.worker.assign(range(PARTITIONS))
        return self.worker

    def pass_over_all(self) -> None:
        """Let the sweep look at every customer once."""
        passes = [self.worker.sweep_passes(number) for number in range(PARTITIONS)]
        while any(self.worker.sweep_passes(number) < before + 2 for number, before in enumerate(passes)):
            self.worker.sweep_due()
            self.now_s += 60.0

    def alerts(self) -> Iterator[Any]:
        """Yield every step on the topic."""
        for number in range(PARTITIONS):
            for record in self.log.read(ALERTS.name, number):
                if record.value is not None:
                    yield orjson.loads(record.value)

    def told(self) -> Counter[tuple[str, str, str]]:
        """Return what people were told, by (alert, step, severity)."""
        told = (each for each in self.alerts() if each["announced"])
        return Counter((each["alert_id"], each["step"], each["severity"]) for each in told)


def test_replaying_history_delivers_no_message():
    """A year-old history re-creates every alert's state; no step of it is for people (G7)."""
    world = World(ended_days_ago=365)
    drain(world.worker)
    steps = Counter(each["step"] for each in world.alerts())
    assert min(steps["opened"], steps["resolved"]) >= 10
    assert not world.told()


def test_who_is_at_risk_at_go_live_is_told_within_the_budget():
    """The first sweeps that have caught up announce what still holds: one each partition, the rest wait."""
    world = World(ended_days_ago=0.5)
    drain(world.worker)
    world.pass_over_all()
    processor = world.worker.handler
    assert isinstance(processor, Processor)
    announced = sum(times for (_, step, _), times in world.told().items() if step == "announced")
    assert announced - sum(processor.tally.outcomes.passed.values()) == PARTITIONS
    assert sum(len(desk.waiting) for desk in processor.office.desks.values()) > PARTITIONS


def test_each_announcement_is_made_once_through_crashes():
    """Workers die between computing, writing and hearing of it; people hear of each severity once."""
    world, draw = World(ended_days_ago=0.5, scorer=GENEROUS), Random(5)
    drain(world.worker)
    for _ in range(120):
        number = draw.randrange(PARTITIONS)
        keys = list(world.worker.state(number).rows)
        transaction = world.worker.sweep(number, keys)
        died = draw.choice(("not at all", "not at all", "before writing", "before hearing"))
        if transaction is not None and died != "before writing":
            world.worker.write(transaction)
            if died == "not at all":
                world.worker.confirm(transaction)
        if died != "not at all":
            world.start()
        world.now_s += DAY / 24
    told = world.told()
    assert len(told) > 10
    assert set(told.values()) == {1}
    announced = (each for each in world.alerts() if each["step"] == "announced" and each["announced"])
    customers = Counter((each["customer_id"], each["at"][:10]) for each in announced)
    assert set(customers.values()) == {1}, "one message a customer a day"
