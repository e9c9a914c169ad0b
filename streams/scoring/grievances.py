"""What in the register calls for somebody to act: failures of service, and broken promises."""

from typing import Final

from streams.scoring.entry import Case
from streams.scoring.facts import COMPLAINT, ISSUE, REASON, REOPENED, THOUSANDTHS, TICKET
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.standing import failing
from streams.scoring.state import CustomerState
from streams.scoring.verdict import Judge
from streams.scoring.vocabulary import HIGH, LOW, MEDIUM, SEVERITIES, Cause, Rule

_SEVERITY: Final = {
    Cause.BROKEN: HIGH,
    Cause.UNANSWERED: HIGH,
    Cause.FAILURE: HIGH,
    Cause.TARGET: MEDIUM,
    Cause.REOPENED: MEDIUM,
    Cause.REPEAT: MEDIUM,
}
_CAUSES: Final = tuple(_SEVERITY)
"""The causes, the gravest first: the register is read in ranks, for members of an enum are slow."""
_BROKEN: Final = 0
_UNANSWERED: Final = 1
_FAILURE: Final = 2
_TARGET: Final = 3
_REOPENED: Final = 4
_REPEAT: Final = 5
_NONE: Final = 6


class Grievances:
    """Reads the register for the rules, under one policy."""

    def __init__(self, policy: Policy, judge: Judge) -> None:
        self._judge = judge
        self._grave = round(policy.rules.failure_weight * THOUSANDTHS)
        self._repeat_s = policy.promises.contacts_within_days * DAY_S
        self._standing_s = int(policy.promises.standing_days * DAY_S)  # as failures end, in whole seconds
        self._order_key = judge.order_key
        self._promise_key = judge.promise_key
        self._failed_key = judge.failed_key
        self._repeat_key = judge.repeat_key
        self._public_code = judge.public_code
        self.floors = {
            driver.code: SEVERITIES.index(driver.severity_floor) for driver in policy.drivers.values()
        }
        """The severity below which nothing about a driver lies, by its code."""

    def both(self, failures: list[Case], at_s: float) -> tuple[Cause | None, Cause | None]:
        """Return the gravest failure of service and the gravest broken promise at `at_s`, None for none."""
        served = broken = _NONE
        for case in failures:
            if self._stands(case, at_s):
                served = min(served, self._served(case))
                broken = min(broken, self._broke(case))
        return _cause(served), _cause(broken)

    def leading(self, rule: Rule, state: CustomerState, at_s: float) -> tuple[Cause, Case] | None:
        """Return the gravest of what holds of the rule, of equals the oldest, with its case."""
        best: tuple[int, int, bytes] | None = None
        found: tuple[Cause, Case] | None = None
        for case in state.entries.failures:
            if not self._stands(case, at_s):
                continue
            rank = self._rank(rule, case)
            if rank != _NONE:
                order = (rank, case.since_s, case.name)
                if best is None or order < best:
                    best, found = order, (_CAUSES[rank], case)
        return found

    def reopened_since(self, failures: list[Case], at_s: float, since_s: float) -> bool:
        """Tell whether a ticket was reopened after `since_s` and stands at `at_s`."""
        for case in failures:  # a generator costs more than the loop
            if case.kind == TICKET and case.known(REOPENED) > since_s and self._stands(case, at_s):
                return True
        return False

    def _breaks(self, key: int) -> bool:
        """Tell whether a failure of that key is a broken promise."""
        return key in (self._order_key, self._promise_key, self._failed_key)

    def _stands(self, case: Case, at_s: float) -> bool:
        """Tell whether the rules look at a failure."""
        return at_s < self._stands_until_s(case)

    def _stands_until_s(self, case: Case) -> float:
        """Return until when the rules look at a failure: at a repeated contact for longer than its moment."""
        if case.kind == REASON and case.key == self._repeat_key:
            return case.since_s + self._repeat_s
        return float(case.until_s)

    def newest_s(self, rule: Rule, failures: list[Case], at_s: float) -> int:
        """Return since when the newest of what holds of the rule has stood, 0 for nothing."""
        newest_s = 0
        for case in failures:
            if self._stands(case, at_s) and self._rank(rule, case) != _NONE:
                newest_s = max(newest_s, case.since_s)
        return newest_s

    def _rank(self, rule: Rule, case: Case) -> int:
        """Return how grave a case is to a rule."""
        if rule is Rule.SERVICE_FAILURE:
            return self._served(case)
        return self._broke(case) if rule is Rule.PROMISE_BROKEN else _NONE

    def _broke(self, case: Case) -> int:
        """Return the rank of a promise that stands broken."""
        return _BROKEN if self._breaks(case.key) else _NONE

    def _served(self, case: Case) -> int:
        """Return the rank of a failure of service that stands."""
        judge, key = self._judge, case.key
        if key == self._repeat_key:
            return _REPEAT
        if case.kind == COMPLAINT:
            return _UNANSWERED if case.unanswered else _NONE
        if key == judge.target_key:
            return _TARGET
        if key & 1 and case.weight >= self._grave and not self._breaks(key):
            return _FAILURE
        return _REOPENED if key == judge.reopened_key else _NONE

    def floor(self, state: CustomerState, at_s: float) -> int:
        """Return the severity below which nothing about the customer lies while its failures stand."""
        floor = LOW
        for case in failing(state):
            if at_s < case.until_s:
                floor = max(floor, self.floors.get(case.key >> 3, LOW))
        return floor

    def outlived(self, rule: Rule, state: CustomerState, opened_s: float) -> bool:
        """Tell whether what last stood of the rule since `opened_s` became too old: nobody mended it."""
        last = opened_s, True
        for case in state.entries.failures:
            rank = self._rank(rule, case)
            if rank != _NONE:
                last = max(last, (self._stands_until_s(case), not self._is_too_old(case)))
        return not last[1]

    def made_good(self, state: CustomerState, at_s: float) -> set[int]:
        """Return the codes of the drivers of which all failures that the register knows were made good.

        What is to be done about a complaint in public is to answer it.
        """
        good: set[int] = set()
        bad: set[int] = set()
        for case in state.entries.failures:
            codes = good if self._is_made_good(case, at_s) or self._is_answered(case) else bad
            codes.add(case.key >> 3)
        return good - bad

    def _is_made_good(self, case: Case, at_s: float) -> bool:
        """Tell whether a failure ended by what was done, neither by its age nor as a mere moment."""
        if case.until_s > at_s or self._is_too_old(case):
            return False
        return case.until_s > case.since_s or case.kind == ISSUE  # which the contact itself may settle

    def _is_answered(self, case: Case) -> bool:
        """Tell whether a complaint in public was answered: nothing of that is due, or was missed."""
        return case.key >> 3 == self._public_code and not (case.pending_s or case.unanswered)

    def _is_too_old(self, case: Case) -> bool:
        """Tell whether a failure ends by its age alone."""
        return case.until_s - case.since_s >= self._standing_s

    @staticmethod
    def severity(cause: Cause) -> int:
        """Return how grave a grievance is in itself."""
        return _SEVERITY[cause]


def _cause(rank: int) -> Cause | None:
    return None if rank == _NONE else _CAUSES[rank]
