"""Options of the simulation."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the simulation lies beside its tests

from simulation import CI_SEEDS

from streams.engine import partition, queue


@pytest.fixture(autouse=True)
def few_records_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let also the small transactions of a simulation be made of slices and groups of customers."""
    monkeypatch.setattr(queue, "SLICE_RECORDS", 3)
    monkeypatch.setattr(partition, "GROUP_RECORDS", 3)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--seeds` (how many) and `--seed` (run that one again)."""
    parser.addoption("--seeds", type=int, default=CI_SEEDS, help="number of simulated runs")
    parser.addoption("--seed", type=int, default=None, help="run this seed alone")
