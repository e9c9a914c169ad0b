"""`cx rebuild` on a real Kafka: broken off, taken up again, rows as before, and nobody hears of it (G7)."""

import asyncio
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from streams.cli.rebuild import rebuild_command
from streams.cli.score import document
from streams.demo.generator import generate
from streams.engine.marker import MARKER_KEY, Marker, decode_marker
from streams.engine.rebuild import Orders, Progress, rebuild
from streams.engine.settings import engine_settings
from streams.observe.placement import partition_of
from streams.processing import build_processor
from streams.rebuilding import Alerts, Quiet
from streams.replay import Customer
from streams.scoring.rows import unpack
from streams.settings import Settings
from streams.suppression import GUARD, is_reserved
from streams.topics import ALERTS, DEAD_LETTERS, SCORES, WEB
from tests.agreement import close
from tests.customers import DAY, DEFAULT
from tests.live_worker import LiveWorker, Sent, read_topic, send, until

pytestmark = pytest.mark.kafka

EVENTS = 2500
EVENT_CLOCK = {"CX_CLOCK": "event"}
BAD = b"{no touchpoint"
KEPT = b"\x00kept"
"""A reserved row, as no input brings it back."""


@dataclass
class State:
    """What the topics of an application hold."""

    rows: dict[str, bytes]
    reserved: dict[bytes, bytes]
    markers: dict[int, Marker]
    scores: int
    dead_letters: int
    alerts: dict[tuple[int, int], Any]
    """By partition and offset."""

    def alerts_since(self, before: "State") -> list[Any]:
        """Return what was written to the alerts after `before`."""
        return [alert for at, alert in self.alerts.items() if at not in before.alerts]

    def readings(self) -> dict[str, Any]:
        """Return the evidence of each row as `cx score` writes it, without alerts, at one later time."""
        at_s = max(unpack(row).newest_s for row in self.rows.values()) + DAY
        return {
            name: {
                k: v for k, v in document(DEFAULT, name, Customer(unpack(row)), at_s).items() if k != "alerts"
            }
            for name, row in self.rows.items()
        }


def state_of(settings: Settings) -> State:
    """Read all topics."""
    table: dict[tuple[int, bytes], bytes | None] = {}
    for each in read_topic(settings.bootstrap_servers, engine_settings(settings).changelog):
        table[each.partition, each.key] = each.value
    alive = {key: value for (_, key), value in table.items() if value is not None}
    markers = {n: decode_marker(value or b"") for (n, key), value in table.items() if key == MARKER_KEY}
    outputs = [
        read_topic(settings.bootstrap_servers, settings.topic_prefix + topic.name)
        for topic in (SCORES, DEAD_LETTERS, ALERTS)
    ]
    return State(
        {key.decode(): value for key, value in alive.items() if not is_reserved(key)},
        {key: value for key, value in alive.items() if is_reserved(key) and key != MARKER_KEY},
        markers,
        len(outputs[0]),
        len(outputs[1]),
        {(each.partition, each.offset): orjson.loads(each.value) for each in outputs[2] if each.value},
    )


def total(worker: LiveWorker, name: str) -> float:
    """Return the sum of a metric."""
    return worker.metrics(name).get((), 0.0)


def work(worker: LiveWorker, records: int) -> None:
    """Let a worker apply everything and look at every customer."""
    worker.start("--create-topics")
    worker.applied(records)
    until(lambda: total(worker, "cx_swept_customers_total") >= total(worker, "cx_customers"), "a sweep")
    assert worker.stop() == 0


class PowerCutError(Exception):
    """Ends the rebuild where a power cut would."""


async def begin_and_break_off(settings: Settings) -> None:
    """Rebuild until the first partition is done and the second is under way."""
    seen: list[Progress] = []

    def tell(at: Progress) -> None:
        if seen and seen[-1].done:
            raise PowerCutError
        seen.append(at)

    alerts = Alerts(settings.topic_prefix + ALERTS.name, 0.0)
    with pytest.raises(PowerCutError):
        await rebuild(
            engine_settings(settings),
            Orders(Quiet(build_processor(settings)), alerts.settle, is_reserved, len, tell),
        )


@pytest.fixture(scope="module")
def story(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Let a worker work, break a rebuild off, end it, and let a worker work again."""
    prefix = f"t{uuid.uuid4().hex[:10]}."
    env = {"CX_CLOCK": "event", "CX_SWEEP_INTERVAL_S": 86_400, "CX_PARTITIONS": 2}
    settings = Settings(bootstrap_servers=kafka, topic_prefix=prefix, app_id=f"{prefix}cx", clock="event")
    worker = LiveWorker(kafka, prefix, tmp_path_factory.mktemp("worker"), **env)
    records = [Sent(prefix + each.topic, each.key, each.value) for each in generate(EVENTS, seed=5, days=60)]
    records.append(Sent(prefix + WEB.name, b"c", BAD))
    flags = ["--app-id", settings.app_id, "--topic-prefix", prefix, "--bootstrap-servers", kafka]
    found: dict[str, Any] = {"settings": settings, "records": len(records)}
    try:
        worker.start("--create-topics")
        send(kafka, records)
        found["refused"] = CliRunner().invoke(rebuild_command, ["--yes", *flags])
        worker.stop()
        work(worker, len(records))
        changelog = engine_settings(settings).changelog
        send(kafka, [Sent(changelog, KEPT, b"row", partition=number) for number in range(2)])
        send(kafka, [Sent(changelog, GUARD, b"of another key", partition=1)])
        found["keyless"] = CliRunner().invoke(rebuild_command, ["--yes", *flags])
        send(kafka, [Sent(changelog, GUARD, None, partition=1)])
        found["before"] = state_of(settings)
        asyncio.run(begin_and_break_off(settings))
        found["broken"] = state_of(settings)
        found["said"] = CliRunner().invoke(rebuild_command, ["--json", *flags], input="y\n", env=EVENT_CLOCK)
        found["after"] = state_of(settings)
        send(kafka, [Sent(changelog, KEPT, None, partition=number) for number in range(2)])
        work(worker, len(records))
        found["again"] = state_of(settings)
    finally:
        worker.stop()
    return found


def test_a_running_worker_is_not_disturbed(story: dict[str, Any]) -> None:
    """The rebuild refuses while the group has members, and says what to do."""
    error = story["refused"].exception
    assert "1 worker runs as " in error.message
    assert error.mend == "stop every worker, then: cx rebuild"


def test_without_the_key_of_the_forgotten_nothing_is_begun(story: dict[str, Any]) -> None:
    """The refusal comes before any partition is claimed: workers can go on."""
    error = story["keyless"].exception
    assert error.message == "customers were forgotten here, and forget_key_file names no key"
    assert not any(marker.under_rebuild for marker in story["before"].markers.values())


def test_a_rebuild_that_was_broken_off_is_known(story: dict[str, Any]) -> None:
    """One partition is done, the other claimed: no worker takes it for whole."""
    assert sorted(marker.under_rebuild for marker in story["broken"].markers.values()) == [False, True]


def test_it_goes_on_where_it_was(story: dict[str, Any]) -> None:
    """The second run replays the partition that was left, and no other."""
    said = story["said"]
    assert said.exit_code == 0, said.output
    done = orjson.loads(said.stdout.splitlines()[-1])
    left = [n for n, marker in story["broken"].markers.items() if marker.under_rebuild]
    moved = sum(position.moved for position in story["after"].markers[left[0]].inputs.values())
    assert (done["partitions"], done["records"]) == (1, moved)
    assert moved < story["records"]
    own = [name for name in story["after"].rows if partition_of(name.encode(), 2) == left[0]]
    assert done["customers"] == len(own)


def test_the_rows_are_those_that_were(story: dict[str, Any]) -> None:
    """Every customer reads as before, and what no input brings back is still there."""
    before, after = story["before"], story["after"]
    assert before.rows.keys() == after.rows.keys()
    assert len(after.rows) > 50
    wanted, seen = before.readings(), after.readings()
    assert [name for name in wanted if not close(wanted[name], seen[name])] == []
    assert after.reserved == {KEPT: b"row"}


def test_the_counts_are_those_of_the_inputs(story: dict[str, Any]) -> None:
    """Each record has its one outcome, as the worker gave it (G4)."""
    for number, marker in story["after"].markers.items():
        marker.check()
        before = story["before"].markers[number]
        assert marker.counts == before.counts
        assert marker.generation == before.generation


def test_nothing_is_published(story: dict[str, Any]) -> None:
    """No score, no dead letter; of alerts only what has ended, told to nobody (G7)."""
    before, after = story["before"], story["after"]
    assert (before.scores, before.dead_letters) == (after.scores, after.dead_letters)
    new = after.alerts_since(before)
    assert {(each["resolved_because"], each["announced"]) for each in new} <= {("rebuilt", False)}


def test_nobody_is_told_again(story: dict[str, Any]) -> None:
    """The worker that comes after announces no alert that people know of (G7)."""
    told = Counter(each["alert_id"] for each in story["before"].alerts.values() if each["announced_at"])
    assert told, "the first worker told people of something"
    later = story["again"].alerts_since(story["after"])
    again = [each for each in later if each["announced"] and each["alert_id"] in told]
    assert [each for each in again if each["step"] in ("opened", "announced")] == []


def test_open_alerts_stay_known(story: dict[str, Any]) -> None:
    """An alert that people were told of and that is open still has its id and its time in the new row."""
    newest = {each["alert_id"]: each for each in story["before"].alerts.values()}
    closed = {each["alert_id"] for each in story["after"].alerts_since(story["before"])}
    known = [
        each
        for each in newest.values()
        if each["step"] not in ("resolved", "closed")
        and each["announced_at"]
        and each["alert_id"] not in closed
    ]
    assert known
    for each in known:
        episodes = unpack(story["after"].rows[each["customer_id"]]).episodes.values()
        assert any(episode.told_s and episode.number == each["episode"] for episode in episodes)
