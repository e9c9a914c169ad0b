"""How good scores are: ranking, calibration, and how sure of that one can be."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.backtest.log import Floats, Ints

BINS: Final = 10
REPLICATES: Final = 200
SEED: Final = 20_011


def auc(scores: Floats, labels: Floats, weights: Floats | None = None) -> float | None:
    """Return the chance that a row of label 1 has the higher score (ties count half); None for one class."""
    return Ranking(scores, labels).auc(np.ones(len(labels)) if weights is None else weights)


class Ranking:
    """Rows sorted by score once, so that the AUC under many weights is quick."""

    def __init__(self, scores: Floats, labels: Floats) -> None:
        self._order = np.argsort(scores, kind="stable")
        ordered = scores[self._order]
        self._labels = labels[self._order]
        new = np.concatenate([[True], np.diff(ordered) > 0]) if len(ordered) else np.zeros(0, bool)
        self._starts = np.flatnonzero(new)

    def auc(self, weights: Floats) -> float | None:
        """Return the AUC where each row counts by its weight."""
        if not len(self._starts):
            return None
        ordered = weights[self._order]
        gone = np.add.reduceat(ordered * self._labels, self._starts)
        came = np.add.reduceat(ordered * (1.0 - self._labels), self._starts)
        total = gone.sum() * came.sum()
        if total <= 0:
            return None
        below = np.cumsum(came) - came
        return float(gone @ (below + 0.5 * came) / total)


def auc_within(scores: Floats, labels: Floats, periods: Floats) -> float | None:
    """Return the mean over periods of the AUC of each; periods of one class say nothing."""
    found = [auc(scores[rows], labels[rows]) for rows in by_period(periods)]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None


def by_period(periods: Floats) -> list[Ints]:
    """Return the row numbers of each period; rows of a period lie together."""
    cuts = np.flatnonzero(np.diff(periods)) + 1
    return [rows for rows in np.split(np.arange(len(periods)), cuts) if len(rows)]


def precision_at(scores: Floats, labels: Floats, periods: Floats, share: float) -> float | None:
    """Return the share of label 1 among the highest `share` of each period, at least one row of each.

    Rows that tie at the edge share what is left of the places.
    """
    right = taken = 0.0
    for rows in by_period(periods):
        places = max(1, round(share * len(rows)))
        edge = np.partition(scores[rows], -places)[-places]
        above, tied = labels[rows][scores[rows] > edge], labels[rows][scores[rows] == edge]
        right += above.sum() + (places - len(above)) * tied.mean()
        taken += places
    return float(right / taken) if taken else None


def brier(probabilities: Floats, labels: Floats) -> float:
    """Return the mean squared distance of probability and label."""
    return float(np.mean((probabilities - labels) ** 2))


@dataclass(frozen=True, slots=True)
class Bin:
    """One line of a reliability table."""

    low: float
    high: float
    rows: int
    told: float
    true: float


def reliability(probabilities: Floats, labels: Floats) -> list[Bin]:
    """Return, for bins of equal width, what was told and what came true; empty bins are left out."""
    place = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    return [
        Bin(
            each / BINS,
            (each + 1) / BINS,
            int(inside.sum()),
            float(probabilities[inside].mean()),
            float(labels[inside].mean()),
        )
        for each in range(BINS)
        if (inside := place == each).any()
    ]


def ece(probabilities: Floats, labels: Floats) -> float:
    """Return the expected calibration error: the mean distance of told and true over bins of equal width."""
    table = reliability(probabilities, labels)
    return sum(line.rows * abs(line.told - line.true) for line in table) / len(labels)


class Bootstrap:
    """Weights for resamples of customers: all rows of a customer come or go together."""

    def __init__(self, customers: Ints, replicates: int = REPLICATES) -> None:
        self._distinct = np.unique(customers)
        self.replicates = replicates

    def weights(self) -> list[Floats]:
        """Return the weights of the customers, one array a replicate, the same at each call."""
        random = np.random.default_rng(SEED)
        count = len(self._distinct)
        shares = np.full(count, 1.0 / count)
        return [random.multinomial(count, shares).astype(np.float64) for _ in range(self.replicates)]

    def places(self, customers: Ints) -> Ints:
        """Return where in an array of weights each customer's stands."""
        return np.minimum(np.searchsorted(self._distinct, customers), len(self._distinct) - 1)


def interval(values: list[float | None]) -> tuple[float, float] | None:
    """Return the middle 95% of what replicates gave; None where most gave nothing."""
    known = [value for value in values if value is not None]
    if 2 * len(known) < len(values) or not known:
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
