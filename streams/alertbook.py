"""The alerts as `cx.alerts` has them now: the last step of each, read to the end of the topic."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import TopicPartition

from schemas.outputs import OVER
from streams.delivery.log import partitions_of, reader, records
from streams.scoring.rules import SEVERITIES
from streams.settings import Settings
from streams.topics import ALERTS, INCIDENTS

Alert = Mapping[str, Any]
"""The document of a step, as `schemas.outputs.ChurnAlert` describes it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alerts are meant; an empty field means any."""

    rules: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    """Who looks after the customer or after the cause."""
    customer_id: str = ""
    over_too: bool = False
    """Also those that are resolved or closed."""

    def __call__(self, alert: Alert) -> bool:
        """Tell whether an alert is meant."""
        return (
            (self.over_too or is_open(alert))
            and (not self.rules or alert["rule"] in self.rules)
            and (not self.severities or alert["severity"] in self.severities)
            and (not self.owners or not self.owners.isdisjoint({alert["owner"], alert["cause_owner"]}))
            and (not self.customer_id or alert["customer_id"] == self.customer_id)
        )


def is_open(alert: Alert) -> bool:
    """Tell whether the alert's last step left it open."""
    return alert["step"] not in OVER


def status_of(alert: Alert) -> str:
    """Return in a word or two where an alert stands."""
    if not is_open(alert):
        return alert["outcome"] or str(alert["step"])
    if alert["snoozed_until"] is not None and alert["step"] == "snoozed":
        return "snoozed"
    if alert["acknowledged_at"] is not None:
        return "taken on"
    if alert["holdout"]:
        return "held out"
    return "announced" if alert["announced_at"] is not None else "waiting"


def gravest_first(alert: Alert) -> tuple[int, str]:
    """Return what alerts are sorted by: severity, then the time of the last step; to be reversed."""
    return SEVERITIES.index(alert["severity"]), alert["at"]


async def read(settings: Settings, wanted: Wanted) -> list[Alert]:
    """Return the alerts that are meant, the gravest first.

    Raises `CxError` where no broker answers or the topic does not exist.
    """
    return sorted([each async for each in _last_steps(settings, wanted)], key=gravest_first, reverse=True)


async def find(settings: Settings, alert_id: str) -> list[Alert]:
    """Return every step of an alert that the topic still holds, the oldest first."""
    key = alert_id.encode()
    return [orjson.loads(value) async for _, name, value in _steps(settings) if name == key and value]


async def silent_sources(settings: Settings) -> list[Alert]:
    """Return the incidents of silent sources that stand in some partition, each once, by their ids."""
    last = {(number, key): value async for number, key, value in _records(settings, INCIDENTS.name)}
    found = (orjson.loads(value) for value in last.values() if value is not None)
    standing = {each["incident_id"]: each for each in found if each["until"] is None}
    return [standing[name] for name in sorted(standing)]


async def _last_steps(settings: Settings, wanted: Wanted) -> AsyncIterator[Alert]:
    """Yield the last step of each alert; the steps of an alert lie on one partition, in order."""
    held: dict[bytes, bytes] = {}
    at = 0
    async for number, key, value in _steps(settings):
        if number != at:
            for alert in _meant(held, wanted):
                yield alert
            held, at = {}, number
        if value is None:
            held.pop(key, None)
        else:
            held[key] = value
    for alert in _meant(held, wanted):
        yield alert


def _meant(held: Mapping[bytes, bytes], wanted: Wanted) -> list[Alert]:
    return [alert for value in held.values() if wanted(alert := orjson.loads(value))]


def _steps(settings: Settings) -> AsyncIterator[tuple[int, bytes, bytes | None]]:
    return _records(settings, ALERTS.name)


async def _records(settings: Settings, name: str) -> AsyncIterator[tuple[int, bytes, bytes | None]]:
    """Yield (partition, key, value) of all that is on a topic now."""
    topic = settings.topic_prefix + name
    partitions = await partitions_of(settings, topic)
    async with reader(settings) as consumer:
        for number in range(partitions):
            async for record in records(consumer, TopicPartition(topic, number)):
                yield number, record.key or b"", record.value
