"""What the doctor says of copies, credentials, positions, retention and transactions, without a broker."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams.admin import TopicState
from streams.engine.marker import Marker, Position, Rebuild, new_marker
from streams.engine.wire import TopicInfo
from streams.observe.doctor_cluster import DAY_S, Cluster, Copies, broker, credentials, group, replication
from streams.observe.doctor_log import Look, positions, producers, retention, transactions
from streams.observe.doctor_worker import _clock as clock
from streams.observe.findings import Finding
from streams.observe.placement import partition_of
from streams.settings import Settings
from streams.topics import ACTIONS, INPUTS, SCORES, WEB

HERE = Settings(bootstrap_servers="127.0.0.1:9092")


def said(found: Iterator[Finding]) -> list[tuple[str, str]]:
    """Return status and message of each finding."""
    return [(each.status.value, each.message) for each in found]


def cluster(*copies: Copies, brokers: int = 3, **changes: Any) -> Cluster:
    """Return a cluster that keeps `copies`."""
    return Cluster(brokers, changes.get("transactions", True), copies, changes.get("group"))


def kept(topic: str = "cx.scores", *, replicas: int = 3, in_sync: int = 3, leader: int = 1) -> Copies:
    """Return one partition."""
    return Copies(topic, 0, leader, replicas, in_sync)


def state(least: int = 2) -> list[TopicState]:
    """Return the scores' topic with a least number of copies in sync."""
    return [TopicState("cx.scores", SCORES, 1, {"min.insync.replicas": str(least)})]


def test_a_broker_must_have_transactions_and_enough_of_its_like():
    """Both are errors with what mends them."""
    assert broker(cluster(), HERE).message == "127.0.0.1:9092 answers: 3 brokers, transactions"
    assert "has no transactions" in broker(cluster(transactions=False), HERE).message
    asked = Settings(replication_factor=3)
    assert broker(cluster(brokers=1), asked).mend == "set CX_REPLICATION_FACTOR=1"


@pytest.mark.parametrize(
    ("copies", "least", "brokers", "found"),
    [
        (kept(), 2, 3, ("ok", "3 copies of each partition, in sync")),
        (kept(replicas=1, in_sync=1), 1, 1, ("ok", "1 copy of each partition, in sync; a lost disk loses")),
        (kept(replicas=1, in_sync=1), 1, 3, ("warning", "cx.scores: 1 copy on 3 brokers")),
        (kept(replicas=2, in_sync=2), 1, 3, ("warning", "cx.scores: 2 copies on 3 brokers")),
        (kept(in_sync=2), 2, 3, ("warning", "cx.scores[0] has copies that are not in sync")),
        (kept(leader=-1), 2, 3, ("error", "nobody leads cx.scores[0]")),
        (kept(), 1, 3, ("warning", "cx.scores: a write that reached one broker of 3 counts as safe")),
        (kept(), 3, 3, ("warning", "cx.scores: min.insync.replicas 3 of 3: one broker away stops writes")),
        (
            kept(replicas=1, in_sync=1),
            2,
            1,
            ("error", "cx.scores: min.insync.replicas 2 with 1 copy: writes are refused"),
        ),
    ],
)
def test_copies_are_held_to_what_keeps_data(copies: Copies, least: int, brokers: int, found: tuple[str, str]):
    """Leaders, copies in sync, and the least that a write must reach: neither too many nor too few."""
    ((status, message),) = said(replication(cluster(copies, brokers=brokers), state(least), HERE))
    assert (status, message.startswith(found[1])) == (found[0], True), message


def test_many_partitions_are_named_by_the_first():
    """A line stays a line."""
    many = [Copies(f"t{number}", 0, -1, 1, 1) for number in range(9)]
    ((_, message), *_) = said(replication(cluster(*many), [], HERE))
    assert "t0[0], t1[0], t2[0] and 6 more" in message


def test_the_workers_are_counted_by_their_group():
    """Nobody is a warning, and so is a group that does not come to rest."""
    assert "could not be looked at" in group(cluster(), HERE).message
    nobody = cluster(group={"state": "Dead", "members": 0})
    assert group(nobody, HERE).message == "none is in the group cx-signals"
    assert (
        group(cluster(group={"state": "Stable", "members": 2}), HERE).message == "2 in the group cx-signals"
    )
    unrest = group(cluster(group={"state": "PreparingRebalance", "members": 2}), HERE)
    assert (unrest.status.value, "PreparingRebalance" in unrest.message) == ("warning", True)


def test_plain_text_to_other_machines_is_a_warning(tmp_path: Path):
    """On this machine it is fine; a secret that everybody can read is not, wherever it lies."""
    assert said(credentials(HERE, None)) == [("ok", "let in by PLAINTEXT")]
    ((status, message), _) = said(credentials(Settings(bootstrap_servers="kafka.example:9092"), None))
    assert (status, "PLAINTEXT to other machines" in message) == ("warning", True)
    secret = tmp_path / "password"
    secret.write_text("x")
    secret.chmod(0o644)
    user = {"security_protocol": "SASL_SSL", "sasl_username": "cx", "sasl_password_file": str(secret)}
    first, last = said(credentials(Settings(**user), time.time() + 365 * DAY_S))
    assert first == ("warning", f"everybody on this machine can read {secret} (sasl_password_file)")
    assert last == ("ok", "let in by SASL_SSL as 'cx' (SCRAM-SHA-512)")
    secret.chmod(0o600)
    assert len(said(credentials(Settings(**user), None))) == 1


def test_a_certificate_that_ends_soon_is_a_warning():
    """Before the day on which nobody is let in any more."""
    given = Settings(security_protocol="SSL", ssl_certfile="c.pem", bootstrap_servers="[::1]:9093")
    soon, last = said(credentials(given, time.time() + 7.2 * DAY_S))
    assert soon == ("warning", "the broker's certificate ends in 7 days")
    assert last == ("ok", "let in by SSL with a certificate")
    soon, _ = said(credentials(given, time.time() + 1.2 * DAY_S))
    assert soon == ("warning", "the broker's certificate ends in 1 day")


def look(marker: Marker, begin: int = 0, end: int = 10, topic_id: str = "a") -> Look:
    """Return what was read of one partition of the web's topic."""
    tp = TopicPartition(WEB.name, 0)
    return Look({}, {0: marker}, {tp: begin}, {tp: end}, {WEB.name: TopicInfo(1, topic_id)})


def at(offset: int, **changes: Any) -> Marker:
    """Return a marker that stands at an offset of the web's topic, and of one that is gone."""
    made = new_marker({})
    inputs = {WEB.name: Position(offset, 0, "a"), "gone": Position(5, 0)}
    fields = {"version": made.version, "generation": "g", "inputs": inputs, "counts": made.counts}
    return Marker(**fields, transactions=1, **changes)


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (look(at(8), topic_id="b"), "cx.touchpoints.web[0]: the topic was deleted and made anew"),
        (look(at(8), begin=9), "cx.touchpoints.web[0]: 1 records were deleted before they were applied"),
        (look(at(12)), "cx.touchpoints.web[0]: applied up to 12, and the topic ends at 10"),
    ],
)
def test_a_position_that_cannot_be_read_on_from_is_an_error(seen: Look, problem: str):
    """Named with the command by which a person accepts it."""
    first, *_ = list(positions(seen))
    assert (first.status.value, first.message) == ("error", problem)
    assert first.mend == "cx topics adopt cx.touchpoints.web"


def test_what_waits_is_counted_from_the_markers():
    """Without any worker; a partition that is being rebuilt is said so."""
    assert said(positions(look(at(8)))) == [
        ("ok", "each lies in the topic that was applied so far"),
        ("ok", "2 records wait to be applied"),
    ]
    rebuilt = look(at(8, rebuild=Rebuild("r", "replaying")))
    assert said(positions(rebuilt))[0] == ("warning", "partition 0 is under a rebuild")


def test_retention_is_held_against_the_policys_memory(tmp_path: Path):
    """Evidence fades by a half-life: what the inputs still hold of it is what a rebuild can bring back."""

    def inputs(days: float) -> list[TopicState]:
        config = {"retention.ms": str(int(days * 86_400_000)) if days < math.inf else "-1"}
        return [TopicState(topic.name, topic, 4, config) for topic in INPUTS]

    ((status, message),) = said(retention(inputs(7), HERE))
    assert status == "warning"
    assert message.startswith("inputs are kept 7 days: a rebuild would lose 95%")
    assert said(retention(inputs(1), HERE))[0][1].startswith("inputs are kept 1 day: ")
    (finding,) = retention(inputs(7), HERE)
    assert f"for t in {' '.join(topic.name for topic in INPUTS)}; do kafka-configs.sh" in finding.mend
    assert said(retention(inputs(400), HERE))[0][0] == "ok"
    assert said(retention(inputs(math.inf), HERE)) == [
        ("ok", "the inputs are kept for ever: a rebuild would lose 0% of the evidence")
    ]
    assert said(retention([], HERE)) == []
    wrong = tmp_path / "policy.toml"
    wrong.write_text("kappa = ")
    assert said(retention(inputs(7), Settings(policy=str(wrong))))[0][0] == "error"


def test_transactions_that_stay_open_are_named():
    """Nothing behind them can be read."""
    assert said(transactions([], HERE)) == [("ok", "none stays open")]
    ((status, message),) = said(transactions([TopicPartition(ACTIONS.name, 2)], HERE))
    assert (status, "cx.actions[2]" in message) == ("warning", True)


def test_records_of_the_future_are_an_error():
    """A producer's clock that is ahead makes every later event late; misplaced records are told apart."""
    right = partition_of(b"anna", 4)
    ahead = SimpleNamespace(key=b"anna", partition=right, timestamp=(time.time() + 300) * 1000)
    found = said(producers({WEB.name: [ahead]}, {WEB.name: 4}))
    assert [status for status, _ in found] == ["ok", "error"]
    assert "s in the future" in found[1][1]
    usual = SimpleNamespace(key=b"anna", partition=right, timestamp=(time.time() - 30) * 1000)
    found = said(producers({WEB.name: [usual]}, {WEB.name: 4}))
    assert found[1] == ("ok", "the newest record was sent 30 s ago")


def test_a_topic_with_more_partitions_than_the_others_is_no_fault_of_its_producers():
    """Its older records lie where they belonged: the partition counts are the error, and have a line."""
    before = SimpleNamespace(key=b"anna", partition=partition_of(b"anna", 4), timestamp=0)
    assert partition_of(b"anna", 6) != before.partition
    names = [each.name for each in INPUTS]
    samples = {name: [before] for name in names}
    grown = {names[0]: 6, **dict.fromkeys(names[1:], 4)}
    assert said(producers(samples, grown)) == [("ok", "4 newest records lie on the partition of their key")]
    assert [status for status, _ in said(producers(samples, dict.fromkeys(names, 6)))] == ["error"] * 4


def test_a_worker_whose_clock_is_off_is_a_warning():
    """Silence and deadlines are judged by it."""
    assert list(clock("http://w", time.time() - 1)) == []
    assert list(clock("http://w", None)) == []
    (finding,) = clock("http://w", time.time() + 60)
    assert "differs from this machine's by +" in finding.message
