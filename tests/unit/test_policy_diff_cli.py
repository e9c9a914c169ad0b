"""`cx policy diff`: alerts under two policies on the same log."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streams.cli.main import cx
from streams.errors import CxError, Exit
from tests.customers import line

LIFE = [
    *(line("order.placed", 7 * n) for n in range(20)),
    line("delivery.failed", 40),
    line("order.placed", 420),
]


class Diff:
    """A log and a new policy in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "log.jsonl"
        self.new = path / "new.toml"
        self.log.write_bytes(b"\n".join([*LIFE, b"", b"{"]))

    def run(self, policy: str, *args: str, old: str = "default") -> tuple[int, str]:
        """Return exit code and output of the command under a new policy."""
        self.new.write_text(policy)
        command = ["policy", "diff", old, str(self.new), "--events", str(self.log), *args]
        result = CliRunner().invoke(cx, command)
        if isinstance(result.exception, CxError):
            raise result.exception
        return result.exit_code, result.output

    def document(self, policy: str, *args: str) -> dict[str, Any]:
        """Return what --json prints."""
        found: dict[str, Any] = json.loads(self.run(policy, "--json", *args)[1])
        return found


@pytest.fixture
def diff(tmp_path: Path) -> Diff:
    """Return a log of one life: a rhythm, a failed delivery, silence and a return."""
    return Diff(tmp_path)


def test_nothing_changes(diff: Diff):
    """The same policy opens the same alerts, and ends with 0."""
    code, output = diff.run("")

    assert code == 0
    assert output.endswith("Every alert comes at the same time under both.\n")
    assert "left out: 1 rejected, 0 of nobody known" in output


def test_removed_and_added(diff: Diff):
    """An alert that only one policy opens is told with its reason; the code tells of a difference."""
    patient = "[rules]\nlost = 0.95\n"
    old = diff.path / "old.toml"
    old.write_text(patient)
    for run, kind in ((diff.run(patient), "removed"), (diff.run("", old=str(old)), "added  ")):
        code, output = run
        assert code == Exit.FINDING
        assert f"{kind} 2026-06-15 anna silence, medium\n        Chance of buying" in output


def test_later_alerts(diff: Diff):
    """An alert that moves is told by how much, whatever happens to its severity."""
    code, output = diff.run("[rules]\nlost = 0.6\n")

    assert code == Exit.FINDING
    assert "later   by 4d, 2026-06-19 anna silence, medium" in output
    assert row_of(output, "silence") == ["silence", "1", "1", "-", "-", "-", "1", "-"]


def row_of(output: str, rule: str) -> list[str]:
    """Return the cells of a rule's row."""
    return next(each for each in output.splitlines() if each.strip().startswith(rule + " ")).split()


def test_load_per_owner(diff: Diff):
    """The alerts a week of each owner of a cause are told for both policies."""
    output = diff.run("[rules]\nlost = 0.6\n[drivers.failed_delivery]\nowner = 'stores'\n")[1]

    assert row_of(output, "logistics") == ["logistics", "0.03", "0.00", "-0.03"]
    assert row_of(output, "stores") == ["stores", "0.00", "0.03", "+0.03"]


def test_how_often_silence_is_looked_at(diff: Diff):
    """Silence is found at the sweeps, which --every sets; what is no span is refused."""
    daily = diff.document("[rules]\nlost = 0.6\n")["changes"]
    weekly = diff.document("[rules]\nlost = 0.6\n", "--every", "3d")["changes"]

    assert daily[0]["new_opened"] != weekly[0]["new_opened"]
    assert diff.run("", "--every", "often")[0] == Exit.USAGE


def test_for_programs(diff: Diff):
    """--json gives the policies, the log, the sums and every change."""
    found = diff.document('version = "mine"\n[rules]\nlost = 0.6\n')

    assert (found["old"]["version"], found["new"]["version"]) == ("retail-1", "mine")
    assert (found["events"], found["customers"], found["weeks"]) == (22, 1, 60.0)
    assert found["rules"]["churn_risk"]["same"] == 1
    assert found["owners"] == {"logistics": {"old": 2, "new": 2}}
    [change] = found["changes"]
    assert (change["change"], change["rule"]) == ("later", "silence")
    assert change["old_opened"] < change["new_opened"]
    assert set(found["value_at_risk"]) == {"old", "new", "old_currency", "new_currency"}


def test_a_shift_within_a_day(diff: Diff):
    """A shift of less than a day is told in hours."""
    output = diff.run("[rules]\nlost = 0.515\n", "--every", "6h")[1]

    assert re.search(r"later   by \d+h, 2026-06-", output)


def test_more_changes_than_shown(diff: Diff):
    """What is not shown is counted, with how to see it."""
    output = diff.run("[rules]\nlost = 0.6\n", "--show", "0")[1]

    assert "more changes: --show" in output


@pytest.mark.parametrize("events", [b"", line("page.viewed", 0)])
def test_a_log_without_alerts(diff: Diff, events: bytes):
    """A log on which neither policy opens an alert says so."""
    diff.log.write_bytes(events)

    assert diff.run("[rules]\nlost = 0.6\n")[1].endswith("Neither policy opens an alert.\n")


def test_nobody_known(diff: Diff):
    """Events of visitors not yet known are left out and counted."""
    visitor = json.loads(line("page.viewed", 0))
    del visitor["subject"]
    diff.log.write_text(json.dumps(visitor | {"anonymousid": "v1"}))

    assert "left out: 0 rejected, 1 of nobody known" in diff.run("")[1]


def test_value_at_risk(diff: Diff):
    """What the alerts of each policy put at risk is told in money, where orders have amounts."""
    orders = [line("order.placed", 7 * n, total=5000, currency="EUR") for n in range(20)]
    diff.log.write_bytes(b"\n".join([*orders, line("order.placed", 420)]))
    output = diff.run("[rules]\nlost = 0.95\n")[1]
    found = diff.document("[rules]\nlost = 0.95\n")["value_at_risk"]

    assert found["old"] > found["new"] > 0
    assert f"value at risk behind the alerts: {found['old'] / 100:,.2f} EUR -> " in output
    output = diff.run('currency = "JPY"\n[currencies]\nEUR = 1.6\n')[1]
    assert re.search(r"alerts: [\d,]+\.\d\d EUR -> [\d,]+ JPY\n", output)


def test_a_promise_that_nobody_reports_on(diff: Diff):
    """A log in which the fulfilling channel says nothing breaks no promise: nobody knows."""
    due = {"promise_id": "p-1", "kind": "callback", "due_at": "2026-06-01T00:00:00Z", "fulfilled_by": "phone"}
    life = [*LIFE, line("promise.made", 139, **due)]
    diff.log.write_bytes(b"\n".join(life))
    assert "promise_broken" not in diff.run("")[1]
    diff.log.write_bytes(b"\n".join([*life, line("call.ended", 401, direction="outbound")]))
    assert "promise_broken" in diff.run("")[1]


def test_who_is_forgotten_is_left_out(diff: Diff):
    """A customer who is to be forgotten takes no part, whatever the log says before and after."""
    forget = line("customer.forgotten", 421, proof="0f" * 32)
    diff.log.write_bytes(b"\n".join([*LIFE, forget, line("delivery.failed", 422)]))

    assert diff.run("[rules]\nlost = 0.6\n")[1].endswith("Neither policy opens an alert.\n")
