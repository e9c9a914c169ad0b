"""The life of an alert in a real worker: told once, by a sweep that has caught up; taken on by an event."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.times import at_time
from streams.topics import ACTIONS, ALERTS, WEB
from tests.customers import DAY, line
from tests.handling import changed
from tests.live_worker import LiveWorker, Sent, read_topic, send, until

pytestmark = pytest.mark.kafka


@pytest.fixture
def worker(kafka: str, tmp_path: Path) -> Iterator[LiveWorker]:
    """Start a worker that looks at every customer each second."""
    one = LiveWorker(kafka, f"t{uuid.uuid4().hex[:10]}.", tmp_path, CX_PARTITIONS=1, CX_SWEEP_INTERVAL_S=1)
    try:
        yield one.start("--create-topics")
    finally:
        assert one.stop() == 0


def days_ago(days: float, value: bytes) -> bytes:
    """Return an event dated so many days before now."""
    return changed(value, time=at_time(time.time() - days * DAY), id=uuid.uuid4().hex)


def steps(kafka: str, worker: LiveWorker) -> list[tuple[str, bool]]:
    """Return the steps of all alerts, each with whether people are told."""
    prefix = worker.env["CX_TOPIC_PREFIX"]
    values = [orjson.loads(each.value) for each in read_topic(kafka, f"{prefix}{ALERTS.name}")]
    return [(each["step"], each["announced"]) for each in values]


def alert_of(kafka: str, worker: LiveWorker) -> dict[str, Any]:
    """Return the newest step."""
    prefix = worker.env["CX_TOPIC_PREFIX"]
    found: dict[str, Any] = orjson.loads(read_topic(kafka, f"{prefix}{ALERTS.name}")[-1].value)
    return found


def test_an_alert_is_told_once_and_taken_on(kafka: str, worker: LiveWorker):
    """A silent customer of a history is announced live, once; an acknowledgement is its next step."""
    prefix = worker.env["CX_TOPIC_PREFIX"]
    history = [days_ago(days, line("order.placed")) for days in (150, 140, 130, 120)]
    send(kafka, [Sent(prefix + WEB.name, b"anna", each) for each in history])
    until(lambda: ("announced", True) in steps(kafka, worker), "the announcement")
    assert steps(kafka, worker) == [("opened", False), ("announced", True)]
    alert = alert_of(kafka, worker)
    assert alert["announced_at"] == alert["at"]
    action = line("alert.acknowledged", alert_id=alert["alert_id"], by="m.koch")
    send(kafka, [Sent(prefix + ACTIONS.name, b"anna", days_ago(0, action))])
    until(lambda: len(steps(kafka, worker)) > 2, "the acknowledgement")
    passes = worker.metrics("cx_sweep_passes_total").get((), 0.0)
    until(lambda: worker.metrics("cx_sweep_passes_total").get((), 0.0) >= passes + 2, "two more passes")
    assert steps(kafka, worker) == [("opened", False), ("announced", True), ("acknowledged", False)]
    assert worker.metrics("cx_alert_steps_total", "step")[("announced",)] == 1
