"""The one table of topics: what each carries, how it is keyed and kept."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

MIB = 1 << 20
DAY_MS = 86_400_000
INPUT_MAX_BYTES = 8 * MIB
DEAD_LETTER_MAX_BYTES = INPUT_MAX_BYTES + (64 << 10)  # the original plus its `cx-*` headers
LOST_SHARE = 0.05
"""A rebuild that would lose more of the evidence's weight than this is worth a word."""
MOST_DAYS = 36_500
"""Kafka says a very long time where it means never."""


TABLE = "customers"
"""The table of the rows; its changelog is a topic that a worker makes itself."""


class Role(StrEnum):
    """How the product uses a topic."""

    TOUCHPOINTS = "touchpoints"
    ACTIONS = "actions"
    OUTPUT = "output"
    DELIVERY = "delivery"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is created; `name` is without the prefix of the settings."""

    name: str
    role: Role
    key: str
    value: str
    config: dict[str, str] = field(default_factory=dict)
    default_channel: str = "other"


def changelog_of(app_id: str) -> str:
    """Return the name of the changelog of an application, which Faust makes of both names."""
    return f"{app_id}-{TABLE}-changelog"


def delivery_group(app_id: str) -> str:
    """Return the consumer group of an application's `cx deliver`."""
    return f"{app_id}-delivery"


def memory_days(half_life_days: float) -> int:
    """Return for how many days events matter by the ledger's half-life: inputs are kept as long.

    What is older has at most `LOST_SHARE` of the evidence's weight.
    """
    return math.ceil(min(half_life_days * math.log2(1.0 / LOST_SHARE), MOST_DAYS))


def _input(name: str, role: Role, default_channel: str) -> Topic:
    return Topic(
        name,
        role,
        key="customer id",
        value="CloudEvents touchpoint",
        config={"max.message.bytes": str(INPUT_MAX_BYTES)},
        default_channel=default_channel,
    )


WEB = _input("cx.touchpoints.web", Role.TOUCHPOINTS, "web")
STORE = _input("cx.touchpoints.store", Role.TOUCHPOINTS, "store")
SUPPORT = _input("cx.touchpoints.support", Role.TOUCHPOINTS, "phone")
ACTIONS = _input("cx.actions", Role.ACTIONS, "other")
COMPACTED = {"cleanup.policy": "compact", "max.compaction.lag.ms": str(7 * DAY_MS)}
"""The lag is how long what was erased may stay on the disks of a topic that is written to."""
SCORES = Topic("cx.scores", Role.OUTPUT, "customer id", "ScoreUpdated", COMPACTED)
ALERTS = Topic(
    "cx.alerts",
    Role.OUTPUT,
    "alert id",
    "ChurnAlert",
    {
        "cleanup.policy": "compact,delete",
        "retention.ms": str(180 * DAY_MS),
        "max.compaction.lag.ms": str(7 * DAY_MS),
        # A step is compacted away by the next of its alert: not before the delivery has had time to read it.
        "min.compaction.lag.ms": str(2 * DAY_MS),
    },
)
DEAD_LETTERS = Topic(
    "cx.deadletter",
    Role.OUTPUT,
    "the original's key",
    "the original's bytes",
    {"max.message.bytes": str(DEAD_LETTER_MAX_BYTES)},
)
INCIDENTS = Topic("cx.incidents", Role.OUTPUT, "incident id", "Incident")

DELIVERY = Topic(
    "cx.delivery",
    Role.DELIVERY,
    "message id",
    "Settlement, Pauses",
    {"cleanup.policy": "compact,delete", "retention.ms": str(180 * DAY_MS)},
)

INPUTS = (WEB, STORE, SUPPORT, ACTIONS)
OUTPUTS = (SCORES, ALERTS, DEAD_LETTERS, INCIDENTS)
TOPICS = (*INPUTS, *OUTPUTS, DELIVERY)
"""All of them; a worker needs only its inputs and outputs."""
