"""`cx bench-model`: our model and the baselines in worlds in which it is known who left, and of what."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click
import msgspec
import orjson
from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

from streams.backtest.worlds import WORLDS
from streams.cli.files import policy_option
from streams.cli.tables import print_tables
from streams.errors import CxError
from streams.scoring.policy import Policy, load_policy

if TYPE_CHECKING:
    from streams.backtest.worlds_bench import Board

COLUMNS = ("AUC", "Brier", "ECE", "detected", "driven", "false", "lead")


@click.command("bench-model")
@click.option(
    "--world", "names", multiple=True, type=click.Choice(list(WORLDS)), help="A world; all without it."
)
@click.option("--seed", default=0, show_default=True, help="Of the worlds.")
@click.option("--customers", type=click.IntRange(min=100), help="Customers in a world.  [default: its own]")
@click.option("--budget", default=10.0, show_default=True, help="Alerts per 1,000 active customers a week.")
@policy_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every world.")
def bench_model(
    names: tuple[str, ...],
    seed: int,
    customers: int | None,
    budget: float,
    policy_path: str | None,
    *,
    as_json: bool,
) -> None:
    """Print a leader board of our model and the baselines in worlds with known truth.

    Each model learns from the past of a world as time goes on. Needs the extra `fit` (numpy, scipy); a world
    takes about a minute.
    """
    policy = load_policy(policy_path)
    boards = []
    for name in names or tuple(WORLDS):
        with Status(f"living in the world {name}", console=Console(stderr=True)):
            board = _bench(name, policy, seed=seed, customers=customers, budget=budget)
        boards.append(board)
        if not as_json:
            print_tables(*_report(board))
    if as_json:
        content = {
            "seed": seed,
            "budget": budget,
            "policy": policy.hash,
            "worlds": msgspec.to_builtins(boards),
        }
        click.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    else:
        click.echo(_legend(budget))


def _bench(name: str, policy: Policy, *, customers: int | None, **plan: Any) -> "Board":
    try:
        from streams.backtest.worlds_bench import bench  # noqa: PLC0415  # numpy and scipy are an extra
    except ModuleNotFoundError as error:
        msg = f"a world needs {error.name}, which comes with the extra `fit`"
        raise CxError(msg, mend="pip install 'cx-signals[fit]'") from error
    world = WORLDS[name]
    if customers is not None:
        world = replace(world, customers=customers)
    return bench(world, policy, **plan)


def _report(board: "Board") -> Iterator[RenderableType]:
    from streams.backtest.worlds_bench import MUTED, OURS, TITLES  # noqa: PLC0415  # as above

    yield Text.assemble((board.world, "bold"), f": {board.says}")
    yield Text(
        f"{board.customers:,} customers, {board.left / board.customers:.0%} left; {board.events:,} events; "
        f"{board.rows:,} rows judged, {board.base_rate:.0%} without a purchase in 90 days",
        "dim",
    )
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, collapse_padding=True, show_edge=False
    )
    table.add_column("model")
    for column in (*COLUMNS, "alerts"):
        table.add_column(column, justify="right", no_wrap=True)
    for model, found in sorted(board.models.items(), key=lambda each: -(each[1].auc or 0.0)):
        table.add_row(
            TITLES[model],
            *("-" if value is None else f"{value:.3f}" for value in (found.auc, found.brier, found.ece)),
            f"{found.detected:.0%}",
            "-" if found.detected_driven is None else f"{found.detected_driven:.0%}",
            f"{found.false_alarms:.0%}",
            f"{found.lead_days:.0f}d",
            f"{found.alerts:,}",
            style="bold" if model == OURS else "",
        )
    yield Text()
    yield table
    ours, muted = board.models[OURS].auc, board.models[MUTED].auc
    if ours is not None and muted is not None:  # None where all rows have the same label
        adds = f"experience adds {ours - muted:+.4f} AUC"
        told = f"of alerts at p = {1 - board.nominal:.2f}, {board.came_back:.0%} came back"
        yield Padding(Text(f"{adds}; {told}"), (0, 0, 1, 0), expand=False)


def _legend(budget: float) -> str:
    return (
        f"Each model may raise {budget:g} alerts per 1,000 active customers a week; our rules raise what\n"
        "they raise. detected: of those who left, alerted within 180 days of silence. driven: of those who\n"
        "left of what they lived through. false: alerts of customers who had not left. lead: mean days\n"
        "before the 180th day of silence."
    )
