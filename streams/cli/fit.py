"""`cx fit`: a policy learnt from a log."""

import gc
import os
from pathlib import Path

import click

from streams.cli.asking import progress_bar, question_options, read_question, report_rejects
from streams.errors import CxError, Exit
from streams.scoring.apply import baked_hash
from streams.scoring.policy import load_policy


@click.command()
@question_options
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The policy file to write."
)
def fit(  # one parameter an option
    events: str | None,
    dataset: str | None,
    policy_path: str | None,
    horizon: int,
    active: int | None,
    every: int,
    out: Path,
) -> None:
    """Fit the churn probability to EVENTS (JSON lines; - is standard input), calibration included.

    Learns from what has come true by the end of the log; writes only what differs from the default policy.
    Exit codes: 0 done, 2 nothing can be learnt from the log or the file cannot be written.
    """
    try:
        # Said before the minutes that a fit may take; the dot, which Path would drop, refuses a file.
        os.stat(f"{out.absolute().parent}/.")  # noqa: PTH116
    except OSError as error:
        raise _unwritable(out, error.strerror or "") from error
    gc.disable()  # nothing here forms cycles, and the collector would walk every kept event again and again
    question = read_question(events, dataset, policy_path, horizon, active, every)
    report_rejects(question)
    from streams.backtest.run import fit as fit_question  # noqa: PLC0415  # numpy is an extra's dependency
    from streams.backtest.written import policy_toml  # noqa: PLC0415

    bar, move = progress_bar("fitting")
    with bar:
        found = fit_question(question, progress=move)
    learnt = (
        f"learnt at {found.learnt_days} days from {found.rows} rows" if found.learnt_days else "rhythm only"
    )
    heading = f"Fitted by cx fit to {question.name}: horizon {horizon} days, {learnt}."
    try:
        out.write_text(policy_toml(found.policy, heading), encoding="utf-8")
    except OSError as error:
        raise _unwritable(out, error.strerror or "") from error
    click.echo(f"{out}: policy {found.policy.hash}, {learnt}")
    if not found.learnt_days:
        click.echo("Too little has come true for coefficients and calibration: those of the policy stay.")
    if baked_hash(found.policy) != baked_hash(load_policy(policy_path)):
        click.echo("Its horizons are new: rows that were made before need `cx rebuild`.")


def _unwritable(out: Path, why: str) -> CxError:
    mend = "give --out a file in a folder that you may write to"
    return CxError(f"cannot write {out}: {why}", mend=mend, code=Exit.USAGE)
