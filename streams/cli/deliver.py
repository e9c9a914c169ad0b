"""`cx deliver`: announced alerts as signed webhooks, until it is told to stop."""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from streams.amounts import counted
from streams.cli.connecting import connection
from streams.cli.files import parse_time
from streams.delivery.admin import DeliveryServer
from streams.delivery.again import deliver_again
from streams.delivery.book import KafkaBook
from streams.delivery.client import Answer, HttpClient, Result
from streams.delivery.courier import Shared
from streams.delivery.figures import Figures
from streams.delivery.payload import ping_body
from streams.delivery.receivers import Receiver, read_receivers
from streams.delivery.routes import Routes, load_routes
from streams.delivery.service import Delivery
from streams.delivery.shadow import ShadowBook, ShadowClient
from streams.delivery.signing import sign
from streams.errors import CxError, Exit
from streams.mistakes import did_you_mean
from streams.observe.logs import configure
from streams.settings import Settings, load_settings
from streams.words import speak, tell

STOP_S = 20.0
"""Longest orderly stop; supervisors kill after 30 s."""
NO_ROUTES = "no routes file is named: nobody can be told"
NO_ENDPOINT = "no endpoint is configured in the routes file {}"
NO_ENDPOINT_MEND = "name a receiver there: [endpoints.care] with url and key_files; then: cx deliver --check"


@click.command()
@connection
@click.option("--routes", help="Routes file: who is told of what (CX_ROUTES).")
@click.option(
    "--check", "only_check", is_flag=True, help="Check the routes and what they name; send nothing."
)
@click.option("--test", "endpoint", metavar="ENDPOINT", help="Send one signed test message to ENDPOINT.")
@click.option("--again", is_flag=True, help="Send the delivery's dead letters once more, with their old ids.")
@click.option(
    "--since", "since_s", metavar="TIME", callback=parse_time, help="With --again: those since then."
)
@click.option("--shadow", is_flag=True, help="Write what would be sent, and send nothing.")
@click.option("--out", type=click.Path(path_type=Path), help="With --shadow: file instead of the output.")
@click.option("--metrics-host", help="Address on which metrics and health are served.")
@click.option("--metrics-port", "deliver_metrics_port", type=int, help="Its port; 0: a free one.")
def deliver(
    file: Path | None,
    endpoint: str | None,
    out: Path | None,
    since_s: float | None,
    *,
    only_check: bool,
    again: bool,
    shadow: bool,
    **flags: Any,
) -> None:
    """Post announced alerts to the receivers of the routes file, until told to stop.

    Start as many as there are partitions. Exit codes: 0 told to stop, 1 what --test or --again sent was not
    accepted, 2 wrong settings or routes, 4 no broker, topics or port, 5 stopped because what was sent could
    not be written down.
    """
    if out is not None and not shadow:
        msg = "--out is without effect without --shadow"
        raise CxError(msg, mend="cx deliver --shadow --out FILE", code=Exit.USAGE)
    if since_s is not None and not again:
        msg = "--since is without effect without --again"
        raise CxError(msg, mend="cx deliver --again --since TIME", code=Exit.USAGE)
    settings = load_settings(flags, file=file)
    speak(settings.log_format)
    routes, receivers = read_routes(settings)
    if not receivers:
        _nobody(settings, wanted=again or endpoint is not None)
    if only_check:
        _show(routes, receivers)
    if endpoint is not None:
        _test(receivers, endpoint)
    if again:
        _again(settings, routes, receivers, since_s)
    if only_check or again or endpoint is not None:
        return
    configure(settings)
    with ExitStack() as stack:
        stream = stack.enter_context(out.open("a", encoding="utf-8")) if out else sys.stdout
        asyncio.run(run_delivery(settings, routes, receivers, stream if shadow else None))


def _nobody(settings: Settings, *, wanted: bool) -> None:
    """Say that no endpoint is there; raises `CxError` (exit code 2) where one is `wanted`.

    A delivery without one runs: it counts alerts and tells nobody, as the whole stack does when it is new.
    """
    said = NO_ENDPOINT.format(settings.routes)
    if wanted:
        raise CxError(said, mend=NO_ENDPOINT_MEND, code=Exit.USAGE)
    tell("warning", f"{said}: alerts are counted, and nobody is told", NO_ENDPOINT_MEND)


def _show(routes: Routes, receivers: dict[str, Receiver]) -> None:
    """List the receivers, without what may be a secret."""
    for name, receiver in sorted(receivers.items()):
        used = sum(route.endpoint == name for route in routes.routes)
        default = ", default" if routes.default == name else ""
        keys = counted(len(receiver.keys), "key", "keys")
        said = f"{receiver.endpoint.format}, {keys}, {counted(used, 'route', 'routes')}{default}"
        click.echo(f"{name}: {receiver.url} ({said})")
    tried = "; cx deliver --test ENDPOINT sends a test message" if receivers else ""
    click.echo(f"the routes are right{tried}")


def _test(receivers: dict[str, Receiver], endpoint: str) -> None:
    """Send a test message; raises `CxError` (exit code 1) where it is not accepted."""
    if endpoint not in receivers:
        msg = f"no endpoint `{endpoint}`{did_you_mean(endpoint, receivers)}"
        raise CxError(msg, mend="cx deliver --check names them all", code=Exit.USAGE)
    receiver = receivers[endpoint]
    answer = asyncio.run(_ping(receiver))
    said = answer.why or f"it answered {answer.status}"
    if answer.result is not Result.ACCEPTED:
        msg = f"{endpoint} ({receiver.url}) did not accept the test message: {said}"
        raise CxError(msg, mend=_mend(answer, endpoint), code=Exit.FINDING)
    click.echo(f"{endpoint} accepted the test message: {said}")


def _again(settings: Settings, routes: Routes, receivers: dict[str, Receiver], since_s: float | None) -> None:
    """Send dead letters once more; raises `CxError` (exit code 1) where not all were accepted."""

    async def run() -> Counter[str]:
        since_ms = 0 if since_s is None else int(since_s * 1000)
        async with HttpClient(time.time) as client:
            return await deliver_again(
                settings, routes=routes, receivers=receivers, client=client, since_ms=since_ms
            )

    found = asyncio.run(run())
    failed = found["failed"] + found["left"]
    said = f"{found['accepted']} dead letters were accepted, {found['before']} had been before"
    if failed:
        msg = f"{said}, {failed} were not"
        raise CxError(
            msg, mend="cx deliver --test ENDPOINT says why, then: cx deliver --again", code=Exit.FINDING
        )
    click.echo(said)


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
        doing = "delivering to" if shadow is None else "nothing is sent; writing what would go to"
        whom = ", ".join(sorted(receivers)) or "nobody"
        tell("info", f"{doing} {whom}; metrics {server.url}/metrics")
        await delivery.run()


def _give_up() -> NoReturn:
    """End the process at once: without a broker, its clients would wait for ever."""
    said = f"the delivery could not stop in order within {STOP_S:g} s"
    mend = "look whether the broker is there: cx doctor; what is in doubt is sent once more, with the same id"
    tell("error", said, mend)
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
