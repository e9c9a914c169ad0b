"""An in-memory log worked off to its end."""

from streams.engine.memory import MemoryWorker


def drain(worker: MemoryWorker) -> int:
    """Apply everything that the log holds; return the records applied."""
    total = 0
    while applied := sum(map(worker.step, worker.partitions)):
        total += applied
    return total
