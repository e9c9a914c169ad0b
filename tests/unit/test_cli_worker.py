"""`cx worker`: what it refuses before it starts, and how it ends when it must not go on."""

import asyncio
import logging
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streams import reach
from streams.cli import worker as module
from streams.cli.worker import say_ready, worker, worker_command
from streams.engine import preflight
from streams.engine.stats import PartitionSnapshot, Snapshot, Stats
from streams.errors import CxError, Exit

NOWHERE = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Run in a folder without settings, and leave logging as it was."""
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def run(*arguments: str) -> Result:
    """Return what `cx worker` did."""
    return CliRunner().invoke(worker, ["--metrics-port", "0", "--bootstrap-servers", NOWHERE, *arguments])


def refusal(result: Result) -> CxError:
    """Return the error that a command ended with."""
    assert isinstance(result.exception, CxError), result.exception
    assert result.stdout == ""
    return result.exception


def test_an_unreachable_broker_is_told_within_15_seconds():
    """No broker: exit code 4, the address, and the command that starts one."""
    started = time.monotonic()
    error = refusal(run())
    assert time.monotonic() - started < 15
    assert error.code is Exit.ENVIRONMENT
    assert NOWHERE in error.message
    assert "cx kafka start" in error.mend


def test_something_that_is_no_broker_does_not_hold_the_start_up(monkeypatch: pytest.MonkeyPatch):
    """A port that takes connections and says nothing is given up on."""
    assert preflight.CONNECT_TIMEOUT_S <= 15
    monkeypatch.setattr(preflight, "CONNECT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(reach, "TRY_S", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        error = refusal(run("--bootstrap-servers", address))
    assert f"{address} does not answer as a Kafka broker" in error.message


def test_a_port_in_use_is_told_before_anything_else():
    """The second worker on a machine names the port and the mend, whether or not there is a broker."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        error = refusal(run("--metrics-port", str(port)))
    assert f"port {port}" in error.message
    assert "CX_METRICS_PORT" in error.mend
    assert error.code is Exit.ENVIRONMENT


def test_an_open_address_without_a_token_is_refused():
    """Customers' data is never served to strangers (G9)."""
    error = refusal(run("--metrics-host", "0.0.0.0"))  # noqa: S104  # refused
    assert error.code is Exit.USAGE
    assert "CX_API_TOKEN_FILE" in error.mend


def test_a_policy_with_a_typo_is_refused(tmp_path: Path):
    """A worker does not start on a policy that says something else than was meant."""
    path = tmp_path / "policy.toml"
    path.write_text("[ledger]\nprior_ = 65\n")
    error = refusal(run("--policy", str(path)))
    assert error.code is Exit.USAGE
    assert "prior_" in error.message


def test_a_folder_that_cannot_be_made_is_told_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is not a worker that stopped itself, which a supervisor would start again: it names the setting."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("CX_DATA_DIR", str(tmp_path / "file" / "data"))
    error = refusal(run())
    assert error.code is Exit.USAGE
    assert f"the folder {tmp_path / 'file' / 'data'} for Faust's own files cannot be made" in error.message
    assert "CX_DATA_DIR" in error.mend


def test_a_refused_start_leaves_no_port_open():
    """The port is free again for the next try."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    refusal(run("--metrics-port", str(port)))
    with closing(socket.create_server(("127.0.0.1", port))):
        pass


@pytest.mark.parametrize(
    ("partitions", "wanted"),
    [
        (
            (),
            "ready: partitions none (others have them); 0 customers recovered in 0.25 s; metrics u/metrics\n",
        ),
        ((2, 5), "ready: partitions 2, 5; 2,468 customers recovered in 0.25 s; metrics u/metrics\n"),
    ],
)
def test_the_ready_line(partitions: tuple[int, ...], wanted: str, capsys: pytest.CaptureFixture[str]):
    """One line says what this worker has, how long it took, and where its metrics are."""
    owned: Any = tuple(SimpleNamespace(partition=number, rows=1234) for number in partitions)
    say_ready(Snapshot(Stats(ready_seconds=0.25), owned), "u")
    assert capsys.readouterr().out == wanted


def test_the_command_of_another_process_is_this_programs():
    """A demo starts the worker that belongs to it, by the same interpreter."""
    command = worker_command("--quiet")
    assert re.search(r"python[\d.]*$", command[0])
    assert command[1:] == ["-m", "streams.cli.main", "worker", "--quiet"]


class Ended(Exception):  # noqa: N818  # it is the end, not an error
    """Takes the place of the end of the process."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the exit codes of a process that does not really end."""
    codes: list[int] = []

    def ending(code: int) -> None:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(module.os, "_exit", ending)
    monkeypatch.setattr(module.logging, "shutdown", lambda: None)
    return codes


def test_a_bug_ends_the_worker_with_exit_code_5(exits: list[int], capsys: pytest.CaptureFixture[str]):
    """One clear line for the person; the traceback is in the log."""
    with pytest.raises(Ended):
        module._stop_loudly(ZeroDivisionError("oops"))
    assert exits == [Exit.STOPPED] == [5]
    assert capsys.readouterr().err.splitlines() == [
        "error: the worker stopped itself: ZeroDivisionError: oops",
        "  try: start it again: it goes on where it stood; cx doctor",
    ]


def test_a_known_failure_keeps_its_words_and_its_code(exits: list[int], capsys: pytest.CaptureFixture[str]):
    """An engine that refuses to go on says why, and what to do."""
    with pytest.raises(Ended):
        module._stop_loudly(CxError("fenced twice", mend="give each its own id", code=Exit.STOPPED))
    with pytest.raises(Ended):
        module._stop_loudly(CxError("no broker"))
    assert exits == [5, 4]
    assert capsys.readouterr().err.splitlines() == [
        "error: fenced twice",
        "  try: give each its own id",
        "error: no broker",
    ]


async def test_a_stop_that_takes_too_long_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Without a broker its clients wait for ever: the worker gives up, says so, exit code 4."""
    ended = asyncio.Event()
    codes: list[int] = []
    monkeypatch.setattr(module.os, "_exit", lambda code: (codes.append(code), ended.set()))
    monkeypatch.setattr(module.logging, "shutdown", lambda: None)
    monkeypatch.setattr(module, "STOP_S", 0.01)
    told: list[signal.Signals] = []
    worker = SimpleNamespace(_schedule_shutdown=told.append)
    module._bound_the_stop(asyncio.get_running_loop(), worker)
    assert not codes
    worker._schedule_shutdown(signal.SIGTERM)
    assert told == [signal.SIGTERM]
    await asyncio.wait_for(ended.wait(), 10)
    assert codes == [Exit.ENVIRONMENT]
    assert "could not stop in order" in capsys.readouterr().err


def test_a_snapshot_has_what_the_ready_line_needs():
    """The line reads fields of the engine's own snapshot."""
    assert {"partition", "rows"} <= set(PartitionSnapshot.__dataclass_fields__)
