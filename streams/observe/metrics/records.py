"""Metrics of what came in, who sent it, and what went out."""

from typing import Final

from streams.observe.metrics.metric import LOG, WORKER, Metric, counter, gauge, histogram

RECORDS: Final[tuple[Metric, ...]] = (
    # What came in, and what became of it.
    counter(
        "cx_records_total",
        LOG,
        "partition outcome",
        "Records by outcome: accepted, duplicate, anonymous, suppressed, rejected; skipped are offsets "
        "without a record. Their sum is the sum of cx_input_offsets_total.",
        "records",
    ),
    counter(
        "cx_input_offsets_total", LOG, "topic partition", "Offsets of an input that were applied.", "records"
    ),
    counter(
        "cx_rejected_records_total", WORKER, "topic reason", "Records sent to the dead letters.", "records"
    ),
    counter(
        "cx_misplaced_customers_total",
        WORKER,
        "topic",
        "New customers found on a partition that Kafka's default partitioner does not give, among those "
        "looked at (the first few of each transaction).",
        "customers",
    ),
    # Who sent it. A source has a label of its own if the policy lists it among the first 20, else `other`.
    counter(
        "cx_touchpoints_total",
        WORKER,
        "channel source outcome",
        "Touchpoints that could be read, by outcome: accepted, duplicate, anonymous, suppressed.",
        "records",
    ),
    counter(
        "cx_touchpoint_types_total", WORKER, "type source", "Accepted events by type and version.", "records"
    ),
    counter(
        "cx_source_rejected_total",
        WORKER,
        "source reason",
        "Rejected records by the source that they name; `unknown` where that cannot be read.",
        "records",
    ),
    counter(
        "cx_late_events_total",
        WORKER,
        "source",
        "Accepted events that reached the log more than an hour after they were recorded.",
        "records",
    ),
    counter(
        "cx_unpriced_engagements_total",
        WORKER,
        "channel currency",
        "Accepted engagements whose amount counts nothing, because the policy has no rate for its currency "
        "(`other`: of a currency beyond the first 40 of these).",
        "records",
    ),
    gauge(
        "cx_source_newest_event_timestamp_seconds",
        WORKER,
        "source",
        "Newest event time applied from a source.",
        "unix time",
    ),
    # What goes out.
    counter("cx_scores_total", WORKER, "", "Scores published.", "messages"),
    counter("cx_alert_steps_total", WORKER, "rule severity step", "Steps of alerts published.", "messages"),
    histogram(
        "cx_event_to_score_seconds",
        WORKER,
        "",
        "Time from a record's timestamp to the commit of what it changed, to a tenth of a second.",
    ),
    histogram(
        "cx_event_to_alert_seconds",
        WORKER,
        "",
        "Time from the record timestamp of an event to the commit of the alert that it raised.",
    ),
)
