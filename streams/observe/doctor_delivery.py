"""Are people told? How far `cx deliver` has settled the alerts, and since when the rest waits."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from streams.admin import admin_client
from streams.engine.cluster import bounds
from streams.errors import CxError
from streams.observe.doctor_cluster import GONE, group_of
from streams.observe.doctor_log import consuming
from streams.observe.findings import Finding, ok, warning
from streams.scoring.policy import DAY_S
from streams.settings import Settings
from streams.topics import ALERTS, delivery_group

LATE_S: Final = 120.0
"""A delivery is at work if nothing waits longer: its objective (docs/operations.md)."""
POLL_MS: Final = 200
LOOK_S: Final = 2.0
HOUR_S: Final = 3600.0
MINUTE_S: Final = 60.0
MEND: Final = "where the broker has ACLs: cx topics acls --role operator"
START: Final = "cx deliver --routes FILE"


@dataclass(frozen=True, slots=True)
class Delivering:
    """What the cluster knows of the delivery."""

    members: int
    begun: bool
    """It has settled something, or was at the end, once: the group has a place on the topic."""
    oldest_s: float | None
    """When the first record came that it has not settled, seconds since the epoch; None where none waits."""


async def delivery(settings: Settings) -> Finding:
    """Look how far the delivery is."""
    try:
        return told(await _look(settings), time.time())
    except CxError as problem:
        return warning("delivery", problem.message, problem.mend)
    except KafkaError as problem:
        return warning("delivery", f"the alerts cannot be read: {problem!r}", MEND)


def told(found: Delivering, now_s: float) -> Finding:
    """Tell how far a delivery is."""
    if not found.begun:  # then nobody knows what waits
        at_work = f"{found.members} at work" if found.members else f"none runs ({START})"
        return ok("delivery", f"{at_work}, and none has settled an alert so far")
    waits_s = 0.0 if found.oldest_s is None else max(0.0, now_s - found.oldest_s)
    waiting = "nothing waits" if found.oldest_s is None else f"the oldest record waits for {_span(waits_s)}"
    if not found.members and found.oldest_s is not None:
        return warning("delivery", f"none runs: {waiting}", START)
    at_work = f"{found.members} at work" if found.members else "none runs"
    if waits_s <= LATE_S:
        return ok("delivery", f"{at_work}: {waiting}")
    mend = "its log names the receiver that fails; quiet hours and a pause hold steps, too"
    return warning("delivery", f"{at_work}: {waiting}", mend)


def _span(seconds: float) -> str:
    """Return a span as people say it."""
    for unit_s, unit in ((DAY_S, "d"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"


async def _look(settings: Settings) -> Delivering:
    name = delivery_group(settings.app_id)
    async with admin_client(settings) as admin:
        group = await group_of(admin, name)
        if group is None:
            msg = f"the group {name} could not be looked at"
            raise CxError(msg, mend=MEND)
        # Of a group that is not there a broker may have no coordinator either, and refuse to answer.
        known = group["state"] != GONE
        places = await _places(admin, name, settings.topic_prefix + ALERTS.name) if known else {}
    oldest_s = None
    if places:
        async with consuming(settings, "read_committed") as consumer:
            oldest_s = await _oldest_s(consumer, places)
    return Delivering(group["members"], bool(places), oldest_s)


async def _places(admin: Any, group: str, topic: str) -> dict[TopicPartition, int]:
    """Return up to where each partition is settled, of those of which that is known."""
    found = await admin.list_consumer_group_offsets(group)
    return {tp: each.offset for tp, each in found.items() if tp.topic == topic and each.offset >= 0}


async def _oldest_s(consumer: Any, places: Mapping[TopicPartition, int]) -> float | None:
    """Return when the first record from the `places` on was written; ends of transactions are no records."""
    begins, ends = await bounds(consumer, list(places))
    starts = {tp: max(at, begins[tp]) for tp, at in places.items() if max(at, begins[tp]) < ends[tp]}
    if not starts:
        return None
    consumer.assign(list(starts))
    for tp, offset in starts.items():
        consumer.seek(tp, offset)
    waiting, found_s, deadline_s = set(starts), [], time.monotonic() + LOOK_S
    while waiting and time.monotonic() < deadline_s:
        for tp, records in (await consumer.getmany(*waiting, timeout_ms=POLL_MS, max_records=1)).items():
            found_s.append(records[0].timestamp / 1000.0)
            waiting.discard(tp)
        waiting = {tp for tp in waiting if await consumer.position(tp) < ends[tp]}
    if waiting and not found_s:
        msg = f"nothing was read of the alerts within {LOOK_S:.0f} s"
        raise CxError(msg, mend="cx doctor, once the broker answers faster")
    return min(found_s, default=None)
