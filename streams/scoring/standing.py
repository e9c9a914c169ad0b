"""What a failure of the register weighs at a time: in full while it stands, then fading from its end."""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from streams.scoring.entry import NOT_SETTLED, Case
from streams.scoring.facts import KEPT, THOUSANDTHS
from streams.scoring.maths import exp2
from streams.scoring.policy import DAY_S, LedgerSection, Policy
from streams.scoring.state import CustomerState

BROKEN_PROMISES: Final = ("promise_broken", "target_missed", "failed_delivery")
"""Drivers of a failure to do what was promised; every other failure that stands is an open issue."""
NOTHING: Final[list[Case]] = []
"""No failures; not to be changed."""


@mypyc_attr(acyclic=True)
class Standing:
    """A failure at a time: before `slow` and `fast`, its decay at the half-lives of score and trend."""

    __slots__ = ("a", "fast", "key", "name", "q", "slow", "until_s", "weight")

    def __init__(  # noqa: PLR0913, PLR0917  # what a failure is made of
        self,
        key: int,
        a: float,
        q: float,
        weight: float,
        slow: float,
        fast: float,
        until_s: int,
        name: bytes,
    ) -> None:
        self.key = key
        self.a = a
        self.q = q
        self.weight = weight
        self.slow = slow
        self.fast = fast
        self.until_s = until_s
        self.name = name


@mypyc_attr(acyclic=True)
class Worth:
    """What a failure of a driver takes at weight 1: its A and Q."""

    __slots__ = ("a", "is_promise", "q")

    def __init__(self, a: float, q: float, *, is_promise: bool) -> None:
        self.a = a
        self.q = q
        self.is_promise = is_promise


Felt = tuple[float, float, float, float, float, float]
"""Sums of a ledger at a time, to which failures are added: A, Q, W, the trend's A and Q, the worst moment."""


def failing(state: CustomerState) -> list[Case]:
    """Return the cases with a failure, none where all have ended: most of a register is parcels in time."""
    return state.entries.failures if state.failing else NOTHING


def newest_kept_s(cases: list[Case]) -> int:
    """Return when the newest delivery came that was in time, 0 for none."""
    newest_s = 0
    for case in cases:
        if case.in_time:
            newest_s = max(newest_s, case.known(KEPT))
    return newest_s


class Failures:
    """The failures of the register under one policy; their values are read from it at once."""

    def __init__(self, policy: Policy) -> None:
        section = policy.ledger
        self._half_life_s = section.half_life_days * DAY_S
        self._recent_half_life_s = section.trend_half_life_days * DAY_S
        self._repaired_share = policy.promises.repaired_share
        promises = {policy.drivers[name].code for name in BROKEN_PROMISES}
        values = {driver.code: driver.value for driver in policy.drivers.values()}
        self._dropped = self._of_value(section, 0.0)
        self._worths = [self._dropped] * (max(values) + 1)
        for code, value in values.items():
            self._worths[code] = self._of_value(section, value, is_promise=code in promises)

    @staticmethod
    def _of_value(section: LedgerSection, value: float, *, is_promise: bool = False) -> Worth:
        below = section.prior - value
        a, q = -section.asymmetry * below, section.asymmetry * below / section.prior
        return Worth(a, q, is_promise=is_promise)

    def worth(self, key: i64) -> Worth:
        """Return what a failure of that key is worth; a driver that the policy dropped counts as value 0."""
        code = key >> 3
        return self._worths[code] if code < len(self._worths) else self._dropped

    def at(self, case: Case, at_s: float) -> Standing:
        """Return what the failure of a case weighs at `at_s` (seconds)."""
        weight = self.weight(case, repaired=self.is_repaired(case, at_s))
        key, until_s = case.key, case.until_s
        past_s = at_s - until_s
        slow = fast = 1.0
        if past_s > 0.0:
            slow = exp2(-past_s / self._half_life_s)
            fast = exp2(-past_s / self._recent_half_life_s)
        worth = self.worth(key)
        return Standing(key, worth.a * weight, worth.q * weight, weight, slow, fast, until_s, case.name)

    def add_all(self, felt: Felt, failures: list[Case], at_s: float, *, in_service: bool = False) -> Felt:
        """Return the sums with what `all_at` returns, or those in service, without an object for each."""
        total, total_q, total_weight, recent_a, recent_q, low = felt
        for case in failures:
            key = case.key
            if case.settled != NOT_SETTLED or (in_service and not key & 1):
                continue
            weight = self.weight(case, repaired=self.is_repaired(case, at_s))
            worth = self.worth(key)
            a, q = worth.a * weight, worth.q * weight
            past_s = at_s - case.until_s
            if past_s > 0.0:
                slow = exp2(-past_s / self._half_life_s)
                fast = exp2(-past_s / self._recent_half_life_s)
                recent_a += a * fast
                recent_q += q * fast
                a, q, weight = a * slow, q * slow, weight * slow
            else:
                recent_a += a
                recent_q += q
            total += a
            total_q += q
            total_weight += weight
            low = max(low, -a)
        return total, total_q, total_weight, recent_a, recent_q, low

    @staticmethod
    def is_repaired(case: Case, at_s: float) -> bool:
        """Tell whether a repair counts for the failure at `at_s`."""
        return bool(case.mended_s) and case.credit and at_s >= case.mended_s

    def weight(self, case: Case, *, repaired: bool) -> float:
        """Return the weight of a failure."""
        return case.weight / THOUSANDTHS * (self._repaired_share if repaired else 1.0)

    def felt(self, case: Case) -> float:
        """Return the A of a failure as it was felt, before any repair."""
        return self.worth(case.key).a * case.weight / THOUSANDTHS

    def open_matters(self, failures: list[Case], at_s: float) -> tuple[int, int]:
        """Return how many open issues and how many broken promises stand at `at_s`."""
        issues = promises = 0
        for case in failures:
            if at_s < case.until_s:
                if self.worth(case.key).is_promise:
                    promises += 1
                else:
                    issues += 1
        return issues, promises

    def all_at(self, state: CustomerState, at_s: float) -> list[Standing]:
        """Return every failure of a row that does not lie in the sums, as it weighs at `at_s`."""
        return [self.at(case, at_s) for case in failing(state) if case.settled == NOT_SETTLED]
