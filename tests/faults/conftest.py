"""Fixtures of the fault tests, and the option for their long form."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the rig, the oracle and the worker lie beside the tests

from rig import Rig  # found by the line above

KILLS = 5
CHAOS_S = 15.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--kills`: how often the worker is killed (5 without it; 200 is the long form)."""
    parser.addoption("--kills", type=int, default=KILLS, help="kill -9 the worker so often (long form: 200)")
    parser.addoption("--chaos", type=float, default=CHAOS_S, help="seconds of chaos (long form: 600)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what takes longest to `make faults`: a run of everything has to end within minutes."""
    if not any("faults" in Path(named).parts for named in config.args):
        for item in items:
            if item.get_closest_marker("apart"):
                item.add_marker(pytest.mark.skip("`make faults` runs it"))


@pytest.fixture
def chaos_s(request: pytest.FixtureRequest) -> float:
    """Return how long chaos lasts."""
    return float(request.config.getoption("--chaos", CHAOS_S))


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    """Return how often to kill."""
    return int(request.config.getoption("--kills", KILLS))


@pytest.fixture
def rig(kafka: str, topic_prefix: str, tmp_path: Path) -> Iterator[Rig]:
    """Return a rig on the shared Kafka; workers that are left are killed."""
    made = Rig(kafka, topic_prefix, tmp_path)
    yield made
    made.end()
