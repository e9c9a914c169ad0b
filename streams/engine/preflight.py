"""What a worker refuses to start on: a cluster where events could be lost, doubled or split up."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TransactionalIdAuthorizationFailed,
    for_code,
)

from streams.engine.settings import EngineSettings
from streams.engine.wire import SPREAD_S, describe
from streams.errors import CxError
from streams.reach import unreachable

CONNECT_TIMEOUT_S = 10.0
INIT_PRODUCER_ID = 22
"""Key of the request that every broker with transactions answers."""
REQUEST_TIMEOUT_MS = 20_000
GROUP, TRANSACTION = 0, 1
"""Kinds of coordinators in Kafka's protocol."""
RIGHTS = "cx topics acls --role worker"

log = logging.getLogger(__name__)


async def check_cluster(settings: EngineSettings) -> int:
    """Return the partition count of the inputs; raise `CxError` with the command that mends.

    Refused: a broker that is away or has no transactions, a topic that is missing, unequal partition counts
    (partition p of all topics must lie on one worker), an input that is compacted, a changelog that is not.
    """
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.bootstrap_servers,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **settings.security,
    )
    try:
        await _connect(admin, settings)
        counts = await _partition_counts(admin, (*settings.inputs, *settings.outputs), wait_s=SPREAD_S)
        _require_transactions(admin, settings)
        await _require_rights(admin, settings)
        partitions = _require_topics(settings, counts)
        await _require_inputs(admin, settings)
        await _require_changelog(admin, settings, partitions)
    except (KafkaError, OSError, TimeoutError) as error:
        msg = f"the broker at {settings.bootstrap_servers} refused a question: {error!r}"
        raise CxError(msg, mend=f"cx doctor; where the broker has ACLs: {RIGHTS}") from error
    finally:
        await admin.close()
    return partitions


async def _connect(admin: AIOKafkaAdminClient, settings: EngineSettings) -> None:
    try:
        await asyncio.wait_for(admin.start(), CONNECT_TIMEOUT_S)
    except (KafkaError, OSError, TimeoutError) as error:
        options = {"bootstrap_servers": settings.bootstrap_servers, **settings.security}
        raise await unreachable(options) from error


def _require_transactions(admin: Any, settings: EngineSettings) -> None:
    connections = admin._client._conns.values()  # noqa: SLF001  # aiokafka does not show what a broker can do
    if not any(INIT_PRODUCER_ID in connection._versions for connection in connections):  # noqa: SLF001  # the seam itself
        msg = f"the broker at {settings.bootstrap_servers} has no transactions"
        raise CxError(msg, mend="use Apache Kafka 2.8 or newer; cx kafka start runs one")


async def _require_rights(admin: Any, settings: EngineSettings) -> None:
    """Refuse to start without the group or the transactions: the client would wait for them in silence."""
    wanted = {GROUP: settings.app_id, TRANSACTION: settings.transactional_id(0)}
    for kind, name in wanted.items():
        try:
            await admin.find_coordinator(name, kind)
        except (GroupAuthorizationFailedError, TransactionalIdAuthorizationFailed) as error:
            what = "the group" if kind == GROUP else "transactions as"
            msg = f"the broker's ACLs do not let us use {what} {name}"
            raise CxError(msg, mend=RIGHTS) from error
        except KafkaError as error:
            # A cluster that has just started has no coordinator yet; whoever needs one asks again.
            log.debug("no coordinator for %s yet: %r", name, error)


async def _partition_counts(admin: Any, topics: tuple[str, ...], *, wait_s: float = 0.0) -> Mapping[str, int]:
    """Return the partition count of each topic that exists."""
    return {name: found.partitions for name, found in (await describe(admin, topics, wait_s=wait_s)).items()}


def _require_topics(settings: EngineSettings, counts: Mapping[str, int]) -> int:
    if missing := [name for name in (*settings.inputs, *settings.outputs) if not counts.get(name)]:
        msg = f"missing topics: {', '.join(missing)}"
        mend = "cx topics create"
        if settings.security.get("security_protocol", "PLAINTEXT") != "PLAINTEXT":
            mend += f"; if they exist, we have no right to see them: {RIGHTS}"
        raise CxError(msg, mend=mend)
    if len(set(counts.values())) > 1:
        usual = Counter(counts.values()).most_common(1)[0][0]
        odd = ", ".join(f"{name} has {count}" for name, count in counts.items() if count != usual)
        msg = f"partition counts differ: {odd}, the others {usual}"
        raise CxError(msg, mend="cx topics check")
    return counts[settings.inputs[0]]


async def _require_changelog(admin: Any, settings: EngineSettings, partitions: int) -> None:
    """Refuse a changelog that would lose rows; one that is not there yet is made by Faust."""
    name = settings.changelog
    found = (await _partition_counts(admin, (name,))).get(name)
    if not found:
        return
    if found != partitions:
        msg = f"the changelog {name} has {found} partitions, the inputs {partitions}"
        raise CxError(msg, mend="cx topics check")
    if not await _compacted(admin, (name,)):
        msg = f"the changelog {name} is not compacted: it would lose customers"
        mend = f"kafka-configs.sh --alter --topic {name} --add-config cleanup.policy=compact"
        raise CxError(msg, mend=mend)


async def _require_inputs(admin: Any, settings: EngineSettings) -> None:
    """Refuse an input whose events go once the same customer sends another."""
    if compacted := await _compacted(admin, settings.inputs):
        msg = f"compacted inputs lose events before they are applied: {', '.join(compacted)}"
        mend = f"kafka-configs.sh --alter --topic {compacted[0]} --add-config cleanup.policy=delete"
        raise CxError(msg, mend=mend)


async def _compacted(admin: Any, topics: tuple[str, ...]) -> list[str]:
    """Return those of `topics` that the broker compacts."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    found: list[str] = []
    for response in await admin.describe_configs(asked):
        for code, message, _, name, entries in response.resources:
            if code:
                msg = f"configuration of {name}: {message}"
                raise for_code(code)(msg)
            if "compact" in {entry[0]: entry[1] for entry in entries}.get("cleanup.policy", ""):
                found.append(name)
    return found
