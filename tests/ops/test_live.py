"""Every query of every dashboard and rule, against a real Prometheus that scrapes a worker under load."""

import html
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from grafana.boards.kit import TITLES
from grafana.contact_sheet import BROWSERS, Prometheus, draw
from streams.observe.metrics import DELIVERY, METRICS, Kind
from tests.live_worker import until
from tests.ops.conftest import Stack
from tests.ops.programs import ROOT, RULES, program

pytestmark = pytest.mark.ops

SCRAPES = 6
EVALUATIONS = 20
"""Of all rules: what is recorded from what is recorded comes an evaluation later."""
MOST_SERIES = 1_500
"""Of one worker with one named source, two partitions and every type of touchpoint."""
RARE = {
    "CxNoWorker": "fires only where no worker is left",
    "CxNoDelivery": "fires only where a delivery was and is none any more",
    "CxLagGrowing": "compares with ten minutes ago",
    "CxRejectShareDoubled": "compares with the day before",
    "CxMassOfAlerts": "compares with the week before",
    "Rebalances": "the in-memory log has no rebalance",
}


def queries() -> list[tuple[str, str]]:
    """Return every query with a name for it."""
    found = []
    for path in sorted((ROOT / "grafana/dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            found += [(f"{path.stem}: {panel['title']}", target["expr"]) for target in panel["targets"]]
        found += [(each["name"], each["expr"]) for each in board["annotations"]["list"]]
    for path in sorted(RULES.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            found += [
                (rule.get("alert") or rule["record"], open_ended(rule["expr"])) for rule in group["rules"]
            ]
    return found


def open_ended(promql: str) -> str:
    """Return a rule's expression without its thresholds: each comparison says 0 or 1 instead of nothing."""
    return re.sub(r"(?<= )(==|>|<)(?= )(?! bool)", r"\1 bool", promql)


def chosen(promql: str) -> str:
    """Return a panel's query as Grafana sends it: all jobs, all instances, four scrapes a rate."""
    variables = {"$__rate_interval": "5s", "$job": ".+", "$instance": ".+"}
    for name, value in variables.items():
        promql = promql.replace(name, value)
    return promql


def numbers(series: list[dict[str, Any]]) -> list[float]:
    """Return the values that are numbers; nothing divided by nothing is none."""
    values = [each["value"][1] if isinstance(each, dict) else each[1] for each in series]
    return [float(value) for value in values if value != "NaN"]


@pytest.fixture(scope="module")
def scraped(stack: Stack) -> Stack:
    """Return the stack after some scrapes, when the sweep has been round and an alert was raised."""
    ask = stack.monitoring.query

    def ready() -> bool:
        scrapes = numbers(ask('min(count_over_time(up{job=~"cx-.*"}[1m]))'))
        swept = numbers(ask("min(cx_sweep_passes_total)"))
        alerts = numbers(ask("count(count_over_time(cx_alert_steps_total[1m]) > 3)"))
        return bool(scrapes and scrapes[0] >= SCRAPES and swept and swept[0] >= 1 and alerts)

    until(ready, f"{SCRAPES} scrapes, a sweep and an alert")
    return stack


def test_every_query_returns_data(scraped: Stack):
    """No panel and no rule is empty, but for those that name why."""

    def empty() -> set[str]:
        return {name for name, promql in queries() if not numbers(scraped.monitoring.query(chosen(promql)))}

    for _ in range(EVALUATIONS):
        if not empty() - set(RARE):
            break
        scraped.monitoring.evaluated()
    assert empty() - set(RARE) == set()


def test_every_rule_is_evaluated_without_an_error(scraped: Stack):
    """Prometheus has loaded all of them and none fails."""
    groups = scraped.monitoring.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) >= 60
    assert [rule for rule in rules if rule.get("lastError")] == []


def test_a_live_worker_serves_the_whole_table(scraped: Stack):
    """Every metric of the table has a series: a family without one would leave its panels empty."""
    served = {}
    for target in (scraped.worker.target, scraped.delivery.target):
        with urllib.request.urlopen(f"http://{target}/metrics", timeout=5) as response:
            for family in text_string_to_metric_families(response.read().decode()):
                served[family.name] = served.get(family.name, 0) + len(family.samples)
    names = {
        metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name
        for metric in (*METRICS, *DELIVERY)
    }
    assert {name for name in names if not served.get(name)} == set()


def test_a_worker_has_few_series(scraped: Stack):
    """Labels are closed sets: a worker stays far below what a Prometheus notices (G8)."""
    [found] = scraped.monitoring.query('count({job="cx-worker", __name__=~"cx_.+"})')
    assert float(found["value"][1]) < MOST_SERIES


def test_a_channel_that_stops_raises_an_alert_that_ends_when_it_is_back(scraped: Stack):
    """The store sends as it did last week; it stops: somebody is told; it is back: they are told that too."""
    silent = {"alertname": "CxChannelSilent", "channel": "store", "severity": "ticket"}
    assert not scraped.webhook.got("firing", **silent)
    scraped.worker.silent.add("store")
    until(lambda: scraped.webhook.got("firing", **silent), "the alert reaches the receiver")
    scraped.worker.silent.clear()
    until(lambda: scraped.webhook.got("resolved", **silent), "the receiver hears that it is over")


def test_the_contact_sheet_draws_every_panel(scraped: Stack, tmp_path: Path):
    """A page a dashboard, each panel at its place with what its queries give."""
    pages = draw(Prometheus(scraped.monitoring.url, minutes=0.5, rate_s=5.0), tmp_path, png=False)
    assert [path.stem for path in pages] == sorted(TITLES)
    for path in pages:
        text = path.read_text()
        drawn = [int(number) for number in re.findall(r'data-series="(\d+)"', text)]
        panels = json.loads((ROOT / f"grafana/dashboards/{path.stem}.json").read_text())["panels"]
        assert len(drawn) == len(panels)
        assert min(drawn) >= 1, path.stem
        assert all(html.escape(panel["title"]) in text for panel in panels)


@pytest.mark.long
def test_the_contact_sheet_becomes_pictures(scraped: Stack, tmp_path: Path):
    """A Chromium draws the pages as wide and high as the dashboards are."""
    program(*BROWSERS)
    drawn = draw(Prometheus(scraped.monitoring.url, minutes=0.5, rate_s=5.0), tmp_path, png=True)
    pictures = [path for path in drawn if path.suffix == ".png"]
    assert len(pictures) == len(TITLES)
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)
    assert min(path.stat().st_size for path in pictures) > 20_000
