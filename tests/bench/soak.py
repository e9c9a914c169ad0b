"""`make soak`: a worker under half the load it can carry: its memory and the latency of alerts stay flat.

python tests/bench/soak.py [--for 1h] [--json FILE] [--plot FILE]

Exit code 0: flat within the bounds; 1: not. Memory: the median of the last quarter is at most 10% above
that of the second quarter (the first warms up). Latency: the p99 of the last quarter is at most twice that
of the second quarter plus 50 ms.
"""

import argparse
import logging
import os
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from streams.errors import CxError  # noqa: E402  # run as a program, the repository is not on the path
from streams.local_kafka.node import LocalKafka  # noqa: E402  # as above
from tests.bench import report  # noqa: E402  # as above
from tests.bench.latency import Paced  # noqa: E402  # as above
from tests.bench.measure import cores, load_average, machine, percentile, pinned, rss_bytes  # noqa: E402  # as above
from tests.bench.stage import Stage  # noqa: E402  # as above
from tests.bench.workload import Workload  # noqa: E402  # as above

CUSTOMERS = 100_000
CAPACITY_EVENTS = 200_000
LOAD = 0.5
PROBES_PER_S = 2.0
"""Each probe is a customer more: few of them, or the table itself would grow."""
SAMPLES = 120
MEMORY_GROWTH = 1.10
LATENCY_GROWTH = 2.0
LATENCY_SLACK_S = 0.05
FAILED = 1
SECONDS = {"s": 1, "m": 60, "h": 3600}
MIB = 1 << 20
# Hours at tens of thousands of events a second are more than a disk holds: what was applied is deleted soon.
BROKER = {
    "log.retention.bytes": str(256 * MIB),
    "log.segment.bytes": str(64 * MIB),
    "log.retention.check.interval.ms": "10000",
    "log.cleaner.backoff.ms": "5000",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """The worker at a moment; `p99_s` is of the alerts since the sample before, None without one."""

    at_s: float
    rss_bytes: int
    cpu_share: float
    applied: int
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether memory and latency stayed flat, and by how much."""

    memory_ratio: float
    p99_before_s: float
    p99_after_s: float
    behind: int
    """Records sent and not applied at the end."""

    @property
    def flat(self) -> bool:
        """Tell whether everything stayed within the bounds."""
        allowed_s = LATENCY_GROWTH * self.p99_before_s + LATENCY_SLACK_S
        return self.memory_ratio <= MEMORY_GROWTH and self.p99_after_s <= allowed_s and not self.behind


def duration_s(text: str) -> float:
    """Return the seconds in `90s`, `10m` or `1h`; ValueError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None:
        msg = f"{text!r} is no duration such as 90s, 10m or 1h"
        raise ValueError(msg)
    return float(found[1]) * SECONDS[found[2]]


def judge(samples: Sequence[Sample], behind: int) -> Verdict:
    """Hold the last quarter of `samples` to the second."""
    quarter = max(1, len(samples) // 4)
    before, after = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    return Verdict(
        median(each.rss_bytes for each in after) / median(each.rss_bytes for each in before),
        _p99(before),
        _p99(after),
        behind,
    )


def _p99(samples: Sequence[Sample]) -> float:
    return median([each.p99_s for each in samples if each.p99_s is not None] or [0.0])


def plot(samples: Sequence[Sample]) -> str:
    """Return memory and latency over time as SVG."""
    hours = [each.at_s for each in samples]
    memory = [(at, each.rss_bytes / MIB) for at, each in zip(hours, samples, strict=True)]
    waits = [(each.at_s, each.p99_s * 1000) for each in samples if each.p99_s is not None] or [(0.0, 0.0)]
    parts = [
        _caption(60, f"memory, greatest {max(y for _, y in memory):.0f} MiB"),
        report.line(memory, 70, 100, report.COLOURS["worker"]),
        _caption(210, f"event to alert, p99 of each sample, greatest {max(y for _, y in waits):.0f} ms"),
        report.line(waits, 220, 100, report.COLOURS["stock"]),
    ]
    return report.svg(f"a worker under half its load, {hours[-1] / 60:.0f} minutes", parts, 340)


def _caption(y: int, text: str) -> str:
    return f'<text x="60" y="{y}">{text}</text>'


class Soak:
    """One run: how much the worker can carry, then half of that for a while."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        self.stage = stage
        self.seconds = seconds
        self.samples: list[Sample] = []

    def run(self) -> dict[str, Any]:
        """Return what was found."""
        table = self.stage.table("soak.", CUSTOMERS)
        workload = Workload(CUSTOMERS, seed=3, first=10**7)
        self.stage.feed("soak.", workload.backlog(CAPACITY_EVENTS, time.time()))
        applied = table.applied + CAPACITY_EVENTS
        with self.stage.worker("soak.") as worker:
            capacity = worker.run(applied, before=table.applied).per_s
            paced = Paced(self.stage.bootstrap, "soak.", LOAD * capacity, workload, PROBES_PER_S)
            say(f"it carries {capacity:,.0f} events/s; from now on half of that for {self.seconds:.0f} s")
            worker.mark()
            self._began = time.monotonic()
            self._seen = 0
            self._cpu_s = 0.0
            paced.run(self.seconds, lambda: self._sample(worker, paced), max(1.0, self.seconds / SAMPLES))
            total = applied + paced.sent
            worker.run(total, before=applied)
            behind = total - worker.applied()
        verdict = judge(self.samples, behind)
        return {
            "flat": verdict.flat,
            "seconds": self.seconds,
            "capacity_events_per_s": round(capacity),
            "rate_events_per_s": round(LOAD * capacity),
            "events": paced.sent,
            "load_average": load_average(),
            **asdict(verdict),
            "samples": [asdict(each) for each in self.samples],
        }

    def _sample(self, worker: Any, paced: Paced) -> None:
        waits = paced.waits[self._seen :]
        self._seen = len(paced.waits)
        spent_s, at_s = worker.spent()
        passed_s = at_s - (self.samples[-1].at_s if self.samples else 0.0)
        share = (spent_s - self._cpu_s) / passed_s if passed_s else 0.0
        self._cpu_s = spent_s
        p99_s = percentile(waits, 0.99) if waits else None
        self.samples.append(Sample(at_s, rss_bytes(worker.pid), round(share, 3), paced.sent, p99_s))


def say(line: str) -> None:
    """Tell a person how far it is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run, say what was found, and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--for", dest="seconds", type=duration_s, default=3600.0, help="for example 90s, 10m, 1h"
    )
    parser.add_argument("--json", type=Path, help="write everything sampled to this file")
    parser.add_argument("--plot", type=Path, help="write the curves to this file (SVG)")
    chosen = parser.parse_args(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    free = cores()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="cx-soak-") as folder,
            pinned(free[1:] or free),
            LocalKafka(Path(folder) / "kafka", extra_properties=BROKER) as broker,
        ):
            soak = Soak(Stage(broker.bootstrap_servers, Path(folder), free[0]), chosen.seconds)
            found = soak.run()
    except CxError as error:
        say(f"error: {error.message}\n  try: {error.mend}")
        return error.code
    said = {name: value for name, value in found.items() if name != "samples"}
    sys.stdout.write(orjson.dumps(said, option=orjson.OPT_INDENT_2).decode() + "\n")
    if chosen.json:
        chosen.json.write_bytes(
            orjson.dumps({"machine": machine(), **found}, option=orjson.OPT_INDENT_2) + b"\n"
        )
    if chosen.plot:
        chosen.plot.write_text(plot(soak.samples))
    return os.EX_OK if found["flat"] else FAILED


if __name__ == "__main__":
    sys.exit(main())
