"""How `cx` ends where nothing of its own says how: never as if it had found something."""

import os
import signal
import subprocess
import sys
from errno import EPIPE
from pathlib import Path

import orjson
import pytest

from streams.cli import main as program
from streams.cli import policy
from streams.errors import Exit


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_the_environments_fault():
    """Output that cannot be written is told with what to do, exit code 4, no finding and no traceback."""
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "streams.cli.main", "policy", "show"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.returncode == Exit.ENVIRONMENT
    assert ended.stderr.startswith(b"error: No space left on device\n  try: df -h")
    assert b"Traceback" not in ended.stderr


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    """Whatever command it was that the system refused: the path, why, and another place as the way out."""
    (tmp_path / "file").touch()
    routes = Path("deploy/routes.toml").absolute()
    command = ["deliver", "--shadow", "--routes", str(routes), "--out", str(tmp_path / "file" / "out")]
    ended = subprocess.run(
        [sys.executable, "-m", "streams.cli.main", *command], capture_output=True, check=False, text=True
    )
    assert ended.returncode == Exit.USAGE
    assert f"error: {tmp_path}/file/out: Not a directory" in ended.stderr
    assert ended.stderr.endswith("try: name a place that this user may read and write\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["policy", "show"],
        ["policy", "show", "--json"],
        ["schema", "show", "order.placed"],
        ["score", "docs/story.jsonl", "--json"],
        ["topics", "acls"],
        ["worker", "--help"],
    ],
)
def test_output_that_nobody_reads_ends_a_command_quietly(arguments: list[str]):
    """`cx ... | head` is no finding and no fault: text, JSON and help end as by SIGPIPE, without a word."""
    ended = with_closed_pipe(arguments, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (Exit.UNREAD, b"")


@pytest.mark.parametrize("arguments", [["--wrong"], ["check", "not-there.jsonl"]])
def test_errors_that_nobody_reads_end_a_command_quietly(arguments: list[str]):
    """With both outputs in one pipe it is the same, whatever would have been said."""
    assert with_closed_pipe(arguments, stderr=subprocess.STDOUT).returncode == Exit.UNREAD


def with_closed_pipe(arguments: list[str], *, stderr: int) -> "subprocess.CompletedProcess[bytes]":
    """Run `cx` with its output in a pipe whose reader has gone."""
    reader, unread = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "streams.cli.main", *arguments]
    try:
        return subprocess.run(command, stdout=unread, stderr=stderr, check=False)
    finally:
        os.close(unread)


def test_another_broken_connection_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """A socket breaks with the same error as a pipe: while the output is read, it is no quiet end."""

    def broken(*_: object) -> None:
        raise BrokenPipeError(EPIPE, "Broken pipe")

    reader, output = os.pipe()
    monkeypatch.setattr(sys, "argv", ["cx", "policy", "show"])
    monkeypatch.setattr(policy, "print_tables", broken)
    with os.fdopen(output, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        with pytest.raises(SystemExit) as ended:
            program.main()
    os.close(reader)
    assert ended.value.code == Exit.ENVIRONMENT
    assert "closed by the other side" in capfd.readouterr().err


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
from streams.cli import policy

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


@pytest.mark.parametrize(
    ("arguments", "is_json"),
    [
        (["worker", "--log-format", "json", "--wrong"], True),
        (["worker", "--wrong", "--log-format=json"], True),
        (["worker", "--log-format=json", "--log-format", "text", "--wrong"], False),
        (["worker", "--wrong", "--log-format"], False),
    ],
)
def test_the_form_counts_beside_a_wrong_option(
    arguments: list[str],
    is_json: bool,  # noqa: FBT001  # a column of the table
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """Whoever asks for JSON lines gets one also where the command line is wrong."""
    monkeypatch.setattr(sys, "argv", ["cx", *arguments])
    monkeypatch.setattr(program.FORM, "log_format", None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == Exit.USAGE
    assert capsys.readouterr().err.startswith('{"event":"No such option' if is_json else "Usage: cx worker")


def test_no_arguments_are_a_question(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Who gives no command is shown them, whatever the form of the log."""
    monkeypatch.setattr(sys, "argv", ["cx"])
    monkeypatch.setenv("CX_LOG_FORMAT", "json")
    with pytest.raises(SystemExit):
        program.main()
    assert "Commands:" in "".join(capsys.readouterr())
