"""`cx produce` sends exactly what it was given, says what it did, and says what to do where it cannot."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from streams.cli import produce as command
from streams.cli.produce import produce
from streams.demo.datasets import DATASETS
from streams.demo.sinks import Sent
from streams.errors import CxError, Exit
from streams.settings import Settings

GOOD = (
    b'{"specversion":"1.0","id":"1","source":"/s","type":"cx.page.viewed.v1","time":"2024-01-01T00:00:00Z",'
    b'"subject":"c1","data":{}}'
)
BAD = GOOD.replace(b'"c1"', b"17")


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    """Run the command and return its result; a CxError stays an exception."""
    return CliRunner().invoke(produce, [str(argument) for argument in arguments], input=stdin)


def failure(*arguments: object) -> CxError:
    """Return the CxError that the command ends with."""
    error = run(*arguments).exception
    assert isinstance(error, CxError)
    return error


def test_generated_journeys_and_their_truth_are_written(tmp_path: Path):
    """`--generate N` writes N lines, and the truth names every customer among them."""
    out, truth = tmp_path / "events.jsonl", tmp_path / "truth.jsonl"
    result = run("--generate", 2_000, "--seed", 3, "--out", out, "--truth", truth)
    assert result.exit_code == 0
    lines = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert len(lines) == 2_000
    who = {orjson.loads(line).get("customer_id") for line in truth.read_bytes().splitlines()}
    assert {line["subject"] for line in lines} <= who
    assert result.stdout.startswith("2,000 events to ")
    assert "regular" in result.stdout


def test_the_same_command_writes_the_same_bytes(tmp_path: Path):
    """Two runs with one seed write equal files."""
    for name in ("a", "b"):
        arguments = ("--generate", 1_000, "--seed", 3, "--poison", 0.01)
        run(*arguments, "--out", tmp_path / name, "--truth", tmp_path / f"{name}.truth")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a.truth").read_bytes() == (tmp_path / "b.truth").read_bytes()


def test_the_lines_of_a_file_are_sent_as_they_are(tmp_path: Path):
    """Good and bad lines keep their bytes and order; only empty lines are left out."""
    lines = [GOOD, b" \xff garbage\t", BAD, b'{"half":']
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"\n".join(lines[:2]) + b"\r\n\n" + b"\n".join(lines[2:]))
    result = run(source, "--out", out)
    assert result.exit_code == 0
    assert out.read_bytes() == b"".join(line + b"\n" for line in lines)


def test_check_keeps_back_what_breaks_the_contract(tmp_path: Path):
    """With --check only good events leave, the others are named on stderr, and the exit code says so."""
    out = tmp_path / "out.jsonl"
    result = run("-", "--check", "--out", out, stdin=GOOD + b"\n" + BAD + b"\n{\n")
    assert result.exit_code == Exit.REJECTED
    assert out.read_bytes() == GOOD + b"\n"
    assert "event 2: schema_violation at $.subject" in result.stderr
    assert "event 3: not_json" in result.stderr
    assert "2 kept back" in result.stdout


def test_check_judges_the_time_too(tmp_path: Path):
    """With --check an event of 1970 stays behind, as a worker would reject it."""
    out = tmp_path / "out.jsonl"
    result = run("-", "--check", "--out", out, stdin=GOOD.replace(b"2024", b"1970") + b"\n")
    assert result.exit_code == Exit.REJECTED
    assert out.read_bytes() == b""
    assert "event 1: clock_ancient at $.time" in result.stderr


def test_events_on_stdout_are_alone_there():
    """With `--out -` a pipe gets the events and nothing else; the summary goes to stderr."""
    result = run("-", "--out", "-", "--json", stdin=GOOD)
    assert result.stdout_bytes == GOOD + b"\n"
    assert orjson.loads(result.stderr)["sent"] == 1


def test_the_summary_as_json_has_all_counts(tmp_path: Path):
    """`--json` gives counts, topics, times and personas for a program to read."""
    result = run("--generate", 1_000, "--out", tmp_path / "x", "--json")
    summary = orjson.loads(result.stdout)
    assert summary["sent"] == sum(summary["by_topic"].values()) == 1_000
    assert summary["bytes"] == len((tmp_path / "x").read_bytes()) - 1_000
    assert summary["first_event_time"].startswith("2023-11-01")
    assert summary["personas"]["hit"] >= 1
    assert (summary["refused"], summary["interrupted"]) == (0, False)


def test_a_real_history_is_written(tmp_path: Path):
    """`--dataset cdnow` writes all purchases of the real history."""
    try:
        DATASETS["cdnow"].path()
    except CxError as error:
        pytest.skip(str(error))
    out = tmp_path / "cdnow.jsonl"
    assert run("--dataset", "cdnow", "--out", out).exit_code == 0
    assert out.read_bytes().count(b"\n") == DATASETS["cdnow"].events


@pytest.mark.parametrize("arguments", [(), ("f", "--generate", 1), ("--generate", 1, "--dataset", "cdnow")])
def test_exactly_one_source_is_wanted(arguments: tuple[object, ...]):
    """No source, or two, is a wrong use, and the error shows a right one."""
    error = failure(*arguments)
    assert error.code is Exit.USAGE
    assert error.mend.startswith("cx produce")


@pytest.mark.parametrize("option", [("--truth", "t"), ("--poison", "0.1")])
def test_only_generated_journeys_have_a_truth(option: tuple[str, str]):
    """Truth and poison without --generate are a wrong use, not silently ignored."""
    assert failure("--dataset", "cdnow", *option).code is Exit.USAGE


@pytest.mark.parametrize(
    "arguments",
    [
        ("/no/such/file", "--out", "-"),
        ("--generate", 1, "--out", "/no/such/folder/x"),
        ("--generate", 1, "--out", "-", "--truth", "/no/such/folder/x"),
    ],
)
def test_a_path_that_does_not_work_is_named(arguments: tuple[object, ...]):
    """A file that cannot be read or written is named in the error."""
    error = failure(*arguments)
    assert "/no/such" in error.message
    assert error.code is Exit.USAGE


class RecordingSink:
    """Stands in for Kafka: remembers where it was asked to send, and how much."""

    def __init__(self, settings: Settings) -> None:
        type(self).target = (settings.bootstrap_servers, settings.topic_prefix)
        type(self).keys = []

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def add(self, record: Any) -> None:
        """Remember the record's key."""
        self.keys.append(record.key)

    async def flush(self) -> None:
        """Have nothing to do."""


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> type[RecordingSink]:
    """Put a sink of this test in the place of Kafka."""
    monkeypatch.setattr(command, "KafkaSink", RecordingSink)
    monkeypatch.setenv("CX_TOPIC_PREFIX", "env.")
    return RecordingSink


def test_without_out_events_go_to_kafka_as_the_settings_say(sink: Any):
    """Flags win over the environment, and what neither gives is the settings' default."""
    result = run("-", "--bootstrap-servers", "k:9", stdin=GOOD)
    assert result.exit_code == 0
    assert sink.target == ("k:9", "env.")
    assert sink.keys == [b"c1"]
    assert "1 event to Kafka" in result.stdout


def test_broker_and_topics_are_named_as_for_the_other_commands(
    sink: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By `--topic-prefix`, or by a settings file."""
    run("-", "--topic-prefix", "a.", stdin=GOOD)
    assert sink.target[1] == "a."
    monkeypatch.delenv("CX_TOPIC_PREFIX")
    monkeypatch.delenv("CX_BOOTSTRAP_SERVERS", raising=False)
    file = tmp_path / "cx.toml"
    file.write_text('bootstrap_servers = "k:9"\ntopic_prefix = "b."\n', encoding="utf-8")
    run("-", "--config", str(file), stdin=GOOD)
    assert sink.target == ("k:9", "b.")


@pytest.mark.usefixtures("sink")
def test_ctrl_c_says_what_was_sent(monkeypatch: pytest.MonkeyPatch):
    """An interrupted command says how far it came and exits as shells expect."""

    async def interrupted(_records: Any, _sink: Any, _pace: Any, *, sent: Sent, **_: Any) -> None:
        sent.records = 7
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "pump", interrupted)
    result = run("-", stdin=GOOD)
    assert result.exit_code == command.INTERRUPTED
    assert result.stdout.startswith("stopped: 7 events")


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_real_interrupt_leaves_whole_lines():
    """SIGINT ends a running command within moments; every line written is whole."""
    # A shell that runs the tests in the background has them ignore SIGINT, and so their children.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heed}; import sys; from streams.cli.main import main; sys.argv[0] = 'cx'; main()"
    arguments = ["produce", "--generate", "50000", "--rate", "20", "--out", "-"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert orjson.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == command.INTERRUPTED
    assert err.startswith("stopped: ")
    assert all(orjson.loads(line) for line in out.splitlines())


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On a terminal a bar follows the events; elsewhere nothing is drawn."""
    quiet = run("--generate", 600, "--out", tmp_path / "x")
    assert quiet.stderr == ""
    monkeypatch.setattr(command, "_watched", lambda: True)
    watched = run("--generate", 600, "--out", tmp_path / "x")
    assert watched.exit_code == 0
    assert watched.stderr != ""


def test_lines_of_white_space_are_passed_over(tmp_path: Path):
    """A line of blanks or tabs is no event, as `cx score` has it; the lines around it are sent."""
    out = tmp_path / "out.jsonl"
    assert run("-", "--out", out, stdin=GOOD + b"\n \t\r\n\n" + BAD + b"\n").exit_code == 0
    assert out.read_bytes() == GOOD + b"\n" + BAD + b"\n"


@pytest.mark.parametrize("source", [("--generate", 5), ("--dataset", min(DATASETS))])
def test_journeys_of_the_past_are_said_to_be_so_before_they_go_to_kafka(
    source: tuple[str, object], monkeypatch: pytest.MonkeyPatch
):
    """A worker on the wall clock would tell nobody of them; one on event time needs no word."""
    where = ("--bootstrap-servers", "127.0.0.1:1")
    assert "cx worker --clock event" in run(*source, *where).stderr
    monkeypatch.setenv("CX_CLOCK", "event")
    assert "--clock event" not in run(*source, *where).stderr


def test_a_file_and_a_file_of_journeys_need_no_such_word(tmp_path: Path):
    """What somebody sends is of whatever time it is; what goes into a file meets no worker."""
    assert "note:" not in run("-", "--bootstrap-servers", "127.0.0.1:1", stdin=GOOD).stderr
    assert "note:" not in run("--generate", 5, "--out", tmp_path / "out.jsonl").stderr
