"""Alert episodes: absolute risk says who rarely buys; an alert says what changed.

Each rule has at most one open episode a customer. It opens at one threshold and closes at another
(hysteresis), and does not reopen within some days unless a new, serious signal came. `Rules.evaluate`
changes the episodes of a row and returns the steps taken.
"""

import math
from typing import Final

from streams.scoring.churn import Churn, sigmoid
from streams.scoring.complaints import Complaints
from streams.scoring.episodes import (
    FOLDS_INTO,
    Decision,
    Glance,
    Turn,
    any_open,
    engaged_since,
    is_back,
    told_silence,
)
from streams.scoring.grievances import Grievances
from streams.scoring.ledger import Ledger
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.rhythm import season_open
from streams.scoring.severity import Gravity
from streams.scoring.signals import Intent
from streams.scoring.standing import failing
from streams.scoring.state import WORST, WORST_ENDED, CustomerState, Episode
from streams.scoring.value import Value
from streams.scoring.verdict import Judge
from streams.scoring.vocabulary import (
    CRITICAL_SEVERITY,
    HIGH,
    LOW,
    MEDIUM,
    SEVERITIES,
    Band,
    Because,
    Cause,
    Rule,
)

__all__ = [
    "CRITICAL_SEVERITY",
    "HIGH",
    "LOW",
    "MEDIUM",
    "SEVERITIES",
    "Band",
    "Because",
    "Cause",
    "Decision",
    "Glance",
    "Rule",
    "Rules",
]

CERTAIN: Final = 1.0 - 1e-15
CERTAIN_LOGIT: Final = 34.0  # from 36.7 on, `sigmoid` is 1
ROUNDING_S: Final = 1e-3  # a time that is read from a sum is not exact
MARGIN: Final = 1e-9  # log-odds within which a shortcut leaves the decision to the full evaluation

# Members of an enum are looked up each time they are named.
_UNKNOWN: Final = Band.UNKNOWN
_CRITICAL: Final = Band.CRITICAL
_AT_RISK: Final = Band.AT_RISK
_STEADY: Final = Band.STEADY
_DELIGHTED: Final = Band.DELIGHTED
_CHURN_RISK: Final = Rule.CHURN_RISK
_EXPERIENCE_DROP: Final = Rule.EXPERIENCE_DROP
_SILENCE: Final = Rule.SILENCE
_SERVICE_FAILURE: Final = Rule.SERVICE_FAILURE
_PROMISE_BROKEN: Final = Rule.PROMISE_BROKEN
_ADVOCATE: Final = Rule.ADVOCATE
_LOST: Final = Cause.LOST
_EXPERIENCE: Final = Cause.EXPERIENCE
_LEAVING: Final = Cause.LEAVING
_CANCELLED: Final = Intent.CANCELLED


class Rules:
    """The alert rules under one policy; what every event is held against is read from it once."""

    def __init__(
        self, policy: Policy, ledger: Ledger, churn: Churn, judge: Judge, complaints: Complaints
    ) -> None:
        self.policy = policy
        self.ledger = ledger
        self.churn = churn
        self._complaints = complaints
        self.value = Value(policy, churn.count_half_lives_s[-1])
        self.grievances = Grievances(policy, judge)
        self.gravity = Gravity(ledger, churn, self.grievances, self.value)
        self._limits = policy.rules
        self._rest_s = policy.rules.reopen_after_days * DAY_S
        self._churn_terms = policy.rules.churn_terms
        self._churn_open = policy.rules.churn_open
        self._churn_close = policy.rules.churn_close
        self._drop_open = policy.rules.drop_open
        self._drop_close = policy.rules.drop_close
        self._lost = policy.rules.lost
        self._low_prior = policy.ledger.prior < policy.bands.critical_below
        """Then a good score can fall below the critical one by time alone."""
        self._advocates = bool(policy.rules.advocate)
        self._min_coverage = policy.bands.min_coverage
        self._critical_below = policy.bands.critical_below
        self._at_risk_below = policy.bands.at_risk_below
        self._steady_below = policy.bands.steady_below
        self._index = policy.alert_horizon
        self._open_logit = _logit(policy.rules.churn_open) - MARGIN
        self._horizon = float(policy.churn.alert_horizon_days)
        self._recovered = policy.bands.critical_below + policy.rules.critical_margin

    def band_of(self, score: float, coverage: float) -> Band:
        """Return the band of an experience score; `UNKNOWN` where too little is known."""
        if coverage < self._min_coverage:
            return _UNKNOWN
        if score < self._at_risk_below:
            return _CRITICAL if score < self._critical_below else _AT_RISK
        return _STEADY if score < self._steady_below else _DELIGHTED

    def glance(self, state: CustomerState, at_s: float) -> Glance:
        """Return the row's figures at `at_s`, or at its newest event if that is later."""
        at_s = max(at_s, state.newest_s)
        failures = failing(state)
        score, coverage, trend = self.ledger.figures(state, failures, at_s)
        terms = self.churn.terms(state, failures, at_s, score, trend)
        return Glance(at_s, score, coverage, trend, self.band_of(score, coverage), terms, failures)

    def evaluate(
        self,
        state: CustomerState,
        at_s: float,
        *,
        absence_until_s: float,
        strong: bool = False,
        cancelled: bool = False,
    ) -> list[Decision]:
        """Open, escalate and resolve episodes at `at_s` (seconds), and return the steps in order.

        `absence_until_s` is the time up to which every input was read: silence opens nothing for a later
        time. `strong` and `cancelled` tell what was just applied (`Scorer.count`): by time alone nobody could
        say that of what is heard late.
        """
        glance = self.glance(state, at_s)
        return self.decide(state, glance, absence_until_s=absence_until_s, strong=strong, cancelled=cancelled)

    def decide(
        self,
        state: CustomerState,
        glance: Glance,
        *,
        absence_until_s: float,
        strong: bool = False,
        cancelled: bool = False,
    ) -> list[Decision]:
        """Do what `evaluate` does with figures that the caller has read already."""
        absent = self._absent(state, glance.at_s, absence_until_s)
        if not (
            absent
            or strong
            or cancelled
            or glance.terms >= self._churn_terms
            or glance.band is _CRITICAL
            or glance.trend <= self._drop_open
            or glance.failures
            or self._advocates
            or any_open(state)
        ):
            state.calm_s = glance.at_s
            return []
        turn = Turn(state, glance, absent=absent, strong=strong)
        self._churn_risk(turn, leaving=cancelled and self._leaves(state, glance.at_s))
        served, broken = self.grievances.both(glance.failures, glance.at_s)
        grieved = served is not None or broken is not None
        self._experience_drop(turn, grieved=grieved)
        if grieved or state.has_episodes:
            self._grievance(turn, _SERVICE_FAILURE, served)
            self._grievance(turn, _PROMISE_BROKEN, broken)
        self._silence(turn)
        if self._advocates:
            self._advocate(turn)
        if not turn.steps:
            state.calm_s = glance.at_s
        return turn.steps

    def evaluate_silence(
        self, state: CustomerState, at_s: float, *, absence_until_s: float
    ) -> list[Decision]:
        """Evaluate what silence since the row's newest event can change."""
        at_s = max(at_s, state.newest_s)
        if self.stirs(state, at_s, absence_until_s=absence_until_s):
            return self.evaluate(state, at_s, absence_until_s=absence_until_s)
        return []

    def stirs(self, state: CustomerState, at_s: float, *, absence_until_s: float) -> bool:
        """Tell at little cost whether silence until `at_s` can have changed anything; False is certain.

        Silence can open the rules of absence and resolve what is open. Where something bad is remembered it
        can open more: the risk of who was angry grows with each day, and a rule that rested may open again.
        Where no time has passed since the rules decided nothing, only more inputs may have been read: an act
        that comes late leaves the row at its newest event.
        """
        if state.calm_s != at_s and (any_open(state) or not self._surely_calm(state, at_s)):
            return True
        return self._absent(state, at_s, absence_until_s)

    def _surely_calm(self, state: CustomerState, at_s: float) -> bool:
        """Tell in a few operations that no experience rule can open; False says nothing."""
        if state.intents or state.failing or self._advocates:
            return False
        if not self._low_prior and state.peaks[WORST] is None and state.peaks[WORST_ENDED] is None:
            return True
        below, trend = self.ledger.worst_case(state, at_s)
        churn = self.churn
        if self.ledger.mu - below < self._critical_below or trend <= self._drop_open:
            return False
        terms = below * churn.per_point - min(0.0, trend) * churn.per_trend
        if terms < self._churn_terms:
            return True
        most = churn.logit(state, at_s, min(terms, churn.cap), self._index)
        return most is None or most < self._open_logit

    def _absent(self, state: CustomerState, at_s: float, absence_until_s: float) -> bool:
        """Tell whether silence has cost the policy's share, as far as it may be said at all."""
        rhythm = state.rhythm
        if rhythm is None or at_s > absence_until_s:
            return False
        if self.churn.silence.surely_below(rhythm, at_s, self._lost):
            return False
        if self.churn.silence.lost(rhythm, at_s, self._horizon) < self._lost:
            return False
        limits = self._limits
        return not season_open(
            rhythm, at_s, span_days=limits.seasonal_span_days, months=limits.seasonal_months
        )

    def _churn_risk(self, turn: Turn, *, leaving: bool) -> None:
        state, glance, at_s, churn = turn.state, turn.glance, turn.at_s, self.churn
        episode, rhythm, terms = turn.open_of(_CHURN_RISK), state.rhythm, glance.terms
        lost = (
            turn.absent
            and rhythm is not None
            and rhythm.repeats >= 1
            and not told_silence(state, rhythm, _CHURN_RISK)
        )
        if (
            episode is None
            and not leaving
            and (
                not (lost or terms >= self._churn_terms)
                or churn.surely_below(state, at_s, terms, self._index, self._open_logit)
            )
        ):
            return
        logit = churn.logit(state, at_s, terms, self._index)
        # Who never engaged, and yet cancelled, has no probability: then the intent alone is the risk.
        probability = 0.0 if logit is None else sigmoid(logit)
        if episode is not None:
            self._go_on_with_risk(turn, episode, probability)
        elif leaving or probability >= self._churn_open:
            severity = self.gravity.of_risk(probability, glance.band)
            cause = _LEAVING if leaving else _LOST if lost else _EXPERIENCE
            self._open(turn, _CHURN_RISK, cause, severity, news=leaving)

    def _go_on_with_risk(self, turn: Turn, episode: Episode, probability: float) -> None:
        """Close the risk of churn, or make it graver.

        Who cancelled is at risk for as long as that is fresh, whatever the rhythm says, or until they engage.
        """
        state, at_s = turn.state, turn.at_s
        if is_back(state, episode) and not self._leaves(state, at_s):
            turn.resolve(_CHURN_RISK, episode, Because.ENGAGED)
        elif probability <= self._churn_close and not self._leaves(state, at_s):
            turn.resolve(_CHURN_RISK, episode, Because.RECOVERED)
        else:
            severity = self.gravity.of_risk(probability, turn.glance.band)
            self._escalate(turn, _CHURN_RISK, episode, severity)

    def _leaves(self, state: CustomerState, at_s: float) -> bool:
        """Tell whether the customer cancelled lately, and has not come back on a later day."""
        if not (self.churn.cancels and self.churn.is_fresh(state, _CANCELLED, at_s)):
            return False
        rhythm = state.rhythm
        return rhythm is None or rhythm.last_day * DAY_S <= self._cancelled_s(state)

    def cancelled_since(self, state: CustomerState, since_s: float, at_s: float) -> bool:
        """Tell whether the customer cancelled at `since_s` or later, and is not back at `at_s`."""
        return self._leaves(state, at_s) and self._cancelled_s(state) >= since_s

    def _cancelled_s(self, state: CustomerState) -> float:
        """Return when the customer cancelled last, if that is fresh."""
        return self.churn.declared_s(state, _CANCELLED) + ROUNDING_S

    def _experience_drop(self, turn: Turn, *, grieved: bool) -> None:
        """Open and close the rule of a falling experience.

        What falls because something stands broken is told by the rule about that, which closes when it is
        mended; only the critical band is an alert of its own then. A complaint is told where it leaves the
        experience at risk: where no usual is known, nothing falls.
        """
        glance = turn.glance
        episode = turn.open_of(_EXPERIENCE_DROP)
        critical = glance.band is _CRITICAL
        severity = HIGH if critical or grieved else MEDIUM
        if episode is not None:
            # The score, not the band: a row that fades to `unknown` tends to the prior and closes too.
            recovered = glance.trend > self._drop_close and glance.score >= self._recovered
            if recovered and not self._complains(turn):
                turn.resolve(_EXPERIENCE_DROP, episode, Because.RECOVERED)
            else:
                self._escalate(turn, _EXPERIENCE_DROP, episode, severity)
        elif critical:
            self._open(turn, _EXPERIENCE_DROP, Cause.CRITICAL, severity)
        elif (
            glance.trend <= self._drop_open
            and glance.coverage >= self._min_coverage
            and not grieved
            and (turn.strong or not self._told_lately(turn.state, turn.at_s))
        ):
            self._open(turn, _EXPERIENCE_DROP, Cause.TREND, severity)
        elif turn.strong and not grieved and self._complains(turn) and not self._told_complaint(turn):
            self._open(turn, _EXPERIENCE_DROP, Cause.COMPLAINT, severity)

    def _complains(self, turn: Turn) -> bool:
        """Tell whether a fresh complaint, of which nobody said that it was settled, leaves them at risk."""
        glance = turn.glance
        return (
            glance.score < self._at_risk_below
            and glance.coverage >= self._min_coverage
            and self._complaints.stand(turn.state, turn.at_s)
        )

    def _told_complaint(self, turn: Turn) -> bool:
        """Tell whether the last complaint was told: no other event tells it.

        It was if a rule that tells a complaint was open after it, or if something stood when it came: that
        was told, by its own rule or by the graver one that it was folded into.
        """
        state = turn.state
        complained_s = self._complaints.last_s(state, turn.at_s) + ROUNDING_S
        for rule in (_EXPERIENCE_DROP, _SERVICE_FAILURE, _PROMISE_BROKEN):
            episode = state.by_rule[rule]
            if episode is not None and episode.closed_s is not None and episode.closed_s > complained_s:
                return True
        return self.grievances.both(state.entries.failures, complained_s) != (None, None)

    def _grievance(self, turn: Turn, rule: Rule, cause: Cause | None) -> None:
        """Open and close a rule about what stands in the register; `cause` is None where nothing does."""
        episode = turn.open_of(rule)
        if episode is None:
            if cause is not None and not turn.is_folded(rule):
                self._open(turn, rule, cause, self.grievances.severity(cause))
        elif cause is None:
            turn.resolve(rule, episode, Because.RECOVERED)
        elif turn.is_folded(rule):
            turn.resolve(rule, episode, Because.FOLDED)
        else:
            self._escalate(turn, rule, episode, self.grievances.severity(cause))

    def _silence(self, turn: Turn) -> None:
        rhythm = turn.state.rhythm
        if rhythm is None:
            return
        episode = turn.open_of(_SILENCE)
        if episode is not None:
            if engaged_since(rhythm, episode):
                turn.resolve(_SILENCE, episode, Because.ENGAGED)
            elif turn.is_folded(_SILENCE):
                turn.resolve(_SILENCE, episode, Because.FOLDED)
        elif (
            turn.absent
            and not turn.is_folded(_SILENCE)
            and not told_silence(turn.state, rhythm, _SILENCE)
            and not told_silence(turn.state, rhythm, _CHURN_RISK)
        ):
            self._open(turn, _SILENCE, _LOST, MEDIUM if rhythm.repeats >= 1 else LOW)

    def _advocate(self, turn: Turn) -> None:
        limits, glance = self._limits, turn.glance
        episode = turn.open_of(_ADVOCATE)
        if episode is not None:
            if glance.score < self._steady_below:
                turn.resolve(_ADVOCATE, episode, Because.RECOVERED)
        elif (
            glance.score >= limits.advocate_score
            and glance.coverage >= limits.advocate_coverage
            and not any_open(turn.state)
            and not self._resting(turn, _ADVOCATE)
        ):
            turn.begin(_ADVOCATE, Cause.DELIGHT, LOW)

    def _open(self, turn: Turn, rule: Rule, cause: Cause, severity: int, *, news: bool = False) -> None:
        if news or turn.strong or not self._resting(turn, rule):
            turn.begin(rule, cause, self.gravity.weighed(turn.state, turn.at_s, severity))

    def _escalate(self, turn: Turn, rule: Rule, episode: Episode, severity: int) -> None:
        # What cannot rise is not weighed: that costs more than the rule.
        if episode.severity < self.gravity.most(severity):
            weighed = self.gravity.weighed(turn.state, turn.at_s, severity, episode.severity)
            turn.escalate(rule, episode, weighed)

    def _told_lately(self, state: CustomerState, at_s: float) -> bool:
        """Tell whether a rule about what stands has told what falls: mending alarms nobody.

        The trend goes on seeing what was told: for about its half-life beside other things, and for
        longer where nothing was lived through since, up to that of the score.
        """
        for rule in (_SERVICE_FAILURE, _PROMISE_BROKEN):
            episode = state.by_rule[rule]
            if episode is None:
                continue
            closed_s = at_s if episode.closed_s is None else episode.closed_s
            since_s = at_s - closed_s
            if since_s < self.ledger.recent_half_life_s or (
                since_s < self.ledger.half_life_s and not self._lived_since(state, closed_s)
            ):
                return True
        return False

    def _lived_since(self, state: CustomerState, at_s: float) -> bool:
        """Tell whether there was an experience of weight 1 or more after `at_s`."""
        last = self.ledger.last_of(state)
        return last is not None and last.at_s > at_s

    def _resting(self, turn: Turn, rule: Rule) -> bool:
        """Tell whether the rule's last episode was closed too recently to open another.

        A ticket that was reopened since then ends the rest: what was told to be over is not.
        """
        if self._in_hand(turn, rule):
            return True
        before = turn.state.by_rule[rule]
        if before is None or before.closed_s is None:
            return False
        if turn.at_s - before.closed_s >= self._rest_s:
            return False
        return rule != _SERVICE_FAILURE or not self.grievances.reopened_since(
            turn.glance.failures, turn.at_s, before.closed_s
        )

    def _in_hand(self, turn: Turn, rule: Rule) -> bool:
        """Tell whether a graver alert that told what stands was taken on, and closed too recently."""
        for graver in FOLDS_INTO.get(rule, ()):
            told = turn.state.by_rule[graver]
            if told is None or told.closed_s is None or told.acknowledged_s is None:
                continue
            newest_s = self.grievances.newest_s(rule, turn.glance.failures, turn.at_s)
            if newest_s <= told.closed_s and turn.at_s - told.closed_s < self._rest_s:
                return True
        return False


def _logit(probability: float) -> float:
    """Return the log-odds of a probability above 0, but for those from which it is rounded to 1."""
    return math.log(probability / (1.0 - probability)) if probability < CERTAIN else CERTAIN_LOGIT
