"""What the delivery counts, in a registry of its own; the metrics are rows of the one table."""

from collections.abc import Iterable
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from schemas.deliveries import ENDINGS
from streams.delivery.client import Result
from streams.observe.metrics import BY_NAME, Kind

BUCKETS_S: Final = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""From the alert to its acceptance, without the time that quiet hours kept it."""
_MAKERS: Final[dict[Kind, Any]] = {Kind.COUNTER: Counter, Kind.GAUGE: Gauge, Kind.HISTOGRAM: Histogram}


class Figures:
    """The metrics of one `cx deliver`."""

    def __init__(self, receivers: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        self.deliveries = self._made("cx_deliveries_total")
        self.attempts = self._made("cx_delivery_attempts_total")
        self.seconds = self._made("cx_delivery_seconds", buckets=BUCKETS_S)
        self.breaker_open = self._made("cx_delivery_breaker_open")
        self.pending = self._made("cx_delivery_pending")
        self.lag = self._made("cx_delivery_lag_records")
        self.answered = self._made("cx_delivery_answered_timestamp_seconds")
        self.paused = self._made("cx_delivery_paused")
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        for name in receivers:
            self._begin(name)

    def _made(self, name: str, **more: Any) -> Any:
        metric = BY_NAME[name]
        return _MAKERS[metric.kind](name, metric.meaning, metric.labels, registry=self.registry, **more)

    def _begin(self, receiver: str) -> None:
        """Show zeros from the start: a rate of what appears with its first failure misses that failure."""
        for ending in ENDINGS:
            self.deliveries.labels(receiver, ending)
        for result in Result:
            self.attempts.labels(receiver, result.value)
        self.seconds.labels(receiver)
        self.breaker_open.labels(receiver).set(0)
        self.pending.labels(receiver).set(0)
