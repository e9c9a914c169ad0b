"""From a reading of the worker to Prometheus' families, made at scrape time only."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from streams import __version__
from streams.engine.stats import InputSnapshot
from streams.observe.families import (
    census_families,
    family,
    histogram,
    intake_families,
    kpi_families,
    outcome_families,
    output_families,
)
from streams.observe.histogram import Histogram
from streams.observe.watch import Reading, lag_records, lag_s
from streams.scoring.policy import Policy

Labels = tuple[str, ...]


class CxCollector(Collector):
    """Yields the families of the one table of metrics from what `read` returns at each scrape."""

    def __init__(
        self,
        read: Callable[[], Reading],
        policy: Policy,
        *,
        sweep_interval_s: float = math.nan,
        loop_lag: Callable[[], Histogram | None] = lambda: None,
    ) -> None:
        self._read = read
        self._policy = policy
        self._sweep_interval_s = sweep_interval_s
        self._loop_lag = loop_lag

    def describe(self) -> Iterable[Family]:
        """Return nothing: registering asks no worker."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Read the worker once and yield every family."""
        reading = self._read()
        yield from _records(reading)
        yield from intake_families(reading)
        yield from output_families(reading)
        yield from census_families(reading)
        yield from kpi_families(reading, self._policy)
        yield from outcome_families(reading)
        yield from _lag(reading)
        yield from _engine(reading)
        yield from _partitions(reading)
        if (lag := self._loop_lag()) is not None:
            yield histogram("cx_loop_lag_seconds", lag)
        yield family("cx_sweep_interval_seconds", self._sweep_interval_s)
        yield family("cx_build_info", {(__version__, self._policy.hash): 1.0})


def registry(read: Callable[[], Reading], policy: Policy, **more: Any) -> CollectorRegistry:
    """Return a registry of our metrics and those of the process, the interpreter and its collector."""
    made = CollectorRegistry()
    made.register(CxCollector(read, policy, **more))
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    if sys.implementation.name == "cpython":
        GCCollector(registry=made)
    return made


def _records(reading: Reading) -> Iterator[Family]:
    partitions = reading.engine.partitions
    yield family(
        "cx_records_total",
        {(str(each.partition), outcome): n for each in partitions for outcome, n in each.counts.items()},
    )
    yield family("cx_input_offsets_total", _by_input(reading, lambda each: each.moved))


def _lag(reading: Reading) -> Iterator[Family]:
    yield family("cx_lag_records", _by_input(reading, lag_records))
    seconds = _by_input(reading, lambda each: lag_s(each, reading.now_s, reading.uptime_s))
    yield family("cx_lag_seconds", seconds)
    watermarks = {str(each.partition): each.watermark_s for each in reading.engine.partitions}
    yield family("cx_watermark_timestamp_seconds", _finite(watermarks))


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
    yield family("cx_transactions_total", {"committed": float(stats.commits), "failed": float(stats.failed)})
    yield family("cx_commit_seconds_total", stats.commit_seconds)
    yield family("cx_rows_written_total", stats.rows_written)
    yield family("cx_fenced_total", stats.fenced)
    yield family("cx_heals_total", stats.heals)
    yield family("cx_rebalances_total", stats.rebalances)
    yield family("cx_refused_chunks_total", stats.refused)
    yield family("cx_kept_partitions_total", stats.kept)
    yield family("cx_recovery_rows_total", stats.recovery_rows)
    yield family("cx_recovery_left_offsets", stats.recovery_left)
    yield family("cx_recovery_seconds_total", stats.recovery_seconds)
    yield family("cx_ready_seconds", stats.ready_seconds)
    yield family("cx_assignments_total", stats.assignments)
    yield family("cx_assignment_seconds_total", stats.assignment_seconds)
    yield family("cx_out_of_range_total", stats.out_of_range)
    yield family("cx_swept_customers_total", stats.swept)
    yield family("cx_ready", reading.engine.ready)


def _partitions(reading: Reading) -> Iterator[Family]:
    partitions = reading.engine.partitions
    yield family("cx_customers", {str(each.partition): each.rows for each in partitions})
    yield family("cx_queue_bytes", {str(each.partition): each.queue_bytes for each in partitions})
    yield family("cx_sweep_passes_total", {str(each.partition): each.sweep_passes for each in partitions})
    yield family("cx_partition_ready", {str(each.partition): each.ready for each in partitions})
    yield family("cx_partition_stopped", {str(each.partition): bool(each.problem) for each in partitions})
