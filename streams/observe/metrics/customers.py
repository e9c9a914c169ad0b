"""Metrics of the customers, as the sweep finds them."""

from typing import Final

from streams.observe.metrics.metric import NOW, SWEEP, WORKER, Metric, counter, gauge

CUSTOMERS: Final[tuple[Metric, ...]] = (
    gauge(
        "cx_customers",
        NOW,
        "partition",
        "Customers in the table; rows that remember the forgotten are none.",
        "customers",
    ),
    gauge("cx_customers_by_band", SWEEP, "band", "Customers by band of their experience.", "customers"),
    gauge(
        "cx_customers_by_score",
        SWEEP,
        "ledger le",
        "Customers of whom enough is known and whose score is at most `le`: the buckets of a histogram, for "
        "histogram_quantile().",
        "customers",
    ),
    gauge(
        "cx_customers_by_gap",
        SWEEP,
        "le",
        "Customers whose service score is at most `le` above their experience (a negative `le`: below), if "
        "enough is known of both.",
        "customers",
    ),
    gauge(
        "cx_driver_points",
        SWEEP,
        "ledger driver",
        "Points that a driver adds to (or takes from) the scores of all customers together.",
        "points",
    ),
    gauge(
        "cx_value_at_risk_minor_units",
        SWEEP,
        "driver owner",
        "Probability of churn x spend a year x years of all customers, in minor units of the policy's "
        "currency, by the driver that takes most from each customer's experience (none: nothing does) and "
        "its owner.",
        "minor units",
    ),
    gauge(
        "cx_value_at_risk_by_stage_minor_units",
        SWEEP,
        "stage",
        "The same sum by journey stage: first (one occasion), repeat, lapsing (silence or churn_risk is "
        "open, or silence has cost the policy's rules.lost). Who has not engaged yet has nothing at stake.",
        "minor units",
    ),
    gauge(
        "cx_value_at_risk_by_store_minor_units",
        SWEEP,
        "store",
        "The same sum by the profile's home_store_id: the 20 stores with most of this worker's customers, at "
        "least 5; all others are `other`, customers without a store `none`. A store of one of these names is "
        "`other` too.",
        "minor units",
    ),
    gauge(
        "cx_currency_minor_units",
        NOW,
        "currency",
        "Minor units of one unit of the policy's currency (ISO 4217): amounts are divided by it for people.",
        "minor units",
    ),
    gauge("cx_table_bytes", SWEEP, "", "Bytes of the rows in the table.", "bytes"),
    gauge("cx_open_alerts", SWEEP, "rule severity", "Alerts that are open.", "alerts"),
    gauge(
        "cx_customers_other_policy",
        SWEEP,
        "",
        "Customers whose sums hold the weights of an earlier policy.",
        "customers",
    ),
    counter("cx_swept_customers_total", WORKER, "", "Customers visited by the sweep.", "customers"),
    counter(
        "cx_sweep_passes_total", WORKER, "partition", "Passes of the sweep over all customers.", "passes"
    ),
    gauge(
        "cx_sweep_age_seconds",
        SWEEP,
        "partition",
        "Time since the last whole pass ended, under the event clock in event time (before the first: since "
        "the worker started): no silence, no missed deadline is older and unseen.",
        "seconds",
    ),
    gauge("cx_sweep_pass_seconds", SWEEP, "partition", "How long the last whole pass took.", "seconds"),
    gauge(
        "cx_sweep_interval_seconds",
        NOW,
        "",
        "The setting sweep_interval_s: of the clock that the setting `clock` names.",
        "seconds",
    ),
)
