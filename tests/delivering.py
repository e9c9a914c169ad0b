"""For tests of the delivery: alerts, a receiver on a real socket, and a clock that jumps over waiting."""

import asyncio
import base64
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import time
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import orjson
from aiohttp import web

from schemas.deliveries import Settlement
from streams.delivery.alert import Alert
from streams.delivery.alert import decode as decode_alert
from streams.delivery.book import Memory
from streams.delivery.client import Answer, Result
from streams.delivery.courier import Message, Shared
from streams.delivery.figures import Figures
from streams.delivery.quiet import QuietHours
from streams.delivery.receivers import Receiver, Url
from streams.delivery.routes import Endpoint
from streams.delivery.signing import Key

T = TypeVar("T")
NOON = 1_790_000_000.0 - 1_790_000_000 % 86_400 + 43_200
"""A noon in UTC."""
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
IDLE_ROUNDS = 25
"""Turns of the loop in which everything that can go on has gone on."""


def alert_document(**changes: Any) -> dict[str, Any]:
    """Return an announced step as the worker publishes it, with more fields than the delivery reads."""
    return {
        "alert_id": "a1",
        "customer_id": "anna",
        "step": "announced",
        "severity": "high",
        "rule": "churn_risk",
        "reason": "Churn risk within 90 days is 81%, driven by late delivery.",
        "at": "2026-09-21T12:00:00Z",
        "announced": True,
        "churn_probability": 0.81,
        "horizon_days": 90,
        "experience": 31.4,
        "coverage": {"experience": 0.9, "service": 0.2},
        **changes,
    }


def alert_bytes(**changes: Any) -> bytes:
    """Return the same as the record's value."""
    return orjson.dumps(alert_document(**changes))


def an_alert(**changes: Any) -> Alert:
    """Return the same as the delivery reads it."""
    return decode_alert(alert_bytes(**changes))


def a_message(published_s: float = NOON, **changes: Any) -> Message:
    """Return a message under way."""
    return Message("msg_1", an_alert(**changes), alert_bytes(**changes), published_s)


def a_receiver(url: str = "https://hooks.example.com/cx", tls: Any = None, **endpoint: Any) -> Receiver:
    """Return a receiver that is not read from files."""
    return Receiver("care", Endpoint(url=url, **endpoint), Url(url), (Key(b"k" * 24),), tls)


def night(*passes: str) -> QuietHours:
    """Return quiet hours from 11 to 14 in UTC: in the middle of them is noon."""
    return QuietHours(time(11), time(14), ZoneInfo("UTC"), frozenset(passes))


@dataclass(frozen=True)
class Record:
    """A record of cx.alerts."""

    offset: int
    value: bytes | None
    key: bytes | None = b"a1"
    timestamp: int = int(NOON * 1000)
    topic: str = "cx.alerts"
    partition: int = 2
    headers: tuple[tuple[str, bytes], ...] = ()


class VirtualClock:
    """Time that passes only when everybody waits, and then at once."""

    def __init__(self) -> None:
        self.at_s = NOON
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        """Wait until the time has come."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.at_s + seconds, self._count, future))
        await future

    async def settle(self) -> None:
        """Let everything go on that does not wait for time."""
        for _ in range(IDLE_ROUNDS):
            await asyncio.sleep(0)

    async def until(self, at_s: float) -> None:
        """Let time pass up to `at_s`."""
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= at_s:
            await self._wake()
        self.at_s = at_s

    async def finish(self, work: Awaitable[T]) -> T:
        """Let time pass until `work` is done and return what it returns."""
        task = asyncio.ensure_future(work)
        await self.settle()
        while not task.done():
            assert self._sleepers, "everybody waits for something that is not time"
            await self._wake()
        return await task

    async def _wake(self) -> None:
        due_s, _, future = heapq.heappop(self._sleepers)
        self.at_s = max(self.at_s, due_s)
        if not future.done():
            future.set_result(None)
        await self.settle()


@dataclass
class ScriptedClient:
    """Answers one attempt after the other as it is told; the last answer is for all that follow."""

    answers: list[Answer] = field(default_factory=lambda: [Answer(Result.ACCEPTED, 200)])
    clock: VirtualClock | None = None
    takes_s: float = 0.0
    sent: list[tuple[float, dict[str, str], bytes]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def post(self, receiver: Receiver, headers: dict[str, str], body: bytes) -> Answer:  # noqa: ARG002  # the protocol's
        """Note the attempt and return the next answer."""
        self.sent.append((self.clock.now_s() if self.clock else 0.0, headers, body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.clock is not None and self.takes_s:
            await self.clock.sleep(self.takes_s)
        self.at_once -= 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass
class MemoryBook:
    """Endings and dead letters as lists."""

    remembered: Memory = field(default_factory=Memory)
    settled: list[tuple[int, Settlement]] = field(default_factory=list)
    buried: list[tuple[Any, Settlement, str]] = field(default_factory=list)

    async def memory(self, partition: int) -> Memory:  # noqa: ARG002  # the protocol's
        """Return what was settled before."""
        return self.remembered

    async def settle(self, partition: int, settlement: Settlement) -> None:
        """Note an ending."""
        self.settled.append((partition, settlement))

    async def bury(self, record: Any, settlement: Settlement, why: str) -> None:
        """Note a dead letter."""
        self.buried.append((record, settlement, why))

    @property
    def endings(self) -> list[tuple[str, str]]:
        """Return (step, ending) in the order in which they were written down."""
        return [(each.step, each.ending) for _, each in self.settled]


def a_shared(client: Any, clock: VirtualClock, **more: Any) -> Shared:
    """Return what couriers share, in virtual time."""
    client.clock = clock
    return Shared(client=client, figures=Figures(["care"]), clock=clock, **more)


@asynccontextmanager
async def receiving(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], tls: Any = None
) -> AsyncIterator[int]:
    """Serve POSTs on a loopback port while the block runs; yields the port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
