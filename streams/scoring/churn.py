"""The probability of no engagement within a horizon, as an exact sum of named log-odds.

`logit p(h) = b0(h) + b1 logit P0(h) + b2 log(max(count, .05)) + b3 log(spend) + b4 silence + experience
terms`, logit P0 held within the policy's limit; `spend` the mean of an occasion against the typical one,
shrunk towards it: `(S + 2 typical) / ((n + 2) typical)`, with the decayed spend S of n decayed occasions;
`silence` in horizons, at most 3, for customers who come by the calendar. The experience terms are the points
that each driver takes from (or adds to) the experience score, the trend, open issues and declared intent,
together capped by scaling. Calibration comes last (streams/scoring/calibration.py).
"""

import math
from typing import Final

from librt.vecs import append, vec
from mypy_extensions import mypyc_attr

from streams.scoring.calibration import Calibration
from streams.scoring.drivers import Driver, Parts
from streams.scoring.entry import Case
from streams.scoring.ledger import Reading
from streams.scoring.maths import exp2, log2
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.rhythm import Silence, count_half_lives_s
from streams.scoring.signals import Intent
from streams.scoring.standing import Failures, failing
from streams.scoring.state import CustomerState, Rhythm
from streams.scoring.sums import ROOM

MIN_COUNT: Final = 0.05
MOST_HORIZONS: Final = 3.0  # of silence: a longer one says no more
TYPICAL_OCCASIONS: Final = 2.0  # of typical spend that are assumed beside those seen: one basket says little
BASE: Final = "base"
RHYTHM: Final = "rhythm"
ENGAGEMENT: Final = "engagement"
RECENCY: Final = "recency"
SPEND: Final = "spend"
CALIBRATION: Final = "calibration"
BESIDE_TERMS: Final = frozenset({BASE, RHYTHM, ENGAGEMENT, SPEND, RECENCY, CALIBRATION})
"""The drivers of the churn logit that are not experience."""
_BESIDE: Final = 6  # so many parts come before the experience terms; the last of them is the calibration
TREND: Final = "trend"
OPEN_ISSUE: Final = "open_issue"
BROKEN_PROMISE: Final = "broken_promise"
INTENT_NAMES: Final = {
    Intent.CANCEL_PAGE: "intent_cancel_page",
    Intent.COMPLAINT: "intent_complaint",
    Intent.UNSUBSCRIBE: "intent_unsubscribe",
    Intent.CANCELLED: "intent_cancelled",
}
NO_ENGAGEMENT: Final = "no_engagement"
_CANCELLED: Final = Intent.CANCELLED
FRESH_INTENT: Final = 0.25
"""What is left of a declared intent after two half-lives: it no longer opens, holds or weighs an alert."""


@mypyc_attr(acyclic=True)
class ChurnReading:
    """A probability, its log-odds and what they are made of: the logits of `parts` sum to `logit`."""

    __slots__ = ("logit", "parts", "probability")

    def __init__(self, probability: float, logit: float, parts: Parts) -> None:
        self.probability = probability
        self.logit = logit
        self.parts = parts


def sigmoid(logit: float) -> float:
    """Return the probability of a log-odds."""
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1.0 + math.exp(logit))


class Churn:
    """The churn logit under one policy."""

    def __init__(self, policy: Policy) -> None:
        section = policy.churn
        self.silence = Silence(policy.rhythm)
        self.horizons = tuple(float(days) for days in section.horizons_days)
        self.count_half_lives_s = count_half_lives_s(policy)
        self.intent_half_life_s = section.intent_half_life_days * DAY_S
        self.per_point = section.experience_per_10_points / 10.0
        self.per_trend = section.trend_per_10_points / 10.0
        self.cap = section.terms_cap
        self._prior = policy.ledger.prior
        self._failures = Failures(policy)
        self._open_issue = section.open_issue
        self._broken_promise = section.broken_promise
        self._most = section.standing_most
        self.base = section.base
        self.b1 = section.rhythm
        self.b2 = section.engagement
        self.b3 = section.spend
        self.b4 = section.recency
        self.limit = section.rhythm_limit
        self.typical_spend = section.typical_spend
        self._beside = [
            Driver(BASE),
            Driver(RHYTHM),
            Driver(ENGAGEMENT),
            Driver(SPEND),
            Driver(RECENCY),
            Driver(CALIBRATION),
        ]
        self._trend = Driver(TREND)
        self._issue = Driver(OPEN_ISSUE)
        self._promise = Driver(BROKEN_PROMISE)
        self._intents: dict[int, Driver] = {intent: Driver(name) for intent, name in INTENT_NAMES.items()}
        self.calibration = Calibration(section.calibration, len(self.horizons))
        self.intent_logits: dict[int, float] = {
            Intent.CANCEL_PAGE: section.cancel_page,
            Intent.COMPLAINT: section.complaint,
            Intent.UNSUBSCRIBE: section.unsubscribe,
            Intent.CANCELLED: section.cancelled,
        }
        self.cancels = section.cancelled > 0.0
        """Who cancels is at risk; else a policy makes nothing of it."""

    def declare(self, state: CustomerState, intent: Intent, at_s: float) -> bool:
        """Count a declared intent to leave at `at_s`; True if it changes what is known.

        Who cancels twice leaves once, the last time: so the amount tells when that was.
        """
        amount = exp2((at_s - state.ref_s) / self.intent_half_life_s)
        if intent is not _CANCELLED:
            state.intents.add(intent, amount)
            return True
        if amount <= state.intents.get(intent):
            return False
        state.intents.put(intent, amount)
        return True

    def terms(
        self, state: CustomerState, failures: list[Case], at_s: float, score: float, trend: float
    ) -> float:
        """Return the experience terms together, capped, log-odds; `failures` is what `failing` finds."""
        total = self.per_point * (self._prior - score)
        if trend < 0.0:
            total -= self.per_trend * trend
        if state.intents:
            for intent, amount in self.intents(state, at_s):
                total += self.intent_logits[intent] * amount
        if failures:
            issues, promises = self._matters(failures, at_s)
            total += issues + promises
        return max(-self.cap, min(self.cap, total))

    def _matters(self, failures: list[Case], at_s: float) -> tuple[float, float]:
        """Return what open issues and what broken promises add while they stand, log-odds."""
        issues, promises = self._failures.open_matters(failures, at_s)
        return (
            self._open_issue * min(issues, self._most),
            self._broken_promise * min(promises, self._most),
        )

    def is_fresh(self, state: CustomerState, intent: Intent, at_s: float) -> bool:
        """Tell whether an intent was declared within the last two half-lives."""
        if not state.intents:
            return False
        decay = exp2((state.ref_s - at_s) / self.intent_half_life_s)
        return state.intents.get(intent) * decay >= FRESH_INTENT

    def declared_s(self, state: CustomerState, intent: Intent) -> float:
        """Return when a fresh intent was declared, seconds; of those that add up, a time after all."""
        return state.ref_s + self.intent_half_life_s * log2(state.intents.get(intent))

    def intents(self, state: CustomerState, at_s: float) -> list[tuple[int, float]]:
        """Return each declared intent with its decayed amount at `at_s`."""
        if not state.intents:
            return []
        decay = exp2((state.ref_s - at_s) / self.intent_half_life_s)
        amounts = state.intents.amounts
        return [(key, amounts[place] * decay) for place, key in enumerate(state.intents.keys)]

    def rhythm_logits(
        self, state: CustomerState, rhythm: Rhythm, at_s: float, index: int
    ) -> tuple[float, float, float, float]:
        """Return what rhythm, decayed count, spend and recency add at horizon `index`, log-odds."""
        logit_p0 = self.silence.logit_p0(rhythm, at_s, self.horizons[index])
        return self._logits(state, rhythm, at_s, index, logit_p0)

    def _logits(
        self, state: CustomerState, rhythm: Rhythm, at_s: float, index: int, logit_p0: float
    ) -> tuple[float, float, float, float]:
        from_rhythm = self.b1 * max(-self.limit, min(self.limit, logit_p0))
        from_count = from_spend = from_recency = 0.0
        if self.b2:
            decay = exp2((state.ref_s - at_s) / self.count_half_lives_s[index])
            from_count = self.b2 * math.log(max(rhythm.counts[index] * decay, MIN_COUNT))
        if self.b3:
            from_spend = self.b3 * self.log_spend(state, rhythm, at_s)
        if self.b4:
            silent_days = max(0.0, at_s / DAY_S - rhythm.last_day)
            from_recency = self.b4 * min(silent_days / self.horizons[index], MOST_HORIZONS)
        return from_rhythm, from_count, from_spend, from_recency

    def log_spend(self, state: CustomerState, rhythm: Rhythm, at_s: float) -> float:
        """Return the logarithm of the mean spend of an occasion against the typical one, shrunk towards 0."""
        decay = exp2((state.ref_s - at_s) / self.count_half_lives_s[-1])
        occasions = rhythm.counts[-1] * decay + TYPICAL_OCCASIONS
        spend = rhythm.spend * decay / self.typical_spend + TYPICAL_OCCASIONS
        return math.log(max(spend, MIN_COUNT) / occasions)

    def logit(self, state: CustomerState, at_s: float, terms: float, index: int) -> float | None:
        """Return the log-odds of churn at horizon `index`; None without any engagement."""
        rhythm = state.rhythm
        if rhythm is None:
            return None
        if not self.calibration.curves:
            return self._sum(self.rhythm_logits(state, rhythm, at_s, index), terms, index)
        return self._lowest(state, rhythm, at_s, terms, index)

    def risks(self, state: CustomerState, at_s: float, terms: float) -> list[float]:
        """Return the probability at each horizon, the shortest first; none without any engagement."""
        found: list[float] = []
        rhythm = state.rhythm
        if rhythm is None:
            return found
        logits = self.silence.logits_p0(rhythm, at_s, self.horizons)
        lowest = math.inf
        for index, logit_p0 in enumerate(logits):
            logit = self._sum(self._logits(state, rhythm, at_s, index, logit_p0), terms, index)
            if self.calibration.curves:
                lowest = logit = min(lowest, self.calibration.curves[index].at(logit))
            found.append(sigmoid(logit))
        return found

    def surely_below(self, state: CustomerState, at_s: float, terms: float, index: int, limit: float) -> bool:
        """Tell in a few operations that `logit` is below `limit`, but for rounding; False says nothing."""
        rhythm = state.rhythm
        if rhythm is None or self.calibration.curves:
            return False
        most = self.silence.most_logit_p0(rhythm, at_s, self.horizons[index])
        return self._sum(self._logits(state, rhythm, at_s, index, most), terms, index) < limit

    def _sum(self, logits: tuple[float, float, float, float], terms: float, index: int) -> float:
        """Return the sum of the log-odds at horizon `index` under Platt's slope and shift."""
        from_rhythm, from_count, from_spend, from_recency = logits
        own = self.base[index] + (from_rhythm + from_count + from_spend + from_recency) + terms
        return self.calibration.slope * own + self.calibration.shifts[index]

    def _lowest(self, state: CustomerState, rhythm: Rhythm, at_s: float, terms: float, index: int) -> float:
        """Return the calibrated log-odds: no horizon has more than a shorter one."""
        curves = self.calibration.curves[: index + 1]
        return min(
            curve.at(self._sum(self.rhythm_logits(state, rhythm, at_s, shorter), terms, shorter))
            for shorter, curve in enumerate(curves)
        )

    def read(
        self, state: CustomerState, at_s: float, experience: Reading, trend: float, index: int
    ) -> ChurnReading | None:
        """Return the probability at horizon `index` with its drivers; None without any engagement."""
        if state.rhythm is None:
            return None
        slope = self.calibration.slope
        from_rhythm, from_count, from_spend, from_recency = self.rhythm_logits(
            state, state.rhythm, at_s, index
        )
        amounts = vec[float](capacity=2 * ROOM)
        amounts = append(amounts, slope * self.base[index] + self.calibration.shifts[index])
        amounts = append(amounts, slope * from_rhythm)
        amounts = append(amounts, slope * from_count)
        amounts = append(amounts, slope * from_spend)
        amounts = append(amounts, slope * from_recency)
        amounts = append(amounts, 0.0)
        for points in experience.parts.amounts:
            amounts = append(amounts, -self.per_point * points)
        # The trend is named even at 0, so that rounding does not decide which drivers an output lists.
        amounts = append(amounts, self.per_trend * -trend if trend < 0.0 else 0.0)
        parts = Parts([*self._beside, *experience.parts.drivers, self._trend])
        parts.amounts = amounts
        self._add_declared(parts, state, at_s)
        terms = self._cap(parts)
        if self.calibration.curves:
            lowest = self._lowest(state, state.rhythm, at_s, terms, index)
            parts.amounts[_BESIDE - 1] = lowest - parts.total()
        logit = parts.total()
        return ChurnReading(sigmoid(logit), logit, parts)

    def _add_declared(self, parts: Parts, state: CustomerState, at_s: float) -> None:
        """Add what was declared and what stands open, before the cap of the experience terms."""
        if state.intents:
            for intent, amount in self.intents(state, at_s):
                parts.join(self._intents[intent], self.intent_logits[intent] * amount)
        failures = failing(state)
        if failures:
            issues, promises = self._matters(failures, at_s)
            if issues:
                parts.join(self._issue, issues)
            if promises:
                parts.join(self._promise, promises)

    def _cap(self, parts: Parts) -> float:
        """Scale the experience terms to their cap and put the slope on them; return their sum without it."""
        slope, amounts = self.calibration.slope, parts.amounts
        uncapped = parts.total(_BESIDE)
        scale = self.cap / abs(uncapped) if abs(uncapped) > self.cap else 1.0
        for place in range(_BESIDE, len(amounts)):
            amounts[place] = slope * (amounts[place] * scale) + 0.0  # a -0.0 would be written as one
        return uncapped * scale
