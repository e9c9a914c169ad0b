"""What our model has to beat: a rule, a counter, two closed forms and a regression."""

from typing import Final

import numpy as np
from scipy.special import expit

from streams.backtest.history import Rows
from streams.backtest.log import Engagements, Floats
from streams.backtest.logistic import Prior, fit_logistic
from streams.backtest.population import Lives, Population, fit_population, gone, logit_p0
from streams.scoring.policy import DAY_S, Policy

RECENCY: Final = "recency"
COUNTER: Final = "counter"
BG_NBD: Final = "bgnbd"
MBG_NBD: Final = "mbgnbd"
RFM: Final = "rfm"
TITLES: Final = {
    "ours": "cx-signals",
    RECENCY: "recency rule",
    COUNTER: "decayed counter",
    BG_NBD: "BG/NBD 1-P(alive)",
    MBG_NBD: "MBG/NBD P0",
    RFM: "RFM logistic",
}
PROBABILITIES: Final = frozenset({"ours", BG_NBD, MBG_NBD, RFM})
"""Models that give a probability; the others only rank."""
LEAST_OF_EACH: Final = 30


class Baselines:
    """The baselines, fitted at the same times and on the same matured labels as ours."""

    def __init__(self, policy: Policy, engagements: Engagements) -> None:
        rhythm = policy.rhythm
        self._horizon = policy.churn.alert_horizon_days
        self._index = policy.alert_horizon
        self._engagements = engagements
        self._prior = Population(rhythm.r, rhythm.alpha_days, rhythm.a, rhythm.b)
        self._mbg = self._bg = self._prior
        self._rfm: Floats | None = None

    def fit(self, rows: Rows, lives: Lives, at_s: float, learnt_days: int) -> None:
        """Fit what can be fitted at `at_s`; the regression learns at the horizon that ours learns at."""
        self._mbg = fit_population(lives, self._mbg, self._prior)
        self._bg = fit_population(lives, self._bg, self._prior, modified=False)
        matured = np.flatnonzero(rows.at_s + learnt_days * DAY_S <= at_s)
        known = rows.take(matured)
        labels = self._engagements.silent(known.customer, known.at_s, learnt_days).astype(np.float64)
        if min(labels.sum(), len(labels) - labels.sum()) >= LEAST_OF_EACH:
            priors = [Prior(0.0, 1.0)] * 4
            self._rfm = fit_logistic(_rfm(known), labels, np.ones(len(labels)), priors)

    def scores(self, rows: Rows) -> dict[str, Floats]:
        """Return each baseline's score of each row; before its first fit RFM is the recency alone."""
        lives = Lives(rows.repeats, rows.last, rows.age)
        rfm = _rfm(rows) @ self._rfm if self._rfm is not None else rows.recency / self._horizon - 1.0
        return {
            RECENCY: rows.recency,
            COUNTER: -rows.counts[:, self._index],
            BG_NBD: gone(self._bg, lives),
            MBG_NBD: expit(logit_p0(self._mbg, lives, float(self._horizon))),
            RFM: expit(rfm),
        }


def _rfm(rows: Rows) -> Floats:
    """Return recency, frequency and the mean decayed spend of an occasion, on log scales."""
    spend = rows.spend / np.maximum(rows.counts[:, -1], 1e-9)
    return np.column_stack(
        [np.ones(len(rows)), np.log1p(rows.recency), np.log1p(rows.repeats), np.log1p(spend)]
    )
