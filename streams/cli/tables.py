"""Tables that a person reads, on a terminal of any width and through a pipe."""

from typing import Final

from rich.console import Console, RenderableType

PIPE_WIDTH: Final = 240


def print_tables(*tables: RenderableType) -> None:
    """Print as wide as the terminal, and as wide as the text needs where nobody looks."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH, highlight=False)
    for table in tables:
        console.print(table)
