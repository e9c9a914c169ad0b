"""The processes that are measured: the product's worker, and the two it is compared with."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import orjson

from streams.cli.worker import worker_command
from tests.bench.measure import cpu_s, pinned, rss_bytes

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.02
QUIET_S = 0.4
"""A worker that did next to nothing for so long has nothing more to do, or waits; then it is asked."""
BUSY_SHARE = 0.3
RECORDS = re.compile(r"^cx_records_total\{.*?\} (\S+)$", re.MULTILINE)
READY = re.compile(r"ready: .*; ([\d,]+) customers recovered in ([\d.]+) s; metrics (\S+)/metrics")


@dataclass(frozen=True, slots=True)
class Run:
    """What it took to apply a backlog."""

    records: int
    cpu_s: float
    wall_s: float
    rss_bytes: int

    @property
    def cpu_s_per_million(self) -> float:
        """Return CPU seconds for a million records."""
        return self.cpu_s / self.records * 1e6

    @property
    def per_s(self) -> float:
        """Return records applied in a second of wall time."""
        return self.records / self.wall_s

    @property
    def core_use(self) -> float:
        """Return wall throughput as a share of what the CPU time allows on one core."""
        return self.cpu_s / self.wall_s


def until(condition: Callable[[], T], what: str, wait_s: float = 120.0) -> T:
    """Return what `condition` returns once it is true; TimeoutError after `wait_s`."""
    deadline = time.monotonic() + wait_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            msg = f"{what}: not within {wait_s:.0f} s"
            raise TimeoutError(msg)
        time.sleep(POLL_S)
    return found


def environment() -> dict[str, str]:
    """Return the environment of a measured process: this repository first on its path."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Worker:
    """`cx worker` on a core of its own."""

    def __init__(self, bootstrap: str, prefix: str, app_id: str, folder: Path, core: int, **env: Any) -> None:
        self.core = core
        self.recovered = 0
        self.recovery_s = 0.0
        self.start_s = 0.0
        """Time from the start of the process to the ready line."""
        self._url = ""
        self._log = folder / f"{app_id}.log"
        given = {
            "CX_BOOTSTRAP_SERVERS": bootstrap,
            "CX_TOPIC_PREFIX": prefix,
            "CX_APP_ID": app_id,
            "CX_DATA_DIR": folder / f"{app_id}-data",
            "CX_METRICS_PORT": 0,
            "CX_LOG_LEVEL": "warning",
            **env,
        }
        self._env = {**environment(), **{key: str(value) for key, value in given.items()}}
        self._process: subprocess.Popen[bytes] | None = None
        self._began = (0.0, 0.0)

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        if self._process is None:
            msg = "the worker was not started"
            raise RuntimeError(msg)
        return self._process.pid

    def start(self) -> Self:
        """Start the process and return when it is ready."""
        started = time.monotonic()
        with self._log.open("wb") as log, pinned({self.core}):
            self._process = subprocess.Popen(
                worker_command(), env=self._env, cwd=self._log.parent, stdout=log, stderr=subprocess.STDOUT
            )
        found = until(self._ready, "the ready line")
        assert found is not None, "`until` returns what is true"
        self._began = cpu_s(self.pid), time.monotonic()
        self.start_s = time.monotonic() - started
        self.recovered, self.recovery_s = int(found[1].replace(",", "")), float(found[2])
        self._url = found[3]
        return self

    def _ready(self) -> re.Match[str] | None:
        said = self._log.read_text(errors="replace")
        if self._process is not None and self._process.poll() is not None:
            msg = f"the worker ended with {self._process.returncode}:\n{said[-2000:]}"
            raise RuntimeError(msg)
        return READY.search(said)

    def applied(self) -> int:
        """Return the records applied since the changelog was made."""
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=30) as answer:  # noqa: S310  # our own
            return int(sum(map(float, RECORDS.findall(answer.read().decode()))))

    def mark(self) -> None:
        """Measure from now on."""
        self._began = cpu_s(self.pid), time.monotonic()

    def spent(self) -> tuple[float, float]:
        """Return CPU and wall seconds since the mark."""
        return cpu_s(self.pid) - self._began[0], time.monotonic() - self._began[1]

    def run(self, total: int, *, before: int = 0, wait_s: float = 900.0) -> Run:
        """Return what it took to get from `before` records (at the mark) to `total`.

        The worker is asked only when it has gone quiet: a question costs it time.
        """
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            spent_s, wall_s = self._until_quiet()
            if self.applied() >= total:
                return Run(total - before, spent_s, wall_s, rss_bytes(self.pid))
        msg = f"{self.applied():,} of {total:,} records applied within {wait_s:.0f} s"
        raise TimeoutError(msg)

    def _until_quiet(self) -> tuple[float, float]:
        """Return CPU and wall seconds from the mark to the last moment of work."""
        last = window = self.spent()
        while True:
            time.sleep(POLL_S)
            now = self.spent()
            if now[0] - window[0] > BUSY_SHARE * QUIET_S:
                last = window = now
            elif now[1] - window[1] > QUIET_S:
                return last
            elif now[0] - last[0] > BUSY_SHARE * (now[1] - last[1]):
                last = now

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the process."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(60)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def compared(module: str, arguments: Sequence[str], core: int, folder: Path) -> Run:
    """Run `tests.bench.<module>` on `core`; it prints what it took as its last line."""
    allowed: Collection[int] = {core}
    with pinned(allowed):
        done = subprocess.run(
            [sys.executable, "-m", f"tests.bench.{module}", *arguments],
            cwd=ROOT,
            env={**environment(), "CX_DATA_DIR": str(folder)},
            capture_output=True,
            check=False,
        )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        msg = f"{module} ended with {done.returncode}:\n{done.stderr.decode(errors='replace')[-2000:]}"
        raise RuntimeError(msg)
    return Run(**orjson.loads(lines[-1]))
