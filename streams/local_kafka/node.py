"""One node of a local Kafka: KRaft, broker and controller in one process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.errors import CxError
from streams.local_kafka import state
from streams.local_kafka.find import Runtime, locate
from streams.local_kafka.wire import LOOPBACK, free_port, is_free, live_brokers

CLUSTER_ID = "Y3gtc2lnbmFscy1sb2NhbA"  # 16 bytes in base64, as Kafka wants it; data folders keep it apart
BOOT_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = state.STOP_TIMEOUT_S
POLL_S = 0.03
LOG_TAIL_LINES = 15
# The first compiler tier and the serial collector halve the boot; a laptop's broker needs neither more.
JVM_FLAGS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m")
LOG_FLAGS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)
INTERNAL_PARTITIONS = 4
BROKER_SESSION_MS = 3000
MAX_REPLICATION = 3


class LocalKafka:
    """A Kafka broker on the loopback address with a data folder of its own.

        with LocalKafka(folder) as broker:
            client(broker.bootstrap_servers)

    `port` 0 takes a free one, kept over restarts of the object. `voters` maps the node ids of a cluster to
    their controllers' ports. `extra_properties` are added to the broker's own. A `tethered` broker is killed
    by Linux with the thread that started it; `cx kafka start` does without, to outlive its command.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int = 0,
        node_id: int = 1,
        voters: Mapping[int, int] | None = None,
        extra_properties: Mapping[str, str] | None = None,
        tethered: bool = True,
        runtime: Runtime | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.node_id = node_id
        self.port = port or free_port()
        self.voters = dict(voters) if voters else {node_id: free_port()}
        self.extra_properties = dict(extra_properties or {})
        self.format_arguments: Sequence[str] = ()
        """Added to the command that prepares the storage: users of SCRAM are made there."""
        self.tethered = tethered
        self._runtime = runtime
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Return the address that clients are given."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Return the id of the broker's process; None where it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def log_file(self) -> Path:
        """Return the file that keeps what the broker says."""
        return self.data_dir / "broker.log"

    def start(self, *, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        """Start the broker and return when topics can be created on it.

        Raises `CxError` where a port is taken, or with the end of the broker's log where it does not boot.
        """
        self.launch()
        self.wait_ready(timeout_s=timeout_s)

    def launch(self) -> None:
        """Start the broker's process without waiting for it; nothing happens where it already runs."""
        if self.pid is not None:
            return
        for port in (self.port, self.voters[self.node_id]):
            if not is_free(port):
                msg = f"port {port} on {LOOPBACK} is in use"
                raise CxError(msg, mend="choose another port, for example: cx kafka start --port 19092")
        with self._writing():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._properties_file.write_text(render(self.properties()))
        if not (self.data_dir / "data" / "meta.properties").exists():
            self._format()
        with self._writing():
            self._process = self._spawn()
            state.remember(self.data_dir, state.Running(self._process.pid, self.port, self.node_id))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Tell where the folder cannot be written; a broker that nobody could find again is ended."""
        try:
            yield
        except OSError as error:
            self.kill()
            msg = f"the folder {self.data_dir} cannot be written: {error.strerror}"
            mend = "make room there, or name a folder of your own: cx kafka start --data-dir DIR"
            raise CxError(msg, mend=mend) from error

    def wait_ready(self, *, timeout_s: float = BOOT_TIMEOUT_S) -> None:
        """Return when the broker serves requests; stop it and raise `CxError` where it does not."""
        deadline = time.monotonic() + timeout_s
        while not self.is_ready():
            if self.pid is None or time.monotonic() > deadline:
                ended = self.pid is None
                self.stop(timeout_s=1)
                what = "ended while starting" if ended else f"was not ready within {timeout_s:g} s"
                msg = f"the local Kafka {what}; the end of {self.log_file}:\n{self.log_tail()}"
                raise CxError(msg, mend=f"read {self.log_file}; to begin anew: rm -r {self.data_dir}")
            time.sleep(POLL_S)

    def is_ready(self) -> bool:
        """Tell whether the broker serves requests and is in its own metadata."""
        return self.pid is not None and self.node_id in live_brokers(self.port)

    def stop(self, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the broker with SIGTERM, then SIGKILL after `timeout_s`; nothing happens where none runs."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """End the broker with SIGKILL, as a crash would; its data stays for the next `start`."""
        self._end(signal.SIGKILL, STOP_TIMEOUT_S)

    def _end(self, number: signal.Signals, timeout_s: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        state.forget(self.data_dir)

    def detach(self) -> None:
        """Let the broker live on without this object; the state file finds it again."""
        process, self._process = self._process, None
        if process is not None:
            process.returncode = 0  # it is no longer ours to wait for: no warning when the object goes

    def log_tail(self) -> str:
        """Return the last lines of the broker's log."""
        if not self.log_file.exists():
            return "(empty)"
        return (
            "\n".join(self.log_file.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]) or "(empty)"
        )

    def properties(self) -> dict[str, str]:
        """Return the broker's configuration."""
        controller = f"{LOOPBACK}:{self.voters[self.node_id]}"
        voters = ",".join(f"{node}@{LOOPBACK}:{port}" for node, port in sorted(self.voters.items()))
        return {
            "node.id": str(self.node_id),
            "process.roles": "broker,controller",
            "controller.quorum.voters": voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap_servers},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap_servers}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.data_dir / "data"),
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            # By default the cleaner rests for 15 s, and what was erased stays on the disk meanwhile.
            "log.cleaner.backoff.ms": "1000",
            # A killed broker may register again only when its old session has ended.
            "broker.session.timeout.ms": str(BROKER_SESSION_MS),
            "broker.heartbeat.interval.ms": str(BROKER_SESSION_MS // 6),
            **internal_topics(min(MAX_REPLICATION, len(self.voters))),
            **self.extra_properties,
        }

    @property
    def _properties_file(self) -> Path:
        return self.data_dir / state.PROPERTIES_FILE

    def _java(self, *arguments: str) -> list[str]:
        if self._runtime is None:
            self._runtime = locate()
        runtime = self._runtime
        return [str(runtime.java), *JVM_FLAGS, *LOG_FLAGS, "-cp", runtime.classpath, *arguments]

    def _format(self) -> None:
        command = self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c")
        done = subprocess.run(  # noqa: S603  # the Java that was located, no shell
            [*command, str(self._properties_file), *self.format_arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BOOT_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join(done.stdout.strip().splitlines()[-LOG_TAIL_LINES:])
            msg = f"the data folder {self.data_dir} could not be prepared for Kafka:\n{tail}"
            raise CxError(msg, mend=f"choose another folder with --data-dir, or rm -r {self.data_dir}")

    def _spawn(self) -> "subprocess.Popen[bytes]":
        command = self._java("kafka.Kafka", str(self._properties_file))
        if self.tethered:
            command = [sys.executable, "-m", "streams.local_kafka.tether", str(os.getpid()), *command]
        with self.log_file.open("ab") as log:
            # A session of its own keeps a Ctrl-C for the command from stopping the broker first.
            return subprocess.Popen(  # noqa: S603  # the Java that was located, no shell
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def internal_topics(replication: int) -> dict[str, str]:
    """Return the properties that keep Kafka's own topics small and copied `replication` times."""
    copies = str(replication)
    in_sync = str(min(replication, 2))
    return {
        "default.replication.factor": copies,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": str(INTERNAL_PARTITIONS),
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": str(INTERNAL_PARTITIONS),
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": str(INTERNAL_PARTITIONS),
    }


def render(properties: Mapping[str, str]) -> str:
    """Return `properties` as the text of a Java properties file."""
    return "\n".join(_lines(properties.items())) + "\n"


def _lines(items: Iterable[tuple[str, str]]) -> Iterable[str]:
    return (f"{key}={value}".replace("\\", "\\\\") for key, value in items)
