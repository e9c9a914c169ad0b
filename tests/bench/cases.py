"""What is measured, one function a figure."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from streams.demo.datasets import cdnow
from streams.demo.feed import Record
from streams.demo.generator import generate
from tests.bench.latency import Paced
from tests.bench.measure import is_compiled, load_average, percentile, pinned, rss_bytes
from tests.bench.processes import ROOT, Run, Worker, compared, environment, until
from tests.bench.stage import Stage, Table
from tests.bench.workload import Workload

CUSTOMERS = 100_000
STOCK_SHARE = 10
"""The baseline gets this fraction of the events: it would take most of the time else."""
LATENCY_RATE = 1_000
Say = Callable[[str], None]
Found = dict[str, Any]


def lane(stage: Stage, events: int, rounds: int, say: Say) -> Found:
    """Measure the baseline, the worker and the floor in turns, on the same records."""
    event_bytes = stage.backlog("lane.", CUSTOMERS, events)
    stage.backlog("stock.", CUSTOMERS, max(1, events // STOCK_SHARE))
    runs: dict[str, list[Run]] = {"stock": [], "worker": [], "floor": []}
    loads = []
    for number in range(rounds):
        runs["stock"].append(_stock(stage, events // STOCK_SHARE, number))
        with stage.worker("lane.", f"lane-{number}") as worker:
            runs["worker"].append(worker.run(events))
        runs["floor"].append(
            compared("floor", (stage.bootstrap, "lane.", str(events)), stage.core, stage.folder)
        )
        loads.append(load_average())
        say("  " + ", ".join(f"{name} {each[-1].cpu_s_per_million:.2f}" for name, each in runs.items()))
    return {
        "events": events,
        "customers": CUSTOMERS,
        "event_bytes": round(event_bytes),
        "load_average": loads,
        **{name: summary(each) for name, each in runs.items()},
    }


def _stock(stage: Stage, events: int, number: int) -> Run:
    app_id = f"stock-{number}"
    return compared("stock", (stage.bootstrap, "stock.", app_id, str(events)), stage.core, stage.folder)


def summary(runs: Iterable[Run]) -> Found:
    """Return the medians over runs, and each run."""
    runs = list(runs)
    return {
        "cpu_s_per_million": round(median(each.cpu_s_per_million for each in runs), 2),
        "events_per_s": round(median(each.per_s for each in runs)),
        "core_use": round(median(each.core_use for each in runs), 3),
        "rss_mib": round(median(each.rss_bytes for each in runs) / 2**20),
        "runs": [asdict(each) for each in runs],
    }


def recovery(stage: Stage, table: Table) -> Found:
    """Measure reading a table, the memory it takes, and the way back after kill -9 (static membership)."""
    with stage.worker(table.prefix, CX_STATIC_ID="one") as worker:
        resident = rss_bytes(worker.pid)
        first_s, first_rows = worker.recovery_s, worker.recovered
        worker.stop(signal.SIGKILL)
        worker.start()
        back_s, again_s = worker.start_s, worker.recovery_s
    best_s = min(first_s, again_s)
    return {
        "rows": first_rows,
        "row_bytes": round(table.row_bytes / table.customers),
        "recovery_s": [first_s, again_s],
        "rows_per_s": round(first_rows / best_s),
        "mb_per_s": round(table.row_bytes / best_s / 1e6, 1),
        "ready_after_kill_s": round(back_s, 2),
        "ready_beyond_recovery_s": round(back_s - again_s, 2),
        "bytes_per_customer": round((resident - table.base_bytes) / table.customers),
        "base_mib": round(table.base_bytes / 2**20),
        "rss_mib": round(resident / 2**20),
        "load_average": load_average(),
    }


def cost(stage: Stage, table: Table, events: int) -> Found:
    """Measure the worker on a table of a given size."""
    stage.feed(table.prefix, Workload(table.customers, seed=2, first=10**7).backlog(events, time.time()))
    with stage.worker(table.prefix, CX_STATIC_ID="one") as worker:
        run = worker.run(table.applied + events, before=table.applied)
    return {"customers": table.customers, "events": events, **summary([run])}


def latency(stage: Stage, seconds: float) -> Found:
    """Measure the time from producing an event to reading its alert, while 1,000 events/s come in."""
    prefix = "live."
    stage.create(prefix)
    with stage.worker(prefix) as worker:
        paced = Paced(stage.bootstrap, prefix, LATENCY_RATE, Workload(CUSTOMERS))
        paced.run(2.0)
        worker.mark()
        waits = paced.run(seconds)
        spent_s, wall_s = worker.spent()
        resident = rss_bytes(worker.pid)
    return {
        "rate": LATENCY_RATE,
        "seconds": seconds,
        "alerts": len(waits),
        "p50": round(percentile(waits, 0.5) * 1000, 1),
        "p99": round(percentile(waits, 0.99) * 1000, 1),
        "max": round(max(waits) * 1000, 1),
        "core_share": round(spent_s / wall_s, 3),
        "rss_mib": round(resident / 2**20),
        "load_average": load_average(),
    }


def two_workers(stage: Stage, events: int, one: float) -> Found:
    """Measure two workers on a core each against one; `one` is the events a second of one worker."""
    if stage.second_core is None:
        return {"measured": False, "why": "needs 3 cores or more"}
    pair = []
    for core in (stage.core, stage.second_core):
        folder = stage.folder / f"core-{core}"
        folder.mkdir()
        pair.append(Worker(stage.bootstrap, "lane.", "pair", folder, core).start())
    began, before = time.monotonic(), _together(pair)
    until(lambda: _together(pair) >= events, "the backlog applied by two workers", 900.0)
    rate = (events - before) / (time.monotonic() - began)
    for each in pair:
        each.stop()
    return {"measured": True, "events_per_s": round(rate), "ratio": round(rate / one, 2)}


def _together(pair: Iterable[Worker]) -> int:
    return sum(each.applied() for each in pair)


def score(folder: Path, core: int, events: int) -> Found:
    """Measure `cx score` on generated journeys and on CDNOW, compiled and from the sources."""
    files = {"generated": folder / "generated.jsonl", "cdnow": folder / "cdnow.jsonl"}
    counts = {
        "generated": _write(files["generated"], generate(events, seed=1)),
        "cdnow": _write(files["cdnow"], cdnow()),
    }
    trees = {"sources": _sources(folder)} | ({"compiled": ROOT} if is_compiled() else {})
    return {
        name: {
            "events": counts[name],
            **{kind: _score(tree, path, counts[name], core) for kind, tree in trees.items()},
        }
        for name, path in files.items()
    }


def _write(path: Path, records: Iterable[Record]) -> int:
    count = 0
    with path.open("wb") as out:
        for count, record in enumerate(records, 1):  # noqa: B007  # the number of the last is the count
            out.write(record.value + b"\n")
    return count


def _sources(folder: Path) -> Path:
    """Return a copy of the packages without what was compiled."""
    tree = folder / "sources"
    for name in ("streams", "schemas"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return tree


def _score(tree: Path, path: Path, events: int, core: int) -> Found:
    """Return events a second of CPU time, user and system of the whole process."""
    command = [sys.executable, "-m", "streams.cli.main", "score", "--json", str(path)]
    with pinned({core}), Path(os.devnull).open("wb") as out:
        process = subprocess.Popen(
            command, cwd=tree, env={**environment(), "PYTHONPATH": str(tree)}, stdout=out
        )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        msg = f"cx score ended with {process.returncode}"
        raise RuntimeError(msg)
    spent_s = usage.ru_utime + usage.ru_stime
    return {
        "events_per_cpu_s": round(events / spent_s),
        "cpu_s": round(spent_s, 2),
        "rss_mib": round(usage.ru_maxrss / 1024),
    }
