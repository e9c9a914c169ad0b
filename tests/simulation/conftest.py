"""Options of the simulation."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the simulation lies beside its tests

from simulation import CI_SEEDS

from streams.engine import partition


@pytest.fixture(autouse=True)
def few_records_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let also the small transactions of a simulation be computed in groups of customers."""
    monkeypatch.setattr(partition, "GROUP_RECORDS", 3)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--seeds` (how many) and `--seed` (run that one again)."""
    parser.addoption("--seeds", type=int, default=CI_SEEDS, help="number of simulated runs")
    parser.addoption("--seed", type=int, default=None, help="run this seed alone")
