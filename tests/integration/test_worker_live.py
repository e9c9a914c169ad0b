"""`cx worker` on a real Kafka: scores as `cx score`, rejects byte for byte, metrics, restarts, refusals."""

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka.admin import NewTopic
from click.testing import CliRunner

from schemas.codec import decode
from schemas.rejects import Reject
from schemas.times import at_time
from streams.admin import admin_client, ensure_topics
from streams.cli.doctor import doctor
from streams.cli.score import document
from streams.cli.worker import run_worker, worker_command
from streams.demo.generator import START, generate
from streams.engine.stats import Snapshot
from streams.replay import replay
from streams.settings import Settings
from streams.topics import ACTIONS, DEAD_LETTERS, INPUTS, STORE, SUPPORT, TOPICS, WEB
from tests.customers import DEFAULT, line
from tests.live_worker import LiveWorker, Sent, read_topic, send, until

pytestmark = pytest.mark.kafka

PARTITIONS = 3
EVENTS = 3000
SAMPLE = 40
WEEKS_AGO = 13


def an_event(**changes: Any) -> bytes:
    """Return a page view of anna with some attributes changed."""
    return orjson.dumps({**orjson.loads(line("page.viewed", session_id="s")), **changes})


def raw(text: str) -> bytes:
    """Return a survey of anna whose score is `text`, whatever it is."""
    event = orjson.loads(line("survey.answered", kind="csat", score=1, scale_min=1, scale_max=5))
    return orjson.dumps(event).replace(b'"score":1,', f'"score":{text},'.encode())


ANNA = b"anna"
HEADERS = (("trace", b"\x00\xff"), ("trace", b"again"), ("empty", b""))
BAD: dict[str, tuple[str, bytes | None, bytes | None]] = {
    "garbage": ("not_json", ANNA, b"\xff\x00{{"),
    "half a JSON": ("not_json", ANNA, an_event()[:50]),
    "tombstone": ("not_json", ANNA, None),
    "nothing at all": ("not_json", None, None),
    "5 MB": ("too_large", ANNA, an_event(padding="x" * 5_000_000)),
    "depth 10,000": ("not_json", ANNA, b"[" * 10_000),
    "NaN": ("not_json", ANNA, raw("NaN")),
    "2**70": ("schema_violation", ANNA, raw(str(2**70))),
    "wrong type": ("schema_violation", ANNA, an_event(time=17)),
    "no key": ("key_missing", None, an_event()),
    "other key": ("key_mismatch", b"berta", an_event()),
    "1970": ("clock_ancient", ANNA, an_event(time="1970-01-01T00:00:00Z")),
    "2100": ("clock_future", ANNA, an_event(time="2100-01-01T00:00:00Z")),
    "unknown type": ("unknown_type", ANNA, an_event(type="cx.page.veiwed.v1")),
    "reserved key": ("reserved_key", b"\x00cx-marker", an_event(subject="\x00cx-marker")),
}


@dataclass
class World:
    """A worker that has applied everything that was sent."""

    kafka: str
    prefix: str
    worker: LiveWorker
    events: list[Sent]
    bad: list[Sent]

    @property
    def lines(self) -> list[bytes]:
        """Return the values that were sent as good events, in order."""
        return [each.value or b"" for each in self.events]


@pytest.fixture(scope="module")
def world(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Return a worker after generated journeys and one of each bad record."""
    prefix = f"t{uuid.uuid4().hex[:10]}."
    worker = LiveWorker(kafka, prefix, tmp_path_factory.mktemp("worker"), CX_PARTITIONS=PARTITIONS)
    worker.start("--create-topics")
    # Topics are applied in any order of their events: within 60 days none is later than evidence may be.
    # By the clock of a wall they may not be years old: who has been silent for three is forgotten on the way.
    weeks = (datetime.now(UTC) - START) // timedelta(days=7) - WEEKS_AGO
    journeys = generate(EVENTS, seed=5, days=60, start=START + weeks * timedelta(days=7))
    events = [Sent(prefix + each.topic, each.key, each.value) for each in journeys]
    topics = (WEB, STORE, SUPPORT, ACTIONS)
    bad = [
        Sent(prefix + topics[number % 4].name, key, value, HEADERS)
        for number, (_, key, value) in enumerate(BAD.values())
    ]
    worker.applied(send(kafka, [*events, *bad]))
    yield World(kafka, prefix, worker, events, bad)
    worker.stop()


def test_the_worker_says_in_one_line_that_it_is_ready(world: World):
    """Whoever started it reads one line; the log has nothing to warn of."""
    (ready,) = world.worker.out().splitlines()
    assert ready.startswith("ready: partitions 0, 1, 2; 0 customers recovered in ")
    assert ready.endswith(f"metrics {world.worker.url}/metrics")
    assert not [each for each in world.worker.said().splitlines() if json.loads(each)["level"] != "info"]
    status, body = world.worker.get("/readyz")
    assert (status, json.loads(body)["partitions"]) == (200, [0, 1, 2])


def test_every_record_has_one_outcome(world: World):
    """Accepted, duplicate, anonymous and rejected sum to what was sent, and to the offsets moved (G4)."""
    found = replay(world.lines, DEFAULT)
    outcomes = world.worker.metrics("cx_records_total", "outcome")
    assert outcomes[("accepted",)] == found.accepted
    assert outcomes[("duplicate",)] == found.duplicates > 0
    assert outcomes[("rejected",)] == len(BAD)
    assert sum(outcomes.values()) == EVENTS + len(BAD) == world.worker.metrics("cx_input_offsets_total")[()]


def test_rejects_are_counted_by_topic_and_reason(world: World):
    """The metric names for each topic why its records were rejected."""
    topics = [each.topic for each in world.bad]
    wanted = Counter(zip(topics, (reason for reason, _, _ in BAD.values()), strict=True))
    found = world.worker.metrics("cx_rejected_records_total", "topic", "reason")
    assert {labels: number for labels, number in found.items() if number} == dict(wanted)


@pytest.mark.parametrize("name", BAD)
def test_a_reject_arrives_byte_for_byte(world: World, name: str):
    """A dead letter has the original's value, key and headers, and says why and where it came from (G4)."""
    number = list(BAD).index(name)
    reason, sent = BAD[name][0], world.bad[number]
    letters = [
        each
        for each in dead_letters(world)
        if (each.value, each.key, dict(each.headers)["cx-topic"].decode())
        == (sent.value, sent.key, sent.topic)
    ]
    assert len(letters) == 1
    assert letters[0].headers[: len(HEADERS)] == HEADERS
    added = dict(letters[0].headers[len(HEADERS) :])
    assert list(added) == ["cx-reason", "cx-detail", "cx-topic", "cx-partition", "cx-offset", "cx-timestamp"]
    assert added["cx-reason"].decode() == reason
    assert int(added["cx-offset"]) >= 0
    assert abs(int(added["cx-timestamp"]) / 1000 - time.time()) < 600
    judged = decode(sent.value, sent.key, HEADERS)
    if isinstance(judged, Reject):
        assert added["cx-detail"].decode() == judged.detail


_letters: dict[str, list[Any]] = {}


def dead_letters(world: World) -> list[Any]:
    """Return the dead letters, read once."""
    if world.prefix not in _letters:
        _letters[world.prefix] = read_topic(world.kafka, world.prefix + DEAD_LETTERS.name)
    return _letters[world.prefix]


def test_there_is_one_dead_letter_a_reject(world: World):
    """Nothing is rejected twice, and nothing that was accepted is among them."""
    assert len(dead_letters(world)) == len(BAD)


def close(one: Any, other: Any) -> bool:
    """Compare two documents, numbers to 1e-9."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == pytest.approx(other, abs=1e-9, rel=1e-9) if isinstance(one, float) else bool(one == other)


def test_a_customer_reads_as_cx_score_reads_the_same_events(world: World):
    """The rows of a worker, evaluated after all events, equal `cx score` to 1e-9 in all but alerts (G2)."""
    found = replay(world.lines, DEFAULT)
    at = at_time(found.at_s)
    for customer_id in sorted(found.customers)[:SAMPLE]:
        wanted = orjson.loads(
            orjson.dumps(document(DEFAULT, customer_id, found.customers[customer_id], found.at_s))
        )
        del wanted["alerts"]
        seen = world.worker.customer(customer_id, at)
        assert close({name: seen[name] for name in wanted}, wanted), customer_id


def test_customers_in_the_table_are_those_of_the_events(world: World):
    """Each customer has one row, on one partition."""
    assert world.worker.metrics("cx_customers")[()] == len(replay(world.lines, DEFAULT).customers)


def test_a_restart_keeps_counts_and_customers(world: World):
    """SIGTERM ends it with exit code 0; the next one goes on with the same counts (G1, G4)."""
    before = world.worker.metrics("cx_records_total", "partition", "outcome")
    customers = world.worker.metrics("cx_customers", "partition")
    assert world.worker.stop() == 0
    world.worker.start()
    assert world.worker.metrics("cx_records_total", "partition", "outcome") == before
    assert world.worker.metrics("cx_customers", "partition") == customers
    assert world.worker.metrics("cx_rejected_records_total") == {(): 0}


def test_a_producer_with_the_wrong_partitioner_is_detected_and_named(
    kafka: str, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Metric, log line and doctor name the topic and the mend: crc32 instead of murmur2 splits customers."""
    worker = LiveWorker(kafka, topic_prefix, tmp_path, CX_PARTITIONS=PARTITIONS).start("--create-topics")
    topic = topic_prefix + STORE.name
    names = [f"c{number}" for number in range(30)]
    try:
        worker.applied(
            send(
                kafka,
                [
                    Sent(
                        topic,
                        name.encode(),
                        an_event(subject=name, id=name),
                        partition=zlib.crc32(name.encode()) % 3,
                    )
                    for name in names
                ],
            )
        )
        assert worker.metrics("cx_misplaced_customers_total", "topic")[(topic,)] > 0
        until(lambda: f"{topic}: a producer does not use" in worker.said(), "the warning")
        found = examine(kafka, topic_prefix, worker.url, monkeypatch)
    finally:
        worker.stop()
    errors = [each for each in found if each["status"] == "error"]
    assert {each["subject"] for each in errors} == {"producers"}
    assert all(topic in each["message"] and "murmur2_random" in each["mend"] for each in errors)
    assert len(errors) == 2  # seen in the topic itself, and told by the worker


def examine(kafka: str, prefix: str, url: str, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return what `cx doctor --json` finds."""
    monkeypatch.delenv("CX_CONFIG", raising=False)
    where = [
        "--bootstrap-servers",
        kafka,
        "--topic-prefix",
        prefix,
        "--app-id",
        f"{prefix}cx",
        "--worker",
        url,
    ]
    result = CliRunner().invoke(doctor, [*where, "--json"])
    found: list[dict[str, str]] = json.loads(result.stdout)
    assert result.exit_code == (1 if any(each["status"] == "error" for each in found) else 0)
    return found


def test_the_doctor_finds_a_worker_at_work_well(world: World, monkeypatch: pytest.MonkeyPatch):
    """Broker, topics, producers and worker are each told to be well, in this order."""
    found = examine(world.kafka, world.prefix, world.worker.url, monkeypatch)
    assert {each["status"] for each in found} <= {"ok", "warning"}
    assert [each["subject"] for each in found if each["status"] == "ok"] == [
        *("versions", "broker", "credentials", "topics", "replication", "retention"),
        *("workers", "producers", "clock"),
        *("positions", "lag", "transactions", "delivery", "worker", "lag"),
    ]


def refused(kafka: str, prefix: str, folder: Path, *arguments: str, **env: Any) -> tuple[int, str, float]:
    """Return exit code, standard error and seconds of a worker that does not start."""
    worker = LiveWorker(kafka, prefix, folder, **env)
    started = time.monotonic()
    done = subprocess.run(
        worker_command(*arguments),
        env=worker.variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr, time.monotonic() - started


def test_topics_that_are_missing_are_named_with_the_mend(kafka: str, topic_prefix: str, tmp_path: Path):
    """A worker does not wait for topics that nobody has made."""
    code, said, _ = refused(kafka, topic_prefix, tmp_path)
    assert code == 4
    assert said.splitlines()[0].startswith(f"error: missing topics: {topic_prefix}{WEB.name}, ")
    assert said.splitlines()[1] == "  try: cx topics create"


async def test_unequal_partition_counts_are_refused(kafka: str, topic_prefix: str, tmp_path: Path):
    """A customer would lie on two workers: the worker names the topic that differs and exits."""
    async with admin_client(Settings(bootstrap_servers=kafka)) as admin:
        counts = {topic.name: 2 if topic is STORE else 4 for topic in TOPICS}
        await admin.create_topics([NewTopic(topic_prefix + name, count, 1) for name, count in counts.items()])
    code, said, _ = refused(kafka, topic_prefix, tmp_path)
    assert code == 4
    assert f"partition counts differ: {topic_prefix}{STORE.name} has 2, the others 4" in said
    assert "  try: cx topics check" in said


def test_faust_runs_the_same_worker(world: World, tmp_path: Path):
    """`faust -A streams.app worker` recovers, serves the same metrics and ends well with SIGTERM."""
    assert world.worker.stop() == 0
    port = int(world.worker.url.rsplit(":", 1)[1])
    other = LiveWorker(world.kafka, world.prefix, tmp_path, CX_METRICS_PORT=port)
    faust = [sys.executable, "-m", "faust", "-A", "streams.app", "worker", "-l", "warn", "--without-web"]
    other.start(command=faust)
    other.url = world.worker.url
    try:
        until(lambda: answers(other), "metrics of Faust's worker")
        assert other.metrics("cx_records_total")[()] == EVENTS + len(BAD)
    finally:
        assert other.stop() == 0
    world.worker.env["CX_METRICS_PORT"] = 0
    world.worker.start()


def answers(worker: LiveWorker) -> bool:
    """Tell whether a worker is ready."""
    try:
        return worker.get("/readyz")[0] == 200
    except OSError:
        return False


def test_all_inputs_are_used(world: World):
    """The world above is not one of a single topic."""
    moved = world.worker.metrics("cx_input_offsets_total", "topic")
    assert {topic for (topic,), count in moved.items() if count} == {
        world.prefix + each.name for each in INPUTS
    }


@pytest.fixture
def loop_policy() -> Iterator[None]:
    """Put the loops of this process back: a worker makes them uvloop's."""
    before = asyncio.get_event_loop_policy()
    yield
    asyncio.set_event_loop_policy(before)


@pytest.mark.usefixtures("loop_policy")
def test_a_worker_in_this_process_is_told_to_stop_by_a_signal(kafka: str, topic_prefix: str, tmp_path: Path):
    """`run_worker` calls back once when it is ready, and returns after SIGTERM."""
    settings = Settings(
        bootstrap_servers=kafka,
        topic_prefix=topic_prefix,
        app_id=f"{topic_prefix}cx",
        partitions=PARTITIONS,
        data_dir=str(tmp_path),
        metrics_port=0,
    )
    asyncio.run(ensure_topics(settings))
    seen: list[tuple[int, str]] = []

    def on_ready(engine: Snapshot, url: str) -> None:
        seen.append((len(engine.partitions), url))
        os.kill(os.getpid(), signal.SIGTERM)

    # The setting says 1, the topics have 3: the topics are right.
    run_worker(dataclasses.replace(settings, partitions=1), on_ready=on_ready)
    assert [count for count, _ in seen] == [PARTITIONS]
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(seen[0][1], timeout=5)  # noqa: S310  # our own


BROKEN = """
import hashlib

whole = hashlib.blake2b

class Broken:  # of the ids of events
    update = digest = None

    def __init__(self, **_):
        pass

    def copy(self):
        return 1 / 0

hashlib.blake2b = Broken
from streams.scoring import state  # compiled modules keep what they have taken at their import

hashlib.blake2b = whole

from streams.cli.worker import run_worker
from streams.settings import load_settings

run_worker(load_settings(), on_ready=lambda *_: print("ready", flush=True))
"""


def test_a_bug_in_scoring_stops_the_worker_loudly(kafka: str, topic_prefix: str, tmp_path: Path):
    """Nothing is skipped because of a bug: exit code 5 and one clear line, and the record is still there."""
    worker = LiveWorker(kafka, topic_prefix, tmp_path, CX_PARTITIONS=1)
    worker.start("--create-topics")
    assert worker.stop() == 0
    topic = topic_prefix + WEB.name
    send(kafka, [Sent(topic, ANNA, line("rage.clicked"))])
    worker.start(command=[sys.executable, "-c", BROKEN])
    assert worker.process is not None
    assert worker.process.wait(30) == 5
    assert "error: the worker stopped itself: ZeroDivisionError: division by zero" in worker.said()
    worker.start()
    try:
        worker.applied(1)
    finally:
        assert worker.stop() == 0
