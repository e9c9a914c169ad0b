"""`cx worker`: one worker, in this process, until it is told to stop.

Another program starts one with `worker_command()`, reads the line `ready: ...` from its standard output (the
`event` of a JSON line under `log_format = json`; or asks GET /readyz until it answers 200), and ends it with
SIGTERM: exit code 0. Exit code 5 means that it stopped itself because going on could have lost or doubled
events.
"""

import asyncio
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from streams.admin import AUTHORIZATION, ensure_topics, quiet_client
from streams.app import build_app, make_data_folder
from streams.cli.connecting import connection
from streams.engine.hugepages import use_huge_pages
from streams.engine.loop import install_uvloop
from streams.engine.preflight import check_cluster
from streams.engine.settings import engine_settings
from streams.engine.stats import Snapshot
from streams.errors import CxError, Exit
from streams.observe.logs import configure
from streams.observe.server import AdminServer
from streams.observe.watch import Watch
from streams.processing import build_processor
from streams.settings import Settings, load_settings
from streams.words import speak, tell

log = logging.getLogger(__name__)

LEVELS = ("debug", "info", "warning", "error")
READY_POLL_S = 0.05
STOP_S = 20.0
"""Longest orderly stop; supervisors kill after 30 s."""
UNFINISHED = (
    f"the worker could not stop in order within {STOP_S:g} s; nothing is lost, the state is in the log"
)
UNFINISHED_MEND = "look whether the broker is there: cx doctor"
OnReady = Callable[[Snapshot, str], None]


@click.command()
@connection
@click.option("--policy", help="Policy file; the default policy without it.")
@click.option("--metrics-host", help="Address on which metrics and health are served.")
@click.option("--metrics-port", type=int, help="Its port; 0: a free one, named in the ready line.")
@click.option("--static-id", help="Static member name of this worker, for quick restarts.")
@click.option("--clock", type=click.Choice(["wall", "event"]), help="What the sweep takes for now.")
@click.option("--log-level", type=click.Choice(LEVELS), help="Least grave line.")
@click.option("--log-format", type=click.Choice(["auto", "text", "json"]), help="How lines are logged.")
@click.option("--partitions", type=int, help="Partitions of topics made by --create-topics.")
@click.option("--create-topics", is_flag=True, help="Create the topics that are missing (demos).")
@click.option("--quiet", is_flag=True, help="Print no ready line.")
def worker(file: Path | None, *, create_topics: bool, quiet: bool, **flags: Any) -> None:
    """Score touchpoints from Kafka: rows, scores, alerts and dead letters, exactly once.

    Start as many as you like: partitions are spread over them. Metrics and health are on
    http://127.0.0.1:9464 unless told otherwise. Exit codes: 0 told to stop, 2 wrong settings, 4 no broker,
    topics or port, 5 stopped because going on could have lost or doubled events.
    """
    settings = load_settings(flags, file=file)
    speak(settings.log_format)
    configure(settings)
    if create_topics:
        asyncio.run(ensure_topics(settings))
    run_worker(settings, on_ready=None if quiet else say_ready)


def worker_command(*arguments: str) -> list[str]:
    """Return the command line of a worker as a process of its own; settings by `arguments` or `CX_*`."""
    return [sys.executable, "-m", "streams.cli.main", "worker", *arguments]


def say_ready(engine: Snapshot, url: str) -> None:
    """Print one line, for people and for programs that wait for it."""
    numbers = ", ".join(str(each.partition) for each in engine.partitions) or "none (others have them)"
    customers = sum(each.rows for each in engine.partitions)
    recovered = f"{customers:,} customers recovered in {engine.stats.ready_seconds:.2f} s"
    tell("info", f"ready: partitions {numbers}; {recovered}; metrics {url}/metrics", err=False)


def run_worker(settings: Settings, *, on_ready: OnReady | None) -> None:
    """Run a worker until SIGTERM or SIGINT; call it in the main thread, in no loop.

    `on_ready(engine, url)` is called once, in the worker's loop, when all partitions assigned are recovered;
    `url` is the admin server's. Raises `CxError` for what must be mended before a start; a worker that must
    not go on ends the process with exit code 5.
    """
    processor = build_processor(settings)
    watch = Watch(processor)
    server = AdminServer(settings, watch)
    server.bind()
    try:
        make_data_folder(settings)
        partitions = asyncio.run(_preflight(settings))
        # The changelog is made with as many partitions as the inputs have, whatever the setting says.
        settings = dataclasses.replace(settings, partitions=partitions)
        processor.partitions = partitions
        app = build_app(settings, handler=processor, on_fatal=_stop_loudly)
        watch.lane = app.lane
        _run(app, server, watch, on_ready)
    finally:
        server.stop()


async def _preflight(settings: Settings) -> int:
    """Return the partition count of the inputs; raises `CxError` on a cluster that cannot be worked on."""
    with quiet_client():
        return await check_cluster(engine_settings(settings))


def _run(app: Any, server: AdminServer, watch: Watch, on_ready: OnReady | None) -> None:
    use_huge_pages()
    install_uvloop()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Faust's own logging and banner are left out: ours are set up, and the ready line is the banner.
    worker = app.Worker(loop=loop, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    _bound_the_stop(loop, worker)
    server.start(loop)
    waiting = loop.create_task(_tell_when_ready(watch, server.url, on_ready))
    try:
        # Where mode looks for it: a signal that comes during the start cancels the start.
        worker._starting_fut = loop.create_task(worker.start())  # noqa: SLF001  # the seam itself
        loop.run_until_complete(worker._starting_fut)  # noqa: SLF001  # as above
    except asyncio.CancelledError:
        log.debug("told to stop while starting")
    except Exception as error:  # noqa: BLE001  # whatever ended the worker, its supervisor has to see it
        _stop_loudly(error)
    finally:
        waiting.cancel()
        _close(loop, worker)
    if worker.crash_reason is not None:
        _stop_loudly(worker.crash_reason)


def _bound_the_stop(loop: asyncio.AbstractEventLoop, worker: Any) -> None:
    """End the process when a stop takes too long: without a broker, its clients would wait for ever."""
    schedule = worker._schedule_shutdown  # noqa: SLF001  # what a signal calls

    def bounded(number: signal.Signals) -> None:
        loop.call_later(STOP_S, _stop_loudly, CxError(UNFINISHED, mend=UNFINISHED_MEND))
        schedule(number)

    worker._schedule_shutdown = bounded  # noqa: SLF001  # as above


async def _tell_when_ready(watch: Watch, url: str, on_ready: OnReady | None) -> None:
    while not (engine := watch.engine()).ready:  # noqa: ASYNC110  # the engine sets no event for it
        await asyncio.sleep(READY_POLL_S)
    if on_ready is not None:
        on_ready(engine, url)


def _close(loop: asyncio.AbstractEventLoop, worker: Any) -> None:
    """Stop what still runs and close the loop."""
    stopping = worker._signal_stop_future  # noqa: SLF001  # mode keeps the stop that a signal began only here
    loop.run_until_complete(stopping if stopping is not None else worker.stop())
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()


def _mend(error: BaseException) -> str:
    if isinstance(error, AUTHORIZATION):
        return "cx topics acls --role worker"
    return "start it again: it goes on where it stood; cx doctor"


def _stop_loudly(error: BaseException) -> NoReturn:
    """Say why in one line, then end the process at once: whoever comes next aborts its transactions."""
    known = error if isinstance(error, CxError) else None
    code = known.code if known else Exit.STOPPED
    if known is None:
        log.critical("the worker stops itself", exc_info=error)
    logging.shutdown()
    sys.stdout.flush()
    said = known.message if known else f"the worker stopped itself: {type(error).__name__}: {error}"
    mend = known.mend if known else _mend(error)
    tell("error", said, mend)
    sys.stderr.flush()
    os._exit(code)
