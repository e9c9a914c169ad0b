"""`cx score`: scores of a file's customers, without Kafka."""

import gc
import time
from collections import Counter
from typing import Any

import click
import orjson
from rich.table import Table
from rich.text import Text

from schemas.times import at_time
from streams.amounts import counted
from streams.cli.files import at_option, open_events, policy_option
from streams.cli.tables import print_tables
from streams.demo.words import printable
from streams.errors import Exit
from streams.replay import Customer, Replay, replay
from streams.scoring.apply import Scorer
from streams.scoring.explain import assess, score_document
from streams.scoring.policy import DAY_S, load_policy
from streams.scoring.rules import Band

WORST_SHOWN = 10
AHEAD_S = 60.0
"""Clocks may differ by so much."""


@click.command()
@click.argument("file")
@policy_option
@at_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a customer, sorted by customer id.")
@click.option("--strict", is_flag=True, help="Exit with 3 if any line was rejected.")
def score(file: str, policy_path: str | None, at_s: float | None, *, as_json: bool, strict: bool) -> None:
    """Score the customers in FILE (touchpoints as JSON lines; - is standard input).

    Rejected lines are counted by reason on standard error. Exit codes: 0 done, 2 unreadable file or policy,
    3 rejects under --strict.
    """
    scorer = Scorer(load_policy(policy_path))
    # Nothing here forms cycles, and the collector would walk every kept event again and again.
    gc.disable()
    with open_events(file) as lines:
        result = replay(lines, scorer, at_s=at_s)
    if as_json:
        _write_json(scorer, result)
    else:
        _write_table(scorer, result)
    report_losses(result)
    report_outlier(result)
    if result.customers and result.at_s > time.time() + AHEAD_S:
        click.echo(f"note: evaluated at {at_time(result.at_s)}, which has not come yet", err=True)
    if strict and result.rejects:
        raise SystemExit(Exit.REJECTED)


def report_losses(result: Replay) -> None:
    """Say on standard error what did not become part of a score, and why."""
    for reason, count in sorted(result.rejects.items()):
        click.echo(f"rejected: {count} {reason}", err=True)
    for name in ("duplicates", "anonymous", "later", "suppressed"):
        if count := getattr(result, name):
            click.echo(f"{name}: {count}", err=True)


def report_outlier(result: Replay) -> None:
    """Say on standard error that one event alone decided on the time at which all are evaluated."""
    found = result.outlier
    if found is None:
        return
    event = f"line {found.line} ({printable(found.customer_id)}, {at_time(found.at_s)})"
    days = (found.at_s - found.before_s) / DAY_S
    click.echo(
        f"note: {event} lies {days:,.0f} days after all others, and everybody is evaluated at its time\n"
        f"  try: if its year is wrong, --at {at_time(found.before_s)} leaves it out",
        err=True,
    )


def document(scorer: Scorer, customer_id: str, customer: Customer, at_s: float) -> dict[str, Any]:
    """Return what `--json` prints of a customer."""
    found = assess(scorer, customer.state, at_s)
    return score_document(scorer, customer_id, customer.state, found) | {"alerts": customer.steps}


def _write_json(scorer: Scorer, result: Replay) -> None:
    out = click.get_binary_stream("stdout")
    for customer_id in sorted(result.customers):
        content = document(scorer, customer_id, result.customers[customer_id], result.at_s)
        out.write(orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE))
    out.flush()


def _write_table(scorer: Scorer, result: Replay) -> None:
    found = {
        customer_id: assess(scorer, customer.state, result.at_s)
        for customer_id, customer in result.customers.items()
    }
    bands = Counter(each.band for each in found.values())
    at = f", evaluated at {at_time(result.at_s)}" if found else ""
    click.echo(
        f"{counted(result.accepted, 'event', 'events')} of {counted(len(found), 'customer', 'customers')}{at}"
    )
    for band in sorted(bands, key=Band, reverse=True):
        click.echo(f"  {band.label:<10}{bands[band]:>8}")
    known = [(each.experience.score, customer_id) for customer_id, each in found.items() if each.band]
    if not known:
        return
    table = Table(title="lowest experience", title_justify="left")
    for column in ("customer", "experience", "service", "churn", "weighs most"):
        table.add_column(column, justify="right" if column in ("experience", "service", "churn") else "left")
    for _, customer_id in sorted(known)[:WORST_SHOWN]:
        each = found[customer_id]
        table.add_row(
            Text(printable(customer_id)),  # an id is data: no markup, no escape sequence
            f"{each.experience.score:.1f}",
            f"{each.service.score:.1f}",
            "-" if each.churn is None else f"{each.churn.probability:.0%}",
            each.drivers[0]["driver"],
        )
    print_tables(table)
