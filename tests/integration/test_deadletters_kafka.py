"""`cx deadletters` on a real Kafka: counted, shown, and sent again to where they came from."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from schemas.rejects import RejectReason, dead_letter_headers, reject
from streams.admin import ensure_topics
from streams.cli.deadletters import deadletters
from streams.errors import CxError
from streams.settings import Settings
from streams.topics import DEAD_LETTERS, STORE, SUPPORT, WEB
from tests.customers import line
from tests.live_worker import LiveWorker, Sent, read_topic, send

pytestmark = pytest.mark.kafka

PARTITIONS = 2
OWN = (("trace", b"\x00\xff"), ("ce_source", None), ("ce_source", b"/binary"), ("empty", None))


@dataclass
class Letters:
    """Dead letters on one broker and prefix, and the command to look at them."""

    kafka: str
    prefix: str

    def __call__(self, *arguments: str) -> Result:
        """Run `cx deadletters`."""
        where = ["--bootstrap-servers", self.kafka, "--topic-prefix", self.prefix]
        return CliRunner(env={"COLUMNS": "200"}).invoke(deadletters, [*arguments, *where])

    def put(
        self,
        reason: RejectReason,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = b"anna",
        **more: Any,
    ) -> None:
        """Write one dead letter, as a worker does."""
        headers = dead_letter_headers(
            reject(reason, more.get("path", "$"), "string"),
            topic=self.prefix + topic,
            partition=1,
            offset=7,
            timestamp_ms=1_790_000_000_000,
        )
        where = self.prefix + DEAD_LETTERS.name
        send(self.kafka, [Sent(where, key, value, (*more.get("own", ()), *headers))])

    def originals(self, topic: str) -> list[Any]:
        """Return what lies on an input."""
        return read_topic(self.kafka, self.prefix + topic)


@pytest.fixture
def letters(kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Letters:
    """Return dead letters with topics of their own, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    settings = Settings(bootstrap_servers=kafka, topic_prefix=topic_prefix, partitions=PARTITIONS)
    asyncio.run(ensure_topics(settings))
    return Letters(kafka, topic_prefix)


def from_shop(**changes: Any) -> bytes:
    """Return an event of the shop."""
    return orjson.dumps({**orjson.loads(line("page.viewed", source="/shop", session_id="s")), **changes})


def test_none_is_exit_code_0(letters: Letters):
    """Nothing was rejected: said in words, exit code 0, an empty array for programs."""
    assert (letters("list").exit_code, letters("list").stdout) == (0, "no dead letters\n")
    assert letters("list", "--json").stdout == "[]\n"
    assert letters("show").stdout == "no dead letters\n"
    assert letters("replay").stdout == "0 dead letters were sent again\n"


def test_they_are_counted_by_reason_topic_and_source(letters: Letters):
    """The most come first; the source is read from the event, the binary headers, or is unknown."""
    for _ in range(2):
        letters.put(RejectReason.SCHEMA_VIOLATION, WEB.name, from_shop(channel=1), path="$.channel")
    letters.put(RejectReason.NOT_JSON, STORE.name, b"\xff{")
    letters.put(RejectReason.SCHEMA_VIOLATION, STORE.name, b"{}", own=OWN)
    found = json.loads(letters("list", "--json").stdout)
    assert [
        (each["count"], each["reason"], each["topic"].removeprefix(letters.prefix), each["source"])
        for each in found
    ] == [
        (2, "schema_violation", WEB.name, "/shop"),
        (1, "not_json", STORE.name, "unknown"),
        (1, "schema_violation", STORE.name, "/binary"),
    ]
    assert letters("list").exit_code == 1
    assert "4 dead letters" in letters("list").stdout
    only = letters("list", "--json", "--reason", "not_json")
    assert [each["count"] for each in json.loads(only.stdout)] == [1]


def test_one_is_shown_with_the_failing_field_marked(letters: Letters):
    """The bytes, the key, the producer's headers, where it came from, and the mend."""
    letters.put(
        RejectReason.SCHEMA_VIOLATION, WEB.name, from_shop(channel="pigeon"), path="$.channel", own=OWN[:1]
    )
    shown = letters("show").stdout
    assert shown.startswith(f"schema_violation  from {letters.prefix}{WEB.name}[1]@7  at ")
    assert '"channel":>>>"pigeon"<<<' in shown
    assert "schema_violation at $.channel: saw string. Send the named field" in shown
    assert "  key: anna\n" in shown
    assert "  header trace: ?\\xff\n" in shown
    assert "cx-reason" not in shown


def test_what_a_producer_sent_cannot_move_the_cursor(letters: Letters):
    """Control characters in value, key, headers and source do not reach the terminal."""
    evil = b"\x1b[2J"
    letters.put(RejectReason.NOT_JSON, WEB.name, evil, key=evil, own=(("ce_source", evil), ("\x1b[2J", evil)))
    assert "\x1b" not in letters("show").stdout
    assert "\x1b" not in letters("list").stdout


def test_a_limit_bounds_what_is_shown(letters: Letters):
    """`--limit` is kept; `--json` gives the bytes in base64, one object a line."""
    for number in range(3):
        letters.put(RejectReason.NOT_JSON, WEB.name, b"\xff%d" % number, own=OWN)
    lines = letters("show", "--json", "--limit", "2").stdout.splitlines()
    assert len(lines) == 2
    first = json.loads(lines[0])
    assert base64.b64decode(first["value"]) == b"\xff0"
    assert base64.b64decode(first["key"]) == b"anna"
    assert first["headers"] == [[name, value and base64.b64encode(value).decode()] for name, value in OWN]
    assert (first["reason"], first["path"]) == ("not_json", "$")
    assert first["origin"] == {
        "topic": letters.prefix + WEB.name,
        "partition": "1",
        "offset": "7",
        "timestamp": "1790000000000",
    }


def test_a_replay_sends_the_original_again(letters: Letters):
    """Same topic, key, value and own headers, no cx-* header; the record's timestamp is now."""
    before = time.time()
    letters.put(RejectReason.CAPACITY, SUPPORT.name, from_shop(), own=OWN)
    letters.put(RejectReason.KEY_MISSING, SUPPORT.name, from_shop(), key=None)
    done = letters("replay")
    assert done.exit_code == 0
    assert done.stdout.startswith("2 dead letters were sent again\n")
    first, second = sorted(letters.originals(SUPPORT.name), key=lambda each: each.key is None)
    assert (first.key, first.value, first.headers) == (b"anna", from_shop(), OWN)
    assert (second.key, second.value, second.headers) == (None, from_shop(), ())
    assert first.timestamp / 1000 >= before - 1
    assert letters.originals(WEB.name) == []


def test_a_replay_says_that_a_second_one_sends_twice(letters: Letters):
    """Dead letters stay: the report says so, and its `--since` leaves them out."""
    letters.put(RejectReason.CAPACITY, WEB.name, from_shop())
    report = letters("replay").stdout
    assert "a second replay sends them a second time" in report
    since = report.split("--since ")[1].strip()
    assert letters("replay", "--since", since).stdout == "0 dead letters were sent again\n"
    assert json.loads(letters("replay", "--json").stdout)["replayed"] == 1
    assert len(letters.originals(WEB.name)) == 2


def test_a_dry_run_sends_nothing(letters: Letters):
    """It says what would be sent, by topic and reason."""
    letters.put(RejectReason.CAPACITY, WEB.name, from_shop())
    assert letters("replay", "--dry-run").stdout.startswith("1 dead letters would be sent again\n")
    report = json.loads(letters("replay", "--dry-run", "--json", "--reason", "capacity").stdout)
    assert (report["replayed"], report["would_replay"], report["by_reason"]) == (0, 1, {"capacity": 1})
    assert letters.originals(WEB.name) == []


def test_only_the_reasons_asked_for_are_sent(letters: Letters):
    """What is not mended yet stays where it is."""
    letters.put(RejectReason.CAPACITY, WEB.name, from_shop())
    letters.put(RejectReason.NOT_JSON, WEB.name, b"{")
    letters("replay", "--reason", "capacity")
    assert [each.value for each in letters.originals(WEB.name)] == [from_shop()]


def test_a_record_that_no_worker_wrote_stays(letters: Letters):
    """Something else on the topic, from no input, or without any content is counted and never sent."""
    send(letters.kafka, [Sent(letters.prefix + DEAD_LETTERS.name, b"k", b"v")])
    letters.put(RejectReason.NOT_JSON, "cx.scores", b"{")
    letters.put(RejectReason.NOT_JSON, WEB.name, None, key=None)
    report = json.loads(letters("replay", "--json").stdout)
    assert (report["replayed"], report["left"]) == (0, 3)
    assert "unknown" in letters("list").stdout
    assert "3 stay: from no input" in letters("replay").stdout


def test_without_the_topic_the_command_says_so(kafka: str, topic_prefix: str):
    """A consumer would wait for a topic that nobody made."""
    result = Letters(kafka, topic_prefix)("list")
    assert isinstance(result.exception, CxError)
    said = f"cx topics create --bootstrap-servers {kafka} --topic-prefix {topic_prefix}"
    assert result.exception.mend == said


def test_an_unreachable_broker_is_told_at_once():
    """No broker: the address and the command that starts one."""
    result = Letters("127.0.0.1:1", "x.")("list")
    assert isinstance(result.exception, CxError)
    assert "127.0.0.1:1" in result.exception.message
    assert "cx kafka start" in result.exception.mend


@pytest.fixture
def crowded(letters: Letters, tmp_path: Path) -> Iterator[LiveWorker]:
    """Return a worker that has room for one customer a partition."""
    worker = LiveWorker(letters.kafka, letters.prefix, tmp_path, CX_MAX_CUSTOMERS=1)
    worker.start()
    yield worker
    worker.stop()


def test_customers_beyond_the_capacity_come_back_by_a_replay(letters: Letters, crowded: LiveWorker):
    """What was rejected for want of room is scored after the room was made and the letters replayed."""
    names = [f"c{number}" for number in range(12)]
    topic = letters.prefix + WEB.name
    crowded.applied(send(letters.kafka, [Sent(topic, n.encode(), from_shop(subject=n, id=n)) for n in names]))
    rejected = len(names) - PARTITIONS
    reasons = crowded.metrics("cx_rejected_records_total", "reason")
    assert {labels: number for labels, number in reasons.items() if number} == {("capacity",): rejected}
    assert crowded.stop() == 0
    crowded.env["CX_MAX_CUSTOMERS"] = 100
    crowded.start()
    assert json.loads(letters("replay", "--json", "--reason", "capacity").stdout)["replayed"] == rejected
    crowded.applied(len(names) + rejected)
    assert crowded.metrics("cx_customers")[()] == len(names)
    assert all(crowded.customer(name, "2027-01-01T00:00:00Z")["events"] == 1 for name in names)


def test_a_second_replay_of_what_was_accepted_counts_as_duplicates(letters: Letters, crowded: LiveWorker):
    """The ring of ids protects: an event that came twice is counted once, and the metric says so."""
    order = line("order.placed", order_id="o", total=100, currency="EUR", lines=[])
    letters.put(RejectReason.CAPACITY, WEB.name, order)
    letters("replay")
    crowded.applied(1)
    letters("replay")
    crowded.applied(2)
    outcomes = crowded.metrics("cx_records_total", "outcome")
    assert (outcomes["accepted",], outcomes["duplicate",]) == (1, 1)
