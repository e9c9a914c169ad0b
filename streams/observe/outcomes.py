"""Whether alerts were right, in time and well calibrated: counters over outcomes that have matured."""

from math import ceil
from typing import Final

from streams.observe.counted import add_counts, count_up
from streams.observe.histogram import Histogram, add_all, observe_under
from streams.scoring.policy import DAY_S

LEAD_BUCKETS_S: Final = tuple(days * DAY_S for days in (0.0, 1.0, 3.0, 7.0, 14.0, 30.0, 60.0, 90.0))
BINS: Final = 10
BIN_LABELS: Final = tuple(f"{number / BINS:g}" for number in range(1, BINS + 1))
GROUPS: Final = ("told", "untold", "holdout")
ANY_RULE: Final = "any"
WHEN: Final = ("before_complaint", "after_complaint")
ROUNDING: Final = 1e-9


class Outcomes:
    """Counters of one transaction, or of everything that was committed."""

    __slots__ = (
        "actions",
        "came_true",
        "foretold",
        "incidents",
        "inferred",
        "lead_s",
        "losses",
        "passed",
        "predicted",
        "probability",
        "raised",
        "results",
        "squared_error",
        "suppressed",
    )

    def __init__(self) -> None:
        self.suppressed: dict[tuple[str, str], int] = {}
        """Steps that were decided and not announced, by (rule, reason)."""
        self.results: dict[tuple[str, str], int] = {}
        """Matured outcomes of alerts, by (rule, result): churned, retained, saved, false_alarm."""
        self.lead_s: dict[str, Histogram] = {}
        """Time from an alert to the loss that it foretold, by rule."""
        self.inferred: dict[tuple[str, str, str], int] = {}
        """Outcomes read from what the customer did within the horizon, by (rule, outcome, told): returned or
        lost; told, untold or holdout."""
        self.losses = 0
        """Customers who were lost while watched: silent for the alert horizon."""
        self.foretold: dict[str, int] = {}
        """Of these, those of whom a rule had warned since their last engagement, by rule; `any` counts once
        each."""
        self.passed: dict[str, int] = {}
        """Critical announcements that went past the budget, by rule."""
        self.actions: dict[tuple[str, str], int] = {}
        """Actions on alerts by (action, result): applied, unchanged, past, unknown_alert."""
        self.incidents: dict[tuple[str, str], int] = {}
        """Steps of the guard of silent inputs, by (channel, step): opened, closed."""
        self.raised: dict[str, int] = {}
        """Alerts that were opened, by whether the customer had complained before: one of `WHEN`."""
        self.predicted: dict[str, int] = {}
        """Matured predictions by bin of their probability."""
        self.came_true: dict[str, int] = {}
        """Of these, the customers who left."""
        self.probability: dict[str, float] = {}
        """Sum of the predicted probabilities by bin."""
        self.squared_error = 0.0
        """Sum of (probability - outcome)^2 over all matured predictions: the Brier score times their
        number."""

    def suppress(self, rule: str, reason: str) -> None:
        """Count a step that is told to nobody."""
        count_up(self.suppressed, (rule, reason))

    def matured(self, rule: str, result: str, *, lead_s: float | None = None) -> None:
        """Count the outcome of an alert; `lead_s` where it foretold a loss."""
        count_up(self.results, (rule, result))
        if lead_s is not None:
            self.lead(rule, lead_s)

    def lead(self, rule: str, seconds: float) -> None:
        """Count how long before a loss its alert was opened."""
        observe_under(self.lead_s, rule, LEAD_BUCKETS_S, seconds)

    def predict(self, probability: float, *, churned: bool) -> None:
        """Count a prediction whose horizon is over."""
        label = bin_of(probability)
        count_up(self.predicted, label)
        count_up(self.came_true, label, int(churned))
        self.probability[label] = self.probability.get(label, 0.0) + probability
        self.squared_error += (probability - churned) ** 2

    def add(self, other: "Outcomes") -> None:
        """Add other counters."""
        add_counts(self.suppressed, other.suppressed)
        add_counts(self.results, other.results)
        add_all(self.lead_s, other.lead_s)
        add_counts(self.inferred, other.inferred)
        self.losses += other.losses
        add_counts(self.foretold, other.foretold)
        add_counts(self.passed, other.passed)
        add_counts(self.actions, other.actions)
        add_counts(self.incidents, other.incidents)
        add_counts(self.raised, other.raised)
        add_counts(self.predicted, other.predicted)
        add_counts(self.came_true, other.came_true)
        for label, total in other.probability.items():
            self.probability[label] = self.probability.get(label, 0.0) + total
        self.squared_error += other.squared_error


def bin_of(probability: float) -> str:
    """Return the upper bound of the bin of a probability, such as 0.7 for 0.6 < p <= 0.7."""
    return BIN_LABELS[max(1, ceil(probability * BINS - ROUNDING)) - 1]
