"""Judge a walk: every model on the same rows, with intervals from a bootstrap of customers."""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from scipy.special import expit

from schemas.times import at_time
from streams.backtest.baselines import PROBABILITIES, RECENCY
from streams.backtest.budget import BUDGETS, Docket, Spent, losses, spend
from streams.backtest.log import Engagements, Floats
from streams.backtest.metrics import (
    REPLICATES,
    Bin,
    Bootstrap,
    Ranking,
    auc_within,
    brier,
    by_period,
    ece,
    interval,
    precision_at,
    reliability,
)
from streams.backtest.plan import Grid, Plan
from streams.backtest.walk import Walked
from streams.errors import CxError, Exit
from streams.scoring.policy import Policy

OURS: Final = "ours"
MANY_ROWS: Final = 500_000
"""With so many rows fewer resamples say the same."""
Pair = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How good one model is; brier, ece and reliability are None for a model that only ranks."""

    auc: float
    auc_within: float | None
    p_at_1: float | None
    p_at_10: float | None
    brier: float | None
    ece: float | None
    ci95: Pair
    """Of the pooled AUC."""
    above_recency: float
    above_recency_ci95: Pair
    reliability: list[Bin] | None
    budgets: list[Spent]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A backtest's result. `labels` and `scores` are of the judged rows."""

    dataset: str
    plan: Plan
    base_rate: float
    rows: int
    customers: int
    periods: int
    losses: int
    refits: int
    models: dict[str, Standing]
    labels: Floats
    scores: dict[str, Floats]
    policy: Policy


def judge(dataset: str, plan: Plan, walked: Walked, grid: Grid, engagements: Engagements) -> Verdict:
    """Judge the periods after the warm-up; raises CxError where labels or rows are missing."""
    kept = np.flatnonzero(walked.period >= grid.judged_from)
    rows, periods = walked.rows.take(kept), walked.period[kept]
    labels = engagements.silent(rows.customer, rows.at_s, plan.horizon_days).astype(np.float64)
    _demand_both(labels, plan, grid)
    scores = {name: column[kept] for name, column in walked.scores.items()}
    scores[OURS] = expit(scores[OURS])
    lost = losses(engagements, plan.horizon_days, grid.times_s[grid.judged_from], grid.end_s)
    replicates = REPLICATES if len(labels) <= MANY_ROWS else REPLICATES // 4
    bootstrap = Bootstrap(engagements.customers, replicates)
    docket = Docket(rows, labels, periods, lost, plan.every_days, bootstrap, bootstrap.weights())
    return Verdict(
        dataset=dataset,
        plan=plan,
        base_rate=float(labels.mean()),
        rows=len(labels),
        customers=len(np.unique(rows.customer)),
        periods=len(by_period(periods)),
        losses=len(lost.customer),
        refits=len(walked.fits),
        models=_standings(docket, scores),
        labels=labels,
        scores=scores,
        policy=walked.policy,
    )


def _standings(docket: Docket, scores: dict[str, Floats]) -> dict[str, Standing]:
    places = docket.bootstrap.places(docket.rows.customer)
    resampled = {}
    for name, column in scores.items():
        ranking = Ranking(column, docket.labels)
        resampled[name] = [ranking.auc(weights[places]) for weights in docket.weights]
    recency = _auc(scores[RECENCY], docket.labels)
    return {
        name: _standing(docket, name, column, resampled[name], resampled[RECENCY], recency)
        for name, column in scores.items()
    }


def _standing(
    docket: Docket,
    name: str,
    scores: Floats,
    resampled: list[float | None],
    recencies: list[float | None],
    recency: float,
) -> Standing:
    labels, periods, told = docket.labels, docket.periods, name in PROBABILITIES
    found = _auc(scores, labels)
    return Standing(
        auc=found,
        auc_within=auc_within(scores, labels, periods),
        p_at_1=precision_at(scores, labels, periods, 0.01),
        p_at_10=precision_at(scores, labels, periods, 0.10),
        brier=brier(scores, labels) if told else None,
        ece=ece(scores, labels) if told else None,
        ci95=interval(resampled),
        above_recency=found - recency,
        above_recency_ci95=interval(_differences(resampled, recencies)),
        reliability=reliability(scores, labels) if told else None,
        budgets=[spend(docket, scores, per_1000) for per_1000 in BUDGETS],
    )


def document(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as `cx backtest --json` prints it."""
    plan = verdict.plan
    return {
        "dataset": verdict.dataset,
        "horizon_days": plan.horizon_days,
        "active_days": plan.active_days,
        "every_days": plan.every_days,
        "base_rate": verdict.base_rate,
        "rows": verdict.rows,
        "customers": verdict.customers,
        "periods": verdict.periods,
        "losses": verdict.losses,
        "refits": verdict.refits,
        "policy": verdict.policy.hash,
        "models": {name: asdict(standing) for name, standing in verdict.models.items()},
    }


def _auc(scores: Floats, labels: Floats) -> float:
    found = Ranking(scores, labels).auc(np.ones(len(labels)))
    if found is None:  # `_demand_both` has seen rows of both labels
        msg = "an AUC needs both labels"
        raise ValueError(msg)
    return found


def _differences(ours: list[float | None], theirs: list[float | None]) -> list[float | None]:
    return [
        None if mine is None or other is None else mine - other
        for mine, other in zip(ours, theirs, strict=True)
    ]


def _demand_both(labels: Floats, plan: Plan, grid: Grid) -> None:
    if not len(labels):
        first, last = (at_time(grid.times_s[place])[:10] for place in (grid.judged_from, -1))
        msg = f"no customer was active within {plan.active_days} days in any judged period, {first} to {last}"
        mend = "give a longer --active; or mend an event of a wrong year, if the log does not reach so far"
        raise CxError(msg, mend=mend, code=Exit.USAGE)
    if labels.min() == labels.max():
        what = "every" if labels[0] else "no"
        other = "longer" if labels[0] else "shorter"
        msg = f"{what} customer stayed away for {plan.horizon_days} days: there is nothing to tell apart"
        raise CxError(msg, mend=f"ask for a {other} --horizon", code=Exit.USAGE)
