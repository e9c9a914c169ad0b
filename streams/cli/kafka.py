"""`cx kafka`: a real Kafka on this machine, for trying things out."""

import os
from pathlib import Path
from typing import Any

import click
import orjson

from streams.errors import CxError, Exit
from streams.local_kafka import state
from streams.local_kafka.find import KAFKA_VERSION, locate
from streams.local_kafka.node import LocalKafka
from streams.local_kafka.state import Running
from streams.local_kafka.wire import LOOPBACK, free_port, is_free, live_brokers

DEFAULT_PORT = 9092

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the broker's data, log and state.  [default: ~/.local/state/cx-signals/kafka]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")


@click.group()
def kafka() -> None:
    """Start and stop a local Apache Kafka (one node, loopback only)."""


@kafka.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Port for clients.  [default: {DEFAULT_PORT}, or a free one if that is in use]",
)
@data_dir_option
@json_option
def start(port: int | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Start the local Kafka and return when it serves; nothing happens where it already runs."""
    folder = _folder(data_dir)
    broker = state.running(folder)
    if broker is None:
        broker = _start(folder, port)
        note = f"started Kafka {KAFKA_VERSION} at {broker.bootstrap_servers}"
    elif port not in {None, broker.port}:
        msg = f"the Kafka of {folder} already runs, on port {broker.port}"
        raise CxError(msg, mend="cx kafka stop, then start it again; or choose another --data-dir")
    else:
        note = f"Kafka already runs at {broker.bootstrap_servers}"
    _show(_as_object(folder, broker), note, as_json=as_json)


@kafka.command()
@data_dir_option
@json_option
def stop(data_dir: Path | None, *, as_json: bool) -> None:
    """Stop the local Kafka; its data stays. Nothing happens where none runs."""
    folder = _folder(data_dir)
    broker = state.stop(folder)
    note = f"stopped the Kafka at {broker.bootstrap_servers}" if broker else "no local Kafka runs"
    _show({**_as_object(folder, None), "stopped": broker is not None}, note, as_json=as_json)


@kafka.command()
@data_dir_option
@json_option
def status(data_dir: Path | None, *, as_json: bool) -> None:
    """Tell whether the local Kafka runs: exit code 0 where it does, 1 where not."""
    folder = _folder(data_dir)
    broker = state.running(folder)
    serves = broker is not None and broker.answers
    if broker is None:
        note = f"no local Kafka runs (data in {folder})"
    else:
        does = "runs" if serves else "does not answer"
        note = f"Kafka {does} at {broker.bootstrap_servers} (pid {broker.pid})"
    _show(_as_object(folder, broker if serves else None), note, as_json=as_json)
    raise SystemExit(Exit.OK if serves else Exit.FINDING)


def _start(folder: Path, port: int | None) -> Running:
    chosen = port or _default_port()
    if not is_free(chosen):
        what = "another Kafka" if live_brokers(chosen) else "another program"
        msg = f"port {chosen} on {LOOPBACK} is in use by {what}"
        raise CxError(msg, mend="leave --port out to take a free one, or stop what listens there")
    runtime = locate(notice=_note)
    broker = LocalKafka(folder, port=chosen, tethered=False, runtime=runtime)
    broker.start()
    broker.detach()
    started = state.running(folder)
    if started is None:
        msg = f"the local Kafka ended right after its start:\n{broker.log_tail()}"
        raise CxError(msg, mend=f"read {broker.log_file}")
    return started


def _default_port() -> int:
    if is_free(DEFAULT_PORT):
        return DEFAULT_PORT
    chosen = free_port()
    _note(
        f"port {DEFAULT_PORT} is in use: taking {chosen}; "
        f"for other commands: export CX_BOOTSTRAP_SERVERS={LOOPBACK}:{chosen}"
    )
    return chosen


def _folder(given: Path | None) -> Path:
    return (given or state.default_data_dir(os.environ)).absolute()


def _as_object(folder: Path, broker: Running | None) -> dict[str, Any]:
    return {
        "running": broker is not None,
        "bootstrap_servers": broker.bootstrap_servers if broker else None,
        "pid": broker.pid if broker else None,
        "data_dir": str(folder),
    }


def _show(value: dict[str, Any], note: str, *, as_json: bool) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_SORT_KEYS) if as_json else note)


def _note(text: str) -> None:
    click.echo(text, err=True)
