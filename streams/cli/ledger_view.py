"""A customer's document as tables a person can read: both ledgers, the risk and the alerts."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from streams.cli.tables import MINUTE_CHARS, minute
from streams.demo.words import BAND_STYLES, SEVERITY_STYLES, printable
from streams.scoring.policy import Policy
from streams.scoring.reasons import ago, words

Document = Mapping[str, Any]
Row = list[float | None]
NOTABLE_GAP: Final = 5.0
NOTABLE_TREND: Final = 1.0
LEAST: Final = 0.005
"""Less is 0.00 in a table."""
RISK_REASONS: Final = {
    "base": "what holds for every customer",
    "rhythm": "how often and how lately the customer engaged",
    "engagement": "how much the customer engaged within the horizon",
    "calibration": "what outcomes have taught about the sum",
    "trend": "the last weeks were worse than usual",
    "spend": "how much an occasion brings, against the typical one",
    "open_issue": "what went wrong and is not mended yet",
    "broken_promise": "what was promised and not kept",
    "intent_cancelled": "cancelled",
    "intent_cancel_page": "looked at how to leave",
    "intent_complaint": "complained",
    "intent_unsubscribe": "wants no more messages",
}


def render(found: Document, policy: Policy) -> Iterator[RenderableType]:
    """Yield the parts of a customer's document (`cx score --json`, or a worker's) from top to bottom."""
    yield _headline(found)
    yield Padding(_figures(found), (1, 0, 0, 1), expand=False)
    yield _ledgers(found, policy)
    yield _risk_line(found)
    if found["churn_drivers"]:
        yield _risk(found)
    yield from _alerts(found)
    if found["policy_version"] != policy.hash:
        yield Text(
            f"Judged by policy {found['policy_version']}; the reasons are of {policy.hash}.", style="dim"
        )


def _headline(found: Document) -> Text:
    band = found["band"]
    text = Text(printable(found["customer_id"]), "bold")
    text.append(f", {minute(found['at'])} UTC: ", "not bold")
    text.append("too little is known" if band == "unknown" else words(band), BAND_STYLES[band])
    return text.append(f", {found['events']:,} events", "not bold")


def _figures(found: Document) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column()
    for ledger in ("experience", "service"):
        grid.add_row(ledger, f"{found[ledger]:.1f}", f"of 100, coverage {found['coverage'][ledger]:.0%}")
    gap = found["gap"]
    grid.add_row("gap", "-" if gap is None else f"{gap:+.1f}", _gap(found))
    grid.add_row("trend", f"{found['trend']:+.1f}", _trend(found["trend"]))
    last = found["last_experience"]
    if last is not None:
        what = f"{words(last['driver'])}, {ago(last['age_s'])}"
        grid.add_row("last experience", f"{last['points']:+.1f}", what)
    return grid


def _gap(found: Document) -> str:
    gap = found["gap"]
    if gap is None:
        return "too little is known of one of them"
    if abs(gap) < NOTABLE_GAP:
        return "service is like the rest"
    failing = found["experience"] < found["prior"]
    if gap < 0:
        return "service is the worst of it" if failing else "service spoils a good one"
    if not failing:
        return "service is the best of it"
    served_badly = found["service"] < found["prior"] - NOTABLE_GAP
    how = "is failing too, only less" if served_badly else "carries a failing experience"
    return f"service {how}: mend the cause"


def _trend(trend: float) -> str:
    if abs(trend) < NOTABLE_TREND:
        return "as usual"
    return "worse than usual" if trend < 0 else "better than usual"


def _ledgers(found: Document, policy: Policy) -> Table:
    """Return both ledgers side by side: the prior, each driver's points, and their sum."""
    points: dict[str, dict[str, float]] = {}
    for entry in found["drivers"]:
        points.setdefault(entry["driver"], {})[entry["ledger"]] = entry["points"]
    table = _table("driver", "experience", "service", "why")
    prior = f"{found['prior']:.2f}"
    table.add_row("prior", prior, prior, "assumed of a customer of whom nothing is known")
    rows = {name: [own.get(ledger) for ledger in ("experience", "service")] for name, own in points.items()}
    for name, own, reason in _folded(rows, lambda name: _why(name, policy)):
        table.add_row(name, *_cells(own), reason)
    table.add_section()
    table.add_row("score", f"{found['experience']:.2f}", f"{found['service']:.2f}", "", style="bold")
    return table


def _why(name: str, policy: Policy) -> str:
    driver = policy.drivers.get(name)
    return driver.reason if driver else ""


def _risk_line(found: Document) -> Text:
    probability = found["churn_probability"]
    if probability is None:
        return Text("Risk of churn: unknown, the customer never engaged.")
    return Text(
        f"Risk of churn: {probability:.0%} that the customer does not engage in {found['horizon_days']} days."
    )


def _risk(found: Document) -> Table:
    table = _table("driver", "log-odds", "why")
    rows: dict[str, Row] = {entry["driver"]: [entry["logit"]] for entry in found["churn_drivers"]}
    for name, own, reason in _folded(rows, lambda name: RISK_REASONS.get(name, "its points in experience")):
        table.add_row(name, *_cells(own, good=-1), reason)
    table.add_section()
    logit = sum(entry["logit"] for entry in found["churn_drivers"])
    table.add_row("sum", f"{logit:+.2f}", f"a probability of {found['churn_probability']:.1%}", style="bold")
    return table


def _alerts(found: Document) -> Iterator[RenderableType]:
    """Yield the steps of alerts that a file gave, or the alerts that a worker holds open."""
    steps = found.get("alerts", found.get("open_alerts", []))
    if not steps:
        yield Text("No alerts.")
        return
    for step in steps:
        text = Text(f"{minute(step.get('at') or step['opened'])}  {words(step['rule'])} {step['episode']} ")
        text.append(f"{step.get('step', 'open')}, ")
        text.append(step["severity"], SEVERITY_STYLES[step["severity"]])
        yield text
        if "reason" in step:
            yield Padding(printable(step["reason"]), (0, 0, 0, MINUTE_CHARS + 2), expand=False)


def _folded(rows: Mapping[str, Row], why: Callable[[str], str]) -> Iterator[tuple[str, Row, str]]:
    """Yield each row in words with its reason, and at the end those that round to nothing as one."""
    small = {name for name, own in rows.items() if all(abs(value or 0.0) < LEAST for value in own)}
    for name, own in rows.items():
        if name not in small:
            yield words(name), own, why(name)
    if small:
        totals: Row = [
            sum(value or 0.0 for value in column)
            for column in zip(*(rows[name] for name in small), strict=True)
        ]
        yield f"{len(small)} more", totals, "too small to show"


def _table(*columns: str) -> Table:
    """Return a table of names, numbers and a last column of words."""
    table = Table(box=box.SIMPLE)
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:-1]:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(columns[-1])
    return table


def _cells(values: Iterable[float | None], good: int = 1) -> list[Text]:
    """Return signed numbers, green where their sign is that of `good`; empty for None."""
    return [
        Text("") if value is None else Text(f"{value:+.2f}".replace("-0.00", "+0.00"), _color(value * good))
        for value in values
    ]


def _color(value: float) -> str:
    if abs(value) < LEAST:
        return ""
    return "green" if value > 0 else "red"
