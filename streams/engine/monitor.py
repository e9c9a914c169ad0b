"""The monitor: Faust's own, without what it counts of every message."""

from typing import Any

import faust


class LaneMonitor(faust.Monitor):  # type: ignore[misc]  # Faust is untyped
    """Keeps Faust's figures of the worker; those of chunks nobody reads, the lane has its own."""

    def on_stream_event_in(self, *_: Any) -> None:
        """Hear that an agent begins with a chunk."""

    def on_stream_event_out(self, *_: Any) -> None:
        """Hear that an agent is done with a chunk."""
