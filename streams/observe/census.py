"""What the sweep finds: the customers of a partition as a whole, and where their experience is made."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from streams.observe.histogram import Histogram
from streams.observe.stakes import Stores, stage_of
from streams.scoring.apply import Scorer
from streams.scoring.churn import sigmoid
from streams.scoring.ledger import Reading
from streams.scoring.rules import SEVERITIES, Glance, Rule
from streams.scoring.state import CustomerState

SCORE_BUCKETS: Final = (10.0, 20.0, 30.0, 35.0, 40.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0, 80.0, 90.0, 100.0)
GAP_BUCKETS: Final = (-50.0, -30.0, -20.0, -10.0, -5.0, 0.0, 5.0, 10.0, 20.0, 30.0, 50.0)
LEDGERS: Final = ("experience", "service")
NO_DRIVER: Final = "none"
DROPPED: Final = "other"
"""Drivers that the policy no longer has, together: their codes could be any."""


@dataclass(slots=True)
class Census:
    """The customers of one partition as a whole pass of the sweep found them."""

    began_s: float = 0.0
    """The worker's clock when the pass began, seconds since the epoch."""
    ended_s: float = 0.0
    at_s: float = 0.0
    """The partition's own clock at the last visit: the event clock may stand."""
    expected: int = 0
    """Rows when the pass began: it visits these, whoever comes or goes meanwhile."""
    visited: int = 0
    """Of these, also those who have gone."""
    customers: int = 0
    forgotten: int = 0
    """Rows that only say that somebody is forgotten."""
    row_bytes: int = 0
    bands: Counter[str] = field(default_factory=Counter)
    experience: Histogram = field(default_factory=lambda: Histogram(SCORE_BUCKETS))
    """Scores of those of whom enough is known; of service likewise."""
    service: Histogram = field(default_factory=lambda: Histogram(SCORE_BUCKETS))
    gap: Histogram = field(default_factory=lambda: Histogram(GAP_BUCKETS))
    """Service minus experience, of those of whom enough is known in both."""
    points: dict[tuple[str, str], float] = field(default_factory=dict)
    """Points that a driver adds to or takes from all customers together, by (ledger, driver)."""
    open_alerts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (rule, severity)."""
    value_at_risk: dict[tuple[str, str], float] = field(default_factory=dict)
    """Probability of churn x spend a year x years, minor units of the policy's currency, by the driver that
    takes most from the customer's experience (`none` where nothing does) and its owner."""
    at_risk_by_stage: dict[str, float] = field(default_factory=dict)
    """The same by how far the customer is on the way with us (see `stakes.stage_of`)."""
    stores: Stores = field(default_factory=Stores)
    """The same by home store."""
    other_policy: int = 0
    """Rows whose sums hold the weights of another policy."""

    def take(self, scorer: Scorer, row: bytes, state: CustomerState, at_s: float) -> Glance:
        """Count one customer as of `at_s`; return the figures that the sweep goes on with."""
        glance = scorer.rules.glance(state, at_s)
        experience, service = scorer.ledger.read(state, at_s)
        self.customers += 1
        self.row_bytes += len(row)
        self.bands[glance.band.label] += 1
        least = scorer.policy.bands.min_coverage
        # Of whom little is known the score is near the prior: among them nobody else would be seen.
        if experience.coverage >= least:
            self.experience.observe(glance.score)
        if service.coverage >= least:
            self.service.observe(service.score)
        if min(experience.coverage, service.coverage) >= least:
            self.gap.observe(service.score - experience.score)
        names = scorer.policy.driver_names
        for ledger, reading in zip(LEDGERS, (experience, service), strict=True):
            for code, points in reading.points.items():
                key = ledger, names.get(code, DROPPED)
                self.points[key] = self.points.get(key, 0.0) + points
        self._take_value(scorer, state, glance, experience)
        self.other_policy += state.baked != scorer.baked
        for rule, episode in state.episodes.items():
            if episode.closed_s is None:
                self.open_alerts[Rule(rule).label, SEVERITIES[episode.severity]] += 1
        return glance

    def _take_value(self, scorer: Scorer, state: CustomerState, glance: Glance, experience: Reading) -> None:
        """Count what is at stake: under the driver that takes most, by stage and by store."""
        logit = scorer.churn.logit(state, glance.at_s, glance.terms, scorer.policy.alert_horizon)
        probability = None if logit is None else sigmoid(logit)
        value = scorer.rules.value.at_risk(state, glance.at_s, probability)
        self.stores.take(state, value)
        if value is None:
            return
        worst = min(experience.points.items(), key=lambda each: each[1], default=(0, 0.0))
        driver = scorer.policy.driver_names.get(worst[0], DROPPED) if worst[1] < 0.0 else NO_DRIVER
        section = scorer.policy.drivers.get(driver)
        key = driver, section.owner if section is not None else ""
        self.value_at_risk[key] = self.value_at_risk.get(key, 0.0) + value
        stage = stage_of(scorer, state, glance.at_s)
        self.at_risk_by_stage[stage] = self.at_risk_by_stage.get(stage, 0.0) + value
