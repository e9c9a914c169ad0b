"""The dashboard of promises: whether they are kept, and whether the alerts are worth reading."""

from typing import Any, Final

from grafana.boards.kit import JOB, WORKER, Board, Panel, bars, increase, lines, rate, share, stack, stats
from grafana.boards.objectives import FAST, OBJECTIVES

MONTH = "30d"


def _month(metric: str, by: str = "", matchers: str = "") -> str:
    return increase(metric, by, matchers, MONTH)


RULES_HEIGHT: Final = 6
BINS_HEIGHT: Final = 8
"""So high are the rows with a bar a rule, and with the ten bins of the calibration: in lower ones the names lie
on each other."""


def _bars(*about: Any, height: int = 5, **options: Any) -> Panel:
    return bars(*about, height=height, base="blue", **options)


def _budgets() -> tuple[Panel, ...]:
    return stats(
        4,
        *(
            (
                f"Budget: {each.name}",
                f"What is left of 30 days' error budget. Promised: {each.promise}.",
                "percentunit",
                f'min(cx:slo_budget:remaining_ratio{{slo="{each.name}", {JOB}}})',
            )
            for each in OBJECTIVES
        ),
        steps=((0.0, "orange"), (0.25, "green")),
        base="red",
        decimals=1,
    )


def _objectives() -> tuple[Panel, ...]:
    burn = " or ".join(
        f'label_replace(max(cx:slo_errors:ratio_rate1h{{slo="{each.name}", {JOB}}}) '
        f'/ {1.0 - each.objective:.4g}, "slo", "{each.name}", "", "")'
        for each in OBJECTIVES
    )
    firing = stats(
        4,
        (
            "Alerts firing",
            "Alerts of cx-signals that fire in Prometheus, without the watchdog.",
            "short",
            'count(ALERTS{alertname=~"Cx.+", alertname!="CxWatchdog", alertstate="firing"}) or vector(0)',
        ),
        steps=((1.0, "red"),),
        base="green",
        decimals=0,
    )
    return (
        *firing,
        lines(
            12,
            "Burn rate, last hour",
            "1: the budget lasts 30 days. 14.4 over an hour pages.",
            "none",
            (burn, "{{slo}}"),
            least=0.0,
            steps=((FAST[0][-1], "red"),),
        ),
        lines(
            12,
            "Bad events, last 5 minutes",
            "Share of events that missed their objective.",
            "percentunit",
            (f"max by (slo) (cx:slo_errors:ratio_rate5m{{{JOB}}})", "{{slo}}"),
            least=0.0,
        ),
    )


def _told() -> tuple[Panel, ...]:
    return (
        stack(
            8,
            "Alerts opened by rule",
            "A sudden mass of one rule usually means that an input is missing.",
            "ops",
            (rate("cx_alert_steps_total", "rule", 'step="opened"'), "{{rule}}"),
            height=5,
        ),
        lines(
            8,
            "Waiting to be told, and what the budget has left",
            "The budget is the policy's: announcements for 1000 customers a week. What is critical goes past it.",
            "short",
            (f"sum(cx_waiting_alerts{{{WORKER}}})", "waiting"),
            (f"sum(cx_announcements_left{{{WORKER}}})", "left"),
            (increase("cx_budget_passed_total"), "went past it"),
            least=0.0,
            height=5,
        ),
        _bars(
            8,
            "Told to nobody, and what people did, 30 days",
            "Episodes that were decided and not announced, by reason; actions of people on alerts, by what became "
            "of them; outcomes that they recorded.",
            "short",
            (f"{_month('cx_suppressed_steps_total', 'reason')} > 0", "not told: {{reason}}"),
            (f"{_month('cx_alert_actions_total', 'action, result')} > 0", "{{action}}: {{result}}"),
            (f"{_month('cx_alert_outcomes_total', 'result')} > 0", "recorded: {{result}}"),
            decimals=0,
        ),
    )


def _outcomes() -> tuple[Panel, ...]:
    foretold = _month("cx_foretold_losses_total", "rule")
    lost = _month("cx_inferred_outcomes_total", "told", 'outcome="lost"')
    return (
        _bars(
            8,
            "Precision by rule, 30 days",
            "Of the alerts whose horizon is over, the share of customers who were lost.",
            "percentunit",
            (f"avg by (rule) (cx:alert_precision:ratio30d{{{JOB}}})", "{{rule}}"),
            least=0.0,
            most=1.0,
            decimals=0,
            height=RULES_HEIGHT,
        ),
        _bars(
            8,
            "Losses foretold, 30 days",
            "Of the customers lost while watched, the share of whom a rule had warned (recall).",
            "percentunit",
            (f"{foretold} / scalar({_month('cx_lost_customers_total')} > 0)", "{{rule}}"),
            least=0.0,
            most=1.0,
            decimals=0,
            height=RULES_HEIGHT,
        ),
        _bars(
            8,
            "Lost, by whether anybody was told, 30 days",
            "The share lost among the told should lie below that of the holdout: that difference is what alerts save.",
            "percentunit",
            (share(lost, _month("cx_inferred_outcomes_total", "told")), "{{told}}"),
            least=0.0,
            most=1.0,
            decimals=0,
            height=RULES_HEIGHT,
        ),
        _bars(
            8,
            "Lead, median, 30 days",
            "Time from an alert to the loss that it foretold.",
            "s",
            (f"histogram_quantile(0.5, {_month('cx_alert_lead_seconds_bucket', 'rule, le')})", "{{rule}}"),
            decimals=1,
            height=BINS_HEIGHT,
        ),
        _bars(
            8,
            "Raised before the first complaint, 30 days",
            "Of the alerts that were opened: the share of customers who had not complained by then.",
            "percentunit",
            (
                share(
                    _month("cx_raised_alerts_total", "", 'when="before_complaint"'),
                    _month("cx_raised_alerts_total"),
                ),
                "before the complaint",
            ),
            least=0.0,
            most=1.0,
            decimals=0,
            height=BINS_HEIGHT,
        ),
    )


def _calibration() -> tuple[Panel, ...]:
    return (
        _bars(
            8,
            "Calibration, 30 days",
            "What came true in each bin of the probability (its upper bound): well calibrated, each bar is its bin.",
            "percentunit",
            (
                share(
                    _month("cx_matured_churned_total", "bin"), _month("cx_matured_predictions_total", "bin")
                ),
                "up to {{bin}}",
            ),
            least=0.0,
            most=1.0,
            decimals=0,
            height=BINS_HEIGHT,
        ),
        lines(
            8,
            "Calibration error and Brier score, 30 days",
            "Both should be small; an error above 10% raises an alert.",
            "percentunit",
            (f"max(cx:calibration_error:ratio30d{{{JOB}}})", "calibration error"),
            (f"max(cx:brier_score:ratio30d{{{JOB}}})", "Brier score"),
            least=0.0,
            steps=((0.1, "red"),),
            height=5,
        ),
    )


def _delivery() -> tuple[Panel, ...]:
    return (
        lines(
            8,
            "Delivery by result, and attempts that failed",
            "accepted; lost as refused, gone, expired or undecodable; held back as paused, muted or withdrawn. "
            "Each request that failed, by how.",
            "ops",
            (rate("cx_deliveries_total", "receiver, result"), "{{receiver}} {{result}}"),
            (
                rate("cx_delivery_attempts_total", "receiver, result", 'result!="accepted"'),
                "{{receiver}} attempt: {{result}}",
            ),
            least=0.0,
            height=5,
        ),
        lines(
            8,
            "Delivery: waiting, not read, breakers, pauses",
            "Alerts that wait for a receiver, alerts not read yet; a breaker that is open counts 1, so does a "
            "pause.",
            "short",
            (f"sum by (receiver) (cx_delivery_pending{{{WORKER}}})", "{{receiver}} waiting"),
            (f"sum(cx_delivery_lag_records{{{WORKER}}})", "not read yet"),
            (f"max by (receiver) (cx_delivery_breaker_open{{{WORKER}}})", "{{receiver}} breaker"),
            (f"max(cx_delivery_paused{{{WORKER}}})", "paused"),
            least=0.0,
            height=5,
        ),
    )


def trust() -> Board:
    """Return the dashboard."""
    question = "Is what was promised kept, and are the alerts worth reading?"
    alerts = (*_told(), *_outcomes(), *_calibration(), *_delivery())
    return Board("cx-trust", question, (*_budgets(), *_objectives(), *alerts), span="now-7d")
