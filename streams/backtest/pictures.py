"""Pictures of a backtest as SVG: reliability, precision against recall, lead time."""

import io
from collections.abc import Callable
from typing import Any, Final, Literal, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from streams.backtest.baselines import TITLES
from streams.backtest.judge import OURS, Standing, Verdict
from streams.backtest.log import Floats

INK: Final = "#1f2933"
FAINT: Final = "#d5dbe1"
COLOURS: Final = {
    OURS: "#0b6e4f",
    "recency": "#c2410c",
    "counter": "#2563a8",
    "bgnbd": "#9aa5b1",
    "mbgnbd": "#7c3aed",
    "rfm": "#a16207",
}
STYLE: Final[dict[str, Any]] = {
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#edf0f3",
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "cx",  # the same figures give the same bytes
}
SIZE: Final = (5.2, 4.4)
CURVE_POINTS: Final = 200
ALONE: Final = 0.02
"""Of the rows: what precision is at less says nothing."""


def pictures(verdict: Verdict) -> dict[str, str]:
    """Return name -> SVG of each picture."""
    return {
        "reliability": _drawn(verdict, _reliability),
        "precision-recall": _drawn(verdict, _precision_recall),
        "lead-time": _drawn(verdict, _lead),
    }


def _drawn(verdict: Verdict, draw: Callable[[Axes, Verdict], None]) -> str:
    with mpl.rc_context(cast("Any", STYLE)):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        draw(axes, verdict)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None}, transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]


def _reliability(axes: Axes, verdict: Verdict) -> None:
    """Draw told against true; a point's area is its share of the rows."""
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1.5, zorder=1)
    for name in ("mbgnbd", OURS):
        table = verdict.models[name].reliability or []
        sizes = [18 + 700 * line.rows / verdict.rows for line in table]
        told, true = [line.told for line in table], [line.true for line in table]
        axes.plot(told, true, color=COLOURS[name], linewidth=1.4, label=TITLES[name], zorder=2)
        axes.scatter(told, true, s=sizes, color=COLOURS[name], alpha=0.55, linewidths=0, zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability told", ylabel="share that did not engage")
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="upper left")


def _precision_recall(axes: Axes, verdict: Verdict) -> None:
    """Draw precision against recall of the label over all judged rows."""
    for name in reversed(COLOURS):
        recall, precision = curve(verdict.scores[name], verdict.labels)
        width = 2.4 if name == OURS else 1.3
        axes.plot(recall, precision, color=COLOURS[name], linewidth=width, label=TITLES[name])
    axes.axhline(verdict.base_rate, color=FAINT, linewidth=1.5)
    axes.annotate("base rate", (0.01, verdict.base_rate), va="bottom", color="#7b8794")
    axes.set(xlim=(0, 1), xlabel="recall: share of those who stayed away", ylabel="precision")
    axes.set_ylim(max(0.0, verdict.base_rate - 0.25), 1.02)
    _legend(axes, "best")


def _legend(axes: Axes, place: Literal["best"]) -> None:
    """Name our model first, though it is drawn last."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(list(reversed(handles)), list(reversed(labels)), frameon=False, loc=place, fontsize=9)


def curve(scores: Floats, labels: Floats) -> tuple[Floats, Floats]:
    """Return recall and precision from the highest scores downwards, at some hundred points.

    A point lies where the score changes: rows that tie come together.
    """
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(labels[order])
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    ends = ends[ends + 1 >= ALONE * len(scores)]
    kept = ends[np.unique(np.linspace(0, len(ends) - 1, CURVE_POINTS).astype(np.int64))]
    return right[kept] / right[-1], right[kept] / (kept + 1)


def _lead(axes: Axes, verdict: Verdict) -> None:
    """Draw days of lead against recall at each budget: up and to the right is better."""
    shown = False
    for name in reversed(COLOURS):
        points = _lead_points(verdict.models[name])
        if not points:
            continue
        shown = True
        recall, lead, _ = zip(*points, strict=True)
        width, size = (2.2, 60) if name == OURS else (1.1, 28)
        axes.plot(recall, lead, color=COLOURS[name], linewidth=width)
        axes.scatter(recall, lead, s=size, color=COLOURS[name], label=TITLES[name], zorder=3)
        if name == OURS:
            for x, y, budget in points:
                axes.annotate(
                    str(budget),
                    (x, y),
                    xytext=(0, 8),
                    textcoords="offset points",
                    ha="center",
                    color=COLOURS[name],
                )
    axes.set(xlabel="recall: share of losses told of before", ylabel="median days of lead")
    axes.set_ylim(bottom=0)
    if shown:
        _legend(axes, "best")
    else:
        axes.annotate(
            "no silence reached twice the horizon\nwithin the judged periods",
            (0.5, 0.5),
            xycoords="axes fraction",
            ha="center",
        )


def _lead_points(standing: Standing) -> list[tuple[float, float, int]]:
    return [
        (spent.recall, spent.lead_days, spent.per_1000)
        for spent in standing.budgets
        if spent.recall is not None and spent.lead_days is not None
    ]
