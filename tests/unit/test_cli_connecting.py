"""What a command says that mends: it means the broker and the topics that were meant."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from streams.cli import doctor as module
from streams.cli.connecting import as_given, connection
from streams.cli.doctor import doctor
from streams.cli.produce import produce
from streams.demo import sinks
from streams.errors import CxError
from streams.observe.findings import Finding, error

GIVEN = {"topic_prefix": "v2.", "bootstrap_servers": "b:1", "app_id": None, "config": Path("my cx.toml")}
WORDS = "--bootstrap-servers b:1 --topic-prefix v2. --config 'my cx.toml'"


@pytest.mark.parametrize(
    ("mend", "said"),
    [
        ("cx topics create", f"cx topics create {WORDS}"),
        ("cx topics create --partitions 8", f"cx topics create {WORDS} --partitions 8"),
        (
            "cx topics create --topic-prefix new.",
            "cx topics create --bootstrap-servers b:1 --config 'my cx.toml' --topic-prefix new.",
        ),
        ("restart; cx doctor", f"restart; cx doctor {WORDS}"),
        ("cx kafka start, or cx worker", "cx kafka start, or cx worker"),
    ],
)
def test_a_command_that_mends_has_the_options_that_were_given(mend: str, said: str):
    """Without them it would make other topics, on another broker, and mend nothing."""
    assert as_given(mend, GIVEN) == said
    assert as_given(mend, {"topic_prefix": None}) == mend


def test_an_error_of_a_command_is_told_so():
    """Whatever raised it, and only where an option was given: a variable holds for the next command too."""

    @click.command()
    @connection
    def missing(file: Path | None, **_: Any) -> None:
        assert file is None
        msg = "missing topics"
        raise CxError(msg, mend="cx topics create")

    found = [CliRunner().invoke(missing, args).exception for args in ([], ["--topic-prefix", "v2."])]
    assert [getattr(each, "mend", "") for each in found] == [
        "cx topics create",
        "cx topics create --topic-prefix v2.",
    ]


def test_produce_takes_no_events_for_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its FILE is not the settings' file."""

    async def refuse(*_: Any) -> None:
        msg = "the topic v2.cx.touchpoints.web does not exist"
        raise CxError(msg, mend="cx topics create")

    monkeypatch.setattr(sinks.KafkaSink, "__aenter__", refuse)
    (tmp_path / "events.jsonl").touch()
    result = CliRunner().invoke(produce, [str(tmp_path / "events.jsonl"), "--prefix", "v2."])
    assert isinstance(result.exception, CxError)
    assert result.exception.mend == "cx topics create --topic-prefix v2."


def test_the_doctor_advises_what_was_asked_about(monkeypatch: pytest.MonkeyPatch):
    """Its findings are no errors, and their commands are run all the same."""

    async def find(*_: Any) -> AsyncIterator[Finding]:
        yield error("topics", "missing: v2.cx.actions", "cx topics create --partitions 4")

    monkeypatch.setattr(module, "examine", find)
    result = CliRunner().invoke(doctor, ["--topic-prefix", "v2."])
    assert "try: cx topics create --topic-prefix v2. --partitions 4" in result.output
