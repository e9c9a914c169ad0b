"""Metrics and health under Faust's own command."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from streams.observe import service as module
from streams.observe.service import attach
from streams.observe.tally import LATENCY_BUCKETS_S, Histogram, Latencies, Tally
from streams.settings import Settings
from tests.customers import DEFAULT


def attached(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> tuple[Any, Any]:
    """Return the service that is attached to an application of 7 partitions, and the handler."""

    async def seven(_: Any) -> int:
        return 7

    monkeypatch.setattr(module, "check_cluster", seven)
    services: list[Any] = []
    app = SimpleNamespace(
        service=services.append,
        started=False,
        lane=SimpleNamespace(settings=None, app=SimpleNamespace(started=False)),
    )
    observed: Any = SimpleNamespace(
        scorer=DEFAULT,
        event_clock=False,
        partitions=0,
        tally=Tally(),
        alert_latency=Histogram(LATENCY_BUCKETS_S),
        latencies=Latencies(),
        desks={},
        censuses={},
    )
    attach(app, settings, observed)
    return services[0](), observed


async def test_the_server_lives_as_long_as_the_service(monkeypatch: pytest.MonkeyPatch):
    """It answers while the application runs, knows the partition count, and lets the port go."""
    service, observed = attached(monkeypatch, Settings(metrics_port=0))
    await service.on_start()
    url = service.server.url
    assert observed.partitions == 7
    thread = service.server._thread
    assert thread.is_alive()
    await service.on_stop()
    assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))


async def test_stopping_before_the_start_does_nothing(monkeypatch: pytest.MonkeyPatch):
    """An application that failed to start is stopped too."""
    service, _ = attached(monkeypatch, Settings(metrics_port=0))
    await service.on_stop()
    assert service.server is None
