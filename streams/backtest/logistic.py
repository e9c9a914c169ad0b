"""Logistic regression, shrunk to priors and held within bounds."""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from streams.backtest.log import Floats


class Prior(NamedTuple):
    """What is assumed of one coefficient before any row: a normal distribution, cut at bounds."""

    mean: float
    precision: float
    low: float | None = None
    high: float | None = None


def fit_logistic(features: Floats, labels: Floats, weights: Floats, priors: list[Prior]) -> Floats:
    """Return the coefficients that maximise the penalised likelihood; one prior a column."""
    mean = np.array([prior.mean for prior in priors])
    precision = np.array([prior.precision for prior in priors])
    scale = 1.0 / max(1.0, float(weights.sum()))

    def loss(point: Floats) -> tuple[float, Floats]:
        logits = features @ point
        away = point - mean
        value = weights @ (np.logaddexp(0.0, logits) - labels * logits) + 0.5 * precision @ away**2
        slope = features.T @ (weights * (expit(logits) - labels)) + precision * away
        return scale * float(value), scale * slope

    low = np.array([-np.inf if prior.low is None else prior.low for prior in priors])
    high = np.array([np.inf if prior.high is None else prior.high for prior in priors])
    start = np.clip(mean, low, high)
    bounds = list(zip(low, high, strict=True))
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-12, "maxiter": 500}
    )
    coefficients: Floats = found.x
    return coefficients
