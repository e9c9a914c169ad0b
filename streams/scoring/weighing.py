"""What events and failures add to the sums of a row, and which moments of it are remembered."""

from typing import Final

from streams.scoring.entry import NOT_SETTLED, SETTLED_REPAIRED, Case
from streams.scoring.facts import THOUSANDTHS
from streams.scoring.maths import exp2, log2
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.signals import GROUP_BITS, ROUTINE_BITS, Group, Signal, SignalTable
from streams.scoring.standing import Failures
from streams.scoring.state import (
    BEST,
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

TINY: Final = 1e-12  # of a moment or a sum: less is no difference
REST: Final = 1e-12  # of what was taken out of a sum: less is rounding


def is_newer(last: LastExperience, at_s: float, source: str, event_id: str, a: float) -> bool:
    """Tell whether an experience comes after `last`; of the same time, source, id and size decide."""
    if at_s != last.at_s:
        return at_s > last.at_s
    return (source, event_id, abs(a)) > (last.source, last.id, abs(last.a))


def _added(total: float, amount: float) -> float:
    """Return a sum with `amount` added, 0 where it is empty then but for what rounding leaves of it."""
    total += amount
    return total if abs(total) > REST * abs(amount) else 0.0


def fade(mass: Mass, slow: float, fast: float) -> None:
    """Let all sums decay: by `slow` at the half-life of the score, by `fast` at that of the trend."""
    mass.q_plain *= slow
    mass.q_routine *= slow
    mass.q_service *= slow
    mass.q_served *= slow
    mass.w_experience *= slow
    mass.w_service *= slow
    mass.a_recent = mass.a_recent * fast + 0.0  # never -0.0: a row's bytes keep no sum that is nothing
    mass.q_recent *= fast


def _drop_rests(mass: Mass, rest: float) -> None:
    """Empty each sum that holds no more than `rest`."""
    mass.q_plain = _beyond(mass.q_plain, rest)
    mass.q_routine = _beyond(mass.q_routine, rest)
    mass.q_service = _beyond(mass.q_service, rest)
    mass.q_served = _beyond(mass.q_served, rest)
    mass.w_experience = _beyond(mass.w_experience, rest)
    mass.w_service = _beyond(mass.w_service, rest)
    mass.a_recent = _beyond(mass.a_recent, rest)
    mass.q_recent = _beyond(mass.q_recent, rest)


def _beyond(total: float, rest: float) -> float:
    return total if abs(total) > rest else 0.0


class Weigher:
    """Adds to the sums of rows under one policy."""

    def __init__(self, policy: Policy, failures: Failures, signals: SignalTable) -> None:
        section = policy.ledger
        self.half_life_s = section.half_life_days * DAY_S
        self.recent_half_life_s = section.trend_half_life_days * DAY_S
        self.failures = failures
        (self._kept,) = signals.full("delivery_on_time")

    def add(
        self, state: CustomerState, signal: Signal, at_s: float, source: str, event_id: str, event: bytes
    ) -> None:
        """Count `signal` at `at_s`; `event` is the 6-byte hash of (source, id), which breaks ties."""
        self.weigh(state, signal, at_s)
        a = signal.a
        if a:
            self._remember(state.peaks, signal, at_s, event)
        if signal.weight >= 1.0:
            self._newest(state, signal.key, at_s, a, source, event_id)

    def weigh(self, state: CustomerState, signal: Signal, at_s: float, times: float = 1.0) -> None:
        """Add `signal` to the sums, `times` times."""
        grown = times * exp2((at_s - state.ref_s) / self.half_life_s)
        recent = times * exp2((at_s - state.ref_s) / self.recent_half_life_s)
        points, mass, key = state.points, state.mass, signal.key
        a, q, w = signal.a, signal.q * grown, signal.weight * grown
        points.add(key, a * grown)
        group = key & GROUP_BITS
        if not group:
            mass.q_plain += q
        elif group == ROUTINE_BITS:
            mass.q_routine += q
        else:
            mass.q_service += q
        mass.w_experience += w
        mass.a_recent += a * recent
        mass.q_recent += signal.q * recent
        if key & 1:
            mass.q_served += q
            mass.w_service += w

    def unweigh(self, state: CustomerState, signal: Signal, at_s: float) -> None:
        """Take out of the sums what `weigh` added, and what rounding leaves of a sum that is empty then."""
        self.weigh(state, signal, at_s, -1.0)
        grown = exp2((at_s - state.ref_s) / self.half_life_s)
        if abs(state.points.get(signal.key)) <= REST * abs(signal.a) * grown:
            state.points.drop(signal.key)
        _drop_rests(state.mass, REST * grown)

    def weigh_failure(self, state: CustomerState, case: Case, at_s: float, times: float = 1.0) -> None:
        """Add the failure of a case to the sums, dated `at_s`, `times` times; -1 takes it out."""
        weight = self.failures.weight(case, repaired=case.settled == SETTLED_REPAIRED)
        grown = times * exp2((at_s - state.ref_s) / self.half_life_s)
        recent = times * exp2((at_s - state.ref_s) / self.recent_half_life_s)
        worth, key, mass = self.failures.worth(case.key), case.key, state.mass
        a, q = worth.a * weight, worth.q * weight
        points = _added(state.points.get(key), a * grown)
        if points:
            state.points.put(key, points)
        else:
            state.points.drop(key)
        mass.w_experience = _added(mass.w_experience, weight * grown)
        mass.q_plain = _added(mass.q_plain, q * grown)
        mass.a_recent = _added(mass.a_recent, a * recent)
        mass.q_recent = _added(mass.q_recent, q * recent)
        if key & 1:
            mass.q_served = _added(mass.q_served, q * grown)
            mass.w_service = _added(mass.w_service, weight * grown)

    def remember_failure(self, state: CustomerState, case: Case, at_s: float) -> None:
        """Remember a failure that lies in the sums, dated `at_s`, beyond its entry in the register."""
        key, m = case.key, self._settled_m(case)
        if m > 0.0:
            for slot in (WORST, WORST_SERVICE) if key & 1 else (WORST,):
                self._challenge(state.peaks, slot, key >> 3, m, log2(m), at_s, case.name)
        if case.weight >= THOUSANDTHS:
            self._newest(state, key, float(case.since_s), self.failures.felt(case), "", case.name.hex())

    def rank_ended(self, state: CustomerState) -> None:
        """Find the worst of the failures that lie in the sums and are still in the register."""
        peaks = state.peaks
        peaks[WORST_ENDED] = peaks[WORST_SERVICE_ENDED] = None
        for case in state.entries.failures:
            if case.settled == NOT_SETTLED:
                continue
            m = self._settled_m(case)
            if m > 0.0:
                code, at_s, log2_m = case.key >> 3, float(case.until_s), log2(m)
                self._challenge(peaks, WORST_ENDED, code, m, log2_m, at_s, case.name)
                if case.key & 1:
                    self._challenge(peaks, WORST_SERVICE_ENDED, code, m, log2_m, at_s, case.name)

    def beside_register(self, state: CustomerState, code: int, at_s: float) -> float:
        """Return the A at `at_s` that the sums hold of a driver beside the failures of the register."""
        points, total = state.points, 0.0
        for place, key in enumerate(points.keys):
            if key >> 3 == code:
                total += points.amounts[place]
        total *= exp2((state.ref_s - at_s) / self.half_life_s)
        for case in state.entries.failures:
            if case.settled != NOT_SETTLED and case.key >> 3 == code:
                total += self._settled_m(case) * exp2((case.until_s - at_s) / self.half_life_s)
        return total

    def _settled_m(self, case: Case) -> float:
        """Return the magnitude of a failure that lies in the sums; 0 where a policy's repair is complete."""
        weight = self.failures.weight(case, repaired=case.settled == SETTLED_REPAIRED)
        return -self.failures.worth(case.key).a * weight

    def remember_kept(self, state: CustomerState, at_s: float) -> None:
        """Remember a delivery in time, which lies in the sums already, beyond its entry in the register."""
        kept = self._kept
        if kept.a > 0.0:
            self._challenge(state.peaks, BEST, kept.code, kept.m, kept.log2_m, at_s, b"")
        if kept.weight >= 1.0:
            self._newest(state, kept.key, at_s, kept.a, "", "")

    @staticmethod
    def _newest(state: CustomerState, key: int, at_s: float, a: float, source: str, event_id: str) -> None:
        last = state.last
        if last is None or is_newer(last, at_s, source, event_id, a):
            state.last = LastExperience(key, at_s, a, source, event_id)

    def _remember(self, peaks: list[Peak | None], signal: Signal, at_s: float, event: bytes) -> None:
        if signal.a < 0.0:
            self._challenge(peaks, WORST, signal.code, signal.m, signal.log2_m, at_s, event)
            if signal.service:
                self._challenge(peaks, WORST_SERVICE, signal.code, signal.m, signal.log2_m, at_s, event)
            return
        if signal.group != Group.SERVICE:  # good service is no best moment of the experience
            self._challenge(peaks, BEST, signal.code, signal.m, signal.log2_m, at_s, event)
        if signal.service:
            self._challenge(peaks, BEST_SERVICE, signal.code, signal.m, signal.log2_m, at_s, event)

    def _challenge(  # a peak and where it may go, without making one that loses
        self,
        peaks: list[Peak | None],
        slot: int,
        code: int,
        m: float,
        log2_m: float,
        at_s: float,
        event: bytes,
    ) -> None:
        """Keep the greater of the peak and the signal as both will be seen at any later time."""
        held = peaks[slot]
        if held is not None:
            ahead = log2_m - log2(held.m) + (at_s - held.at_s) / self.half_life_s
            if ahead < -TINY or (ahead <= TINY and (at_s, event, code) <= (held.at_s, held.event, held.code)):
                return
        peaks[slot] = Peak(code, m, at_s, event)
