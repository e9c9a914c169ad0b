"""`cx policy`: the numbers of the scoring, shown and checked."""

from collections.abc import Iterator
from typing import Any, Final

import click
import msgspec
import orjson
from rich import box
from rich.table import Table
from rich.text import Text

from streams.amounts import counted
from streams.cli.files import policy_option
from streams.cli.policy_diff import diff
from streams.cli.policy_test import test
from streams.cli.tables import print_tables
from streams.errors import Exit
from streams.rulebook.advice import Advice, advise
from streams.scoring.apply import baked_hash
from streams.scoring.policy import DriverSection, Policy, default_policy, load_policy

Values = dict[str, Any]
_CHANGED: Final = "bold yellow"
SHORT_CHARS: Final = 60


@click.group()
def policy() -> None:
    """Weights, thresholds and coefficients: what a score is made with."""


policy.add_command(test)
policy.add_command(diff)


@policy.command()
@policy_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every value and the hash.")
def show(policy_path: str | None, *, as_json: bool) -> None:
    """Show every value, marked where it differs from the default policy, and every driver with its reason."""
    found = load_policy(policy_path)
    if as_json:
        content = {"hash": found.hash, **msgspec.to_builtins(found)}
        click.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
        return
    click.echo(f"policy {found.version}, hash {found.hash}; changed values carry the default beside them")
    print_tables(_values_table(found), _drivers_table(found))


@policy.command()
@click.argument("file")
@click.option("--strict", is_flag=True, help="Exit with 1 if there is any advice.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with the changes and the advice.")
def check(file: str, *, strict: bool, as_json: bool) -> None:
    """Check the policy FILE: mistakes by name, else what it changes and what is worth a second look.

    Exit codes: 0 valid, 1 advice under --strict, 2 not valid or not to be read.
    """
    found, default = load_policy(file), default_policy()
    changed, advice = differences(found, default), advise(found, default)
    rebuild = baked_hash(found) != baked_hash(default)
    if as_json:
        content = {
            "file": file,
            "version": found.version,
            "hash": found.hash,
            "changed": {key: {"value": value, "default": before} for key, (value, before) in changed.items()},
            "advice": msgspec.to_builtins(advice),
            "replay_needed": rebuild,
        }
        click.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    else:
        values = counted(len(changed), "value", "values")
        click.echo(f"{file} is a valid policy: {found.version}, hash {found.hash}, {values} changed")
        _tell(changed, advice, rebuild=rebuild)
    if strict and advice:
        raise SystemExit(Exit.FINDING)


def _tell(changed: dict[str, tuple[Any, Any]], advice: list[Advice], *, rebuild: bool) -> None:
    for key, (value, before) in changed.items():
        click.echo(f"  {key} = {_short(words_of(value))}, default {_short(words_of(before))}")
    if rebuild:
        click.echo(
            "Rows made before keep sums of the old weights and half-lives: cx rebuild makes them anew."
        )
    if advice:
        click.echo("Worth a second look:")
    for each in advice:
        click.echo(f"  {each.key}: {each.why}\n    try {each.suggestion}")


def differences(found: Policy, default: Policy) -> dict[str, tuple[Any, Any]]:
    """Return each key whose value differs from the default's, with both values."""
    before = dict(flat(msgspec.to_builtins(default)))
    return {
        key: (value, before.get(key))
        for key, value in flat(msgspec.to_builtins(found))
        if value != before.get(key)
    }


def flat(tables: Values, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of nested tables with its dotted key."""
    for key, value in tables.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def words_of(value: Any) -> str:
    """Return a value as TOML would write it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(words_of(each) for each in value)}]"
    return msgspec.json.encode(value).decode()


def _short(text: str) -> str:
    """Return a value that fits a line: a calibration curve has a hundred numbers."""
    return text if len(text) <= SHORT_CHARS else f"{text[: SHORT_CHARS - 3]}..."


def _values_table(found: Policy) -> Table:
    changed = differences(found, default_policy())
    table = Table("key", "value", "default", box=box.SIMPLE)
    for key, value in flat(msgspec.to_builtins(found)):
        if key.startswith("drivers."):
            continue
        differs = key in changed
        default = words_of(changed[key][1]) if differs else ""
        table.add_row(key, Text(words_of(value), _CHANGED if differs else ""), default)
    return table


def _drivers_table(found: Policy) -> Table:
    caption = "counts in both ledgers, in experience, or there as a routine whose good moments saturate"
    table = Table(box=box.SIMPLE, caption=caption, caption_justify="left")
    table.add_column("driver", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("weight", justify="right")
    table.add_column("counts in", no_wrap=True)
    table.add_column("why (owner)")
    default = default_policy().drivers
    for name, driver in found.drivers.items():
        before = default[name]
        table.add_row(
            name,
            _number(driver.value, before.value),
            _number(driver.weight, before.weight),
            _ledgers(driver),
            f"{driver.reason} ({driver.owner or 'nobody'})",
        )
    return table


def _number(value: float, default: float) -> Text:
    if value == default:
        return Text(f"{value:g}")
    return Text(f"{value:g} ({default:g})", _CHANGED)


def _ledgers(driver: DriverSection) -> str:
    if driver.service:
        return "both"
    return driver.group or "experience"
