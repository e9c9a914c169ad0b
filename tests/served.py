"""A worker's HTTP server on a real socket, over a worker made of a few plain objects."""

import asyncio
import http.client
import math
import threading
from contextlib import closing
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import orjson

from streams.engine.marker import Position, new_marker
from streams.engine.stats import PartitionSnapshot, Snapshot, Stats
from streams.observe.placement import partition_of
from streams.observe.server import AdminServer
from streams.scoring.rows import pack
from streams.scoring.state import Episode
from tests.customers import event, row, seconds

PARTITIONS = 4
ANNA = partition_of(b"anna", PARTITIONS)
NEWEST = 1_790_000_000.0


def a_snapshot(**other: Any) -> Snapshot:
    """Return an engine that works on anna's partition."""
    partition = PartitionSnapshot(
        partition=ANNA,
        ready=True,
        problem="",
        rows=1,
        queue_bytes=0,
        watermark_s=-math.inf,
        sweep_passes=0,
        transactions=1,
        counts={"accepted": 3},
        inputs=(),
    )
    return Snapshot(Stats(), (replace(partition, **other),))


class Loop:
    """An event loop in a thread, as a worker's is for the server."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

    def close(self) -> None:
        """Stop and close the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@dataclass
class Served:
    """A server and what it serves."""

    server: AdminServer
    loop: Loop
    lane: Any
    observed: Any
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Return status and body of GET `path`; JSON is decoded."""
        host, port = self.server.url.removeprefix("http://").rsplit(":", 1)
        with closing(http.client.HTTPConnection(host, int(port), timeout=10)) as connection:
            connection.request("GET", path, headers=self.headers if headers is None else headers)
            response = connection.getresponse()
            body = response.read()
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status, orjson.loads(body) if is_json else body.decode()


STATE = row(
    [
        event("order.placed", 1.0, order_id="o", total=100, currency="EUR", lines=[]),
        event("visit.assisted", 2.0),
    ]
)
STATE.episodes[3] = Episode(2, seconds(2.0), None, "lost", 1, 5)
STATE.episodes[1] = Episode(1, seconds(1.0), seconds(2.0), "lost", 3, 5)


def a_lane() -> Any:
    """Return an engine that owns anna's partition, with anna's row in it."""
    marker = new_marker({"web": 0})
    newest = Position(3, 0, newest_event_s=NEWEST)
    state = SimpleNamespace(rows={b"anna": pack(STATE)}, marker=marker.replaced("web", newest))
    owned = SimpleNamespace(ready=True, state=state)
    return SimpleNamespace(
        snapshot=a_snapshot,
        app=SimpleNamespace(started=True),
        partitions={ANNA: owned},
    )
