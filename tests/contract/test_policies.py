"""The policies that come with the product do what their tests say, and so does the page on such tests."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.cli.main import cx
from streams.scoring.policy import default_policy, load_policy

POLICIES = Path(__file__).parents[2] / "policies"
FOLDERS = sorted(path for path in POLICIES.iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_policies_pass_their_tests(folder: Path):
    """Each policy of the folder is valid, and its own tests pass."""
    load_policy(folder / "policy.toml")
    result = CliRunner().invoke(cx, ["policy", "test", str(folder)])

    assert result.exit_code == 0, result.output


def test_retail_is_the_default():
    """What the tests of the retail policy prove holds for who names no policy at all."""
    assert load_policy(POLICIES / "retail/policy.toml").hash == default_policy().hash


def test_a_change_for_the_worse_is_seen(tmp_path: Path):
    """A policy under which one terrible delivery weighs nothing fails the stories of the default one."""
    worse = tmp_path / "worse.toml"
    worse.write_text("[drivers.failed_delivery]\nweight = 0.01\n")
    result = CliRunner().invoke(cx, ["policy", "test", str(POLICIES / "retail"), "--policy", str(worse)])

    assert result.exit_code == 1
    assert "FAILED  weekly shopper, a terrible delivery today" in result.output


def test_the_example_of_the_page_passes(tmp_path: Path):
    """The test file that concepts.md shows is one, and passes under the default policy."""
    page = (POLICIES.parent / "docs/concepts.md").read_text()
    [example] = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "policy.toml").write_text("")
    (tmp_path / "example.yaml").write_text(example)
    result = CliRunner().invoke(cx, ["policy", "test", str(tmp_path)])

    assert result.exit_code == 0, result.output
