"""`cx backtest`: how good the scores would have been on a log."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson
from rich import box
from rich.table import Table

from streams.backtest.folder import demand
from streams.cli.asking import parse_days, progress_bar, question_options, read_question, report_rejects
from streams.cli.tables import print_tables

if TYPE_CHECKING:
    from streams.backtest.judge import Verdict

AS_IT_IS = (
    "note: the policy brings a rhythm, coefficients or a calibration of its own and is judged as it is\n"
    "  try: --refit, to fit it as outcomes mature"
)


@click.command()
@question_options
@click.option(
    "--warmup",
    callback=parse_days,
    help="Periods before it are learnt from, not judged.  [default: half of the log]",
)
@click.option(
    "--refit/--no-refit", default=None, help="Fit as outcomes mature.  [default: unless --policy has a fit]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write pictures and an HTML page into this folder.",
)
def backtest(  # noqa: PLR0913  # one parameter an option
    *,
    events: str | None,
    dataset: str | None,
    policy_path: str | None,
    horizon: int,
    active: int | None,
    every: int,
    warmup: int | None,
    refit: bool | None,
    as_json: bool,
    report: Path | None,
) -> None:
    """Replay EVENTS (JSON lines; - is standard input) and judge the scores against five baselines.

    Every active customer is scored each period from what came before it. Ours is fitted anew as outcomes
    mature, as `cx fit` does; a policy that brings a fit of its own stays as it is, unless --refit says
    otherwise. Exit codes: 0 done, 2 the log is too short or has nothing to tell apart.
    """
    if report is not None:
        demand(report)
    gc.disable()  # nothing here forms cycles, and the collector would walk every kept event again and again
    question = read_question(events, dataset, policy_path, horizon, active, every, warmup)
    report_rejects(question)
    from streams.backtest.judge import document  # noqa: PLC0415  # numpy is an extra's dependency
    from streams.backtest.plan import is_fitted  # noqa: PLC0415
    from streams.backtest.run import backtest as run  # noqa: PLC0415

    learns = not is_fitted(question.policy) if refit is None else refit
    if refit is None and not learns:
        click.echo(AS_IT_IS, err=True)
    bar, move = progress_bar("replaying")
    with bar:
        verdict = run(question, refit=learns, progress=move)
    if report is not None:
        from streams.backtest.page import write_report  # noqa: PLC0415  # matplotlib is an extra's dependency

        click.echo(f"report: {write_report(verdict, report)}", err=True)
    if as_json:
        click.echo(orjson.dumps(document(verdict)))
    else:
        _show(verdict)


def _show(verdict: "Verdict") -> None:
    plan = verdict.plan
    click.echo(
        f"{verdict.dataset}: {verdict.rows} rows, {verdict.customers} customers, {verdict.periods} periods; "
        f"{verdict.base_rate:.1%} did not engage within {plan.horizon_days} days; {verdict.refits} fits"
    )
    print_tables(_ranking(verdict), _budgets(verdict))


def _ranking(verdict: "Verdict") -> Table:
    from streams.backtest.baselines import TITLES  # noqa: PLC0415  # numpy is an extra's dependency

    table = Table("model", box=box.SIMPLE)
    for name in ("AUC", "95%", "within", "top 1%", "top 10%", "Brier", "ECE", "above recency (95%)"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, standing in verdict.models.items():
        above = f"{standing.above_recency:+.3f}"
        if standing.above_recency_ci95:
            low, high = standing.above_recency_ci95
            above += f" ({low:+.3f}, {high:+.3f})"
        table.add_row(
            TITLES[name],
            _figure(standing.auc),
            f"{standing.ci95[0]:.3f}-{standing.ci95[1]:.3f}" if standing.ci95 else "-",
            _figure(standing.auc_within),
            _figure(standing.p_at_1),
            _figure(standing.p_at_10),
            _figure(standing.brier),
            _figure(standing.ece),
            "" if name == "recency" else above,
        )
    return table


def _budgets(verdict: "Verdict") -> Table:
    from streams.backtest.baselines import TITLES  # noqa: PLC0415  # numpy is an extra's dependency

    caption = (
        f"alerts a week per 1,000 active customers; recall and lead of {verdict.losses} losses: "
        f"silences that reached {2 * verdict.plan.horizon_days} days"
    )
    table = Table("model", box=box.SIMPLE, caption=caption, caption_justify="left")
    for name in ("budget", "alerts", "precision (95%)", "recall (95%)", "days of lead (95%)"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, standing in verdict.models.items():
        for spent in standing.budgets:
            figures = (
                _figure(spent.precision) + _between(spent.precision_ci95),
                _figure(spent.recall) + _between(spent.recall_ci95),
                _figure(spent.lead_days, 0) + _between(spent.lead_days_ci95, 0),
            )
            table.add_row(TITLES[name], str(spent.per_1000), str(spent.alerts), *figures)
    return table


def _figure(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _between(pair: tuple[float, float] | None, digits: int = 3) -> str:
    return "" if pair is None else f" ({pair[0]:.{digits}f}-{pair[1]:.{digits}f})"
