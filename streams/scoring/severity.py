"""How grave an alert is: its risk, what the customer is worth, and floors that nothing lies below."""

from typing import Final

from streams.scoring.churn import FRESH_INTENT, Churn
from streams.scoring.grievances import Grievances
from streams.scoring.ledger import Ledger
from streams.scoring.state import CustomerState
from streams.scoring.value import Value
from streams.scoring.vocabulary import CRITICAL_SEVERITY, HIGH, LOW, MEDIUM, Band

HIGH_RISK: Final = 0.9
_CRITICAL: Final = Band.CRITICAL


class Gravity:
    """Severities under one policy."""

    def __init__(self, ledger: Ledger, churn: Churn, grievances: Grievances, value: Value) -> None:
        self._ledger = ledger
        self._churn = churn
        self._grievances = grievances
        self._value = value
        self._floors = grievances.floors
        self._highest_last = max(self._floors.values())
        self._highest = max(HIGH, self._highest_last)
        """No floor lies above it."""

    def of_risk(self, probability: float, band: Band) -> int:
        """Return how grave a churn probability is."""
        if probability < HIGH_RISK:
            return MEDIUM
        return CRITICAL_SEVERITY if band is _CRITICAL else HIGH

    def most(self, severity: int) -> int:
        """Return the highest that `weighed` can make of a severity, without a look at the row."""
        return min(max(severity + 1, self._highest), CRITICAL_SEVERITY)

    def weighed(self, state: CustomerState, at_s: float, severity: int, held: int = LOW) -> int:
        """Move a severity by what the customer is worth, and raise it to the floor of what they feel.

        What does not exceed `held` may be any lesser severity: the floor is not looked for then.
        """
        yearly = self._value.yearly(state, at_s)
        if yearly >= self._value.high:
            severity = min(severity + 1, CRITICAL_SEVERITY)
        elif 0.0 < yearly < self._value.low:
            severity = max(severity - 1, LOW)
        if severity >= self._highest or held >= self._highest:
            return severity
        return max(severity, self._floor(state, at_s))

    def _floor(self, state: CustomerState, at_s: float) -> int:
        """Return the floor of what stands, of what was just lived through, and of a fresh intent to leave."""
        for intent, amount in self._churn.intents(state, at_s):
            if amount >= FRESH_INTENT and self._churn.intent_logits[intent]:
                return HIGH
        floor = self._grievances.floor(state, at_s)
        if floor >= self._highest_last:
            return floor
        last = self._ledger.last_of(state)
        if last is not None and last.a < 0.0 and at_s - last.at_s <= self._churn.intent_half_life_s:
            floor = max(floor, self._floors.get(last.key >> 3, LOW))
        return floor
