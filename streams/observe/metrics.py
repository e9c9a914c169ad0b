"""The one table of metrics: what `/metrics` of each program exposes, and what each figure means.

Two sorts of counters, and each says which it is. Those of the *log* are read from the partitions' markers:
they cover everything since the changelog was made, are exact through crashes (guarantee G4) and follow their
partition to its next worker; sum them over partitions with `max by (partition, ...)`. Those of the *worker*
begin at 0 when the process starts; use `rate()` and `increase()`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


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
    unit: str = ""
    program: str = "cx worker"
    """The command that serves it."""


def _counter(name: str, since: Since, labels: str, meaning: str, unit: str = "") -> Metric:
    return Metric(name, Kind.COUNTER, since, tuple(labels.split()), meaning, unit)


def _gauge(name: str, since: Since, labels: str, meaning: str, unit: str = "") -> Metric:
    return Metric(name, Kind.GAUGE, since, tuple(labels.split()), meaning, unit)


def _histogram(name: str, since: Since, labels: str, meaning: str, unit: str = "seconds") -> Metric:
    return Metric(name, Kind.HISTOGRAM, since, tuple(labels.split()), meaning, unit)


LOG, WORKER, NOW, SWEEP = Since.LOG, Since.WORKER, Since.NOW, Since.SWEEP

METRICS: Final[tuple[Metric, ...]] = (
    # What came in, and what became of it.
    _counter(
        "cx_records_total",
        LOG,
        "partition outcome",
        "Records by outcome: accepted, duplicate, anonymous, suppressed, rejected; skipped are offsets "
        "without a record. Their sum is the sum of cx_input_offsets_total.",
        "records",
    ),
    _counter(
        "cx_input_offsets_total", LOG, "topic partition", "Offsets of an input that were applied.", "records"
    ),
    _counter(
        "cx_rejected_records_total", WORKER, "topic reason", "Records sent to the dead letters.", "records"
    ),
    _counter(
        "cx_misplaced_customers_total",
        WORKER,
        "topic",
        "New customers found on a partition that Kafka's default partitioner does not give, among those "
        "looked at (the first few of each transaction).",
        "customers",
    ),
    # Who sent it. A source has a label of its own if the policy lists it among the first 20, else `other`.
    _counter(
        "cx_touchpoints_total",
        WORKER,
        "channel source outcome",
        "Touchpoints that could be read, by outcome: accepted, duplicate, anonymous, suppressed.",
        "records",
    ),
    _counter(
        "cx_touchpoint_types_total", WORKER, "type source", "Accepted events by type and version.", "records"
    ),
    _counter(
        "cx_source_rejected_total",
        WORKER,
        "source reason",
        "Rejected records by the source that they name; `unknown` where that cannot be read.",
        "records",
    ),
    _counter(
        "cx_late_events_total",
        WORKER,
        "source",
        "Accepted events that reached the log more than an hour after they were recorded.",
        "records",
    ),
    _counter(
        "cx_unpriced_engagements_total",
        WORKER,
        "channel currency",
        "Accepted engagements whose amount counts nothing, because the policy has no rate for its currency "
        "(`other`: of a currency beyond the first 40 of these).",
        "records",
    ),
    _gauge(
        "cx_source_newest_event_timestamp_seconds",
        WORKER,
        "source",
        "Newest event time applied from a source.",
        "unix time",
    ),
    # What goes out.
    _counter("cx_scores_total", WORKER, "", "Scores published.", "messages"),
    _counter("cx_alert_steps_total", WORKER, "rule severity step", "Steps of alerts published.", "messages"),
    _histogram(
        "cx_event_to_score_seconds",
        WORKER,
        "",
        "Time from a record's timestamp to the commit of what it changed, to a tenth of a second.",
    ),
    _histogram(
        "cx_event_to_alert_seconds",
        WORKER,
        "",
        "Time from the record timestamp of an event to the commit of the alert that it raised.",
    ),
    # The customers.
    _gauge(
        "cx_customers",
        NOW,
        "partition",
        "Customers in the table; rows that remember the forgotten are none.",
        "customers",
    ),
    _gauge("cx_customers_by_band", SWEEP, "band", "Customers by band of their experience.", "customers"),
    _gauge(
        "cx_customers_by_score",
        SWEEP,
        "ledger le",
        "Customers of whom enough is known and whose score is at most `le`: the buckets of a histogram, for "
        "histogram_quantile().",
        "customers",
    ),
    _gauge(
        "cx_customers_by_gap",
        SWEEP,
        "le",
        "Customers whose service score is at most `le` above their experience (a negative `le`: below), if "
        "enough is known of both.",
        "customers",
    ),
    _gauge(
        "cx_driver_points",
        SWEEP,
        "ledger driver",
        "Points that a driver adds to (or takes from) the scores of all customers together.",
        "points",
    ),
    _gauge(
        "cx_value_at_risk_minor_units",
        SWEEP,
        "driver owner",
        "Probability of churn x spend a year x years of all customers, in minor units of the policy's "
        "currency, by the driver that takes most from each customer's experience (none: nothing does) and "
        "its owner.",
        "minor units",
    ),
    _gauge(
        "cx_value_at_risk_by_stage_minor_units",
        SWEEP,
        "stage",
        "The same sum by journey stage: first (one occasion), repeat, lapsing (silence or churn_risk is "
        "open, or silence has cost the policy's rules.lost). Who has not engaged yet has nothing at stake.",
        "minor units",
    ),
    _gauge(
        "cx_value_at_risk_by_store_minor_units",
        SWEEP,
        "store",
        "The same sum by the profile's home_store_id: the 20 stores with most of this worker's customers, at "
        "least 5; all others are `other`, customers without a store `none`. A store of one of these names is "
        "`other` too.",
        "minor units",
    ),
    _gauge(
        "cx_currency_minor_units",
        NOW,
        "currency",
        "Minor units of one unit of the policy's currency (ISO 4217): amounts are divided by it for people.",
        "minor units",
    ),
    _gauge("cx_table_bytes", SWEEP, "", "Bytes of the rows in the table.", "bytes"),
    _gauge("cx_open_alerts", SWEEP, "rule severity", "Alerts that are open.", "alerts"),
    _gauge(
        "cx_customers_other_policy",
        SWEEP,
        "",
        "Customers whose sums hold the weights of an earlier policy.",
        "customers",
    ),
    _counter("cx_swept_customers_total", WORKER, "", "Customers visited by the sweep.", "customers"),
    _counter(
        "cx_sweep_passes_total", WORKER, "partition", "Passes of the sweep over all customers.", "passes"
    ),
    _gauge(
        "cx_sweep_age_seconds",
        SWEEP,
        "partition",
        "Time since the last whole pass ended (before the first: since the worker started): no silence, no "
        "missed deadline is older and unseen.",
        "seconds",
    ),
    _gauge("cx_sweep_pass_seconds", SWEEP, "partition", "How long the last whole pass took.", "seconds"),
    _gauge(
        "cx_sweep_interval_seconds",
        NOW,
        "",
        "The setting sweep_interval_s: of the clock that the setting `clock` names.",
        "seconds",
    ),
    # What the customers live through, by channel, of accepted events.
    _counter(
        "cx_moment_points_total",
        WORKER,
        "driver channel feeling",
        "Weight times distance from the prior of every moment, before decay and saturation: good or bad.",
        "points",
    ),
    _counter(
        "cx_survey_answers_total",
        WORKER,
        "survey channel answer",
        "Answers: good is CSAT's top two boxes of five, NPS 9 or 10, CES 5 to 7 of 7; bad is CSAT's bottom "
        "two, NPS 0 to 6, CES 1 to 3.",
        "answers",
    ),
    _counter(
        "cx_contacts_total",
        WORKER,
        "channel after",
        "Inbound contacts (calls, chats, tickets); after: failure where the customer's last experience was a "
        "bad one of weight 1 or more within 14 days, else other.",
        "contacts",
    ),
    _counter(
        "cx_first_contacts_total",
        WORKER,
        "channel result",
        "Contacts judged: repeated by another on the same issue within 7 days of event time, or resolved.",
        "contacts",
    ),
    _counter(
        "cx_offered_contacts_total",
        WORKER,
        "channel result",
        "Contacts that waited for a person: answered, or abandoned.",
        "contacts",
    ),
    _counter(
        "cx_promises_total",
        WORKER,
        "channel result",
        "Promises that ended: kept, broken (late or failed deliveries), withdrawn.",
        "promises",
    ),
    _counter("cx_orders_total", WORKER, "channel", "Orders placed.", "orders"),
    _histogram("cx_contact_wait_seconds", WORKER, "channel", "Time in a queue before a person answered."),
    _histogram(
        "cx_contact_handling_seconds",
        WORKER,
        "channel",
        "Talk, hold and after-call time of calls; duration of chats.",
    ),
    _histogram(
        "cx_first_reply_seconds",
        WORKER,
        "channel",
        "Time to the first reply on the wall clock, taken when a ticket is first solved.",
    ),
    # Whether the alerts are right.
    _gauge("cx_waiting_alerts", NOW, "partition", "Customers of whom people are to be told.", "customers"),
    _gauge("cx_announcements_left", NOW, "partition", "Announcements that the budget has left.", "alerts"),
    _counter(
        "cx_suppressed_steps_total",
        WORKER,
        "rule reason",
        "Steps of alerts that were decided and told to nobody.",
        "steps",
    ),
    _counter(
        "cx_alert_outcomes_total",
        WORKER,
        "rule result",
        "Matured outcomes of alerts: churned, retained, saved, false_alarm.",
        "alerts",
    ),
    _counter(
        "cx_inferred_outcomes_total",
        WORKER,
        "rule outcome told",
        "Outcomes read from what the customer did within the horizon: returned or lost, by whether anybody "
        "was told: told, untold, holdout.",
        "alerts",
    ),
    _counter(
        "cx_lost_customers_total",
        WORKER,
        "",
        "Customers lost while they were watched: silent for the alert horizon.",
        "customers",
    ),
    _counter(
        "cx_foretold_losses_total",
        WORKER,
        "rule",
        "Of these, those of whom a rule had warned since their last engagement; `any` counts each once.",
        "customers",
    ),
    _counter(
        "cx_budget_passed_total",
        WORKER,
        "rule",
        "Critical announcements that went past the budget.",
        "alerts",
    ),
    _counter(
        "cx_alert_actions_total",
        WORKER,
        "action result",
        "What people did with alerts: applied, unchanged, past, unknown_alert.",
        "actions",
    ),
    _counter(
        "cx_incidents_total",
        WORKER,
        "channel step",
        "Steps of the guard of silent inputs: opened, closed.",
        "incidents",
    ),
    _histogram("cx_alert_lead_seconds", WORKER, "rule", "Time from an alert to the loss that it foretold."),
    _counter(
        "cx_raised_alerts_total",
        WORKER,
        "when",
        "Alerts that were opened, by whether the customer had complained by then: before_complaint (also of "
        "who never does), after_complaint.",
        "alerts",
    ),
    _counter(
        "cx_matured_predictions_total",
        WORKER,
        "bin",
        "Predictions whose horizon is over, by bin of their probability (its upper bound).",
        "predictions",
    ),
    _counter("cx_matured_churned_total", WORKER, "bin", "Of these, the customers who left.", "predictions"),
    _counter(
        "cx_matured_probability_total",
        WORKER,
        "bin",
        "Sum of the probabilities of these predictions.",
        "probability",
    ),
    _counter(
        "cx_matured_squared_error_total",
        WORKER,
        "",
        "Sum of (probability - outcome) squared: divided by the predictions, the Brier score.",
        "probability",
    ),
    # How far behind.
    _gauge(
        "cx_lag_records", NOW, "topic partition", "Offsets not applied yet, as of the last fetch.", "records"
    ),
    _gauge(
        "cx_lag_seconds",
        NOW,
        "topic partition",
        "Age of the last record applied (without one, of the worker); 0 where everything is applied.",
        "seconds",
    ),
    _gauge(
        "cx_watermark_timestamp_seconds",
        NOW,
        "partition",
        "Time up to which every input was read.",
        "unix time",
    ),
    _gauge(
        "cx_newest_event_timestamp_seconds",
        WORKER,
        "channel",
        "Newest event time applied from a channel.",
        "unix time",
    ),
    # The engine.
    _counter(
        "cx_transactions_total",
        WORKER,
        "result",
        "Transactions committed, or failed: those are done again from the log.",
        "transactions",
    ),
    _counter(
        "cx_commit_seconds_total",
        WORKER,
        "",
        "Time spent in transactions, summed over partitions that commit at the same time.",
        "seconds",
    ),
    _counter("cx_rows_written_total", WORKER, "", "Rows written to the changelog.", "rows"),
    _counter(
        "cx_changelog_bytes_total", WORKER, "", "Bytes of keys and rows written to the changelog.", "bytes"
    ),
    _counter("cx_compute_seconds_total", WORKER, "", "Time spent in decoding and scoring.", "seconds"),
    _histogram(
        "cx_loop_lag_seconds",
        WORKER,
        "",
        "How late the worker's event loop called back, asked four times a second.",
    ),
    _counter(
        "cx_fenced_total",
        WORKER,
        "",
        "Transactions refused because another process took over.",
        "transactions",
    ),
    _counter("cx_heals_total", WORKER, "", "Times that lost partitions were loaded again.", "times"),
    _counter("cx_rebalances_total", WORKER, "", "Rebalances of the consumer group.", "times"),
    _counter("cx_refused_chunks_total", WORKER, "", "Chunks refused: out of sequence, or too old.", "chunks"),
    _counter(
        "cx_kept_partitions_total",
        WORKER,
        "",
        "Partitions that kept their memory over a rebalance.",
        "partitions",
    ),
    _counter("cx_recovery_rows_total", WORKER, "", "Records of the changelog read to recover.", "rows"),
    _gauge(
        "cx_recovery_left_offsets",
        NOW,
        "",
        "Offsets of the changelog that a recovery has still to read; compaction has left fewer rows.",
        "offsets",
    ),
    _counter("cx_recovery_seconds_total", WORKER, "", "Time spent reading the changelog.", "seconds"),
    _gauge("cx_ready_seconds", NOW, "", "Time from the last assignment until work went on.", "seconds"),
    _counter("cx_assignments_total", WORKER, "", "Assignments after which work went on.", "times"),
    _counter(
        "cx_assignment_seconds_total",
        WORKER,
        "",
        "Time from an assignment until work went on, summed over these; a partition was lost or stopped, or "
        "the group rebalanced.",
        "seconds",
    ),
    _counter(
        "cx_out_of_range_total",
        WORKER,
        "",
        "Times that an input could not be read on from its marker.",
        "times",
    ),
    _gauge("cx_queue_bytes", NOW, "partition", "Bytes fetched and not applied yet.", "bytes"),
    _gauge("cx_partition_ready", NOW, "partition", "1 while the partition is worked on, else 0.", "boolean"),
    _gauge(
        "cx_partition_stopped",
        NOW,
        "partition",
        "1 while the partition waits for a person (`cx topics adopt`), else 0.",
        "boolean",
    ),
    _gauge("cx_ready", NOW, "", "1 while every partition assigned is worked on, else 0.", "boolean"),
    _gauge("cx_build_info", NOW, "version policy_version", "1; the program and the policy.", "boolean"),
)


def _delivered(metric: Metric) -> Metric:
    return replace(metric, program="cx deliver")


DELIVERY: Final[tuple[Metric, ...]] = tuple(
    map(
        _delivered,
        (
            _counter(
                "cx_deliveries_total",
                WORKER,
                "receiver result",
                "Alerts that are done with: accepted by the receiver; lost as refused, gone, expired or "
                "undecodable; or held back on purpose as paused, muted or withdrawn.",
                "alerts",
            ),
            _counter(
                "cx_delivery_attempts_total",
                WORKER,
                "receiver result",
                "Requests to a receiver: accepted, or how they failed.",
                "requests",
            ),
            _histogram(
                "cx_delivery_seconds",
                WORKER,
                "receiver",
                "Time from the record timestamp of an alert to its acceptance, without quiet hours.",
            ),
            _gauge(
                "cx_delivery_breaker_open",
                NOW,
                "receiver",
                "1 while a receiver is given a rest after failures, else 0.",
                "boolean",
            ),
            _gauge("cx_delivery_pending", NOW, "receiver", "Alerts that wait for a receiver.", "alerts"),
            _gauge("cx_delivery_lag_records", NOW, "partition", "Alerts not read yet.", "records"),
            _gauge(
                "cx_delivery_answered_timestamp_seconds",
                NOW,
                "partition",
                "When the broker last said what is new in a partition; left out while the delivery holds as "
                "much as it may, and does not ask.",
                "unix time",
            ),
            _gauge("cx_delivery_paused", NOW, "", "1 while all delivery is paused, else 0.", "boolean"),
        ),
    )
)

BY_NAME: Final[dict[str, Metric]] = {metric.name: metric for metric in (*METRICS, *DELIVERY)}

OF: Final[dict[Since, str]] = {
    Since.LOG: "since the changelog was made",
    Since.WORKER: "since the worker started",
    Since.NOW: "now",
    Since.SWEEP: "at the last pass of the sweep",
}


def metrics_table(metrics: Sequence[Metric] = (*METRICS, *DELIVERY)) -> str:
    """Return the table of metrics as Markdown, for the reference."""
    lines = ["| metric | served by | type | labels | unit | covers | meaning |", "|" + "---|" * 7]
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        shown = (f"`{metric.name}`", f"`{metric.program}`", metric.kind.value, labels, metric.unit)
        cells = (*shown, OF[metric.since], metric.meaning)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
