"""The leader board of worlds: experience that says nothing neither alarms nor costs."""

import builtins
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace as replace_struct

from streams.backtest import worlds_bench
from streams.backtest.metrics import auc
from streams.backtest.worlds import WORLDS
from streams.backtest.worlds_bench import (
    BUDGET,
    MUTED,
    OURS,
    PLAN,
    RULES,
    Board,
    Figures,
    Stage,
    mute,
    rule_alarms,
    scored,
)
from streams.backtest.worlds_life import lines, live
from streams.cli.main import cx
from streams.errors import CxError
from streams.scoring.policy import default_policy

DEFAULT = default_policy()


def lived(name: str, customers: int) -> Stage:
    """Return a world that was lived, scored and is ready to be judged."""
    world = replace(WORLDS[name], customers=customers)
    lives = live(world, 0)
    return scored(lives, lines(world, lives), DEFAULT, PLAN, BUDGET)


def lost(stage: Stage) -> float:
    """Return the AUC that experience costs; negative where it adds."""
    ours, muted = (auc(stage.scores[model], stage.label) for model in (OURS, MUTED))
    assert ours is not None
    assert muted is not None
    return muted - ours


@pytest.fixture(scope="module")
def zero() -> Stage:
    """Return the world in which moments say nothing."""
    return lived("zero", 600)


def test_experience_that_says_nothing_costs_nothing(zero: Stage):
    """In the world of zero effect the fitted experience terms cost at most .002 of AUC."""
    assert lost(zero) <= 0.002


def test_experience_that_says_nothing_raises_no_false_alarms(zero: Stage):
    """There, alerts are false as often as without experience, and come back at the nominal rate."""
    ours, muted = (zero.seen(zero.alarms(model)) for model in (OURS, MUTED))
    nominal = 1.0 - DEFAULT.rules.churn_open
    came_back, alerts = zero.came_back(OURS, DEFAULT.rules.churn_open)
    chance = 2.0 * math.sqrt(nominal * (1.0 - nominal) / alerts)

    assert ours.false_alarms <= muted.false_alarms + 0.02
    assert alerts > 100
    assert came_back <= nominal + chance


def test_the_fit_is_what_makes_it_so(zero: Stage):
    """Experience listened to as the default policy does costs more than a fit may: the measure sees it."""
    terms = DEFAULT.churn.experience_per_10_points
    assert zero.policy.churn.experience_per_10_points < 0.5 * terms


def test_rules_alert_once_a_cycle(zero: Stage):
    """A worker's alerts are counted once between two purchases, and only within the judged time."""
    alarms = rule_alarms(zero)
    cycles = [
        (index, int(np.searchsorted(zero.lives[index].purchases, at_s, side="right")))
        for index, at_s in zip(alarms.customer.tolist(), alarms.at_s.tolist(), strict=True)
    ]

    assert len(set(cycles)) == len(cycles) > 50
    assert zero.span[0] < alarms.at_s.min() <= alarms.at_s.max() <= zero.span[1]
    assert zero.seen(alarms).detected > 0.8


def test_muted_policies_hear_nothing():
    """A muted policy differs in its experience terms alone."""
    found = mute(DEFAULT).churn

    assert found.experience_per_10_points == found.cancel_page == found.complaint == 0.0
    assert found.rhythm == DEFAULT.churn.rhythm


def test_no_alerts_promise_nothing(zero: Stage):
    """Where no score is high enough, nobody comes back."""
    assert zero.came_back(OURS, 2.0) == (0.0, 0)


def test_the_command_prints_a_board():
    """A world is told with every model, its figures, and what experience adds; --json is for programs."""
    command = ["bench-model", "--world", "planted", "--customers", "120", "--json"]
    found = json.loads(CliRunner().invoke(cx, command, catch_exceptions=False).stdout)
    [world] = found["worlds"]

    assert {"ours", "ours_muted", "rules", "recency", "counter", "mbgnbd", "bgnbd", "rfm"} == set(
        world["models"]
    )
    assert world["customers"] == 120
    assert set(world["models"][RULES]) >= {"auc", "detected", "false_alarms", "lead_days", "alerts"}
    assert (found["seed"], found["policy"]) == (0, DEFAULT.hash)


def test_a_board_for_people(monkeypatch: pytest.MonkeyPatch):
    """A person sees the models with the best first, and what the columns mean."""
    figures = Figures(
        auc=0.8,
        brier=0.17,
        ece=0.01,
        detected=0.5,
        detected_driven=0.75,
        false_alarms=0.25,
        lead_days=60.0,
        alerts=9,
    )
    board = Board(
        world="planted",
        says="it says so",
        customers=100,
        events=1000,
        left=40,
        rows=500,
        base_rate=0.4,
        nominal=0.3,
        came_back=0.2,
        models={
            RULES: replace_struct(figures, auc=None, brier=None, ece=None),
            MUTED: replace_struct(figures, auc=0.79),
            OURS: figures,
        },
    )
    monkeypatch.setattr(worlds_bench, "bench", lambda *_, **__: board)
    output = CliRunner().invoke(cx, ["bench-model", "--world", "planted", "--budget", "5"]).stdout
    told = [line.split() for line in output.splitlines()]

    assert output.startswith("planted: it says so\n")
    assert ["our", "model", "0.800", "0.170", "0.010", "50%", "75%", "25%", "60d", "9"] in told
    assert ["our", "rules", "-", "-", "-", "50%", "75%", "25%", "60d", "9"] in told
    only = replace_struct(board, models={each: replace_struct(figures, auc=None) for each in board.models})
    monkeypatch.setattr(worlds_bench, "bench", lambda *_, **__: only)
    assert "experience adds" not in CliRunner().invoke(cx, ["bench-model", "--world", "zero"]).stdout
    ranked = [line[:2] for line in told if line[:1] in (["our"], ["ours,"])]
    assert ranked == [["our", "model"], ["ours,", "no"], ["our", "rules"]]
    assert "experience adds +0.0100 AUC; of alerts at p = 0.70, 20% came back" in output
    assert "\nEach model may raise 5 alerts per 1,000 active customers a week" in output


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch):
    """Where numpy or scipy are not installed, the command says what to install."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "streams.backtest.worlds_bench":
            msg = "No module named 'scipy'"
            raise ModuleNotFoundError(msg, name="scipy")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    result = CliRunner().invoke(cx, ["bench-model", "--world", "zero"])

    assert isinstance(result.exception, CxError)
    assert result.exception.mend == "pip install 'cx-signals[fit]'"
