"""Metrics of `cx deliver`: what became of the alerts that receivers are sent."""

from dataclasses import replace
from typing import Final

from streams.observe.metrics.metric import NOW, WORKER, Metric, counter, gauge, histogram

_DECLARED: Final = (
    counter(
        "cx_deliveries_total",
        WORKER,
        "receiver result",
        "Alerts that are done with: accepted by the receiver; lost as refused, gone, expired or "
        "undecodable; or held back on purpose as paused, muted or withdrawn.",
        "alerts",
    ),
    counter(
        "cx_delivery_attempts_total",
        WORKER,
        "receiver result",
        "Requests to a receiver: accepted, or how they failed.",
        "requests",
    ),
    histogram(
        "cx_delivery_seconds",
        WORKER,
        "receiver",
        "Time from the record timestamp of an alert to its acceptance, without quiet hours.",
    ),
    gauge(
        "cx_delivery_breaker_open",
        NOW,
        "receiver",
        "1 while a receiver is given a rest after failures, else 0.",
        "boolean",
    ),
    gauge("cx_delivery_pending", NOW, "receiver", "Alerts that wait for a receiver.", "alerts"),
    gauge("cx_delivery_lag_records", NOW, "partition", "Alerts not read yet.", "records"),
    gauge(
        "cx_delivery_answered_timestamp_seconds",
        NOW,
        "partition",
        "When the broker last said what is new in a partition, or was asked anew after a hold; left out "
        "while the delivery holds as much as it may, and does not ask.",
        "unix time",
    ),
    gauge("cx_delivery_paused", NOW, "", "1 while all delivery is paused, else 0.", "boolean"),
)
DELIVERY: Final[tuple[Metric, ...]] = tuple(replace(each, program="cx deliver") for each in _DECLARED)
