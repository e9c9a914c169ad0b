"""`cx topics`: create, list and check the topics of the one table."""

import asyncio
from pathlib import Path
from typing import Any

import click
import orjson
from rich.table import Table

from streams.admin import TopicState, describe_topics, ensure_topics, input_days, problems, unequal_mend
from streams.cli.acls import acls
from streams.cli.connecting import as_given, connection
from streams.cli.tables import print_tables
from streams.engine import identity
from streams.engine.settings import engine_settings
from streams.errors import CxError, Exit
from streams.observe.doctor_log import retention
from streams.observe.findings import Status
from streams.settings import Settings, load_settings
from streams.topics import INPUTS


@click.group()
def topics() -> None:
    """Create and check the Kafka topics."""


topics.add_command(acls)


@topics.command()
@connection
@click.option("--partitions", type=int, help="Partitions of every topic.")
@click.option("--replication-factor", type=int, help="Copies of every topic.")
@click.option(
    "--retention-days", type=int, help="Days for which the inputs are kept; 0: the policy's memory."
)
@click.option("--policy", help="Policy file that says how long that is; the default policy without it.")
def create(file: Path | None, **flags: Any) -> None:
    """Create the topics that are missing; run it as often as you like.

    Inputs are kept for as long as the policy's memory reaches, unless --retention-days says otherwise: what
    is gone from them, `cx rebuild` cannot bring back. Topics that exist are left as they are.
    """
    settings = load_settings(flags, file=file)
    created = asyncio.run(ensure_topics(settings))
    inputs = {settings.topic_prefix + topic.name for topic in INPUTS}
    for name in created:
        kept = f", kept {input_days(settings)} days" if name in inputs else ""
        click.echo(f"created {name} ({settings.partitions} partitions{kept})")
    if not created:
        click.echo(f"all topics are there ({settings.partitions} partitions each)")


@topics.command("list")
@connection
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
def list_(file: Path | None, *, as_json: bool, **flags: Any) -> None:
    """List the topics: partitions, and whether each is kept as it should be."""
    states = asyncio.run(describe_topics(load_settings(flags, file=file)))
    if as_json:
        click.echo(orjson.dumps([as_object(state) for state in states], option=orjson.OPT_SORT_KEYS))
    else:
        print_tables(as_table(states))


@topics.command()
@connection
def check(file: Path | None, **flags: Any) -> None:
    """Check that all topics exist, with equal partition counts and the right clean-up; else exit 1.

    Inputs that are kept for less than the policy's memory are told too: `cx rebuild` would lose what is gone.
    """
    settings = load_settings(flags, file=file)
    states = asyncio.run(describe_topics(settings))
    found = problems(states)
    _tell_of_retention(states, settings)
    for line in found:
        click.echo(line, err=True)
    if not found:
        click.echo(f"{len(states)} topics are as they should be")
        return
    advice = as_given(mend(states, settings.bootstrap_servers), {**flags, "config": file})
    click.echo(f"  try: {advice}", err=True)
    raise SystemExit(Exit.FINDING)


def _tell_of_retention(states: tuple[TopicState, ...], settings: Settings) -> None:
    """Say on standard error what a rebuild would lose; raises `CxError` on a policy that cannot be read."""
    for finding in retention(states, settings):
        if finding.status is Status.ERROR:
            raise CxError(finding.message, mend=finding.mend, code=Exit.USAGE)
        if finding.status is Status.WARNING:
            click.echo(f"warning: {finding.message}\n  try: {finding.mend}", err=True)


@topics.command()
@connection
@click.argument("name")
def adopt(name: str, file: Path | None, **flags: Any) -> None:
    """Go on with the input NAME as it is now: made anew, or with records deleted before they were applied.

    A worker refuses to go on by itself, because events are lost for good; this says that you know.
    """
    settings = load_settings(flags, file=file)
    full = name if name.startswith(settings.topic_prefix) else f"{settings.topic_prefix}{name}"
    adopted = asyncio.run(_adopt(settings, full))
    for each in adopted:
        click.echo(
            f"{full} partition {each.partition}: goes on at {each.after} (stood at {each.before}), "
            f"{each.skipped} records skipped"
        )
    if not adopted:
        click.echo(f"{full}: nothing to adopt, every position can be read on from")


async def _adopt(settings: Settings, name: str) -> tuple[identity.Adopted, ...]:
    engine = engine_settings(settings)
    if name in engine.inputs:
        # Asked of a topic that does not exist, the engine's own reader would wait for it in vain.
        there = {state.name for state in await describe_topics(settings) if state.partitions}
        for wanted, why in ((name, "cx topics create"), (engine.changelog, "cx worker has to run first")):
            if wanted not in there:
                msg = f"{wanted} does not exist: there is nothing to adopt"
                raise CxError(msg, mend=why, code=Exit.FINDING)
    return await identity.adopt(engine, name)


def mend(states: tuple[TopicState, ...], servers: str) -> str:
    """Return the command that mends the gravest problem of `states` on the brokers `servers`."""
    present = [state for state in states if state.partitions]
    if len({state.partitions for state in present}) > 1:
        return unequal_mend(present)
    if len(present) < len(states):
        count = f" --partitions {present[0].partitions}" if present else ""
        return f"cx topics create{count}"
    wrong = next(state for state in states if state.problem)
    wanted = ",".join(f"{key}=[{value}]" for key, value in wrong.wanted.items())
    return f"kafka-configs.sh --bootstrap-server {servers} --alter --topic {wrong.name} --add-config {wanted}"


def as_object(state: TopicState) -> dict[str, Any]:
    """Return a topic as `--json` shows it."""
    role = state.topic.role.value if state.topic else "changelog"
    return {
        "name": state.name,
        "role": role,
        "partitions": state.partitions,
        "problem": state.problem or None,
    }


def as_table(states: tuple[TopicState, ...]) -> Table:
    """Return the topics as a person reads them."""
    table = Table("topic", "role", "partitions", "state")
    for state in states:
        shown = as_object(state)
        table.add_row(state.name, shown["role"], str(state.partitions or "-"), state.problem or "ok")
    return table
