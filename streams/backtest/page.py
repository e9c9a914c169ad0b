"""A backtest as one HTML page with its pictures, readable without a network."""

from html import escape
from pathlib import Path
from typing import Final

import orjson

from streams.backtest.baselines import RECENCY, TITLES
from streams.backtest.folder import unwritable
from streams.backtest.judge import OURS, Pair, Standing, Verdict, document

PAGE: Final = "index.html"
CSS: Final = """
:root { color-scheme: light; --ink: #1f2933; --quiet: #52606d; --line: #e4e7eb; --ours: #0b6e4f; }
* { box-sizing: border-box; }
body {
  margin: 0; background: #f7f8fa;
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; letter-spacing: -.01em; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .7rem; }
p { margin: .3rem 0; max-width: 75ch; } .quiet { color: var(--quiet); font-size: .92rem; }
.figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  gap: .8rem; margin: 1.4rem 0;
}
.figure { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1rem; }
.figure b { display: block; font-size: 1.55rem; font-variant-numeric: tabular-nums; }
.figure span { color: var(--quiet); font-size: .85rem; }
.card {
  background: #fff; border: 1px solid var(--line);
  border-radius: 10px; padding: 1rem 1.2rem; overflow-x: auto;
}
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .93rem; }
th {
  text-align: right; font-weight: 600;
  color: var(--quiet); border-bottom: 1px solid var(--line); padding: .4rem .6rem;
}
td { text-align: right; padding: .38rem .6rem; border-bottom: 1px solid #f0f2f5; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr:last-child td { border-bottom: 0; }
tr.ours td { font-weight: 650; color: var(--ours); } td small { color: var(--quiet); font-weight: 400; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 1rem; }
.pictures figure { margin: 0; } .pictures svg { width: 100%; height: auto; display: block; }
figcaption { color: var(--quiet); font-size: .88rem; margin-top: .3rem; }
"""
CAPTIONS: Final = {
    "reliability": "Reliability: of those who were told p, the share that stayed away. On the line is right; "
    "a larger point stands for more rows.",
    "precision-recall": "Precision and recall of who does not engage within the horizon, over all rows.",
    "lead-time": "Lead: days from an alert to twice the horizon of silence, at 5, 10 and 20 alerts a week "
    "per 1,000 active customers.",
}


def write_report(verdict: Verdict, folder: Path) -> Path:
    """Write the page, its pictures and the figures as JSON into `folder`; return the page's path.

    Needs matplotlib; raises CxError where the folder cannot be written.
    """
    from streams.backtest.pictures import pictures  # noqa: PLC0415  # an extra's dependency

    drawn = pictures(verdict)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, svg in drawn.items():
            (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        (folder / "backtest.json").write_bytes(orjson.dumps(document(verdict), option=orjson.OPT_INDENT_2))
        page = folder / PAGE
        page.write_text(page_of(verdict, drawn), encoding="utf-8")
    except OSError as error:
        raise unwritable(folder, error.strerror or "") from error
    return page


def page_of(verdict: Verdict, drawn: dict[str, str]) -> str:
    """Return the HTML of a report."""
    plan, ours = verdict.plan, verdict.models[OURS]
    name = escape(verdict.dataset)
    figures = "".join(
        f'<div class="figure"><b>{value}</b><span>{words}</span></div>'
        for value, words in (
            (_figure(ours.auc), "AUC over all rows"),
            (_figure(ours.auc_within), "AUC within a period"),
            (_figure(ours.p_at_1), "precision in the top 1%"),
            (_figure(ours.ece), "calibration error (ECE)"),
            (f"{ours.above_recency:+.3f}", f"AUC above the recency rule {_pair(ours.above_recency_ci95)}"),
        )
    )
    shown = "".join(
        f'<figure class="card">{svg}<figcaption>{CAPTIONS[key]}</figcaption></figure>'
        for key, svg in drawn.items()
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Backtest of {name}</title><style>{CSS}</style>
<main>
<h1>Backtest of {name}</h1>
<p>Who will not engage within {plan.horizon_days} days? Asked every {plan.every_days} days of everybody who
engaged in the {plan.active_days} days before, from what was known then.</p>
<p class="quiet">{verdict.rows:,} rows of {verdict.customers:,} customers in {verdict.periods} periods;
{verdict.base_rate:.1%} did not engage; {verdict.refits} fits on matured outcomes;
policy {verdict.policy.hash}.</p>
<div class="figures">{figures}</div>
<h2>Every model on the same rows</h2>
<div class="card">{_ranking(verdict)}</div>
<p class="quiet">In brackets: 95% intervals from resampled customers.
Models without Brier and ECE only rank.</p>
<h2>Pictures</h2>
<div class="pictures">{shown}</div>
<h2>What a number of alerts buys</h2>
<div class="card">{_budgets(verdict)}</div>
<p class="quiet">Alerts a week per 1,000 active customers, each customer once a silence. Recall and lead are
of {verdict.losses:,} silences that reached {2 * plan.horizon_days} days; lead is the median.</p>
</main></html>
"""


def _ranking(verdict: Verdict) -> str:
    heads = ("model", "AUC", "within a period", "top 1%", "top 10%", "Brier", "ECE", "above recency")
    rows = []
    for name, standing in verdict.models.items():
        above = (
            "" if name == "recency" else f"{standing.above_recency:+.3f} {_pair(standing.above_recency_ci95)}"
        )
        cells = (
            TITLES[name],
            f"{_figure(standing.auc)} {_pair(standing.ci95)}",
            *map(
                _figure,
                (standing.auc_within, standing.p_at_1, standing.p_at_10, standing.brier, standing.ece),
            ),
            "" if name == RECENCY else above,
        )
        rows.append(_row(name, cells))
    return _table(heads, rows)


def _budgets(verdict: Verdict) -> str:
    heads = ("model", "budget", "alerts", "precision", "recall", "days of lead")
    return _table(heads, [row for name, found in verdict.models.items() for row in _spent(name, found)])


def _spent(name: str, standing: Standing) -> list[str]:
    return [
        _row(
            name,
            (
                TITLES[name] if index == 0 else "",
                str(spent.per_1000),
                f"{spent.alerts:,}",
                f"{_figure(spent.precision)} {_pair(spent.precision_ci95)}",
                f"{_figure(spent.recall)} {_pair(spent.recall_ci95)}",
                f"{_figure(spent.lead_days, 0)} {_pair(spent.lead_days_ci95, 0)}",
            ),
        )
        for index, spent in enumerate(standing.budgets)
    ]


def _table(heads: tuple[str, ...], rows: list[str]) -> str:
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{''.join(rows)}</table>"


def _row(name: str, cells: tuple[str, ...]) -> str:
    mark = ' class="ours"' if name == OURS else ""
    return f"<tr{mark}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _figure(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _pair(pair: Pair, digits: int = 3) -> str:
    return "" if pair is None else f"<small>({pair[0]:.{digits}f} to {pair[1]:.{digits}f})</small>"
