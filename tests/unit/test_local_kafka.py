"""A local Kafka: how it starts and ends, and what a person is told when it cannot."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from errno import ENOSPC
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from streams.cli import kafka as cli
from streams.errors import CxError, Exit
from streams.local_kafka import state, tether, wire
from streams.local_kafka.find import Runtime
from streams.local_kafka.node import LocalKafka, render
from tests.fake_kafka import JAR, fake_java, program
from tests.local_cluster import LocalCluster


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """Return a `java` that acts as a broker with one node."""
    return fake_java(tmp_path)


@pytest.fixture
def runtime(java: Path) -> Runtime:
    """Return the stand-in as a runtime."""
    return Runtime(java, "none")


@pytest.fixture
def broker(tmp_path: Path, runtime: Runtime) -> Iterator[LocalKafka]:
    """Return a broker that is not started, and leave no process behind."""
    node = LocalKafka(tmp_path / "node", runtime=runtime)
    yield node
    node.kill()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs: one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


def ends(pid: int) -> bool:
    """Tell whether a process ends in time."""
    deadline = time.monotonic() + 10.0
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


class TestState:
    """What is remembered of a broker."""

    def test_a_process_id_used_again_is_not_the_broker(self, tmp_path: Path):
        """A state file that names a living stranger is stale: the stranger gets no signal."""
        state.remember(tmp_path, state.Running(os.getpid(), 9092))
        assert state.running(tmp_path) is None
        assert state.stop(tmp_path) is None

    def test_a_damaged_state_file_is_stale(self, tmp_path: Path):
        """A state file that cannot be read counts as none."""
        (tmp_path / state.STATE_FILE).write_bytes(b"{")
        assert state.running(tmp_path) is None

    def test_the_state_is_in_the_state_folder_by_default(self):
        """XDG_STATE_HOME moves the local broker's data; without it the folder is ~/.local/state."""
        assert state.default_data_dir({"XDG_STATE_HOME": "/s"}) == Path("/s/cx-signals/kafka")
        assert state.default_data_dir({"HOME": "/h"}) == Path("/h/.local/state/cx-signals/kafka")

    def test_without_proc_the_process_is_asked_for_with_ps(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """On a system without /proc, ps tells whether a process is the broker."""
        program(tmp_path / "bin" / "ps", f'echo "java kafka.Kafka {tmp_path}/server.properties"')
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        monkeypatch.setattr(state, "PROC", tmp_path / "no-proc")
        assert state.is_ours(1, tmp_path)
        assert not state.is_ours(1, tmp_path / "other")


class TestLocalKafka:
    """One node, from start to end."""

    def test_it_is_reachable_only_from_this_machine(self, broker: LocalKafka):
        """Every address that the broker binds or names is the loopback address."""
        config = broker.properties()
        addresses = config["listeners"].split(",") + config["advertised.listeners"].split(",")
        assert all("://127.0.0.1:" in address for address in addresses)

    def test_it_creates_no_topic_that_nobody_asked_for(self, broker: LocalKafka):
        """A reader's question does not make a topic without compaction."""
        assert broker.properties()["auto.create.topics.enable"] == "false"

    def test_extra_properties_win(self, tmp_path: Path):
        """A caller may replace any property of the broker."""
        node = LocalKafka(tmp_path, extra_properties={"auto.create.topics.enable": "true"})
        assert node.properties()["auto.create.topics.enable"] == "true"

    def test_it_serves_inside_the_block_and_is_gone_after_it(self, broker: LocalKafka):
        """As a context manager the broker serves in the block; after it neither process nor state is left."""
        with broker:
            assert broker.is_ready()
            pid = broker.pid
            assert pid is not None
            found = state.running(broker.data_dir)
            assert found is not None
            assert found.bootstrap_servers == broker.bootstrap_servers
        assert not is_alive(pid)
        assert state.running(broker.data_dir) is None

    def test_a_restart_keeps_the_address_and_the_data(self, broker: LocalKafka):
        """After a crash the same object starts again on the same port, without formatting its data anew."""
        broker.start()
        before = broker.bootstrap_servers, (broker.data_dir / "data" / "meta.properties").stat().st_mtime_ns
        broker.kill()
        assert not broker.is_ready()
        broker.start()
        after = broker.bootstrap_servers, (broker.data_dir / "data" / "meta.properties").stat().st_mtime_ns
        assert before == after

    def test_starting_twice_is_starting_once(self, broker: LocalKafka):
        """A start of a running broker changes nothing."""
        broker.start()
        pid = broker.pid
        broker.start()
        assert broker.pid == pid

    def test_a_port_in_use_is_named(self, broker: LocalKafka):
        """A taken port is an error that names it, before anything is started."""
        with socket.create_server(("127.0.0.1", broker.port)), pytest.raises(CxError) as error:
            broker.start()
        assert f"port {broker.port} on 127.0.0.1 is in use" in error.value.message

    def test_a_folder_that_cannot_be_written_is_named(self, tmp_path: Path, runtime: Runtime):
        """The option that names another one is told."""
        (tmp_path / "file").touch()
        with pytest.raises(CxError, match="cannot be written: Not a directory") as error:
            LocalKafka(tmp_path / "file" / "data", runtime=runtime).launch()
        assert "--data-dir" in error.value.mend

    def test_a_broker_that_cannot_be_remembered_is_ended(
        self, broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
    ):
        """On a full disk nobody could find it again: neither to use it nor to stop it."""
        pids = []

        def full(_: Path, running: state.Running) -> None:
            pids.append(running.pid)
            raise OSError(ENOSPC, "No space left on device")

        monkeypatch.setattr(state, "remember", full)
        with pytest.raises(CxError, match="cannot be written: No space left on device") as error:
            broker.launch()
        assert "make room" in error.value.mend
        assert not is_alive(pids[0])

    def test_a_broker_that_ends_while_starting_shows_its_last_words(
        self, broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
    ):
        """The end of the broker's log is in the error, so that nobody has to look for it."""
        monkeypatch.setenv("FAKE_BOOT", "fail")
        with pytest.raises(CxError, match=r"(?s)ended while starting.*FATAL Exiting"):
            broker.start()
        assert state.running(broker.data_dir) is None

    def test_a_broker_that_does_not_answer_is_ended(
        self, broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
    ):
        """A broker that is not ready in time becomes an error and leaves no process."""
        monkeypatch.setenv("FAKE_BOOT", "deaf")
        broker.launch()
        pid = broker.pid
        assert pid is not None
        with pytest.raises(CxError, match=r"not ready within 0.2 s"):
            broker.wait_ready(timeout_s=0.2)
        assert not is_alive(pid)

    def test_data_that_cannot_be_prepared_is_an_error(
        self, broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
    ):
        """What the storage tool says is in the error, with the folder to remove."""
        monkeypatch.setenv("FAKE_FORMAT", "fail")
        with pytest.raises(CxError, match=r"(?s)could not be prepared.*Invalid cluster\.id"):
            broker.start()

    def test_a_broker_deaf_to_sigterm_is_killed(self, broker: LocalKafka, monkeypatch: pytest.MonkeyPatch):
        """A broker that does not end by itself in time gets SIGKILL."""
        monkeypatch.setenv("FAKE_BOOT", "stubborn")
        broker.start()
        pid = broker.pid
        assert pid is not None
        broker.stop(timeout_s=0.1)
        assert not is_alive(pid)

    def test_the_log_of_a_broker_never_started_is_empty(self, broker: LocalKafka):
        """There is a word for a log that does not exist."""
        assert broker.log_tail() == "(empty)"

    def test_backslashes_survive_the_properties_file(self):
        """Java reads a backslash as an escape: it is written twice."""
        assert render({"log.dirs": "a\\b"}) == "log.dirs=a\\\\b\n"

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills a process with its parent")
    def test_a_tethered_broker_dies_with_the_process_that_started_it(self, tmp_path: Path, java: Path):
        """A demo that is killed with SIGKILL leaves no broker behind."""
        script = (
            "import sys; from pathlib import Path\n"
            "from streams.local_kafka.find import Runtime\n"
            "from streams.local_kafka.node import LocalKafka\n"
            f"runtime = Runtime(Path({str(java)!r}), 'none')\n"
            f"node = LocalKafka(Path({str(tmp_path / 'n')!r}), runtime=runtime)\n"
            "node.start(); print(node.pid, flush=True); sys.stdin.read()\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        ) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert is_alive(pid)
            parent.kill()
        assert ends(pid)

    def test_a_tether_to_a_process_that_is_gone_starts_nothing(self, tmp_path: Path):
        """A broker whose parent ended before it was tied to it is not started."""
        done = subprocess.run(
            [sys.executable, "-m", "streams.local_kafka.tether", "1", "/bin/touch", str(tmp_path / "mark")],
            check=False,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, "process 1 is gone" in done.stderr) == (1, True)
        assert not (tmp_path / "mark").exists()

    def test_a_tether_becomes_the_program_it_is_given(self, monkeypatch: pytest.MonkeyPatch):
        """The program takes over the process, so that the process id is the broker's."""
        became: list[tuple[str, list[str]]] = []
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(os, "execv", lambda path, arguments: became.append((path, arguments)))
        tether.main([str(os.getppid()), "/usr/bin/java", "-version"])
        assert became == [("/usr/bin/java", ["/usr/bin/java", "-version"])]
        with pytest.raises(SystemExit, match="process 0 is gone"):
            tether.main(["0", "/usr/bin/java"])


class TestLocalCluster:
    """Several nodes together."""

    def test_every_node_votes_and_internal_topics_are_copied(self, tmp_path: Path, runtime: Runtime):
        """Three nodes know each other as voters and keep three copies of Kafka's own topics."""
        cluster = LocalCluster(tmp_path, runtime=runtime)
        configs = [node.properties() for node in cluster.nodes]
        assert len({config["controller.quorum.voters"] for config in configs}) == 1
        assert [config["node.id"] for config in configs] == ["1", "2", "3"]
        assert {config["transaction.state.log.replication.factor"] for config in configs} == {"3"}
        assert {config["transaction.state.log.min.isr"] for config in configs} == {"2"}
        assert cluster.node(2).bootstrap_servers == cluster.bootstrap_servers.split(",")[1]

    def test_a_node_that_cannot_start_takes_the_others_with_it(self, tmp_path: Path, runtime: Runtime):
        """A cluster starts whole or not at all."""
        cluster = LocalCluster(tmp_path, runtime=runtime)
        with socket.create_server(("127.0.0.1", cluster.nodes[2].port)), pytest.raises(CxError):
            cluster.start()
        assert [node.pid for node in cluster.nodes] == [None, None, None]

    def test_it_serves_inside_the_block(self, tmp_path: Path, runtime: Runtime):
        """As a context manager the cluster serves in the block and is gone after it."""
        with LocalCluster(tmp_path, nodes=2, runtime=runtime) as cluster:
            assert all(node.is_ready() for node in cluster.nodes)
        assert [node.pid for node in cluster.nodes] == [None, None]


@pytest.fixture
def cx(java: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Cli"]:
    """Return `cx kafka` on the stand-in, and stop what it started."""
    (tmp_path / JAR).touch()
    monkeypatch.setenv("JAVA_HOME", str(java.parent.parent))
    monkeypatch.setenv("CX_KAFKA_HOME", str(tmp_path))
    runner = Cli(tmp_path / "data")
    yield runner
    state.stop(tmp_path / "data", timeout_s=1)


class Cli:
    """`cx kafka` with a data folder of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def __call__(self, *arguments: str) -> Result:
        """Run the command and return what it did."""
        return CliRunner().invoke(cli.kafka, [*arguments, "--data-dir", str(self.data_dir)])

    def json(self, *arguments: str) -> dict[str, object]:
        """Run the command and return the object that it printed."""
        found: dict[str, object] = orjson.loads(self(*arguments, "--json").stdout)
        return found


class TestCommand:
    """The command `cx kafka`."""

    def test_start_status_stop(self, cx: Cli):
        """A broker outlives the command that started it, is found by status, and is ended by stop."""
        port = wire.free_port()
        assert f"127.0.0.1:{port}" in cx("start", "--port", str(port)).output
        status = cx("status")
        assert (status.exit_code, f"runs at 127.0.0.1:{port}" in status.output) == (Exit.OK, True)
        pid = cx.json("status")["pid"]
        assert isinstance(pid, int)
        assert cx.json("stop")["stopped"] is True
        assert not is_alive(pid)
        assert cx("status").exit_code == Exit.FINDING

    def test_start_and_stop_are_idempotent(self, cx: Cli):
        """A second start finds the same broker; a second stop finds none; both succeed."""
        port = str(wire.free_port())
        first = cx.json("start", "--port", port)
        assert cx.json("start") == first
        assert "already runs" in cx("start").output
        cx("stop")
        again = cx("stop")
        assert (again.exit_code, again.output) == (0, "no local Kafka runs\n")

    def test_another_port_for_a_running_broker_is_refused(self, cx: Cli):
        """A running broker is not moved: the error says on which port it is."""
        port = wire.free_port()
        cx("start", "--port", str(port))
        refused = cx("start", "--port", str(wire.free_port()))
        assert isinstance(refused.exception, CxError)
        assert f"already runs, on port {port}" in refused.exception.message

    def test_a_port_in_use_is_refused(self, cx: Cli):
        """A port asked for and taken is an error that names it; nothing is started."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            refused = cx("start", "--port", str(server.getsockname()[1]))
        assert isinstance(refused.exception, CxError)
        assert "in use by another program" in refused.exception.message
        assert state.running(cx.data_dir) is None

    def test_a_taken_default_port_gives_way_to_a_free_one(self, cx: Cli, monkeypatch: pytest.MonkeyPatch):
        """Without --port a taken default is replaced, and the person is told what to export."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            monkeypatch.setattr(cli, "DEFAULT_PORT", server.getsockname()[1])
            result = cx("start")
        found = state.running(cx.data_dir)
        assert found is not None
        assert f"export CX_BOOTSTRAP_SERVERS={found.bootstrap_servers}" in result.stderr

    def test_a_broker_that_does_not_answer_is_not_running(self, cx: Cli):
        """Status is 1 for a process that lives and does not serve."""
        cx("start", "--port", str(wire.free_port()))
        found = state.running(cx.data_dir)
        assert found is not None
        os.kill(found.pid, signal.SIGSTOP)
        result, shown = cx("status"), cx.json("status")
        os.kill(found.pid, signal.SIGCONT)
        assert (result.exit_code, "does not answer" in result.output) == (Exit.FINDING, True)
        assert shown["running"] is False

    def test_the_broker_outlives_the_process_of_its_command(self, cx: Cli):
        """`cx kafka start` ends, and the broker goes on."""
        command = [sys.executable, "-m", "streams.cli.main", "kafka", "start"]
        port = str(wire.free_port())
        subprocess.run([*command, "--port", port, "--data-dir", str(cx.data_dir)], check=True, timeout=60)
        assert cx("status").exit_code == Exit.OK

    def test_a_broker_deaf_to_sigterm_is_killed(self, cx: Cli, monkeypatch: pytest.MonkeyPatch):
        """Stop ends a broker that ignores SIGTERM."""
        monkeypatch.setenv("FAKE_BOOT", "stubborn")
        cx("start", "--port", str(wire.free_port()))
        found = state.running(cx.data_dir)
        assert found is not None
        state.stop(cx.data_dir, timeout_s=0.2)
        assert not is_alive(found.pid)
