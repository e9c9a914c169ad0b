"""What is looked at when somebody asks why nothing works: the broker, the topics, the producers, a worker."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from prometheus_client.parser import text_string_to_metric_families

from streams.admin import TopicState, admin_client, describe_topics
from streams.connection import security_options
from streams.engine.cluster import bounds, reader
from streams.engine.preflight import INIT_PRODUCER_ID
from streams.engine.settings import EngineSettings
from streams.engine.versions import installed, moved_seams
from streams.errors import CxError
from streams.observe.placement import MEND as PARTITIONER
from streams.observe.placement import partition_of
from streams.settings import Settings, read_secret
from streams.topics import INPUTS

SAMPLE: Final = 50
"""Records looked at from the end of each input partition."""
SAMPLE_TIMEOUT_MS: Final = 2_000
AHEAD_S: Final = 60.0
"""Records this far in the future: a producer's clock, or ours, is wrong."""
WORKER_TIMEOUT_S: Final = 5.0
BIG_LAG_S: Final = 300.0


class Status(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, in words, and what mends it."""

    status: Status
    subject: str
    message: str
    mend: str = ""


def ok(subject: str, message: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Status.OK, subject, message)


def warning(subject: str, message: str, mend: str) -> Finding:
    """Return a finding that somebody should look at."""
    return Finding(Status.WARNING, subject, message, mend)


def error(subject: str, message: str, mend: str) -> Finding:
    """Return a finding that keeps the product from working."""
    return Finding(Status.ERROR, subject, message, mend)


async def examine(settings: Settings, worker_url: str) -> AsyncIterator[Finding]:
    """Yield a finding for each thing looked at; what depends on a broker that is away is left out."""
    for each in versions():
        yield each
    try:
        yield await broker(settings)
        states = await describe_topics(settings)
    except CxError as problem:
        yield error("broker", problem.message, problem.mend)
    else:
        for each in topics(states, settings):
            yield each
        async for each in producers(settings, states):
            yield each
    for each in await asyncio.to_thread(worker, worker_url, read_secret(settings.api_token_file)):
        yield each


def versions() -> Iterator[Finding]:
    """Hold the installed Faust and aiokafka to what the engine overrides."""
    names = ", ".join(f"{name} {version}" for name, version in installed().items())
    if moved := list(moved_seams()):
        yield error("versions", f"{names}: {'; '.join(moved)}", "pip install --upgrade cx-signals")
    else:
        yield ok("versions", names)


async def broker(settings: Settings) -> Finding:
    """Look at the cluster; raises `CxError` where none answers."""
    servers = settings.bootstrap_servers
    async with admin_client(settings) as admin:
        cluster = await admin.describe_cluster()
        connections = admin._client._conns.values()  # noqa: SLF001  # aiokafka does not show what a broker can do
        transactions = any(INIT_PRODUCER_ID in each._versions for each in connections)  # noqa: SLF001  # as above
    count = len(cluster["brokers"])
    if not transactions:
        return error(
            "broker", f"{servers} has no transactions", "use Apache Kafka 2.8 or newer: cx kafka start"
        )
    nodes = f"{count} broker{'s' if count > 1 else ''}"
    if settings.replication_factor > count:
        wanted = f"replication_factor {settings.replication_factor} needs more brokers than {count}"
        return error("broker", f"{servers}: {wanted}", f"set CX_REPLICATION_FACTOR={count}")
    return ok("broker", f"{servers} answers: {nodes}, transactions")


def topics(states: tuple[TopicState, ...], settings: Settings) -> Iterator[Finding]:
    """Look at existence, partition counts, clean-up and compaction."""
    present = [state for state in states if state.partitions]
    counts = Counter(state.partitions for state in present)
    if missing := [state.name for state in states if not state.partitions]:
        count = f" --partitions {counts.most_common(1)[0][0]}" if counts else ""
        yield error("topics", f"missing: {', '.join(missing)}", f"cx topics create{count}")
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = ", ".join(f"{each.name} has {each.partitions}" for each in present if each.partitions != usual)
        yield error("topics", f"partition counts differ: {odd}, the others {usual}", "cx topics check")
    for state in present:
        if state.problem:
            wanted = ",".join(f"{key}=[{value}]" for key, value in state.wanted.items())
            command = f"kafka-configs.sh --alter --topic {state.name} --add-config {wanted}"
            kind = warning if state.topic else error
            yield kind("topics", f"{state.name}: {state.problem}", command)
    if present and not missing and len(counts) == 1 and not any(state.problem for state in present):
        yield ok("topics", f"{len(states)} topics of {next(iter(counts))} partitions, kept as they should be")
    if not any(state.topic is None for state in states):
        yield warning("changelog", f"none of {settings.app_id}: no worker has run yet", "cx worker")


async def producers(settings: Settings, states: tuple[TopicState, ...]) -> AsyncIterator[Finding]:
    """Look whether the newest records of each input lie where their key belongs, and are of our time."""
    names = {settings.topic_prefix + topic.name for topic in INPUTS}
    inputs = {state.name: state.partitions for state in states if state.name in names and state.partitions}
    if not inputs:
        return
    engine = EngineSettings(
        bootstrap_servers=settings.bootstrap_servers,
        security=security_options(settings),
        app_id=settings.app_id,
        inputs=tuple(inputs),
    )
    try:
        async with reader(engine) as consumer:
            samples = {name: await _sample(consumer, name, count) for name, count in inputs.items()}
    except KafkaError as problem:
        yield error("producers", f"inputs cannot be read: {type(problem).__name__}", "cx topics check")
        return
    misplaced = {
        name: bad for name, count in inputs.items() if (bad := _misplaced(samples[name], count)) is not None
    }
    for name, share in misplaced.items():
        yield error(
            "producers",
            f"{name}: {share} of the newest records do not lie on the partition of their key",
            PARTITIONER,
        )
    latest_s = max((record.timestamp for found in samples.values() for record in found), default=0) / 1000
    if (ahead_s := latest_s - time.time()) > AHEAD_S:
        message = f"the newest record is {ahead_s:,.0f} s in the future"
        yield error("clock", message, "set the clock of this machine or of the producer (chronyc tracking)")
    if not misplaced:
        count = sum(map(len, samples.values()))
        yield ok("producers", f"{count} newest records lie on the partition of their key")


async def _sample(consumer: Any, topic: str, partitions: int) -> list[Any]:
    """Return the newest records of a topic, at most `SAMPLE` a partition."""
    tps = [TopicPartition(topic, number) for number in range(partitions)]
    consumer.assign(tps)
    begin, end = await bounds(consumer, tps)
    starts = {tp: max(begin[tp], end[tp] - SAMPLE) for tp in tps if end[tp] > begin[tp]}
    if not starts:
        return []
    consumer.assign(list(starts))
    for tp, offset in starts.items():
        consumer.seek(tp, offset)
    records: list[Any] = []
    deadline = time.monotonic() + SAMPLE_TIMEOUT_MS / 1000
    waiting = set(starts)
    while waiting and time.monotonic() < deadline:
        for found in (await consumer.getmany(*waiting, timeout_ms=200)).values():
            records += found
        waiting = {tp for tp in waiting if await consumer.position(tp) < end[tp]}
    return records


def _misplaced(records: list[Any], partitions: int) -> str | None:
    """Return `bad of all` keyed records, None where all lie where Kafka's default partitioner puts them."""
    keyed = [record for record in records if record.key]
    bad = sum(partition_of(record.key, partitions) != record.partition for record in keyed)
    return f"{bad} of {len(keyed)}" if bad else None


def worker(url: str, token: str) -> list[Finding]:
    """Look whether the worker at `url` is ready, and at what stands out in its metrics."""
    try:
        status, body = _get(f"{url}/readyz", "")
    except OSError as problem:
        reason = getattr(problem, "reason", problem)
        return [
            warning(
                "worker", f"no worker answers at {url}: {reason}", "cx worker, or name another: --worker URL"
            )
        ]
    found = [_readiness(url, status, body)]
    try:
        status, body = _get(f"{url}/metrics", token)
    except OSError as problem:
        return [*found, error("metrics", f"{url}/metrics: {problem}", "look at the worker's log")]
    if status != 200:  # noqa: PLR2004  # the one status of an exposition
        mend = "set CX_API_TOKEN_FILE to the file of the worker's token"
        return [*found, error("metrics", f"{url}/metrics answers {status}", mend)]
    return [*found, *_figures(body)]


def _get(url: str, token: str) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310  # an address that the operator gave
    try:
        with urllib.request.urlopen(request, timeout=WORKER_TIMEOUT_S) as response:  # noqa: S310  # as above
            return response.status, response.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode("utf-8", "replace")


def _readiness(url: str, status: int, body: str) -> Finding:
    try:
        state = json.loads(body)
        partitions = state["partitions"]
    except (ValueError, TypeError, KeyError):
        return error("worker", f"{url} is no worker of ours (status {status})", "name one: --worker URL")
    if state["ready"]:
        return ok("worker", f"{url} is ready: partitions {partitions}, {state['customers']:,} customers")
    if state.get("stopped"):
        why = "; ".join(f"partition {number}: {problem}" for number, problem in state["stopped"].items())
        return error(
            "worker", f"{url} has stopped partitions: {why}", "cx topics adopt NAME, once you know why"
        )
    return error("worker", f"{url} is not ready: {body.strip()}", "wait for recovery; then look at its log")


def _figures(exposition: str) -> Iterator[Finding]:
    """Yield what stands out in a worker's metrics."""
    samples = [sample for family in text_string_to_metric_families(exposition) for sample in family.samples]

    def total(name: str) -> float:
        return sum(sample.value for sample in samples if sample.name == name)

    for sample in samples:
        if sample.name == "cx_misplaced_customers_total" and sample.value:
            message = f"{sample.labels['topic']}: {sample.value:,.0f} customers on a wrong partition"
            yield error("producers", message, PARTITIONER)
    if rejected := total("cx_rejected_records_total"):
        yield warning("rejects", f"{rejected:,.0f} records rejected since it started", "cx deadletters list")
    if fenced := total("cx_fenced_total"):
        mend = "give each worker its own static_id, and each application its own app_id"
        yield warning("worker", f"fenced {fenced:,.0f} times", mend)
    lag_s = max((each.value for each in samples if each.name == "cx_lag_seconds"), default=0.0)
    if lag_s > BIG_LAG_S:
        yield warning(
            "lag", f"{lag_s:,.0f} s behind, {total('cx_lag_records'):,.0f} records", "start another worker"
        )
    else:
        yield ok("lag", f"{lag_s:,.1f} s behind, {total('cx_lag_records'):,.0f} records")
