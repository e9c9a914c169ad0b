"""What the log itself says: where records lie, how far they are applied, and how long they are kept."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.admin import TopicState
from streams.amounts import counted
from streams.connection import client_options
from streams.engine.cluster import bounds
from streams.engine.marker import MARKER_KEY, Marker, Position, decode_marker
from streams.engine.wire import TopicInfo, describe
from streams.errors import CxError
from streams.observe.findings import Finding, alter, error, ok, warning
from streams.observe.placement import MEND as PARTITIONER
from streams.observe.placement import partition_of
from streams.scoring.policy import DAY_S, load_policy
from streams.settings import Settings
from streams.topics import DAY_MS, INPUTS, LOST_SHARE, changelog_of, memory_days

SAMPLE: Final = 50
"""Records looked at from the end of each input partition."""
SAMPLE_TIMEOUT_S: Final = 2.0
TAIL: Final = 64
"""Offsets looked at for the last marker: it is the last record of its transaction."""
AHEAD_S: Final = 60.0
"""Records this far in the future: a producer's clock, or ours, is wrong."""
OPEN_S: Final = 1.0
REQUEST_TIMEOUT_MS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Look:
    """What was read of the log: input records, markers, and the ends of everything."""

    samples: Mapping[str, list[Any]]
    markers: Mapping[int, Marker]
    begins: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    ids: Mapping[str, TopicInfo]


async def read(settings: Settings, states: Collection[TopicState]) -> AsyncIterator[Finding]:
    """Yield what stands out in the inputs, in the markers and in open transactions."""
    there = {state.name: state.partitions for state in states if state.partitions}
    names = {settings.topic_prefix + topic.name for topic in INPUTS}
    inputs = {name: count for name, count in there.items() if name in names}
    if not inputs:
        return
    changelog = changelog_of(settings.app_id)
    try:
        async with consuming(settings, "read_committed") as consumer:
            look = await _look(consumer, inputs, changelog, there.get(changelog, 0))
        hanging = await _hanging(settings, [tp for tp in look.ends if tp.topic in there])
    except KafkaError as problem:
        yield error("log", f"topics cannot be read: {problem!r}", "cx topics acls --role operator")
        return
    for each in (*producers(look.samples, inputs), *positions(look), *transactions(hanging, settings)):
        yield each


async def _look(consumer: Any, inputs: Mapping[str, int], changelog: str, partitions: int) -> Look:
    tps = [TopicPartition(name, number) for name, count in inputs.items() for number in range(count)]
    rows = [TopicPartition(changelog, number) for number in range(partitions)]
    begins, ends = await bounds(consumer, [*tps, *rows])
    tail = await _tail(consumer, tps, begins, ends, SAMPLE)
    samples = {name: [record for tp in tps if tp.topic == name for record in tail[tp]] for name in inputs}
    markers = {}
    for tp, records in (await _tail(consumer, rows, begins, ends, TAIL)).items():
        if found := [record.value for record in records if record.key == MARKER_KEY and record.value]:
            markers[tp.partition] = decode_marker(found[-1])
    return Look(samples, markers, begins, ends, await describe(consumer, list(inputs)))


@asynccontextmanager
async def consuming(settings: Settings, isolation: str) -> AsyncIterator[Any]:
    """Start a consumer without a group, and stop it afterwards."""
    options = {"isolation_level": isolation, "request_timeout_ms": REQUEST_TIMEOUT_MS}
    consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False, **options)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def _tail(
    consumer: Any,
    tps: Collection[TopicPartition],
    begins: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    most: int,
) -> dict[TopicPartition, list[Any]]:
    """Return the newest records of each partition, from at most `most` offsets."""
    records: dict[TopicPartition, list[Any]] = {tp: [] for tp in tps}
    starts = {tp: max(begins[tp], ends[tp] - most) for tp in tps if ends[tp] > begins[tp]}
    if not starts:
        return records
    consumer.assign(list(starts))
    for tp, offset in starts.items():
        consumer.seek(tp, offset)
    deadline = time.monotonic() + SAMPLE_TIMEOUT_S
    waiting = set(starts)
    while waiting and time.monotonic() < deadline:
        for tp, found in (await consumer.getmany(*waiting, timeout_ms=200)).items():
            records[tp] += found
        waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}
    return records


def producers(samples: Mapping[str, list[Any]], inputs: Mapping[str, int]) -> Iterator[Finding]:
    """Look whether the newest records of each input lie where their key belongs, and are of our time."""
    # A topic that got more partitions than the others: its older records lie where they belonged.
    usual = Counter(inputs.values()).most_common(1)[0][0]
    misplaced = {
        name: bad
        for name, count in inputs.items()
        if count == usual and (bad := _misplaced(samples[name], count)) is not None
    }
    for name, share in misplaced.items():
        message = f"{name}: {share} of the newest records do not lie on the partition of their key"
        yield error("producers", message, PARTITIONER)
    if not misplaced:
        count = sum(map(len, samples.values()))
        yield ok("producers", f"{count} newest records lie on the partition of their key")
    latest_s = max((record.timestamp for found in samples.values() for record in found), default=0) / 1000
    if (ahead_s := latest_s - time.time()) > AHEAD_S:
        message = f"the newest record is {ahead_s:,.0f} s in the future"
        yield error("clock", message, "set the clock of this machine or of the producer (chronyc tracking)")
    elif latest_s:
        yield ok("clock", f"the newest record was sent {max(0.0, -ahead_s):,.0f} s ago")


def _misplaced(records: list[Any], partitions: int) -> str | None:
    """Return `bad of all` keyed records, None where all lie where Kafka's default partitioner puts them."""
    keyed = [record for record in records if record.key]
    bad = sum(partition_of(record.key, partitions) != record.partition for record in keyed)
    return f"{bad} of {len(keyed)}" if bad else None


def positions(look: Look) -> Iterator[Finding]:
    """Hold the markers against the topics: are they the same topics, and how much is not applied yet."""
    behind, wrong = 0, False
    for number, marker in sorted(look.markers.items()):
        if marker.under_rebuild:
            wrong = True
            yield warning("positions", f"partition {number} is under a rebuild", "cx rebuild, to end it")
        for topic, position in marker.inputs.items():
            tp = TopicPartition(topic, number)
            if tp not in look.ends:
                continue
            behind += max(0, look.ends[tp] - position.next_offset)
            if problem := _lost(position, tp, look):
                wrong = True
                yield error("positions", f"{topic}[{number}]: {problem}", f"cx topics adopt {topic}")
    if look.markers:
        if not wrong:
            yield ok("positions", "each lies in the topic that was applied so far")
        yield ok("lag", f"{behind:,} records wait to be applied")


def _lost(position: Position, tp: TopicPartition, look: Look) -> str:
    """Return why a position cannot be read on from; empty where it can."""
    topic = look.ids.get(tp.topic)
    if topic is not None and topic.topic_id and position.topic_id not in ("", topic.topic_id):
        return "the topic was deleted and made anew"
    if position.next_offset > look.ends[tp]:
        return f"applied up to {position.next_offset}, and the topic ends at {look.ends[tp]}"
    if (lost := look.begins[tp] - position.next_offset) > 0:
        return f"{lost:,} records were deleted before they were applied"
    return ""


async def _hanging(settings: Settings, tps: Collection[TopicPartition]) -> list[TopicPartition]:
    """Return the partitions in which a transaction stays open: nothing behind it can be read."""
    first = await _open(settings, tps)
    if not first:
        return []
    await asyncio.sleep(OPEN_S)
    second = await _open(settings, first)
    return sorted(tp for tp, stable in first.items() if second.get(tp) == stable)


async def _open(settings: Settings, tps: Collection[TopicPartition]) -> dict[TopicPartition, int]:
    """Return where the first open transaction of a partition begins, for those that have one."""
    async with consuming(settings, "read_uncommitted") as consumer:
        _, ends = await bounds(consumer, tps)
    async with consuming(settings, "read_committed") as consumer:
        _, stable = await bounds(consumer, tps)
    return {tp: stable[tp] for tp in tps if stable[tp] < ends[tp]}


def transactions(hanging: Collection[TopicPartition], settings: Settings) -> Iterator[Finding]:
    """Tell of transactions that stay open."""
    if not hanging:
        yield ok("transactions", "none stays open")
        return
    names = ", ".join(f"{tp.topic}[{tp.partition}]" for tp in hanging)
    message = f"open for more than {OPEN_S:g} s on {names}: nothing behind can be read"
    yield warning(
        "transactions", message, f"kafka-transactions.sh --bootstrap-server {settings.bootstrap_servers} list"
    )


def retention(states: Collection[TopicState], settings: Settings) -> Iterator[Finding]:
    """Hold how long the inputs are kept against the memory of the policy: a rebuild sees no more."""
    names = {settings.topic_prefix + topic.name for topic in INPUTS}
    kept = {
        state.name: _retention_s(state.config) for state in states if state.name in names and state.partitions
    }
    if not kept:
        return
    try:
        half_life_days = load_policy(settings.policy).ledger.half_life_days
    except CxError as problem:
        yield error("policy", problem.message, problem.mend)
        return
    shortest_s = min(kept.values())
    lost = 2.0 ** (-shortest_s / DAY_S / half_life_days)
    days = "for ever" if shortest_s == math.inf else counted(shortest_s / DAY_S, "day", "days")
    if lost <= LOST_SHARE:
        yield ok("retention", f"the inputs are kept {days}: a rebuild would lose {lost:.0%} of the evidence")
        return
    wanted_ms = memory_days(half_life_days) * DAY_MS
    short = [name for name, kept_s in kept.items() if kept_s * 1000 < wanted_ms]
    message = f"inputs are kept {days}: a rebuild would lose {lost:.0%} of the evidence's weight"
    mend = alter(settings.bootstrap_servers, short, f"retention.ms={wanted_ms}")
    yield warning("retention", message, mend)


def _retention_s(config: Mapping[str, str]) -> float:
    kept_ms = int(config.get("retention.ms", "-1"))
    return (
        math.inf if kept_ms < 0 or "delete" not in config.get("cleanup.policy", "delete") else kept_ms / 1000
    )
