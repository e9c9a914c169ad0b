"""From a reading of the worker to Prometheus' families, made at scrape time only."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from streams import __version__
from streams.engine.stats import InputSnapshot
from streams.observe.metrics import BY_NAME, Kind
from streams.observe.tally import Histogram
from streams.observe.watch import Reading

Labels = tuple[str, ...]

_FAMILIES: Final[dict[Kind, Any]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


class CxCollector(Collector):
    """Yields the families of the one table of metrics from what `read` returns at each scrape."""

    def __init__(self, read: Callable[[], Reading], policy_version: str) -> None:
        self._read = read
        self._policy_version = policy_version

    def describe(self) -> Iterable[Family]:
        """Return nothing: registering asks no worker."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Read the worker once and yield every family."""
        reading = self._read()
        yield from _records(reading)
        yield from _outputs(reading)
        yield from _customers(reading)
        yield from _lag(reading)
        yield from _engine(reading)
        yield from _partitions(reading)
        info = {(__version__, self._policy_version): 1.0}
        yield _family("cx_build_info", info)


def registry(read: Callable[[], Reading], policy_version: str) -> CollectorRegistry:
    """Return a registry of our metrics and those of the process, the interpreter and its collector."""
    made = CollectorRegistry()
    made.register(CxCollector(read, policy_version))
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    if sys.implementation.name == "cpython":
        GCCollector(registry=made)
    return made


def _family(name: str, values: Mapping[Any, float] | float) -> Family:
    """Return a family of the table; a number is the value of one without labels."""
    metric = BY_NAME[name]
    family: Any = _FAMILIES[metric.kind](name, metric.meaning, labels=metric.labels)
    for labels, value in (values if isinstance(values, Mapping) else {(): values}).items():
        family.add_metric(list(labels), value)
    made: Family = family
    return made


def _records(reading: Reading) -> Iterator[Family]:
    partitions = reading.engine.partitions
    yield _family(
        "cx_records_total",
        {(str(each.partition), outcome): n for each in partitions for outcome, n in each.counts.items()},
    )
    yield _family("cx_input_offsets_total", _by_input(reading, lambda each: each.moved))
    yield _family("cx_rejected_records_total", reading.tally.rejects)
    yield _family(
        "cx_misplaced_customers_total", {(topic,): n for topic, n in reading.tally.misplaced.items()}
    )


def _outputs(reading: Reading) -> Iterator[Family]:
    yield _family("cx_scores_total", reading.tally.scores)
    yield _family("cx_alert_steps_total", reading.tally.alerts)
    metric = BY_NAME["cx_event_to_alert_seconds"]
    family = HistogramMetricFamily(metric.name, metric.meaning)
    latency = reading.alert_latency
    family.add_metric([], [(le, n) for le, n in _buckets(latency)], latency.total)
    yield family


def _buckets(histogram: Histogram) -> Iterator[tuple[str, int]]:
    """Yield (upper bound, values at most that)."""
    bounds = [*(f"{bound:g}" for bound in histogram.bounds), "+Inf"]
    yield from zip(bounds, accumulate(histogram.counts), strict=True)


def _customers(reading: Reading) -> Iterator[Family]:
    censuses = reading.censuses.values()
    bands: Counter[str] = Counter()
    open_alerts: Counter[tuple[str, str]] = Counter()
    by_score: Counter[Labels] = Counter()
    for census in censuses:
        bands.update(census.bands)
        open_alerts.update(census.open_alerts)
        for ledger, histogram in (("experience", census.experience), ("service", census.service)):
            by_score.update({(ledger, le): n for le, n in _buckets(histogram)})
    yield _family("cx_customers", {(str(each.partition),): each.rows for each in reading.engine.partitions})
    yield _family("cx_customers_by_band", {(band,): n for band, n in bands.items()})
    yield _family("cx_customers_by_score", by_score)
    yield _family("cx_open_alerts", open_alerts)
    yield _family("cx_customers_other_policy", sum(census.other_policy for census in censuses))


def _lag(reading: Reading) -> Iterator[Family]:
    def seconds(each: InputSnapshot) -> float | None:
        if each.lag is None or each.at_end or each.lag == 0:
            return None if each.lag is None else 0.0
        if each.last_record_s == -math.inf:
            return reading.uptime_s
        return max(0.0, reading.now_s - each.last_record_s)

    yield _family("cx_lag_records", _by_input(reading, lambda each: each.lag))
    yield _family("cx_lag_seconds", _by_input(reading, seconds))
    watermarks = {(str(each.partition),): each.watermark_s for each in reading.engine.partitions}
    yield _family("cx_watermark_timestamp_seconds", _finite(watermarks))
    newest = {(channel,): at_s for channel, at_s in reading.tally.newest_event_s.items()}
    yield _family("cx_newest_event_timestamp_seconds", _finite(newest))


def _by_input(reading: Reading, value: Callable[[InputSnapshot], float | None]) -> dict[Labels, float]:
    """Return a value by (topic, partition); one that is not known yet is left out."""
    return {
        (each.topic, str(owner.partition)): found
        for owner in reading.engine.partitions
        for each in owner.inputs
        if (found := value(each)) is not None
    }


def _finite(values: Mapping[Any, float]) -> dict[Any, float]:
    return {labels: value for labels, value in values.items() if math.isfinite(value)}


def _engine(reading: Reading) -> Iterator[Family]:
    stats = reading.engine.stats
    results = {("committed",): float(stats.commits), ("failed",): float(stats.failed)}
    yield _family("cx_transactions_total", results)
    yield _family("cx_commit_seconds_total", stats.commit_seconds)
    yield _family("cx_rows_written_total", stats.rows_written)
    yield _family("cx_fenced_total", stats.fenced)
    yield _family("cx_heals_total", stats.heals)
    yield _family("cx_rebalances_total", stats.rebalances)
    yield _family("cx_refused_chunks_total", stats.refused)
    yield _family("cx_kept_partitions_total", stats.kept)
    yield _family("cx_recovery_rows_total", stats.recovery_rows)
    yield _family("cx_recovery_seconds_total", stats.recovery_seconds)
    yield _family("cx_ready_seconds", stats.ready_seconds)
    yield _family("cx_out_of_range_total", stats.out_of_range)
    yield _family("cx_swept_customers_total", stats.swept)
    yield _family("cx_ready", reading.engine.ready)


def _partitions(reading: Reading) -> Iterator[Family]:
    partitions = reading.engine.partitions
    yield _family("cx_queue_bytes", {(str(each.partition),): each.queue_bytes for each in partitions})
    yield _family("cx_sweep_passes_total", {(str(each.partition),): each.sweep_passes for each in partitions})
    yield _family("cx_partition_ready", {(str(each.partition),): each.ready for each in partitions})
    yield _family("cx_partition_stopped", {(str(each.partition),): bool(each.problem) for each in partitions})
