"""The one table of metrics: what `/metrics` of each program exposes, and what each figure means.

Two sorts of counters, and each says which it is. Those of the *log* are read from the partitions' markers:
they cover everything since the changelog was made, are exact through crashes (guarantee G4) and follow their
partition to its next worker; sum them over partitions with `max by (partition, ...)`. Those of the *worker*
begin at 0 when the process starts; use `rate()` and `increase()`.
"""

from typing import Final

from streams.observe.metrics.alerts import ALERTS
from streams.observe.metrics.customers import CUSTOMERS
from streams.observe.metrics.delivery import DELIVERY
from streams.observe.metrics.engine import ENGINE
from streams.observe.metrics.metric import Kind, Metric, Since
from streams.observe.metrics.moments import MOMENTS
from streams.observe.metrics.records import RECORDS

__all__ = ["BY_NAME", "DELIVERY", "METRICS", "Kind", "metrics_table"]

METRICS: Final = (*RECORDS, *CUSTOMERS, *MOMENTS, *ALERTS, *ENGINE)

BY_NAME: Final[dict[str, Metric]] = {metric.name: metric for metric in (*METRICS, *DELIVERY)}

OF: Final[dict[Since, str]] = {
    Since.LOG: "since the changelog was made",
    Since.WORKER: "since the worker started",
    Since.NOW: "now",
    Since.SWEEP: "at the last pass of the sweep",
}


def metrics_table() -> str:
    """Return the table of metrics as Markdown, for the reference."""
    lines = ["| metric | served by | type | labels | unit | covers | meaning |", "|" + "---|" * 7]
    for metric in BY_NAME.values():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        shown = (f"`{metric.name}`", f"`{metric.program}`", metric.kind.value, labels, metric.unit)
        cells = (*shown, OF[metric.since], metric.meaning)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
