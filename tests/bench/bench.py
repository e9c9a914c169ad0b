"""`make bench`: speed, recovery, latency and memory of a worker, beside stock Faust and the floor.

python tests/bench/bench.py [--quick] [--json FILE] [--only lane,recovery,...] [--docs]

It starts its own Kafka. The measured process has one core for itself; the broker and the feed share the
others. Nothing else should run on the machine: the load average is kept beside the figures.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from streams.errors import CxError  # noqa: E402  # run as a program, the repository is not on the path
from streams.local_kafka.node import LocalKafka  # noqa: E402  # as above
from tests.bench import cases, report  # noqa: E402  # as above
from tests.bench.measure import cores, load_average, machine, pinned  # noqa: E402  # as above
from tests.bench.stage import Stage  # noqa: E402  # as above

PARTS = ("lane", "recovery", "cost", "latency", "workers", "score")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    events: int
    rounds: int
    table: int
    cost_customers: tuple[int, ...]
    cost_events: int
    latency_s: float
    score_events: int


FULL = Size(1_000_000, 3, 1_000_000, (10_000, 100_000, 1_000_000), 200_000, 60.0, 1_000_000)
QUICK = Size(200_000, 1, 200_000, (10_000, 100_000), 100_000, 15.0, 200_000)


def say(line: str) -> None:
    """Tell a person how far it is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def measure(stage: Stage, size: Size, parts: frozenset[str]) -> dict[str, Any]:
    """Return the details by part; a part that was not asked for is left out."""
    found: dict[str, Any] = {}
    if "lane" in parts:
        say(f"{size.events:,} events, {size.rounds} rounds of stock, worker, floor (CPU s per million):")
        found["lane"] = cases.lane(stage, size.events, size.rounds, say)
    if "workers" in parts and "lane" in found:
        found["two_workers"] = cases.two_workers(stage, size.events, found["lane"]["worker"]["events_per_s"])
    if "latency" in parts:
        say(f"latency at {cases.LATENCY_RATE:,} events/s for {size.latency_s:.0f} s")
        found["latency"] = cases.latency(stage, size.latency_s)
    if parts & {"recovery", "cost"}:
        found |= _tables(stage, size, parts)
    if "score" in parts:
        say(f"cx score on {size.score_events:,} generated events and on CDNOW")
        found["score"] = cases.score(stage.folder, stage.core, size.score_events)
    return found


def _tables(stage: Stage, size: Size, parts: frozenset[str]) -> dict[str, Any]:
    """Recovery and cost share their tables: putting a million rows onto the broker takes a while."""
    wanted = set(size.cost_customers if "cost" in parts else ()) | (
        {size.table} if "recovery" in parts else set()
    )
    found: dict[str, Any] = {}
    for customers in sorted(wanted):
        say(f"a table of {customers:,} customers")
        table = stage.table(f"t{customers}.", customers)
        if "recovery" in parts and customers == size.table:
            found["recovery"] = cases.recovery(stage, table)
        if "cost" in parts and customers in size.cost_customers:
            found.setdefault("cost", []).append(cases.cost(stage, table, size.cost_events))
    return found


def run(size: Size, parts: frozenset[str]) -> dict[str, Any]:
    """Start a Kafka, measure, and return the report."""
    free = cores()
    began, load = time.monotonic(), load_average()
    with (
        tempfile.TemporaryDirectory(prefix="cx-bench-") as folder,
        pinned(free[2:] or free[1:] or free),
        LocalKafka(Path(folder) / "kafka") as broker,
    ):
        second = free[1] if len(free) > 2 else None
        stage = Stage(broker.bootstrap_servers, Path(folder), free[0], second)
        found = measure(stage, size, parts)
    found["seconds"] = round(time.monotonic() - began)
    found["load_average_before"] = load
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and write what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller and once: under 4 minutes")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts of: {', '.join(PARTS)}")
    parser.add_argument(
        "--docs", action="store_true", help="write docs/benchmarks.svg and the table beside it"
    )
    chosen = parser.parse_args(arguments)
    # A topic that was just made has no leader for a moment: the client tries again, and says so each time.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    parts = frozenset(chosen.only.split(","))
    if unknown := parts - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    try:
        details = run(QUICK if chosen.quick else FULL, parts)
    except CxError as error:
        say(f"error: {error.message}\n  try: {error.mend}")
        return error.code
    flags = " ".join(["--quick"] * chosen.quick + [f"--only {chosen.only}"] * (parts != set(PARTS)))
    figures = report.figures(details, machine(), f'make bench ARGS="{flags}"' if flags else "make bench")
    sys.stdout.write(report.table(figures))
    if chosen.json:
        chosen.json.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2) + b"\n")
    if chosen.docs:
        report.write_docs(figures, ROOT / "docs")
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
