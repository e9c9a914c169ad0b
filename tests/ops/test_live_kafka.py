"""The internals of a worker on a real Kafka, seen by a real Prometheus; and a worker that is killed."""

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.local_kafka.wire import free_port
from streams.topics import STORE, WEB
from tests.live_worker import LiveWorker, Sent, send, until
from tests.ops.live import touchpoint
from tests.ops.programs import ROOT, Monitoring, Webhook, program
from tests.ops.test_live import chosen, numbers

pytestmark = [pytest.mark.ops, pytest.mark.kafka, pytest.mark.long]

MOVING = (
    'sum(cx_records_total{outcome="accepted"})',
    'rate(cx_transactions_total{result="committed"}[10s])',
    "rate(cx_commit_seconds_total[10s])",
    "rate(cx_rows_written_total[10s])",
    "rate(cx_changelog_bytes_total[10s])",
    "rate(cx_compute_seconds_total[10s])",
    "rate(cx_swept_customers_total[10s])",
    "rate(cx_loop_lag_seconds_count[10s])",
    "sum(cx_sweep_passes_total)",
    "cx_ready_seconds",
    "sum(cx_table_bytes)",
    "cx_ready",
    "process_resident_memory_bytes",
)
"""What stands still in memory, without a broker, moves here."""


@dataclass(frozen=True)
class Seen:
    """A worker on Kafka, and who watches it."""

    kafka: str
    worker: LiveWorker
    monitoring: Monitoring
    webhook: Webhook
    prefix: str

    def feed(self, number: int) -> None:
        """Send two events of a customer."""
        customer, now_s = f"c{number % 20}", time.time()
        order = touchpoint("order.placed", number, now_s, customer)
        visit = touchpoint("store.visited", number, now_s, customer)
        topics = (self.prefix + WEB.name, order), (self.prefix + STORE.name, visit)
        send(self.kafka, [Sent(topic, customer.encode(), value) for topic, value in topics])


@pytest.fixture
def seen(kafka: str, topic_prefix: str, tmp_path: Path) -> Iterator[Seen]:
    """Return a worker that is scraped by a Prometheus."""
    program("prometheus")
    program("prometheus-alertmanager", "alertmanager")
    port, webhook = free_port(), Webhook()
    settings = {"CX_PARTITIONS": 2, "CX_METRICS_PORT": port, "CX_SWEEP_INTERVAL_S": 1}
    worker = LiveWorker(kafka, topic_prefix, tmp_path, **settings).start("--create-topics")
    monitoring = Monitoring(tmp_path, {"cx-worker": f"127.0.0.1:{port}"}, webhook.url)
    monitoring.start()
    yield Seen(kafka, worker, monitoring, webhook, topic_prefix)
    monitoring.stop()
    worker.stop()
    webhook.stop()


def test_a_worker_on_kafka_moves_its_internals_and_is_missed_when_killed(seen: Seen):
    """Transactions, changelog, sweep and loop are seen; kill -9 is told within seconds, and its end too."""
    ask, fed = seen.monitoring.query, iter(range(1_000_000))

    def still() -> list[str]:
        seen.feed(next(fed))
        return [promql for promql in MOVING if not any(each > 0 for each in numbers(ask(promql)))]

    until(lambda: not still(), "everything moves", 40.0)
    board = json.loads((ROOT / "grafana/dashboards/cx-internals.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert [promql for promql in queries if not numbers(ask(chosen(promql)))] == []
    seen.worker.stop(signal.SIGKILL)
    until(lambda: seen.webhook.got("firing", alertname="CxNoWorker", severity="page"), "it is missed", 30.0)
    seen.worker.start()
    until(lambda: seen.webhook.got("resolved", alertname="CxNoWorker"), "it is back", 30.0)
