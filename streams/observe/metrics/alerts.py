"""Metrics of the alerts: who waits to be told, and whether they are right."""

from typing import Final

from streams.observe.metrics.metric import NOW, WORKER, Metric, counter, gauge, histogram

ALERTS: Final[tuple[Metric, ...]] = (
    gauge("cx_waiting_alerts", NOW, "partition", "Customers of whom people are to be told.", "customers"),
    gauge("cx_announcements_left", NOW, "partition", "Announcements that the budget has left.", "alerts"),
    counter(
        "cx_suppressed_steps_total",
        WORKER,
        "rule reason",
        "Steps of alerts that were decided and told to nobody.",
        "steps",
    ),
    counter(
        "cx_alert_outcomes_total",
        WORKER,
        "rule result",
        "Matured outcomes of alerts: churned, retained, saved, false_alarm.",
        "alerts",
    ),
    counter(
        "cx_inferred_outcomes_total",
        WORKER,
        "rule outcome told",
        "Outcomes read from what the customer did within the horizon: returned or lost, by whether anybody "
        "was told: told, untold, holdout.",
        "alerts",
    ),
    counter(
        "cx_lost_customers_total",
        WORKER,
        "",
        "Customers lost while they were watched: silent for the alert horizon.",
        "customers",
    ),
    counter(
        "cx_foretold_losses_total",
        WORKER,
        "rule",
        "Of these, those of whom a rule had warned since their last engagement; `any` counts each once.",
        "customers",
    ),
    counter(
        "cx_budget_passed_total",
        WORKER,
        "rule",
        "Critical announcements that went past the budget.",
        "alerts",
    ),
    counter(
        "cx_alert_actions_total",
        WORKER,
        "action result",
        "What people did with alerts: applied, unchanged, past, unknown_alert.",
        "actions",
    ),
    counter(
        "cx_incidents_total",
        WORKER,
        "channel step",
        "Steps of the guard of silent inputs: opened, closed.",
        "incidents",
    ),
    histogram("cx_alert_lead_seconds", WORKER, "rule", "Time from an alert to the loss that it foretold."),
    counter(
        "cx_raised_alerts_total",
        WORKER,
        "when",
        "Alerts that were opened, by whether the customer had complained by then: before_complaint (also of "
        "who never does), after_complaint.",
        "alerts",
    ),
    counter(
        "cx_matured_predictions_total",
        WORKER,
        "bin",
        "Predictions whose horizon is over, by bin of their probability (its upper bound).",
        "predictions",
    ),
    counter("cx_matured_churned_total", WORKER, "bin", "Of these, the customers who left.", "predictions"),
    counter(
        "cx_matured_probability_total",
        WORKER,
        "bin",
        "Sum of the probabilities of these predictions.",
        "probability",
    ),
    counter(
        "cx_matured_squared_error_total",
        WORKER,
        "",
        "Sum of (probability - outcome) squared: divided by the predictions, the Brier score.",
        "probability",
    ),
)
