"""What `cx backtest` and `cx fit` share: the log, the question and the progress."""

import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from streams.amounts import counted
from streams.cli.files import open_events, policy_option
from streams.demo.datasets import DATASETS
from streams.errors import CxError, Exit
from streams.scoring.policy import load_policy

if TYPE_CHECKING:
    from streams.backtest.run import Question

F = TypeVar("F", bound=Callable[..., Any])
DAYS = {"": 1, "d": 1, "w": 7}
MOST_DAYS = 3650


def parse_days(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Turn `90d`, `12w` or `90` into days (a click callback)."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})([dw]?)", text)
    days = int(match[1]) * DAYS[match[2]] if match else 0
    if not 1 <= days <= MOST_DAYS:
        msg = f"{text!r} is no number of days from 1 to {MOST_DAYS}; write it like 90d or 12w"
        raise click.BadParameter(msg)
    return days


def question_options(command: F) -> F:
    """Add the options that say which log is asked what."""
    options = (
        click.argument("events", required=False),
        click.option(
            "--dataset", type=click.Choice(sorted(DATASETS)), help="A real history instead of EVENTS."
        ),
        click.option(
            "--horizon", default="90d", show_default=True, callback=parse_days, help="How far ahead."
        ),
        click.option(
            "--active",
            callback=parse_days,
            help="Who engaged within this time is scored.  [default: twice the horizon]",
        ),
        click.option(
            "--every", default="7d", show_default=True, callback=parse_days, help="Length of a period."
        ),
        policy_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_question(  # one parameter an option
    events: str | None,
    dataset: str | None,
    policy_path: str | None,
    horizon: int,
    active: int | None,
    every: int,
    warmup: int | None = None,
) -> "Question":
    """Read the log that was named; raises CxError without one, with two, or without numpy and scipy."""
    if (events is None) == (dataset is None):
        msg = "give a file of touchpoints or --dataset, and not both"
        raise CxError(msg, mend="name one: events.jsonl, or --dataset cdnow-sample", code=Exit.USAGE)
    if not (find_spec("numpy") and find_spec("scipy")):
        msg = "a backtest and a fit need numpy and scipy"
        raise CxError(msg, mend="pip install 'cx-signals[fit]'")
    from streams.backtest.plan import Plan  # noqa: PLC0415  # numpy is an extra's dependency
    from streams.backtest.run import ask  # noqa: PLC0415  # so is scipy

    plan = Plan(horizon, active or 2 * horizon, every, warmup)
    policy = load_policy(policy_path)
    if dataset is not None:
        lines: Iterable[bytes] = (record.value for record in DATASETS[dataset].records())
        return ask(dataset, lines, plan, policy)
    with open_events(events or "-") as file:
        return ask(events or "-", file, plan, policy)


def report_rejects(question: "Question") -> None:
    """Say on standard error what of the log could not be used."""
    for reason, count in sorted(question.log.rejects.items()):
        click.echo(f"rejected: {count} {reason}", err=True)
    if question.log.anonymous:
        click.echo(f"anonymous: {question.log.anonymous}", err=True)
    if question.log.forgotten:
        click.echo(f"forgotten: {counted(len(question.log.forgotten), 'customer', 'customers')}", err=True)


def progress_bar(what: str) -> tuple[Progress, Callable[[int, int], None]]:
    """Return a bar on standard error, shown where somebody looks, and the function that moves it."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f} periods"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task(what, total=1)
    return bar, lambda done, of: bar.update(task, completed=done, total=of)
