"""What the engine counts about itself: plain numbers that a collector reads at scrape time."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Stats:
    """Counters since the start of the process; nothing here is touched per event."""

    commits: int = 0
    records: int = 0
    """Records applied in committed transactions."""
    rows_written: int = 0
    commit_seconds: float = 0.0
    """Time from begin to commit, summed over transactions (partitions overlap)."""
    failed: int = 0
    """Transactions dropped for any reason; their work is done again from the log."""
    fenced: int = 0
    heals: int = 0
    rebalances: int = 0
    refused: int = 0
    """Chunks refused because they were not the next ones, or of before a rebalance."""
    kept: int = 0
    """Partitions that kept their memory over a rebalance."""
    recovery_rows: int = 0
    recovery_left: int = 0
    """Offsets of the changelog that are still to be read; compaction has left fewer records."""
    recovery_seconds: float = 0.0
    ready_seconds: float = 0.0
    """Time from the last assignment until work went on."""
    assignments: int = 0
    """Assignments after which work went on."""
    assignment_seconds: float = 0.0
    """Time until then, summed over them."""
    out_of_range: int = 0
    """Times that a position of an input could not be read on from."""
    swept: int = 0
    """Customers visited by the sweep."""


@dataclass(frozen=True, slots=True)
class InputSnapshot:
    """One input of one state partition."""

    topic: str
    next_offset: int
    highwater: int | None
    """End of the input as the last fetch saw it; None before the first."""
    last_record_s: float
    newest_event_s: float
    at_end: bool
    moved: int = 0
    """Offsets moved since the changelog was made (guarantee G4)."""

    @property
    def lag(self) -> int | None:
        """Return the offsets not applied yet."""
        return None if self.highwater is None else max(0, self.highwater - self.next_offset)


@dataclass(frozen=True, slots=True)
class PartitionSnapshot:
    """One state partition that this worker owns."""

    partition: int
    ready: bool
    problem: str
    """Why the partition is stopped, in words; empty where it is not."""
    rows: int
    queue_bytes: int
    watermark_s: float
    sweep_passes: int
    """Passes of the sweep finished since the partition was loaded."""
    transactions: int
    counts: dict[str, int]
    """Outcomes of all records ever applied (guarantee G4), from the marker."""
    inputs: tuple[InputSnapshot, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The engine at a moment."""

    stats: Stats
    partitions: tuple[PartitionSnapshot, ...] = field(default=())
    session: int = 0
    rebalancing: bool = False

    @property
    def queue_bytes(self) -> int:
        """Return the bytes fetched and not applied."""
        return sum(each.queue_bytes for each in self.partitions)

    @property
    def ready(self) -> bool:
        """Tell whether every partition assigned is being worked on."""
        return not self.rebalancing and all(each.ready for each in self.partitions)


def counts_as_dict(counts: Any) -> dict[str, int]:
    """Return a `Counts` by name of outcome."""
    return {name: getattr(counts, name) for name in counts.__struct_fields__}
