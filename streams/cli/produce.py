"""`cx produce`: send a file, generated journeys or a real history, to Kafka or to a file."""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.rejects import Reject
from streams.amounts import counted
from streams.cli.connecting import mending
from streams.demo.datasets import DATASETS
from streams.demo.feed import Pace, Record, record_of
from streams.demo.generator import DAYS, Truth, generate
from streams.demo.scenes import iso
from streams.demo.sinks import FileSink, KafkaSink, Sent, pump
from streams.errors import CxError, Exit, unreadable
from streams.replay import judge
from streams.scoring.apply import Scorer
from streams.scoring.policy import default_policy
from streams.settings import load_settings

INTERRUPTED = 130
"""What shells expect of a command that ended by Ctrl-C."""
OF_THE_PAST = (
    "note: these journeys lie in the past. A worker takes them for history, of which nobody is told, unless "
    "event time is its clock: cx worker --clock event"
)


@dataclass(slots=True)
class Feed:
    """What is sent: the records, how many there will be if that is known, and what comes beside them."""

    records: Iterable[Record]
    total: int | None
    name: str
    truth: Truth | None = None
    refused: int = 0


@click.command()
@click.argument("file", required=False)
@click.option(
    "--generate", "events", type=click.IntRange(min=0), help="Generate that many events of journeys."
)
@click.option("--dataset", type=click.Choice(sorted(DATASETS)), help="Send a real history.")
@click.option("--seed", type=int, default=0, show_default=True, help="The generated world's seed.")
@click.option("--days", type=click.IntRange(min=1), default=DAYS, show_default=True, help="Its span.")
@click.option(
    "--poison",
    type=click.FloatRange(0, 0.5),
    default=0.0,
    show_default=True,
    help="Its share of bad records.",
)
@click.option("--truth", type=click.Path(dir_okay=False), help="Write who is who to this file.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Events a second; else no bound.")
@click.option(
    "--speedup",
    type=click.FloatRange(min=0, min_open=True),
    help="Keep the gaps of event time, divided by this.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, allow_dash=True), help="Write a file instead of Kafka."
)
@click.option("--check", is_flag=True, help="Keep back events that break the contract.")
@click.option("--bootstrap-servers", help="Addresses of the brokers.")
@click.option("--topic-prefix", "--prefix", help="Put before the name of every topic.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (cx.toml).")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@click.pass_context
@mending
def produce(ctx: click.Context, /, **options: Any) -> None:
    """Send the events of FILE (JSON lines; - is standard input), of --generate or of --dataset.

    Each event goes to its topic by type and channel, with its subject as the key. The lines of FILE are sent
    as they are, good or bad: the worker rejects what is bad, unless --check keeps it back (then exit code 3).
    """
    started = time.monotonic()
    sent = Sent()
    interrupted = False
    with ExitStack() as stack:
        feed = _feed(stack, options)
        try:
            asyncio.run(_run(stack, feed, sent, options))
        except KeyboardInterrupt:
            interrupted = True
    if options["truth"] and feed.truth:
        _write_truth(Path(options["truth"]), feed.truth)
    summary = _summary(feed, sent, time.monotonic() - started, interrupted=interrupted)
    # With the events on stdout the summary goes to stderr, so that a pipe carries nothing but events.
    words = _in_words(summary, options["out"] or "Kafka")
    text = orjson.dumps(summary).decode() if options["as_json"] else words
    click.echo(text, err=options["out"] == "-")
    if interrupted:
        ctx.exit(INTERRUPTED)
    if feed.refused:
        ctx.exit(Exit.REJECTED)


def _feed(stack: ExitStack, options: dict[str, Any]) -> Feed:
    """Return what the options ask for: exactly one of a file, generated journeys and a data set."""
    file, events, dataset = options["file"], options["events"], options["dataset"]
    if sum(given is not None for given in (file, events, dataset)) != 1:
        message = "give one of FILE, --generate N and --dataset NAME"
        raise CxError(message, mend="cx produce --generate 10000 --out events.jsonl", code=Exit.USAGE)
    if events is None and (options["truth"] or options["poison"]):
        message = "only generated journeys have a truth and bad records on demand"
        raise CxError(message, mend="cx produce --generate 10000 --truth truth.jsonl", code=Exit.USAGE)
    if dataset is not None:
        chosen = DATASETS[dataset]
        feed = Feed(chosen.records(), chosen.events, chosen.title)
    elif events is not None:
        truth = Truth()
        world = {"seed": options["seed"], "days": options["days"], "poison": options["poison"]}
        feed = Feed(generate(events, truth=truth, **world), events, f"seed {options['seed']}", truth)
    else:
        feed = Feed(map(record_of, _lines(_open(stack, file))), None, file)
    if options["check"]:
        feed.records = _checked(feed, feed.records)
    return feed


def _open(stack: ExitStack, name: str) -> BinaryIO:
    if name == "-":
        return click.get_binary_stream("stdin")
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise unreadable(name, error, "give a file of events, one JSON object a line") from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that are more than white space, without their ends."""
    return (raw.rstrip(b"\r\n") for raw in file if not raw.isspace())


def _checked(feed: Feed, records: Iterable[Record]) -> Iterator[Record]:
    """Yield the records that a worker would accept; say of the others what is wrong with them."""
    scorer = Scorer(default_policy())
    for number, record in enumerate(records, 1):
        event = judge(record.value, scorer)
        if isinstance(event, Reject):
            feed.refused += 1
            click.echo(f"event {number}: {event.detail}", err=True)
        else:
            yield record


async def _run(stack: ExitStack, feed: Feed, sent: Sent, options: dict[str, Any]) -> None:
    pace = Pace(rate=options["rate"] or 0.0, speedup=options["speedup"] or 0.0)
    progress = _progress(stack, feed)
    if options["out"]:
        await pump(feed.records, FileSink(_create(stack, options["out"])), pace, sent=sent, progress=progress)
        return
    flags = {"bootstrap_servers": options["bootstrap_servers"], "topic_prefix": options["topic_prefix"]}
    settings = load_settings(flags, file=options["config"])
    if options["file"] is None and settings.clock != "event":
        click.echo(OF_THE_PAST, err=True)
    # The client logs each attempt to connect; the error that ends the command says it once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    async with KafkaSink(settings) as sink:
        await pump(feed.records, sink, pace, sent=sent, progress=progress)


def _create(stack: ExitStack, name: str) -> BinaryIO:
    if name == "-":
        return click.get_binary_stream("stdout")
    try:
        return stack.enter_context(Path(name).open("wb"))
    except OSError as error:
        message = f"{name} cannot be written: {error.strerror}"
        raise CxError(message, mend="name a file in a folder that exists", code=Exit.USAGE) from error


def _progress(stack: ExitStack, feed: Feed) -> Callable[[Sent], None] | None:
    """Return what shows progress on a terminal; None where nobody watches."""
    if not _watched():
        return None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
    task = bar.add_task(feed.name, total=feed.total)
    return lambda sent: bar.update(task, completed=sent.records)


def _watched() -> bool:
    return sys.stderr.isatty()


def _write_truth(path: Path, truth: Truth) -> None:
    try:
        path.write_bytes(b"".join(line + b"\n" for line in truth.lines()))
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise CxError(message, mend="name a file in a folder that exists", code=Exit.USAGE) from error


def _summary(feed: Feed, sent: Sent, seconds: float, *, interrupted: bool) -> dict[str, Any]:
    return {
        "sent": sent.records,
        "bytes": sent.bytes,
        "seconds": round(seconds, 3),
        "by_topic": dict(sorted(sent.by_topic.items())),
        "first_event_time": None if sent.first_time is None else iso(int(sent.first_time)),
        "last_event_time": None if sent.last_time is None else iso(int(sent.last_time)),
        "refused": feed.refused,
        "personas": feed.truth.personas() if feed.truth else None,
        "interrupted": interrupted,
    }


def _in_words(summary: dict[str, Any], target: str) -> str:
    seconds = summary["seconds"]
    rate = f", {summary['sent'] / seconds:,.0f}/s" if seconds > 0 else ""
    lines = [f"{counted(summary['sent'], 'event', 'events')} to {target} in {seconds:.1f} s{rate}"]
    if summary["interrupted"]:
        lines[0] = "stopped: " + lines[0]
    lines += [f"  {count:>10,} {topic}" for topic, count in summary["by_topic"].items()]
    if summary["first_event_time"]:
        lines.append(f"  event time {summary['first_event_time']} to {summary['last_event_time']}")
    if summary["personas"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in summary["personas"].items())
        lines.append(f"  customers: {kinds}")
    if summary["refused"]:
        lines.append(f"  {summary['refused']:,} kept back by --check")
    return "\n".join(lines)
