"""Contacts that ended without a solution: how much is felt of those whose matter nobody has solved since."""

from streams.scoring.facts import BEFORE, CONTACT, ISSUE, STATE, stamped_s, told_of
from streams.scoring.maths import exp2
from streams.scoring.signals import SignalTable
from streams.scoring.state import CustomerState
from streams.scoring.weighing import Weigher


class Unresolved:
    """Reads them under one policy."""

    def __init__(self, weigher: Weigher, signals: SignalTable) -> None:
        self._weigher = weigher
        (signal,) = signals.full("unresolved")
        self.code = signal.code
        self._a = signal.a

    def left(self, state: CustomerState, at_s: float, hardly: float) -> float:
        """Return the A at `at_s` of those that the sums hold, without those about issues that were solved.

        Of the contacts about an issue the two latest are known, and not how they ended: one that was felt
        more than all that is left, but for `hardly` (an A), was another contact. Of a contact without an
        issue nobody can say that its matter was solved.
        """
        left = self._weigher.beside_register(state, self.code, at_s)
        if left < hardly:
            for contact_s in _solved_since(state):
                felt = self._a * exp2((contact_s - at_s) / self._weigher.half_life_s)
                if felt >= left + hardly:
                    left -= felt
        return left


def _solved_since(state: CustomerState) -> list[int]:
    """Return when the known contacts came about issues that were solved after them, the latest first."""
    found: list[int] = []
    cases = state.entries.all()
    for case in cases:
        if case.kind != ISSUE:
            continue
        status = max(case.known(STATE), told_of(cases, case.name))
        if status & 1:
            for fact in (CONTACT, BEFORE):
                contact_s = stamped_s(case.known(fact))
                if 0 < contact_s < stamped_s(status):
                    found.append(contact_s)
    found.sort(reverse=True)
    return found
