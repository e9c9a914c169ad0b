"""What is read of processes and of the machine: CPU time, memory, cores, load, percentiles."""

import math
import os
import platform
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import streams.scoring.ledger
from streams.local_kafka.find import KAFKA_VERSION, find_java, java_version

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
PACKAGES = ("faust-streaming", "aiokafka", "msgspec", "orjson", "uvloop")
BROKER_CORES_FROM = 1
"""The first core is the measured process's own; everything else runs on the others."""


def cpu_s(pid: int) -> float:
    """Return the CPU seconds (user + system) that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_bytes(pid: int) -> int:
    """Return the memory of a process that lies in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` (0..1) of `values` do not exceed."""
    if not values:
        msg = "a percentile of nothing"
        raise ValueError(msg)
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


@contextmanager
def pinned(allowed: Collection[int]) -> Iterator[None]:
    """Let this thread, and every process started meanwhile, use only the cores `allowed`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, allowed)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def is_compiled() -> bool:
    """Tell whether the hot modules are the compiled ones."""
    return not str(streams.scoring.ledger.__file__).endswith(".py")


def machine() -> dict[str, Any]:
    """Return what figures depend on: processor, cores, versions."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown"
    )
    memory_kib = int(Path("/proc/meminfo").read_text().split(maxsplit=2)[1])
    return {
        "processor": model,
        "cores": len(cores()),
        "memory_gib": round(memory_kib / 2**20, 1),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "java": java_version(find_java(os.environ)),
        "core": "compiled" if is_compiled() else "sources",
        **{name: version(name) for name in PACKAGES},
    }


def load_average() -> float:
    """Return how many processes wanted a core in the last minute, on average."""
    return round(os.getloadavg()[0], 2)
