"""Tables that a person reads, on a terminal of any width and through a pipe."""

from typing import Final

from rich.console import Console, RenderableType

PIPE_WIDTH: Final = 240
MINUTE_CHARS: Final = 16  # of an RFC 3339 time, down to the minute


def print_tables(*tables: RenderableType) -> None:
    """Print as wide as the terminal, and as wide as the text needs where nobody looks."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH, highlight=False)
    for table in tables:
        console.print(table)


def minute(time: str) -> str:
    """Return an RFC 3339 time down to the minute, as a table shows it."""
    return time.replace("T", " ")[:MINUTE_CHARS]
