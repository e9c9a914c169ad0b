"""What a customer is worth a year, and how much of it is at risk."""

import math
from typing import Final

from schemas.money import minor_digits
from streams.scoring.maths import exp2
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.state import CustomerState

YEAR_DAYS: Final = 365.25


class Value:
    """Spend by the year under one policy, in minor units of its currency."""

    def __init__(self, policy: Policy, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._years = policy.value.years
        digits = minor_digits(policy.currency)
        self._major = 10.0**digits
        self._spec = f".{digits}f"
        years = "1 year" if self._years == 1.0 else f"{self._years:g} years"
        self._a_year = f"{policy.currency} a year x {years}"
        self.low = float(policy.value.low)
        self.high = float(policy.value.high)

    def yearly(self, state: CustomerState, at_s: float) -> float:
        """Return the spend of a year at the decayed rate; 0 where no amount is known.

        A steady spend of r a day leaves a decayed sum of r H / ln 2 (1 - 2**(-T/H)) after T days. Younger
        customers are read as a year old: one purchase is no rate.
        """
        rhythm = state.rhythm
        if rhythm is None or rhythm.spend <= 0.0:
            return 0.0
        spend = rhythm.spend * exp2((state.ref_s - at_s) / self._half_life_s)
        half_life_days = self._half_life_s / DAY_S
        age_days = max(YEAR_DAYS, at_s / DAY_S - rhythm.first_day)
        seen = 1.0 - exp2(-age_days / half_life_days)
        return spend * math.log(2.0) / (half_life_days * seen) * YEAR_DAYS

    def at_risk(self, state: CustomerState, at_s: float, probability: float | None) -> float | None:
        """Return probability x spend a year x years; None without a probability or an amount."""
        yearly = self.yearly(state, at_s)
        if probability is None or yearly <= 0.0:
            return None
        return self.stake(yearly, probability)

    def stake(self, yearly: float, probability: float) -> float:
        """Return what is at risk of a spend a year."""
        return probability * yearly * self._years

    def reckoning(self, yearly: float, probability: float) -> str:
        """Return in words how that was reckoned."""
        spend = format(yearly / self._major, self._spec)
        return f"{format(probability, '.2f')} x {spend} {self._a_year}"
