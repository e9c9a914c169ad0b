"""`cx topics acls`: the rights that each role needs on Kafka, as commands of Kafka's own tool, or granted."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any, cast

import click
import orjson

from streams.acls import ROLES, Role, grants
from streams.admin import allow
from streams.cli.connecting import connection
from streams.settings import load_settings


@click.command()
@connection
@click.option("--role", type=click.Choice(list(ROLES)), help="One role only.  [default: all]")
@click.option("--principal", metavar="NAME", help="Who gets them.  [default: User:cx-ROLE]")
@click.option("--apply", "applied", is_flag=True, help="Grant them on the broker; needs --role.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def acls(
    role: str | None,
    principal: str | None,
    file: Path | None,
    *,
    applied: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Print the least rights of each role; what is not listed need not be allowed.

    The commands are those of kafka-acls.sh. With --apply, a user who may alter the cluster grants them.
    """
    settings = load_settings(flags, file=file)
    if applied and role is None:
        msg = "name the role whose rights are granted: --role"
        raise click.UsageError(msg)
    roles = [cast("Role", role)] if role else list(ROLES)
    table = {each: grants(each, settings) for each in roles}
    if applied:
        for each in roles:
            asyncio.run(allow(settings, principal or f"User:cx-{each}", table[each]))
    if as_json:
        click.echo(orjson.dumps({each: list(map(dataclasses.asdict, table[each])) for each in roles}))
        return
    for each in roles:
        click.echo(f"# {each}: {ROLES[each].replace('`', '')}")
        for grant in table[each]:
            click.echo(grant.command(principal or f"User:cx-{each}", settings.bootstrap_servers))
    if applied:
        click.echo("# granted")
