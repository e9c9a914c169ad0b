"""How a demo ends: what it did, and the views of the three people it is made for."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from schemas.rejects import REASONS
from streams.demo.view import DemoSnapshot
from streams.demo.words import BAND_STYLES, BANDS, SEVERITY_STYLES, ago, day, plain, printable

DRIVERS_SHOWN = 5
NOTABLE_TREND = 1.0
NOTABLE_GAP = 5.0
NOTABLE_LOST = 0.1
FAILING = 55.0
"""Below it an experience is at risk by the default policy."""
LEAST_POINTS = 0.05
"""A driver below is rounded to nothing."""


def did(snapshot: DemoSnapshot) -> dict[str, Any]:
    """Return what a demo did, for a program to read."""
    return {
        "source": snapshot.source,
        "log": snapshot.log,
        "seconds": round(snapshot.elapsed_s, 1),
        "produced": snapshot.produced,
        "consumed": snapshot.consumed,
        "duplicates": snapshot.duplicates,
        "rejected": dict(sorted(snapshot.rejected.items())),
        "customers": snapshot.customers,
        "bands": dict(snapshot.bands),
        "alerts_by_rule": dict(sorted(snapshot.alerts_by_rule.items())),
        "metrics_url": snapshot.metrics_url,
    }


def summary(snapshot: DemoSnapshot) -> RenderableType:
    """Return what a demo did, in a few lines."""
    rate = snapshot.consumed / snapshot.elapsed_s if snapshot.elapsed_s > 0 else 0.0
    bands = ", ".join(f"{snapshot.bands[band]:,} {plain(band)}" for band in BANDS if snapshot.bands.get(band))
    rules = ", ".join(f"{count:,} {plain(rule)}" for rule, count in sorted(snapshot.alerts_by_rule.items()))
    rejects = ", ".join(f"{count:,} {reason}" for reason, count in sorted(snapshot.rejected.items()))
    rows = _rows()
    rows.add_row("consumed", f"{snapshot.consumed:,} events in {snapshot.elapsed_s:.1f} s ({rate:,.0f}/s)")
    rows.add_row("scored", f"{snapshot.customers:,} customers" + (f": {bands}" if bands else ""))
    rows.add_row("alerts", f"{snapshot.alert_count:,}" + (f": {rules}" if rules else ""))
    rows.add_row("rejected", f"{snapshot.rejects:,}" + (f": {rejects}" if rejects else ""))
    return _section("What the demo did", rows)


def publisher_view(snapshot: DemoSnapshot) -> RenderableType:
    """Return the view of who publishes events: what was accepted, what was rejected and how to mend it."""
    accepted = max(0, snapshot.consumed - snapshot.rejects - snapshot.duplicates)
    repeats, rejects = f"{snapshot.duplicates:,} repeats counted once", f"{snapshot.rejects:,} rejected"
    body: list[RenderableType] = [Text(f"{accepted:,} accepted, {repeats}, {rejects}")]
    if snapshot.rejected:
        rows = Table.grid(padding=(0, 2))
        rows.add_column(justify="right", style="red")
        rows.add_column(style="bold", no_wrap=True)
        rows.add_column()
        for reason, count in sorted(snapshot.rejected.items(), key=lambda item: (-item[1], item[0])):
            rows.add_row(f"{count:,}", reason, _mend(reason))
        body.append(rows)
    body.append(_hint("cx check FILE", "what each of your events would do, before you send it"))
    if snapshot.rejected:
        body.append(_hint("cx deadletters list", "what your Kafka keeps of them; `show` has the bytes"))
    return _section("You publish events", *body)


def retention_view(
    alert: Mapping[str, Any] | None,
    *,
    lived: Sequence[str] = (),
    reasons: Mapping[str, str] | None = None,
) -> RenderableType:
    """Return the view of who answers alerts: one alert (as in `cx.alerts`) as a case.

    `lived` is what the customer went through lately, a line a moment; `reasons` says of a driver, in one
    line, why it counts.
    """
    if alert is None:
        hint = _hint("cx demo --for 60s", "a longer demo has more history to judge by")
        return _section("You answer alerts", Text("no alert was raised"), hint)
    rows = _rows()
    rows.add_row("who", _who(alert))
    rows.add_row("why now", Text(printable(alert["reason"]), "bold"))
    rows.add_row("risk", _risk(alert))
    rows.add_row("standing", _standing(alert))
    if last := alert.get("last_experience"):
        rows.add_row(
            "last moment",
            f"{plain(last['driver'])}, {ago(last['age_s'])} before, {last['points']:+.1f} points",
        )
    if drivers := _drivers(alert, reasons or {}):
        rows.add_row("because", drivers)
    if lived:
        rows.add_row("lived through", Group(*(Text(printable(line)) for line in lived)))
    if alert.get("cause_owner"):
        rows.add_row("the cause", Text(printable(f"belongs to {alert['cause_owner']}")))
    hint = _hint("cx explain CUSTOMER --events FILE", "the whole ledger of anybody in your events")
    return _section("You answer alerts", rows, hint)


def operator_view(snapshot: DemoSnapshot) -> RenderableType:
    """Return the view of who runs it: where the metrics are, how far behind, how fast."""
    rate = snapshot.consumed / snapshot.elapsed_s if snapshot.elapsed_s > 0 else 0.0
    top = max(snapshot.rates, default=rate)
    rows = _rows()
    rows.add_row("metrics", f"{snapshot.metrics_url}, while it ran" if snapshot.metrics_url else "not served")
    rows.add_row("lag", f"{snapshot.lag:,} events")
    rows.add_row("throughput", f"{rate:,.0f} events/s, at most {max(top, rate):,.0f}/s")
    rows.add_row("log", Text(f"{snapshot.log}, while it ran"))
    return _section("You run it", rows, _hint("cx worker", "the same beside your own Kafka"))


def closing(
    snapshot: DemoSnapshot,
    alert: Mapping[str, Any] | None,
    *,
    lived: Sequence[str] = (),
    reasons: Mapping[str, str] | None = None,
) -> RenderableType:
    """Return all of a demo's end: what it did, then the three views."""
    return Group(
        summary(snapshot),
        publisher_view(snapshot),
        retention_view(alert, lived=lived, reasons=reasons),
        operator_view(snapshot),
    )


def _section(title: str, *body: RenderableType) -> RenderableType:
    return Group(Rule(Text(title, "bold"), align="left", style="dim"), Padding(Group(*body), (0, 0, 1, 2)))


def _rows() -> Table:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column()
    return rows


def _hint(command: str, why: str) -> Text:
    return Text.assemble((command, "green"), (f"  {why}", "dim"))


def _mend(reason: str) -> str:
    return next((info.mend for known, info in REASONS.items() if known == reason), "")


def _who(alert: Mapping[str, Any]) -> Text:
    known = [printable(alert[name]) for name in ("segment", "tier") if alert.get(name)]
    if alert.get("since"):
        known.append(f"customer since {day(alert['since'])}")
    if alert.get("owner"):
        known.append(f"looked after by {printable(alert['owner'])}")
    return Text.assemble((printable(alert["customer_id"]), "bold"), "".join(f", {text}" for text in known))


def _risk(alert: Mapping[str, Any]) -> Text:
    severity = str(alert["severity"])
    text = Text.assemble(
        (severity, SEVERITY_STYLES.get(severity, "")), f" ({plain(alert['rule'])}, {day(alert['at'])})"
    )
    probability = alert.get("churn_probability")
    if probability is not None:
        text.append(f": {probability:.0%} likely not to buy within {alert['horizon_days']} days")
    if (alert.get("lost") or 0.0) >= NOTABLE_LOST:
        text.append(f"; silence has cost {alert['lost']:.0%} of the chance")
    if alert.get("expected_by"):
        verb = "was" if alert["expected_by"] < alert["at"] else "is"
        text.append(f"; {verb} expected back by {day(alert['expected_by'])}")
    return text


def _standing(alert: Mapping[str, Any]) -> Text:
    band = str(alert["band"])
    text = Text.assemble(
        f"experience {alert['experience']:.0f} (",
        (plain(band), BAND_STYLES.get(band, "")),
        f"), service {alert['service']:.0f}",
    )
    gap = alert.get("gap")
    if gap is not None and abs(gap) >= NOTABLE_GAP:
        text.append(f": {_gap_in_words(gap, alert['experience'])}")
    trend = alert["trend"]
    if abs(trend) >= NOTABLE_TREND:
        text.append(f"; {'worse' if trend < 0 else 'better'} than usual ({trend:+.0f})")
    return text


def _gap_in_words(gap: float, experience: float) -> str:
    failing = experience < FAILING
    if gap < 0:
        return "service drags it down" if failing else "service spoils a good one"
    if not failing:
        return "service is its best part"
    how = "is failing too, only less" if experience + gap < FAILING else "carries a failing experience"
    return f"service {how}: mend the cause"


def _drivers(alert: Mapping[str, Any], reasons: Mapping[str, str]) -> Table | None:
    """Return what moved the experience score most, the worst first."""
    own = [driver for driver in alert["drivers"] if driver["ledger"] == "experience"]
    strong = sorted(own, key=lambda driver: -abs(driver["points"]))[:DRIVERS_SHOWN]
    shown = sorted(
        (d for d in strong if abs(d["points"]) >= LEAST_POINTS), key=lambda driver: driver["points"]
    )
    if not shown:
        return None
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(style="dim")
    for driver in shown:
        points = Text(f"{driver['points']:+.1f}", "red" if driver["points"] < 0 else "green")
        table.add_row(points, plain(driver["driver"]), Text(reasons.get(driver["driver"], "")))
    return table
