"""Two workers, one killed in mid-flow, bad records in between: rows, scores, alerts as without any of it."""

import signal
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import pytest

from schemas.outputs import ChurnAlert, ScoreUpdated
from streams.cli.score import document
from streams.demo.feed import Record
from streams.demo.generator import generate
from streams.engine.handler import Counts
from streams.engine.marker import MARKER_KEY, decode_marker
from streams.engine.settings import engine_settings
from streams.replay import Replay, replay
from streams.scoring.cases import alert_id
from streams.scoring.rules import Rule
from streams.settings import Settings
from streams.topics import ALERTS, DEAD_LETTERS, SCORES, WEB
from tests.agreement import close, unlike
from tests.customers import DAY, DEFAULT
from tests.integration.test_worker_live import BAD
from tests.live_worker import LiveWorker, Sent, read_topic, send, until

pytestmark = pytest.mark.kafka

PARTITIONS = 4
EVENTS = 6000
FIRST = 2500
"""Records sent before the second worker comes."""
SECOND = 4500
"""Records sent before the first one is killed; some of them are not applied yet when it dies."""


@dataclass
class Aftermath:
    """What is on the topics when all is over."""

    records: list[Record]
    found: Replay
    rows: dict[str, bytes]
    counts: Counts
    generations: dict[int, str]
    scores: list[Any]
    alerts: list[Any]
    dead_letters: list[Any]
    shared: tuple[set[int], set[int]]
    """Partitions of the two workers while both ran."""


def partitions(worker: LiveWorker) -> set[int]:
    """Return the partitions that a worker is ready to work on."""
    status, body = worker.get("/readyz")
    return set(msgspec.json.decode(body)["partitions"]) if status == 200 else set()


def context(number: int) -> bytes:
    """Return the trace context that the publisher of a record gave it, one of each number from 1."""
    return b"00-%032x-%016x-01" % (number, number)


def sent(records: list[Record], prefix: str) -> list[Sent]:
    """Return records as they are sent, one of each bad one in between."""
    found = [
        Sent(prefix + each.topic, each.key, each.value, (("traceparent", context(number)),))
        for number, each in enumerate(records, 1)
    ]
    for number, (_, key, value) in enumerate(BAD.values()):
        found.insert((number + 1) * len(records) // len(BAD), Sent(prefix + WEB.name, key, value))
    return found


@pytest.fixture(scope="module")
def aftermath(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """Feed a worker, let a second one join, kill the first in mid-flow, start it again, feed the rest."""
    prefix = f"t{uuid.uuid4().hex[:10]}."
    records = list(generate(EVENTS, seed=21, days=60, poison=0.02, duplicates=0.02, late=0.02))
    one, two = (
        LiveWorker(kafka, prefix, tmp_path_factory.mktemp(name), CX_PARTITIONS=PARTITIONS, CX_CLOCK="event")
        for name in ("one", "two")
    )
    stream = sent(records, prefix)
    try:
        one.start("--create-topics")
        send(kafka, stream[:FIRST])
        two.start()
        until(lambda: partitions(one) and partitions(two), "partitions on both workers")
        shared = partitions(one), partitions(two)
        send(kafka, stream[FIRST:SECOND])
        one.stop(signal.SIGKILL)
        send(kafka, stream[SECOND:])
        one.start()
        until(lambda: applied(one) + applied(two) >= len(stream), "all records applied")
    finally:
        codes = one.stop(), two.stop()
    assert codes == (0, 0)
    return aftermath_of(kafka, prefix, records, shared)


def applied(worker: LiveWorker) -> float:
    """Return the outcomes counted on a worker's partitions; 0 while it does not answer."""
    try:
        return worker.metrics("cx_records_total").get((), 0.0)
    except OSError:
        return 0.0


def aftermath_of(
    kafka: str, prefix: str, records: list[Record], shared: tuple[set[int], set[int]]
) -> Aftermath:
    """Read what the workers left, with committed transactions only."""
    settings = Settings(bootstrap_servers=kafka, topic_prefix=prefix, app_id=f"{prefix}cx")
    table: dict[tuple[int, bytes], bytes | None] = {}
    for each in read_topic(kafka, engine_settings(settings).changelog):
        table[each.partition, each.key] = each.value
    counts, generations = Counts(), {}
    for (number, key), value in table.items():
        if key == MARKER_KEY:
            marker = decode_marker(value or b"")
            counts, generations[number] = counts.plus(marker.counts), marker.generation
    rows = {
        key.decode(): value for (_, key), value in table.items() if key != MARKER_KEY and value is not None
    }
    outputs = [read_topic(kafka, prefix + topic.name) for topic in (SCORES, ALERTS, DEAD_LETTERS)]
    found = replay([each.value for each in records], DEFAULT)
    return Aftermath(records, found, rows, counts, generations, *outputs, shared)  # type: ignore[misc]  # three of them


def test_two_workers_share_the_partitions(aftermath: Aftermath):
    """Each partition lies on one of them, and both have some."""
    one, two = aftermath.shared
    assert one | two == set(range(PARTITIONS))
    assert not one & two


def test_every_record_is_counted_once(aftermath: Aftermath):
    """Through a rebalance and a kill -9 each record has one outcome, that of the file (G1, G4)."""
    found = aftermath.found
    rejects = sum(found.rejects.values()) + len(BAD)
    assert min(found.duplicates, rejects) > 30
    assert aftermath.counts == Counts(
        found.accepted, found.duplicates, found.anonymous, 0, rejects, aftermath.counts.skipped
    )


@pytest.mark.parametrize("days", [0, 1, 45])
def test_rows_read_as_cx_score_reads_the_events(aftermath: Aftermath, days: int):
    """Rows on the changelog, evaluated after all events, equal `cx score` in all but alerts (G2)."""
    assert len(aftermath.rows) > 100
    at_s = aftermath.found.at_s + days * DAY
    assert unlike(aftermath.found, aftermath.rows, DEFAULT, at_s) == {}


def test_each_customer_has_one_row(aftermath: Aftermath):
    """No customer lies on two partitions."""
    assert aftermath.rows.keys() == aftermath.found.customers.keys()


def test_rejects_are_kept_byte_for_byte_and_once(aftermath: Aftermath):
    """In the midst of good records, each bad one is a dead letter with its bytes; no good one is (G4)."""
    poison = [each for each in aftermath.records if sum(replay([each.value], DEFAULT).rejects.values())]
    wanted = Counter((each.key, each.value) for each in poison) + Counter(
        (key, value) for _, key, value in BAD.values()
    )
    assert Counter((each.key, each.value) for each in aftermath.dead_letters) == wanted
    reasons = Counter(dict(each.headers)["cx-reason"].decode() for each in aftermath.dead_letters)
    assert reasons == aftermath.found.rejects + Counter(reason for reason, _, _ in BAD.values())


def test_scores_are_valid_documents_of_their_customers(aftermath: Aftermath):
    """Each message converts strictly, is keyed by its customer and sums up; the last is on one partition."""
    seen: dict[bytes, int] = {}
    assert len(aftermath.scores) > len(aftermath.rows)
    for each in aftermath.scores:
        score = msgspec.json.decode(each.value, type=ScoreUpdated, strict=True)
        assert each.key == score.customer_id.encode()
        points = sum(d.points for d in score.drivers if d.ledger == "experience")
        assert close(score.prior + points, score.experience)
        assert seen.setdefault(each.key, each.partition) == each.partition


def test_a_last_score_is_that_of_the_row(aftermath: Aftermath):
    """What was published after a customer's last event is what `cx score` says of that time."""
    last = {each.key.decode(): msgspec.json.decode(each.value) for each in aftermath.scores}
    customers = aftermath.found.customers
    final = {name: each for name, each in last.items() if each["events"] == customers[name].state.events}
    assert len(final) > 50
    for customer_id, score in final.items():
        at_s = datetime.fromisoformat(score["at"]).timestamp()
        wanted = document(DEFAULT, customer_id, customers[customer_id], at_s)
        assert close(score, {name: wanted[name] for name in score}), customer_id


def test_alerts_are_valid_documents_decided_once(aftermath: Aftermath):
    """Each converts strictly; every step of an episode is there once, from its opening on (G3)."""
    assert aftermath.alerts
    steps: dict[str, list[str]] = {}
    for each in aftermath.alerts:
        if each.value is None:
            assert steps[each.key.decode()][-1] == "resolved", "only what was closed leaves the topic"
            continue
        alert = msgspec.json.decode(each.value, type=ChurnAlert, strict=True)
        generation = aftermath.generations[each.partition]
        rule = Rule[alert.rule.upper()]
        assert each.key == alert.alert_id.encode()
        assert alert.alert_id == alert_id(generation, alert.customer_id, rule, alert.episode)
        assert not alert.announced or alert.step in {"announced", "resolved"}
        assert alert.announced_at is not None or not alert.announced
        steps.setdefault(alert.alert_id, []).append(alert.step)
    for found in steps.values():
        assert found[0] == "opened"
        assert found.count("opened") == 1
        assert found.count("resolved") <= 1


def test_alerts_belong_to_the_trace_of_their_event(aftermath: Aftermath):
    """A step that an event raised has the context of one of its customer, from no later time."""
    events = {context(number): each for number, each in enumerate(aftermath.records, 1)}
    steps = [each for each in aftermath.alerts if each.value is not None]
    traced = [each for each in steps if each.headers]
    assert traced
    for each in traced:
        ((name, text),) = each.headers
        alert = msgspec.json.decode(each.value, type=ChurnAlert)
        event = msgspec.json.decode(events[text].value or b"")
        assert name == "traceparent"
        assert alert.customer_id == event["subject"]
        assert datetime.fromisoformat(event["time"]) <= datetime.fromisoformat(alert.at)
