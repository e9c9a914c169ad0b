"""Dashboards and rules as files: generated, complete, explained, and of metrics that exist."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from grafana.boards.kit import TITLES
from grafana.build import files
from streams.cli.main import cx
from streams.observe.metrics import BY_NAME, Kind
from streams.settings import Settings, variable

ROOT = Path(__file__).parents[2]
BOARDS = {
    path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "grafana/dashboards").glob("*.json"))
}
RULE_FILES = sorted((ROOT / "grafana/rules").glob("*.yml"))
RULES = [
    rule
    for path in RULE_FILES
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in board["panels"]]
OTHERS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "python_gc_collections_total",
    "up",
    "ALERTS",
}
SCHEMA = 41
UNSEEN = {
    "cx_source_newest_event_timestamp_seconds": "freshness is shown by channel; this finds the source",
    "cx_sweep_passes_total": "the age and the length of the last pass are shown",
    "cx_rows_written_total": "their bytes are shown",
    "cx_kept_partitions_total": "the time without work is shown; this tells why it was short",
    "cx_recovery_seconds_total": "the time without work is shown; this is the part of it that reads",
}
"""Metrics for whoever asks by hand, and why no panel has them."""
LONG_WINDOWS = {"1h", "2m", "30d", "1d"}
"""Windows that mean something by themselves; all others follow the resolution of the panel."""


def queries(panel: dict[str, Any]) -> list[str]:
    """Return the PromQL of a panel."""
    return [target["expr"] for target in panel["targets"]]


def every_query() -> Iterator[str]:
    """Yield the PromQL of every panel, annotation and rule."""
    for board in BOARDS.values():
        for panel in board["panels"]:
            yield from queries(panel)
        for annotation in board["annotations"]["list"]:
            yield annotation["expr"]
    for rule in RULES:
        yield rule["expr"]


def names(query: str) -> set[str]:
    """Return the metrics and recorded series that a query names."""
    bare = re.sub(r'"[^"]*"', '""', query)
    return set(re.findall(r"\b(?:cx|process|python)[_:][a-z0-9_:]+|\bALERTS\b|\bup\b", bare))


def test_the_files_are_what_their_definitions_give():
    """Dashboards and burn-rate rules are generated: mend with `python -m grafana.build`."""
    for path, text in files():
        assert path.read_text() == text, path


def test_every_dashboard_is_there():
    """Four dashboards, each linked to the other three with its variables and its time."""
    assert set(BOARDS) == set(TITLES)
    for uid, board in BOARDS.items():
        assert {link["url"] for link in board["links"]} == {f"/d/{other}" for other in TITLES if other != uid}
        assert all(link["includeVars"] and link["keepTime"] for link in board["links"])


def test_the_dashboards_are_written_in_the_schema_of_the_grafana_that_shows_them():
    """The classic model is what Grafana 12.1 reads by default; it migrates what is older, nothing newer."""
    image = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["image"]
    assert image.startswith("grafana/grafana:12.1.")
    assert {board["schemaVersion"] for board in BOARDS.values()} == {SCHEMA}
    assert {panel["type"] for _, panel in PANELS} <= {"stat", "timeseries", "bargauge"}


@pytest.mark.parametrize(
    ("title", "limits"),
    [
        ("Time to score", [5]),
        ("Time to alert, and to its receiver", [60, 120]),
        ("Burn rate, last hour", [14.4]),
        ("Event loop lag, 99 of 100", [1]),
        ("Calibration error and Brier score, 30 days", [0.1]),
        ("Computing time", [0.9]),
    ],
)
def test_a_limit_that_alerts_is_a_line_of_its_panel(title: str, limits: list[float]):
    """Whoever looks sees how far a figure is from the value that its objective or its alert names."""
    [panel] = [panel for _, panel in PANELS if panel["title"] == title]
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["custom"]["thresholdsStyle"]["mode"] == "dashed"
    assert [step["value"] for step in defaults["thresholds"]["steps"] if step.get("value")] == limits


def test_every_metric_of_a_worker_or_a_delivery_is_shown_or_watched():
    """What nobody looks at need not be counted; each that neither a panel nor a rule names says why."""
    named = {name for query in every_query() for name in names(query)}
    bare = {re.sub(r"_(bucket|count|sum)$", "", name) for name in named}
    assert BY_NAME.keys() - named - bare == UNSEEN.keys()


@pytest.mark.parametrize("uid", BOARDS)
def test_a_dashboard_has_variables_annotations_and_one_question(uid: str):
    """Data source, job and instance can be chosen; rebalances and policy changes are marked."""
    board = BOARDS[uid]
    assert [each["name"] for each in board["templating"]["list"]] == ["datasource", "job", "instance"]
    assert [each["name"] for each in board["annotations"]["list"]] == [
        "Rebalances",
        "Policy changes",
        "Incidents of silent channels",
    ]
    assert board["description"].endswith("?")
    assert len(board["panels"]) <= 20


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=[f"{uid}: {panel['title']}" for uid, panel in PANELS])
def test_a_panel_is_explained_and_asks_the_chosen_source(uid: str, panel: dict[str, Any]):
    """Each has a sentence, a unit and the data source of the variable."""
    assert panel["description"].endswith("."), uid
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=[f"{uid}: {panel['title']}" for uid, panel in PANELS])
def test_a_panel_takes_rates_of_counters_at_its_own_resolution(uid: str, panel: dict[str, Any]):
    """`$__rate_interval`, or a window that means something; and of the job and instance chosen."""
    for query in queries(panel):
        for window in re.findall(r"\[([^\]]+)\]", query):
            assert window == "$__rate_interval" or window in LONG_WINDOWS, uid
        if names(query) - {"ALERTS"}:
            assert '$job"' in query


def test_counters_are_read_by_their_increase_only():
    """A counter begins at 0 with each process: its value alone says nothing, but where it is a new series."""
    for query in every_query():
        bare = re.sub(r"\b(\w+) unless \1 offset", "", re.sub(r'"[^"]*"', '""', query))
        for found in re.finditer(r"\b(cx_\w+_total|cx_\w+_(?:bucket|count|sum))\b", bare):
            before = bare[: found.start()]
            assert re.search(r"(rate|increase)\($", before), query


def test_every_metric_that_is_named_exists():
    """A panel or rule on a name that nobody serves would be empty for ever."""
    known = OTHERS | RECORDED
    for metric in BY_NAME.values():
        known |= {metric.name}
        if metric.kind is Kind.HISTOGRAM:
            known |= {f"{metric.name}_{part}" for part in ("bucket", "count", "sum")}
    for query in every_query():
        assert names(query) <= known, query


def test_every_recorded_series_is_used():
    """A rule that nobody reads costs and says nothing."""
    used = {name for query in every_query() for name in names(query)}
    windows = {name for name in RECORDED if name.startswith("cx:slo_errors:ratio_rate")}
    assert RECORDED - used <= windows


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_costs_and_what_to_do(name: str):
    """Severity, summary, impact, causes, actions, and a runbook that exists."""
    alert = ALERTS[name]
    said = alert["annotations"]
    assert alert["labels"]["severity"] in {"page", "ticket", "info", "none"}
    assert set(said) == {"summary", "description", "impact", "causes", "actions", "runbook"}
    page, anchor = said["runbook"].split("#")
    headings = re.findall(r"^### (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not(name: str):
    """Promtool runs them (tests/ops); here: that both are written."""
    expected: dict[str, set[bool]] = {}
    for path in sorted((ROOT / "grafana/rules/tests").glob("*.yml")):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["promql_expr_test"]:
                found = re.fullmatch(
                    r'count\(ALERTS\{alertname="(\w+)", alertstate="firing"\}\)', case["expr"]
                )
                if found:
                    expected.setdefault(found[1], set()).add(bool(case.get("exp_samples")))
    wanted = {True} if name == "CxWatchdog" else {True, False}
    assert expected.get(name) == wanted


def test_every_command_of_a_runbook_exists():
    """What an alert or a runbook tells to run can be run."""
    page = (ROOT / "docs/operations.md").read_text()
    books = page[page.index("\n## Runbooks\n") : page.index("\n## Honest limits\n")]
    told = " ".join(text for alert in ALERTS.values() for text in alert["annotations"].values())
    for command in sorted(set(re.findall(r"`cx ([a-z][a-z -]*[a-z])", books + told))):
        found, context = cx, click.Context(cx)
        for word in command.split():
            if isinstance(found, click.Group):
                inner = found.get_command(context, word)
                assert inner is not None, command
                found = inner


def test_every_setting_of_a_runbook_exists():
    """What is to be set can be set."""
    page = (ROOT / "docs/operations.md").read_text()
    told = page + " ".join(text for alert in ALERTS.values() for text in alert["annotations"].values())
    settings = {variable(each.name) for each in fields(Settings)}
    for name in re.findall(r"`(CX_[A-Z_]+)", told[page.index("## Runbooks") :]):
        assert name in settings, name
