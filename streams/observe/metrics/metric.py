"""What a metric is, as the tables of this package declare it."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Since(StrEnum):
    """What a figure covers."""

    LOG = "log"
    WORKER = "worker"
    NOW = "now"
    SWEEP = "sweep"
    """The last whole pass of the sweep over each partition that is here."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; `name` is the full name, with `_total` where it is a counter."""

    name: str
    kind: Kind
    since: Since
    labels: tuple[str, ...]
    meaning: str
    unit: str
    program: str = "cx worker"
    """The command that serves it."""


def counter(name: str, since: Since, labels: str, meaning: str, unit: str) -> Metric:
    """Declare a counter; `labels` are the names of its labels in one text."""
    return Metric(name, Kind.COUNTER, since, tuple(labels.split()), meaning, unit)


def gauge(name: str, since: Since, labels: str, meaning: str, unit: str) -> Metric:
    """Declare a gauge, as `counter` does."""
    return Metric(name, Kind.GAUGE, since, tuple(labels.split()), meaning, unit)


def histogram(name: str, since: Since, labels: str, meaning: str) -> Metric:
    """Declare a histogram of seconds, as `counter` does."""
    return Metric(name, Kind.HISTOGRAM, since, tuple(labels.split()), meaning, "seconds")


LOG, WORKER, NOW, SWEEP = Since.LOG, Since.WORKER, Since.NOW, Since.SWEEP
