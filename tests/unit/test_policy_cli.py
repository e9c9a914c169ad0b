"""`cx policy` shows what a score is made with, and says what a file changes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli.policy import policy
from streams.errors import CxError, Exit
from streams.scoring.policy import default_policy

DEFAULT = default_policy()


def run(*args: str) -> str:
    """Run `cx policy` and return what it printed; its errors are raised."""
    return CliRunner().invoke(policy, args, catch_exceptions=False, standalone_mode=False).output


def failed(*args: str) -> CxError:
    """Run `cx policy` and return the error it ends with."""
    result = CliRunner().invoke(policy, args, standalone_mode=False)
    assert isinstance(result.exception, CxError), result.output
    return result.exception


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """Return the path of a policy that changes four values."""
    path = tmp_path / "mine.toml"
    path.write_text(
        'version = "mine"\n[churn]\nbase = [0.5, 0.0, 0.0]\n[drivers.purchase]\nweight = 2\nowner = ""\n'
    )
    return str(path)


def row_of(output: str, key: str) -> list[str]:
    """Return the cells of the table's row that begins with `key`."""
    return next(line for line in output.splitlines() if line.strip().startswith(key + " ")).split("  ")


def cells(output: str, key: str) -> list[str]:
    """Return the cells of a row without blanks."""
    return [cell.strip() for cell in row_of(output, key) if cell.strip()]


def test_show_names_everything():
    """Every key and every driver is shown with its value, and the drivers with why."""
    output = run("show")

    assert f"policy {DEFAULT.version}, hash {DEFAULT.hash}" in output
    assert cells(output, "ledger.prior") == ["ledger.prior", "65.0"]
    assert cells(output, "churn.horizons_days") == ["churn.horizons_days", "[30, 60, 90]"]
    for name, driver in DEFAULT.drivers.items():
        assert cells(output, name)[-1] == f"{driver.reason} ({driver.owner})"


@pytest.mark.parametrize(
    ("driver", "ledgers"), [("resolved", "both"), ("complaint", "experience"), ("purchase", "routine")]
)
def test_show_says_where_a_driver_counts(driver: str, ledgers: str):
    """A driver counts in both ledgers, in experience only, or there as a routine."""
    assert cells(run("show"), driver)[3] == ledgers


def test_show_marks_changes(mine: str):
    """A changed value stands beside its default, an unchanged one alone."""
    output = run("show", "--policy", mine)

    assert cells(output, "version") == ["version", '"mine"', f'"{DEFAULT.version}"']
    assert cells(output, "churn.base") == ["churn.base", "[0.5, 0.0, 0.0]", "[0.0, 0.0, 0.0]"]
    assert cells(output, "purchase")[1:3] == ["85", "2 (1)"]
    assert cells(output, "purchase")[-1].endswith("(nobody)")
    assert cells(output, "ledger.prior") == ["ledger.prior", "65.0"]


def test_show_as_json(mine: str):
    """A program gets every value by its key, and the hash."""
    found = json.loads(run("show", "--policy", mine, "--json"))

    assert found["version"] == "mine"
    assert found["drivers"]["purchase"]["weight"] == 2.0
    assert found["ledger"]["prior"] == 65.0
    assert found["hash"] != DEFAULT.hash
    assert json.loads(run("show", "--json"))["hash"] == DEFAULT.hash


def test_check_names_the_changes(mine: str):
    """A valid file is told with its hash, each value that it changes, and what that means for rows."""
    lines = run("check", mine).splitlines()

    assert lines[0].startswith(f"{mine} is a valid policy: mine, hash ")
    assert lines[0].endswith(", 4 values changed")
    assert lines[1:5] == [
        f'  version = "mine", default "{DEFAULT.version}"',
        "  churn.base = [0.5, 0.0, 0.0], default [0.0, 0.0, 0.0]",
        "  drivers.purchase.weight = 2.0, default 1.0",
        '  drivers.purchase.owner = "", default "commerce"',
    ]
    assert lines[5].startswith("Rows made before keep sums")


def test_check_of_what_acts_at_once(tmp_path: Path):
    """A change that is baked into no row asks for no replay."""
    path = tmp_path / "mine.toml"
    path.write_text("[rules]\nlost = 0.6\n")

    assert run("check", str(path)).splitlines()[1:] == ["  rules.lost = 0.6, default 0.5"]


@pytest.mark.parametrize("command", [["check"], ["show", "--policy"]])
def test_a_misspelled_key(tmp_path: Path, command: list[str]):
    """A mistake ends either command with the suggestion and exit code 2."""
    path = tmp_path / "mine.toml"
    path.write_text("[ledger]\nprioor = 60\n")
    error = failed(*command, str(path))

    assert "unknown key `ledger.prioor`, did you mean `prior`?" in error.message
    assert error.code is Exit.USAGE


def test_check_of_a_missing_file(tmp_path: Path):
    """A file that is not there is named."""
    error = failed("check", str(tmp_path / "none.toml"))

    assert "none.toml" in error.message
    assert error.code is Exit.USAGE


def test_check_gives_advice(tmp_path: Path):
    """What is valid and seldom meant is told with what to try; only --strict ends with 1 for it."""
    path = tmp_path / "mine.toml"
    path.write_text("[rules]\nlost = 0.0\n")

    assert run("check", str(path)).splitlines()[2:] == [
        "Worth a second look:",
        "  rules.lost: everybody is lost at once",
        "    try 0.3 to 0.7",
    ]
    result = CliRunner().invoke(policy, ["check", "--strict", str(path)])
    assert result.exit_code == Exit.FINDING


def test_check_as_json(mine: str):
    """A program gets the changes with their defaults, the advice, and whether rows need a replay."""
    found = json.loads(run("check", mine, "--json"))

    assert found["changed"]["drivers.purchase.weight"] == {"value": 2.0, "default": 1.0}
    assert (found["version"], found["advice"], found["replay_needed"]) == ("mine", [], True)


def test_check_shortens_long_values(tmp_path: Path):
    """A value with many numbers, such as a list of engagements, takes one line at most."""
    path = tmp_path / "mine.toml"
    path.write_text(f"[rhythm]\nengagement = {['cx.order.placed.v1'] * 9}\n")
    line = next(each for each in run("check", str(path)).splitlines() if "rhythm.engagement" in each)

    assert "..., default [" in line
    assert len(line) < 160
