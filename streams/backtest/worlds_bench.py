"""The leader board of a world: our model and the baselines, by what is really so."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from streams.backtest.baselines import PROBABILITIES
from streams.backtest.baselines import TITLES as BASELINES
from streams.backtest.fit import SCALED
from streams.backtest.log import Floats, Ints, Log, read_log
from streams.backtest.metrics import auc, brier, ece
from streams.backtest.plan import Plan, grid, next_fit, policy_with
from streams.backtest.walk import Walk, Walked
from streams.backtest.worlds import World
from streams.backtest.worlds_life import Life, lines, live
from streams.backtest.worlds_truth import WEEK_DAYS, Alarms, Cycles, Seen, cycles, judge
from streams.rulebook.diff import STRIDE
from streams.rulebook.life import Life as Lived
from streams.scoring.apply import Scorer
from streams.scoring.policy import Policy

if TYPE_CHECKING:
    from schemas.envelope import Touchpoint

PLAN: Final = Plan(horizon_days=90, active_days=180, every_days=7, warmup_days=270)
BUDGET: Final = 10.0
"""Alerts per 1,000 active customers a week, for each model."""
OURS: Final = "ours"
MUTED: Final = "ours_muted"
"""Our model, fitted with experience saying nothing: what experience adds, or costs, is the difference."""
CHURN_RULES: Final = frozenset({"churn_risk", "silence"})
RULES: Final = "rules"
"""The alerts that a worker opens, at the rate that they have: rules look at what changed, not at the risk."""
TITLES: Final = {**BASELINES, OURS: "our model", MUTED: "ours, no experience", RULES: "our rules"}


class Figures(msgspec.Struct, kw_only=True):
    """One model in one world; `brier` and `ece` are None for a score that is no probability."""

    auc: float | None
    brier: float | None
    ece: float | None
    detected: float
    detected_driven: float | None
    """Of those whom a moment drove out; None where nobody was."""
    false_alarms: float
    lead_days: float
    alerts: int


class Board(msgspec.Struct, kw_only=True):
    """All models in one world."""

    world: str
    says: str
    customers: int
    events: int
    left: int
    rows: int
    """Judged: a customer and a week each."""
    base_rate: float
    """Share of the rows after which nothing was bought within the horizon."""
    nominal: float
    """Share of alerts at the policy's `churn_open` that may come back: 1 - `churn_open`."""
    came_back: float
    """Share of our model's alerts at that probability that did buy within the horizon."""
    models: dict[str, Figures]


@dataclass(frozen=True, slots=True)
class Stage:
    """A world that was lived and scored: the judged rows, and how alerts on them are judged."""

    lives: list[Life]
    plan: Plan
    customer: Ints
    """Of each row, an index of `lives`."""
    at_s: Floats
    label: Floats
    """1 where nothing was bought within the horizon."""
    scores: dict[str, Floats]
    budget: float
    log: Log
    policy: Policy
    """The one in force when the judged rows begin."""

    @property
    def weeks(self) -> float:
        """Weeks of all active customers together."""
        return len(self.label) * self.plan.every_days / WEEK_DAYS

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last judged time, seconds."""
        return float(self.at_s.min()), float(self.at_s.max())

    def seen(self, alarms: Alarms) -> Seen:
        """Return what alerts were worth."""
        horizon = self.plan.horizon_days
        return judge(self.lives, alarms, horizon_days=horizon, span=self.span, weeks=self.weeks)

    def alarms(self, model: str) -> Alarms:
        """Return the alerts of a model under the budget."""
        rows = self._by_cycle(model)
        return rows.alarms(rows.threshold(round(self.budget * self.weeks / 1000.0)))

    def _by_cycle(self, model: str) -> Cycles:
        cycle = cycles(self.lives, self.customer, self.at_s)
        return Cycles(self.customer, self.at_s, cycle, self.scores[model])

    def came_back(self, model: str, probability: float) -> tuple[float, int]:
        """Return what share of the alerts raised at a probability bought within the horizon, of how many.

        The nominal rate is 1 - `probability`: an alert at .7 says that three of ten come back at most.
        """
        alarms = self._by_cycle(model).alarms(probability)
        pairs = zip(self.customer.tolist(), self.at_s.tolist(), strict=True)
        place = {pair: row for row, pair in enumerate(pairs)}
        raised = zip(alarms.customer.tolist(), alarms.at_s.tolist(), strict=True)
        rows = np.array([place[pair] for pair in raised], dtype=np.int64)
        return (float(np.mean(1.0 - self.label[rows])) if len(rows) else 0.0), len(rows)

    def figures(self, model: str) -> Figures:
        """Return what a model is worth."""
        score, seen = self.scores[model], self.seen(self.alarms(model))
        probable = model in PROBABILITIES or model == MUTED
        return Figures(
            auc=auc(score, self.label),
            brier=brier(score, self.label) if probable else None,
            ece=ece(score, self.label) if probable else None,
            **_worth(seen),
        )


def _worth(seen: Seen) -> dict[str, Any]:
    return {
        "detected": seen.detected,
        "detected_driven": seen.detected_driven,
        "false_alarms": seen.false_alarms,
        "lead_days": seen.lead_days,
        "alerts": seen.alerts,
    }


def bench(world: World, policy: Policy, *, seed: int = 0, plan: Plan = PLAN, budget: float = BUDGET) -> Board:
    """Live a world and judge every model on it; all learn from the past as time goes on."""
    lives = live(world, seed)
    told = lines(world, lives)
    stage = scored(lives, told, policy, plan, budget)
    opens = policy.rules.churn_open
    models = {model: stage.figures(model) for model in stage.scores}
    models[RULES] = Figures(auc=None, brier=None, ece=None, **_worth(stage.seen(rule_alarms(stage))))
    return Board(
        world=world.name,
        says=world.says,
        customers=len(lives),
        events=len(told),
        left=sum(life.left_s is not None for life in lives),
        rows=len(stage.label),
        base_rate=float(np.mean(stage.label)),
        nominal=1.0 - opens,
        came_back=stage.came_back(OURS, opens)[0],
        models=models,
    )


def scored(lives: list[Life], told: list[bytes], policy: Policy, plan: Plan, budget: float) -> Stage:
    """Replay the log of a world twice, with experience and without, and return the judged rows."""
    log = read_log(told, policy)
    laid = grid(plan, log.entries[0][0], log.entries[-1][0])
    walk = Walk(log, plan, policy, refit=True)
    walked = walk.run(laid)
    muted = Walk(log, plan, mute(policy), refit=True).run(laid)
    judged = walked.period >= laid.judged_from
    rows = walked.rows.take(np.flatnonzero(judged))
    scores = {OURS: _probability(walked, judged), MUTED: _probability(muted, judged)}
    scores |= {name: score[judged] for name, score in walked.scores.items() if name != OURS}
    number = {life.customer_id: index for index, life in enumerate(lives)}
    index_of = np.array([number[customer_id] for customer_id in log.customers])
    label = walk.engagements.silent(rows.customer, rows.at_s, plan.horizon_days).astype(np.float64)
    customer = index_of[rows.customer]
    in_force = _in_force(walked, laid.judged_from, policy)
    return Stage(lives, plan, customer, rows.at_s, label, scores, budget, log, in_force)


def _in_force(walked: Walked, period: int, policy: Policy) -> Policy:
    """Return the policy that scored a period: the last fit at or before it."""
    fitted, due = policy, next_fit(0)
    for each in walked.fits:
        if due > period:
            break
        fitted, due = each.policy, next_fit(due)
    return fitted


def rule_alarms(stage: Stage) -> Alarms:
    """Return the first alert of churn or silence in each cycle that a worker opens in the judged time."""
    scorer = Scorer(stage.policy)
    events: dict[int, list[Touchpoint]] = {}
    for _, _, _, customer, _, event in stage.log.entries:
        events.setdefault(customer, []).append(event)
    number = {life.customer_id: index for index, life in enumerate(stage.lives)}
    first_s, last_s = stage.span
    raised: dict[tuple[int, int], float] = {}
    for customer, own in events.items():
        lived = Lived(scorer, stage.log.customers[customer], own, stride=STRIDE)
        lived.until(last_s)
        index = number[lived.customer_id]
        for step in lived.steps:
            if step.document["step"] == "opened" and step.document["rule"] in CHURN_RULES:
                cycle = bisect_right(stage.lives[index].purchases, step.at_s)
                raised.setdefault((index, cycle), step.at_s)
    found = [(index, at_s) for (index, _), at_s in raised.items() if at_s > first_s]
    return Alarms(
        np.array([each for each, _ in found], dtype=np.int64), np.array([at_s for _, at_s in found])
    )


def mute(policy: Policy) -> Policy:
    """Return `policy` with experience saying nothing of churn."""
    return policy_with(policy, dict.fromkeys(SCALED, 0.0))


def _probability(walked: Walked, judged: np.ndarray) -> Floats:
    found: Floats = 1.0 / (1.0 + np.exp(-walked.scores[OURS][judged]))
    return found
