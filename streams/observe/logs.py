"""Log lines: one JSON object a line for programs, text for people. Normal operation says next to nothing."""

import logging
import math
import re
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

import structlog

from streams.settings import Settings

REPEAT_S: Final = 10.0
MOST_REMEMBERED: Final = 1_000
DIGITS: Final = re.compile(r"\d+")
LIBRARIES: Final = ("faust", "mode", "aiokafka", "asyncio", "kafka")
"""Their lines below a warning are about their insides, and many."""
COMING_UP: Final = "GroupCoordinatorNotAvailableError"
"""A broker that has just started has no group coordinator for a moment; aiokafka calls that an error."""


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error), as `settings` want it."""
    stream = stream or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.addFilter(_is_worth_a_line)
    handler.addFilter(Repeats())
    handler.setFormatter(_formatter(as_json=as_json, colors=stream.isatty()))
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # What a library logs of an exception or a warning has to go the same way.
    logging.captureWarnings(capture=True)
    for name in LIBRARIES:
        quiet = level if level <= logging.DEBUG else max(level, logging.WARNING)
        logging.getLogger(name).setLevel(quiet)


class Repeats:
    """Lets a line through once in `every_s`: a client says ninety times a second that a broker is away."""

    def __init__(self, every_s: float = REPEAT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._said_s: dict[tuple[str, int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line is to be written (the protocol of `logging`)."""
        if record.name.partition(".")[0] not in LIBRARIES:
            return True  # ours are few, and each is meant
        now_s = self._clock()
        key = (record.name, record.levelno, DIGITS.sub("", record.getMessage()))
        if now_s - self._said_s.get(key, -math.inf) < self._every_s:
            return False
        if len(self._said_s) >= MOST_REMEMBERED:
            self._said_s.clear()
        self._said_s[key] = now_s
        return True


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leave out that services start and stop, and what the client tries again by itself at every start."""
    if record.levelno <= logging.DEBUG:
        return True
    message = record.getMessage()
    told_by_mode = message.startswith("[^") and record.levelno < logging.WARNING
    return not told_by_mode and COMING_UP not in message


def _formatter(*, as_json: bool, colors: bool) -> logging.Formatter:
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    if as_json:
        last: list[Any] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True),
        ]
    else:
        last = [structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time")]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
