"""The last lines of a test run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_runs():
    pass

@pytest.mark.parametrize("n", [1, 2])
def test_skips(n):
    pytest.skip("no real Kafka: no Java")
"""


def last_lines(root: Path, *arguments: str) -> list[str]:
    """Run pytest on the tests below `root` with the project's conftest and return what it printed."""
    shutil.copy(Path(__file__).parents[1] / "conftest.py", root / "tests")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "--rootdir", str(root), *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()


def test_a_run_ends_with_what_each_tier_skipped_and_why(tmp_path: Path):
    """After pytest's own summary each tier has a line: tests run, tests skipped, the reason once."""
    for tier in ("unit", "integration"):
        (tmp_path / "tests" / tier).mkdir(parents=True)
    (tmp_path / "tests" / "unit" / "test_a.py").write_text("def test_a(): pass\n")
    (tmp_path / "tests" / "integration" / "test_b.py").write_text(TESTS)
    lines = last_lines(tmp_path)
    at = lines.index("tier unit: ran 1")
    assert lines[at + 1] == "tier integration: ran 1; skipped 2: no real Kafka: no Java"
    assert any(line.startswith("SKIPPED") for line in lines[:at])
    assert not any(line.startswith("SKIPPED") for line in lines[at:])


def test_a_given_kafka_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With CX_TEST_KAFKA set the fixture gives that address and starts nothing."""
    monkeypatch.setenv("CX_TEST_KAFKA", "broker.example:9092")
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    test = "def test_a(kafka, topic_prefix):\n    assert kafka == 'broker.example:9092' and topic_prefix\n"
    (tmp_path / "tests" / "unit" / "test_a.py").write_text(test)
    assert "tier unit: ran 1" in last_lines(tmp_path)


def test_without_a_kafka_the_reason_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where no Kafka can be had, tests that need one are skipped with the reason and the mend."""
    monkeypatch.delenv("CX_TEST_KAFKA", raising=False)
    monkeypatch.setenv("CX_KAFKA_HOME", str(tmp_path))
    (tmp_path / "tests" / "integration").mkdir(parents=True)
    (tmp_path / "tests" / "integration" / "test_a.py").write_text("def test_a(kafka): pass\n")
    (line,) = [line for line in last_lines(tmp_path) if line.startswith("tier ")]
    assert line.startswith("tier integration: ran 0; skipped 1: no real Kafka: ")
    assert "cx demo --memory" in line or "CX_KAFKA_HOME" in line
