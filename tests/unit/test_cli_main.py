"""How `cx` ends where nothing of its own says how: never as if it had found something."""

import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from streams.cli import main as program
from streams.errors import Exit


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_the_environments_fault():
    """Output that cannot be written is one line and exit code 4, no finding and no traceback."""
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "streams.cli.main", "policy", "show"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.returncode == Exit.ENVIRONMENT
    assert ended.stderr.startswith(b"error: [Errno 28]")
    assert b"Traceback" not in ended.stderr


def test_a_bug_shows_its_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """An error nobody foresaw has an exit code of its own, and is told with its traceback."""

    def broken(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(program.cx, "main", broken)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == Exit.CRASHED
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "ZeroDivisionError" in said


STOPPED_WHILE_IMPORTED = """
import os, signal, sys
from streams.cli import main as program

program.import_module = lambda _: os.kill(os.getpid(), signal.SIGTERM)
sys.argv[0] = "cx"
program.main()
"""


@pytest.mark.parametrize(("command", "code"), [("worker", 0), ("score", -signal.SIGTERM)])
def test_a_worker_told_to_stop_while_it_is_imported_ends_well(command: str, code: int):
    """It had begun nothing: exit code 0. Any other command was not done, and its end says so."""
    ended = subprocess.run([sys.executable, "-c", STOPPED_WHILE_IMPORTED, command], check=False)
    assert ended.returncode == code


WRONG_OPTIONS = [
    (["--wrong"], "No such option", "cx -h"),
    (["wrker"], "No such command", "cx -h"),
    (["worker", "--wrong"], "No such option", "cx worker -h"),
    (["score"], "Missing argument", "cx score -h"),
    (["topics", "create", "--wrong"], "No such option", "cx topics create -h"),
]


@pytest.mark.parametrize(("arguments", "said", "mend"), WRONG_OPTIONS)
def test_wrong_options_are_told_in_the_form_that_was_asked_for(
    arguments: list[str],
    said: str,
    mend: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """Where programs listen an error of usage is one JSON line too; for people click tells it."""
    monkeypatch.setattr(sys, "argv", ["cx", *arguments])
    monkeypatch.setattr(program.FORM, "log_format", None)
    monkeypatch.setenv("CX_LOG_FORMAT", "json")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        program.main()
    line = orjson.loads(capsys.readouterr().err)
    assert (ended.value.code, line["level"], line["mend"]) == (Exit.USAGE, "error", mend)
    assert line["event"].startswith(said)

    monkeypatch.delenv("CX_LOG_FORMAT")
    with pytest.raises(SystemExit):
        program.main()
    assert capsys.readouterr().err.startswith("Usage: cx")


def test_no_arguments_are_a_question(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Who gives no command is shown them, whatever the form of the log."""
    monkeypatch.setattr(sys, "argv", ["cx"])
    monkeypatch.setenv("CX_LOG_FORMAT", "json")
    with pytest.raises(SystemExit):
        program.main()
    assert "Commands:" in "".join(capsys.readouterr())
