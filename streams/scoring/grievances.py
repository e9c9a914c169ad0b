"""What in the register calls for somebody to act: failures of service, and broken promises."""

from typing import Final

from streams.scoring.facts import COMPLAINT, REASON, THOUSANDTHS
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.state import NO_CODE, Case, CustomerState
from streams.scoring.verdict import Judge
from streams.scoring.vocabulary import HIGH, LOW, MEDIUM, SEVERITIES, Cause, Rule

_SEVERITY = {
    Cause.BROKEN: HIGH,
    Cause.UNANSWERED: HIGH,
    Cause.FAILURE: HIGH,
    Cause.TARGET: MEDIUM,
    Cause.REOPENED: MEDIUM,
    Cause.REPEAT: MEDIUM,
}
_RANKS = {cause: rank for rank, cause in enumerate(_SEVERITY)}
"""The rank of each cause, the gravest first."""
# Members of an enum are looked up each time they are named.
_BROKEN: Final = Cause.BROKEN
_FAILURE: Final = Cause.FAILURE
_REOPENED: Final = Cause.REOPENED
_REPEAT: Final = Cause.REPEAT
_TARGET: Final = Cause.TARGET
_UNANSWERED: Final = Cause.UNANSWERED


class Grievances:
    """Reads the register for the rules, under one policy."""

    def __init__(self, policy: Policy, judge: Judge) -> None:
        self._judge = judge
        self._grave = round(policy.rules.failure_weight * THOUSANDTHS)
        self._repeat_s = policy.promises.contacts_within_days * DAY_S
        self._broken = {judge.order_key, judge.promise_key, judge.failed_key}
        self._floors = {
            driver.code: SEVERITIES.index(driver.severity_floor) for driver in policy.drivers.values()
        }

    def both(self, state: CustomerState, at_s: float) -> tuple[Cause | None, Cause | None]:
        """Return the gravest failure of service and the gravest broken promise at `at_s`, None for none."""
        served: Cause | None = None
        broken: Cause | None = None
        for case in state.cases.values():
            if case.key == NO_CODE:
                continue
            broken = broken or self._broken_cause(case, at_s)
            cause = self._service_cause(case, at_s)
            if cause is not None and (served is None or _RANKS[cause] < _RANKS[served]):
                served = cause
        return served, broken

    def leading(self, rule: Rule, state: CustomerState, at_s: float) -> tuple[Cause, Case] | None:
        """Return the gravest of what holds of the rule, of equals the oldest, with its case."""
        causes_of = self._service_cause if rule is Rule.SERVICE_FAILURE else self._broken_cause
        best: tuple[int, int, bytes] | None = None
        found: tuple[Cause, Case] | None = None
        for name, case in state.cases.items():
            cause = causes_of(case, at_s) if case.key != NO_CODE else None
            if cause is not None:
                order = (_RANKS[cause], case.since_s, name)
                if best is None or order < best:
                    best, found = order, (cause, case)
        return found

    def _broken_cause(self, case: Case, at_s: float) -> Cause | None:
        return _BROKEN if case.key in self._broken and at_s < case.until_s else None

    def _service_cause(self, case: Case, at_s: float) -> Cause | None:
        judge, key = self._judge, case.key
        if key == judge.repeat_key:
            until_s = case.since_s + self._repeat_s if case.kind == REASON else case.until_s
            return _REPEAT if at_s < until_s else None
        if at_s >= case.until_s:
            return None
        if case.kind == COMPLAINT:
            return _UNANSWERED if case.unanswered else None
        if key == judge.target_key:
            return _TARGET
        if key & 1 and case.weight >= self._grave and key not in self._broken:
            return _FAILURE
        return _REOPENED if key == judge.reopened_key else None

    def floor(self, state: CustomerState, at_s: float) -> int:
        """Return the severity below which nothing about the customer lies while its failures stand."""
        floor = LOW
        for case in state.cases.values():
            if case.key != NO_CODE and at_s < case.until_s:
                floor = max(floor, self._floors.get(case.key >> 3, LOW))
        return floor

    @staticmethod
    def severity(cause: Cause) -> int:
        """Return how grave a grievance is in itself."""
        return _SEVERITY[cause]
