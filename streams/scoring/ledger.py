"""The decayed ledger: two scores that are exact sums of named drivers.

With w' = w * asymmetry for a bad moment (v < mu), else w, and q = (v - mu)/(100 - mu) or (mu - v)/mu: `A_k
= sum w'(v - mu) decay`, `Q = sum w' q decay`, `M_k = A_k / (kappa + Q)`. Good moments of a group with cap c
saturate: `Q_g -> Q_g c/(c + Q_g)`, and A of the group by the same factor. The best and the worst moment
count beside the mean: `P- = -mu m d/(kappa mu + m d)`, `P+ = (100 - mu) m d/(kappa (100 - mu) + m d)`, and
`score = mu + (1 - lambda) sum M_k + lambda (P+ + P-)`, which stays in 0..100 without a clamp
(docs/concepts.md).
"""

from typing import Final

from mypy_extensions import mypyc_attr

from streams.scoring.drivers import Driver, Drivers, Parts
from streams.scoring.entry import Case
from streams.scoring.facts import THOUSANDTHS
from streams.scoring.maths import exp2
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.signals import GROUP_BITS, ROUTINE_BITS, SignalTable
from streams.scoring.standing import Failures, Standing, failing, newest_kept_s
from streams.scoring.state import (
    BEST,
    BEST_KEPT,
    BEST_SERVICE,
    WORST,
    WORST_ENDED,
    WORST_SERVICE,
    WORST_SERVICE_ENDED,
    CustomerState,
    LastExperience,
    Mass,
    Peak,
)
from streams.scoring.sums import ROOM, Sums
from streams.scoring.weighing import TINY, is_newer

_UNNAMED: Final[list[Driver]] = []
"""The drivers of parts while they are added by code. Not to be changed."""


@mypyc_attr(acyclic=True)
class Reading:
    """A ledger at a time: the score, its coverage, the points of each driver, and its kappa + Q."""

    __slots__ = ("coverage", "denominator", "parts", "score")

    def __init__(self, score: float, coverage: float, parts: Parts, denominator: float) -> None:
        self.score = score
        self.coverage = coverage
        self.parts = parts
        self.denominator = denominator

    @property
    def points(self) -> dict[int, float]:
        """The points of each driver code."""
        parts = self.parts
        return {driver.code: parts.amounts[place] for place, driver in enumerate(parts.drivers)}


def _newer(last: LastExperience | None, key: int, at_s: float, a: float, name: bytes) -> LastExperience:
    """Return the newer of an experience and one of the register."""
    case = name.hex()
    if last is None or is_newer(last, at_s, "", case, a):
        return LastExperience(key, at_s, a, "", case)
    return last


def _by_group(points: Sums) -> tuple[float, float, float]:
    """Return the sums of the plain, the routine and the service group."""
    plain = routine = service = 0.0
    amounts = points.amounts
    for place, key in enumerate(points.keys):
        group = key & GROUP_BITS
        if not group:
            plain += amounts[place]
        elif group == ROUTINE_BITS:
            routine += amounts[place]
        else:
            service += amounts[place]
    return plain, routine, service


def _outdoes(moment: Peak, m: float, held: Peak, held_m: float) -> bool:
    """Tell the greater of two moments, seen as `m` and `held_m`; of equals the later, as rows keep them."""
    if m > held_m * (1.0 + TINY):
        return True
    if m < held_m * (1.0 - TINY):
        return False
    return (moment.at_s, moment.event, moment.code) > (held.at_s, held.event, held.code)


class Ledger:
    """Reads the sums of rows under one policy (`streams.scoring.weighing` adds to them)."""

    def __init__(self, policy: Policy, drivers: Drivers, failures: Failures, signals: SignalTable) -> None:
        section = policy.ledger
        self.drivers = drivers
        self.mu = section.prior
        self.above = 100.0 - section.prior
        self.kappa = section.mass
        self.mean_share = 1.0 - section.peak_share
        self.peak_share = section.peak_share
        self.half_life_s = section.half_life_days * DAY_S
        self.recent_half_life_s = section.trend_half_life_days * DAY_S
        self.routine_cap = section.routine_cap
        self.service_cap = section.service_cap
        self.failures = failures
        (self._kept,) = signals.full("delivery_on_time")

    def last_of(self, state: CustomerState) -> LastExperience | None:
        """Return the newest signal of weight 1 or more, of the sums or of the register.

        One of the register has the hash of its case as id and no source: its event's id is not kept.
        """
        last, kept = state.last, self._kept
        for case in state.entries.failures:
            # Most are older than the last of the sums: nothing is worked out for them.
            if case.weight >= THOUSANDTHS and (last is None or case.since_s >= last.at_s):
                last = _newer(last, case.key, float(case.since_s), self.failures.felt(case), case.name)
        if kept.weight >= 1.0:
            kept_s = self._newest_kept_s(state)
            if kept_s and (last is None or kept_s >= last.at_s):
                last = _newer(last, kept.key, kept_s, kept.a, b"")
        return last

    def _newest_kept_s(self, state: CustomerState) -> float:
        """Return when the newest delivery of the register came that was in time, 0 for none."""
        if self._kept.a > 0.0:  # then it is the best of them, and known
            best = state.peaks[BEST_KEPT]
            return 0.0 if best is None else best.at_s
        return float(newest_kept_s(state.entries.all()))

    def figures(  # one pass over what every evaluation needs
        self, state: CustomerState, failures: list[Case], at_s: float
    ) -> tuple[float, float, float]:
        """Return the experience score, its coverage and the trend at `at_s`, without the drivers.

        One pass for the three figures that every evaluation needs; `read` gives the same score with its
        drivers. `failures` is what `failing` finds in the row.
        """
        mass, half_life_s = state.mass, self.half_life_s
        since_s = state.ref_s - at_s
        decay = exp2(since_s / half_life_s)
        fast = exp2(since_s / self.recent_half_life_s)
        plain, routine, service = _by_group(state.points)
        plain *= decay
        routine *= decay
        service *= decay
        q_plain = mass.q_plain * decay
        q_routine = mass.q_routine * decay
        q_service = mass.q_service * decay
        weight = mass.w_experience * decay
        recent_a = mass.a_recent * fast
        recent_q = mass.q_recent * fast
        peaks = state.peaks
        high = self._greater(peaks[BEST], peaks[BEST_KEPT], at_s)
        low = self._greater(peaks[WORST], peaks[WORST_ENDED], at_s)
        if failures:
            felt = plain, q_plain, weight, recent_a, recent_q, low
            felt = self.failures.add_all(felt, failures, at_s)
            plain, q_plain, weight, recent_a, recent_q, low = felt
        routine_factor = self.routine_cap / (self.routine_cap + q_routine)
        service_factor = self.service_cap / (self.service_cap + q_service)
        denominator = self.kappa + q_plain + q_routine * routine_factor + q_service * service_factor
        total = plain + routine * routine_factor + service * service_factor
        usual_q = q_plain + q_routine + q_service
        trend = 0.0
        if recent_q >= TINY and usual_q >= TINY:
            usual = (plain + routine + service) / usual_q
            trend = recent_q / (self.kappa + recent_q) * (recent_a / recent_q - usual)
        points = self.above * high / (self.kappa * self.above + high) - self.mu * low / (
            self.kappa * self.mu + low
        )
        score = self.mu + self.mean_share * total / denominator + self.peak_share * points
        return score, weight / (2.0 + weight), trend

    def worst_case(self, state: CustomerState, at_s: float) -> tuple[float, float]:
        """Return, in a few operations, the most points that the score can lie below the prior, and the trend.

        Bad signals lie in the plain group, so M and P- together take at most mu Q/(kappa + Q), Q its mass.
        Only of rows without a failure in the register.
        """
        mass = state.mass
        plain = mass.q_plain
        usual = plain + mass.q_routine + mass.q_service
        plain *= exp2((state.ref_s - at_s) / self.half_life_s)
        below = self.mu * plain / (self.kappa + plain)
        recent = mass.q_recent
        known = recent * exp2((state.ref_s - at_s) / self.recent_half_life_s)
        if known < TINY or usual < TINY:
            return below, 0.0
        mean_recent = mass.a_recent / recent
        return below, known / (self.kappa + known) * (mean_recent - state.points.total() / usual)

    def score(self, state: CustomerState, at_s: float) -> float:
        """Return the experience score at `at_s`, 0..100."""
        return self.figures(state, failing(state), at_s)[0]

    def service_score(self, state: CustomerState, at_s: float) -> float:
        """Return the service score at `at_s`, 0..100."""
        served = state.mass.q_served
        if not served and not state.failing:
            return self.mu
        decay = exp2((state.ref_s - at_s) / self.half_life_s)
        total, mass, peaks = 0.0, served * decay, state.peaks
        amounts = state.points.amounts
        for place, key in enumerate(state.points.keys):
            if key & 1:
                total += amounts[place]
        total *= decay
        high = self._faded(peaks[BEST_SERVICE], at_s)
        low = self._greater(peaks[WORST_SERVICE], peaks[WORST_SERVICE_ENDED], at_s)
        if state.failing:
            felt = total, mass, 0.0, 0.0, 0.0, low
            felt = self.failures.add_all(felt, state.entries.failures, at_s, in_service=True)
            total, mass, low = felt[0], felt[1], felt[5]
        peak = self._best_points(high) + self._worst_points(low)
        return self.mu + self.mean_share * total / (self.kappa + mass) + self.peak_share * peak

    def _faded(self, peak: Peak | None, at_s: float) -> float:
        """Return the magnitude of a peak at `at_s`, 0 for none."""
        return 0.0 if peak is None else peak.m * exp2((peak.at_s - at_s) / self.half_life_s)

    def _greater(self, one: Peak | None, other: Peak | None, at_s: float) -> float:
        if other is None:
            return self._faded(one, at_s)
        return max(self._faded(one, at_s), self._faded(other, at_s))

    def _best_points(self, m: float) -> float:
        return self.above * m / (self.kappa * self.above + m)

    def _worst_points(self, m: float) -> float:
        return -self.mu * m / (self.kappa * self.mu + m)

    def trend(self, state: CustomerState, at_s: float) -> float:
        """Return recent experience against the usual, in points: c30 (A30/Q30 - A90/Q90), unsaturated."""
        return self.figures(state, failing(state), at_s)[2]

    def read(self, state: CustomerState, at_s: float) -> tuple[Reading, Reading]:
        """Return the experience and the service ledger, each with the points of its drivers.

        In each, mu + the sum of the points is the score (G5).
        """
        mass = state.mass
        decay = exp2((state.ref_s - at_s) / self.half_life_s)
        failures = self.failures.all_at(state, at_s) if state.failing else []
        q_plain, q_served = mass.q_plain * decay, mass.q_served * decay
        weight, served = mass.w_experience * decay, mass.w_service * decay
        for held in failures:
            q_plain += held.q * held.slow
            weight += held.weight * held.slow
            if held.key & 1:
                q_served += held.q * held.slow
                served += held.weight * held.slow
        routine_factor, service_factor, denominator = self._saturation(mass, decay, q_plain)
        scale = self.mean_share / denominator
        service_scale = self.mean_share / (self.kappa + q_served)
        points, service = Parts(_UNNAMED, ROOM), Parts(_UNNAMED, ROOM if q_served else 0)
        amounts = state.points.amounts
        for place, key in enumerate(state.points.keys):
            code, group, felt = key >> 3, key & GROUP_BITS, amounts[place] * decay
            if key & 1:
                service.add(code, felt * service_scale)
            if group == ROUTINE_BITS:
                felt *= routine_factor
            elif group:
                felt *= service_factor
            points.add(code, felt * scale)
        for held in failures:
            code, felt = held.key >> 3, held.a * held.slow
            points.add(code, felt * scale)
            if held.key & 1:
                service.add(code, felt * service_scale)
        peaks = state.peaks
        self._add_best(points, self._top(peaks[BEST], peaks[BEST_KEPT], at_s), at_s)
        self._add_worst(points, self._top(peaks[WORST], peaks[WORST_ENDED], at_s), failures, at_s)
        worst = self._top(peaks[WORST_SERVICE], peaks[WORST_SERVICE_ENDED], at_s)
        self._add_best(service, peaks[BEST_SERVICE], at_s)
        self._add_worst(service, worst, failures and [held for held in failures if held.key & 1], at_s)
        return (
            self._reading(points, weight, denominator),
            self._reading(service, served, self.kappa + q_served),
        )

    def _reading(self, points: Parts, weight: float, denominator: float) -> Reading:
        self.drivers.name_all(points)
        return Reading(self.mu + points.total(), weight / (2.0 + weight), points, denominator)

    def _saturation(self, mass: Mass, decay: float, plain: float) -> tuple[float, float, float]:
        """Return the factors of the routine and of the service group, and kappa + Q with both saturated.

        `plain` is decayed.
        """
        routine = mass.q_routine * decay
        service = mass.q_service * decay
        routine_factor = self.routine_cap / (self.routine_cap + routine)
        service_factor = self.service_cap / (self.service_cap + service)
        denominator = self.kappa + plain + routine * routine_factor + service * service_factor
        return routine_factor, service_factor, denominator

    def _top(self, one: Peak | None, other: Peak | None, at_s: float) -> Peak | None:
        """Return the one of two peaks that is the greater as seen at `at_s`."""
        if one is None or other is None:
            return one or other
        above = _outdoes(other, self._faded(other, at_s), one, self._faded(one, at_s))
        return other if above else one

    def _add_best(self, points: Parts, best: Peak | None, at_s: float) -> None:
        """Give the best moment to its driver."""
        if best is not None:
            moment = self.peak_share * self._best_points(self._faded(best, at_s))
            points.add(best.code, moment)

    def _add_worst(self, points: Parts, worst: Peak | None, failures: list[Standing], at_s: float) -> None:
        """Give the worst moment, of the sums or of the register, to its driver."""
        m = self._faded(worst, at_s)
        for held in failures:
            stands = -held.a * held.slow
            moment = Peak(held.key >> 3, stands, float(held.until_s), held.name)
            if worst is None or _outdoes(moment, stands, worst, m):
                worst, m = moment, stands
        if worst is not None:
            points.add(worst.code, self.peak_share * self._worst_points(m))

    def last_points(
        self, state: CustomerState, at_s: float, last: LastExperience, denominator: float
    ) -> float:
        """Return what the last experience alone adds to the experience score at `at_s`, peaks aside.

        `denominator` is that of the experience ledger then.
        """
        own = last.a * exp2((last.at_s - at_s) / self.half_life_s)
        if not last.has_source:  # one of the register may stand, or be repaired
            for case in state.entries.failures:
                if last.id == case.name.hex():
                    held = self.failures.at(case, at_s)
                    own = held.a * held.slow
        group, own = last.key & GROUP_BITS, self.mean_share * own
        if group:
            decay = exp2((state.ref_s - at_s) / self.half_life_s)
            routine_factor, service_factor, _ = self._saturation(state.mass, decay, 0.0)
            own *= routine_factor if group == ROUTINE_BITS else service_factor
        return own / denominator
