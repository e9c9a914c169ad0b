"""`cx demo`: its options, what it prints for people and programs, and the stages it chooses and ends."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from errno import ENOENT
from itertools import islice
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from streams.cli import demo as module
from streams.cli.demo import demo, parse_duration
from streams.demo import stage as stages
from streams.demo.memory import MemoryStage
from streams.demo.stage import KafkaStage
from streams.demo.view import DemoSnapshot
from streams.errors import CxError
from streams.settings import load_settings
from tests.unit.test_demo_closing import ALERT


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wait for nothing, and keep temporary folders in one that goes."""
    monkeypatch.setattr("streams.demo.run.LOOK_S", 0.01)
    monkeypatch.setattr("streams.demo.run.QUIET_S", 0.05)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def run(*args: str) -> Result:
    """Run `cx demo`."""
    return CliRunner().invoke(demo, list(args), catch_exceptions=False)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30.0), ("1.5m", 90.0), ("2h", 7200.0), ("8", 8.0), (None, None)]
)
def test_a_duration_is_read_with_its_unit(text: str | None, seconds: float | None):
    """Seconds, minutes and hours; a bare number is seconds."""
    assert parse_duration(click.Context(demo), demo.params[0], text) == seconds


@pytest.mark.parametrize("text", ["soon", "-3s", "0s", "3d", ""])
def test_what_is_no_duration_is_refused(text: str):
    """Exit 2, and how to write it."""
    result = run("--for", text)
    assert result.exit_code == 2
    assert f"{text!r} is no duration; write it like 30s, 5m or 1h" in result.stderr


def test_a_demo_in_memory_prints_what_it_did_for_programs():
    """One JSON object on standard output, consistent in itself; everything else on standard error."""
    result = run("--memory", "--for", "1.5s", "--rate", "4000", "--json", "--seed", "3")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    # It ends when its time is over: on a busy machine what was sent last is not counted by then.
    assert 1000 < found["consumed"] <= found["produced"]
    assert 0 <= found["duplicates"] + sum(found["rejected"].values()) < found["consumed"]
    assert sum(found["bands"].values()) == found["customers"] > 0
    assert sum(found["alerts_by_rule"].values()) > 0
    assert (found["source"], found["log"]) == ("generated journeys, seed 3", "the in-memory log")
    assert found["seconds"] <= 10
    said = result.stderr.splitlines()
    assert said[:2] == ["starting ...", "running on the in-memory log"]
    assert said[2] == f"metrics at {found['metrics_url']}"
    assert any(each.startswith("first alert after ") for each in said)


@pytest.mark.parametrize("rate", ["-1", "0"])
def test_a_demo_has_a_rate_that_gets_somewhere(rate: str):
    """A rate at which nothing is sent is refused, and not taken for another one."""
    result = run("--memory", "--rate", rate)
    assert result.exit_code == 2
    assert "--rate" in result.stderr


def test_a_demo_in_memory_ends_with_the_three_views(monkeypatch: pytest.MonkeyPatch):
    """The publisher's, the retention team's and the operator's view close a demo for people."""
    events = list(islice(module.generate(50_000), 4000))  # to the end, however slow the machine is
    monkeypatch.setattr(module, "generate", lambda *_, **__: iter(events))
    result = run("--memory", "--rate", "6000")
    assert result.exit_code == 0
    for title in ("You publish events", "You answer alerts", "You run it", "http://127.0.0.1:"):
        assert title in result.stdout
    assert "lived through" in result.stdout


def test_without_an_alert_there_is_no_case(monkeypatch: pytest.MonkeyPatch):
    """A demo too short for an alert still ends well."""
    monkeypatch.setattr(module, "generate", lambda *_, **__: iter(()))
    result = run("--memory", "--for", "1s")
    assert result.exit_code == 0
    assert "first alert" not in result.stdout


def test_a_data_set_is_played_unbounded_and_to_its_end(monkeypatch: pytest.MonkeyPatch):
    """Real histories come as fast as they are scored, unless a rate is given."""
    played: list[Any] = []

    async def stop(play: Any, *_: Any, **__: Any) -> Any:
        played.append(play)
        raise CxError("enough")  # noqa: EM101  # the test ends here

    monkeypatch.setattr(module, "_run", stop)
    for args in ((), ("--rate", "5")):
        with pytest.raises(CxError, match="enough"):
            run("--memory", "--dataset", "cdnow", *args)
    assert [(each.pace.rate, each.total, each.limit_s) for each in played] == [
        (0.0, 69_659, None),
        (5.0, 69_659, None),
    ]
    with pytest.raises(CxError, match="enough"):
        run("--memory")
    assert (played[2].pace.rate, played[2].total) == (module.RATE, module.EVENTS)


def nowhere(**_: Any) -> None:
    """Find no Kafka."""
    raise CxError("no Java 17 was found\nmore", mend="install one")  # noqa: EM101, TRY003  # as it would be


def test_without_a_kafka_the_demo_runs_in_memory_and_says_so(monkeypatch: pytest.MonkeyPatch):
    """One line names the reason; the demo goes on."""
    monkeypatch.setattr(module, "locate", nowhere)
    result = run("--for", "0.5s", "--json")
    assert result.exit_code == 0
    assert "no local Kafka (no Java 17 was found): running on the in-memory log" in result.stderr.splitlines()
    assert json.loads(result.stdout)["log"] == "the in-memory log"


def test_where_a_kafka_can_be_had_it_is_taken(monkeypatch: pytest.MonkeyPatch):
    """Memory is chosen only by --memory."""
    monkeypatch.setattr(module, "locate", lambda **_: None)
    assert isinstance(module._stage(module.Console(), memory=False), KafkaStage)
    assert isinstance(module._stage(module.Console(), memory=True), MemoryStage)


def test_a_terminal_sees_the_live_view():
    """What paints on a terminal updates the view with each snapshot."""
    shown: list[Any] = []

    class Screen:
        def update(self, view: Any) -> None:
            shown.append(view)

    snapshot = DemoSnapshot(source="s", log="l", elapsed_s=1.0, produced=1, alerts=(ALERT,))
    module._painter(Screen())(snapshot)  # type: ignore[arg-type]  # as much of a Live as is used
    assert [type(each).__name__ for each in shown] == ["LiveView"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_told_to_end_ends_its_stage(number: signal.Signals, monkeypatch: pytest.MonkeyPatch):
    """SIGTERM ends it as Ctrl-C does: the stage is left in order, and the exit code is not 0."""
    left: list[int] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a program of its own

    class Told(MemoryStage):
        async def poll(self) -> None:
            signal.raise_signal(number)
            await super().poll()

        async def __aexit__(self, *_: object) -> None:
            await super().__aexit__()
            left.append(1)

    monkeypatch.setattr(module, "MemoryStage", Told)
    try:
        result = run("--memory", "--for", "30s")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, left) == (1, [1])
    assert "Traceback" not in result.output


class Stubborn:
    """A process that hears SIGTERM, or does not."""

    def __init__(self, *, hears: bool) -> None:
        self.hears = hears
        self.heard: list[str] = []

    def poll(self) -> int | None:
        """Run on."""
        return None

    def send_signal(self, number: signal.Signals) -> None:
        """Hear it."""
        self.heard.append(number.name)

    def wait(self, timeout: float | None = None) -> int:
        """End, but for who does not hear."""
        if timeout is not None and not self.hears:
            raise subprocess.TimeoutExpired(str(self), timeout)
        return 0

    def kill(self) -> None:
        """End for good."""
        self.heard.append("SIGKILL")


class NoBroker:
    """A broker that starts nothing."""

    bootstrap_servers = "127.0.0.1:1"

    def __init__(self) -> None:
        self.stopped = 0

    def stop(self) -> None:
        """Count it."""
        self.stopped += 1


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> KafkaStage:
    """Return a stage without a broker."""
    stage = KafkaStage()
    monkeypatch.setattr(stage, "_broker", NoBroker())
    return stage


@pytest.mark.parametrize(("hears", "signals"), [(True, ["SIGTERM"]), (False, ["SIGTERM", "SIGKILL"])])
async def test_a_stage_leaves_no_process_whatever_its_clients_say(
    stage: KafkaStage,
    hears: bool,  # noqa: FBT001
    signals: list[str],
):
    """A client that fails to close is told, after worker, broker and folder are gone."""
    stage._worker = worker = Stubborn(hears=hears)  # type: ignore[assignment]  # as much of a process as is used
    closed: list[int] = []

    async def fail() -> None:
        closed.append(1)
        raise ConnectionError("gone")  # noqa: EM101  # one of a kind

    stage._clients += [fail, fail]
    with pytest.raises(ConnectionError, match="gone"):
        await stage.__aexit__()
    assert worker.heard == signals
    assert (closed, stage._broker.stopped) == ([1, 1], 1)  # type: ignore[attr-defined]  # a NoBroker
    assert not stage._folder.exists()


async def test_a_stage_that_cannot_start_ends_what_it_began(
    stage: KafkaStage, monkeypatch: pytest.MonkeyPatch
):
    """A failure while starting stops the broker and takes the folder away."""

    async def fail() -> None:
        raise CxError("no topics")  # noqa: EM101, TRY003  # one of a kind

    monkeypatch.setattr(stage, "_start", fail)
    with pytest.raises(CxError, match="no topics"):
        async with stage:
            pass
    assert stage._broker.stopped == 1  # type: ignore[attr-defined]  # a NoBroker
    assert not stage._folder.exists()


def dead(stage: KafkaStage) -> None:
    """Give the stage a worker that has said something and ended."""
    (stage._folder / "worker.log").write_text("".join(f"line {number}\n" for number in range(100)))
    stage._worker = subprocess.Popen([sys.executable, "-c", "raise SystemExit(5)"])
    stage._worker.wait()


def test_without_room_for_temporary_files_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch):
    """Neither the broker nor the worker could write: the variable and the demo without a broker are named."""

    def full(**_: str) -> str:
        raise FileNotFoundError(ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(CxError, match="No usable temporary directory") as error:
        KafkaStage()
    assert "TMPDIR" in error.value.mend
    assert "--memory" in error.value.mend


async def test_a_worker_that_does_not_get_ready_is_told_with_its_log(stage: KafkaStage):
    """The end of the worker's log and a way on are in the error."""
    dead(stage)
    with pytest.raises(CxError, match="line 99") as told:
        await asyncio.wait_for(stage._until_ready(), 5)
    assert told.value.message.splitlines()[0] == "the demo's worker did not get ready:"
    assert len(told.value.message.splitlines()) == 1 + stages.LOG_TAIL
    assert told.value.mend == "cx demo --memory runs without Kafka"


async def test_a_worker_that_dies_is_told_with_its_log(stage: KafkaStage):
    """A demo does not go on without its worker: exit code and the end of its log are told."""
    dead(stage)
    with pytest.raises(CxError, match="line 99") as told:
        await stage.poll()
    assert told.value.message.splitlines()[0] == "the demo's worker ended with 5:"


def test_the_worker_of_a_demo_has_the_demos_settings_only(stage: KafkaStage, monkeypatch: pytest.MonkeyPatch):
    """What the user has set for workers of their own does not reach it; its life hangs on the demo's."""
    monkeypatch.setenv("CX_TOPIC_PREFIX", "mine.")
    monkeypatch.setenv("CX_CLOCK", "wall")
    started: list[Any] = []
    monkeypatch.setattr(stages.subprocess, "Popen", lambda *args, **named: started.append((args, named)))
    settings = stages.demo_settings("127.0.0.1:1", metrics_port=7, data_dir="d")
    stage._start_worker(settings)
    ((command,), named) = started[0]
    assert load_settings(env=named["env"]) == settings
    assert command[1:4] == ["-m", "streams.local_kafka.tether", str(os.getpid())]
    assert command[-1] == "worker"
