"""The HTTP client against receivers on real sockets: bad ones, slow ones, and ones that lead elsewhere."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import pytest
import trustme
from aiohttp import web

from streams.delivery.client import Answer, HttpClient, Result, retry_after_s
from tests.delivering import NOON, a_receiver, receiving

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOCAL = {"allow_http": True, "allow_private": True, "timeout_s": 0.3}


async def post(port: int, host: str = "127.0.0.1", scheme: str = "http", **changes: Any) -> Answer:
    """Post one message to a receiver of this machine."""
    receiver = a_receiver(f"{scheme}://{host}:{port}/cx", **{**LOCAL, **changes})
    async with HttpClient(lambda: NOON) as client:
        return await client.post(receiver, {"webhook-id": "msg_1"}, b'{"a":1}')


def answering(status: int, **headers: str) -> Handler:
    """Return a receiver that answers the same to everything."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    return handler


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, Result.ACCEPTED),
        (204, Result.ACCEPTED),
        (301, Result.REDIRECT),
        (304, Result.REDIRECT),
        (401, Result.STATUS_4XX),
        (500, Result.STATUS_5XX),
    ],
)
async def test_a_status_is_a_result(status: int, result: Result):
    """2xx is accepted; everything else is not, and says what it was."""
    async with receiving(answering(status)) as port:
        assert await post(port) == Answer(result, status)


async def test_the_receiver_gets_body_and_headers():
    """The bytes that were signed arrive, as JSON, from a client that says who it is."""
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append((request.method, request.path, dict(request.headers), await request.read()))
        return web.Response(headers={"Set-Cookie": "a=1"})

    async with receiving(handler) as port:
        receiver = a_receiver(f"http://127.0.0.1:{port}/cx", **LOCAL)
        async with HttpClient(lambda: NOON) as client:
            await client.post(receiver, {"webhook-id": "msg_1"}, b'{"a":1}')
            await client.post(receiver, {"webhook-id": "msg_2"}, b'{"a":2}')
    method, path, headers, body = seen[0]
    assert (method, path, body, headers["webhook-id"]) == ("POST", "/cx", b'{"a":1}', "msg_1")
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("cx-signals/")
    assert "Cookie" not in seen[1][2]


async def test_redirects_are_not_followed():
    """A receiver cannot send us elsewhere, not even to itself."""
    paths: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with receiving(handler) as port:
        assert await post(port) == Answer(Result.REDIRECT, 307)
    assert paths == ["/cx"]


@pytest.mark.parametrize(("status", "result"), [(429, Result.STATUS_4XX), (503, Result.STATUS_5XX)])
async def test_retry_after_is_read(status: int, result: Result):
    """A busy receiver says when to come back."""
    async with receiving(answering(status, **{"Retry-After": "120"})) as port:
        assert await post(port) == Answer(result, status, 120.0)


async def test_retry_after_of_another_status_is_not_read():
    """An error that is none of being busy does not hold all messages."""
    async with receiving(answering(500, **{"Retry-After": "120"})) as port:
        assert await post(port) == Answer(Result.STATUS_5XX, 500)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("0", 0.0),
        (" 17 ", 17.0),
        ("99999999999999999999", 3600.0),
        (formatdate(NOON + 60, usegmt=True), 60.0),
        (formatdate(NOON - 60, usegmt=True), 0.0),
        (formatdate(NOON + 1e7, usegmt=True), 3600.0),
        ("Mon, 21 Sep 2026 12:00:10 -0000", 10.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("\N{SUPERSCRIPT TWO}", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, wait_s: float | None):
    """Seconds or an HTTP date, at most an hour; anything else says nothing."""
    assert retry_after_s(text, NOON) == wait_s


async def test_a_receiver_that_never_answers_times_out():
    """The attempt ends after the endpoint's timeout_s."""
    never = asyncio.Event()

    async def handler(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    async with receiving(handler) as port:
        assert await post(port) == Answer(Result.TIMEOUT, why="no answer within 0.3 s")


async def endless(request: web.Request) -> web.StreamResponse:
    """Answer with a body that never ends, as fast as it is read."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def drip(request: web.Request) -> web.StreamResponse:
    """Answer 200, one byte of the body, and then nothing for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x")
    await asyncio.Event().wait()
    return response


@pytest.mark.parametrize("handler", [endless, drip])
async def test_a_body_that_never_ends_is_not_read(handler: Handler):
    """The status is known: neither a huge nor a dripping body holds the delivery up, and it was accepted."""
    async with asyncio.timeout(5):
        async with receiving(handler) as port:
            assert await post(port) == Answer(Result.ACCEPTED, 200)


async def test_the_same_receiver_is_used_again():
    """A short answer is read to its end, so that the connection serves the next message."""
    peers: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        peers.append(request.transport.get_extra_info("peername") if request.transport else None)
        return web.Response(body=b"x" * 4000)

    async with receiving(handler) as port, HttpClient(lambda: NOON) as client:
        receiver = a_receiver(f"http://127.0.0.1:{port}/cx", **LOCAL)
        for _ in range(3):
            await client.post(receiver, {}, b"{}")
    assert len(peers) == 3
    assert len(set(peers)) == 1


async def hang_up(request: web.Request) -> web.Response:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_a_receiver_that_hangs_up_is_a_connection_that_failed():
    """Nothing is known of the message; the address is not in the words."""
    async with receiving(hang_up) as port:
        answer = await post(port)
    assert answer.result is Result.CONNECTION
    assert str(port) not in answer.why


async def test_nobody_listens():
    """The reason is the system's own, without the address."""
    async with receiving(hang_up) as port:
        pass
    answer = await post(port)
    assert answer == Answer(Result.CONNECTION, why="connection refused")


async def test_a_name_that_does_not_exist_is_told():
    """A slip in the address is said to be one."""
    answer = await post(80, "cx.invalid")
    assert answer == Answer(Result.CONNECTION, why="its name cannot be looked up")


async def test_what_is_no_http_is_a_connection_that_failed():
    """Garbage for an answer is no status."""

    async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server:
        assert (await post(server.sockets[0].getsockname()[1])).result is Result.CONNECTION


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "127.1", "0x7f.0.0.1"])
async def test_the_own_network_is_not_reached_by_any_spelling(host: str):
    """A loopback address is refused however it is written or named, and no connection is made."""
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    async with receiving(handler) as port:
        answer = await post(port, host, allow_private=False)
    assert answer.result in {Result.ADDRESS, Result.CONNECTION}  # some spellings are no address to the client
    assert asked == []


async def test_a_name_that_changes_its_address_gains_nothing(monkeypatch: pytest.MonkeyPatch):
    """The address is checked where it is connected to: an answer of DNS that is private is refused."""

    async def resolved(*_: Any, **__: Any) -> Any:
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    async with receiving(answering(200)) as port:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolved)
        answer = await post(port, "rebinding.example", allow_private=False)
    assert answer == Answer(Result.ADDRESS, why="it leads to an address that is not permitted")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return an authority that no system knows."""
    return trustme.CA()


def server_tls(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """Return what a receiver with a certificate for `name` serves with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Return a context that knows the authority, as a ca_file makes one."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_tls_with_an_own_authority(authority: trustme.CA):
    """A receiver whose certificate an own authority signed is reached with its ca_file."""
    async with receiving(answering(204), server_tls(authority, "127.0.0.1")) as port:
        assert await post(port, scheme="https", tls=client_tls(authority)) == Answer(Result.ACCEPTED, 204)


async def test_an_unknown_authority_is_refused(authority: trustme.CA):
    """Without the ca_file nothing is sent."""
    async with receiving(answering(204), server_tls(authority, "127.0.0.1")) as port:
        answer = await post(port, scheme="https")
    assert answer.result is Result.TLS
    assert answer.why.startswith("its certificate is not trusted: unable to get local issuer")


async def test_a_certificate_for_another_name_is_refused(authority: trustme.CA):
    """The name in the certificate must be that of the address."""
    async with receiving(answering(204), server_tls(authority, "other.example")) as port:
        answer = await post(port, scheme="https", tls=client_tls(authority))
    assert answer.result is Result.TLS
    assert "mismatch" in answer.why


async def test_a_receiver_without_tls_is_told():
    """Plain HTTP on the port of an https address is a failure of TLS, not one of the network."""
    async with receiving(answering(204)) as port:
        assert (await post(port, scheme="https")).result is Result.TLS
