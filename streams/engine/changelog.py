"""The changelog's creation, before a worker joins its group."""

import asyncio
from time import monotonic
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.engine.settings import EngineSettings
from streams.engine.wire import describe
from streams.errors import CxError
from streams.topics import COMPACTED

LEADER_TIMEOUT_S = 30.0
POLL_S = 0.05
REQUEST_TIMEOUT_MS = 20_000


async def ensure_changelog(settings: EngineSettings, partitions: int) -> None:
    """Create the changelog unless it is there, and return once each of its partitions has a leader.

    Faust creates it as well, but after the join: where the news has not spread by then, it leaves the topic
    out of the assignment, and the worker stands ready with no partition to work on. Raises `CxError`.
    """
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.bootstrap_servers,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        **settings.security,
    )
    name = settings.changelog
    try:
        await admin.start()
        if name not in await describe(admin, [name]):
            await _create(admin, settings, partitions)
        deadline = monotonic() + LEADER_TIMEOUT_S
        while not await _is_led(admin, name, partitions):
            if monotonic() > deadline:
                msg = f"no leader for {name} within {LEADER_TIMEOUT_S:g} s"
                raise CxError(msg, mend="check that all brokers run: cx topics check")
            await asyncio.sleep(POLL_S)
    except (KafkaError, OSError, TimeoutError) as error:
        msg = f"the changelog {name} could not be made: {error!r}"
        raise CxError(msg, mend="check the replication factor and the rights: cx topics acls") from error
    finally:
        await admin.close()


async def _create(admin: Any, settings: EngineSettings, partitions: int) -> None:
    topic = NewTopic(settings.changelog, partitions, settings.replication_factor, topic_configs=COMPACTED)
    response = await admin.create_topics([topic])
    for _, code, message in response.topic_errors:
        # Another worker that starts at the same moment may have been first.
        if code not in {0, TopicAlreadyExistsError.errno}:
            raise for_code(code)(message)


async def _is_led(admin: Any, name: str, partitions: int) -> bool:
    [described] = await admin.describe_topics([name])
    found = described["partitions"]
    return len(found) == partitions and all(each["leader"] >= 0 for each in found)
