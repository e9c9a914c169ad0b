"""Alert episodes: absolute risk says who rarely buys; an alert says what changed.

Each rule has at most one open episode a customer. It opens at one threshold and closes at another
(hysteresis), and does not reopen within some days unless a new, serious signal came. `Rules.evaluate`
changes the episodes of a row and returns the steps taken.
"""

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from streams.scoring.churn import Churn, sigmoid
from streams.scoring.ledger import Ledger
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.rhythm import season_open
from streams.scoring.state import WORST, CustomerState, Episode, Rhythm

SEVERITIES: Final = ("low", "medium", "high", "critical")
LOW, MEDIUM, HIGH, CRITICAL_SEVERITY = range(4)
HIGH_RISK: Final = 0.9
MARGIN: Final = 1e-9  # log-odds within which a shortcut leaves the decision to the full evaluation
FRESH_INTENT: Final = 0.25  # two half-lives after it was declared, an intent no longer sets the severity


class Band(IntEnum):
    """The experience score in words."""

    UNKNOWN = 0
    CRITICAL = 1
    AT_RISK = 2
    STEADY = 3
    DELIGHTED = 4

    @property
    def label(self) -> str:
        """The band as outputs write it."""
        return self.name.lower()


class Rule(IntEnum):
    """The rules; the number is what rows keep."""

    CHURN_RISK = 1
    EXPERIENCE_DROP = 2
    SILENCE = 3

    @property
    def label(self) -> str:
        """The rule as outputs write it."""
        return self.name.lower()


class Cause(StrEnum):
    """What opened an episode."""

    LOST = "lost"
    EXPERIENCE = "experience"
    TREND = "trend"
    CRITICAL = "critical"


class Because(StrEnum):
    """What resolved an episode."""

    ENGAGED = "engaged"
    RECOVERED = "recovered"
    FOLDED = "folded"


@dataclass(slots=True)  # not frozen: one is made for every event, and freezing costs four times as much
class Glance:
    """What the rules and the scores topic look at, without the drivers."""

    at_s: float
    score: float
    coverage: float
    trend: float
    band: Band
    terms: float


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of an episode, decided at `glance.at_s`."""

    rule: Rule
    number: int
    step: str
    severity: int
    cause: str
    because: Because | None
    glance: Glance


def band_of(policy: Policy, score: float, coverage: float) -> Band:
    """Return the band of an experience score; `UNKNOWN` where too little is known."""
    bands = policy.bands
    if coverage < bands.min_coverage:
        return Band.UNKNOWN
    if score < bands.at_risk_below:
        return Band.CRITICAL if score < bands.critical_below else Band.AT_RISK
    return Band.STEADY if score < bands.steady_below else Band.DELIGHTED


class Rules:
    """The alert rules under one policy."""

    def __init__(self, policy: Policy, ledger: Ledger, churn: Churn) -> None:
        self.policy = policy
        self.ledger = ledger
        self.churn = churn
        self._limits = policy.rules
        self._index = policy.alert_horizon
        self._open_logit = _logit(policy.rules.churn_open) - MARGIN
        self._horizon = float(policy.churn.alert_horizon_days)
        self._floors = {
            driver.code: SEVERITIES.index(driver.severity_floor) for driver in policy.drivers.values()
        }

    def glance(self, state: CustomerState, at_s: float) -> Glance:
        """Return the row's figures at `at_s`, or at its newest event if that is later."""
        at_s = max(at_s, state.newest_s)
        score, coverage, trend = self.ledger.figures(state, at_s)
        terms = self.churn.terms(state, at_s, score, trend)
        return Glance(at_s, score, coverage, trend, band_of(self.policy, score, coverage), terms)

    def evaluate(
        self, state: CustomerState, at_s: float, *, absence_until_s: float, strong: bool = False
    ) -> list[Decision]:
        """Open, escalate and resolve episodes at `at_s` (seconds), and return the steps in order.

        `absence_until_s` is the time up to which every input was read: silence opens nothing for a later
        time. `strong` tells that a bad signal of the policy's `reopen_weight` was just applied.
        """
        return self.decide(state, self.glance(state, at_s), absence_until_s=absence_until_s, strong=strong)

    def decide(
        self, state: CustomerState, glance: Glance, *, absence_until_s: float, strong: bool = False
    ) -> list[Decision]:
        """Do what `evaluate` does with figures that the caller has read already."""
        absent = self._absent(state, glance.at_s, absence_until_s)
        if not (
            _any_open(state)
            or absent
            or glance.terms >= self._limits.churn_terms
            or glance.band is Band.CRITICAL
            or glance.trend <= self._limits.drop_open
        ):
            return []
        steps: list[Decision] = []
        self._churn_risk(state, glance, steps, absent=absent, strong=strong)
        self._experience_drop(state, glance, steps, strong=strong)
        self._silence(state, glance, steps, absent=absent, strong=strong)
        return steps

    def evaluate_silence(
        self, state: CustomerState, at_s: float, *, absence_until_s: float
    ) -> list[Decision]:
        """Evaluate what silence since the row's newest event can change: the cheap look before an event.

        Silence can open the rules of absence and resolve what is open. Where something bad is remembered it
        can open more: the risk of who was angry grows with each day, and a rule that rested may open again.
        """
        at_s = max(at_s, state.newest_s)
        if (
            _any_open(state)
            or not self._surely_calm(state, at_s)
            or self._absent(state, at_s, absence_until_s)
        ):
            return self.evaluate(state, at_s, absence_until_s=absence_until_s)
        return []

    def _surely_calm(self, state: CustomerState, at_s: float) -> bool:
        """Tell in a few operations that no experience rule can open; False says nothing."""
        if state.intents or state.failing:
            return False
        if WORST not in state.peaks:
            return True
        below, trend = self.ledger.worst_case(state, at_s)
        churn, limits = self.churn, self._limits
        if self.ledger.mu - below < self.policy.bands.critical_below or trend <= limits.drop_open:
            return False
        terms = below * churn.per_point - min(0.0, trend) * churn.per_trend
        if terms < limits.churn_terms:
            return True
        most = churn.logit(state, at_s, min(terms, churn.cap), self._index)
        return most is None or most < self._open_logit

    def _absent(self, state: CustomerState, at_s: float, absence_until_s: float) -> bool:
        """Tell whether silence has cost the policy's share, as far as it may be said at all."""
        rhythm, limits = state.rhythm, self._limits
        if rhythm is None or at_s > absence_until_s:
            return False
        if self.churn.silence.surely_below(rhythm, at_s, limits.lost):
            return False
        if self.churn.silence.lost(rhythm, at_s, self._horizon) < limits.lost:
            return False
        return not season_open(
            rhythm, at_s, span_days=limits.seasonal_span_days, months=limits.seasonal_months
        )

    def _churn_risk(
        self, state: CustomerState, glance: Glance, steps: list[Decision], *, absent: bool, strong: bool
    ) -> None:
        logit = self.churn.logit(state, glance.at_s, glance.terms, self._index)
        if logit is None or state.rhythm is None:
            return
        probability = sigmoid(logit)
        episode = _open(state, Rule.CHURN_RISK)
        severity = self._churn_severity(state, glance, probability)
        if episode is not None:
            if episode.cause == Cause.LOST and _engaged_since(state.rhythm, episode):
                self._resolve(Rule.CHURN_RISK, episode, glance, steps, Because.ENGAGED)
            elif probability <= self._limits.churn_close:
                self._resolve(Rule.CHURN_RISK, episode, glance, steps, Because.RECOVERED)
            else:
                self._escalate(Rule.CHURN_RISK, episode, glance, steps, severity)
            return
        lost = absent and state.rhythm.repeats >= 1
        if probability < self._limits.churn_open or not (lost or glance.terms >= self._limits.churn_terms):
            return
        cause = Cause.LOST if lost else Cause.EXPERIENCE
        self._open_new(state, Rule.CHURN_RISK, glance, steps, cause, severity, strong=strong)

    def _experience_drop(
        self, state: CustomerState, glance: Glance, steps: list[Decision], *, strong: bool
    ) -> None:
        limits = self._limits
        episode = _open(state, Rule.EXPERIENCE_DROP)
        critical = glance.band is Band.CRITICAL
        severity = self._floor(state, glance.at_s, HIGH if critical else MEDIUM)
        if episode is not None:
            # The score, not the band: a row that fades to `unknown` tends to the prior and closes too.
            if glance.trend > limits.drop_close and glance.score >= self.policy.bands.critical_below:
                self._resolve(Rule.EXPERIENCE_DROP, episode, glance, steps, Because.RECOVERED)
            else:
                self._escalate(Rule.EXPERIENCE_DROP, episode, glance, steps, severity)
            return
        falling = glance.trend <= limits.drop_open and glance.coverage >= self.policy.bands.min_coverage
        if falling or critical:
            cause = Cause.CRITICAL if critical else Cause.TREND
            self._open_new(state, Rule.EXPERIENCE_DROP, glance, steps, cause, severity, strong=strong)

    def _silence(
        self, state: CustomerState, glance: Glance, steps: list[Decision], *, absent: bool, strong: bool
    ) -> None:
        if state.rhythm is None:
            return
        episode = _open(state, Rule.SILENCE)
        folded = _open(state, Rule.CHURN_RISK) is not None
        if episode is not None:
            if _engaged_since(state.rhythm, episode):
                self._resolve(Rule.SILENCE, episode, glance, steps, Because.ENGAGED)
            elif folded:
                self._resolve(Rule.SILENCE, episode, glance, steps, Because.FOLDED)
        elif absent and not folded:
            severity = MEDIUM if state.rhythm.repeats >= 1 else LOW
            self._open_new(state, Rule.SILENCE, glance, steps, Cause.LOST, severity, strong=strong)

    def _churn_severity(self, state: CustomerState, glance: Glance, probability: float) -> int:
        severity = HIGH if probability >= HIGH_RISK else MEDIUM
        if severity == HIGH and glance.band is Band.CRITICAL:
            return CRITICAL_SEVERITY
        return self._floor(state, glance.at_s, severity)

    def _floor(self, state: CustomerState, at_s: float, severity: int) -> int:
        """Raise `severity` to the floor of what was just lived through, or of a fresh intent to leave."""
        if any(amount >= FRESH_INTENT for _, amount in self.churn.intents(state, at_s)):
            severity = max(severity, HIGH)
        last = self.ledger.last_of(state)
        if last is None or last.a >= 0.0 or at_s - last.at_s > self.churn.intent_half_life_s:
            return severity
        return max(severity, self._floors.get(last.key >> 3, LOW))

    def _open_new(  # an episode's first facts
        self,
        state: CustomerState,
        rule: Rule,
        glance: Glance,
        steps: list[Decision],
        cause: Cause,
        severity: int,
        *,
        strong: bool,
    ) -> None:
        before = state.episodes.get(rule)
        if not strong and self._resting(before, glance.at_s):
            return
        number = before.number + 1 if before is not None else 1
        last_day = state.rhythm.last_day if state.rhythm is not None else 0
        state.episodes[rule] = Episode(number, glance.at_s, None, cause.value, severity, last_day)
        steps.append(Decision(rule, number, "opened", severity, cause, None, glance))

    def _resting(self, before: Episode | None, at_s: float) -> bool:
        """Tell whether the rule's last episode was closed too recently to open another."""
        if before is None or before.closed_s is None:
            return False
        return at_s - before.closed_s < self._limits.reopen_after_days * DAY_S

    @staticmethod
    def _escalate(rule: Rule, episode: Episode, glance: Glance, steps: list[Decision], severity: int) -> None:
        if severity > episode.severity:
            episode.severity = severity
            steps.append(Decision(rule, episode.number, "escalated", severity, episode.cause, None, glance))

    @staticmethod
    def _resolve(
        rule: Rule, episode: Episode, glance: Glance, steps: list[Decision], because: Because
    ) -> None:
        episode.closed_s = glance.at_s
        decision = Decision(
            rule, episode.number, "resolved", episode.severity, episode.cause, because, glance
        )
        steps.append(decision)


def _logit(probability: float) -> float:
    """Return the log-odds of a probability above 0; of 1 they are infinite."""
    return math.log(probability / (1.0 - probability)) if probability < 1.0 else math.inf


def _any_open(state: CustomerState) -> bool:
    for episode in state.episodes.values():  # noqa: SIM110  # a generator costs more than the loop
        if episode.closed_s is None:
            return True
    return False


def _open(state: CustomerState, rule: Rule) -> Episode | None:
    episode = state.episodes.get(rule)
    return episode if episode is not None and episode.closed_s is None else None


def _engaged_since(rhythm: Rhythm, episode: Episode) -> bool:
    return rhythm.last_day > episode.last_day
