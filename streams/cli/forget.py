"""`cx forget ID`: erase what is kept of a customer, keep nothing more, and print the receipt."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import click
import orjson

from streams.cli.connecting import connection
from streams.demo.words import printable
from streams.forgetting import Place, Receipt
from streams.forgetting import forget as forget_customer
from streams.settings import load_settings

UNBOUNDED = "not bounded by the topic's configuration"
KNOWN = "yes: a row or alerts were kept under this id"
UNKNOWN = "NO: nothing was kept under this id. Is it mistyped, or forgotten before?"


@click.command()
@connection
@click.argument("customer_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Seconds to wait."
)
@click.option("--json", "as_json", is_flag=True, help="The receipt as one JSON object, for programs.")
def forget(  # options
    customer_id: str, file: Path | None, *, yes: bool, wait_s: float, as_json: bool, **flags: Any
) -> None:
    """Erase the row, the scores and the alerts of the customer ID, and suppress whatever still arrives.

    It cannot be undone. The receipt says whether anything was kept of ID, what was erased, and what expires
    when. It takes the key of CX_FORGET_KEY_FILE, and workers that have the same.
    """
    settings = load_settings(flags, file=file)
    if not yes:
        click.confirm(f"Forget {printable(customer_id)}? It cannot be undone", abort=True, err=True)
    receipt = asyncio.run(forget_customer(settings, customer_id, wait_s=wait_s))
    if as_json:
        click.echo(orjson.dumps(dataclasses.asdict(receipt)))
    else:
        _print(receipt)


def _print(receipt: Receipt) -> None:
    width = max(len(each.topic) for each in (*receipt.erased, *receipt.expires))
    click.echo(f"forgotten: {printable(receipt.customer_id)} (partition {receipt.partition})")
    click.echo(f"when:      {receipt.forgotten_at}")
    click.echo(f"known:     {KNOWN if receipt.known else UNKNOWN}")
    click.echo(f"kept:      HMAC {receipt.remembered_as}; later events are suppressed")
    click.echo("erased; off the disks once the topic is compacted, if it is still written to:")
    _print_places(receipt.erased, width)
    click.echo("expires with its topic:")
    _print_places(receipt.expires, width)


def _print_places(places: tuple[Place, ...], width: int) -> None:
    for each in places:
        click.echo(f"  by {each.gone_by or '?':<10}  {each.topic:<{width}}  {each.what}")
        if each.gone_by is None:
            click.echo(f"     {UNBOUNDED}")
