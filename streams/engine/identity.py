"""Whether an input is still the topic that the marker speaks of, and what to do where it is not.

Of one that was deleted nothing is heard any more, as of one in which nothing happens. Made anew it has the
same name and offsets from 0: every event below the marker would be skipped in silence. The broker's topic id
tells them apart; where a broker has none (before 2.8), the last record applied is read again and compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition

from streams.engine.cluster import bounds, new_producer, reader
from streams.engine.errors import Fenced, OutOfRange
from streams.engine.loader import read_changelog
from streams.engine.marker import Marker, Position, fingerprint, new_marker
from streams.engine.settings import EngineSettings
from streams.engine.wire import SPREAD_S, describe
from streams.engine.writer import Writer, start_all
from streams.errors import CxError, Exit

REREAD_TIMEOUT_S = 5.0
TRIES = 5
"""So often a partition is adopted anew where its worker takes it meanwhile."""


async def settle(consumer: Any, settings: EngineSettings, markers: Mapping[int, Marker | None]) -> "Settled":
    """Check every position of `markers` against the topics as they are, and start inputs never seen.

    `consumer` is a `reader`. A partition without a marker gets a new one that starts at the earliest record.
    Without one of the inputs none is worked on: nothing of it would ever be heard again, in silence.
    """
    found = await describe(consumer, settings.inputs, wait_s=SPREAD_S)
    if gone := [topic for topic in settings.inputs if topic not in found]:
        return Settled({}, {number: _gone(gone[0], number) for number in markers})
    ids = {name: info.topic_id for name, info in found.items()}
    wanted = [TopicPartition(topic, number) for number in markers for topic in settings.inputs]
    begin, end = await bounds(consumer, wanted)
    settled = Settled({}, {})
    for number, marker in markers.items():
        starts = {topic: begin[TopicPartition(topic, number)] for topic in settings.inputs}
        try:
            if marker is None:
                settled.markers[number] = new_marker(starts, ids)
                continue
            _refuse_rebuild(settings.changelog, number, marker)
            ends = {topic: end[TopicPartition(topic, number)] for topic in settings.inputs}
            for topic in settings.inputs:
                await _check(consumer, TopicPartition(topic, number), marker, starts[topic], ends[topic], ids)
            settled.markers[number] = _with_inputs(marker, starts, ids)
        except OutOfRange as problem:
            settled.problems[number] = problem
    return settled


@dataclass(slots=True)
class Settled:
    """Markers that may be worked from, and the partitions that may not be worked on."""

    markers: dict[int, Marker]
    problems: dict[int, OutOfRange]


def _gone(topic: str, number: int) -> OutOfRange:
    mend = f"cx topics create, then cx topics adopt {topic}"
    return OutOfRange(topic, number, "the topic is not there any more", mend=mend)


def _refuse_rebuild(changelog: str, number: int, marker: Marker) -> None:
    if marker.under_rebuild:
        raise OutOfRange(changelog, number, "a rebuild of it was begun and not ended", mend="cx rebuild")


async def _check(
    consumer: Any, tp: TopicPartition, marker: Marker, begin: int, end: int, ids: Mapping[str, str]
) -> None:
    position = marker.inputs.get(tp.topic)
    if position is None:
        return
    topic_id = ids.get(tp.topic, "")
    if topic_id and position.topic_id and topic_id != position.topic_id:
        raise OutOfRange(tp.topic, tp.partition, "the topic was deleted and made anew")
    if position.next_offset > end:
        raise OutOfRange(
            tp.topic, tp.partition, f"the marker stands at {position.next_offset}, the topic ends at {end}"
        )
    if position.next_offset < begin:
        lost = begin - position.next_offset
        raise OutOfRange(
            tp.topic, tp.partition, f"{lost} records were deleted before they were applied (retention)"
        )
    if not (topic_id and position.topic_id) and not await _same_record(consumer, tp, position, begin):
        raise OutOfRange(
            tp.topic, tp.partition, "the last record applied is not there any more: the topic was made anew"
        )


async def _same_record(consumer: Any, tp: TopicPartition, position: Position, begin: int) -> bool:
    """Tell whether the last record applied is still the one at its offset (true where it has expired)."""
    last = position.last
    if last is None or last.offset < begin:
        return True
    consumer.assign([tp])
    consumer.seek(tp, last.offset)
    found = await consumer.getmany(tp, timeout_ms=int(REREAD_TIMEOUT_S * 1000), max_records=1)
    records = found.get(tp, ())
    return bool(records) and fingerprint(records[0]) == last


def _with_inputs(marker: Marker, starts: Mapping[str, int], ids: Mapping[str, str]) -> Marker:
    """Return the marker with inputs it does not know yet, and ids it had no chance to learn."""
    inputs = dict(marker.inputs)
    for topic, start in starts.items():
        known = inputs.get(topic)
        topic_id = ids.get(topic, "")
        if known is None:
            inputs[topic] = Position(start, start, topic_id)
        elif topic_id and not known.topic_id:
            inputs[topic] = Position(
                known.next_offset, known.origin, topic_id, known.newest_event_s, known.last
            )
    return msgspec.structs.replace(marker, inputs=inputs)


@dataclass(frozen=True, slots=True)
class Adopted:
    """What `adopt` did to one state partition."""

    partition: int
    before: int
    after: int
    skipped: int
    """Records that were deleted before they were applied; they are counted as `skipped`."""


async def adopt(settings: EngineSettings, name: str) -> tuple[Adopted, ...]:
    """Accept the topic `name` as it is now: go on at the first record that it has.

    For each state partition whose position cannot be read on from, a marker with the new position is
    written; a running worker loads it within 15 s and goes on. Raises `CxError` for a name that is no
    input.
    """
    if name not in settings.inputs:
        msg = f"{name} is not an input topic of {settings.app_id}"
        raise CxError(msg, mend=f"one of: {', '.join(settings.inputs)}", code=Exit.USAGE)
    async with reader(settings) as consumer:
        topic = (await describe(consumer, [name])).get(name)
        if topic is None:
            msg = f"the topic {name} does not exist"
            raise CxError(msg, mend="cx topics create")
    tps = [TopicPartition(name, number) for number in range(topic.partitions)]
    done = [await _adopt_one(settings, tp, topic.topic_id) for tp in tps]
    return tuple(each for each in done if each is not None)


async def _adopt_one(settings: EngineSettings, tp: TopicPartition, topic_id: str) -> Adopted | None:
    """Adopt one partition, under its transactional id: nobody else can write while we decide.

    That refuses what its worker has in hand, and twice in a minute ends the worker: a partition that can be
    read on from is left alone.
    """
    for _ in range(TRIES):
        if await _step(settings, tp, topic_id) is None:
            return None
        try:
            return await _write(settings, tp, topic_id)
        except Fenced:
            # A running worker looked again in just this moment, and took its partition.
            continue
    msg = f"partition {tp.partition} was taken by its worker {TRIES} times while it was adopted"
    raise CxError(msg, mend=f"cx topics adopt {tp.topic} again, or stop the worker first", code=Exit.STOPPED)


async def _write(settings: EngineSettings, tp: TopicPartition, topic_id: str) -> Adopted | None:
    writer = Writer(settings, tp.partition, new_producer(settings, tp.partition))
    try:
        await _start(writer)
        step = await _step(settings, tp, topic_id)
        if step is None:
            return None
        adopted, marker = step
        await writer.write_marker(marker)
        return adopted
    finally:
        await writer.close()


async def _start(writer: Writer) -> None:
    try:
        await start_all([writer])
    except TimeoutError as error:
        raise CxError(str(error), mend="cx doctor") from error


async def _step(settings: EngineSettings, tp: TopicPartition, topic_id: str) -> tuple[Adopted, Marker] | None:
    """Return what is adopted and the marker that says so; None where the position can be read on from.

    Where the input ends is asked last: its worker reads on, and must not seem to stand beyond an older end.
    """
    async with reader(settings) as consumer:
        loaded = await read_changelog(consumer, settings.changelog, [tp.partition])
        begins, ends = await bounds(consumer, [tp])
    begin, end = begins[tp], ends[tp]
    marker = loaded[tp.partition].marker
    position = marker.inputs.get(tp.topic) if marker else None
    if marker is None or position is None:
        return None
    anew = bool(topic_id and position.topic_id and topic_id != position.topic_id)
    if not anew and begin <= position.next_offset <= end:
        return None
    lost = 0 if anew or position.next_offset > end else begin - position.next_offset
    target = _target(position, begin, topic_id, lost)
    adopted = Adopted(tp.partition, position.next_offset, begin, lost)
    return adopted, marker.replaced(tp.topic, target, skipped=lost)


def _target(position: Position, begin: int, topic_id: str, lost: int) -> Position:
    """Return the position at `begin`: behind `lost` records of the same topic, or at the start of another."""
    if lost:
        return Position(begin, position.origin, position.topic_id, position.newest_event_s)
    return position.moved_to(begin, topic_id)
