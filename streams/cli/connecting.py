"""The options that say which broker and which topics a command means."""

import re
import shlex
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from streams.errors import CxError

Command = Callable[..., Any]
OPTIONS: Final = {
    "bootstrap_servers": "--bootstrap-servers",
    "topic_prefix": "--topic-prefix",
    "app_id": "--app-id",
    "config": "--config",
}
_TAKING: Final = re.compile(r"(\bcx (?:topics (?:acls|adopt|check|create)|doctor)\b)((?: --[a-z-]+ \S+)*)")
"""Commands that mend and take all of these options, with those that they have already."""


def connection(command: Command) -> Command:
    """Add the options that say which broker and which topics are meant."""
    command = mending(command)
    for option in (
        click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file (cx.toml)."),
        click.option("--app-id", help="Name of the application."),
        click.option("--topic-prefix", help="Put before the name of every topic."),
        click.option("--bootstrap-servers", help="Addresses of the brokers."),
    ):
        command = option(command)
    return command


def worker_address(_: click.Context, __: click.Parameter, given: str | None) -> str | None:
    """Return the URL of a worker, of which HOST:PORT is enough (a click callback)."""
    if given is None:
        return None
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(url)
        is_one = bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
        is_one = is_one and parts.scheme in {"http", "https"}
    except ValueError:
        is_one = False
    if not is_one or any(map(str.isspace, given)):
        msg = f"{given!r} is no address; write it like http://127.0.0.1:9464"
        raise click.BadParameter(msg)
    return url.rstrip("/")


def mending(command: Command) -> Command:
    """Let the command that an error advises name the broker and the topics that this one was given."""

    @wraps(command)
    def mended(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except CxError as error:
            # `cx produce` has events in its FILE, and the settings' own name.
            error.mend = as_given(error.mend, {"config": options.get("file"), **options})
            raise

    return mended


def as_given(mend: str, options: Mapping[str, Any]) -> str:
    """Return `mend` with the options that were given: without them it would mend what nobody asked for."""
    given = {OPTIONS[name]: shlex.quote(str(options[name])) for name in OPTIONS if options.get(name)}

    def completed(found: re.Match[str]) -> str:
        command, own = found.groups()
        return command + "".join(f" {each} {given[each]}" for each in given if each not in own) + own

    return _TAKING.sub(completed, mend)
