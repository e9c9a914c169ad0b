"""A stopwatch of CPU and wall time for the programs that measure themselves."""

import time

from tests.bench.measure import rss_bytes
from tests.bench.processes import Run


class Stopwatch:
    """Runs from when it is made until `stop`."""

    def __init__(self) -> None:
        self._began = time.process_time(), time.monotonic()
        self._took = (0.0, 0.0)

    def stop(self) -> None:
        """Take the time."""
        self._took = time.process_time() - self._began[0], time.monotonic() - self._began[1]

    def run(self, records: int, pid: int) -> Run:
        """Return what was measured for `records` by the process `pid`."""
        cpu, wall = self._took
        return Run(records, cpu, wall, rss_bytes(pid))
