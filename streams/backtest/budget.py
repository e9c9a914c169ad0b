"""What a team gets for a fixed number of alerts: precision, recall and days of lead.

Each period the customers with the highest scores are told of, as many as the budget allows, each once a
silence: not again before they engaged. An alert is right if no engagement follows within the horizon. A loss
is a silence that reaches twice the horizon; recall is the share of losses that were told before, lead the
days from the alert to the loss.
"""

from dataclasses import dataclass

import numpy as np

from streams.backtest.history import Rows
from streams.backtest.log import Engagements, Floats, Ints
from streams.backtest.metrics import Bootstrap, by_period, interval
from streams.scoring.policy import DAY_S

BUDGETS = (5, 10, 20)
"""Alerts a week per 1,000 active customers."""
LOSS_HORIZONS = 2.0
WEEK_DAYS = 7.0

Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What came of a budget; a figure is None where nothing could be told of it."""

    per_1000: int
    alerts: int
    precision: float | None
    precision_ci95: Interval
    recall: float | None
    recall_ci95: Interval
    lead_days: float | None
    """The median over the losses that were told of."""
    lead_days_ci95: Interval


@dataclass(frozen=True, slots=True)
class Losses:
    """Silences that reached twice the horizon while alerts could be given: customer, start and time."""

    customer: Ints
    since_s: Floats
    at_s: Floats


def losses(engagements: Engagements, horizon_days: int, from_s: float, until_s: float) -> Losses:
    """Return the losses after `from_s` and by `until_s` (seconds)."""
    after = np.append(engagements.times_s[1:], np.inf)
    last = np.append(engagements.customers[1:] != engagements.customers[:-1], True)
    following = np.where(last, np.inf, after)
    lost_s = engagements.times_s + LOSS_HORIZONS * horizon_days * DAY_S
    found = (following > lost_s) & (lost_s > from_s) & (lost_s <= until_s)
    return Losses(engagements.customers[found], engagements.times_s[found], lost_s[found])


def alerts(rows: Rows, scores: Floats, periods: Floats, per_1000: int, every_days: int) -> Ints:
    """Return the numbers of the rows that a budget is spent on."""
    told_of: dict[int, float] = {}
    chosen: list[int] = []
    purse = 0.0
    last_day = rows.first_day + rows.last
    for period in by_period(periods):
        purse += per_1000 / 1000.0 * len(period) * every_days / WEEK_DAYS
        for row in period[np.argsort(-scores[period], kind="stable")]:
            if purse < 1.0:
                break
            customer = int(rows.customer[row])
            if told_of.get(customer) != last_day[row]:
                told_of[customer] = float(last_day[row])
                chosen.append(int(row))
                purse -= 1.0
    return np.array(chosen, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Docket:
    """What every model is judged on: rows with labels, and resamples of their customers."""

    rows: Rows
    labels: Floats
    periods: Floats
    lost: Losses
    every_days: int
    bootstrap: Bootstrap
    weights: list[Floats]
    """Of customers, one array a replicate."""


def spend(docket: Docket, scores: Floats, per_1000: int) -> Spent:
    """Return what came of spending a budget on the rows with the highest scores."""
    rows, lost, places = docket.rows, docket.lost, docket.bootstrap.places
    chosen = alerts(rows, scores, docket.periods, per_1000, docket.every_days)
    told_s = {
        (int(rows.customer[row]), int(rows.first_day[row] + rows.last[row])): float(rows.at_s[row])
        for row in chosen
    }
    silences = zip(lost.customer.tolist(), (lost.since_s // DAY_S).astype(int).tolist(), strict=True)
    told = np.array([told_s.get(silence, np.inf) for silence in silences], dtype=np.float64)
    caught = (told < lost.at_s).astype(np.float64)
    seen = np.flatnonzero(caught)
    leads = (lost.at_s - told)[seen] / DAY_S
    right = docket.labels[chosen]
    at_rows, at_losses = places(rows.customer[chosen]), places(lost.customer)
    return Spent(
        per_1000=per_1000,
        alerts=len(chosen),
        precision=_mean(right),
        precision_ci95=interval([_mean(right, weights[at_rows]) for weights in docket.weights]),
        recall=_mean(caught),
        recall_ci95=interval([_mean(caught, weights[at_losses]) for weights in docket.weights]),
        lead_days=float(np.median(leads)) if len(leads) else None,
        lead_days_ci95=interval([_median(leads, weights[at_losses[seen]]) for weights in docket.weights]),
    )


def _median(values: Floats, weights: Floats) -> float | None:
    """Return the weighted median: of two in the middle the lesser."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    if not len(values) or reached[-1] <= 0.0:
        return None
    return float(values[order][np.searchsorted(reached, reached[-1] / 2.0)])


def _mean(values: Floats, weights: Floats | None = None) -> float | None:
    total = float(len(values)) if weights is None else float(weights.sum())
    if total <= 0.0:
        return None
    return float((values.sum() if weights is None else weights @ values) / total)
