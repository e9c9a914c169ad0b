"""The objectives, and the recording and burn-rate rules that follow from them.

Burn rates after the SRE workbook: a page where an hour (with the last 5 minutes) burns the budget of 30 days
14.4 times too fast or 6 hours (with 30 minutes) 6 times, a ticket where a day (2 hours) burns it 3 times or
3 days (6 hours) at all. Where little comes in, one bad event is a large share: nobody is woken for a few.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

WINDOWS: Final = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
BUDGET_WINDOW: Final = "30d"
SCORED_S: Final = 5
ALERTED_S: Final = 60
DELIVERED_S: Final = 120
FAST: Final = (("1h", "5m", 14.4), ("6h", "30m", 6.0))
SLOW: Final = (("1d", "2h", 3.0), ("3d", "6h", 1.0))
FEW: Final = 10
"""A page needs more bad events than this within its long window, whatever their share."""
GUIDE: Final = "docs/operations.md"


@dataclass(frozen=True, slots=True)
class Objective:
    """A promise to the users of the signals: the share of bad events within a window stays small."""

    name: str
    title: str
    promise: str
    objective: float
    errors: Callable[[str], str]
    """PromQL of the share of bad events by job over a window."""
    bad: Callable[[str], str] | None
    """PromQL of the number of bad events by job within a window; None where time is counted and not events."""
    impact: str
    causes: str
    actions: str

    @property
    def anchor(self) -> str:
        """Return the heading of its runbook in docs/operations.md."""
        return f"slo-{self.name}"


def le(bound: int) -> str:
    """Return the matcher of a bucket; Prometheus 3 writes whole bounds with a decimal point."""
    return f'le=~"{bound}|{bound}.0"'


def _slower(metric: str, bound: int) -> Callable[[str], str]:
    """Return the share of what took longer than `bound` seconds."""

    def errors(window: str) -> str:
        quick = f"sum by (job) (rate({metric}_bucket{{{le(bound)}}}[{window}]))"
        return f"1 - {quick} / (sum by (job) (rate({metric}_count[{window}])) > 0)"

    return errors


def _slow(metric: str, bound: int) -> Callable[[str], str]:
    """Return the number of what took longer than `bound` seconds."""

    def bad(window: str) -> str:
        quick = f"sum by (job) (increase({metric}_bucket{{{le(bound)}}}[{window}]))"
        return f"sum by (job) (increase({metric}_count[{window}])) - {quick}"

    return bad


def _late_sweep(window: str) -> str:
    return f"avg_over_time(cx:sweep_late:ratio[{window}])"


LOST: Final = 'cx_deliveries_total{result=~"refused|gone|expired|undecodable"}'


def _undelivered(window: str) -> str:
    quick = f"sum by (job) (rate(cx_delivery_seconds_bucket{{{le(DELIVERED_S)}}}[{window}]))"
    accepted = f"sum by (job) (rate(cx_delivery_seconds_count[{window}]))"
    lost = f"sum by (job) (rate({LOST}[{window}]))"
    return f"1 - {quick} / ({accepted} + ({lost} or 0 * {accepted}) > 0)"


def _late_or_lost(window: str) -> str:
    late = _slow("cx_delivery_seconds", DELIVERED_S)(window)
    lost = f"sum by (job) (increase({LOST}[{window}]))"
    return f"{late} + ({lost} or 0 * ({late}))"


# Whoever may write to cx.actions could burn the budget by requests to forget that prove no key; to refuse them
# is the promise kept, no score misses anything, and `cx forget` itself tells who asked with a wrong key.
LOST_TO_SCORES: Final = 'cx_rejected_records_total{reason!="forget_key"}'


def _rejected(window: str) -> str:
    rejected = f"sum by (job) (rate({LOST_TO_SCORES}[{window}]))"
    read = f"sum by (job) (rate(cx_touchpoints_total[{window}]))"
    # Where nothing at all can be read there is no series of what was read.
    return f"{rejected} / ({rejected} + ({read} or 0 * {rejected}) > 0)"


def _unreadable(window: str) -> str:
    return f"sum by (job) (increase({LOST_TO_SCORES}[{window}]))"


OBJECTIVES: Final = (
    Objective(
        "scored",
        "Events scored within 5 s",
        "99% of records are scored within 5 s after the broker has them",
        0.99,
        _slower("cx_event_to_score_seconds", SCORED_S),
        _slow("cx_event_to_score_seconds", SCORED_S),
        "Scores and alerts are late: people act on what was true some time ago.",
        "Too few workers for the load; a slow or overloaded broker; a partition in recovery; a stuck input.",
        "Look at lag by topic and at transactions on the internals dashboard; add workers up to the number of "
        "partitions; `cx doctor`.",
    ),
    Objective(
        "alerts",
        "Alerts within 60 s of their event",
        "99% of alerts that an event raises are published within 60 s after the broker has the event",
        0.99,
        _slower("cx_event_to_alert_seconds", ALERTED_S),
        _slow("cx_event_to_alert_seconds", ALERTED_S),
        "The retention team hears of a failure when the customer has already gone.",
        "The same as for late scores; an input that is behind holds back the others of its partition.",
        "Mend the lag first: alerts come with the transaction that scores the event.",
    ),
    Objective(
        "sweep",
        "Silence seen within the sweep's interval and 60 s",
        "99% of the time every customer has been looked at within sweep_interval_s + 60 s",
        0.99,
        _late_sweep,
        None,
        "Silence and missed deadlines make no event: without the sweep nobody is told of them.",
        "More customers than a fifth of a core can visit in the interval; a worker that is busy catching up.",
        "Add workers, or lengthen CX_SWEEP_INTERVAL_S; look at sweep pass time on the internals dashboard.",
    ),
    Objective(
        "delivery",
        "Alerts accepted within 2 min",
        "99% of deliveries are accepted by their receiver within 2 min after the alert may be told",
        0.99,
        _undelivered,
        _late_or_lost,
        "Alerts exist in cx.alerts, and the people who should act do not get them.",
        "The receiver is down, slow or refuses the signature; the breaker is open; `cx deliver` is behind.",
        "Look at attempts by result on the SLO dashboard; mend the receiver; what waits is sent by itself.",
    ),
    Objective(
        "rejects",
        "Records that can be read",
        "at least 99.9% of records are not rejected",
        0.999,
        _rejected,
        _unreadable,
        "What is rejected is not in any score. It is kept in cx.deadletter.",
        "A producer's release that changed a type, a field, the key or its clock.",
        "`cx deadletters list` names reason and topic; mend the producer, then `cx deadletters replay`.",
    ),
)


def rule_file() -> dict[str, Any]:
    """Return grafana/rules/slo.yml."""
    recorded = [rule for each in OBJECTIVES for rule in _recordings(each)]
    return {
        "groups": [
            {"name": "cx-slo", "interval": "30s", "rules": [_sweep_late(), *recorded]},
            {
                "name": "cx-slo-budget",
                "interval": "5m",
                "rules": [rule for each in OBJECTIVES for rule in _budgets(each)],
            },
            {"name": "cx-slo-alerts", "rules": [rule for each in OBJECTIVES for rule in _alerts(each)]},
        ]
    }


def _sweep_late() -> dict[str, Any]:
    """Return the share of partitions whose last pass of the sweep is too old."""
    expr = (
        "avg by (job) (cx_sweep_age_seconds > bool on (job, instance) group_left () "
        "(cx_sweep_interval_seconds + 60))"
    )
    return {"record": "cx:sweep_late:ratio", "expr": expr}


def _recordings(objective: Objective) -> Iterator[dict[str, Any]]:
    for window in WINDOWS:
        yield {
            "record": f"cx:slo_errors:ratio_rate{window}",
            "labels": {"slo": objective.name},
            "expr": objective.errors(window),
        }


def _budgets(objective: Objective) -> Iterator[dict[str, Any]]:
    labels = {"slo": objective.name}
    name = f"cx:slo_errors:ratio_rate{BUDGET_WINDOW}"
    yield {"record": name, "labels": labels, "expr": objective.errors(BUDGET_WINDOW)}
    budget = f"{1.0 - objective.objective:.4g}"
    expr = f'1 - {name}{{slo="{objective.name}"}} / {budget}'
    yield {"record": "cx:slo_budget:remaining_ratio", "labels": labels, "expr": expr}


def _alerts(objective: Objective) -> Iterator[dict[str, Any]]:
    paging, working = partial(_paging, objective), partial(_burning, objective)
    for speed, windows, burns, severity, wait in (
        ("Fast", FAST, paging, "page", "2m"),
        ("Slow", SLOW, working, "ticket", "15m"),
    ):
        yield {
            "alert": f"CxSlo{objective.name.capitalize()}{speed}Burn",
            "expr": " or ".join(f"({burns(*each)})" for each in windows),
            "for": wait,
            "labels": {"severity": severity, "slo": objective.name},
            "annotations": {
                "summary": f"{objective.title}: the error budget of 30 days burns too fast",
                "description": f"Promised: {objective.promise}. Bad: {{{{ $value | humanizePercentage }}}}.",
                "impact": objective.impact,
                "causes": objective.causes,
                "actions": objective.actions,
                "runbook": f"{GUIDE}#{objective.anchor}",
            },
        }


def _burning(objective: Objective, long: str, short: str, factor: float) -> str:
    most = f"{factor * (1.0 - objective.objective):.4g}"
    matcher = f'{{slo="{objective.name}"}}'
    long_rate = f"cx:slo_errors:ratio_rate{long}{matcher} > {most}"
    return f"{long_rate} and cx:slo_errors:ratio_rate{short}{matcher} > {most}"


def _paging(objective: Objective, long: str, short: str, factor: float) -> str:
    burns = _burning(objective, long, short, factor)
    return burns if objective.bad is None else f"{burns} and on (job) {objective.bad(long)} > {FEW}"
