"""The options that say which broker and which topics a command means."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]


def connection(command: Command) -> Command:
    """Add the options that say which broker and which topics are meant."""
    for option in (
        click.option("--config", "file", type=click.Path(path_type=Path), help="Settings file (cx.toml)."),
        click.option("--app-id", help="Name of the application."),
        click.option("--topic-prefix", help="Put before the name of every topic."),
        click.option("--bootstrap-servers", help="Addresses of the brokers."),
    ):
        command = option(command)
    return command
