"""The dashboard of golden signals: whether the pipeline keeps up, and what is lost on the way."""

from grafana.boards.kit import JOB, WORKER, Board, Panel, bars, lines, rate, share, stack, stats
from grafana.boards.objectives import ALERTED_S, DELIVERED_S, SCORED_S


def _quantile(quantile: float, metric: str) -> str:
    return f"histogram_quantile({quantile}, {rate(metric + '_bucket', 'le')})"


READ = rate("cx_touchpoints_total")
REJECTED = rate("cx_rejected_records_total")


def _figures() -> tuple[Panel, ...]:
    traffic = stats(
        4,
        (
            "Records a second",
            "Everything that was read: touchpoints and rejects.",
            "ops",
            f"{READ} + {REJECTED}",
        ),
    )
    errors = stats(
        4,
        (
            "Rejected",
            "Share of records that could not be read; they are kept in cx.deadletter.",
            "percentunit",
            share(REJECTED, f"({READ} + {REJECTED})"),
        ),
        steps=((0.001, "orange"), (0.01, "red")),
        base="green",
        decimals=2,
    )
    times = stats(
        4,
        (
            "Time to score, 99 of 100",
            "From the broker's timestamp to the commit of what the record changed. Promised: 5 s.",
            "s",
            _quantile(0.99, "cx_event_to_score_seconds"),
        ),
        (
            "Behind",
            "Age of the oldest input position of any partition that is not at its end.",
            "s",
            f"max(cx_lag_seconds{{{WORKER}}})",
        ),
        (
            "Oldest channel",
            "Time since the newest event of the channel that has been silent longest.",
            "s",
            f"time() - min(max by (channel) (cx_newest_event_timestamp_seconds{{{WORKER}}}))",
        ),
        steps=((SCORED_S, "orange"), (ALERTED_S, "red")),
        base="green",
        decimals=1,
    )
    ready = stats(
        4,
        (
            "Partitions worked on",
            "Share of the partitions assigned that are worked on: below 100% some customers wait.",
            "percentunit",
            f"avg(cx_partition_ready{{{WORKER}}})",
        ),
        steps=((1.0, "green"),),
        base="red",
        decimals=0,
    )
    return (*traffic, *errors, *times, *ready)


def _traffic() -> tuple[Panel, ...]:
    return (
        stack(
            8,
            "Touchpoints by outcome",
            "Accepted, duplicate, anonymous or suppressed; what is rejected has a panel of its own.",
            "ops",
            (rate("cx_touchpoints_total", "outcome"), "{{outcome}}"),
        ),
        stack(
            8,
            "Touchpoints by channel",
            "A channel that ends here is silent: its customers will look silent too.",
            "ops",
            (rate("cx_touchpoints_total", "channel"), "{{channel}}"),
        ),
        bars(
            8,
            "Touchpoints by type, last hour",
            "The most frequent types with their versions: an old version that does not go away is seen here.",
            "ops",
            (f"topk(8, sum by (type) (rate(cx_touchpoint_types_total{{{WORKER}}}[1h])))", "{{type}}"),
            decimals=2,
            base="blue",
        ),
        stack(
            8,
            "Rejected by reason",
            "A jump of one reason is one producer's release.",
            "ops",
            (rate("cx_rejected_records_total", "reason") + " > 0", "{{reason}}"),
        ),
        lines(
            8,
            "Rejected by source",
            "Share of a source's records. A source has its own line if the policy lists it; what names none is left out.",
            "percentunit",
            (f'cx:source_rejects:ratio_rate1h{{source!="unknown", {JOB}}}', "{{source}}"),
            least=0.0,
        ),
        lines(
            8,
            "Late events by source",
            "Share of events that reached the log more than an hour after they were recorded.",
            "percentunit",
            (
                share(
                    rate("cx_late_events_total", "source"),
                    rate("cx_touchpoints_total", "source", 'outcome="accepted"'),
                ),
                "{{source}}",
            ),
            least=0.0,
        ),
    )


def _latency() -> tuple[Panel, ...]:
    return (
        lines(
            8,
            "Time to score",
            "From the broker's timestamp to the commit, for half, 95 and 99 of 100 records.",
            "s",
            (_quantile(0.5, "cx_event_to_score_seconds"), "half"),
            (_quantile(0.95, "cx_event_to_score_seconds"), "95 of 100"),
            (_quantile(0.99, "cx_event_to_score_seconds"), "99 of 100"),
            least=0.0,
            steps=((SCORED_S, "red"),),
        ),
        lines(
            8,
            "Time to alert, and to its receiver",
            "From the broker's timestamp of an event to the commit of the alert that it raised, and from there "
            "to its acceptance, without quiet hours.",
            "s",
            (_quantile(0.5, "cx_event_to_alert_seconds"), "half"),
            (_quantile(0.99, "cx_event_to_alert_seconds"), "99 of 100"),
            (_quantile(0.99, "cx_delivery_seconds"), "99 of 100 to the receiver"),
            least=0.0,
            steps=((ALERTED_S, "orange"), (DELIVERED_S, "red")),
        ),
        lines(
            8,
            "Freshness by channel",
            "Time since the newest event of each channel.",
            "s",
            (
                f"time() - max by (channel) (cx_newest_event_timestamp_seconds{{{WORKER}}})",
                "{{channel}}",
            ),
            least=0.0,
        ),
    )


def _lag() -> tuple[Panel, ...]:
    return (
        lines(
            8,
            "Lag in records",
            "Offsets not applied yet, by topic.",
            "short",
            (f"sum by (topic) (cx_lag_records{{{WORKER}}})", "{{topic}}"),
            least=0.0,
        ),
        lines(
            8,
            "Lag in seconds",
            "Age of the last record applied where more wait, the worst partition of each topic.",
            "s",
            (f"max by (topic) (cx_lag_seconds{{{WORKER}}})", "{{topic}}"),
            least=0.0,
        ),
        lines(
            8,
            "Watermark behind the clock",
            "Until when every input of a partition was read; silence is judged up to here.",
            "s",
            (f"time() - min by (instance) (cx_watermark_timestamp_seconds{{{WORKER}}})", "{{instance}}"),
            least=0.0,
        ),
    )


def _work() -> tuple[Panel, ...]:
    return (
        lines(
            12,
            "Scores and steps of alerts published",
            "What goes out to readers.",
            "ops",
            (rate("cx_scores_total"), "scores"),
            (rate("cx_alert_steps_total", "step"), "alerts {{step}}"),
            least=0.0,
        ),
        lines(
            12,
            "Computing time",
            "Share of a core that goes into decoding and scoring: near 1 a worker is at its end.",
            "percentunit",
            (rate("cx_compute_seconds_total", "instance"), "{{instance}}"),
            least=0.0,
            steps=((0.9, "red"),),
        ),
    )


def pipeline() -> Board:
    """Return the dashboard."""
    question = "Does it keep up, and is anything lost on the way?"
    panels = (*_figures(), *_traffic(), *_latency(), *_lag(), *_work())
    return Board("cx-pipeline", question, panels)
