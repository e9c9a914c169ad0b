"""Log lines: one JSON object a line for programs, text for people. Normal operation says next to nothing.

A line that speaks of a customer names them by `extra={"customer": ID}` and in no other way: what is written
is a pseudonym, an HMAC of the id.
"""

import hashlib
import hmac
import logging
import re
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

import structlog

from streams.settings import Settings, read_secret

REPEAT_S: Final = 10.0
MOST_REMEMBERED: Final = 1_000
BURST: Final = 5
"""Lines of one kind that the product itself may say in that time: enough to see that it goes on."""
PSEUDONYM_DIGITS: Final = 16
EXTRAS: Final = ("topic", "partition", "offset", "customer")
"""What a line may carry beside its text."""
DIGITS: Final = re.compile(r"\d+")
LIBRARIES: Final = ("faust", "mode", "aiokafka", "asyncio", "kafka")
"""Their lines below a warning are about their insides, and many."""
WHOLE_MESSAGES: Final = ("aiokafka.conn", "aiokafka.producer.producer")
"""What they say below an information is each request and each record as it is: customers' data, and passwords
on their way to the broker."""
COMING_UP: Final = "GroupCoordinatorNotAvailableError"
"""A broker that has just started has no group coordinator for a moment; aiokafka calls that an error."""
UNMEASURED: Final = "Missing sensor state for rebalance"
"""Faust's own statistics of a rebalance, which nobody reads, have no beginning where the engine heals."""


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error), as `settings` want it."""
    stream = stream or sys.stderr
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.addFilter(_is_worth_a_line)
    handler.addFilter(Repeats())
    pseudonyms = Pseudonyms(read_secret(settings.log_key_file))
    handler.setFormatter(_formatter(pseudonyms, as_json=as_json, colors=stream.isatty()))
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # What a library logs of an exception or a warning has to go the same way.
    logging.captureWarnings(capture=True)
    quiet = level if level <= logging.DEBUG else max(level, logging.WARNING)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(quiet)
    for name in WHOLE_MESSAGES:
        logging.getLogger(name).setLevel(max(quiet, logging.INFO))


class Pseudonyms:
    """Names a customer by an HMAC-SHA256 of the id: the same one in every line, and nobody without the key.

    Without a key a random one is made: lines of one process can be told apart, those of two cannot be joined.
    """

    def __init__(self, key: str = "") -> None:
        self._key = key.encode() or secrets.token_bytes(32)

    def __call__(self, _: Any, __: str, line: dict[str, Any]) -> dict[str, Any]:
        """Replace the customer's id in a line (a processor of structlog)."""
        customer = line.get("customer")
        if customer is not None:
            line["customer"] = self.of(customer)
        return line

    def of(self, customer: str | bytes) -> str:
        """Return the pseudonym of a customer id, 16 hexadecimal digits."""
        identity = customer.encode() if isinstance(customer, str) else customer
        return hmac.new(self._key, identity, hashlib.sha256).hexdigest()[:PSEUDONYM_DIGITS]


class Repeats:
    """Lets few lines of one kind through: a client says ninety times a second that a broker is away.

    In `every_s` one of a library, and five of the product's own; the next one after that time tells how many
    were left out. The last words of a worker are never left out.
    """

    def __init__(self, every_s: float = REPEAT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._said: dict[tuple[str, int, str], list[float]] = {}
        """By kind of line: when its time began, the lines said since, and those left out."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the line is to be written (the protocol of `logging`)."""
        if record.levelno >= logging.CRITICAL:
            return True
        library = record.name.partition(".")[0] in LIBRARIES
        # A library's line is told from others by its text, ours by what it was made of.
        kind = DIGITS.sub("", record.getMessage()) if library else str(record.msg)
        now_s, key = self._clock(), (record.name, record.levelno, kind)
        held = self._said.get(key)
        if held is None or now_s - held[0] >= self._every_s:
            if len(self._said) >= MOST_REMEMBERED:
                self._said.clear()
            self._said[key] = [now_s, 1.0, 0.0]
            if held is not None and held[2] and not library:
                record.msg, record.args = f"{record.getMessage()} ({held[2]:.0f} like it were left out)", ()
            return True
        if held[1] < (1 if library else BURST):
            held[1] += 1
            return True
        held[2] += 1
        return False


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Leave out that services start and stop, what clients try again by themselves, what nobody reads."""
    if record.levelno <= logging.DEBUG:
        return True
    message = record.getMessage()
    told_by_mode = message.startswith("[^") and record.levelno < logging.WARNING
    return not (told_by_mode or COMING_UP in message or UNMEASURED in message)


def _formatter(pseudonyms: Pseudonyms, *, as_json: bool, colors: bool) -> logging.Formatter:
    shared: list[Any] = [
        structlog.stdlib.ExtraAdder(allow=EXTRAS),
        pseudonyms,
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
