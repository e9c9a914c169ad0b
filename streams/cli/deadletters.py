"""`cx deadletters`: what was rejected and why, and sending it again once it is mended."""

import asyncio
import base64
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from schemas.rejects import RejectReason
from streams.cli.connecting import connection
from streams.cli.files import parse_time
from streams.cli.tables import Screen, print_tables
from streams.demo.words import printable
from streams.errors import Exit
from streams.observe.deadletters import DeadLetter, Filter, Replayed, count, read, replay
from streams.observe.marking import mark
from streams.settings import Settings, load_settings

Command = Callable[..., Any]
REASONS = [reason.value for reason in RejectReason]
SHOWN = 10
TWICE = """\
they stay on the dead-letter topic, and a second replay sends them a second time (an event that was accepted
counts as a duplicate while it is among the customer's last 8 of its topic). To leave them out then:"""
ROWS = 40
"""Sources are the producers' own words: a table of all of them might never end."""


def _wanted(command: Command) -> Command:
    """Add the options that say which dead letters are meant."""
    for option in (
        click.option(
            "--since",
            "since_s",
            metavar="TIME",
            callback=parse_time,
            help="Only those rejected at or after this time (RFC 3339).",
        ),
        click.option(
            "--reason", "reasons", multiple=True, type=click.Choice(REASONS), help="Only these reasons."
        ),
    ):
        command = option(command)
    return command


@click.group()
def deadletters() -> None:
    """Look at rejected records, and send them again."""


@deadletters.command("list")
@connection
@_wanted
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
def list_(
    file: Path | None, reasons: tuple[str, ...], since_s: float | None, *, as_json: bool, **flags: Any
) -> None:
    """Count the dead letters by reason, topic and source. Exit code 1 where there are any."""
    groups = asyncio.run(count(load_settings(flags, file=file), _filter(reasons, since_s)))
    found = [
        {
            "reason": reason,
            "topic": topic or None,
            "source": source,
            "count": group.count,
            "first": _time(group.first_ms),
            "last": _time(group.last_ms),
        }
        for (reason, topic, source), group in groups.items()
    ]
    if as_json:
        click.echo(orjson.dumps(found))
    elif found:
        _print_groups(found)
    else:
        click.echo("no dead letters")
    raise SystemExit(Exit.FINDING if found else Exit.OK)


@deadletters.command()
@connection
@_wanted
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="Show so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; bytes are in base64.")
def show(
    file: Path | None,
    reasons: tuple[str, ...],
    since_s: float | None,
    limit: int,
    *,
    as_json: bool,
    **flags: Any,
) -> None:
    """Show dead letters: the bytes with the failing field marked, the headers, and the mend.

    This shows customers' data as it was sent.
    """
    settings = load_settings(flags, file=file)
    console = Screen(soft_wrap=True, highlight=False)
    show_one = _print_json if as_json else lambda letter: _print_letter(console, letter)
    shown = asyncio.run(_show(settings, _filter(reasons, since_s), limit, show_one))
    if not shown and not as_json:
        click.echo("no dead letters")


@deadletters.command("replay")
@connection
@_wanted
@click.option("--dry-run", is_flag=True, help="Say what would be sent, and send nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def replay_(  # one option of the command each
    file: Path | None,
    reasons: tuple[str, ...],
    since_s: float | None,
    *,
    dry_run: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Send dead letters again to the topic they came from, once their cause is mended.

    Key, value and headers are the original's; the event keeps its id and time, the record's timestamp is now.
    Dead letters are kept, so a second replay sends them a second time: an event that was accepted meanwhile
    counts as a duplicate while it is among the customer's last 8 state-changing events of its topic; one that
    is rejected again becomes a new dead letter.
    """
    settings = load_settings(flags, file=file)
    with ExitStack() as stack:
        progress = _progress(stack)
        done = asyncio.run(replay(settings, _filter(reasons, since_s), dry_run=dry_run, progress=progress))
    if as_json:
        click.echo(orjson.dumps(_report(done, dry_run=dry_run), option=orjson.OPT_SORT_KEYS))
    else:
        _print_report(done, dry_run=dry_run)


def _filter(reasons: tuple[str, ...], since_s: float | None) -> Filter:
    return Filter(frozenset(reasons), 0 if since_s is None else int(since_s * 1000))


async def _show(
    settings: Settings, wanted: Filter, limit: int, show_one: Callable[[DeadLetter], None]
) -> int:
    shown = 0
    letters = read(settings, wanted)
    async for letter in letters:
        show_one(letter)
        shown += 1
        if shown == limit:
            break
    await letters.aclose()  # type: ignore[attr-defined]  # an async generator
    return shown


def _print_groups(found: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("count", justify="right")
    for name in ("reason", "from", "source", "last"):
        table.add_column(name, overflow="fold")
    for each in found[:ROWS]:
        topic, source = printable(each["topic"] or "-"), printable(each["source"])
        table.add_row(f"{each['count']:,}", each["reason"], topic, source, each["last"][:16])
    print_tables(table)
    if len(found) > ROWS:
        click.echo(f"... and {len(found) - ROWS:,} more (--json has all)")
    click.echo(f"{sum(each['count'] for each in found):,} dead letters; cx deadletters show --reason REASON")


def _print_letter(console: Console, letter: DeadLetter) -> None:
    origin = f"{letter.topic}[{letter.said('cx-partition')}]@{letter.said('cx-offset')}"
    console.print(Text(f"{letter.reason}  from {printable(origin)}  at {_time(letter.timestamp_ms)}", "bold"))
    console.print(Text(f"  {printable(letter.said('cx-detail'))}"))
    console.print(Text(f"  key: {_text(letter.key)}"))
    for name, value in letter.original_headers:
        console.print(Text(f"  header {printable(name)}: {_text(value)}"))
    marked = mark(letter.value, letter.path)
    plain = not console.is_terminal
    body = Text("  " + printable(marked.before))
    field = printable(marked.field)
    body.append(f">>>{field}<<<" if plain and field else field, "bold red reverse")
    body.append(printable(marked.after))
    console.print(body)
    console.print()


def _print_json(letter: DeadLetter) -> None:
    document = {
        "partition": letter.partition,
        "offset": letter.offset,
        "at": _time(letter.timestamp_ms),
        "reason": letter.reason,
        "detail": letter.said("cx-detail"),
        "path": letter.path,
        "origin": {name: letter.said(f"cx-{name}") for name in ("topic", "partition", "offset", "timestamp")},
        "source": letter.source,
        "key": _base64(letter.key),
        "value": _base64(letter.value),
        "headers": [[name, _base64(value)] for name, value in letter.original_headers],
    }
    click.echo(orjson.dumps(document))


def _report(done: Replayed, *, dry_run: bool) -> dict[str, Any]:
    return {
        "replayed": 0 if dry_run else done.total,
        "would_replay": done.total if dry_run else None,
        "by_topic": dict(sorted(done.by_topic.items())),
        "by_reason": dict(sorted(done.by_reason.items())),
        "left": done.left,
        "next_since": _time(done.newest_ms + 1) if done.total else None,
    }


def _print_report(done: Replayed, *, dry_run: bool) -> None:
    verb = "would be sent again" if dry_run else "were sent again"
    click.echo(f"{done.total:,} dead letters {verb}")
    for topic, number in sorted(done.by_topic.items()):
        click.echo(f"  {number:>10,} to {topic}")
    if done.left:
        click.echo(f"  {done.left:>10,} stay: from no input of this application, or without key and value")
    if done.total and not dry_run:
        click.echo(f"{TWICE}\n  --since {_time(done.newest_ms + 1)}")


def _progress(stack: ExitStack) -> Callable[[int], None] | None:
    """Return what shows progress on a terminal; None where nobody watches."""
    if not sys.stderr.isatty():
        return None
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} dead letters"))
    bar = stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
    task = bar.add_task("replay", total=None)
    return lambda done: bar.update(task, completed=done)


def _time(timestamp_ms: int) -> str:
    text = datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _text(value: bytes | None) -> str:
    return "(none)" if value is None else printable(value.decode("utf-8", "backslashreplace"))


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
