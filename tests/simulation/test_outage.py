"""A source that falls silent, lived through by the product on the in-memory log."""

from collections import Counter
from typing import Any

import orjson

from streams.engine.memory import MemoryLog, MemoryWorker
from streams.engine.settings import engine_settings
from streams.processing import Processor
from streams.scoring.apply import Scorer
from streams.scoring.policy import policy_from_tables
from streams.settings import Settings
from streams.topics import ALERTS, INCIDENTS, STORE, WEB
from tests.customers import line, seconds
from tests.drained import drain
from tests.handling import changed

PARTITIONS = 2
CUSTOMERS = 60
STEP = 0.25
"""Days between two passes over all customers."""
GUARDED = Scorer(policy_from_tables({}))
UNGUARDED = Scorer(policy_from_tables({"outages": {"events": 1e12}}))


class Shop:
    """Customers who buy each day, most of them on the web, some in the store."""

    def __init__(self, scorer: Scorer) -> None:
        self.now_s = seconds(0)
        self.log = MemoryLog(PARTITIONS)
        processor = Processor(scorer, clock=lambda: self.now_s)
        settings = engine_settings(Settings(partitions=PARTITIONS))
        self.worker = MemoryWorker(self.log, settings, processor, now=lambda: self.now_s)
        self.worker.assign(range(PARTITIONS))

    def live(self, first: float, last: float, *, web: bool) -> "Shop":
        """Live from one day to another; without `web` its orders never arrive."""
        for number in range(round((last - first) / STEP)):
            day = first + number * STEP
            self.now_s = seconds(day + STEP / 2)
            for customer in range(CUSTOMERS):
                topic = STORE if customer % 10 == 0 else WEB
                if customer % 4 == number % 4 and (web or topic is STORE):
                    name = f"c{customer}"
                    value = changed(line("order.placed", day, id=f"{name}@{day}"), subject=name)
                    self.log.append(topic.name, name.encode(), value, timestamp_ms=int(self.now_s * 1000))
            drain(self.worker)
            for partition in range(PARTITIONS):
                found = self.worker.sweep(partition, list(self.worker.state(partition).rows))
                if found is not None:
                    self.worker.write(found)
                    self.worker.confirm(found)
        return self

    def said(self, topic: str) -> list[Any]:
        """Return every document of an output topic."""
        records = (each for number in range(PARTITIONS) for each in self.log.read(topic, number))
        return [orjson.loads(each.value) for each in records if each.value is not None]

    def opened(self) -> Counter[str]:
        """Return the alerts that were opened, by rule."""
        return Counter(each["rule"] for each in self.said(ALERTS.name) if each["step"] == "opened")


def test_an_outage_is_one_incident_and_no_alert_of_silence():
    """While the web is silent nobody is; where nothing guards, every customer of the web is an alert."""
    shop = Shop(GUARDED).live(0, 30, web=True).live(30, 42, web=False)
    incidents = shop.said(INCIDENTS.name)
    assert {each["incident_id"] for each in incidents} == {"source_silent:web:2026-01-30T18:00:00Z"}
    assert {each["until"] for each in incidents} == {None}
    assert not shop.opened()
    unguarded = Shop(UNGUARDED).live(0, 30, web=True).live(30, 42, web=False)
    assert not unguarded.said(INCIDENTS.name)
    assert unguarded.opened().total() > CUSTOMERS / 2


def test_when_the_source_is_back_it_is_over():
    """The incident says until when, and who really stays away is missed as ever."""
    shop = Shop(GUARDED).live(0, 30, web=True).live(30, 36, web=False).live(36, 38, web=True)
    ended = {each["incident_id"]: each["until"] for each in shop.said(INCIDENTS.name)}
    assert list(ended) == ["source_silent:web:2026-01-30T18:00:00Z"]
    assert str(ended[next(iter(ended))]).startswith("2026-02-06")
    assert not shop.opened()
