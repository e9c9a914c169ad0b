"""The oracle: reads the input topics itself, recomputes everything, and compares what the workers wrote.

It shares no code with the engine's path from input to output; of the engine it only reads the marker.
"""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from counting import ABSENT_FROM, ALERT_EVERY, amount

from streams.engine.marker import MARKER_KEY, Marker, decode_marker
from streams.topics import ALERTS, DEAD_LETTERS, INPUTS


@dataclass(slots=True)
class Expected:
    """What a correct run must have left behind."""

    rows: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    accepted: Counter[int] = field(default_factory=Counter)
    rejected: Counter[int] = field(default_factory=Counter)
    dead: dict[bytes, tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    """Key and value by origin."""
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    """Offset behind the last record by input and partition."""

    @property
    def alerts(self) -> set[bytes]:
        """Return the keys of the alerts that events cause."""
        return {
            b"%s:%d" % (key, step)
            for key, (count, _) in self.rows.items()
            for step in range(ALERT_EVERY, count + 1, ALERT_EVERY)
        }


async def read_all(bootstrap: str, topics: Collection[str]) -> dict[str, list[Any]]:
    """Return every committed record of `topics`, in offset order within a partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        await consumer._client.set_topics(topics)
        tps = [
            TopicPartition(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic) or ()
        ]
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        found: dict[str, list[Any]] = {topic: [] for topic in topics}
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                found[tp.topic].extend(records)
        return found
    finally:
        await consumer.stop()


async def expect(bootstrap: str, prefix: str) -> Expected:
    """Recompute from the inputs alone what the state must be."""
    found = await read_all(bootstrap, [prefix + topic.name for topic in INPUTS])
    expected = Expected()
    totals: defaultdict[bytes, list[int]] = defaultdict(lambda: [0, 0])
    for topic, records in found.items():
        for record in records:
            expected.ends[topic, record.partition] = record.offset + 1
            value = amount(record)
            if value is None:
                expected.rejected[record.partition] += 1
                origin = f"{topic}:{record.partition}:{record.offset}".encode()
                expected.dead[origin] = (record.key, record.value)
                continue
            expected.accepted[record.partition] += 1
            totals[record.key][0] += 1
            totals[record.key][1] += value
    expected.rows = {key: (count, total) for key, (count, total) in totals.items()}
    return expected


async def differences(bootstrap: str, prefix: str, changelog: str) -> list[str]:
    """Return every difference between what must be and what is, in words; empty when the run was exact."""
    expected = await expect(bootstrap, prefix)
    alerts, dead = prefix + ALERTS.name, prefix + DEAD_LETTERS.name
    found = await read_all(bootstrap, [changelog, alerts, dead])
    packed, markers, wrong = replayed(found[changelog])
    rows = {key: orjson.loads(row) for key, row in packed.items()}
    return [
        *wrong,
        *_rows(expected, rows),
        *_markers(expected, markers),
        *_alerts(expected, rows, found[alerts]),
        *_dead(expected, found[dead]),
    ]


async def behind(bootstrap: str, prefix: str, changelog: str) -> int:
    """Return the number of records that no committed marker covers yet."""
    topics = [prefix + topic.name for topic in INPUTS]
    found = await read_all(bootstrap, [*topics, changelog])
    _, markers, _ = replayed(found[changelog])
    ends: dict[tuple[str, int], int] = {}
    for topic in topics:
        for record in found[topic]:
            ends[topic, record.partition] = record.offset + 1
    return sum(max(0, end - _next(markers.get(number), topic)) for (topic, number), end in ends.items())


def _next(marker: Marker | None, topic: str) -> int:
    return marker.inputs[topic].next_offset if marker and topic in marker.inputs else 0


def replayed(records: list[Any]) -> tuple[dict[bytes, bytes], dict[int, Marker], list[str]]:
    """Replay a changelog; every marker must be the successor of the one before."""
    rows: dict[bytes, bytes] = {}
    markers: dict[int, Marker] = {}
    wrong: list[str] = []
    for record in records:
        if record.key != MARKER_KEY:
            rows[record.key] = record.value
            continue
        marker, before = decode_marker(record.value), markers.get(record.partition)
        markers[record.partition] = marker
        if before is None:
            if marker.transactions != 1:
                wrong.append(f"partition {record.partition} starts with transaction {marker.transactions}")
            continue
        if marker.transactions != before.transactions + 1:
            wrong.append(f"partition {record.partition}: {marker.transactions} follows {before.transactions}")
        if marker.generation != before.generation:
            wrong.append(f"partition {record.partition}: the generation changed")
        wrong += [
            f"partition {record.partition}: {topic} went back"
            for topic, position in before.inputs.items()
            if _next(marker, topic) < position.next_offset
        ]
    return rows, markers, wrong


def _rows(expected: Expected, rows: dict[bytes, list[int]]) -> list[str]:
    seen = {key: (row[0], row[1]) for key, row in rows.items()}
    keys = sorted(expected.rows.keys() | seen.keys())
    return [
        f"row {key!r}: {seen.get(key)}, must be {expected.rows.get(key)}"
        for key in keys
        if seen.get(key) != expected.rows.get(key)
    ]


def _markers(expected: Expected, markers: dict[int, Marker]) -> list[str]:
    wrong = [
        f"{topic}[{number}]: marker {_next(markers.get(number), topic)}, the input ends at {end}"
        for (topic, number), end in expected.ends.items()
        if _next(markers.get(number), topic) < end
    ]
    for number, marker in markers.items():
        counts = (marker.counts.accepted, marker.counts.rejected)
        if counts != (expected.accepted[number], expected.rejected[number]):
            wrong.append(
                f"partition {number}: counts {counts}, must be {expected.accepted[number]}, "
                f"{expected.rejected[number]}"
            )
        marker.check()
    return wrong


def _alerts(expected: Expected, rows: dict[bytes, list[int]], records: list[Any]) -> list[str]:
    times = Counter(record.key for record in records)
    wrong = [f"alert {key!r} {count} times" for key, count in times.items() if count > 1]
    absent = {key.removeprefix(b"absent:") for key in times if key.startswith(b"absent:")}
    have = {key for key in times if not key.startswith(b"absent:")}
    wrong += [f"alert {key!r} missing" for key in sorted(expected.alerts - have)]
    wrong += [f"alert {key!r} too many" for key in sorted(have - expected.alerts)]
    swept = {key for key, row in rows.items() if row[2]}
    wrong += [f"absent {key!r}: row and alert contradict" for key in sorted(swept ^ absent)]
    wrong += [f"absent {key!r} too early" for key in sorted(swept) if rows[key][0] < ABSENT_FROM]
    return wrong


def _dead(expected: Expected, records: list[Any]) -> list[str]:
    times: Counter[bytes] = Counter()
    wrong = []
    for record in records:
        origin = dict(record.headers)["cx-origin"]
        times[origin] += 1
        if expected.dead.get(origin) != (record.key, record.value):
            wrong.append(f"dead letter {origin!r} is not the original")
    wrong += [
        f"dead letter {origin!r} {times[origin]} times" for origin in expected.dead if times[origin] != 1
    ]
    return wrong
