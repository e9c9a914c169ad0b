"""What a program says of itself beside its log: that it is ready, and why it ends.

Words for people. Where the setting `log_format` is `json`, one JSON object a line with the names of a log
line: both come on one stream, and whoever collects it could not read the one line that matters.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from os import environ
from traceback import format_exception
from typing import Final, Literal

import click
import orjson

Level = Literal["info", "warning", "error"]
WORD: Final[dict[Level, str]] = {"info": "", "warning": "warning: ", "error": "error: "}
JSON: Final = "json"


@dataclass
class Form:
    """In which form this process speaks."""

    log_format: str | None = None
    """None: the settings were not read, or what is wrong is in them; then the variable alone counts."""

    @property
    def is_json(self) -> bool:
        """Tell whether programs listen. `auto` is for people: a pipe alone does not make it JSON."""
        return (self.log_format or environ.get("CX_LOG_FORMAT")) == JSON


FORM: Final = Form()


def speak(log_format: str) -> None:
    """Use the form that the settings want for what is told from now on."""
    FORM.log_format = log_format


def tell(level: Level, event: str, mend: str = "", *, err: bool = True) -> None:
    """Say `event` and what to do about it, on standard error or (`err` False) standard output."""
    if FORM.is_json:
        click.echo(_line(level, event, mend=mend), err=err)
        return
    click.echo(f"{WORD[level]}{event}" + (f"\n  try: {mend}" if mend else ""), err=err)


def tell_of_a_bug(error: BaseException) -> None:
    """Show the traceback of an error that nobody foresaw, as Python does or within one line."""
    if FORM.is_json:
        said = f"a bug in cx: {type(error).__name__}: {error}"
        click.echo(_line("error", said, exception="".join(format_exception(error))), err=True)
        return
    sys.excepthook(type(error), error, error.__traceback__)


def _line(level: Level, event: str, **more: str) -> bytes:
    time = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    given = {name: value for name, value in more.items() if value}
    return orjson.dumps({"event": event, "level": level, "time": time, **given}, option=orjson.OPT_SORT_KEYS)
