"""What a person reads, on a terminal of any width and through a pipe."""

from errno import EPIPE
from os import strerror
from typing import Final, NoReturn

from rich.console import Console, RenderableType

PIPE_WIDTH: Final = 240
MINUTE_CHARS: Final = 16  # of an RFC 3339 time, down to the minute


class Screen(Console):
    """A console that says that nobody reads it any more, as any other output does."""

    def on_broken_pipe(self) -> NoReturn:
        """Leave the end to `cx`: by itself a console ends with the exit code of a finding."""
        raise BrokenPipeError(EPIPE, strerror(EPIPE))


def print_tables(*tables: RenderableType) -> None:
    """Print as wide as the terminal, and as wide as the text needs where nobody looks."""
    console = Screen(highlight=False)
    if not console.is_terminal:
        console = Screen(width=PIPE_WIDTH, highlight=False)
    for table in tables:
        console.print(table)


def minute(time: str) -> str:
    """Return an RFC 3339 time down to the minute, as a table shows it."""
    return time.replace("T", " ")[:MINUTE_CHARS]
