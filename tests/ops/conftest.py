"""One worker under load, scraped by a real Prometheus, for all tests of this tier."""

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ops.live import LiveDelivery, LiveWorker
from tests.ops.programs import RULE_TESTS, Monitoring, Webhook, last_week, program, run


@dataclass(frozen=True)
class Stack:
    """What runs."""

    worker: LiveWorker
    delivery: LiveDelivery
    monitoring: Monitoring
    webhook: Webhook


@pytest.fixture(scope="session", autouse=True)
def rule_tests() -> Iterator[Mapping[Path, "Future[None]"]]:
    """Begin promtool's tests, one after the other: they compute while the other tests wait."""
    program("promtool")
    with ThreadPoolExecutor(1) as pool:
        yield {path: pool.submit(run, "promtool", "test", "rules", path) for path in RULE_TESTS}
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a worker under load, with everything around it started and scraping."""
    program("prometheus")
    program("promtool")
    program("prometheus-alertmanager", "alertmanager")
    worker, delivery, webhook = LiveWorker(), LiveDelivery(), Webhook()
    targets = {"cx-worker": worker.target, "cx-deliver": delivery.target}
    monitoring = Monitoring(tmp_path_factory.mktemp("ops"), targets, webhook.url)
    ended = threading.Event()
    delivering = threading.Thread(target=_deliver, args=(delivery, ended))
    worker.start()
    delivering.start()
    try:
        monitoring.backfill(last_week("store", time.time()))
        monitoring.start()
        yield Stack(worker, delivery, monitoring, webhook)
    finally:
        monitoring.stop()
        ended.set()
        delivering.join()
        worker.stop()
        delivery.stop()
        webhook.stop()


def _deliver(delivery: LiveDelivery, ended: threading.Event) -> None:
    while not ended.wait(0.2):
        delivery.deliver()
