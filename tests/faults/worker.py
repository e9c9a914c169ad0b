"""A worker for the fault tests: the product's application with the counting handler, as a process.

Settings come from `CX_*` as for `cx worker`; `FAULT_SLOW_S` slows each chunk down, and the file named by
`FAULT_STOP_FILE`, once it exists, freezes the process inside an open transaction.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from counting import CountingHandler

from streams.app import build_app
from streams.engine.loop import install_uvloop
from streams.engine.sending import LaneWriter
from streams.engine.writer import Writer
from streams.settings import load_settings
from streams.topics import ALERTS, DEAD_LETTERS


def freeze(path: Path) -> bool:
    """Take the file away; tell whether it was there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def freeze_inside_transactions(path: Path) -> None:
    """Send SIGSTOP to this process when `path` exists, after rows were sent and before the commit."""
    send = LaneWriter._send_waiting

    async def freezing(self: LaneWriter) -> None:
        await send(self)
        if freeze(path):
            os.kill(os.getpid(), signal.SIGSTOP)

    LaneWriter._send_waiting = freezing  # type: ignore[method-assign]


def slow_transactions(seconds: float) -> None:
    """Take `seconds` longer for every transaction, so that a kill finds one in hand."""
    write = Writer.write

    async def slow(self: Writer, transaction: Any) -> None:
        await asyncio.sleep(seconds)
        await write(self, transaction)

    Writer.write = slow  # type: ignore[method-assign]


def main() -> None:
    """Run a worker until it is stopped."""
    # Faust sets the level of the root's handlers: the engine's lines get one of their own.
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logging.getLogger("streams").addHandler(lines)
    logging.getLogger("streams").setLevel(logging.INFO)
    logging.getLogger("streams").propagate = False
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    install_uvloop()
    settings = load_settings()
    if name := os.environ.get("FAULT_STOP_FILE"):
        freeze_inside_transactions(Path(name))
    if seconds := float(os.environ.get("FAULT_SLOW_S", "0")):
        slow_transactions(seconds)
    prefix = settings.topic_prefix
    handler = CountingHandler(prefix + ALERTS.name, prefix + DEAD_LETTERS.name)
    app = build_app(settings, handler=handler)
    worker = app.Worker(loglevel="WARN", redirect_stdouts=False, quiet=True)
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
