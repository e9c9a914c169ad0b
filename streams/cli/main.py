"""The command `cx`: commands are imported when they are called, so that `cx --help` is quick."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EMFILE, ENOENT, ENOSPC, ENOTDIR, EROFS
from importlib import import_module
from itertools import pairwise
from typing import Any

import click

from streams import __version__
from streams.errors import MISNAMED, CxError, Exit
from streams.words import FORM, speak, tell, tell_of_a_bug

COMMANDS = {
    "alerts": "streams.cli.alerts:alerts",
    "backtest": "streams.cli.backtest:backtest",
    "bench-model": "streams.cli.bench_model:bench_model",
    "check": "streams.cli.check:check",
    "deadletters": "streams.cli.deadletters:deadletters",
    "deliver": "streams.cli.deliver:deliver",
    "demo": "streams.cli.demo:demo",
    "doctor": "streams.cli.doctor:doctor",
    "explain": "streams.cli.explain:explain",
    "fit": "streams.cli.fit:fit",
    "forget": "streams.cli.forget:forget",
    "kafka": "streams.cli.kafka:kafka",
    "policy": "streams.cli.policy:policy",
    "produce": "streams.cli.produce:produce",
    "rebuild": "streams.cli.rebuild:rebuild_command",
    "schema": "streams.cli.schema:schema",
    "score": "streams.cli.score:score",
    "topics": "streams.cli.topics:topics",
    "worker": "streams.cli.worker:worker",
}


ROOM = "df -h names the disk that is full: make room there, or name another place"
PLACE = "name a place that this user may read and write"
MENDS = {
    ENOSPC: ROOM,
    EDQUOT: ROOM,
    EROFS: PLACE,
    EACCES: PLACE,
    ENOTDIR: PLACE,
    ENOENT: "check that the path is there",
    EMFILE: "allow more open files: ulimit -n 4096",
}
"""What to do where a command has no words of its own for what the system refused."""


@contextmanager
def _until_unread() -> Iterator[None]:
    """End quietly, as programs do in a pipe, where nobody reads the output any more."""
    try:
        yield
    except BrokenPipeError as error:
        if not _is_unread():
            msg = f"a connection was closed by the other side: {error}"
            raise CxError(msg, mend="cx doctor") from error
        # Python writes what is left when it ends, and would tell that it cannot.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.UNREAD)


def _is_unread() -> bool:
    """Tell whether the reader of a pipe that we write to has gone."""
    outputs = select.poll()
    for stream in (sys.stdout, sys.stderr):
        outputs.register(stream.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in outputs.poll(0))


@contextmanager
def _in_our_form() -> Iterator[None]:
    """End as `cx` does where click has ways of its own: by wrong options, by output that nobody reads."""
    try:
        with _until_unread():
            yield
    except click.UsageError as error:
        if not FORM.is_json or isinstance(error, click.exceptions.NoArgsIsHelpError):
            raise
        mend = f"{error.ctx.command_path} -h" if error.ctx is not None else ""
        raise CxError(error.format_message(), mend=mend, code=Exit.USAGE) from error


class LazyGroup(click.Group):
    """A click group whose commands live in modules of their own."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options of `cx` itself."""
        with _in_our_form():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Read the options of a command, and run it."""
        with _in_our_form():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is click's
        """Return the names of all commands, sorted."""
        return sorted(COMMANDS)

    def get_command(  # the signature is click's
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        """Import the module of `cmd_name` and return its command; None where there is none."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, attribute = target.split(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cx")
def cx() -> None:
    """Touchpoint events in; explained experience scores and churn-risk alerts out."""


def main() -> None:
    """Run `cx`: a CxError becomes its message on stderr and its code; no crash looks like a finding."""
    if sys.argv[1:2] == ["worker"]:
        # Until its loop heeds signals nothing was begun: a worker told to stop while it is imported has done
        # what it was told. As the first process of a container it would not even hear it by default.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if (wanted := _log_format(sys.argv)) is not None:
        speak(wanted)
    with _until_unread():
        _run()


def _log_format(arguments: list[str]) -> str | None:
    """Return what `--log-format` says: its command is never asked where another option is wrong."""
    found = None
    for each, following in pairwise([*arguments, ""]):
        name, _, value = each.partition("=")
        if name == "--log-format":
            found = value or following
    return found


def _run() -> None:
    try:
        cx.main(prog_name="cx")
    except CxError as error:
        tell("error", error.message, error.mend)
        sys.exit(error.code)
    except OSError as error:
        said = error.strerror or str(error)
        tell(
            "error", f"{error.filename}: {said}" if error.filename else said, MENDS.get(error.errno or 0, "")
        )
        with suppress(OSError):
            sys.stdout.close()  # what could not be written would fail again when Python ends
        named = error.filename and error.errno in MISNAMED
        sys.exit(Exit.USAGE if named else Exit.ENVIRONMENT)
    except Exception as error:  # noqa: BLE001  # shown as Python shows it; only the exit code is ours
        tell_of_a_bug(error)
        sys.exit(Exit.CRASHED)


if __name__ == "__main__":
    main()
