"""Scores with what made them: the full reading of a row, and its document.

Documents are plain dicts with the fields of `schemas.outputs`, which a test holds them to: `cx score`,
`cx policy test` and HTTP make them; `cx.scores` gets the same bytes from `scoring.texts`.
"""

from typing import Any

from mypy_extensions import mypyc_attr

from schemas.times import at_time
from streams.scoring.apply import Scorer
from streams.scoring.churn import NO_ENGAGEMENT, ChurnReading
from streams.scoring.drivers import Driver
from streams.scoring.ledger import Reading
from streams.scoring.rules import Band, Glance
from streams.scoring.state import CustomerState, LastExperience

Document = dict[str, Any]


@mypyc_attr(acyclic=True)
class Assessment:
    """A row read in full at one time: every score with the parts that it is the sum of.

    What not every reader needs (trend, churn and the sorted lists) is computed when it is asked for; the row
    must not change before that.
    """

    __slots__ = (
        "_churn",
        "_known",
        "_scorer",
        "_state",
        "_trend",
        "at_s",
        "churn_text",
        "drivers_text",
        "experience",
        "prior",
        "service",
    )

    def __init__(self, scorer: Scorer, state: CustomerState, at_s: float, trend: float | None = None) -> None:
        self._scorer = scorer
        self._state = state
        self._trend = trend
        self._churn: ChurnReading | None = None
        self._known = False
        self.drivers_text = b""
        """`drivers` as JSON once it was written, and so `churn_text` of `churn_drivers` (`scoring.texts`)."""
        self.churn_text = b""
        self.at_s = at_s
        self.prior = scorer.ledger.mu
        self.experience, self.service = scorer.ledger.read(state, at_s)

    @property
    def gap(self) -> float | None:
        """Service minus experience, None where either is hardly known."""
        known = self._scorer.known_coverage
        if self.experience.coverage < known or self.service.coverage < known:
            return None
        return self.service.score - self.experience.score

    @property
    def band(self) -> Band:
        """The experience score in words."""
        return self._scorer.rules.band_of(self.experience.score, self.experience.coverage)

    @property
    def trend(self) -> float:
        """Recent experience against the usual, points."""
        if self._trend is None:
            self._trend = self._scorer.ledger.trend(self._state, self.at_s)
        return self._trend

    @property
    def churn(self) -> ChurnReading | None:
        """The probability at the alert horizon, None without any engagement."""
        if not self._known:
            scorer = self._scorer
            self._churn = scorer.churn.read(
                self._state, self.at_s, self.experience, self.trend, scorer.horizon
            )
            self._known = True
        return self._churn

    @property
    def drivers(self) -> list[Document]:
        """Each {driver, ledger, points}, the strongest first; prior plus their points is the score."""
        return _points("experience", self.experience) + _points("service", self.service)

    @property
    def churn_drivers(self) -> list[Document]:
        """Each {driver, logit}, the strongest first; they sum to the log-odds of churn."""
        return [{"driver": name, "logit": logit} for name, logit in self.churn_parts()]

    @property
    def last(self) -> Document | None:
        """The last experience: {age_s, driver, points}."""
        found = self.last_felt()
        if found is None:
            return None
        last, driver, points = found
        return {"age_s": self.at_s - last.at_s, "driver": driver.name, "points": points}

    def last_felt(self) -> tuple[LastExperience, Driver, float] | None:
        """Return the last experience, its driver and its points."""
        ledger = self._scorer.ledger
        last = ledger.last_of(self._state)
        if last is None:
            return None
        points = ledger.last_points(self._state, self.at_s, last, self.experience.denominator)
        return last, self._scorer.drivers.of(last.key >> 3), points

    def churn_parts(self) -> list[tuple[str, float]]:
        """Return the log-odds of churn by driver, the strongest first; none without any engagement."""
        return [] if self.churn is None else self.churn.parts.named(by_name=True)

    def worst(self, count: int) -> list[str]:
        """Return the drivers that take most from the experience score, the worst first.

        One that takes less than a tenth of what the worst does explains nothing.
        """
        parts = self.experience.parts
        taken = [
            (parts.amounts[place], driver.code)
            for place, driver in enumerate(parts.drivers)
            if parts.amounts[place] < 0.0
        ]
        taken.sort()
        return [
            self._scorer.drivers.name(code) for amount, code in taken[:count] if amount <= 0.1 * taken[0][0]
        ]


def _points(ledger: str, reading: Reading) -> list[Document]:
    return [
        {"driver": name, "ledger": ledger, "points": points}
        for name, points in reading.parts.named(by_name=False)
    ]


def assess(scorer: Scorer, state: CustomerState, at_s: float) -> Assessment:
    """Read `state` at `at_s` (seconds), or at its newest event if that is later."""
    return Assessment(scorer, state, max(at_s, state.newest_s))


def assess_at(scorer: Scorer, state: CustomerState, glance: Glance) -> Assessment:
    """Read `state` where `glance` was taken of it, without computing again what the glance has."""
    kept = glance.found
    return kept if isinstance(kept, Assessment) else Assessment(scorer, state, glance.at_s, glance.trend)


def risks_at(scorer: Scorer, state: CustomerState, glance: Glance) -> list[float]:
    """Return the churn probability at each horizon where `glance` was taken; none without any engagement."""
    if glance.risks is None:
        glance.risks = scorer.churn.risks(state, glance.at_s, glance.terms)
    return glance.risks


def figures(scorer: Scorer, customer_id: str, found: Assessment) -> Document:
    """Return the fields that scores and alerts share (`schemas.outputs.Snapshot`), but for the drivers."""
    return {
        "customer_id": customer_id,
        "at": at_time(found.at_s),
        "experience": found.experience.score,
        "service": found.service.score,
        "gap": found.gap,
        "trend": found.trend,
        "coverage": {"experience": found.experience.coverage, "service": found.service.coverage},
        "band": found.band.label,
        "churn_probability": None if found.churn is None else found.churn.probability,
        "horizon_days": scorer.policy.churn.alert_horizon_days,
        "last_experience": found.last,
        "policy_version": scorer.policy.hash,
    }


def score_document(scorer: Scorer, customer_id: str, state: CustomerState, found: Assessment) -> Document:
    """Return a customer's `ScoreUpdated`, as `cx score --json` writes it; `score_texts` does without."""
    document = figures(scorer, customer_id, found)
    document["drivers"], document["churn_drivers"] = found.drivers, found.churn_drivers
    document["prior"] = found.prior
    document["churn_reason"] = NO_ENGAGEMENT if found.churn is None else None
    document["events"] = state.events
    return document
