"""From what has come true to a policy: rhythm, coefficients, calibration.

Rows of a period teach only after their horizon has passed: their labels have matured. The rhythm is fitted
by maximum likelihood; the coefficients by a logistic regression that is shrunk to the policy it starts from
and keeps the signs the policy asks for; the calibration is an isotonic curve for each horizon, in which
recent rows weigh more, shifted by how far the earlier fits were off. Before the alert horizon has matured,
the coefficients are learnt at the longest horizon that has, and the level follows the population.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import expit

from streams.backtest.history import Rows
from streams.backtest.isotonic import fit_curve
from streams.backtest.log import Engagements, Floats
from streams.backtest.logistic import Prior, fit_logistic
from streams.backtest.metrics import auc_within
from streams.backtest.plan import policy_with
from streams.backtest.population import Lives, Population, fit_population, logit_p0
from streams.scoring.policy import DAY_S, Policy

RHYTHM_LIMITS: Final = (1.5, 3.0, 12.0)
"""Where customers leave as the model assumes, P0 is right far out; where they only come less often, it is
surer than what comes true, and best held within 1.5."""
WORTH: Final = 0.002
"""Of AUC within a period, that a wider limit has to win; or the plain silence, which is for customers who
come by the calendar."""
LEAST_OF_EACH: Final = 30
"""Rows of those who came and of those who did not, before anything is learnt of them."""
LEAST_BAD: Final = 300
"""Rows whose experience raises the risk, before the weight of experience is learnt."""
BAD_TERMS: Final = 0.1
MATURE: Final = 2.0
"""Horizons that must have passed since the first period: its rows are a population of new customers."""
MOST_FADED: Final = 20.0
"""Horizons after which the newest that came true fades no further: one event of a wrong year makes a gap of
decades, in which all weights would become 0."""
PRECISION: Final = 5.0
"""Of the priors of b0..b4, in rows of full information: a few dozen rows move them."""
TERMS_PRECISION: Final = 20.0
MOST_FACTOR: Final = 3.0
MOST_DRIFT: Final = 0.5
"""Log-odds: a season moves less, and a fault in the data must not move everybody."""
TINY: Final = 1e-9
DIGITS: Final = 5
SCALED: Final = (
    "experience_per_10_points",
    "trend_per_10_points",
    "cancelled",
    "cancel_page",
    "complaint",
    "unsubscribe",
    "open_issue",
    "broken_promise",
)
"""Coefficients of the experience terms: learnt together, as one factor."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A policy with what it was learnt from."""

    policy: Policy
    population: Population
    learnt_days: int | None
    """The horizon at which the coefficients were learnt; None where nothing had matured."""
    rows: int
    """Matured rows that they were learnt from."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    """Matured rows of one horizon."""

    rows: Rows
    labels: Floats
    weights: Floats


class Fitter:
    """Fits policies as time goes on, each from the same base."""

    def __init__(self, base: Policy, engagements: Engagements) -> None:
        self.base = base
        self.horizons = base.churn.horizons_days
        self._engagements = engagements
        rhythm = base.rhythm
        self._prior = Population(rhythm.r, rhythm.alpha_days, rhythm.a, rhythm.b)
        self._start = self._prior
        self._since_s: float | None = None

    def fit(self, rows: Rows, lives: Lives, at_s: float) -> Fitted:
        """Return the policy that follows from `rows` and from all `lives` as of `at_s`."""
        self._start = fit_population(lives, self._start, self._prior)
        population = Population(*(float(f"{x:.{DIGITS}g}") for x in _values(self._start)))
        rhythm = {"r": population.r, "alpha_days": population.alpha, "a": population.a, "b": population.b}
        alert = self.base.alert_horizon
        lessons = {
            index: lesson
            for index, days in enumerate(self.horizons)
            if (lesson := self._lesson(rows, days, at_s)) is not None
        }
        if not lessons:
            return Fitted(policy_with(self.base, {}, rhythm), population, None, 0)
        index = alert if alert in lessons else max(lessons, key=lambda each: (each <= alert, each))
        churn = self._coefficients(lessons[index], index, population)
        today = rows.take(np.flatnonzero(rows.at_s == rows.at_s.max()))
        churn |= self._by_horizon(lessons, churn, population, today)
        if self._since_s is None:
            self._since_s = at_s
        policy = policy_with(self.base, churn, rhythm)
        return Fitted(policy, population, self.horizons[index], len(lessons[index].rows))

    def _lesson(self, rows: Rows, days: int, at_s: float) -> _Lesson | None:
        """Return the rows whose label at a horizon has matured; None where they are too few."""
        if not len(rows) or at_s - rows.at_s.min() < MATURE * days * DAY_S:
            return None
        found = np.flatnonzero(rows.at_s + days * DAY_S <= at_s)
        matured = rows.take(found)
        labels = self._engagements.silent(matured.customer, matured.at_s, days).astype(np.float64)
        if min(labels.sum(), len(labels) - labels.sum()) < LEAST_OF_EACH:
            return None
        age_days = (at_s - matured.at_s) / DAY_S - days
        age_days -= max(0.0, age_days.min() - MOST_FADED * days)
        return _Lesson(matured, labels, np.exp2(-age_days / days))

    def _coefficients(self, lesson: _Lesson, index: int, population: Population) -> dict[str, Any]:
        """Return b1..b4 and the factor of the experience terms, in the form that ranks best."""
        best: dict[str, Any] = {}
        rank = -1.0
        for limit in sorted({min(limit, self.base.churn.rhythm_limit) for limit in RHYTHM_LIMITS}):
            found = self._under(limit, lesson, index, population)
            ranked = self._rank(found, lesson, index, population)
            if ranked > rank + WORTH:
                best, rank = found, ranked
        found = self._under(best["rhythm_limit"], lesson, index, population, recency=True)
        won = self._rank(found, lesson, index, population) > rank + WORTH
        return found if won else best

    def _rank(self, churn: dict[str, Any], lesson: _Lesson, index: int, population: Population) -> float:
        """Return the AUC within periods that coefficients have on the rows they were learnt from."""
        rows = lesson.rows  # periods follow each other
        sums = self._offset(rows, index, churn, population) + churn["factor"] * rows.terms
        return auc_within(sums, lesson.labels, rows.at_s) or 0.0

    def _under(
        self, limit: float, lesson: _Lesson, index: int, population: Population, *, recency: bool = False
    ) -> dict[str, Any]:
        """Return the coefficients learnt at one horizon with logit P0 held within a limit."""
        section, rows = self.base.churn, lesson.rows
        typical = _typical_spend(rows) or section.typical_spend
        spends = bool(np.median(rows.spend) > 0.0)
        bad = int(np.sum(rows.terms > BAD_TERMS)) >= LEAST_BAD
        priors = [
            Prior(section.base[index], PRECISION),
            Prior(section.rhythm, PRECISION, 0.0),
            Prior(section.engagement, PRECISION, None, 0.0),
            Prior(section.spend, PRECISION, None, 0.0) if spends else _fixed(section.spend),
            Prior(section.recency, PRECISION, 0.0) if recency else _fixed(section.recency),
            Prior(1.0, TERMS_PRECISION, 0.0, MOST_FACTOR) if bad else _fixed(1.0),
        ]
        features = np.column_stack(
            [
                np.ones(len(rows)),
                np.clip(self._p0(rows, index, population), -limit, limit),
                rows.log_count(index),
                rows.log_spend(typical),
                rows.silence(self.horizons[index]),
                rows.terms,
            ]
        )
        found = fit_logistic(features, lesson.labels, np.ones(len(rows)), priors)
        _, b1, b2, b3, b4, factor = (_rounded(value) for value in found)
        scaled = {name: _rounded(factor * getattr(section, name)) for name in SCALED} if bad else {}
        return {
            "rhythm": b1,
            "rhythm_limit": limit,
            "engagement": b2,
            "spend": b3,
            "typical_spend": _rounded(typical),
            "recency": b4,
            "factor": factor,
            **scaled,
        }

    def _by_horizon(
        self, lessons: dict[int, _Lesson], churn: dict[str, Any], population: Population, today: Rows
    ) -> dict[str, Any]:
        """Return b0 and the curve of each horizon.

        One that has not matured has nothing to be held to but the population: its mean over the customers of
        `today` is that of P0, and its curve changes nothing.
        """
        factor = churn.pop("factor")
        alert = self.base.alert_horizon
        drift = self._drift(lessons[alert]) if alert in lessons else 0.0
        base: list[float] = []
        curves: list[list[tuple[float, float]]] = []
        for index in range(len(self.horizons)):
            lesson = lessons.get(index)
            rows = today if lesson is None else lesson.rows
            labels = expit(self._p0(rows, index, population)) if lesson is None else lesson.labels
            offset = self._offset(rows, index, churn, population) + factor * rows.terms
            base.append(min([_intercept(offset, labels), *base[-1:]]))
            if lesson is None:
                curves.append([(0.0, 0.0)])
            else:
                x, y = fit_curve(offset + base[-1], lesson.labels, lesson.weights)
                curves.append(_strict(zip(x, y + drift, strict=True)))
        return {
            "base": base,
            "calibration": {
                "kind": "isotonic",
                "slope": 1.0,
                "shifts": [],
                "x": [[told for told, _ in curve] for curve in curves],
                "y": [[true for _, true in curve] for curve in curves],
            },
        }

    def _drift(self, lesson: _Lesson) -> float:
        """Return how far what earlier fits told lies from what came true, log-odds."""
        if self._since_s is None:
            return 0.0
        told = lesson.rows.at_s >= self._since_s
        weights, labels = lesson.weights[told], lesson.labels[told]
        if min(labels.sum(), len(labels) - labels.sum()) < LEAST_OF_EACH:
            return 0.0
        true = float(np.average(labels, weights=weights))
        said = float(np.average(np.clip(expit(lesson.rows.logit[told]), TINY, 1.0 - TINY), weights=weights))
        shift = np.log(true / (1.0 - true)) - np.log(said / (1.0 - said))
        return float(np.clip(shift, -MOST_DRIFT, MOST_DRIFT))

    def _offset(self, rows: Rows, index: int, churn: dict[str, Any], population: Population) -> Floats:
        limit = churn["rhythm_limit"]
        found: Floats = (
            churn["rhythm"] * np.clip(self._p0(rows, index, population), -limit, limit)
            + churn["engagement"] * rows.log_count(index)
            + churn["spend"] * rows.log_spend(churn["typical_spend"])
            + churn["recency"] * rows.silence(self.horizons[index])
        )
        return found

    def _p0(self, rows: Rows, index: int, population: Population) -> Floats:
        lives = Lives(rows.repeats, rows.last, rows.age)
        return logit_p0(population, lives, float(self.horizons[index]))


def _intercept(offset: Floats, labels: Floats) -> float:
    features = np.column_stack([np.ones(len(offset)), offset])
    priors = [Prior(0.0, PRECISION), Prior(1.0, 1.0, 1.0, 1.0)]
    return _rounded(fit_logistic(features, labels, np.ones(len(offset)), priors)[0])


def _fixed(value: float) -> Prior:
    """Return the prior of a coefficient that is not learnt."""
    return Prior(value, 1.0, value, value)


def _typical_spend(rows: Rows) -> float | None:
    """Return the median spend of an occasion, minor units; None where nobody spends."""
    spending = rows.spend > 0.0
    if not spending.any():
        return None
    return float(np.median(rows.spend[spending] / rows.counts[spending, -1]))


def _values(population: Population) -> Iterable[float]:
    return population.r, population.alpha, population.a, population.b


def _strict(knots: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Round knots, and drop those that rounding has put beside their left neighbour."""
    kept: list[tuple[float, float]] = []
    for told, true in ((_rounded(x), _rounded(y)) for x, y in knots):
        if not kept or (told > kept[-1][0] and true > kept[-1][1]):
            kept.append((told, true))
    return kept


def _rounded(value: float) -> float:
    """Return a value as a policy file shows it: what is written is what was judged."""
    return float(f"{float(value):.{DIGITS}g}") + 0.0
