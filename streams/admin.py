"""Topics as they are on the broker, held against the one table of topics."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.protocol.admin import CreateAclsRequest, DescribeAclsRequest

from streams.acls import Grant
from streams.connection import client_options
from streams.errors import CxError, Exit
from streams.reach import unreachable
from streams.scoring.policy import load_policy
from streams.settings import Settings
from streams.topics import COMPACTED, DAY_MS, INPUTS, TOPICS, Topic, memory_days

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 20.0
LEADER_TIMEOUT_S = 20.0
RIGHTS_TIMEOUT_S = 10.0
POLL_S = 0.05
AUTHORIZATION = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
"""What a broker says to somebody who is let in and has not the right."""
CLEANUP = "cleanup.policy"
CLEANUP_DEFAULT = "delete"


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the broker has it; `topic` is None for a changelog, which the application makes itself."""

    name: str
    topic: Topic | None
    partitions: int
    """0 where the topic does not exist."""
    config: Mapping[str, str]

    @property
    def wanted(self) -> dict[str, str]:
        """Return the configuration that the topic should have."""
        return {CLEANUP: CLEANUP_DEFAULT} | self.topic.config if self.topic else COMPACTED

    @property
    def problem(self) -> str:
        """Return what is wrong with the topic on its own, in words; empty where nothing is."""
        if not self.partitions:
            return "missing"
        wrong = [
            f"{key} is {self.config.get(key)}, not {value}"
            for key, value in self.wanted.items()
            if not _same(self.config.get(key, ""), value)
        ]
        return "; ".join(wrong)


def _same(seen: str, wanted: str) -> bool:
    """Compare two values of a configuration: a list has no order."""
    return set(seen.split(",")) == set(wanted.split(","))


async def ensure_topics(settings: Settings) -> tuple[str, ...]:
    """Create the topics that are missing and return their names.

    Raises `CxError` where the broker refuses, or where the topics that are there have other partition
    counts: creating the rest would not make them equal.
    """
    async with admin_client(settings) as admin:
        states = await _describe(admin, _table(settings))
        present = [state for state in states if state.partitions]
        _refuse_other_counts(present, settings.partitions)
        missing = [state for state in states if not state.partitions]
        if missing:
            await _create(admin, missing, settings)
            made = await wait_for_leaders(admin, [state.name for state in missing])
            # Another program may have made some of them meanwhile, with a count of its own.
            seen = [replace(state, partitions=made.get(state.name, state.partitions)) for state in states]
            _refuse_other_counts(seen, settings.partitions)
        return tuple(state.name for state in missing)


async def describe_topics(settings: Settings) -> tuple[TopicState, ...]:
    """Return each topic of the table as the broker has it, and the changelogs of this application."""
    async with admin_client(settings) as admin:
        names: dict[str, Topic | None] = dict(_table(settings))
        prefix = f"{settings.app_id}-"
        changelogs = [
            name
            for name in await admin.list_topics()
            if name.startswith(prefix) and name.endswith("-changelog")
        ]
        return await _describe(admin, names | dict.fromkeys(sorted(changelogs)))


def problems(states: Sequence[TopicState]) -> tuple[str, ...]:
    """Return what is wrong with the topics, one sentence each: missing, kept wrongly, counts that differ."""
    found = [f"{state.name}: {state.problem}" for state in states if state.problem]
    present = [state for state in states if state.partitions]
    if len({state.partitions for state in present}) > 1:
        found.append(f"partition counts differ: {counts_in_words(present)}")
    return tuple(found)


def input_days(settings: Settings) -> int:
    """Return for how many days inputs that are created now are kept; raises `CxError` on a wrong policy."""
    return settings.retention_days or memory_days(load_policy(settings.policy).ledger.half_life_days)


def counts_in_words(states: Sequence[TopicState]) -> str:
    """Return partition counts with the names of the topics that have them, the rarest first."""
    frequency = Counter(state.partitions for state in states)
    by_rarity = sorted(frequency, key=lambda count: (frequency[count], count))
    return "; ".join(
        f"{count}: {', '.join(state.name for state in states if state.partitions == count)}"
        for count in by_rarity
    )


@asynccontextmanager
async def admin_client(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect to a broker; a failure becomes a `CxError` that names the address and the cause."""
    options = client_options(settings)
    with quiet_client():
        admin = AIOKafkaAdminClient(**options, request_timeout_ms=int(REQUEST_TIMEOUT_S * 1000))
        try:
            await _connect(admin, options)
            yield admin
        except KafkaError as error:
            msg = f"the broker at {settings.bootstrap_servers} refused: {error}"
            mend = "cx topics acls --role operator" if isinstance(error, AUTHORIZATION) else "cx topics check"
            raise CxError(msg, mend=mend) from error
        finally:
            await admin.close()


async def _connect(admin: AIOKafkaAdminClient, options: Mapping[str, Any]) -> None:
    try:
        await asyncio.wait_for(admin.start(), CONNECT_TIMEOUT_S)
    except (KafkaError, OSError, ValueError, TimeoutError) as error:
        raise await unreachable(options) from error


@contextmanager
def quiet_client() -> Iterator[None]:
    """Keep aiokafka's own log lines from a person who gets a `CxError` for the same failure."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _table(settings: Settings) -> dict[str, Topic]:
    return {f"{settings.topic_prefix}{topic.name}": topic for topic in TOPICS}


async def _describe(admin: AIOKafkaAdminClient, names: Mapping[str, Topic | None]) -> tuple[TopicState, ...]:
    # Asking for a topic that is missing would create it on brokers with automatic creation.
    existing = set(await admin.list_topics()) & names.keys()
    counts: dict[str, int] = {}
    configs: dict[str, dict[str, str]] = {}
    if existing:
        described = await admin.describe_topics(sorted(existing))
        counts = {each["topic"]: len(each["partitions"]) for each in described if not each["error_code"]}
        configs = await _configs(admin, sorted(counts))
    return tuple(
        TopicState(name, topic, counts.get(name, 0), configs.get(name, {})) for name, topic in names.items()
    )


async def _configs(admin: AIOKafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found = {}
    for response in await admin.describe_configs(resources):
        for code, message, _kind, name, entries in response.resources:
            if code:
                msg = f"configuration of {name}: {message}"
                raise for_code(code)(msg)
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _refuse_other_counts(present: Sequence[TopicState], partitions: int) -> None:
    counts = {state.partitions for state in present}
    if not counts or counts == {partitions}:
        return
    if len(counts) == 1:
        count = counts.pop()
        msg = f"the topics that exist have {count} partitions, not {partitions}"
        raise CxError(msg, mend=f"cx topics create --partitions {count}", code=Exit.FINDING)
    msg = f"partition counts differ: {counts_in_words(present)}"
    raise CxError(msg, mend=unequal_mend(present), code=Exit.FINDING)


def unequal_mend(states: Sequence[TopicState]) -> str:
    """Return what brings unequal partition counts together.

    Adding partitions moves keys: customers would change their partition in one topic only. So topics that
    hold nothing of value are recreated, and a live set is left for a new prefix.
    """
    most = max(state.partitions for state in states)
    return (
        f"delete the topics that hold nothing yet and run `cx topics create --partitions {most}`, or begin a "
        "new set beside them: cx topics create --topic-prefix new."
    )


async def _create(admin: AIOKafkaAdminClient, missing: Sequence[TopicState], settings: Settings) -> None:
    wanted = [
        NewTopic(
            state.name,
            settings.partitions,
            settings.replication_factor,
            topic_configs=_config(state.topic, settings),
        )
        for state in missing
    ]
    response = await admin.create_topics(wanted)
    for name, code, message in response.topic_errors:
        # Another worker that starts at the same moment may have been first.
        if code not in {0, TopicAlreadyExistsError.errno}:
            msg = f"the broker did not create {name}: {for_code(code).__name__}: {message}"
            raise CxError(msg, mend="check the replication factor and the rights: cx topics create --help")


def _config(topic: Topic | None, settings: Settings) -> dict[str, str]:
    """Return what a topic is created with: Kafka's own 7 days would leave a rebuild little evidence."""
    if topic not in INPUTS:
        return topic.config if topic else {}
    return topic.config | {"retention.ms": str(input_days(settings) * DAY_MS)}


RESOURCES = {"topic": 2, "group": 3, "transactional-id": 5}
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
LITERAL, PREFIXED, ALLOW = 3, 4, 3
"""Numbers of Kafka's protocol."""


async def allow(settings: Settings, principal: str, grants: Sequence[Grant]) -> None:
    """Grant rights to `principal`, such as User:cx, and return once they hold.

    `settings` are those of a user who may alter the cluster. Raises `CxError` where the broker refuses, or
    has no authorizer.
    """
    async with admin_client(settings) as admin:
        rules = [_rule(grant, operation, principal) for grant in grants for operation in grant.operations]
        for rule in rules:
            (answer,) = (await _ask(admin, CreateAclsRequest(*rule))).creation_responses
            if answer[0]:
                why = answer[1] or for_code(answer[0]).__name__
                msg = f"the broker did not allow {principal} what it was told to: {why}"
                mend = "run it as a user who may alter the cluster, on a broker with authorizer.class.name"
                raise CxError(msg, mend=mend)
        # The controller has written them; the brokers learn of them in the same order a moment later.
        deadline = time.monotonic() + RIGHTS_TIMEOUT_S
        while rules and not (await _ask(admin, DescribeAclsRequest(*rules[-1]))).resources:
            if time.monotonic() > deadline:
                msg = f"the rights of {principal} do not hold after {RIGHTS_TIMEOUT_S:g} s"
                raise CxError(msg, mend="cx doctor")
            await asyncio.sleep(POLL_S)


def _rule(grant: Grant, operation: str, principal: str) -> tuple[int, str, int, str, str, int, int]:
    pattern = PREFIXED if grant.prefixed else LITERAL
    return RESOURCES[grant.resource], grant.name, pattern, principal, "*", OPERATIONS[operation], ALLOW


async def _ask(admin: AIOKafkaAdminClient, request: Any) -> Any:
    """Send a request that aiokafka's admin client has no method for."""
    client = admin._client  # noqa: SLF001  # the connections of our own client
    return await client.send(client.get_random_node(), request)


async def wait_for_leaders(admin: AIOKafkaAdminClient, names: Sequence[str]) -> Mapping[str, int]:
    """Wait until each partition of `names` has a leader, and return how many partitions each topic has.

    A topic is announced before it can be written, and each node of a cluster hears of it at a time of its
    own: another question, to another node, may be answered as if the topic were not there.
    """
    deadline = time.monotonic() + LEADER_TIMEOUT_S
    while (found := await _led(admin, names)) is None:
        if time.monotonic() > deadline:
            msg = f"no leader for {', '.join(names)} within {LEADER_TIMEOUT_S:g} s"
            raise CxError(msg, mend="check that all brokers run: cx topics check")
        await asyncio.sleep(POLL_S)
    return found


async def _led(admin: AIOKafkaAdminClient, names: Sequence[str]) -> Mapping[str, int] | None:
    """Return the partitions of each topic; None while one has no leader."""
    described = {each["topic"]: each["partitions"] for each in await admin.describe_topics(list(names))}
    for name in names:
        parts = described.get(name)
        if not parts or any(part["leader"] < 0 for part in parts):
            return None
    return {name: len(described[name]) for name in names}
