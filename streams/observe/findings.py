"""What the doctor says of one thing: a status, words, and the command that mends it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, in words, and what mends it."""

    status: Status
    subject: str
    message: str
    mend: str = ""


def ok(subject: str, message: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Status.OK, subject, message)


def warning(subject: str, message: str, mend: str) -> Finding:
    """Return a finding that somebody should look at."""
    return Finding(Status.WARNING, subject, message, mend)


def error(subject: str, message: str, mend: str) -> Finding:
    """Return a finding that keeps the product from working."""
    return Finding(Status.ERROR, subject, message, mend)


def alter(servers: str, topics: Iterable[str], config: str) -> str:
    """Return the command that sets `config` (`key=value`, comma-separated) on topics."""
    command = f"kafka-configs.sh --bootstrap-server {servers} --alter --add-config {config} --topic"
    names = list(topics)
    return (
        f"{command} {names[0]}" if len(names) == 1 else f"for t in {' '.join(names)}; do {command} $t; done"
    )
