"""Options of the simulation."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the simulation lies beside its tests

from simulation import CI_SEEDS

from streams.engine import partition, queue

FEW, MANY = 3, 30


@pytest.fixture(autouse=True)
def few_records_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let also the small transactions of a simulation be made of slices and groups of customers.

    With every second seed a group has room, so that what nobody waits for gathers.
    """
    seed = request.node.callspec.params.get("seed", 1) if hasattr(request.node, "callspec") else 1
    monkeypatch.setattr(queue, "SLICE_RECORDS", FEW)
    monkeypatch.setattr(partition, "GROUP_RECORDS", FEW if seed % 2 else MANY)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--seeds` (how many) and `--seed` (run that one again)."""
    parser.addoption("--seeds", type=int, default=CI_SEEDS, help="number of simulated runs")
    parser.addoption("--seed", type=int, default=None, help="run this seed alone")
