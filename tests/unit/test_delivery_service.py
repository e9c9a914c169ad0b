"""What a delivery notes of its partitions at the end of a turn."""

import time
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition

from streams.delivery.figures import Figures
from streams.delivery.service import Delivery, Health

READ, EMPTY, NEW = (TopicPartition("cx.alerts", number) for number in range(3))


class _Consumer:
    """Was told of the ends of two partitions, and of the third nothing yet."""

    def __init__(self) -> None:
        self.ends: dict[TopicPartition, int | None] = {READ: 12, EMPTY: 0, NEW: None}
        self.held: set[TopicPartition] = set()
        self.committed: list[dict[TopicPartition, int]] = []

    def assignment(self) -> set[TopicPartition]:
        return set(self.ends)

    def paused(self) -> set[TopicPartition]:
        return self.held

    def last_stable_offset(self, tp: TopicPartition) -> int | None:
        return self.ends[tp]

    def last_poll_timestamp(self, tp: TopicPartition) -> int:
        return {READ: 1_500, EMPTY: 2_500}[tp]

    async def position(self, tp: TopicPartition) -> int:
        return {READ: 7, EMPTY: 0}[tp]

    async def commit(self, places: dict[TopicPartition, int]) -> None:
        self.committed.append(places)

    def resume(self, *tps: TopicPartition) -> None:
        self.held -= set(tps)


def noting(consumer: _Consumer) -> tuple[Any, Figures]:
    """Return a delivery without a desk, and its figures."""
    delivery: Any = object.__new__(Delivery)
    figures = Figures()
    delivery._consumer, delivery._desks, delivery._asked_s = consumer, {}, 0.0
    delivery._committed = {}
    delivery._shared = SimpleNamespace(figures=figures)
    delivery.health = Health()
    return delivery, figures


def shown(figures: Figures, name: str) -> list[float | None]:
    """Return the metric of each partition, None where it is left out."""
    return [figures.registry.get_sample_value(name, {"partition": str(each)}) for each in range(3)]


async def test_a_partition_without_an_alert_has_a_lag_too():
    """Its lag is 0 as soon as the broker has told where it ends: nobody has to wait for a first alert."""
    delivery, figures = noting(_Consumer())
    await delivery._note_lag()
    assert shown(figures, "cx_delivery_lag_records") == [5.0, 0.0, None]


async def test_where_nothing_waits_the_place_is_the_end():
    """It is committed once, and nothing of a partition that waits or is not known yet."""
    consumer = _Consumer()
    delivery, _ = noting(consumer)
    await delivery._note_lag()
    for _ in range(2):
        await delivery._commit([READ, EMPTY, NEW])
    assert consumer.committed == [{EMPTY: 0}]


async def test_when_the_broker_last_answered_is_told():
    """The lag is as of then, and says 0 as long as the broker is away."""
    delivery, figures = noting(_Consumer())
    await delivery._note_lag()
    assert shown(figures, "cx_delivery_answered_timestamp_seconds") == [1.5, 2.5, None]
    assert delivery.health.answered_s == 1.5


async def test_a_broker_that_is_not_asked_is_not_away():
    """Where as much is held as may be, nothing is fetched: the time would deceive, the lag does not."""
    consumer = _Consumer()
    delivery, figures = noting(consumer)
    await delivery._note_lag()
    consumer.held = {READ}
    await delivery._note_lag()
    assert shown(figures, "cx_delivery_answered_timestamp_seconds") == [None, 2.5, None]
    assert shown(figures, "cx_delivery_lag_records") == [5.0, 0.0, None]


async def test_silence_begins_when_the_broker_is_asked_again():
    """After a long hold nobody is cut off: what was answered before it says nothing of the broker now."""
    consumer = _Consumer()
    consumer.held = {READ, EMPTY}
    delivery, figures = noting(consumer)
    asked_s = time.time()
    delivery._make_room()
    await delivery._note_lag()
    shown_s = shown(figures, "cx_delivery_answered_timestamp_seconds")
    assert asked_s <= (delivery.health.answered_s or 0.0) <= time.time()
    assert shown_s == [delivery.health.answered_s, delivery.health.answered_s, None]


async def test_a_partition_that_went_is_not_shown():
    """Its next delivery shows it."""
    consumer = _Consumer()
    delivery, figures = noting(consumer)
    await delivery._note_lag()
    del consumer.ends[READ]
    await delivery._note_lag()
    for name in ("cx_delivery_lag_records", "cx_delivery_answered_timestamp_seconds"):
        assert shown(figures, name)[0] is None
