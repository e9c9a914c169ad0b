"""`cx deliver`: announced alerts as signed webhooks, until it is told to stop."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from streams.cli.connecting import connection
from streams.delivery.admin import DeliveryServer
from streams.delivery.book import KafkaBook
from streams.delivery.client import Answer, HttpClient, Result
from streams.delivery.courier import Shared
from streams.delivery.figures import Figures
from streams.delivery.payload import ping_body
from streams.delivery.receivers import Receiver, read_receivers
from streams.delivery.routes import Routes, did_you_mean, load_routes
from streams.delivery.service import Delivery
from streams.delivery.shadow import ShadowBook, ShadowClient
from streams.delivery.signing import sign
from streams.errors import CxError, Exit
from streams.observe.logs import configure
from streams.settings import Settings, load_settings

Command = Callable[..., Any]
STOP_S = 20.0
"""Longest orderly stop; supervisors kill after 30 s."""
NO_ROUTES = "no routes file is named: nobody can be told"


def _routes_option(command: Command) -> Command:
    return click.option("--routes", help="Routes file: who is told of what (CX_ROUTES).")(command)


@click.group(invoke_without_command=True)
@connection
@_routes_option
@click.option("--shadow", is_flag=True, help="Write what would be sent, and send nothing.")
@click.option("--out", type=click.Path(path_type=Path), help="With --shadow: file instead of the output.")
@click.option("--metrics-host", help="Address on which metrics and health are served.")
@click.option("--metrics-port", "deliver_metrics_port", type=int, help="Its port; 0: a free one.")
def deliver(file: Path | None, out: Path | None, *, shadow: bool, **flags: Any) -> None:
    """Post announced alerts to the receivers of the routes file.

    Start as many as there are partitions. Exit codes: 0 told to stop, 2 wrong settings or routes, 4 no
    broker, topics or port, 5 stopped because what was sent could not be written down.
    """
    context = click.get_current_context()
    context.obj = {"file": file, **flags}
    if context.invoked_subcommand is not None:
        return
    if out is not None and not shadow:
        msg = "--out is without effect without --shadow"
        raise CxError(msg, mend="cx deliver --shadow --out FILE", code=Exit.USAGE)
    settings = load_settings(flags, file=file)
    configure(settings)
    routes, receivers = read_routes(settings)
    with ExitStack() as stack:
        stream = stack.enter_context(out.open("a", encoding="utf-8")) if out else sys.stdout
        asyncio.run(run_delivery(settings, routes, receivers, stream if shadow else None))


@deliver.command()
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file (cx.toml).")
@_routes_option
def check(file: Path | None, **flags: Any) -> None:
    """Check the routes file, and the files of keys and addresses that it names."""
    routes, receivers = read_routes(_settings(file, flags))
    for name, receiver in sorted(receivers.items()):
        used = sum(route.endpoint == name for route in routes.routes)
        default = ", default" if routes.default == name else ""
        said = f"{receiver.endpoint.format}, {len(receiver.keys)} keys, {used} routes{default}"
        click.echo(f"{name}: {receiver.url} ({said})")
    click.echo("the routes are right; cx deliver test ENDPOINT sends a test message")


@deliver.command()
@click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file (cx.toml).")
@_routes_option
@click.argument("endpoint")
def test(file: Path | None, endpoint: str, **flags: Any) -> None:
    """Send a signed test message to ENDPOINT. Exit code 1 where it is not accepted."""
    _, receivers = read_routes(_settings(file, flags))
    if endpoint not in receivers:
        msg = f"no endpoint `{endpoint}`{did_you_mean(endpoint, receivers)}"
        raise CxError(msg, mend="cx deliver check names them all", code=Exit.USAGE)
    receiver = receivers[endpoint]
    answer = asyncio.run(_ping(receiver))
    said = answer.why or f"it answered {answer.status}"
    if answer.result is Result.ACCEPTED:
        click.echo(f"{endpoint} accepted the test message: {said}")
        return
    msg = f"{endpoint} ({receiver.url}) did not accept the test message: {said}"
    raise CxError(msg, mend=_mend(answer, endpoint), code=Exit.FINDING)


def _settings(file: Path | None, flags: dict[str, Any]) -> Settings:
    """Return the settings of a command below: its own options, else those before its name."""
    before = dict(click.get_current_context().obj)
    above = before.pop("file")
    given = {name: value for name, value in flags.items() if value is not None}
    return load_settings(before | given, file=file or above)


def read_routes(settings: Settings) -> tuple[Routes, dict[str, Receiver]]:
    """Return the routes and their receivers; raises `CxError` (exit code 2) for what is not right."""
    if not settings.routes:
        raise CxError(NO_ROUTES, mend="cx deliver --routes FILE, or set CX_ROUTES", code=Exit.USAGE)
    path = Path(settings.routes)
    routes = load_routes(path)
    return routes, read_receivers(routes, path.parent)


async def run_delivery(
    settings: Settings, routes: Routes, receivers: dict[str, Receiver], shadow: TextIO | None = None
) -> None:
    """Deliver until SIGTERM or SIGINT; `shadow` is where messages are written instead of being sent."""
    figures = Figures(receivers)
    async with AsyncExitStack() as stack:
        if shadow is None:
            client: Any = await stack.enter_async_context(HttpClient(time.time))
            book: Any = await stack.enter_async_context(KafkaBook(settings))
        else:
            client, book = ShadowClient(shadow), ShadowBook()
        shared = Shared(client=client, figures=figures, quiet=routes.quiet())
        delivery = Delivery(
            settings,
            routes=routes,
            receivers=receivers,
            shared=shared,
            book=book,
            shadow=shadow is not None,
        )
        server = DeliveryServer(settings, figures, delivery.health)
        server.bind()
        stack.callback(server.stop)
        loop = asyncio.get_running_loop()

        def told_to_stop() -> None:
            delivery.stop()
            loop.call_later(STOP_S, _give_up)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told_to_stop)
        server.start(loop)
        click.echo(f"delivering to {', '.join(sorted(receivers))}; metrics {server.url}/metrics", err=True)
        await delivery.run()


def _give_up() -> NoReturn:
    """End the process at once: without a broker, its clients would wait for ever."""
    said = f"the delivery could not stop in order within {STOP_S:g} s"
    mend = "look whether the broker is there: cx doctor; what is in doubt is sent once more, with the same id"
    click.echo(f"error: {said}\n  try: {mend}", err=True)
    sys.stderr.flush()
    os._exit(Exit.STOPPED)


async def _ping(receiver: Receiver) -> Answer:
    now_s = time.time()
    body = ping_body(receiver.endpoint.format, now_s)
    headers = sign(f"msg_test_{int(now_s * 1000)}", int(now_s), body, receiver.keys)
    async with HttpClient(time.time) as client:
        return await client.post(receiver, headers, body)


def _mend(answer: Answer, endpoint: str) -> str:
    where = f"endpoints.{endpoint}"
    if answer.result is Result.ADDRESS:
        return f"set allow_private = true in {where} if the receiver is in your own network"
    if answer.result is Result.TLS:
        return f"name the authority that signed its certificate: ca_file in {where}"
    if answer.result is Result.REDIRECT:
        return f"put the address that it redirects to into {where}: redirects are not followed"
    return f"check the address of {where}, and the receiver's own log"
