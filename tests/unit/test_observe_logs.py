"""Log lines."""

import hmac
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.observe.logs import (
    BURST,
    LIBRARIES,
    MOST_REMEMBERED,
    WHOLE_MESSAGES,
    Pseudonyms,
    Repeats,
    configure,
)
from streams.settings import Settings


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Put the process's logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in (*LIBRARIES, *WHOLE_MESSAGES)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(settings: Settings, name: str, level: int, message: str, **more: Any) -> list[str]:
    """Return what one log call writes."""
    stream = io.StringIO()
    configure(settings, stream)
    logging.getLogger(name).log(level, message, **more)
    return stream.getvalue().splitlines()


def test_a_line_is_one_json_object_where_nobody_watches():
    """A program reads time, level, logger and event."""
    (line,) = lines(Settings(), "streams.x", logging.WARNING, "lost")
    found = orjson.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {"event": "lost", "level": "warning", "logger": "streams.x"}


def test_an_exception_stays_on_its_line():
    """A traceback in many lines would break whoever collects them."""
    (line,) = lines(Settings(), "streams.x", logging.ERROR, "failed", exc_info=ValueError("why"))
    assert "ValueError: why" in orjson.loads(line)["exception"]


def test_text_is_for_people():
    """`text` writes words, not JSON."""
    (line,) = lines(Settings(log_format="text"), "streams.x", logging.WARNING, "lost")
    assert "lost" in line
    assert not line.startswith("{")


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("faust.app", logging.INFO, "anything"),
        ("aiokafka.consumer", logging.INFO, "Subscribed"),
        ("streams.engine.transport", logging.INFO, "[^--LaneProducer]: Starting..."),
        ("aiokafka.consumer.group_coordinator", logging.ERROR, "failed: GroupCoordinatorNotAvailableError"),
        ("faust.app.base", logging.WARNING, "[^-App]: Missing sensor state for rebalance end #1"),
        ("streams.x", logging.DEBUG, "detail"),
    ],
)
def test_normal_operation_writes_nothing(name: str, level: int, message: str):
    """Services that start and stop, and what clients try again by themselves, are no news."""
    assert lines(Settings(), name, level, message) == []


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("faust.app", logging.WARNING, "something"),
        ("streams.engine.transport", logging.ERROR, "[^--LaneProducer]: Crashed reason=..."),
        ("streams.engine.recovery", logging.INFO, "working on partitions [0]"),
    ],
)
def test_what_is_worth_a_line_gets_one(name: str, level: int, message: str):
    """Warnings of libraries and the engine's own words are written."""
    assert len(lines(Settings(), name, level, message)) == 1


def a_record(name: str, message: str) -> logging.LogRecord:
    """Return one line on its way."""
    return logging.LogRecord(name, logging.ERROR, "", 0, message, None, None)


def test_a_client_that_repeats_itself_is_heard_once_in_a_while():
    """While a broker is away, a line comes once in ten seconds, whatever numbers are in it."""
    now = [0.0]
    repeats = Repeats(every_s=10, clock=lambda: now[0])
    assert repeats.filter(a_record("aiokafka", "no node 1"))
    assert not repeats.filter(a_record("aiokafka", "no node 2"))
    assert repeats.filter(a_record("aiokafka", "another line"))
    now[0] = 10.0
    assert repeats.filter(a_record("aiokafka", "no node 1"))


def test_our_own_lines_are_said_five_times_and_then_counted():
    """An error that comes a hundred times a second fills no disk; the next line tells how many there were."""
    now = [0.0]
    repeats = Repeats(every_s=10, clock=lambda: now[0])
    said = [repeats.filter(a_record("streams.engine.lane", "fenced")) for _ in range(20)]
    assert said == [True] * BURST + [False] * (20 - BURST)
    assert repeats.filter(a_record("streams.engine.lane", "lost")), "another line"
    now[0] = 10.0
    later = a_record("streams.engine.lane", "fenced")
    assert repeats.filter(later)
    assert later.getMessage() == "fenced (15 like it were left out)"


def test_the_last_words_are_never_left_out():
    """Why a worker stops is said however often it was said before."""
    repeats = Repeats()
    last = logging.LogRecord("streams.cli.worker", logging.CRITICAL, "", 0, "stops", (), None)
    assert [repeats.filter(last) for _ in range(9)] == [True] * 9


def test_a_customer_is_named_by_a_pseudonym_only(tmp_path: Path):
    """The same key gives the same name everywhere; without the key nobody finds the customer."""
    key = tmp_path / "log.key"
    key.write_text("a key of 32 characters or more ...")
    wanted = hmac.new(key.read_bytes(), b"anna", "sha256").hexdigest()[:16]
    for customer in ("anna", b"anna"):
        settings = Settings(log_key_file=str(key))
        (line,) = lines(
            settings, "streams.x", logging.ERROR, "odd", extra={"customer": customer, "offset": 7}
        )
        found = orjson.loads(line)
        assert (found["customer"], found["offset"]) == (wanted, 7)
        assert "anna" not in line


def test_without_a_key_pseudonyms_last_as_long_as_the_process():
    """Two processes name a customer differently; one always the same."""
    one, other = Pseudonyms(), Pseudonyms()
    assert one.of("anna") == one.of("anna") != other.of("anna")


def test_what_is_remembered_of_lines_is_bounded():
    """Lines that all differ do not fill the memory (G8)."""
    repeats = Repeats()
    for number in range(MOST_REMEMBERED + 5):
        repeats.filter(a_record("aiokafka", "x" * number))
    assert len(repeats._said) == 5


@pytest.mark.parametrize("name", WHOLE_MESSAGES)
def test_debug_shows_no_record_and_no_password(name: str):
    """Kafka's client writes each request and record as it is, with the customers and the password in it."""
    assert lines(Settings(log_level="debug"), name, logging.DEBUG, "Sending (key=c-1 value=...)") == []
    assert lines(Settings(log_level="debug"), name, logging.INFO, "Authenticated as cx") != []
    assert lines(Settings(log_level="info"), name, logging.INFO, "Authenticated as cx") == []


def test_debug_shows_everything():
    """Whoever asks for details gets those of the libraries too."""
    assert lines(Settings(log_level="debug"), "aiokafka.consumer", logging.DEBUG, "fetched") != []
