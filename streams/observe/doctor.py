"""What is looked at when somebody asks why nothing works, in the order in which one thing needs another."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from streams.admin import describe_topics
from streams.engine.versions import installed, moved_seams
from streams.errors import CxError
from streams.observe import doctor_cluster, doctor_log
from streams.observe.doctor_delivery import delivery
from streams.observe.doctor_worker import worker
from streams.observe.findings import Finding, error, ok
from streams.settings import Settings, read_secret
from streams.topics import ALERTS, TOPICS, changelog_of


async def examine(settings: Settings, worker_url: str) -> AsyncIterator[Finding]:
    """Yield a finding for each thing looked at; what depends on a broker that is away is left out."""
    for each in versions():
        yield each
    try:
        async for each in _kafka(settings):
            yield each
    except CxError as problem:
        yield error("broker", problem.message, problem.mend)
    try:
        token = read_secret(settings.api_token_file)
    except CxError as problem:
        yield error("worker", problem.message, problem.mend)
        return
    for each in await asyncio.to_thread(worker, worker_url, token):
        yield each


def versions() -> Iterator[Finding]:
    """Hold the installed Faust and aiokafka to what the engine overrides."""
    names = ", ".join(f"{name} {version}" for name, version in installed().items())
    if moved := list(moved_seams()):
        yield error("versions", f"{names}: {'; '.join(moved)}", "pip install --upgrade cx-signals")
    else:
        yield ok("versions", names)


async def _kafka(settings: Settings) -> AsyncIterator[Finding]:
    changelog = changelog_of(settings.app_id)
    names = [*(settings.topic_prefix + topic.name for topic in TOPICS), changelog]
    cluster = await doctor_cluster.look(settings, names)
    yield doctor_cluster.broker(cluster, settings)
    for each in doctor_cluster.credentials(settings, await doctor_cluster.certificate_end_s(settings)):
        yield each
    states = await describe_topics(settings)
    for each in doctor_cluster.topics(states, settings):
        yield each
    for each in doctor_cluster.replication(cluster, states, settings):
        yield each
    for each in doctor_log.retention(states, settings):
        yield each
    yield doctor_cluster.group(cluster, settings)
    async for each in doctor_log.read(settings, states):
        yield each
    if any(state.topic is ALERTS and state.partitions for state in states):
        yield await delivery(settings)
