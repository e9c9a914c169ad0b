"""Rhythm parameters of a population by maximum likelihood: MBG/NBD, and BG/NBD for comparison.

Both mix Poisson purchases (gamma rates) with a chance of leaving after a purchase (beta). In MBG/NBD one may
leave after the first purchase too (Batislam, Denizel and Filiztekin 2007; Wagner and Hoppe 2008); in BG/NBD
only after a repeat (Fader, Hardie and Lee 2005). On little data the parameters are weakly identified, so
each logarithm has a normal prior around a start and hard bounds.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, gammaln

from streams.backtest.log import Floats

BOUNDS = ((0.02, 50.0), (0.5, 5000.0), (0.01, 50.0), (0.01, 100.0))
"""Of r, alpha (days), a and b: outside of them lie populations that nobody has seen."""
PRIOR_SIGMA = 1.0
MOST_CUSTOMERS = 20_000
"""More customers move the estimate by less than the season does."""


@dataclass(frozen=True, slots=True)
class Population:
    """r and alpha (days) of the gamma of rates, a and b of the beta of leaving."""

    r: float
    alpha: float
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class Lives:
    """Histories of customers: repeats, days from the first to the last, days from the first to now."""

    repeats: Floats
    last: Floats
    age: Floats

    def __len__(self) -> int:
        return len(self.repeats)


def log_likelihood(population: Population, lives: Lives, *, modified: bool = True) -> Floats:
    """Return the log-likelihood of each life under MBG/NBD, or under BG/NBD if not `modified`."""
    r, alpha, a, b = population.r, population.alpha, population.a, population.b
    x = lives.repeats
    left = x + 1.0 if modified else x
    alive = betaln(a, b + left) - (r + x) * np.log(alpha + lives.age)
    # BG/NBD: a customer without a repeat has had no chance to leave
    gone = betaln(a + 1.0, np.maximum(b + left - 1.0, 1e-9)) - (r + x) * np.log(alpha + lives.last)
    both = np.logaddexp(alive, gone)
    mixed = both if modified else np.where(x > 0, both, alive)
    found: Floats = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - betaln(a, b) + mixed
    return found


def fit_population(
    lives: Lives, start: Population, prior: Population, *, modified: bool = True
) -> Population:
    """Return the most likely population under the prior; `start` is where the search begins."""
    step = max(1, -(-len(lives) // MOST_CUSTOMERS))
    table = np.stack([lives.repeats, lives.last, lives.age], axis=1)[::step]
    distinct, times = np.unique(table, axis=0, return_counts=True)
    seen = Lives(distinct[:, 0], distinct[:, 1], distinct[:, 2])
    centre = np.log(_tuple(prior))
    scale = 1.0 / max(
        1.0, float(times.sum())
    )  # so that the tolerance of the search means the same everywhere

    def loss(point: Floats) -> float:
        likely = float(times @ log_likelihood(Population(*np.exp(point)), seen, modified=modified))
        return scale * (0.5 * float(np.sum((point - centre) ** 2)) / PRIOR_SIGMA**2 - likely)

    bounds = [(np.log(low), np.log(high)) for low, high in BOUNDS]
    found = minimize(loss, np.log(_tuple(start)), method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-10})
    return Population(*(float(value) for value in np.exp(found.x)))


def logit_p0(population: Population, lives: Lives, horizon_days: float) -> Floats:
    """Return the log-odds of no engagement within `horizon_days` under MBG/NBD, clamped to +-12."""
    r, alpha, a, b = population.r, population.alpha, population.a, population.b
    n = r + lives.repeats
    log_odds_gone = np.log(a / (b + lives.repeats)) + n * np.log((alpha + lives.age) / (alpha + lives.last))
    log_alive = -np.logaddexp(0.0, log_odds_gone)
    log_buys = np.log(-np.expm1(-n * np.log1p(horizon_days / (alpha + lives.age))))
    log_active = np.minimum(log_alive + log_buys, -1e-300)
    found: Floats = np.clip(np.log(-np.expm1(log_active)) - log_active, -12.0, 12.0)
    return found


def gone(population: Population, lives: Lives) -> Floats:
    """Return 1 - P(alive) under BG/NBD: 0 for everybody without a repeat."""
    r, alpha, a, b = population.r, population.alpha, population.a, population.b
    x = lives.repeats
    odds = (np.log(a) - np.log(b + np.maximum(x, 1.0) - 1.0)) + (r + x) * np.log(
        (alpha + lives.age) / (alpha + lives.last)
    )
    found: Floats = np.where(x > 0, 1.0 / (1.0 + np.exp(-np.clip(odds, -700, 700))), 0.0)
    return found


def _tuple(population: Population) -> tuple[float, float, float, float]:
    return population.r, population.alpha, population.a, population.b
