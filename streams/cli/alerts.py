"""`cx alerts`: what is open, one alert as a case, and pausing what is sent."""

import asyncio
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import click
import orjson
from aiokafka.errors import TopicAuthorizationFailedError
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.deliveries import Pause
from schemas.money import money
from schemas.outputs import Rule
from streams.alertbook import Alert, Wanted, find, read, silent_sources, status_of
from streams.cli.connecting import connection
from streams.cli.tables import Screen, minute, print_tables
from streams.delivery.pauses import pause, read_pauses, resume
from streams.demo.words import SEVERITY_STYLES, ago, plain, printable
from streams.errors import CxError, Exit
from streams.scoring.rules import SEVERITIES
from streams.settings import Settings, load_settings

SHOWN = 40
DRIVERS = 5
TABLE_WIDTH = 130
"""A narrower terminal leaves no room for the sentence beside the other columns."""


@click.group()
def alerts() -> None:
    """See the alerts, and pause what is sent."""


@alerts.command("list")
@connection
@click.option("--rule", "rules", multiple=True, type=click.Choice(get_args(Rule)), help="Only these rules.")
@click.option(
    "--severity", "severities", multiple=True, type=click.Choice(SEVERITIES), help="Only these severities."
)
@click.option("--owner", "owners", multiple=True, help="Only of these owners, of the customer or the cause.")
@click.option("--customer", "customer_id", default="", help="Only of this customer.")
@click.option("--all", "over_too", is_flag=True, help="Also those that are resolved or closed.")
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True, help="Show so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array with all of them, for programs.")
def list_(file: Path | None, *, limit: int, as_json: bool, **flags: Any) -> None:
    """List the open alerts, the gravest first, as the topic has them now."""
    wanted = _wanted(flags)
    settings = load_settings(flags, file=file)
    found, silent, lasting = asyncio.run(_read(settings, wanted))
    for each in silent:
        detail = printable(each["detail"])
        click.echo(f"silent source since {minute(each['since'])}: {detail}; silence is held back", err=True)
    if lasting is not None:
        click.echo(f"delivery is paused{_how_long(lasting)}; cx alerts resume", err=True)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_SORT_KEYS))
    elif found:
        _print(found[:limit])
        left = f" (the {limit} gravest are shown)" if len(found) > limit else ""
        click.echo(f"{_count(len(found), 'alert')}{left}; cx alerts show ID")
    else:
        click.echo("no alerts" if wanted.over_too else "no open alerts")


async def _read(settings: Settings, wanted: Wanted) -> tuple[list[Alert], list[Alert], Pause | None]:
    return await read(settings, wanted), await silent_sources(settings), await _lasting_pause(settings)


async def _lasting_pause(settings: Settings) -> Pause | None:
    """Return the pause that lasts; None also where it may not be read."""
    try:
        return (await read_pauses(settings)).current
    except (CxError, TopicAuthorizationFailedError):
        # The role `reader` has no right to cx.delivery, which a broker tells as a topic that does not exist.
        # The alerts were just read: what would ail them was said.
        return None


def _wanted(options: dict[str, Any]) -> Wanted:
    """Take from the options those that say which alerts are meant; the rest are settings."""
    return Wanted(
        rules=frozenset(options.pop("rules")),
        severities=frozenset(options.pop("severities")),
        owners=frozenset(options.pop("owners")),
        customer_id=options.pop("customer_id"),
        over_too=options.pop("over_too"),
    )


@alerts.command()
@connection
@click.argument("alert_id")
@click.option("--json", "as_json", is_flag=True, help="The steps as a JSON array, the last one last.")
def show(file: Path | None, alert_id: str, *, as_json: bool, **flags: Any) -> None:
    """Show an alert as a case: who, why now, what weighs, what was done. Exit code 1 if there is none."""
    steps = asyncio.run(find(load_settings(flags, file=file), alert_id))
    if not steps:
        msg = f"no alert {printable(alert_id)} is on the topic (closed ones leave it after 30 days)"
        raise CxError(msg, mend="cx alerts list --all", code=Exit.FINDING)
    if as_json:
        click.echo(orjson.dumps(steps, option=orjson.OPT_SORT_KEYS))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column()
    for name, text in _case(steps[-1]):
        table.add_row(name, text)
    table.add_row("steps", "\n".join(map(_step, steps)))
    print_tables(table)


@alerts.command("pause")
@connection
@click.option("--reason", default="", help="Why, for those who find it paused.")
def pause_(file: Path | None, reason: str, **flags: Any) -> None:
    """Send nothing until `cx alerts resume`: alerts go on, and what is due meanwhile is dropped."""
    settings = load_settings(flags, file=file)
    if asyncio.run(pause(settings, reason=reason)):
        click.echo("paused: nothing is sent until `cx alerts resume`")
        return
    lasting = asyncio.run(read_pauses(settings)).current
    click.echo(f"already paused{_how_long(lasting) if lasting else ''}")
    if reason:
        click.echo("the new reason is not kept: cx alerts resume, then pause again", err=True)


@alerts.command("resume")
@connection
def resume_(file: Path | None, **flags: Any) -> None:
    """Send again from now on; what was dropped while paused is not sent."""
    settings = load_settings(flags, file=file)
    done = asyncio.run(resume(settings))
    click.echo("resumed: what is announced from now on is sent" if done else "nothing was paused")


def _how_long(pause: Pause) -> str:
    """Return for how long a pause has lasted, and why."""
    why = f": {printable(pause.reason)}" if pause.reason else ""
    return f" for {ago(time.time() - pause.from_s)}{why}"


def _count(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _print(found: list[Alert]) -> None:
    """Print a table, or on a narrow terminal each alert's sentence below its facts."""
    console = Screen(highlight=False)
    if console.is_terminal and console.width < TABLE_WIDTH:
        print_tables(*chain.from_iterable(map(_narrow, found)))
    else:
        print_tables(_table(found))


def _narrow(alert: Alert) -> Iterator[Text | Padding]:
    stands = f"{printable(alert['customer_id'])}, {plain(status_of(alert))} since {minute(alert['at'])}"
    yield _severity(alert) + Text(f" {plain(alert['rule'])}: {stands}")
    yield Padding(Text(f"{printable(alert['reason'])} ({alert['alert_id']})"), (0, 0, 0, 4))


def _table(found: list[Alert]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("alert", "customer", "severity", "rule", "is", "since", "why"):
        table.add_column(name, overflow="fold", no_wrap=name == "alert")
    for each in found:
        table.add_row(
            Text(each["alert_id"]),
            Text(printable(each["customer_id"])),
            _severity(each),
            plain(each["rule"]),
            plain(status_of(each)),
            minute(each["at"]),
            Text(printable(each["reason"])),
        )
    return table


def _severity(alert: Alert) -> Text:
    return Text(alert["severity"], SEVERITY_STYLES[alert["severity"]])


def _case(alert: Alert) -> Iterator[tuple[str, Text]]:
    """Yield the rows of a case; what is not known has none."""
    known = [
        alert["customer_id"],
        alert["segment"],
        alert["tier"],
        alert["since"] and f"since {alert['since']}",
    ]
    yield "who", Text(", ".join(printable(each) for each in known if each), "bold")
    yield "why now", Text(printable(alert["reason"]))
    yield "severity", _severity(alert)
    yield "rule", Text(f"{plain(alert['rule'])}, episode {alert['episode']}, {plain(status_of(alert))}")
    yield "standing", Text(_standing(alert))
    for name, lines in (
        ("weighs most", _weighs(alert)),
        ("at stake", _at_stake(alert)),
        ("lived through", _lived_through(alert)),
        ("do", alert["do"]),
        ("do not", alert["do_not"]),
        ("its life", _life(alert)),
        ("evidence", [f"{each['id']} from {each['source']}" for each in alert["evidence"]]),
    ):
        if lines := list(lines):
            yield name, Text("\n".join(map(printable, lines)))


def _weighs(alert: Alert) -> Iterator[str]:
    own = (each for each in alert["drivers"] if each["ledger"] == "experience" and each["points"] < 0.0)
    for each in sorted(own, key=lambda driver: float(driver["points"]))[:DRIVERS]:
        yield f"{plain(each['driver'])} {each['points']:+.1f}"


def _at_stake(alert: Alert) -> Iterator[str]:
    if value := alert["value_at_risk"]:
        yield f"{money(value['amount'], value['currency'])} ({value['formula']})"
    for name in ("act_by", "expected_by"):
        if alert[name]:
            yield f"{plain(name)} {minute(alert[name])}"
    for name in ("owner", "cause_owner", "link"):
        if alert[name]:
            yield f"{plain(name)}: {alert[name]}"
    if alert["allowed_contact"] is not None:
        yield f"may be contacted by {', '.join(alert['allowed_contact']) or 'nothing'}"


def _lived_through(alert: Alert) -> Iterator[str]:
    if last := alert["last_experience"]:
        yield f"{plain(last['driver'])}, {ago(last['age_s'])} before ({last['points']:+.1f} points)"
    for each in alert["open_issues"]:
        yield f"open {each['kind']}: {plain(each['driver'])}, for {ago(each['age_s'])}"
    for each in alert["promises"]:
        yield f"{each['kind']} promised by {minute(each['due'])}: {each['status']}"
    for each in alert["earlier_alerts"]:
        outcome = plain(each["outcome"] or "no outcome")
        yield f"{plain(each['rule'])} of {minute(each['opened_at'])}: {outcome}"
    if alert["messages_30d"]:
        yield f"{_count(alert['messages_30d'], 'message')} in 30 days"


def _life(alert: Alert) -> Iterator[str]:
    for name in ("announced_at", "acknowledged_at", "snoozed_until"):
        if alert[name]:
            yield f"{plain(name).removesuffix(' at')} {minute(alert[name])}"
    if alert["folded_into"]:
        yield f"folded into {alert['folded_into']}"
    if alert["holdout"]:
        yield "nobody is told of this customer: holdout"
    if alert["outcome"]:
        yield f"outcome: {plain(alert['outcome'])}"


def _standing(alert: Alert) -> str:
    words = f"experience {alert['experience']:.0f} ({plain(alert['band'])}), service {alert['service']:.0f}"
    if alert["churn_probability"] is not None:
        words += f", {alert['churn_probability']:.0%} likely to leave within {alert['horizon_days']} days"
    if alert["lost"]:
        words += f", silence has cost {alert['lost']:.0%} of the chance to buy"
    return words


def _step(alert: Alert) -> str:
    who = f" by {printable(alert['by'])}" if alert["by"] else ""
    note = f": {printable(alert['note'])}" if alert["note"] else ""
    told = " (people were told)" if alert["announced"] else ""
    return f"{minute(alert['at'])}  {alert['step']}{who}{note}{told}"
