"""The rules by promtool: valid, and each alert firing in one history and silent in another."""

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.ops.programs import ROOT, RULE_TESTS, RULES, run

pytestmark = pytest.mark.ops


def test_the_rules_are_valid():
    """Promtool reads every rule, and finds nothing to say about them."""
    run("promtool", "check", "rules", "--lint=all", "--lint-fatal", *sorted(RULES.glob("*.yml")))


def test_the_configurations_are_valid():
    """Alertmanager's tool reads our routes and inhibitions."""
    run("amtool", "check-config", ROOT / "grafana/alertmanager.yml")


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_silent_as_written(rule_tests: Mapping[Path, Future[None]], path: Path):
    """Each alert fires in a history that needs it and is silent in one that does not."""
    rule_tests[path].result(60)
