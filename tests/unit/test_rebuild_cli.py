"""What `cx rebuild` says and asks."""

import orjson
import pytest
from click.testing import CliRunner

from streams.cli import rebuild as module
from streams.cli.rebuild import QUESTION, _Said, rebuild_command
from streams.engine.rebuild import Progress

DONE = {"partitions": 2, "customers": 1200, "records": 34000, "alerts_continued": 3, "alerts_closed": 1}


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Replace the broker and the rebuild; return whether a loss was accepted, run by run."""
    runs: list[bool] = []

    async def stopped(_: object) -> None:
        return None

    async def run(_: object, *, accept_loss: bool) -> dict[str, int]:
        runs.append(accept_loss)
        return DONE

    monkeypatch.setattr(module, "_require_stopped", stopped)
    monkeypatch.setattr(module, "run", run)
    return runs


def test_the_result_is_told_in_one_line(asked: list[bool]) -> None:
    """Partitions, customers, records, and what became of the alerts."""
    found = CliRunner().invoke(rebuild_command, ["--yes", "--accept-loss"])
    assert found.stdout == (
        "rebuilt 2 partitions: 1,200 customers from 34,000 records; 3 alerts go on, 1 closed\n"
    )
    assert asked == [True]


def test_a_program_gets_json() -> None:
    """One object, and nothing else on standard output."""
    assert orjson.loads(CliRunner().invoke(rebuild_command, ["--yes", "--json"]).stdout) == DONE


def test_it_asks_first(asked: list[bool]) -> None:
    """Throwing every row away is not done by a slip of the hand."""
    found = CliRunner().invoke(rebuild_command, input="n\n")
    assert (found.exit_code, asked) == (1, [])
    assert QUESTION in found.stderr


def test_progress_is_told_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for every transaction; the end of a partition always."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    said = _Said()
    said(Progress(0, 10, 100, 5))
    now[0] += 3.0
    said(Progress(0, 50, 100, 9))
    said(Progress(0, 0, 0, 0, done=True))
    assert capsys.readouterr().err.splitlines() == [
        "partition 0: 50% of 100 records, 9 customers",
        "partition 0: 100% of 0 records, 0 customers",
    ]
