"""Having a customer forgotten: the request, the wait until a worker has carried it out, and the receipt.

The request is an event on `cx.actions`; the worker that owns the customer's partition removes everything in
one transaction (see `streams.suppression`). What only expires is told with its date.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.codec import decode, encode
from schemas.families.customers import CustomerForgotten, CustomerForgottenData
from schemas.rejects import Reject, RejectReason
from streams.admin import TopicState, describe_topics
from streams.connection import client_options
from streams.engine.cluster import bounds, reader
from streams.engine.settings import engine_settings
from streams.errors import CxError, Exit
from streams.observe.placement import partition_of
from streams.settings import Settings
from streams.suppression import MEND, Suppression, build_suppression
from streams.topics import ACTIONS, ALERTS, DEAD_LETTERS, INPUTS, SCORES, changelog_of

SOURCE: Final = "/cx/forget"
MOST_ALERTS: Final = 5_000
POLL_MS: Final = 200
REFUSED: Final = "cx doctor; where the broker has ACLs: cx topics acls --role operator"
NEVER_MS: Final = 100 * 365 * 86_400_000
"""Kafka says a very long time where it means never."""


class _Alert(msgspec.Struct):
    alert_id: str
    customer_id: str


_ALERT: Final = msgspec.json.Decoder(_Alert)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something of the customer lies, and the day by which it is gone; None: nobody can say."""

    topic: str
    what: str
    gone_by: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was done about one customer."""

    customer_id: str
    partition: int
    forgotten_at: str
    remembered_as: str
    """HMAC of the id, in hexadecimal: events of the customer are suppressed by it."""
    known: bool
    """Whether a row or an alert was kept: without one the id is mistyped, or was forgotten before."""
    alerts: int
    erased: tuple[Place, ...]
    """Deleted now; the disks follow when the topics are compacted."""
    expires: tuple[Place, ...]
    """Not touched: it goes by the retention of its topic."""


async def forget(settings: Settings, customer_id: str, *, wait_s: float = 60.0) -> Receipt:
    """Have a customer forgotten and return the receipt once a worker has done it.

    Raises `CxError` without a key, without the topics, where the worker has another key, and where no worker
    has done it within `wait_s`; then the request waits on `cx.actions`, and the next worker carries it out.
    """
    suppression = build_suppression(settings)
    if not suppression.secret:
        msg = "forgotten customers are remembered by a key, and forget_key_file names none"
        raise CxError(msg, mend=MEND, code=Exit.USAGE)
    prefix, key = settings.topic_prefix, customer_id.encode()
    topics = {state.name: state for state in await describe_topics(settings)}
    changelog = changelog_of(settings.app_id)
    _require(topics, prefix + ACTIONS.name, changelog)
    number = partition_of(key, topics[prefix + ACTIONS.name].partitions)
    async with _reading(settings) as consumer:
        alert_ids = await _alerts_of(consumer, TopicPartition(prefix + ALERTS.name, number), customer_id)
        request = _request(suppression, customer_id, alert_ids)
        watched = [TopicPartition(name, number) for name in (changelog, prefix + DEAD_LETTERS.name)]
        _, ends = await bounds(consumer, watched)
        await _send(settings, TopicPartition(prefix + ACTIONS.name, number), key, encode(request))
        had_row = await _done(consumer, ends, changelog, suppression.row_key(key), key, wait_s)
    erased, expires = _places(settings, topics, len(alert_ids))
    return Receipt(
        customer_id,
        number,
        request.time.isoformat(timespec="seconds"),
        suppression.row_key(key)[-32:].hex(),
        had_row or bool(alert_ids),
        len(alert_ids),
        erased,
        expires,
    )


def _require(topics: Mapping[str, TopicState], actions: str, changelog: str) -> None:
    for name, mend in ((actions, "cx topics create"), (changelog, "cx worker has to run first")):
        if name not in topics or not topics[name].partitions:
            msg = f"the topic {name} does not exist: nothing is kept of anybody"
            raise CxError(msg, mend=mend)


@asynccontextmanager
async def _reading(settings: Settings) -> AsyncIterator[Any]:
    try:
        async with reader(engine_settings(settings)) as consumer:
            yield consumer
    except KafkaError as error:
        msg = f"the topics could not be read: {error!r}"
        raise CxError(msg, mend=REFUSED) from error


async def _alerts_of(consumer: Any, tp: TopicPartition, customer_id: str) -> tuple[str, ...]:
    """Return the alerts of the customer that are there now: they may be of generations no row knows of."""
    begin, end = await bounds(consumer, [tp])
    found: dict[bytes, str] = {}
    consumer.assign([tp])
    consumer.seek(tp, begin[tp])
    while await consumer.position(tp) < end[tp]:
        for record in (await consumer.getmany(tp, timeout_ms=POLL_MS)).get(tp, ()):
            _note(found, record, customer_id)
    return tuple(found.values())[-MOST_ALERTS:]


def _note(found: dict[bytes, str], record: Any, customer_id: str) -> None:
    """Add what a record says of the customer's alerts; one that was erased is there until a compaction."""
    if record.value is None:
        found.pop(record.key, None)
    elif (alert := _alert(record.value)).customer_id == customer_id:
        found[record.key] = alert.alert_id


def _alert(value: bytes) -> _Alert:
    try:
        return _ALERT.decode(value)
    except msgspec.MsgspecError:
        return _Alert("", "")  # not written by a worker: it is nobody's


def _request(suppression: Suppression, customer_id: str, alert_ids: tuple[str, ...]) -> CustomerForgotten:
    event_id = secrets.token_hex(12)
    proof = suppression.proof(customer_id, event_id, alert_ids)
    request = CustomerForgotten(
        specversion="1.0",
        id=event_id,
        source=SOURCE,
        time=datetime.now(UTC),
        subject=customer_id,
        data=CustomerForgottenData(proof=proof, alert_ids=alert_ids),
    )
    found = decode(encode(request), customer_id.encode())
    if isinstance(found, Reject):
        msg = f"{customer_id!r} is no customer id: {found.detail}"
        raise CxError(msg, mend="cx schema show cx.customer.forgotten.v1", code=Exit.USAGE)
    return request


async def _send(settings: Settings, tp: TopicPartition, key: bytes, value: bytes) -> None:
    producer = AIOKafkaProducer(**client_options(settings), acks="all", enable_idempotence=True)
    try:
        await producer.start()
        await producer.send_and_wait(tp.topic, value, key, partition=tp.partition)
    except KafkaError as error:
        msg = f"the request could not be written to {tp.topic}: {error!r}"
        raise CxError(msg, mend=REFUSED) from error
    finally:
        await producer.stop()


async def _done(
    consumer: Any,
    ends: Mapping[TopicPartition, int],
    changelog: str,
    row_key: bytes,
    customer: bytes,
    wait_s: float,
) -> bool:
    """Return once the customer's row of suppression is committed: whether a row of the customer was kept.

    The worker writes the tombstone of a row just before it, in the same transaction, and none without a row.
    """
    consumer.assign(list(ends))
    for tp, end in ends.items():
        consumer.seek(tp, end)
    had_row = False
    try:
        async with asyncio.timeout(wait_s):
            while True:
                for record in await _next(consumer):
                    if record.key == row_key:
                        return had_row
                    if record.key == customer:
                        _refuse_rejected(record)
                        had_row |= record.topic == changelog
    except TimeoutError:
        msg = f"no worker has carried it out within {wait_s:g} s; the request waits on {ACTIONS.name}"
        raise CxError(msg, mend="start a worker, then run this again: cx worker") from None


async def _next(consumer: Any) -> list[Any]:
    found = await consumer.getmany(timeout_ms=POLL_MS)
    return [record for records in found.values() for record in records]


def _refuse_rejected(record: Any) -> None:
    if ("cx-reason", RejectReason.FORGET_KEY.value.encode()) in record.headers:
        msg = "the worker rejected the request: it has no key, or another one"
        raise CxError(msg, mend="set the same CX_FORGET_KEY_FILE on every worker; run this again")


def _places(
    settings: Settings, topics: Mapping[str, TopicState], alerts: int
) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    prefix, now = settings.topic_prefix, datetime.now(UTC)
    erased = {
        changelog_of(settings.app_id): "the row",
        prefix + SCORES.name: "the score",
        prefix + ALERTS.name: f"the alerts; {alerts} found",
    }
    expires = {prefix + topic.name: "events" for topic in INPUTS}
    expires |= {
        prefix + ACTIONS.name: "actions, and this request",
        prefix + DEAD_LETTERS.name: "rejected records and alerts that no receiver took",
    }
    return (
        tuple(
            Place(name, what, _by(now, topics[name].config, "max.compaction.lag.ms"))
            for name, what in erased.items()
            if name in topics
        ),
        tuple(
            # A record leaves with its segment, which lasts for `segment.ms` before its retention begins.
            Place(name, what, _by(now, topics[name].config, "retention.ms", "segment.ms"))
            for name, what in expires.items()
            if name in topics
        ),
    )


def _by(now: datetime, config: Mapping[str, str], *names: str) -> str | None:
    """Return the day by which the times named have passed; None where one of them is not bounded."""
    times = [int(config.get(name, "-1")) for name in names]
    if any(not 0 <= each < NEVER_MS for each in times):
        return None
    return (now + timedelta(milliseconds=sum(times), days=1)).date().isoformat()
