"""What the cluster says: brokers, copies, topics, the group, and how we are let in."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from ipaddress import ip_address
from pathlib import Path
from stat import S_IROTH
from typing import Any, Final

from aiokafka.errors import GroupAuthorizationFailedError, KafkaError

from streams.admin import TopicState, admin_client
from streams.amounts import counted
from streams.connection import TLS, security_options
from streams.engine.preflight import INIT_PRODUCER_ID
from streams.observe.findings import Finding, alter, error, ok, warning
from streams.scoring.policy import DAY_S
from streams.settings import Settings
from streams.topics import INPUTS

INTERNAL: Final = ("__transaction_state", "__consumer_offsets")
"""Topics of the broker that a worker cannot do without."""
GONE: Final = "Dead"
"""State of a group that nobody has ever joined, or that the broker has forgotten."""
SAFE_COPIES: Final = 3
CERTIFICATE_DAYS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Copies:
    """One partition of a topic, as the cluster keeps it."""

    topic: str
    partition: int
    leader: int
    """-1: nobody leads, nothing can be read or written."""
    replicas: int
    in_sync: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """What one connection tells of the cluster."""

    brokers: int
    transactions: bool
    copies: tuple[Copies, ...]
    group: Mapping[str, Any] | None
    """State and members of the workers' group; None where we have no right to see it."""


async def look(settings: Settings, topics: Collection[str]) -> Cluster:
    """Ask the cluster; raises `CxError` where none answers."""
    async with admin_client(settings) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        connections = admin._client._conns.values()  # noqa: SLF001  # aiokafka does not show what a broker can do
        transactions = any(INIT_PRODUCER_ID in each._versions for each in connections)  # noqa: SLF001  # as above
        existing = set(await admin.list_topics())
        names = [name for name in (*topics, *INTERNAL) if name in existing]
        described = await admin.describe_topics(names) if names else []
        return Cluster(
            brokers, transactions, tuple(_copies(described)), await group_of(admin, settings.app_id)
        )


def _copies(described: Sequence[Mapping[str, Any]]) -> Iterator[Copies]:
    for topic in described:
        for each in topic["partitions"]:
            yield Copies(
                topic["topic"], each["partition"], each["leader"], len(each["replicas"]), len(each["isr"])
            )


async def group_of(admin: Any, name: str) -> Mapping[str, Any] | None:
    """Return state and members of a consumer group; None without the right to look at it."""
    try:
        [response] = await admin.describe_consumer_groups([name])
    except GroupAuthorizationFailedError:
        return None
    except KafkaError:  # the cluster has no coordinator yet: nobody has ever joined a group
        return {"state": GONE, "members": 0}
    [found] = response.to_object()["groups"]
    return {"state": found["state"], "members": len(found["members"])}


def broker(cluster: Cluster, settings: Settings) -> Finding:
    """Tell whether the cluster can do what is asked of it."""
    servers, count = settings.bootstrap_servers, cluster.brokers
    if not cluster.transactions:
        mend = "use Apache Kafka 2.8 or newer: cx kafka start"
        return error("broker", f"{servers} has no transactions", mend)
    if settings.replication_factor > count:
        wanted = f"replication_factor {settings.replication_factor} needs more brokers than {count}"
        return error("broker", f"{servers}: {wanted}", f"set CX_REPLICATION_FACTOR={count}")
    nodes = f"{count} broker{'s' if count > 1 else ''}"
    return ok("broker", f"{servers} answers: {nodes}, transactions")


def credentials(settings: Settings, certificate_ends_s: float | None) -> Iterator[Finding]:
    """Tell how we are let in, and what of it is weak."""
    protocol = settings.security_protocol
    if protocol not in TLS and not _all_loopback(settings.bootstrap_servers):
        message = f"{protocol} to other machines: whoever listens on the way reads customers' data"
        yield warning(
            "credentials", message, "set CX_SECURITY_PROTOCOL=SASL_SSL: docs/operations.md#security"
        )
    for name in _secret_files(settings):
        if Path(getattr(settings, name)).stat().st_mode & S_IROTH:
            path = getattr(settings, name)
            yield warning(
                "credentials", f"everybody on this machine can read {path} ({name})", f"chmod o-r {path}"
            )
    if (
        certificate_ends_s is not None
        and (days := (certificate_ends_s - time.time()) / DAY_S) < CERTIFICATE_DAYS
    ):
        message = f"the broker's certificate ends in {counted(days, 'day', 'days')}"
        yield warning("credentials", message, "renew it before then: clients will not trust it any more")
    who = f" as {settings.sasl_username!r} ({settings.sasl_mechanism})" if settings.sasl_username else ""
    who = who or (" with a certificate" if settings.ssl_certfile else "")
    yield ok("credentials", f"let in by {protocol}{who}")


def _all_loopback(servers: str) -> bool:
    hosts = [server.rpartition(":")[0].strip("[]") for server in servers.split(",")]
    return all(host == "localhost" or _is_loopback(host) for host in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _secret_files(settings: Settings) -> Iterator[str]:
    """Yield the settings that name a file with a secret, where it is there and we may look at it."""
    public = {"ssl_cafile", "ssl_certfile"}
    for each in dataclass_fields(settings):
        path = str(getattr(settings, each.name))
        if each.name.endswith("file") and each.name not in public and path and _is_file(path):
            yield each.name


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError:
        return False  # whoever reads it says so; it is no finding of ours


async def certificate_end_s(settings: Settings) -> float | None:
    """Return when the certificate of the first broker ends, seconds since the epoch; None without TLS."""
    if settings.security_protocol not in TLS:
        return None
    host, _, port = settings.bootstrap_servers.split(",")[0].rpartition(":")
    context = security_options(settings)["ssl_context"]
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    except OSError:
        return None  # another broker of the list has let us in
    certificate = writer.get_extra_info("peercert") or {}
    writer.transport.abort()
    return ssl.cert_time_to_seconds(certificate["notAfter"]) if "notAfter" in certificate else None


def replication(cluster: Cluster, states: Collection[TopicState], settings: Settings) -> Iterator[Finding]:
    """Look at leaders, copies in sync and the least that a write must reach."""
    found = False
    leaderless = [f"{each.topic}[{each.partition}]" for each in cluster.copies if each.leader < 0]
    if leaderless:
        found = True
        message = f"nobody leads {_some(leaderless)}: it can neither be read nor written"
        yield error("replication", message, "start the brokers that hold it")
    behind = [f"{each.topic}[{each.partition}]" for each in cluster.copies if each.in_sync < each.replicas]
    if behind:
        found = True
        message = f"{_some(behind)} has copies that are not in sync"
        yield warning("replication", message, "look at the brokers that are away or slow")
    for each in _min_in_sync(cluster, states, settings):
        found = True
        yield each
    fewest = min((each.replicas for each in cluster.copies), default=0)
    if fewest and cluster.brokers > 1 and fewest < min(SAFE_COPIES, cluster.brokers):
        found = True
        names = sorted({each.topic for each in cluster.copies if each.replicas == fewest})
        kept = counted(fewest, "copy", "copies")
        message = f"{_some(names)}: {kept} on {cluster.brokers} brokers; a lost disk loses data"
        yield warning("replication", message, "kafka-reassign-partitions.sh, and CX_REPLICATION_FACTOR=3")
    if fewest and not found:
        alone = "; a lost disk loses the state" if fewest == 1 else ""
        yield ok("replication", f"{counted(fewest, 'copy', 'copies')} of each partition, in sync{alone}")


def _min_in_sync(cluster: Cluster, states: Collection[TopicState], settings: Settings) -> Iterator[Finding]:
    """Hold min.insync.replicas against the copies: too many stop writes, too few lose them."""
    copies = {each.topic: each.replicas for each in cluster.copies}
    for state in states:
        replicas = copies.get(state.name, 0)
        least = int(state.config.get("min.insync.replicas", "1"))
        command = alter(settings.bootstrap_servers, [state.name], "min.insync.replicas={}")
        if replicas and least > replicas:
            kept = counted(replicas, "copy", "copies")
            message = f"{state.name}: min.insync.replicas {least} with {kept}: writes are refused"
            yield error("replication", message, command.format(max(1, replicas - 1)))
        elif replicas > 1 and least == replicas:
            message = f"{state.name}: min.insync.replicas {least} of {replicas}: one broker away stops writes"
            yield warning("replication", message, command.format(replicas - 1))
        elif replicas >= SAFE_COPIES and least == 1:
            message = f"{state.name}: a write that reached one broker of {replicas} counts as safe"
            yield warning("replication", message, command.format(2))


def _some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


def group(cluster: Cluster, settings: Settings) -> Finding:
    """Tell how many workers share the partitions."""
    if cluster.group is None:
        message = f"the group {settings.app_id} could not be looked at"
        return warning("workers", message, "where the broker has ACLs: cx topics acls --role operator")
    if not cluster.group["members"]:
        return warning("workers", f"none is in the group {settings.app_id}", "cx worker")
    members, state = cluster.group["members"], cluster.group["state"]
    words = f"{members} in the group {settings.app_id}"
    if state != "Stable":
        return warning("workers", f"{words}, which is in state {state}", "wait, then look again: cx doctor")
    return ok("workers", words)


def topics(states: tuple[TopicState, ...], settings: Settings) -> Iterator[Finding]:
    """Look at existence, partition counts, clean-up and compaction."""
    present = [state for state in states if state.partitions]
    counts = Counter(state.partitions for state in present)
    if missing := [state.name for state in states if not state.partitions]:
        count = f" --partitions {counts.most_common(1)[0][0]}" if counts else ""
        mend = f"cx topics create{count}"
        if settings.security_protocol != "PLAINTEXT":
            mend += "; if they exist, we have no right to see them: cx topics acls --role operator"
        yield error("topics", f"missing: {', '.join(missing)}", mend)
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = ", ".join(f"{each.name} has {each.partitions}" for each in present if each.partitions != usual)
        yield error("topics", f"partition counts differ: {odd}, the others {usual}", "cx topics check")
    for state in present:
        if state.problem:
            wanted = ",".join(f"{key}=[{value}]" for key, value in state.wanted.items())
            command = alter(settings.bootstrap_servers, [state.name], wanted)
            # A changelog that is not compacted loses customers, an input that is loses events: no more than
            # the newest record of each customer stays. Anything else can wait.
            compacted = "compact" in state.config.get("cleanup.policy", "")
            loses = compacted if state.topic in INPUTS else state.topic is None and not compacted
            kind = error if loses else warning
            yield kind("topics", f"{state.name}: {state.problem}", command)
    if present and not missing and len(counts) == 1 and not any(state.problem for state in present):
        yield ok("topics", f"{len(states)} topics of {next(iter(counts))} partitions, kept as they should be")
    if present and not any(state.topic is None for state in states):
        yield warning("changelog", f"none of {settings.app_id}: no worker has run yet", "cx worker")
