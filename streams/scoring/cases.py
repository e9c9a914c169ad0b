"""Alerts as cases: why now, in words, with what a person needs to act.

Documents are plain dicts with the fields of `schemas.outputs`, which a test holds them to.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

from schemas.envelope import at_time
from schemas.outputs import REASON_MAX_CHARS
from streams.scoring.apply import Scorer, profile_of
from streams.scoring.churn import BESIDE_TERMS, INTENT_NAMES
from streams.scoring.explain import Assessment, Document, assess_at, driver_name, standing
from streams.scoring.lifecycle import case_facts
from streams.scoring.policy import DAY_S
from streams.scoring.rules import SEVERITIES, Because, Cause, Decision, Rule
from streams.scoring.state import CustomerState

FILE_GENERATION: Final = "file"
"""The generation of alert ids that were made from a file, without a changelog."""
TOP_DRIVERS: Final = 2
MINUTE_S: Final = 60.0
HOUR_S: Final = 3600.0
HARDLY: Final = 1e-9
"""A contribution to the log-odds of no more than this is rounding."""
OWNED_POINTS: Final = -1.0
"""A driver that takes less than this is nobody's failure."""
PROFILE_IN_ALERTS: Final = ("segment", "tier", "locale", "timezone", "since", "owner")

_INTENT: Final = "declared intent to leave"
_INTENT_DRIVERS: Final = frozenset(INTENT_NAMES.values())


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
    document = standing(scorer, customer_id, found)
    document |= _step(scorer, customer_id, state, decision, found, generation)
    profile = profile_of(state)
    document |= {
        "resolved_because": decision.because.value if decision.because else None,
        "lost": max(0.0, silence.lost(rhythm, found.at_s, horizon)) if rhythm else None,
        "expected_by": at_time(expected_s) if expected_s is not None else None,
        "evidence": evidence_of(state),
        "link": link_template.replace("{customer_id}", quote(customer_id, safe="")) or None,
        "cause_owner": _cause_owner(scorer, found),
        "announced": announced,
    }
    document |= case_facts(state.episodes.get(decision.rule))
    document |= {name: _text(profile, name) for name in PROFILE_IN_ALERTS}
    return document


def evidence_of(state: CustomerState) -> list[Document]:
    """Return the newest events that say something, of the sums and of the register, the newest first."""
    found = [each for each in (state.last, state.cause) if each is not None and each.source]
    found.sort(key=lambda each: (-each.at_s, each.source, each.id))
    return [{"source": each.source, "id": each.id} for each in found]


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
    last = scorer.ledger.last_of(state)
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
    raising = [entry["driver"] for entry in found.churn_drivers if entry["logit"] > HARDLY]
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
