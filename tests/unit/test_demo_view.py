"""The live view shows what matters, in a terminal of any size."""

from dataclasses import replace

import pytest
from rich.console import Console

from streams.demo.view import SPARK_COUNT, DemoSnapshot, LiveView, alert_line, progress_line, sparkline

REASON = "Experience fell from delighted to at risk: the delivery failed and the call about it solved nothing"
ALERT = {
    "at": "2024-03-05T10:00:00Z",
    "customer_id": "c7-000042",
    "rule": "experience_drop",
    "step": "opened",
    "severity": "high",
    "reason": REASON,
}
EMPTY = DemoSnapshot(source="generated journeys, seed 7", log="the in-memory log")
SNAPSHOT = DemoSnapshot(
    source="generated journeys, seed 7",
    log="Kafka at 127.0.0.1:9092",
    elapsed_s=12.4,
    limit_s=30,
    produced=25_000,
    total=60_000,
    consumed=24_000,
    events_per_s=2_010,
    rates=(100, 500, 1_500, 2_010),
    duplicates=41,
    rejected={"schema_violation": 12, "not_json": 7},
    bands={"critical": 1, "at_risk": 40, "steady": 8_030, "delighted": 250, "unknown": 501},
    alerts=(ALERT,) * 30,
    alerts_by_rule={"experience_drop": 31, "silence": 120},
    lag=1_000,
    event_time="2024-03-05T10:00:00Z",
    metrics_url="http://127.0.0.1:9464/metrics",
)


def shown(snapshot: DemoSnapshot, width: int = 80, height: int = 24) -> str:
    """Return the view as text."""
    console = Console(width=width, height=height, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(LiveView(snapshot))
    return capture.get()


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 20), (200, 60)])
@pytest.mark.parametrize(
    "snapshot", [SNAPSHOT, EMPTY, replace(SNAPSHOT, alerts=({**ALERT, "reason": "x" * 140},))]
)
def test_the_view_fills_the_terminal_and_no_more(size: tuple[int, int], snapshot: DemoSnapshot):
    """The view is as wide as the terminal and one line shorter, whatever it has to show."""
    lines = shown(snapshot, *size).splitlines()
    assert len(lines) == size[1] - 1
    assert max(map(len, lines)) <= size[0]


@pytest.mark.parametrize(
    "text",
    [
        "generated journeys, seed 7",
        "00:12 of 00:30",
        "2,010/s ▁▂▆█",
        "24,000 of 60,000",
        "1,000 events",
        "19  mostly schema_v",
        "41 counted once",
        "2024-03-05 10:00",
        "at risk       40",
        "8,822",
        "alerts: experience drop 31, silence 120",
        "high     experience drop c7-000042",
        "http://127.0.0.1:9464/metrics",
    ],
)
def test_every_figure_is_on_the_smallest_screen(text: str):
    """At 80 by 24 every figure of the snapshot can be read."""
    assert text in shown(SNAPSHOT)


def test_an_alert_is_shown_with_its_whole_reason():
    """A reason is wrapped, not cut: it is what the view is for."""
    assert REASON in " ".join(shown(SNAPSHOT).replace("│", " ").split())


def test_no_alert_is_shown_in_part():
    """Where the last alert does not fit with its whole reason, it is left out."""
    text = shown(SNAPSHOT)
    assert text.count("c7-000042") == text.count("solved nothing") == 3


def test_a_band_with_one_customer_has_a_bar():
    """One critical customer among thousands is drawn; an empty band is not."""
    line = next(line for line in shown(SNAPSHOT).splitlines() if "critical" in line)
    assert "█" in line
    line = next(line for line in shown(EMPTY).splitlines() if "critical" in line)
    assert "█" not in line


def test_later_steps_of_an_alert_are_named():
    """A resolved or escalated alert says so, an opened one need not."""
    assert "resolved" in shown(replace(SNAPSHOT, alerts=({**ALERT, "step": "resolved"},)))
    assert "opened" not in shown(SNAPSHOT)


def test_before_the_first_alert_the_view_says_why():
    """Without an alert the note of the moment stands in its place."""
    assert "no alert yet" in shown(EMPTY)
    assert "starting the worker" in shown(replace(EMPTY, note="starting the worker"))


def test_one_reason_to_reject_is_named_as_such():
    """Where all rejects have one reason, it is not called the most frequent one."""
    text = shown(replace(SNAPSHOT, rejected={"not_json": 7}))
    assert "7  not_json" in text
    assert "mostly" not in text


def test_a_reason_with_markup_is_shown_as_it_is():
    """Brackets in data are text, not styling: nobody can paint the operator's screen."""
    assert "[bold red]x[/]" in shown(replace(SNAPSHOT, alerts=({**ALERT, "reason": "[bold red]x[/]"},)))


def test_progress_is_one_line_without_a_terminal():
    """Where nobody watches, a snapshot is one plain line."""
    assert progress_line(replace(SNAPSHOT, bands={"critical": 1, "at_risk": 2}, note="ending")) == (
        "00:12  24,000 events (2,010/s)  3 customers (critical 1, at risk 2)  151 alerts  19 rejected  "
        "lag 1,000  ending"
    )
    assert "0 customers  0 alerts" in progress_line(EMPTY)


def test_an_alert_is_one_line_without_a_terminal():
    """Where nobody watches, an alert is one plain line with its reason."""
    assert alert_line(ALERT) == f"2024-03-05 high experience drop c7-000042: {REASON}"


@pytest.mark.parametrize(
    ("rates", "bars"),
    [((), ""), ((0, 0), ""), ((0, 4, 8), "▁▅█"), ((5,) * 100, "█" * SPARK_COUNT)],
)
def test_the_sparkline_is_scaled_to_its_highest(rates: tuple[float, ...], bars: str):
    """The highest of the last rates is a full bar; there are never more bars than have room."""
    assert sparkline(rates) == bars


def test_data_cannot_steer_the_terminal():
    """Control characters that a producer sent are shown as question marks, live and in lines."""
    alert = {**ALERT, "customer_id": "c\x1b[2J", "reason": "x\x1b]0;title\x07\ny"}
    assert "\x1b" not in shown(replace(SNAPSHOT, alerts=(alert,)))
    assert alert_line(alert).endswith("c?[2J: x?]0;title??y")
