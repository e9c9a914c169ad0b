"""Options and files that several commands share: events as JSON lines, times, the policy."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO, TypeVar

import click

from schemas.codec import LATEST_S
from streams.errors import unreadable

F = TypeVar("F", bound=Callable[..., Any])

policy_option = click.option(
    "--policy", "policy_path", metavar="FILE", help="Policy file (TOML); the default policy without it."
)


@contextmanager
def open_events(path: str) -> Iterator[BinaryIO]:
    """Open a file of touchpoints for reading; `-` is standard input. Raises CxError if it cannot."""
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: PTH123, SIM115  # closed below, so that a reader's OSError is not ours
    except OSError as error:
        mend = "give a file of touchpoints, one JSON object a line, or - for standard input"
        raise unreadable(path, error, mend) from error
    with file:
        yield file


def parse_time(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Turn RFC 3339 with an offset into seconds since the epoch (a click callback)."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        msg = f"{text!r} is no time with an offset; write it like 2026-01-31T12:00:00Z"
        raise click.BadParameter(msg)
    if moment.timestamp() >= LATEST_S:
        msg = f"{text!r} lies beyond 2199, the last year that scores are told for"
        raise click.BadParameter(msg)
    return moment.timestamp()


at_option = click.option(
    "--at",
    "at_s",
    metavar="TIME",
    callback=parse_time,
    help="Evaluate at this time (RFC 3339); later events are left out. The newest event time without it.",
)
