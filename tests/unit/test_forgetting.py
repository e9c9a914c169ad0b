"""`cx forget`: what is asked for, and what the receipt says; the rest is proven on a real Kafka."""

import asyncio
import dataclasses
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from click.testing import CliRunner

from schemas.codec import decode, encode
from streams import forgetting
from streams.admin import TopicState
from streams.cli import forget as command
from streams.cli.forget import forget
from streams.errors import CxError, Exit
from streams.forgetting import Place, Receipt
from streams.settings import Settings
from streams.suppression import Forgetting, Suppression
from streams.topics import COMPACTED, INPUTS

OURS = Suppression(b"0123456789abcdef")
DAY_MS = 86_400_000
RECEIPT = Receipt(
    "c-1",
    3,
    "2026-11-25T03:00:00+00:00",
    "5f" * 32,
    True,  # noqa: FBT003  # it was known
    2,
    (Place("cx.scores", "the score", "2026-12-03"), Place("cx.alerts", "2 alerts", None)),
    (Place("cx.actions", "actions, and this request", "2026-12-10"),),
)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Put a worker that does everything at once in the place of the real way."""
    seen: list[Any] = []

    async def done(settings: Settings, customer_id: str, *, wait_s: float) -> Receipt:
        seen.append((settings.app_id, customer_id, wait_s))
        return RECEIPT

    monkeypatch.setattr(command, "forget_customer", done)
    return seen


def test_the_request_is_an_event_that_a_worker_can_read():
    """It carries the proof of the key over customer, request and alerts."""
    request = forgetting._request(OURS, "c-1", ("a1", "a2"))
    found = decode(encode(request), b"c-1")
    assert found == request
    assert OURS.accepts(request)
    assert not Suppression(b"another key, as long").accepts(request)


def test_what_is_no_customer_id_is_refused_before_anything_is_sent():
    """The rules of the contract hold for `cx forget` too."""
    with pytest.raises(CxError, match="is no customer id") as caught:
        forgetting._request(OURS, "x" * 200, ())
    assert caught.value.code is Exit.USAGE


async def test_without_a_key_nobody_is_forgotten():
    """The command that makes one is named; no broker is asked before."""
    with pytest.raises(CxError, match="forget_key_file names none") as caught:
        await forgetting.forget(Settings(bootstrap_servers="127.0.0.1:1"), "c-1")
    assert "openssl rand -hex 32" in caught.value.mend


@pytest.mark.parametrize(
    ("there", "mend"), [((), "cx topics create"), (("cx.actions",), "cx worker has to run first")]
)
def test_where_nothing_is_kept_nothing_is_asked(there: tuple[str, ...], mend: str):
    """A missing topic is told with what makes it."""
    topics = {name: TopicState(name, None, 4, {}) for name in there}
    with pytest.raises(CxError, match="does not exist") as caught:
        forgetting._require(topics, "cx.actions", "cx-signals-customers-changelog")
    assert caught.value.mend == mend


def test_the_dates_are_those_of_the_topics_configuration():
    """Compaction: its longest lag; retention: with the segment that the record lies in; never is said so."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert forgetting._by(now, COMPACTED, "max.compaction.lag.ms") == "2026-01-09"
    kept = {"retention.ms": str(7 * DAY_MS), "segment.ms": str(7 * DAY_MS)}
    assert forgetting._by(now, kept, "retention.ms", "segment.ms") == "2026-01-16"
    assert forgetting._by(now, kept | {"retention.ms": "-1"}, "retention.ms", "segment.ms") is None
    assert forgetting._by(now, {"max.compaction.lag.ms": str(2**63 - 1)}, "max.compaction.lag.ms") is None


def test_the_receipt_lists_every_topic_with_the_customers_data():
    """What is erased, and what expires: no input is left out."""
    config = {"retention.ms": "1", "segment.ms": "1", **COMPACTED}
    names = [*(topic.name for topic in INPUTS), "cx.deadletter", "cx.scores", "cx.alerts"]
    topics = {name: TopicState(name, None, 4, config) for name in (*names, "cx-signals-customers-changelog")}
    erased, expires = forgetting._places(Settings(), topics, 5)
    assert {each.topic for each in (*erased, *expires)} == topics.keys()
    assert "the alerts; 5 found" in {each.what for each in erased}
    assert all(each.gone_by for each in (*erased, *expires))


def test_a_record_that_no_worker_wrote_is_nobodys_alert():
    """Bytes that are no alert do not stop the search."""
    assert forgetting._alert(b"{").customer_id == ""


def test_an_alert_that_was_erased_is_found_no_more():
    """Who is forgotten a second time has no alerts, though their bytes wait for the topic's compaction."""
    found: dict[bytes, str] = {}
    for key, customer_id in ((b"a1", "c-1"), (b"a2", "c-1"), (b"b1", "c-2"), (b"a1", None), (b"gone", None)):
        alert = {"alert_id": key.decode(), "customer_id": customer_id}
        value = json.dumps(alert).encode() if customer_id else None
        forgetting._note(found, SimpleNamespace(key=key, value=value), "c-1")
    assert list(found.values()) == ["a2"]


def test_it_asks_before_it_erases(asked: list[Any]):
    """Without --yes a person confirms; no is no."""
    assert CliRunner().invoke(forget, ["c-1"], input="n\n").exit_code == 1
    assert asked == []
    assert CliRunner().invoke(forget, ["c-1", "--app-id", "shop", "--wait", "5"], input="y\n").exit_code == 0
    assert asked == [("shop", "c-1", 5.0)]


class Log:
    """A consumer of the changelog and the dead letters to which a worker writes, a transaction at a time."""

    def __init__(self, *transactions: list[tuple[str, bytes]]) -> None:
        self._fetches = iter(transactions)

    def assign(self, tps: list[TopicPartition]) -> None:
        """Take note of nothing: there is one partition."""

    def seek(self, tp: TopicPartition, offset: int) -> None:
        """Stand at the end: whatever is written comes after it."""

    async def getmany(self, *, timeout_ms: int) -> dict[str, list[Any]]:
        """Return the next transaction; nothing where the worker has written all."""
        await asyncio.sleep(0 if (found := next(self._fetches, None)) else timeout_ms / 1000)
        records = [SimpleNamespace(topic=topic, key=key, headers=()) for topic, key in found or ()]
        return {"one": records}


async def done(*transactions: list[tuple[str, bytes]], wait_s: float = 5.0) -> bool:
    """Wait for the row of suppression as `cx forget` does."""
    ends = {TopicPartition("changelog", 0): 0, TopicPartition("cx.deadletter", 0): 0}
    return await forgetting._done(Log(*transactions), ends, "changelog", b"hmac", b"c-1", wait_s)


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ([[("changelog", b"c-1"), ("changelog", b"guard"), ("changelog", b"hmac")]], True),
        ([[("changelog", b"c-1")], [("changelog", b"hmac")]], True),
        ([[("changelog", b"c-2")], [("changelog", b"guard"), ("changelog", b"hmac")]], False),
        ([[("cx.deadletter", b"c-1")], [("changelog", b"hmac")]], False),
    ],
    ids=["its tombstone", "its row, just before", "of another customer", "only a dead letter"],
)
async def test_the_log_tells_whether_there_was_a_row(written: list[list[tuple[str, bytes]]], known: bool):  # noqa: FBT001  # a case
    """A worker writes a tombstone where there was a row, and none for an id that nobody has heard of."""
    assert await done(*written) is known


async def test_a_request_that_nobody_carries_out_waits():
    """Without a worker nothing is known, and the request is not lost."""
    with pytest.raises(CxError, match=r"no worker has carried it out within 0.01 s; the request waits"):
        await done([("changelog", b"c-2")], wait_s=0.01)


def test_what_a_worker_writes_of_a_forgotten_customer_is_in_the_order_that_is_read():
    """The tombstone comes before the row of suppression: behind that one nothing is looked at."""
    rows = Forgetting(OURS, {b"c-1": b"row"}).forget(b"c-1")
    assert list(rows)[::2] == [b"c-1", OURS.row_key(b"c-1")]
    assert b"c-1" not in Forgetting(OURS, {}).forget(b"c-1")


@pytest.mark.usefixtures("asked")
def test_a_mistyped_id_is_told_from_a_known_one(monkeypatch: pytest.MonkeyPatch):
    """The receipt says whether anything was kept, in words and as JSON."""
    assert "known:     yes" in CliRunner().invoke(forget, ["c-1", "--yes"]).output

    async def nothing(*_: Any, **__: Any) -> Receipt:
        return dataclasses.replace(RECEIPT, known=False, alerts=0)

    monkeypatch.setattr(command, "forget_customer", nothing)
    said = CliRunner().invoke(forget, ["c-1", "--yes"])
    assert "known:     NO: nothing was kept under this id. Is it mistyped" in said.output
    assert said.exit_code == 0
    assert json.loads(CliRunner().invoke(forget, ["c-1", "--yes", "--json"]).output)["known"] is False


@pytest.mark.usefixtures("asked")
def test_the_receipt_is_for_people_and_for_programs():
    """Dates and topics in lines; where no date can be given, that is said; the same as JSON."""
    said = CliRunner().invoke(forget, ["c-1", "--yes"]).output
    assert "forgotten: c-1 (partition 3)" in said
    assert "  by 2026-12-03  cx.scores   the score" in said
    assert "  by ?           cx.alerts   2 alerts" in said
    assert "not bounded by the topic's configuration" in said
    shown = json.loads(CliRunner().invoke(forget, ["c-1", "--yes", "--json"]).output)
    assert shown["expires"] == [
        {"topic": "cx.actions", "what": "actions, and this request", "gone_by": "2026-12-10"}
    ]
