"""The one table of rights: what each role may do on Kafka, and nothing beyond it.

Docs, `cx topics acls` and the test against a real authorizer all read this table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from streams.settings import Settings
from streams.topics import (
    ACTIONS,
    ALERTS,
    DEAD_LETTERS,
    DELIVERY,
    INCIDENTS,
    INPUTS,
    OUTPUTS,
    SCORES,
    TOPICS,
    changelog_of,
    delivery_group,
)

Resource = Literal["topic", "group", "transactional-id"]
Operation = Literal["Read", "Write", "Create", "Describe", "DescribeConfigs"]
Role = Literal["worker", "producer", "actions", "deliver", "reader", "operator"]

ROLES: Final[dict[Role, str]] = {
    "worker": "Scores touchpoints: `cx worker`.",
    "producer": "Sends touchpoints.",
    "actions": "Says what was done about an alert, and how it turned out.",
    "deliver": "Sends alerts on: `cx deliver`.",
    "reader": "Reads scores, alerts and incidents, in groups of its own.",
    "operator": "Runs `cx topics`, `cx doctor`, `cx deadletters`, `cx forget` and `cx rebuild`.",
}


@dataclass(frozen=True, slots=True)
class Grant:
    """Operations allowed on one resource; `prefixed`: on every resource whose name begins like it.

    Read and Write bring Describe with them, as Kafka has it.
    """

    resource: Resource
    name: str
    operations: tuple[Operation, ...]
    why: str
    prefixed: bool = False

    def command(self, principal: str, bootstrap_servers: str) -> str:
        """Return the command of Kafka's own tool that allows this to `principal`."""
        pattern = " --resource-pattern-type prefixed" if self.prefixed else ""
        operations = " ".join(f"--operation {each}" for each in self.operations)
        return (
            f"kafka-acls.sh --bootstrap-server {bootstrap_servers} --add --allow-principal '{principal}' "
            f"{operations} --{self.resource} '{self.name}'{pattern}"
        )


def grants(role: Role, settings: Settings) -> tuple[Grant, ...]:
    """Return everything that `role` needs with these settings."""
    return tuple(_GRANTS[role](settings))


def _topic(settings: Settings, name: str, *operations: Operation, why: str) -> Grant:
    return Grant("topic", settings.topic_prefix + name, operations, why)


def _changelog(settings: Settings, *operations: Operation, why: str) -> Grant:
    return Grant("topic", changelog_of(settings.app_id), operations, why)


def _worker(settings: Settings) -> Iterator[Grant]:
    for topic in INPUTS:
        yield _topic(settings, topic.name, "Read", "DescribeConfigs", why="applies its records")
    for topic in OUTPUTS:
        yield _topic(settings, topic.name, "Write", why="writes in its transactions")
    yield _changelog(
        settings,
        "Create",
        "Read",
        "Write",
        "DescribeConfigs",
        why="keeps the customers",
    )
    yield Grant("group", settings.app_id, ("Read",), "shares the partitions out")
    yield Grant("transactional-id", f"{settings.app_id}-", ("Write",), "owns a partition each", prefixed=True)


def _producer(settings: Settings) -> Iterator[Grant]:
    for topic in INPUTS:
        if topic is not ACTIONS:
            yield _topic(settings, topic.name, "Write", why="sends touchpoints")


def _actions(settings: Settings) -> Iterator[Grant]:
    yield _topic(settings, ACTIONS.name, "Write", why="sends actions and outcomes")


def _deliver(settings: Settings) -> Iterator[Grant]:
    yield _topic(settings, ALERTS.name, "Read", why="hears of alerts")
    yield _topic(settings, DELIVERY.name, "Read", "Write", why="remembers how each message ended")
    yield _topic(settings, DEAD_LETTERS.name, "Write", why="keeps what no receiver takes")
    yield Grant("group", delivery_group(settings.app_id), ("Read",), "its place; --shadow", prefixed=True)


def _reader(settings: Settings) -> Iterator[Grant]:
    for topic in (SCORES, ALERTS, INCIDENTS):
        yield _topic(settings, topic.name, "Read", why="reads it")
    yield Grant("group", f"{settings.app_id}-reader", ("Read",), "groups of readers", prefixed=True)


def _operator(settings: Settings) -> Iterator[Grant]:
    for topic in TOPICS:
        why = "makes, checks and reads it"
        if topic in (*INPUTS, DELIVERY):
            yield _topic(
                settings, topic.name, "Create", "Read", "Write", "DescribeConfigs", why=f"{why}; writes to it"
            )
        else:
            yield _topic(settings, topic.name, "Create", "Read", "DescribeConfigs", why=why)
    yield _changelog(settings, "Read", "Write", "DescribeConfigs", why="`cx topics adopt` writes the marker")
    yield Grant("transactional-id", f"{settings.app_id}-", ("Write",), "`cx topics adopt`", prefixed=True)
    yield Grant("group", settings.app_id, ("Describe",), "`cx doctor` looks at the workers' group")
    yield Grant("group", delivery_group(settings.app_id), ("Describe",), "`cx doctor`: what is not delivered")


_GRANTS: Final = {
    "worker": _worker,
    "producer": _producer,
    "actions": _actions,
    "deliver": _deliver,
    "reader": _reader,
    "operator": _operator,
}


def acl_table() -> str:
    """Return all roles and their rights as Markdown, for the reference."""
    settings = Settings()
    lines = ["| role | resource | name | operations | why |", "|---|---|---|---|---|"]
    for role in ROLES:
        for grant in grants(role, settings):
            name = f"`{grant.name}`" + (" and what begins like it" if grant.prefixed else "")
            operations = ", ".join(grant.operations)
            lines.append(f"| {role} | {grant.resource} | {name} | {operations} | {grant.why} |")
    return "\n".join(lines) + "\n"
