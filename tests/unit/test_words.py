"""What a program says of itself: words for people, JSON lines where the log is JSON."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streams.cli import deliver as delivering
from streams.cli import main as program
from streams.cli import worker as working
from streams.engine import lane
from streams.engine.stats import Snapshot, Stats
from streams.errors import CxError, Exit
from streams.words import FORM, speak, tell

NO_ENDPOINT = 'default = "nowhere"\n\n[endpoints]\n'


class Ended(Exception):  # noqa: N818  # it is the end, not an error
    """Takes the place of the end of the process."""


@pytest.fixture(autouse=True)
def as_at_a_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[int]]:
    """Begin without settings, in an empty folder; return the exit codes of a process that does not end."""
    codes: list[int] = []

    def ending(code: int) -> None:
        codes.append(code)
        raise Ended

    monkeypatch.setattr(FORM, "log_format", None)
    monkeypatch.delenv("CX_LOG_FORMAT", raising=False)
    monkeypatch.setattr(os, "_exit", ending)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield codes
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def the_line(text: str) -> dict[str, Any]:
    """Return the one JSON object that was said, without its time."""
    (line,) = text.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert found.pop("time").endswith("Z")
    return found


def cx(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `cx` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "streams.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_refused_start_is_one_json_line():
    """A collector of JSON lines reads why a worker did not start, and what to do."""
    ended = cx("worker", "--metrics-port", "0", "--log-format", "json", "--policy", "none.toml")
    assert ended.returncode == Exit.USAGE
    assert the_line(ended.stderr) == {
        "event": "cannot read the policy file none.toml: No such file or directory",
        "level": "error",
        "mend": "give the path of a TOML file, or none for the default",
    }


def test_wrong_settings_are_told_in_the_form_of_the_variable():
    """What is wrong with the settings is told before they could say how."""
    ended = cx("deliver", CX_LOG_FORMAT="json", CX_PARTITIONS="many")
    found = the_line(ended.stderr)
    assert (ended.returncode, found["level"]) == (Exit.USAGE, "error")
    assert "CX_PARTITIONS" in found["event"]


def test_a_line_for_a_person_stays_words(capsys: pytest.CaptureFixture[str]):
    """`auto` and `text` speak to people, whoever reads the log; so do commands that read no settings."""
    for log_format in (None, "auto", "text"):
        FORM.log_format = log_format
        tell("error", "it broke", "mend it")
        tell("warning", "it may break")
    assert capsys.readouterr().err == "error: it broke\n  try: mend it\nwarning: it may break\n" * 3


def test_the_setting_outdoes_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """`--log-format text` in a container whose variable says json is for whoever typed it."""
    monkeypatch.setenv("CX_LOG_FORMAT", "json")
    speak("text")
    tell("error", "it broke")
    assert capsys.readouterr().err == "error: it broke\n"


def test_the_ready_line_is_json_too(capsys: pytest.CaptureFixture[str]):
    """It is an information without a mend, and still on standard output."""
    speak("json")
    working.say_ready(Snapshot(Stats(ready_seconds=0.25), ()), "u")
    assert the_line(capsys.readouterr().out) == {
        "event": "ready: partitions none (others have them); 0 customers recovered in 0.25 s; "
        "metrics u/metrics",
        "level": "info",
    }


def test_the_last_words_of_a_worker_are_json(as_at_a_start: list[int], capsys: pytest.CaptureFixture[str]):
    """Why it stopped itself is one line, with what to do in a field of its own."""
    speak("json")
    with pytest.raises(Ended):
        working._stop_loudly(CxError("fenced twice", mend="give each its own id", code=Exit.STOPPED))
    assert as_at_a_start == [Exit.STOPPED]
    assert the_line(capsys.readouterr().err) == {
        "event": "fenced twice",
        "level": "error",
        "mend": "give each its own id",
    }


@pytest.mark.parametrize(
    ("error", "code", "wanted"),
    [
        (
            CxError("no broker", mend="cx doctor"),
            Exit.ENVIRONMENT,
            {"event": "no broker", "mend": "cx doctor"},
        ),
        (
            ZeroDivisionError("oops"),
            Exit.STOPPED,
            {"event": "the worker stopped itself: ZeroDivisionError: oops"},
        ),
    ],
)
def test_an_engine_on_its_own_ends_the_same_way(
    error: Exception,
    code: Exit,
    wanted: dict[str, str],
    as_at_a_start: list[int],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
):
    """A program that builds the app by itself gets the line too; the traceback of a bug is in the log."""
    speak("json")
    with pytest.raises(Ended):
        lane.exit_loudly(error)
    assert as_at_a_start == [code]
    assert the_line(capsys.readouterr().err) == {"level": "error", **wanted}
    assert [each.exc_info is not None for each in caplog.records] == (
        [] if isinstance(error, CxError) else [True]
    )


def test_a_delivery_that_gives_up_says_so_in_json(
    as_at_a_start: list[int], capsys: pytest.CaptureFixture[str]
):
    """The delivery's last words, with the exit code that its supervisor sees."""
    speak("json")
    with pytest.raises(Ended):
        delivering._give_up()
    assert as_at_a_start == [Exit.STOPPED]
    found = the_line(capsys.readouterr().err)
    assert (found["level"], found["event"]) == (
        "error",
        "the delivery could not stop in order within 20 s",
    )
    assert found["mend"].startswith("look whether the broker is there: cx doctor")


def test_a_delivery_to_nobody_warns_in_json(tmp_path: Path):
    """The warning of the whole stack when it is new, and the line that it runs, by the settings' file."""
    (tmp_path / "routes.toml").write_text(NO_ENDPOINT)
    (tmp_path / "cx.toml").write_text('log_format = "json"\nbootstrap_servers = "127.0.0.1:1"\n')
    where = ["--shadow", "--metrics-port", "0", "--routes", "routes.toml"]
    warned, started, *_ = CliRunner().invoke(delivering.deliver, where).stderr.splitlines()
    found = the_line(warned)
    assert (found["level"], "alerts are counted, and nobody is told" in found["event"]) == ("warning", True)
    assert "[endpoints.care]" in found["mend"]
    assert the_line(started)["event"].startswith("nothing is sent; writing what would go to nobody; metrics ")


@pytest.mark.parametrize(
    ("error", "code", "event"),
    [
        (OSError(28, "No space left"), Exit.ENVIRONMENT, "No space left"),
        (ZeroDivisionError("oops"), Exit.CRASHED, "a bug in cx: ZeroDivisionError: oops"),
    ],
)
def test_no_end_breaks_the_stream_of_lines(
    error: Exception,
    code: Exit,
    event: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """A full disk and a bug are one line too; the bug's has its traceback in it."""

    def broken(**_: object) -> None:
        raise error

    monkeypatch.setenv("CX_LOG_FORMAT", "json")
    monkeypatch.setattr(program.cx, "main", broken)
    monkeypatch.setattr(sys, "stdout", io.StringIO())  # it is closed
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == code
    found = the_line(capsys.readouterr().err)
    assert (found["level"], found["event"]) == ("error", event)
    assert ("Traceback" in found.get("exception", "")) == (code is Exit.CRASHED)
