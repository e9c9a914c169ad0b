"""The live view of a demo: a pure rendering of a snapshot, for a terminal of any size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.demo.words import BAND_STYLES, BANDS, SEVERITY_STYLES, clock, day, plain, printable

SPARKS = "▁▂▃▄▅▆▇█"
SPARK_COUNT = 24
INDENT = 2
PANEL_BORDERS = 2
TOP_LINES = 1 + 6 + PANEL_BORDERS
"""Title and the two panels beside each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSnapshot:
    """What a demo knows at one moment. Counts are totals since its start; times are seconds."""

    source: str
    """What is fed, such as `generated journeys, seed 7` or `CDNOW`."""
    log: str
    """What it runs on, such as `Kafka at 127.0.0.1:9092` or `the in-memory log`."""
    elapsed_s: float = 0.0
    limit_s: float | None = None
    produced: int = 0
    total: int | None = None
    """Events that will be fed, None where that is open."""
    consumed: int = 0
    events_per_s: float = 0.0
    rates: Sequence[float] = ()
    """Events a second of the last seconds, oldest first."""
    duplicates: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Rejected records by reason."""
    bands: Mapping[str, int] = field(default_factory=dict)
    """Customers by band."""
    alerts: Sequence[Mapping[str, Any]] = ()
    """Steps of alerts as in `cx.alerts`, newest first; as many as may be shown."""
    alerts_by_rule: Mapping[str, int] = field(default_factory=dict)
    """Alerts opened, by rule."""
    lag: int = 0
    """Records produced and not yet scored."""
    event_time: str | None = None
    """Newest event time, RFC 3339."""
    metrics_url: str | None = None
    note: str = ""
    """One line of state, such as `starting the worker`."""

    @property
    def customers(self) -> int:
        """Customers scored."""
        return sum(self.bands.values())

    @property
    def rejects(self) -> int:
        """Records rejected for any reason."""
        return sum(self.rejected.values())

    @property
    def alert_count(self) -> int:
        """Alerts opened by any rule."""
        return sum(self.alerts_by_rule.values())


class LiveView:
    """Renders a snapshot so that it fills the width and stays within the height it is given."""

    def __init__(self, snapshot: DemoSnapshot) -> None:
        self.snapshot = snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield title, stream and customers, alerts and footer, one line short of the terminal."""
        height = (options.height or console.height) - 1
        lines = max(2, height - TOP_LINES - PANEL_BORDERS - 1)
        panels = Table.grid(expand=True)
        panels.add_column(ratio=1)
        panels.add_column(ratio=1)
        panels.add_row(_stream_panel(self.snapshot), _customers_panel(self.snapshot, options.max_width // 2))
        yield Group(
            _title(self.snapshot),
            panels,
            _alerts_panel(self.snapshot, lines, console, options.max_width),
            _footer(self.snapshot),
        )


def progress_line(snapshot: DemoSnapshot) -> str:
    """Return a snapshot as one line, for a log or a pipe."""
    bands = ", ".join(f"{plain(band)} {snapshot.bands[band]:,}" for band in BANDS if snapshot.bands.get(band))
    parts = [
        clock(snapshot.elapsed_s),
        f"{snapshot.consumed:,} events ({snapshot.events_per_s:,.0f}/s)",
        f"{snapshot.customers:,} customers" + (f" ({bands})" if bands else ""),
        f"{snapshot.alert_count:,} alerts",
        f"{snapshot.rejects:,} rejected",
        f"lag {snapshot.lag:,}",
    ]
    return "  ".join([*parts, snapshot.note] if snapshot.note else parts)


def alert_line(alert: Mapping[str, Any]) -> str:
    """Return an alert as one line, for a log or a pipe."""
    head = f"{day(alert['at'])} {alert['severity']} {plain(alert['rule'])}"
    return printable(f"{head} {alert['customer_id']}: {alert['reason']}")


def sparkline(rates: Sequence[float]) -> str:
    """Return the last rates as a row of bars; the highest is a full one."""
    last = list(rates)[-SPARK_COUNT:]
    top = max(last, default=0.0)
    if top <= 0:
        return ""
    return "".join(SPARKS[min(len(SPARKS) - 1, int(rate / top * len(SPARKS)))] for rate in last)


def _title(snapshot: DemoSnapshot) -> RenderableType:
    left = Text.assemble(("cx demo", "bold"), "  ", snapshot.source, ("  on ", "dim"), snapshot.log)
    left.no_wrap, left.overflow = True, "ellipsis"
    limit = f" of {clock(snapshot.limit_s)}" if snapshot.limit_s else ""
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(left, Text(clock(snapshot.elapsed_s) + limit, "bold"))
    return grid


def _stream_panel(snapshot: DemoSnapshot) -> Panel:
    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    rate = Text.assemble((f"{snapshot.events_per_s:,.0f}/s ", "bold"), (sparkline(snapshot.rates), "blue"))
    of_total = f" of {snapshot.total:,}" if snapshot.total else ""
    worst = max(snapshot.rejected, key=lambda reason: snapshot.rejected[reason], default="")
    rejects = Text(f"{snapshot.rejects:,}", "red" if snapshot.rejects else "")
    if worst:
        rejects.append(f"  mostly {worst}" if len(snapshot.rejected) > 1 else f"  {worst}", "dim")
    rows.add_row("scored", rate)
    rows.add_row("events", f"{snapshot.consumed:,}{of_total}")
    rows.add_row(
        "lag", Text(f"{snapshot.lag:,} events", "yellow" if snapshot.lag > snapshot.events_per_s else "")
    )
    rows.add_row("rejected", rejects)
    rows.add_row("repeats", f"{snapshot.duplicates:,} counted once")
    rows.add_row("event time", (snapshot.event_time or "-").replace("T", " ")[:16])
    return Panel(rows, title="stream", title_align="left", border_style="dim")


def _customers_panel(snapshot: DemoSnapshot, width: int) -> Panel:
    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(no_wrap=True)
    rows.add_column(justify="right", no_wrap=True, min_width=6)
    rows.add_column(ratio=1, no_wrap=True)
    room = max(4, width - 26)
    most = max(snapshot.bands.values(), default=0) or 1
    for band in BANDS:
        count = snapshot.bands.get(band, 0)
        # A band with anybody in it is never drawn as empty: one critical customer is the news.
        bar = "█" * max(1 if count else 0, round(room * count / most))
        style = BAND_STYLES[band]
        rows.add_row(Text(plain(band), style), f"{count:,}", Text(bar, style))
    rows.add_row(Text("customers", "dim"), Text(f"{snapshot.customers:,}", "bold"), "")
    return Panel(rows, title="customers by band", title_align="left", border_style="dim")


def _alerts_panel(snapshot: DemoSnapshot, lines: int, console: Console, width: int) -> Panel:
    """Return as many alerts as fit, each with its whole reason."""
    body: list[Text] = []
    for alert in snapshot.alerts:
        reason = Text(printable(alert["reason"])).wrap(console, width - 2 * PANEL_BORDERS - INDENT)
        block = [_alert_head(alert), *(Text(" " * INDENT) + line for line in reason)]
        if len(body) + len(block) > lines:
            break
        body += block
    if not body:
        body = [Text(snapshot.note or "no alert yet: the first histories are growing", "dim")]
    counts = ", ".join(f"{plain(rule)} {count:,}" for rule, count in sorted(snapshot.alerts_by_rule.items()))
    title = f"alerts: {counts}" if counts else "alerts"
    return Panel(
        Group(*body), title=title, title_align="left", border_style="dim", height=lines + PANEL_BORDERS
    )


def _alert_head(alert: Mapping[str, Any]) -> Text:
    severity = str(alert["severity"])
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f"{severity:<8} ", SEVERITY_STYLES.get(severity, ""))
    head.append(f"{plain(str(alert['rule'])):<15} ")
    head.append(f"{printable(alert['customer_id']):<12} ", "bold")
    head.append(day(alert["at"]), "dim")
    if alert.get("step") not in {None, "opened", "announced"}:
        head.append(f" {alert['step']}", "dim")
    return head


def _footer(snapshot: DemoSnapshot) -> Text:
    where = f"metrics {snapshot.metrics_url}" if snapshot.metrics_url else "metrics: not served"
    return Text(f"{where}   Ctrl-C ends the demo", "dim", no_wrap=True, overflow="ellipsis")
