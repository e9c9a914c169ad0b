"""What is remembered of a broker that outlives the command which started it."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from streams.errors import CxError
from streams.local_kafka.wire import LOOPBACK, live_brokers

STATE_FILE = "broker.json"
PROPERTIES_FILE = "server.properties"
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05
PROC = Path("/proc")


class Running(msgspec.Struct, frozen=True):
    """A broker started on this machine: its process id and the port that clients use."""

    pid: int
    port: int
    node_id: int = 1

    @property
    def bootstrap_servers(self) -> str:
        """Return the address that clients are given."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def answers(self) -> bool:
        """Tell whether the broker serves requests now."""
        return self.node_id in live_brokers(self.port)


def default_data_dir(env: Mapping[str, str]) -> Path:
    """Return the folder that keeps the local broker's data, log and state."""
    root = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME") or Path.home()) / ".local" / "state")
    return Path(root) / "cx-signals" / "kafka"


def remember(data_dir: Path, running: Running) -> None:
    """Write the state file whole or not at all."""
    temporary = data_dir / f"{STATE_FILE}.{os.getpid()}"
    temporary.write_bytes(msgspec.json.encode(running))
    temporary.replace(data_dir / STATE_FILE)


def forget(data_dir: Path) -> None:
    """Remove the state file."""
    (data_dir / STATE_FILE).unlink(missing_ok=True)


def running(data_dir: Path) -> Running | None:
    """Return the broker of `data_dir` if its process lives; a stale state file is None."""
    try:
        found = msgspec.json.decode((data_dir / STATE_FILE).read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return found if is_ours(found.pid, data_dir) else None


def is_ours(pid: int, data_dir: Path) -> bool:
    """Tell whether `pid` is the broker of `data_dir`.

    Process ids are used again after a reboot: a stranger must never get the broker's signals.
    """
    return str(data_dir / PROPERTIES_FILE) in _command_line(pid)


def _command_line(pid: int) -> str:
    if (PROC / "self").exists():
        try:
            return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    listed = subprocess.run(  # noqa: S603  # fixed arguments, no shell
        ["ps", "-p", str(pid), "-o", "command="],  # noqa: S607  # found on PATH on every POSIX system
        capture_output=True,
        text=True,
        check=False,
    )
    return listed.stdout


def stop(data_dir: Path, *, timeout_s: float = STOP_TIMEOUT_S) -> Running | None:
    """Stop the broker of `data_dir` and return what it was; None where none ran.

    It gets SIGTERM, then SIGKILL after `timeout_s`: Kafka recovers its log from either.
    """
    broker = running(data_dir)
    if broker is not None:
        for number, patience_s in ((signal.SIGTERM, timeout_s), (signal.SIGKILL, timeout_s)):
            if _signal_and_wait(broker.pid, data_dir, number, patience_s):
                break
        else:
            msg = f"the broker's process {broker.pid} does not end"
            raise CxError(msg, mend=f"kill -9 {broker.pid}")
    forget(data_dir)
    return broker


def _signal_and_wait(pid: int, data_dir: Path, number: signal.Signals, timeout_s: float) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    deadline = time.monotonic() + timeout_s
    while is_ours(pid, data_dir):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
