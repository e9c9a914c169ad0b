"""`cx rebuild`: replay the inputs into a clean table, and tell nobody."""

import asyncio
import time
from pathlib import Path
from typing import Any

import click
import orjson

from streams.admin import admin_client, describe_topics
from streams.amounts import counted
from streams.cli.connecting import connection
from streams.engine.rebuild import Orders, Progress, rebuild
from streams.engine.settings import engine_settings
from streams.errors import CxError, Exit
from streams.processing import build_processor
from streams.rebuilding import Alerts, Quiet
from streams.settings import Settings, load_settings
from streams.suppression import is_reserved
from streams.topics import ALERTS

TELL_EVERY_S = 2.0
NO_MEMBERS = frozenset({"Empty", "Dead"})
"""States of a group without a worker; `Dead` is one that never was."""
QUESTION = "Every row is thrown away and made anew from the inputs; workers must stay stopped. Go on?"


@click.command("rebuild")
@connection
@click.option("--policy", help="Policy file; the default policy without it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--accept-loss", is_flag=True, help="Forget what was counted of records deleted since.")
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object, for programs.")
def rebuild_command(file: Path | None, *, yes: bool, accept_loss: bool, as_json: bool, **flags: Any) -> None:
    """Replay the inputs from their beginning into a clean table.

    For a policy that changed what is baked into the rows: weights, half-lives, the prior. Rows and positions
    are written and nothing else: no score, no alert and no message to a person. Alerts that are open before
    and after go on as they were; the others are closed. Workers have to be stopped. Broken off, it goes on
    where it was; until it has ended, workers leave the partitions alone.
    """
    settings = load_settings(flags, file=file)
    asyncio.run(_require_stopped(settings))
    if not yes:
        click.confirm(QUESTION, abort=True, err=True)
    found = asyncio.run(run(settings, accept_loss=accept_loss))
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_SORT_KEYS))
        return
    click.echo(
        f"rebuilt {found['partitions']} partitions: {found['customers']:,} customers from "
        f"{found['records']:,} records; {found['alerts_continued']} alerts go on, "
        f"{found['alerts_closed']} closed"
    )


async def run(settings: Settings, *, accept_loss: bool) -> dict[str, int]:
    """Rebuild, telling the progress on standard error; return what was done."""
    alerts = Alerts(settings.topic_prefix + ALERTS.name, time.time())
    said = _Said()
    processor = build_processor(settings)
    orders = Orders(
        Quiet(processor), alerts.settle, keep=is_reserved, check=processor.suppression.is_active, tell=said
    )
    await rebuild(engine_settings(settings), orders, accept_loss=accept_loss)
    return {
        "partitions": len(said.done),
        "customers": sum(each.rows for each in said.done),
        "records": sum(each.applied for each in said.done),
        "alerts_continued": alerts.continued,
        "alerts_closed": alerts.closed,
    }


class _Said:
    """Tells the progress, not too often."""

    def __init__(self) -> None:
        self.done: list[Progress] = []
        self._last_s = time.monotonic()

    def __call__(self, at: Progress) -> None:
        if at.done:
            self.done.append(at)
        elif time.monotonic() - self._last_s < TELL_EVERY_S:
            return
        self._last_s = time.monotonic()
        share = at.applied / at.total if at.total else 1.0
        click.echo(
            f"partition {at.partition}: {share:.0%} of {at.total:,} records, {at.rows:,} customers", err=True
        )


async def _require_stopped(settings: Settings) -> None:
    """Refuse while a worker is in the group, and where topics are missing."""
    missing = [
        state.name for state in await describe_topics(settings) if state.topic and not state.partitions
    ]
    if missing:
        msg = f"missing topics: {', '.join(missing)}"
        raise CxError(msg, mend="cx topics create")
    async with admin_client(settings) as admin:
        [answer] = await admin.describe_consumer_groups([settings.app_id])
    [(_, _, state, _, _, members, *_)] = answer.groups
    if state not in NO_MEMBERS and members:
        running = counted(len(members), "worker runs", "workers run")
        msg = f"{running} as {settings.app_id} (one killed counts for a while)"
        raise CxError(msg, mend="stop every worker, then: cx rebuild", code=Exit.FINDING)
