"""How late an event loop calls back: what stands in the way of heartbeats, commits and scrapes."""

import asyncio
from typing import Final

from streams.observe.histogram import Histogram

EVERY_S: Final = 0.25
LAG_BUCKETS_S: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class LoopProbe:
    """Asks `loop` for a call four times a second and counts by how much each came late."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.lag = Histogram(LAG_BUCKETS_S)
        self._loop = loop
        self._stopped = False

    def start(self) -> None:
        """Begin; call in the loop's thread."""
        if not self._stopped:
            due_s = self._loop.time() + EVERY_S
            self._loop.call_at(due_s, self._called, due_s)

    def stop(self) -> None:
        """End, from any thread: at most one more call comes, and asks for no other."""
        self._stopped = True

    def _called(self, due_s: float) -> None:
        self.lag.observe(max(0.0, self._loop.time() - due_s))
        self.start()
