"""`cx demo`: real events in, scores, alerts and metrics up, on a Kafka of its own."""

import asyncio
import math
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import click
import orjson
from rich.console import Console
from rich.live import Live

from streams.cli.tables import Screen
from streams.demo.closing import closing, did
from streams.demo.datasets import DATASETS
from streams.demo.feed import Pace
from streams.demo.generator import generate
from streams.demo.memory import MemoryStage
from streams.demo.run import Demo, Play
from streams.demo.stage import KafkaStage, Stage
from streams.demo.view import DemoSnapshot, LiveView, alert_line, progress_line
from streams.demo.words import Diary
from streams.errors import CxError
from streams.local_kafka.find import locate
from streams.scoring.policy import default_policy

EVENTS = 90_000
RATE = 2_000.0
"""Events a second by default: a year and a half of journeys in 45 seconds, and no load on a laptop."""
POISON = 0.001
LINE_S = 2.0
UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Turn `30s`, `5m` or `1h` into seconds (a click callback)."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if match is None or float(match[1]) <= 0:
        msg = f"{text!r} is no duration; write it like 30s, 5m or 1h"
        raise click.BadParameter(msg)
    return float(match[1]) * UNITS_S[match[2]]


@click.command()
@click.option("--for", "limit_s", metavar="TIME", callback=parse_duration, help="End after 30s, 5m or 1h.")
@click.option("--dataset", type=click.Choice(sorted(DATASETS)), help="Real purchase histories.")
@click.option("--memory", is_flag=True, help="Run on the in-memory log instead of a local Kafka.")
@click.option("--seed", default=7, show_default=True, help="Seed of the generated journeys.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Events a second (generated: {RATE:,.0f}; a data set: unbounded).",
)
@click.option("--json", "as_json", is_flag=True, help="Print what it did as one JSON object.")
def demo(  # one parameter an option
    *, limit_s: float | None, dataset: str | None, memory: bool, seed: int, rate: float | None, as_json: bool
) -> None:
    """Feed journeys to a worker on a local Kafka and show scores and alerts as they come.

    Ends by itself when everything was scored, or after --for. Exit codes: 0 done, 4 Kafka or the worker could
    not be started.
    """
    diary = Diary()
    play = _play(dataset, seed, rate, limit_s, diary)
    console = Screen(stderr=as_json)
    try:
        last, case = asyncio.run(_run(play, console, memory=memory))
    except asyncio.CancelledError:
        raise click.Abort from None
    if as_json:
        click.echo(orjson.dumps(did(last)))
        return
    reasons = {name: driver.reason for name, driver in default_policy().drivers.items()}
    lived = diary.of(case["customer_id"], case["at"]) if case else []
    console.print(closing(last, case, lived=lived, reasons=reasons))


def _play(dataset: str | None, seed: int, rate: float | None, limit_s: float | None, diary: Diary) -> Play:
    if dataset is not None:
        found = DATASETS[dataset]
        records, total, source = found.records(), found.events, found.title
        pace = Pace(rate=rate or 0.0)
    else:
        pace = Pace(rate=rate or RATE)
        # As many events as fit, so that a short demo still sees whole histories.
        total = EVENTS if limit_s is None else max(1_000, math.ceil(pace.rate * limit_s * 0.9))
        records, source = generate(total, seed=seed, poison=POISON), f"generated journeys, seed {seed}"
    return Play(source=source, records=diary.follow(records), pace=pace, total=total, limit_s=limit_s)


def _stage(console: Console, *, memory: bool) -> Stage:
    if not memory:
        try:
            locate(notice=lambda text: console.print(text, style="dim", highlight=False))
        except CxError as error:
            reason = error.message.splitlines()[0]
            console.print(f"no local Kafka ({reason}): running on the in-memory log", highlight=False)
        else:
            return KafkaStage()
    return MemoryStage()


async def _run(play: Play, console: Console, *, memory: bool) -> tuple[DemoSnapshot, Any]:
    if task := asyncio.current_task():
        # Told to end, it ends as by Ctrl-C: broker, worker and folder go with it.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    console.print("starting: Kafka, topics, worker ..." if not memory else "starting ...", style="dim")
    async with _stage(console, memory=memory) as stage:
        console.print(f"running on {stage.name}", style="dim", highlight=False)
        if stage.metrics_url:
            console.print(f"metrics at {stage.metrics_url}", style="dim", highlight=False)
        run = Demo(stage, play)
        live = Live(console=console, screen=False, refresh_per_second=8) if console.is_terminal else None
        show = _painter(live) if live else _printer(console)
        with live or nullcontext():
            last = await run.run(show)
        return last, stage.observer.case


def _painter(live: Live) -> Callable[[DemoSnapshot], None]:
    def paint(snapshot: DemoSnapshot) -> None:
        live.update(LiveView(snapshot))

    return paint


def _printer(console: Console) -> Callable[[DemoSnapshot], None]:
    """Return what shows a demo where nobody sees a terminal: a line now and then, and the first alerts."""
    state = {"next_s": 0.0, "alerts": 0}

    def line(snapshot: DemoSnapshot) -> None:
        if snapshot.alerts and not state["alerts"]:
            state["alerts"] = 1
            text = f"first alert after {snapshot.elapsed_s:.1f} s: {alert_line(snapshot.alerts[-1])}"
            console.print(text, highlight=False, soft_wrap=True)
        if time.monotonic() >= state["next_s"]:
            state["next_s"] = time.monotonic() + LINE_S
            console.print(progress_line(snapshot), highlight=False, soft_wrap=True)
            sys.stdout.flush()

    return line
