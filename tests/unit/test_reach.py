"""Why a broker cannot be reached, told from what a port does; real brokers are in the integration tests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from streams import reach
from streams.local_kafka.wire import free_port
from streams.reach import unreachable


@asynccontextmanager
async def port(answer: Callable[[asyncio.StreamWriter], None]) -> AsyncIterator[str]:
    """Yield the address of a server that does `answer` to each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def hang_up(_: asyncio.StreamWriter) -> None:
    """Say nothing."""


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("PLAINTEXT", "ends the connection of a client without a user"),
        ("SASL_PLAINTEXT", "does not answer as a Kafka broker"),
    ],
)
async def test_a_port_that_hangs_up(protocol: str, said: str):
    """A listener that wants users hangs up on strangers; who hangs up on a user is no broker."""
    async with port(hang_up) as address:
        options = {"bootstrap_servers": [address], "security_protocol": protocol}
        if protocol != "PLAINTEXT":
            options |= {"sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "u"}
            options |= {"sasl_plain_password": "p"}
        assert said in (await unreachable(options)).message


async def test_the_first_address_that_answers_says_why():
    """One broker that is away is no cause while another can tell more."""
    away = f"127.0.0.1:{free_port()}"
    assert (await unreachable({"bootstrap_servers": away})).message == f"no Kafka broker answers at {away}"
    async with port(hang_up) as address:
        assert address in (await unreachable({"bootstrap_servers": f"{away},{address}"})).message


async def test_a_broker_that_leads_nowhere(monkeypatch: pytest.MonkeyPatch):
    """It answers, and names brokers that do not: the addresses that it advertises are wrong."""

    async def answered(_: Any) -> None:
        return None

    async def connect(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(send=answered, close=lambda: None)

    monkeypatch.setattr(reach, "create_conn", connect)
    found = await unreachable({"bootstrap_servers": ["kafka:9092"]})
    assert "leads to brokers that do not" in found.message
    assert "advertised.listeners" in found.mend
