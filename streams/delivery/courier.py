"""One message on its way to its receiver: attempts until it is accepted, refused, too old or not wanted."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

from schemas.deliveries import Ending, Pauses
from streams.delivery.alert import Alert
from streams.delivery.breaker import Breaker
from streams.delivery.client import Answer, Client, Result
from streams.delivery.figures import Figures
from streams.delivery.payload import body_of
from streams.delivery.quiet import QuietHours
from streams.delivery.receivers import Receiver
from streams.delivery.signing import sign

log = logging.getLogger(__name__)

FIRST_BACKOFF_S: Final = 1.0
LONGEST_BACKOFF_S: Final = 300.0
REFUSING: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Answers about the message, not about the receiver: they say nothing of the next message."""
LEAST_WAIT_S: Final = 0.05
"""A wait that rounds to nothing would be waited for again and again."""
STALL_S: Final = 2.0
"""After a standstill, time in which the broker can say that the partitions are somebody else's."""
REFUSALS: Final = 5
"""Attempts at a message that is refused: a receiver may be in the middle of an update."""


class Clock(Protocol):
    """Time, as tests may make their own."""

    def now_s(self) -> float:
        """Return seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


class WallClock:
    """The time that everybody else has."""

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)


@dataclass(slots=True, eq=False)
class Message:
    """A step that is to be delivered."""

    id: str
    alert: Alert
    value: bytes
    """The record's value: the alert as it was published."""
    published_s: float
    """When the worker published it: the record's timestamp."""
    trace: dict[str, str] = field(default_factory=dict)
    """Headers by which the receiver goes on with the trace of the event that raised the alert."""
    attempts: int = 0
    quiet_s: float = 0.0
    """Time that quiet hours have kept it, seconds: nobody was to be told then."""
    withdrawn: bool = False
    """Its alert is over: not told to whom it was not told yet."""
    erased: bool = False
    """Its alert is gone, perhaps with the customer: not told to anybody any more."""
    recalled: bool = False
    """The partition goes to another process: no attempt is begun any more."""
    busy: bool = False
    """An attempt is on its way, or its end is not written down yet."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the delivery of a message ended."""

    ending: Ending
    status: int | None = None
    why: str = ""


End = Callable[[Outcome], Awaitable[None]]


@dataclass(slots=True)
class Shared:
    """What all couriers of a delivery share."""

    client: Client
    figures: Figures
    clock: Clock = field(default_factory=WallClock)
    pauses: Pauses = field(default_factory=Pauses)
    """As they are now; whoever follows them replaces this."""
    quiet: QuietHours | None = None
    alive: Callable[[], bool] = lambda: True
    """False while this process may have lost its partitions without having been told."""
    spread: random.Random = field(default_factory=random.Random)
    """Spreads retries, so that messages that failed together do not come back together."""


class Courier:
    """Brings messages to one receiver, so many at once as it takes."""

    def __init__(self, receiver: Receiver, shared: Shared) -> None:
        self.receiver = receiver
        self.breaker = Breaker()
        self._shared = shared
        self._slots = asyncio.Semaphore(receiver.endpoint.most_at_once)

    async def deliver(self, message: Message, end: End) -> None:
        """Attempt until it has ended and tell `end` how; nothing is told of what is recalled before that.

        A message keeps its place until its end is written down: after a crash, no more than `most_at_once`
        are sent a second time.
        """
        clock, last = self._shared.clock, Answer(Result.CONNECTION)
        deadline_s = message.published_s + self.receiver.endpoint.max_age_s
        while not message.recalled:
            if ending := self._unwanted(message):
                return await end(Outcome(ending, last.status))
            now_s = clock.now_s()
            if now_s >= deadline_s:
                return await end(Outcome("expired", last.status, _expired(message, last)))
            wait_s = quiet_s = self._quiet_s(message, now_s)
            if not quiet_s:
                async with self._slots:
                    wait_s = self._blocked_s()
                    if not wait_s and not self._unwanted(message):
                        last = await self._attempt(message)
                        if ended := _ended(message, last):
                            return await end(ended)
                        message.busy = False
                        wait_s = self._backoff_s(message.attempts)
            await clock.sleep(max(LEAST_WAIT_S, min(wait_s, deadline_s - clock.now_s())))
            if quiet_s:
                message.quiet_s += clock.now_s() - now_s
        return None

    def _unwanted(self, message: Message) -> Ending | None:
        if self._shared.pauses.since(message.published_s):
            return "paused"
        if message.erased or (message.withdrawn and not message.attempts):
            return "withdrawn"
        return None

    def _quiet_s(self, message: Message, now_s: float) -> float:
        quiet, alert = self._shared.quiet, message.alert
        until_s = quiet.until_s(now_s, alert.timezone, alert.severity) if quiet is not None else None
        return 0.0 if until_s is None else until_s - now_s

    def _blocked_s(self) -> float:
        """Return how long no message at all may be sent; asked again by then."""
        if not self._shared.alive():
            return STALL_S
        return self.breaker.wait_s(self._shared.clock.now_s())

    def _backoff_s(self, attempts: int) -> float:
        longest = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(attempts - 1, 20))
        return longest * self._shared.spread.uniform(0.5, 1.0)

    async def _attempt(self, message: Message) -> Answer:
        shared, receiver = self._shared, self.receiver
        message.attempts += 1
        message.busy = True
        self.breaker.began()
        try:
            body = body_of(receiver.endpoint.format, message.alert, message.value)
            headers = sign(message.id, int(shared.clock.now_s()), body, receiver.keys)
            answer = await shared.client.post(receiver, headers | message.trace, body)
        except BaseException:
            self.breaker.left()
            raise
        self._note(answer)
        shared.figures.attempts.labels(receiver.name, answer.result.value).inc()
        return answer

    def _note(self, answer: Answer) -> None:
        """Tell the breaker, and whoever reads the log when it opens or closes."""
        breaker, now_s, was_open = self.breaker, self._shared.clock.now_s(), self.breaker.open
        if answer.result is Result.ACCEPTED or answer.status in REFUSING:
            breaker.succeeded()
        elif answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            breaker.left()
        else:
            breaker.failed(now_s)
        if answer.retry_after_s is not None:
            breaker.hold(now_s + answer.retry_after_s)
        if breaker.open is not was_open:
            said = answer.why or f"it answered {answer.status}"
            if breaker.open:
                log.warning("%s is left alone for a while: %s", self.receiver.name, said)
            else:
                log.warning("%s accepts messages again", self.receiver.name)
            self._shared.figures.breaker_open.labels(self.receiver.name).set(breaker.open)


def _expired(message: Message, last: Answer) -> str:
    if not message.attempts:
        return "it was too old at its first attempt"
    return last.why or f"the last of {message.attempts} attempts was answered {last.status}"


def _ended(message: Message, answer: Answer) -> Outcome | None:
    """Return the outcome that an answer makes final, None where it is to be tried again."""
    if answer.result is Result.ACCEPTED:
        return Outcome("accepted", answer.status)
    if answer.status == HTTPStatus.GONE:
        return Outcome("gone", answer.status, "the receiver wants no more messages")
    if answer.status in REFUSING and message.attempts >= REFUSALS:
        return Outcome("refused", answer.status, f"refused {message.attempts} times")
    return None
