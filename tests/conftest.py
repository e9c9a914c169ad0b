"""What the tiers of tests share: a real Kafka where one can be had, and a last word on what was skipped."""

import os
import sys
import uuid
from collections import Counter
from collections.abc import Generator, Iterator
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _sources_only(path: str) -> FileFinder:
    """Find this project's sources, never the compiled modules beside them: coverage sees sources only."""
    where = Path(path).resolve()
    if not any(where.is_relative_to(ROOT / package) for package in ("streams", "schemas")):
        raise ImportError(path)
    return FileFinder(path, (SourceFileLoader, SOURCE_SUFFIXES))


COMPILED = bool(os.environ.get("CX_TEST_COMPILED"))
"""Test the compiled modules where there are any: what a compiler makes of the types, no source shows."""
if not COMPILED:
    sys.path_hooks.insert(0, _sources_only)
    sys.path_importer_cache.clear()

from streams.errors import CxError  # noqa: E402  # after the hook
from streams.local_kafka.node import LocalKafka  # noqa: E402

TIERS = ("unit", "property", "contract", "simulation", "integration", "faults", "ops")
_skips: dict[str, Counter[str]] = {}
_ran: Counter[str] = Counter()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a real Kafka: `CX_TEST_KAFKA` if set, else one started for this run."""
    if given := os.environ.get("CX_TEST_KAFKA"):
        yield given
        return
    broker = LocalKafka(tmp_path_factory.mktemp("kafka"))
    try:
        broker.start()
    except CxError as error:
        pytest.skip(f"no real Kafka: {error.message.splitlines()[0]} ({error.mend})")
    yield broker.bootstrap_servers
    broker.stop()


@pytest.fixture
def topic_prefix() -> str:
    """Return a prefix for topics, groups and application ids that no other test has."""
    return f"t{uuid.uuid4().hex[:10]}."


def _tier(nodeid: str) -> str:
    """Return the tier of a test: its folder below tests/."""
    parts = nodeid.split("/")
    return parts[1] if len(parts) > 2 else "other"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count a test as run or as skipped with its reason."""
    tier = _tier(report.nodeid)
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _skips.setdefault(tier, Counter())[reason.removeprefix("Skipped: ")] += 1
    elif report.when == "call":
        _ran[tier] += 1


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """End with one line a tier: how many tests ran, how many were skipped and why."""
    yield  # pytest's own summary comes first: these are the last lines
    seen = [tier for tier in (*TIERS, "other") if tier in _ran or tier in _skips]
    for tier in seen:
        line = f"tier {tier}: ran {_ran[tier]}"
        for reason, count in sorted(_skips.get(tier, {}).items()):
            line += f"; skipped {count}: {reason}"
        terminalreporter.write_line(line)
