"""What the engine needs to know, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from streams.connection import security_options
from streams.settings import Settings
from streams.topics import INPUTS, OUTPUTS, TABLE

Clock = Literal["wall", "event"]

MIB = 1 << 20
RETRY_LIMIT_S = 300.0
"""A broker that is away for longer than this ends the worker: a supervisor sees it, a silent loop nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Settings of the engine. Topic names are full names, prefix included; times are in seconds."""

    bootstrap_servers: str
    """Addresses of the brokers, comma-separated."""
    app_id: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    table: str = TABLE
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Options that every aiokafka client takes: security_protocol, ssl_context, sasl_*."""
    replication_factor: int = 1
    clock: Clock = "wall"
    sweep_interval_s: float = 900.0
    session_timeout_s: float = 10.0
    heartbeat_interval_s: float = 3.0
    rebalance_timeout_s: float = 30.0
    transaction_timeout_s: float = 15.0
    static_id: str = ""
    chunk_records: int = 2_000
    chunk_bytes: int = 4 * MIB
    queue_bytes: int = 64 * MIB
    transaction_records: int = 64_000
    """A transaction takes no further chunk from here on. On a backlog a customer's events meet in one, and
    share a row and a score: with 8,000 records 0.40 rows and 0.36 scores and alerts are written an event,
    with 16,000 0.32 and 0.30, with 32,000 0.26 and 0.25, with 64,000 0.21 and 0.19."""
    transaction_bytes: int = 32 * MIB
    """Nor from so many bytes of keys and values on: what it writes has to reach the broker in time."""
    compute_s: float = 1.0
    """Time that the records of a transaction may take to compute, by the speed of the last ones; a chunk goes
    in any case. While one partition that is behind computes, the others that are wait. It waits for more
    chunks, before, for as long at most."""
    fill_s: float = 0.2
    """Longest wait for the next chunk of a partition that is behind and has not enough for a transaction."""
    step_s: float = 5.0
    """Longest wait of what is newer for an input of which the broker has more, but nothing comes: its leader
    may be away, and to elect one takes less. The others then go on without it, until it comes."""
    gather_s: float = 0.034
    """Time for which the broker keeps a fetch of less than `gather_bytes`: little is gathered where it costs
    nothing. Waiting here would only make what the client has fetched ahead older."""
    gather_bytes: int = 256 << 10
    hold_s: float = 0.2
    """Longest time for which a transaction gathers while nobody waits for what it has (`Work.urgent`)."""
    flush_min_s: float = 0.020
    flush_per_partition_s: float = 0.0055
    flush_max_s: float = 1.0
    max_batch_bytes: int = 256 << 10
    """Size of a batch of changelog rows or outputs; a larger record travels alone."""
    retry_limit_s: float = RETRY_LIMIT_S

    @property
    def changelog(self) -> str:
        """Return the name of the changelog, as Faust makes it of application and table."""
        return f"{self.app_id}-{self.table}-changelog"

    def transactional_id(self, partition: int) -> str:
        """Return the id under which whoever owns `partition` writes."""
        return f"{self.app_id}-{partition}"

    def flush_interval_s(self, active_partitions: int) -> float:
        """Return the least time between two transactions of a partition.

        A transaction costs about the same whatever it carries; spreading them over the active partitions
        keeps their share of a core constant.
        """
        return min(self.flush_max_s, max(self.flush_min_s, active_partitions * self.flush_per_partition_s))


def engine_settings(settings: Settings) -> EngineSettings:
    """Return what the engine needs of `settings`."""
    prefix = settings.topic_prefix
    return EngineSettings(
        bootstrap_servers=settings.bootstrap_servers,
        security=security_options(settings),
        app_id=settings.app_id,
        inputs=tuple(prefix + topic.name for topic in INPUTS),
        outputs=tuple(prefix + topic.name for topic in OUTPUTS),
        replication_factor=settings.replication_factor,
        clock="event" if settings.clock == "event" else "wall",
        sweep_interval_s=settings.sweep_interval_s,
        session_timeout_s=settings.session_timeout_s,
        heartbeat_interval_s=settings.heartbeat_interval_s,
        rebalance_timeout_s=settings.rebalance_timeout_s,
        transaction_timeout_s=settings.transaction_timeout_s,
        static_id=settings.static_id,
        chunk_records=settings.chunk_records,
        chunk_bytes=settings.chunk_bytes,
        queue_bytes=settings.queue_bytes,
    )
