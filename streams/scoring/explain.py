"""Scores and alerts with their reasons: the full reading of a row, as documents and in words.

Documents are plain dicts with the fields of `schemas.outputs`, which a test holds them to: one is made for
every published score, and nested Structs would cost more than the scoring itself.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from schemas.envelope import at_time
from schemas.outputs import REASON_MAX_CHARS
from streams.scoring.apply import Scorer, profile_of
from streams.scoring.churn import BESIDE_TERMS, INTENT_NAMES, NO_ENGAGEMENT, ChurnReading
from streams.scoring.ledger import Reading
from streams.scoring.policy import DAY_S
from streams.scoring.rules import SEVERITIES, Band, Because, Cause, Decision, Glance, Rule, band_of
from streams.scoring.state import CustomerState

FILE_GENERATION: Final = "file"
"""The generation of alert ids that were made from a file, without a changelog."""
TOP_DRIVERS: Final = 2
MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
OWNED_POINTS: Final = -1.0
"""A driver that takes less than this is nobody's failure."""
PROFILE_IN_ALERTS: Final = ("segment", "tier", "locale", "timezone", "since", "owner")

_INTENT: Final = "declared intent to leave"
_INTENT_DRIVERS: Final = frozenset(INTENT_NAMES.values())

Document = dict[str, Any]


class Assessment:
    """A row read in full at one time: every score with the parts that it is the sum of.

    What not every reader needs (trend, churn and the sorted lists) is computed when it is asked for; the row
    must not change before that.
    """

    __slots__ = ("_churn", "_known", "_scorer", "_state", "_trend", "at_s", "experience", "prior", "service")

    def __init__(self, scorer: Scorer, state: CustomerState, at_s: float, trend: float | None = None) -> None:
        self._scorer = scorer
        self._state = state
        self._trend = trend
        self._churn: ChurnReading | None = None
        self._known = False
        self.at_s = at_s
        self.prior = scorer.policy.ledger.prior
        self.experience, self.service = scorer.ledger.read(state, at_s)

    @property
    def gap(self) -> float | None:
        """Service minus experience, None where either is hardly known."""
        known = self._scorer.policy.bands.min_coverage
        if self.experience.coverage < known or self.service.coverage < known:
            return None
        return self.service.score - self.experience.score

    @property
    def band(self) -> Band:
        """The experience score in words."""
        return band_of(self._scorer.policy, self.experience.score, self.experience.coverage)

    @property
    def trend(self) -> float:
        """Recent experience against the usual, points."""
        if self._trend is None:
            self._trend = self._scorer.ledger.trend(self._state, self.at_s)
        return self._trend

    @property
    def churn(self) -> ChurnReading | None:
        """The probability at the alert horizon, None without any engagement."""
        if not self._known:
            scorer = self._scorer
            index = scorer.policy.alert_horizon
            self._churn = scorer.churn.read(self._state, self.at_s, self.experience, self.trend, index)
            self._known = True
        return self._churn

    @property
    def drivers(self) -> list[Document]:
        """Each {driver, ledger, points}, the strongest first; prior plus their points is the score."""
        return self._points("experience", self.experience) + self._points("service", self.service)

    @property
    def churn_drivers(self) -> list[Document]:
        """Each {driver, logit}, the strongest first; they sum to the log-odds of churn."""
        if self.churn is None:
            return []
        ranked = sorted(self.churn.drivers.items(), key=_strength)
        return [{"driver": name, "logit": logit} for name, logit in ranked]

    @property
    def last(self) -> Document | None:
        """The last experience: {driver, age_s, points}."""
        last = self._state.last
        if last is None:
            return None
        return {
            "driver": driver_name(self._scorer, last.key >> 3),
            "age_s": self.at_s - last.at_s,
            "points": self._scorer.ledger.last_points(self._state, self.at_s),
        }

    def worst(self, count: int, below: float = 0.0) -> list[str]:
        """Return the drivers that take most from the experience score, all less than `below`, worst first."""
        taken = sorted((x, code) for code, x in self.experience.points.items() if x < below)
        return [driver_name(self._scorer, code) for _, code in taken[:count]]

    def _points(self, ledger: str, reading: Reading) -> list[Document]:
        names = self._scorer.policy.driver_names
        return [
            {"driver": names.get(code) or f"driver_{code}", "ledger": ledger, "points": points}
            for code, points in sorted(reading.points.items(), key=_strength)
        ]


def assess(scorer: Scorer, state: CustomerState, at_s: float) -> Assessment:
    """Read `state` at `at_s` (seconds), or at its newest event if that is later."""
    return Assessment(scorer, state, max(at_s, state.newest_s))


def assess_at(scorer: Scorer, state: CustomerState, glance: Glance) -> Assessment:
    """Read `state` where `glance` was taken of it, without computing again what the glance has."""
    return Assessment(scorer, state, glance.at_s, glance.trend)


def driver_name(scorer: Scorer, code: int) -> str:
    """Return the policy's name of a driver code; a code that the policy dropped keeps its number."""
    return scorer.policy.driver_names.get(code, f"driver_{code}")


def _strength(item: tuple[Any, float]) -> tuple[float, Any]:
    # Rounded: the last bits of a sum depend on the order of its events, the order of a document must not.
    return -round(abs(item[1]), 9), item[0]


def _standing(scorer: Scorer, customer_id: str, found: Assessment) -> Document:
    """Return the fields that scores and alerts share (`schemas.outputs.Snapshot`)."""
    return {
        "customer_id": customer_id,
        "at": at_time(found.at_s),
        "experience": found.experience.score,
        "service": found.service.score,
        "gap": found.gap,
        "trend": found.trend,
        "coverage": {"experience": found.experience.coverage, "service": found.service.coverage},
        "band": found.band.label,
        "churn_probability": None if found.churn is None else found.churn.probability,
        "horizon_days": scorer.policy.churn.alert_horizon_days,
        "drivers": found.drivers,
        "churn_drivers": found.churn_drivers,
        "last_experience": found.last,
        "policy_version": scorer.policy.hash,
    }


def score_document(scorer: Scorer, customer_id: str, state: CustomerState, found: Assessment) -> Document:
    """Return a customer's `ScoreUpdated`, as `cx.scores` and `cx score --json` write it."""
    document = _standing(scorer, customer_id, found)
    document["prior"] = found.prior
    document["churn_reason"] = NO_ENGAGEMENT if found.churn is None else None
    document["events"] = state.events
    return document


def alert_id(generation: str, customer_id: str, rule: Rule, number: int) -> str:
    """Return the id of an episode: the same in every run on the same log."""
    text = f"{generation}\x00{customer_id}\x00{rule.label}\x00{number}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def alert_step(scorer: Scorer, customer_id: str, state: CustomerState, decision: Decision) -> Document:
    """Return one step of an alert as `cx score --json` lists it, with the generation `file`."""
    found = assess_at(scorer, state, decision.glance)
    return _step(scorer, customer_id, state, decision, found, FILE_GENERATION) | {"drivers": found.drivers}


def _step(  # what was decided, of whom, and how they stood
    scorer: Scorer,
    customer_id: str,
    state: CustomerState,
    decision: Decision,
    found: Assessment,
    generation: str,
) -> Document:
    return {
        "alert_id": alert_id(generation, customer_id, decision.rule, decision.number),
        "rule": decision.rule.label,
        "episode": decision.number,
        "step": decision.step,
        "at": at_time(found.at_s),
        "severity": SEVERITIES[decision.severity],
        "reason": reason_of(scorer, state, decision, found),
    }


def alert_document(
    scorer: Scorer,
    customer_id: str,
    state: CustomerState,
    decision: Decision,
    *,
    generation: str,
    announced: bool,
    link_template: str = "",
) -> Document:
    """Return the `ChurnAlert` of one step, read from the row as it was when the step was decided."""
    found = assess_at(scorer, state, decision.glance)
    rhythm = state.rhythm
    horizon = float(scorer.policy.churn.alert_horizon_days)
    silence = scorer.churn.silence
    expected_s = silence.expected_by_s(rhythm, horizon, scorer.policy.rules.lost) if rhythm else None
    last = state.last
    document = _standing(scorer, customer_id, found)
    document |= _step(scorer, customer_id, state, decision, found, generation)
    profile = profile_of(state)
    document |= {
        "resolved_because": decision.because.value if decision.because else None,
        "lost": max(0.0, silence.lost(rhythm, found.at_s, horizon)) if rhythm else None,
        "expected_by": at_time(expected_s) if expected_s is not None else None,
        "evidence": [{"source": last.source, "id": last.id}] if last else [],
        "link": link_template.replace("{customer_id}", quote(customer_id, safe="")) or None,
        "cause_owner": _cause_owner(scorer, found),
        "announced": announced,
    }
    document |= {name: _text(profile, name) for name in PROFILE_IN_ALERTS}
    return document


def _text(profile: Mapping[str, object], name: str) -> str | None:
    value = profile.get(name)
    return None if value is None else str(value)


def _cause_owner(scorer: Scorer, found: Assessment) -> str | None:
    """Return who looks after the driver that takes most, where it takes enough to matter."""
    for driver in found.worst(1, OWNED_POINTS):
        if driver in scorer.policy.drivers:
            return scorer.policy.drivers[driver].owner or None
    return None


def reason_of(scorer: Scorer, state: CustomerState, decision: Decision, found: Assessment) -> str:
    """Say in one sentence of at most 140 characters why now, with the last experience where it fits."""
    sentence = _why(scorer, state, decision, found)
    last = state.last
    if last is not None and decision.because is None:
        driver = words(driver_name(scorer, last.key >> 3))
        longer = f"{sentence}; last experience: {driver}, {ago(found.at_s - last.at_s)}"
        if len(longer) < REASON_MAX_CHARS:
            sentence = longer
    return sentence[: REASON_MAX_CHARS - 1] + "."


def _why(scorer: Scorer, state: CustomerState, decision: Decision, found: Assessment) -> str:
    if decision.because is not None:
        return _RESOLVED[decision.because]
    horizon = scorer.policy.churn.alert_horizon_days
    if decision.rule is Rule.EXPERIENCE_DROP:
        return _why_drop(decision, found)
    if decision.rule is Rule.CHURN_RISK and decision.cause != Cause.LOST:
        chance = found.churn.probability if found.churn else 0.0
        risk = f"Churn risk within {horizon} days is {chance:.0%}"
        causes = " and ".join(_raising(found)[:TOP_DRIVERS])
        return risk + (f", driven by {causes}" if causes else "")
    return _why_silent(scorer, state, decision, found, horizon)


def _raising(found: Assessment) -> list[str]:
    """Return in words what of the experience raises the risk of churn, the strongest first."""
    raising = [entry["driver"] for entry in found.churn_drivers if entry["logit"] > 0.0]
    named = [
        _INTENT if name in _INTENT_DRIVERS else words(name) for name in raising if name not in BESIDE_TERMS
    ]
    return list(dict.fromkeys(named))


def _why_drop(decision: Decision, found: Assessment) -> str:
    causes = " and ".join(words(driver) for driver in found.worst(TOP_DRIVERS))
    what = f"fell to critical, {found.experience.score:.0f} of 100"
    if decision.cause != Cause.CRITICAL:
        what = f"is falling, {abs(found.trend):.0f} points below the usual"
    return f"Experience {what}" + (f", driven by {causes}" if causes else "")


def _why_silent(
    scorer: Scorer, state: CustomerState, decision: Decision, found: Assessment, horizon: int
) -> str:
    rhythm = state.rhythm
    if rhythm is None:  # neither rule opens without an engagement
        msg = f"{decision.rule.label} was opened for a customer without an engagement"
        raise ValueError(msg)
    lost = scorer.churn.silence.lost(rhythm, found.at_s, float(horizon))
    since = datetime.fromtimestamp(rhythm.last_day * DAY_S, UTC)
    fallen = f"chance of buying within {horizon} days has fallen {lost:.0%} since {since:%-d %b %Y}"
    if decision.rule is Rule.SILENCE or found.churn is None:
        return fallen[0].upper() + fallen[1:]
    return f"Churn risk {found.churn.probability:.0%}: {fallen}"


_RESOLVED: Final[dict[Because, str]] = {
    Because.ENGAGED: "Resolved: the customer engaged again",
    Because.RECOVERED: "Resolved: the reason no longer holds",
    Because.FOLDED: "Resolved: folded into the churn risk of the same customer",
}


def words(name: str) -> str:
    """Return a driver's name as words."""
    return name.replace("_", " ")


def ago(seconds: float) -> str:
    """Return an age as a person says it: just now, 5 min ago, 3 h ago, 12 d ago."""
    if seconds < MINUTE_S:
        return "just now"
    if seconds < HOUR_S:
        return f"{seconds // MINUTE_S:.0f} min ago"
    if seconds < 2 * DAY_S:
        return f"{seconds // HOUR_S:.0f} h ago"
    return f"{seconds // DAY_S:.0f} d ago"
