"""Complaints: whether one stands that is fresh, and of which nobody said that it was settled.

A row adds up what was declared, whatever the complaint was about. What was settled is known by the register,
and what has no id by the sums: of that nobody can say that it was settled.
"""

from typing import Final

from streams.scoring.churn import FRESH_INTENT, Churn
from streams.scoring.entry import Case
from streams.scoring.facts import COMPLAINT
from streams.scoring.maths import exp2, log2
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.signals import Intent, SignalTable
from streams.scoring.state import CustomerState
from streams.scoring.weighing import Weigher

_INTENT: Final = Intent.COMPLAINT


class Complaints:
    """Reads them under one policy."""

    def __init__(self, policy: Policy, churn: Churn, weigher: Weigher, signals: SignalTable) -> None:
        self._churn = churn
        self._weigher = weigher
        (own,), (public,) = signals.full("complaint"), signals.half("public_complaint")
        self._code = own.code
        self._public_code = public.code
        self._half_life_s = churn.intent_half_life_s
        self._fresh_s = -self._half_life_s * log2(FRESH_INTENT)
        self._least = max(own.a, public.a) * exp2(-self._fresh_s / weigher.half_life_s)
        """The A that the sums hold at least of a complaint without an id, while it is fresh."""
        self._standing_s = int(policy.promises.standing_days * DAY_S)

    def stand(self, state: CustomerState, at_s: float) -> bool:
        """Tell whether a fresh complaint stands at `at_s` of which nobody said that it was settled."""
        if not self._is_fresh(state, state.intents.get(_INTENT), at_s):
            return False
        settled, again = False, False
        for case in state.entries.failures:
            if case.kind == COMPLAINT:
                if self._is_settled(case, at_s):
                    settled = True
                    again = again or case.at_s > case.until_s  # more was told of it since
                elif at_s - case.at_s < self._fresh_s:
                    return True
        if not settled:
            return True
        return self._is_fresh(state, self._left(state, at_s), at_s) and (
            again or self._has_nameless(state, at_s)
        )

    def last_s(self, state: CustomerState, at_s: float) -> float:
        """Return when the one that stands was raised, seconds; of several, a time after all."""
        return state.ref_s + self._half_life_s * log2(self._left(state, at_s))

    def _is_fresh(self, state: CustomerState, declared: float, at_s: float) -> bool:
        return declared * exp2((state.ref_s - at_s) / self._half_life_s) >= FRESH_INTENT

    def _left(self, state: CustomerState, at_s: float) -> float:
        """Return what was declared but for the complaints that were settled, as of the reference time.

        Of one in public nobody knows whether it was declared: it may be a post.
        """
        left = state.intents.get(_INTENT)
        for case in state.entries.failures:
            if case.kind == COMPLAINT and case.key >> 3 == self._code and self._is_settled(case, at_s):
                left -= exp2((case.since_s - state.ref_s) / self._half_life_s)
        return left

    def _is_settled(self, case: Case, at_s: float) -> bool:
        """Tell whether a complaint ended by `at_s`, other than by its age."""
        return case.until_s <= at_s and case.until_s - case.since_s < self._standing_s

    def _has_nameless(self, state: CustomerState, at_s: float) -> bool:
        """Tell whether the sums hold what may be a fresh complaint that the register does not know."""
        held = 0.0
        for code in (self._code, self._public_code):
            held += self._weigher.beside_register(state, code, at_s)
        return held <= self._least
