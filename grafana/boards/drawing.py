"""Panels as HTML: lines, areas, bars and figures in the units of the dashboard, drawn without Grafana."""

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

COLORS: Final = (
    *("#3b82c4", "#e0752d", "#4f9d4f", "#b83c3c", "#8f6cc0", "#8a6d5a", "#d36aa8", "#7a7a7a", "#a8a832"),
    *("#2fa3a3", "#1f4e79", "#b5651d"),
)
NAMED: Final = {
    "red": "#c4302b",
    "orange": "#d9822b",
    "yellow": "#c9a227",
    "green": "#3d8b40",
    "blue": "#3b82c4",
    "purple": "#8e62b8",
}
NAMED_ELSE: Final = "#333333"
CELL_PX: Final = 60
"""Width of one of the 24 columns."""
ROW_PX: Final = 30
CAPTION_PX: Final = 58
LEGEND_PX: Final = 34
LEGEND_LINES: Final = 2
LETTER_PX: Final = 6.6
MARK_PX: Final = 26
MORE_PX: Final = 80
"""Of "and 12 more"."""
LEFT_PX: Final = 62
SCALES: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
BINARY: Final = ((2.0**30, " GiB"), (2.0**20, " MiB"), (2.0**10, " KiB"))
MOST_DIGITS: Final = 999.5
"""From here on three digits would be written with an exponent."""
TIMES: Final = ((86400.0, " d"), (3600.0, " h"), (60.0, " min"))


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its legend, and (seconds since the epoch, value) in order of time."""

    legend: str
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        """Return the newest value."""
        return self.points[-1][1]


def shown(value: float, unit: str, decimals: int | None = None) -> str:
    """Return a value as Grafana would write it in `unit`."""
    if not math.isfinite(value):
        return "no number"
    value = round(value, 9) + 0.0  # no -0
    if unit == "percentunit":
        return f"{100 * value:.{1 if decimals is None else decimals}f}%"
    if unit == "s":
        return _seconds(value)
    if unit in {"bytes", "Bps"}:
        return _scaled(value, BINARY, " B") + ("/s" if unit == "Bps" else "")
    exact = decimals is not None and abs(value) < SCALES[-1][0]
    text = f"{value:.{decimals}f}" if exact else _scaled(value, SCALES, "")
    return text + (
        unit.removeprefix("suffix:") if unit.startswith("suffix:") else "/s" if unit == "ops" else ""
    )


def _scaled(value: float, scales: Sequence[tuple[float, str]], plain: str) -> str:
    for size, name in scales:
        if abs(value) >= size:
            return f"{_digits(value / size)}{name}"
    return f"{_digits(value)}{plain}"


def _digits(value: float) -> str:
    """Return three digits, or all in front of the point."""
    return f"{value:.0f}" if abs(value) >= MOST_DIGITS else f"{value:.3g}"


def _seconds(value: float) -> str:
    for size, name in TIMES:
        if abs(value) >= size:
            return f"{_digits(value / size)}{name}"
    return f"{value:.3g} s" if abs(value) >= 1.0 or not value else f"{1000 * value:.3g} ms"


def panel_html(panel: Mapping[str, Any], series: Sequence[Series]) -> str:
    """Return a panel at its place in the grid of its dashboard."""
    place = panel["gridPos"]
    width, height = place["w"] * CELL_PX - 14, place["h"] * ROW_PX - 10
    area = (
        f"grid-column:{place['x'] + 1}/span {place['w']};grid-row:{place['y'] + 1}/span {place['h']};"
        f"height:{height}px"
    )
    drawn = _DRAWERS[panel["type"]](panel, series, width - 16, height) if series else NOTHING
    title, told = html.escape(panel["title"]), html.escape(panel["description"])
    head = f'<h3 title="{told}">{title}</h3><p>{told}</p>' if place["h"] > SMALL else f"<h3>{title}</h3>"
    return f'<section style="{area}" data-series="{len(series)}">{head}{drawn}</section>'


NOTHING: Final = '<div class="none">no data</div>'
SMALL: Final = 4
"""A panel as high as this has no room for its sentence."""


def _unit(panel: Mapping[str, Any]) -> tuple[str, int | None]:
    defaults = panel["fieldConfig"]["defaults"]
    return defaults["unit"], defaults.get("decimals")


def color_of(panel: Mapping[str, Any], value: float) -> str:
    """Return the colour of a value by the thresholds of its panel."""
    color = NAMED_ELSE
    for step in panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", ()):
        if step.get("value") is None or value >= step["value"]:
            color = NAMED.get(step["color"], NAMED_ELSE)
    return color


def _stat(panel: Mapping[str, Any], series: Sequence[Series], width: int, height: int) -> str:
    value = series[0].last
    color = color_of(panel, value)
    spark = _sparkline(series[0], width, height - 78, color)
    return f'<div class="figure" style="color:{color}">{shown(value, *_unit(panel))}</div>{spark}'


def _sparkline(series: Series, width: int, height: int, color: str) -> str:
    values = [value for _, value in series.points]
    low, high = min(values), max(values)
    points = " ".join(
        f"{width * number / max(1, len(values) - 1):.1f},{_y(value, low, high, height):.1f}"
        for number, value in enumerate(values)
    )
    line = f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5" opacity=".6"/>'
    return f'<svg width="{width}" height="{height}">{line}</svg>'


def _y(value: float, low: float, high: float, height: float) -> float:
    span = high - low
    return height - 2.0 - (height - 4.0) * (value - low) / span if span else height / 2.0


def _bars(panel: Mapping[str, Any], series: Sequence[Series], width: int, height: int) -> str:
    ranked = _ranked(panel, series)
    defaults = panel["fieldConfig"]["defaults"]
    most = defaults.get("max") or max(abs(each.last) for each in ranked) or 1.0
    row = min(28.0, (height - CAPTION_PX) / len(ranked))
    label, room = 0.42 * width, 0.42 * width
    parts = []
    for number, each in enumerate(ranked):
        y = number * row
        size = room * min(1.0, abs(each.last) / most)
        legend = html.escape(each.legend)
        parts.append(
            f'<text x="{label - 6}" y="{y + row * 0.68:.1f}" text-anchor="end">{legend}</text>'
            f'<rect x="{label}" y="{y + row * 0.15:.1f}" width="{max(1.0, size):.1f}" height="{row * 0.7:.1f}" '
            f'fill="{color_of(panel, each.last)}" rx="2"/>'
            f'<text x="{label + size + 6:.1f}" y="{y + row * 0.68:.1f}">{shown(each.last, *_unit(panel))}</text>'
        )
    return f'<svg width="{width}" height="{len(ranked) * row:.0f}">{"".join(parts)}</svg>'


def _ranked(panel: Mapping[str, Any], series: Sequence[Series]) -> list[Series]:
    """Return the bars, the largest first where the query picks the largest, else by name: bins in order."""
    if all("topk(" in target["expr"] for target in panel["targets"]):
        return sorted(series, key=lambda each: -abs(each.last))
    return sorted(series, key=lambda each: each.legend)


def _lines(panel: Mapping[str, Any], series: Sequence[Series], width: int, height: int) -> str:
    stacked = panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode") == "normal"
    layers = _stacked(series) if stacked else [(each, None) for each in series]
    tall = height - CAPTION_PX - LEGEND_PX
    times = [at_s for each in series for at_s, _ in each.points]
    first, last = min(times), max(times)
    values = [value for each, _ in layers for _, value in each.points]
    defaults = panel["fieldConfig"]["defaults"]
    # A bound that is set is one: a rate that comes out below 0 by a rounding is cut off.
    low, high = defaults.get("min", min(values)), defaults.get("max", max(values))
    if high == low:
        high = low + 1.0
    across = (width - LEFT_PX) / max(1e-9, last - first)

    def at(point: tuple[float, float]) -> str:
        return f"{LEFT_PX + (point[0] - first) * across:.1f},{_y(point[1], low, high, tall):.1f}"

    parts = [_grid(low, high, width, tall, _unit(panel)[0])]
    for limit in _limits(panel, low, high):
        y = _y(limit, low, high, tall)
        line = f'<line x1="{LEFT_PX}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke-dasharray="6 4"'
        parts.append(f'{line} stroke="{color_of(panel, limit)}"/>')
    colors = _colors(panel, series)
    for (each, below), color in zip(layers, colors, strict=True):
        path = " ".join(map(at, each.points))
        if below is not None:
            base = " ".join(map(at, reversed(below)))
            parts.append(f'<polygon points="{path} {base}" fill="{color}" opacity=".65"/>')
        elif len(each.points) == 1:
            x, y = at(each.points[0]).split(",")
            parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>')
        else:
            parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.8"/>')
    return f'<svg width="{width}" height="{tall}">{"".join(parts)}</svg>{_legend(series, colors, width)}'


def _limits(panel: Mapping[str, Any], low: float, high: float) -> list[float]:
    """Return the thresholds that are drawn as lines, those in sight."""
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["custom"].get("thresholdsStyle", {}).get("mode") != "dashed":
        return []
    values = [step.get("value") for step in defaults["thresholds"]["steps"]]
    return [value for value in values if value is not None and low <= value <= high]


def _stacked(series: Sequence[Series]) -> list[tuple[Series, tuple[tuple[float, float], ...]]]:
    """Return each series on top of those before it, with the line that it stands on."""
    base: dict[float, float] = {}
    layers = []
    for each in series:
        below = tuple((at_s, base.get(at_s, 0.0)) for at_s, _ in each.points)
        upper = tuple((at_s, base.get(at_s, 0.0) + value) for at_s, value in each.points)
        base |= dict(upper)
        layers.append((Series(each.legend, upper), below))
    return layers


def _grid(low: float, high: float, width: int, tall: int, unit: str) -> str:
    parts = []
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        y = _y(value, low, high, tall)
        text_y = min(tall - 2.0, max(10.0, y + 4.0))
        parts.append(
            f'<line x1="{LEFT_PX}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT_PX - 6}" y="{text_y:.1f}" text-anchor="end">{shown(value, unit)}</text>'
        )
    return "".join(parts)


def _colors(panel: Mapping[str, Any], series: Sequence[Series]) -> list[str]:
    """Return the colour of each series: that of its override, else the palette's next."""
    own = {
        override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
        for override in panel["fieldConfig"].get("overrides", ())
    }
    palette = [COLORS[number % len(COLORS)] for number in range(len(series))]
    chosen = [own.get(each.legend, color) for each, color in zip(series, palette, strict=True)]
    return [NAMED.get(color, color) for color in chosen]


def _legend(series: Sequence[Series], colors: Sequence[str], width: int) -> str:
    room = fitting([each.legend for each in series], width)
    items = [
        f'<span><i style="background:{color}"></i>{html.escape(each.legend)}</span>'
        for each, color in list(zip(series, colors, strict=True))[:room]
    ]
    if len(series) > room:
        items.append(f"<span>and {len(series) - room} more</span>")
    return f'<div class="legend">{"".join(items)}</div>'


def fitting(legends: Sequence[str], width: int) -> int:
    """Return how many legends have room in two lines of `width` pixels, with the word that tells of others."""
    x, line = 0, 1
    for number, legend in enumerate(legends):
        size = LETTER_PX * len(legend) + MARK_PX
        more = MORE_PX if number + 1 < len(legends) else 0
        if x + size + (more if line == LEGEND_LINES else 0) > width:
            x, line = 0, line + 1
        if line > LEGEND_LINES:
            return number
        x += size
    return len(legends)


_DRAWERS: Final = {"stat": _stat, "bargauge": _bars, "timeseries": _lines}
STYLE: Final = f"""
body {{ font: 13px/1.3 "DejaVu Sans", Arial, sans-serif; background: #f2f3f5; color: #222; margin: 16px;
  width: {24 * CELL_PX}px; }}
h1 {{ font-size: 22px; margin: 0 0 2px; }}
.question {{ margin: 0 0 12px; color: #555; font-size: 15px; }}
main {{ display: grid; grid-template-columns: repeat(24, {CELL_PX}px); grid-auto-rows: {ROW_PX}px; }}
section {{ background: #fff; border: 1px solid #d8dade; border-radius: 4px; margin: 4px 5px; padding: 6px 8px;
  overflow: hidden; box-sizing: border-box; }}
h3 {{ font-size: 13px; margin: 0; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }}
section p {{ margin: 1px 0 4px; color: #777; font-size: 10.5px; height: 26px; overflow: hidden; }}
.figure {{ font-size: 30px; font-weight: 600; text-align: center; margin-top: 6px; white-space: nowrap; }}
.none {{ color: #999; text-align: center; padding-top: 24px; font-size: 16px; }}
.legend {{ height: {LEGEND_PX - 4}px; overflow: hidden; font-size: 11px; color: #555; }}
.legend span {{ margin-right: 10px; white-space: nowrap; }}
.legend i {{ display: inline-block; width: 12px; height: 4px; margin-right: 4px; vertical-align: middle; }}
svg text {{ font-size: 11px; fill: #666; }}
"""
