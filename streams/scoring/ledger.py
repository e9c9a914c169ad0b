"""The decayed ledger: two scores that are exact sums of named drivers.

With w' = w * asymmetry for a bad moment (v < mu), else w, and q = (v - mu)/(100 - mu) or (mu - v)/mu: `A_k
= sum w'(v - mu) decay`, `Q = sum w' q decay`, `M_k = A_k / (kappa + Q)`. Good moments of a group with cap c
saturate: `Q_g -> Q_g c/(c + Q_g)`, and A of the group by the same factor. The best and the worst moment
count beside the mean: `P- = -mu m d/(kappa mu + m d)`, `P+ = (100 - mu) m d/(kappa (100 - mu) + m d)`, and
`score = mu + (1 - lambda) sum M_k + lambda (P+ + P-)`, which stays in 0..100 without a clamp
(docs/concepts.md).
"""

import math
from dataclasses import dataclass
from math import exp2

from streams.scoring.policy import DAY_S, Policy
from streams.scoring.signals import Group, Signal
from streams.scoring.state import (
    A_RECENT,
    BEST,
    BEST_SERVICE,
    Q_PLAIN,
    Q_RECENT,
    Q_ROUTINE,
    Q_SERVED,
    Q_SERVICE,
    W_EXPERIENCE,
    W_SERVICE,
    WORST,
    WORST_SERVICE,
    CustomerState,
    LastExperience,
    Peak,
)

TINY = 1e-12
GROUP_BITS = 6  # of a key of `CustomerState.points`
ROUTINE_BITS = 2 * Group.ROUTINE


@dataclass(slots=True)  # not frozen: two are made for every published score
class Reading:
    """A ledger at a time: the score, its coverage and the points of each driver code."""

    score: float
    coverage: float
    points: dict[int, float]


class Ledger:
    """The ledger's arithmetic under one policy."""

    def __init__(self, policy: Policy) -> None:
        section = policy.ledger
        self.mu = section.prior
        self.above = 100.0 - section.prior
        self.kappa = section.mass
        self.mean_share = 1.0 - section.peak_share
        self.peak_share = section.peak_share
        self.half_life_s = section.half_life_days * DAY_S
        self.recent_half_life_s = section.trend_half_life_days * DAY_S
        self.routine_cap = section.routine_cap
        self.service_cap = section.service_cap

    def add(
        self, state: CustomerState, signal: Signal, at_s: float, source: str, event_id: str, event: bytes
    ) -> None:
        """Count `signal` at `at_s`; `event` is the 6-byte hash of (source, id), which breaks ties."""
        grown = exp2((at_s - state.ref_s) / self.half_life_s)
        points, mass = state.points, state.mass
        a, q = signal.a, signal.q
        points[signal.key] = points.get(signal.key, 0.0) + a * grown
        mass[signal.group] = mass.get(signal.group, 0.0) + q * grown
        mass[W_EXPERIENCE] = mass.get(W_EXPERIENCE, 0.0) + signal.weight * grown
        recent = exp2((at_s - state.ref_s) / self.recent_half_life_s)
        mass[A_RECENT] = mass.get(A_RECENT, 0.0) + a * recent
        mass[Q_RECENT] = mass.get(Q_RECENT, 0.0) + q * recent
        if signal.service:
            mass[Q_SERVED] = mass.get(Q_SERVED, 0.0) + q * grown
            mass[W_SERVICE] = mass.get(W_SERVICE, 0.0) + signal.weight * grown
        if a:
            self._remember(state.peaks, signal, at_s, event)
        if signal.weight >= 1.0:
            last = state.last
            if last is None or (at_s, source, event_id, signal.m) > (
                last.at_s,
                last.source,
                last.id,
                abs(last.a),
            ):
                state.last = LastExperience(signal.key, at_s, a, source, event_id)

    def _remember(self, peaks: dict[int, Peak], signal: Signal, at_s: float, event: bytes) -> None:
        if signal.a < 0.0:
            self._challenge(peaks, WORST, signal, at_s, event)
            if signal.service:
                self._challenge(peaks, WORST_SERVICE, signal, at_s, event)
            return
        if signal.group != Group.SERVICE:  # good service is no best moment of the experience
            self._challenge(peaks, BEST, signal, at_s, event)
        if signal.service:
            self._challenge(peaks, BEST_SERVICE, signal, at_s, event)

    def _challenge(
        self, peaks: dict[int, Peak], slot: int, signal: Signal, at_s: float, event: bytes
    ) -> None:
        """Keep the greater of the peak and the signal as both will be seen at any later time."""
        held = peaks.get(slot)
        if held is not None:
            ahead = signal.log2_m - math.log2(held.m) + (at_s - held.at_s) / self.half_life_s
            if ahead < -TINY or (
                ahead <= TINY and (at_s, event, signal.code) <= (held.at_s, held.event, held.code)
            ):
                return
        peaks[slot] = Peak(signal.code, signal.m, at_s, event)

    def figures(self, state: CustomerState, at_s: float) -> tuple[float, float, float]:
        """Return the experience score, its coverage and the trend at `at_s`, without the drivers.

        One pass for the three figures that every evaluation needs; `experience` gives the same score with
        its drivers.
        """
        mass = state.mass
        decay = exp2((state.ref_s - at_s) / self.half_life_s)
        plain = routine = service = 0.0
        for key, a in state.points.items():
            group = key & GROUP_BITS
            if not group:
                plain += a
            elif group == ROUTINE_BITS:
                routine += a
            else:
                service += a
        get = mass.get
        q_plain = get(Q_PLAIN, 0.0) * decay
        q_routine = get(Q_ROUTINE, 0.0) * decay
        q_service = get(Q_SERVICE, 0.0) * decay
        routine_factor = self.routine_cap / (self.routine_cap + q_routine)
        service_factor = self.service_cap / (self.service_cap + q_service)
        denominator = self.kappa + q_plain + q_routine * routine_factor + q_service * service_factor
        total = (plain + routine * routine_factor + service * service_factor) * decay
        peak = 0.0
        for slot, held in state.peaks.items():
            if slot == BEST:
                peak += self._high(held, at_s)
            elif slot == WORST:
                peak += self._low(held, at_s)
        weight = get(W_EXPERIENCE, 0.0) * decay
        usual_q = q_plain + q_routine + q_service
        trend = 0.0
        recent_q = get(Q_RECENT, 0.0) * exp2((state.ref_s - at_s) / self.recent_half_life_s)
        if recent_q >= TINY and usual_q >= TINY:
            recent = get(A_RECENT, 0.0) / get(Q_RECENT, 0.0)
            usual = (plain + routine + service) * decay / usual_q
            trend = recent_q / (self.kappa + recent_q) * (recent - usual)
        score = self.mu + self.mean_share * total / denominator + self.peak_share * peak
        return score, weight / (2.0 + weight), trend

    def worst_case(self, state: CustomerState, at_s: float) -> tuple[float, float]:
        """Return, in a few operations, the most points that the score can lie below the prior, and the trend.

        Bad signals lie in the plain group, so M and P- together take at most mu Q/(kappa + Q), Q its mass.
        """
        mass = state.mass
        plain = mass.get(Q_PLAIN, 0.0)
        usual = plain + mass.get(Q_ROUTINE, 0.0) + mass.get(Q_SERVICE, 0.0)
        plain *= exp2((state.ref_s - at_s) / self.half_life_s)
        below = self.mu * plain / (self.kappa + plain)
        recent = mass.get(Q_RECENT, 0.0)
        known = recent * exp2((state.ref_s - at_s) / self.recent_half_life_s)
        if known < TINY or usual < TINY:
            return below, 0.0
        mean_recent = mass.get(A_RECENT, 0.0) / recent
        return below, known / (self.kappa + known) * (mean_recent - sum(state.points.values()) / usual)

    def score(self, state: CustomerState, at_s: float) -> float:
        """Return the experience score at `at_s`, 0..100."""
        return self.figures(state, at_s)[0]

    def service_score(self, state: CustomerState, at_s: float) -> float:
        """Return the service score at `at_s`, 0..100."""
        mass = state.mass.get(Q_SERVED)
        if mass is None:
            return self.mu
        decay = exp2((state.ref_s - at_s) / self.half_life_s)
        total = 0.0
        for key, a in state.points.items():
            if key & 1:
                total += a
        peaks = state.peaks
        peak = self._high(peaks.get(BEST_SERVICE), at_s) + self._low(peaks.get(WORST_SERVICE), at_s)
        return (
            self.mu + self.mean_share * total * decay / (self.kappa + mass * decay) + self.peak_share * peak
        )

    def _saturation(self, mass: dict[int, float], decay: float) -> tuple[tuple[float, float, float], float]:
        """Return the factor of each group, and kappa + Q with the groups saturated."""
        routine = mass.get(Group.ROUTINE, 0.0) * decay
        service = mass.get(Group.SERVICE, 0.0) * decay
        routine_factor = self.routine_cap / (self.routine_cap + routine)
        service_factor = self.service_cap / (self.service_cap + service)
        denominator = (
            self.kappa + mass.get(Q_PLAIN, 0.0) * decay + routine * routine_factor + service * service_factor
        )
        return (1.0, routine_factor, service_factor), denominator

    def _high(self, peak: Peak | None, at_s: float) -> float:
        if peak is None:
            return 0.0
        m = peak.m * exp2((peak.at_s - at_s) / self.half_life_s)
        return self.above * m / (self.kappa * self.above + m)

    def _low(self, peak: Peak | None, at_s: float) -> float:
        if peak is None:
            return 0.0
        m = peak.m * exp2((peak.at_s - at_s) / self.half_life_s)
        return -self.mu * m / (self.kappa * self.mu + m)

    def trend(self, state: CustomerState, at_s: float) -> float:
        """Return recent experience against the usual, in points: c30 (A30/Q30 - A90/Q90), unsaturated."""
        return self.figures(state, at_s)[2]

    def read(self, state: CustomerState, at_s: float) -> tuple[Reading, Reading]:
        """Return the experience and the service ledger, each with the points of its drivers.

        In each, mu + the sum of the points is the score (G5).
        """
        mass = state.mass
        decay = exp2((state.ref_s - at_s) / self.half_life_s)
        factors, denominator = self._saturation(mass, decay)
        scale = self.mean_share * decay / denominator
        service_scale = self.mean_share * decay / (self.kappa + mass.get(Q_SERVED, 0.0) * decay)
        points: dict[int, float] = {}
        service: dict[int, float] = {}
        for key, a in state.points.items():
            code = key >> 3
            points[code] = points.get(code, 0.0) + a * factors[(key >> 1) & 3] * scale
            if key & 1:
                service[code] = service.get(code, 0.0) + a * service_scale
        self._add_peaks(points, state.peaks, BEST, WORST, at_s)
        self._add_peaks(service, state.peaks, BEST_SERVICE, WORST_SERVICE, at_s)
        weight = mass.get(W_EXPERIENCE, 0.0) * decay
        served = mass.get(W_SERVICE, 0.0) * decay
        return (
            Reading(self.mu + sum(points.values()), weight / (2.0 + weight), points),
            Reading(self.mu + sum(service.values()), served / (2.0 + served), service),
        )

    def _add_peaks(
        self, points: dict[int, float], peaks: dict[int, Peak], best: int, worst: int, at_s: float
    ) -> None:
        high, low = peaks.get(best), peaks.get(worst)
        if high is not None:
            points[high.code] = points.get(high.code, 0.0) + self.peak_share * self._high(high, at_s)
        if low is not None:
            points[low.code] = points.get(low.code, 0.0) + self.peak_share * self._low(low, at_s)

    def last_points(self, state: CustomerState, at_s: float) -> float:
        """Return what the last experience alone adds to the experience score at `at_s`, peaks aside."""
        last = state.last
        if last is None:
            return 0.0
        decay = exp2((state.ref_s - at_s) / self.half_life_s)
        factors, denominator = self._saturation(state.mass, decay)
        own = last.a * exp2((last.at_s - at_s) / self.half_life_s)
        return self.mean_share * own * factors[(last.key >> 1) & 3] / denominator
