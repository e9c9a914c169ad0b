"""One attempt to post a message: no redirect, no cookie, no proxy, bounded in time and in what is read."""

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, Protocol, Self

import aiohttp

from streams import __version__
from streams.delivery.addresses import ForbiddenAddressError, socket_factory
from streams.delivery.receivers import Receiver

MOST_READ: Final = 16 << 10
"""Bytes of an answer that are read, so that the connection can be used again; a longer one closes it."""
IDLE_S: Final = 60.0
LONGEST_RETRY_AFTER_S: Final = 3600.0


class Result(StrEnum):
    """How an attempt went: one word for the metric's label and the log."""

    ACCEPTED = "accepted"
    REDIRECT = "redirect"
    STATUS_4XX = "status_4xx"
    STATUS_5XX = "status_5xx"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an attempt."""

    result: Result
    status: int | None = None
    retry_after_s: float | None = None
    """How long the receiver asks to be left alone."""
    why: str = ""
    """Of a failure without a status: what failed, without the address."""


class Client(Protocol):
    """Posts one message."""

    async def post(self, receiver: Receiver, headers: dict[str, str], body: bytes) -> Answer:
        """Return what became of it; only a cancellation is raised."""


class HttpClient:
    """Posts over HTTP. Use it as an asynchronous context manager; sessions are made as they are needed."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def post(self, receiver: Receiver, headers: dict[str, str], body: bytes) -> Answer:
        """Return what became of one attempt; only a cancellation is raised."""
        session = self._sessions.get(receiver.name)
        if session is None:
            session = self._sessions[receiver.name] = _session(receiver)
        try:
            async with session.post(
                receiver.url.text, data=body, headers=headers, allow_redirects=False
            ) as response:
                await _drain(response)
                return self._judged(response)
        except TimeoutError:
            return Answer(Result.TIMEOUT, why=f"no answer within {receiver.endpoint.timeout_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failed(error)

    def _judged(self, response: aiohttp.ClientResponse) -> Answer:
        status = response.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return Answer(Result.ACCEPTED, status)
        wait_s = None
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            wait_s = retry_after_s(response.headers.get("Retry-After", ""), self._now_s())
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Answer(Result.STATUS_5XX, status, wait_s)
        redirect = status < HTTPStatus.BAD_REQUEST
        return Answer(Result.REDIRECT if redirect else Result.STATUS_4XX, status, wait_s)


def _session(receiver: Receiver) -> aiohttp.ClientSession:
    endpoint = receiver.endpoint
    connector = aiohttp.TCPConnector(
        ssl=receiver.tls or True,
        limit=endpoint.most_at_once,
        keepalive_timeout=IDLE_S,
        # A name is looked up for each connection: a receiver that moves is found at once.
        use_dns_cache=False,
        socket_factory=socket_factory(allow_private=endpoint.allow_private),
    )
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=endpoint.timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"cx-signals/{__version__}", "Content-Type": "application/json"},
        auto_decompress=False,
        trust_env=False,
    )


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short answer to its end; close the connection of a long one, which nobody wants to read."""
    read = 0
    # The status is known: a rest that breaks off or never ends does not change it.
    with suppress(aiohttp.ClientError, TimeoutError):
        async for chunk in response.content.iter_any():
            read += len(chunk)
            if read > MOST_READ:
                response.close()
                return


def _failed(error: Exception) -> Answer:
    """Name the kind of a failure; the client's own words may hold the address."""
    causes = list(_causes(error))
    if any(isinstance(each, ForbiddenAddressError) for each in causes):
        return Answer(Result.ADDRESS, why="it leads to an address that is not permitted")
    for each in causes:
        # aiohttp's own errors claim to be those of ssl, without their attributes.
        if distrusted := getattr(each, "verify_message", ""):
            return Answer(Result.TLS, why=f"its certificate is not trusted: {distrusted}")
        if isinstance(each, ssl.SSLError) and (reason := getattr(each, "reason", "")):
            return Answer(Result.TLS, why=f"TLS failed: {reason}")
    return Answer(Result.CONNECTION, why=_in_words(causes))


def _in_words(causes: list[BaseException]) -> str:
    """Say what failed in the system's own words: asyncio puts the address into its own."""
    for each in causes:
        if isinstance(each, socket.gaierror | aiohttp.ClientConnectorDNSError):
            return "its name cannot be looked up"
        if isinstance(each, OSError) and each.errno:
            return os.strerror(each.errno).lower()
    return type(causes[0]).__name__


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            waiting += [each.__cause__, each.__context__, getattr(each, "os_error", None)]
            waiting.append(getattr(each, "certificate_error", None))
    return found


def retry_after_s(text: str, now_s: float) -> float | None:
    """Return how long a Retry-After asks to wait, at most an hour; None where it says nothing."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), LONGEST_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - datetime.fromtimestamp(now_s, UTC)).total_seconds()), LONGEST_RETRY_AFTER_S)
