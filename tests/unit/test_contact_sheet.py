"""The contact sheet's drawing: units, colours and places, without a Prometheus."""

from typing import Any

import pytest

from grafana.boards.drawing import Series, color_of, fitting, panel_html, shown
from grafana.contact_sheet import chosen, height_px


def a_panel(kind: str = "timeseries", **defaults: Any) -> dict[str, Any]:
    """Return a panel as a dashboard has it."""
    return {
        "type": kind,
        "title": "Who < whom",
        "description": "What it says.",
        "gridPos": {"x": 8, "y": 4, "w": 8, "h": 7},
        "targets": [{"expr": "topk(8, x)"}],
        "fieldConfig": {"defaults": {"unit": "s", "custom": {}, **defaults}},
    }


def line(legend: str, *values: float) -> Series:
    """Return a series of one value a second."""
    return Series(legend, tuple((float(at), value) for at, value in enumerate(values)))


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.1234, "percentunit", None, "12.3%"),
        (-1e-12, "percentunit", None, "0.0%"),
        (1.0, "percentunit", 0, "100%"),
        (0.0021, "s", None, "2.1 ms"),
        (90.0, "s", None, "1.5 min"),
        (7200.0, "s", None, "2 h"),
        (432000.0, "s", None, "5 d"),
        (95_040_000.0, "s", None, "1100 d"),
        (1.5e12, "short", None, "1500G"),
        (2048.0, "bytes", None, "2 KiB"),
        (512.0, "Bps", None, "512 B/s"),
        (12345.0, "short", None, "12.3k"),
        (4_215_323.0, "short", 0, "4.22M"),
        (65.8, "ops", None, "65.8/s"),
        (64.6, "suffix: / 100", 0, "65 / 100"),
        (float("nan"), "short", None, "no number"),
    ],
)
def test_a_value_is_shown_in_its_unit(value: float, unit: str, decimals: int | None, text: str):
    """As Grafana would write it."""
    assert shown(value, unit, decimals) == text


def test_a_panel_lies_where_the_dashboard_puts_it():
    """Column and row of the grid, and the text made safe for HTML."""
    drawn = panel_html(a_panel(), [line("a", 1.0, 2.0), line("b", 3.0, 1.0)])
    assert "grid-column:9/span 8;grid-row:5/span 7" in drawn
    assert "Who &lt; whom" in drawn
    assert drawn.count("<polyline") == 2


def test_a_panel_without_data_says_so():
    """Nothing looks like zero."""
    assert "no data" in panel_html(a_panel(), [])


def test_areas_stand_on_each_other():
    """The upper one begins where the lower one ends."""
    panel = a_panel(custom={"stacking": {"mode": "normal"}}, min=0.0)
    drawn = panel_html(panel, [line("a", 1.0, 1.0), line("b", 1.0, 3.0)])
    assert drawn.count("<polygon") == 2
    assert ">4 s</text>" in drawn


def test_a_figure_has_the_colour_of_its_threshold():
    """The last step that the value reaches gives the colour."""
    steps = {"steps": [{"value": None, "color": "green"}, {"value": 0.5, "color": "red"}]}
    panel = a_panel("stat", unit="percentunit", thresholds=steps)
    assert color_of(panel, 0.4) != color_of(panel, 0.5)
    assert f"color:{color_of(panel, 0.9)}" in panel_html(panel, [line("a", 0.1, 0.9)])


def test_bars_are_ranked():
    """The longest comes first where the query picks the longest; others, as bins, stand in order of names."""
    panel, series = a_panel("bargauge"), [line("up to 0.1", 1.0), line("up to 0.2", 5.0)]
    drawn = panel_html(panel, series)
    assert drawn.index("up to 0.2") < drawn.index("up to 0.1")
    panel["targets"] = [{"expr": "sum by (bin) (x)"}]
    drawn = panel_html(panel, series[::-1])
    assert drawn.index("up to 0.1") < drawn.index("up to 0.2")


def test_an_axis_ends_where_the_panel_says():
    """A difference of rates that comes out a little below 0 does not move the axis."""
    drawn = panel_html(a_panel(min=0.0, unit="ops"), [line("a", 2.0, -0.4)])
    assert ">0/s</text>" in drawn
    assert "-0.4" not in drawn


def test_a_legend_tells_of_what_it_has_no_room_for():
    """No name is cut off in silence."""
    names = [f"out of range 127.0.0.{number}:9464" for number in range(5)]
    drawn = panel_html(a_panel(), [line(name, 1.0) for name in names])
    assert fitting(names, 458) == 3
    assert "and 2 more" in drawn
    assert fitting(names[:2], 458) == 2
    assert fitting([], 458) == 0


def test_a_series_keeps_the_colour_of_its_override():
    """A band has its own colour wherever it is drawn."""
    panel = a_panel()
    fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}
    panel["fieldConfig"]["overrides"] = [{"matcher": {"id": "byName", "options": "b"}, "properties": [fixed]}]
    drawn = panel_html(panel, [line(name, 1.0) for name in "abcdefghij"])
    assert 'background:#c4302b"></i>b' in drawn


def test_a_query_is_asked_as_grafana_would():
    """Every job and instance, and the window of rates filled in."""
    assert chosen('rate(x{job=~"$job"}[$__rate_interval])', 20.0) == 'rate(x{job=~".+"}[20s])'


def test_a_page_is_as_high_as_its_lowest_panel():
    """Pictures show the whole dashboard."""
    assert height_px({"panels": [a_panel(), {"gridPos": {"y": 11, "h": 9}}]}) == 20 * 30 + 110
