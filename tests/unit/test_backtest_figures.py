"""The figures that docs/model.md and docs/concepts.md tell, on whole sets; run by hand: pytest -m long."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from streams.backtest.worlds import WORLDS
from streams.backtest.worlds_bench import MUTED, OURS, Figures, bench
from streams.cli.main import cx
from streams.errors import CxError
from streams.scoring.policy import default_policy
from tests.purchases import order

pytestmark = pytest.mark.long


def told(*arguments: str) -> Any:
    """Return what `cx backtest --json` tells; skips without the data set's package."""
    try:
        result = CliRunner().invoke(cx, ["backtest", *arguments, "--json"], catch_exceptions=False)
    except CxError as error:
        pytest.skip(str(error))
    return orjson.loads(result.stdout)


def hold(figures: Any, pooled: float, within: float) -> Any:
    """Hold what all weekly replays must reach, and return our model's figures."""
    ours = figures["models"]["ours"]
    assert ours["auc"] >= pooled
    assert ours["auc_within"] >= within
    assert ours["ece"] <= 0.025
    assert ours["above_recency"] >= 0.05
    assert ours["above_recency_ci95"][0] > 0.0
    best = max(model["auc"] for model in figures["models"].values())
    assert ours["auc"] >= best - 0.005
    return ours


def test_the_sample_of_cdnow_each_week():
    """Each week, who does not buy within 90 days, on the CDNOW sample."""
    figures = told("--dataset", "cdnow-sample", "--horizon", "90d", "--active", "180d", "--every", "7d")

    assert figures["models"]["recency"]["auc"] == pytest.approx(0.653, abs=0.002)
    hold(figures, 0.713, 0.715)


def test_all_of_cdnow_each_week():
    """The same of all 23,570 customers: their ranking is harder for every model, ours is the best."""
    hold(told("--dataset", "cdnow"), 0.705, 0.705)


def subscribers() -> Iterator[bytes]:
    """Yield the renewals of customers who come exactly each 30 days, until one chance in twenty ends it."""
    rng = random.Random(1)
    for number in range(300):
        at = rng.uniform(0, 300)
        while at < 700:
            yield order(f"s{number}", round(at, 3))
            if rng.random() < 0.05:
                break
            at += 30


def test_who_comes_by_the_calendar(tmp_path: Path):
    """The limit that docs/model.md admits: within a period silence is no risk, and ours must say it is."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(subscribers()))
    for horizon, figures in (
        ("14d", {"ours": 0.466, "rfm": 0.980}),
        ("60d", {"ours": 0.867, "rfm": 0.882, "recency": 0.883}),
    ):
        models = told(str(path), "--horizon", horizon, "--every", "7d")["models"]
        assert {name: models[name]["auc"] for name in figures} == pytest.approx(figures, abs=0.002)


def test_the_complete_journey_each_week():
    """Each week, who does not come to a store within 28 days, on The Complete Journey."""
    figures = told("--dataset", "complete-journey", "--horizon", "28d", "--active", "42d", "--every", "7d")

    ours = hold(figures, 0.845, 0.845)
    assert ours["p_at_1"] >= 0.60


def test_the_second_half_of_cdnow_from_the_first():
    """Who of the CDNOW sample never buys in the last 39 weeks, learnt from the first 39 alone."""
    figures = told("--dataset", "cdnow-sample", "--horizon", "273d", "--active", "273d", "--warmup", "273d")

    assert (figures["rows"], figures["periods"]) == (2357, 1)
    assert figures["models"]["bgnbd"]["auc"] == pytest.approx(0.316, abs=0.005)
    assert figures["models"]["mbgnbd"]["auc"] == pytest.approx(0.760, abs=0.005)
    assert figures["models"]["ours"]["auc"] >= 0.780


def row_of(name: str) -> list[str]:
    """Return the cells of a world in the table of docs/concepts.md."""
    text = (Path(__file__).parents[2] / "docs/concepts.md").read_text()
    [row] = re.findall(rf"^\| `{name}` \| (.*) \|$", text, re.MULTILINE)
    return [cell.strip() for cell in row.split("|")]


@pytest.mark.parametrize("name", WORLDS)
def test_the_table_of_worlds_is_right(name: str):
    """Each figure that the concepts give of a world is the one that `cx bench-model` prints."""
    models = bench(WORLDS[name], default_policy()).models
    beside = (models[OURS], models[MUTED], models["mbgnbd"])

    def three(figure: str, form: str) -> str:
        ours, muted, mbg = (f"{getattr(model, figure):{form}}".lstrip("0") for model in beside)
        return f"{ours} ({muted}, {mbg})"

    ours: Figures = models[OURS]
    assert row_of(name) == [
        three("auc", ".3f"),
        f"{ours.ece:.3f}".lstrip("0"),
        f"{ours.detected:.0%}",
        "" if ours.detected_driven is None else three("detected_driven", ".0%"),
        three("false_alarms", ".0%"),
        three("lead_days", ".0f"),
    ]
