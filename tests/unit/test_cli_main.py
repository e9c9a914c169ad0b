"""How `cx` ends where nothing of its own says how: never as if it had found something."""

import signal
import subprocess
import sys
from pathlib import Path

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
