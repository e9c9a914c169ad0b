"""`cx doctor`: why does it not work? One line for each thing looked at, with the command that mends it."""

import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson

from streams.cli.connecting import as_given, connection, worker_address
from streams.demo.words import printable
from streams.errors import Exit
from streams.observe.doctor import examine
from streams.observe.findings import Finding, Status
from streams.settings import Settings, load_settings

COLORS = {Status.OK: "green", Status.WARNING: "yellow", Status.ERROR: "red"}


@click.command()
@connection
@click.option(
    "--worker",
    "worker_url",
    metavar="URL",
    callback=worker_address,
    help="A worker's address.  [default: of the settings]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for programs.")
def doctor(file: Path | None, worker_url: str | None, *, as_json: bool, **flags: Any) -> None:
    """Look at the broker, the topics, the producers and a worker; say what mends what is wrong.

    Exit code 1 if anything is an error; warnings leave it 0.
    """
    settings = load_settings(flags, file=file)
    url = worker_url or _url(settings)
    found = asyncio.run(_examine(settings, url, {**flags, "config": file}, as_json=as_json))
    if as_json:
        click.echo(orjson.dumps([dataclasses.asdict(each) for each in found]))
    failed = any(each.status is Status.ERROR for each in found)
    raise SystemExit(Exit.FINDING if failed else Exit.OK)


async def _examine(
    settings: Settings, url: str, options: Mapping[str, Any], *, as_json: bool
) -> list[Finding]:
    found = []
    async for each in examine(settings, url):
        found.append(dataclasses.replace(each, mend=as_given(each.mend, options)))
        if not as_json:
            _print(found[-1])
    return found


def _print(finding: Finding) -> None:
    status = click.style(f"{finding.status:<8}", fg=COLORS[finding.status])
    click.echo(f"{status}{finding.subject:<12} {printable(finding.message)}")
    if finding.mend:
        click.echo(f"{'':<21}try: {finding.mend}")


def _url(settings: Settings) -> str:
    """Return where a worker with these settings listens, seen from this machine."""
    host = settings.metrics_host
    host = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104  # nothing is bound here
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.metrics_port}"
