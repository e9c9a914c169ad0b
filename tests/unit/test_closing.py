"""TLS connections end without waiting for the broker's farewell."""

import asyncio
import ssl
import time
from pathlib import Path

import pytest
from aiokafka.conn import AIOKafkaConnection

from streams import closing
from streams.connection import client_options
from streams.settings import Settings
from tests.secured import HOST, make_certificates


@pytest.fixture(autouse=True)
def _untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave aiokafka as it was."""
    monkeypatch.setattr(AIOKafkaConnection, "close", AIOKafkaConnection.close)


def test_plain_text_changes_nothing():
    """Without TLS there is nothing to wait for."""
    before = AIOKafkaConnection.close
    client_options(Settings())
    assert AIOKafkaConnection.close is before


async def test_a_peer_that_says_no_farewell_holds_nobody(tmp_path: Path):
    """The connection is closed at once although the other side never answers."""
    certificates = make_certificates(tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificates.broker)
    release = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await release.wait()
        writer.transport.abort()

    server = await asyncio.start_server(silent, HOST, 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]
    options = client_options(Settings(security_protocol="SSL", ssl_cafile=str(certificates.ca)))
    assert AIOKafkaConnection.close is closing.close
    connection = AIOKafkaConnection(HOST, port, security_protocol="SSL", ssl_context=options["ssl_context"])
    looking = asyncio.create_task(connection.connect())
    async with asyncio.timeout(5):
        while connection._writer is None:  # noqa: ASYNC110  # aiokafka sets no event for it
            await asyncio.sleep(0.01)
        started = time.monotonic()
        await connection.close()
    assert time.monotonic() - started < 2
    with pytest.raises(Exception, match="closed"):
        await looking
    release.set()
    server.close()
    await server.wait_closed()
