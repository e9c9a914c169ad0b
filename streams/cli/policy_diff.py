"""`cx policy diff`: which alerts a change of policy adds, takes away and moves, on events that happened."""

import gc
from collections.abc import Iterator
from functools import partial

import click
import orjson
from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from schemas.money import money
from schemas.times import at_time
from streams.amounts import counted
from streams.cli.files import open_events
from streams.cli.tables import print_tables
from streams.demo.words import printable
from streams.errors import Exit
from streams.rulebook.diff import Difference, Log, difference, document, read_log
from streams.rulebook.episodes import KINDS, Change, gravity
from streams.rulebook.times import day_text, seconds_of
from streams.scoring.apply import Scorer
from streams.scoring.policy import DAY_S, load_policy

DEFAULT = "default"
STYLES = {"added": "green", "removed": "red", "earlier": "cyan", "later": "yellow"}


def _span(_: click.Context, __: click.Parameter, text: str) -> float:
    """Turn a span such as 1d into seconds (a click callback)."""
    found = seconds_of(text)
    if not found:
        msg = f"{text!r} is no span of time; write one like 1d or 6h"
        raise click.BadParameter(msg)
    return found


@click.command()
@click.argument("old")
@click.argument("new")
@click.option(
    "--events", required=True, metavar="LOG", help="Touchpoints as JSON lines; - is standard input."
)
@click.option(
    "--every",
    "every_s",
    default="1d",
    show_default=True,
    callback=_span,
    metavar="SPAN",
    help="How often silence is looked at.",
)
@click.option("--show", default=10, show_default=True, metavar="N", help="How many changes to show.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every change.")
def diff(old: str, new: str, events: str, every_s: float, show: int, *, as_json: bool) -> None:
    """Show which alerts change from policy OLD to policy NEW on the events of a log.

    `default` names the default policy. Exit codes: 0 no alert changes, 1 alerts change, 2 a policy or log
    that cannot be read.
    """
    scorers = [Scorer(load_policy(None if path == DEFAULT else path)) for path in (old, new)]
    gc.disable()  # nothing here forms cycles, and the collector would walk every kept event again and again
    with open_events(events) as lines:
        log = read_log(lines, scorers[0])
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        watched = partial(progress.track, description="lives under both policies")
        found = difference(log, *scorers, sweep_every_s=every_s, watched=watched)
    if as_json:
        click.echo(orjson.dumps(document(log, found, *scorers), option=orjson.OPT_INDENT_2))
    else:
        print_tables(*_report(log, found, *scorers, show=show))
    if found.differs:
        raise SystemExit(Exit.FINDING)


def _report(log: Log, found: Difference, old: Scorer, new: Scorer, *, show: int) -> Iterator[RenderableType]:
    yield Text(f"{old.policy.version} {old.policy.hash} -> {new.policy.version} {new.policy.hash}", "bold")
    span = f"{at_time(log.first_s)[:10]} to {at_time(log.last_s)[:10]}" if log.events else "no time at all"
    customers = counted(len(log.customers), "customer", "customers")
    yield Text(f"{counted(log.events, 'event', 'events')} of {customers}, {span}")
    if log.rejected or log.anonymous:
        yield Text(f"left out: {log.rejected:,} rejected, {log.anonymous:,} of nobody known", "dim")
    if not found.changes:
        yield Text("Neither policy opens an alert.")
        return
    yield Padding(_rules(found), (1, 0), expand=False)
    yield Padding(_owners(found, log.weeks), (0, 0, 1, 0), expand=False)
    yield from _value(found, old, new)
    yield from _changes(found, show)


def _rules(found: Difference) -> Table:
    table = _table("alerts opened", "old", "new", *KINDS)
    for rule, counts in found.rules().items():
        both = counts["same"] + counts["earlier"] + counts["later"]
        kinds = (
            Text(str(counts[kind] or "-"), STYLES.get(kind, "") if counts[kind] else "") for kind in KINDS
        )
        table.add_row(rule, str(both + counts["removed"]), str(both + counts["added"]), *kinds)
    return table


def _owners(found: Difference, weeks: float) -> Table:
    table = _table("alerts a week by owner", "old", "new", "change")
    for owner, (before, after) in found.owners().items():
        moved = f"{(after - before) / weeks:+.2f}" if after != before else "-"
        table.add_row(owner, f"{before / weeks:.2f}", f"{after / weeks:.2f}", moved)
    return table


def _table(first: str, *columns: str) -> Table:
    """Return a table of names and numbers that fits a narrow terminal."""
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, collapse_padding=True, show_edge=False
    )
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _value(found: Difference, old: Scorer, new: Scorer) -> Iterator[RenderableType]:
    before, after = found.value()
    if before or after:
        told = f"{money(before, old.policy.currency)} -> {money(after, new.policy.currency)}"
        yield Text(f"value at risk behind the alerts: {told}")


def _changes(found: Difference, show: int) -> Iterator[RenderableType]:
    """Yield the gravest changes: added and removed ones first, then the longest shifts."""
    changed = [change for change in found.changes if change.kind != "same"]
    if not changed:
        yield Text("Every alert comes at the same time under both.")
        return
    for change in sorted(changed, key=_rank)[:show]:
        episode = change.episode
        yield Text.assemble(
            (f"{change.kind:<8}", STYLES[change.kind]),
            f"{_by(change)}{at_time(episode.opened_s)[:10]} {printable(episode.customer_id)} "
            f"{episode.rule}, {episode.severity}",
        )
        yield Padding(printable(episode.reason), (0, 0, 0, 8), expand=False)
    if len(changed) > show:
        yield Text(f"{len(changed) - show:,} more changes: --show {len(changed)}, or --json for all", "dim")


def _rank(change: Change) -> tuple[bool, float, int, float, str]:
    episode = change.episode
    alone = change.old is None or change.new is None
    return not alone, -abs(change.shift_s), -gravity(episode.severity), episode.opened_s, episode.customer_id


def _by(change: Change) -> str:
    """Return by how much an alert moved, in days where it is days."""
    if not change.shift_s:
        return ""
    shift_s = abs(change.shift_s)
    return f"by {shift_s / DAY_S:.0f}d, " if shift_s >= DAY_S else f"by {day_text(shift_s, 0.0)}, "
