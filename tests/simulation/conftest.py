"""Options of the simulation."""

import pytest

CI_SEEDS = 200


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--seeds` (how many) and `--seed` (run that one again)."""
    parser.addoption("--seeds", type=int, default=CI_SEEDS, help="number of simulated runs")
    parser.addoption("--seed", type=int, default=None, help="run this seed alone")
