"""Alerts as cases: who, why now, what they lived through, what is at stake, and what to do.

Documents are plain dicts with the fields of `schemas.outputs`, which a test holds them to.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, cast
from urllib.parse import quote

from schemas.money import minor_digits
from schemas.times import at_time
from streams.scoring.apply import Scorer, profile_of
from streams.scoring.churn import sigmoid
from streams.scoring.episodes import Decision
from streams.scoring.explain import Assessment, Document, assess_at, driver_name, standing
from streams.scoring.facts import DUE, KEPT, KIND_NAMES, ORDER, PROMISE, THOUSANDTHS
from streams.scoring.lifecycle import case_facts
from streams.scoring.policy import DAY_S
from streams.scoring.reasons import HOUR_S, reason_of
from streams.scoring.signals import Intent
from streams.scoring.state import NO_CODE, Case, CustomerState
from streams.scoring.vocabulary import SEVERITIES, Rule

FILE_GENERATION: Final = "file"
"""The generation of alert ids that were made from a file, without a changelog."""
OWNED_POINTS: Final = -1.0
"""A driver that takes less than this is nobody's failure."""
PROFILE_IN_ALERTS: Final = ("segment", "tier", "locale", "timezone", "since", "owner")
MESSAGES_S: Final = 30 * DAY_S
MESSAGE_CHANNELS: Final = frozenset({"email", "sms"})
"""Channels that an unsubscribe closes."""


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
    document |= _stakes(scorer, state, decision, found)
    document |= _lived_through(scorer, state, decision, found.at_s)
    document |= _what_to_do(scorer, decision, found)
    document["allowed_contact"] = _allowed_contact(state, profile)
    document |= case_facts(state.episodes.get(decision.rule))
    document |= {name: _text(profile, name) for name in PROFILE_IN_ALERTS}
    return document


def _stakes(scorer: Scorer, state: CustomerState, decision: Decision, found: Assessment) -> Document:
    """Return the risk at each horizon, what is at risk and how that was reckoned, and by when to act."""
    churn, policy, value = scorer.churn, scorer.policy, scorer.rules.value
    terms = decision.glance.terms
    risks = []
    for index, days in enumerate(policy.churn.horizons_days):
        logit = churn.logit(state, found.at_s, terms, index)
        if logit is not None:
            risks.append({"horizon_days": days, "probability": sigmoid(logit)})
    probability = found.churn.probability if found.churn else None
    amount = value.at_risk(state, found.at_s, probability)
    at_risk = None
    if amount is not None and probability is not None:
        digits = minor_digits(policy.currency)
        yearly = value.yearly(state, found.at_s) / 10.0**digits
        years = "1 year" if value.years == 1.0 else f"{value.years:g} years"
        at_risk = {
            "amount": round(amount),
            "currency": policy.currency,
            "formula": f"{probability:.2f} x {yearly:.{digits}f} {policy.currency} a year x {years}",
        }
    within_s = policy.rules.act_within_hours[SEVERITIES[decision.severity]] * HOUR_S
    return {
        "churn_by_horizon": risks,
        "value_at_risk": at_risk,
        "act_by": at_time(found.at_s + within_s) if decision.because is None else None,
    }


def _lived_through(scorer: Scorer, state: CustomerState, decision: Decision, at_s: float) -> Document:
    """Return what stands open, what was promised, how often we wrote, and what earlier alerts came to."""
    held = sorted(state.cases.items(), key=lambda item: (item[1].since_s, item[0]))
    return {
        "open_issues": [
            _issue(scorer, case, at_s) for _, case in held if case.key != NO_CODE and at_s < case.until_s
        ],
        "promises": [_promise(case) for _, case in held if case.facts.get(DUE)],
        "messages_30d": sum(1 for each in state.outreach if at_s - each <= MESSAGES_S),
        "earlier_alerts": [
            {
                "rule": Rule(rule).label,
                "episode": episode.number,
                "opened_at": at_time(episode.opened_s),
                "closed_at": None if episode.closed_s is None else at_time(episode.closed_s),
                "outcome": episode.outcome or episode.inferred or None,
            }
            for rule, episode in sorted(state.episodes.items())
            if rule != decision.rule
        ],
    }


def _issue(scorer: Scorer, case: Case, at_s: float) -> Document:
    return {
        "kind": KIND_NAMES[case.kind],
        "driver": driver_name(scorer, case.key >> 3),
        "since": at_time(float(case.since_s)),
        "age_s": at_s - case.since_s,
        "weight": case.weight / THOUSANDTHS,
    }


def _promise(case: Case) -> Document:
    """Return how a promise stands: pending, kept, late, broken, or withdrawn."""
    if case.pending_s:
        status = "pending"
    elif case.kind in (ORDER, PROMISE) and case.key != NO_CODE:
        status = "late" if case.facts.get(KEPT) else "broken"
    else:
        status = "kept" if case.facts.get(KEPT) else "withdrawn"
    return {"kind": KIND_NAMES[case.kind], "due": at_time(float(case.facts[DUE])), "status": status}


def _what_to_do(scorer: Scorer, decision: Decision, found: Assessment) -> Document:
    """Return the playbook of the worst driver that has one, else of the rule."""
    playbook = scorer.policy.playbook
    names = [*found.worst(len(found.experience.points), OWNED_POINTS), decision.rule.label]
    if decision.rule is Rule.ADVOCATE:
        names = [decision.rule.label]
    for name in names:
        if name in playbook:
            return {"do": list(playbook[name].do), "do_not": list(playbook[name].do_not)}
    return {"do": [], "do_not": []}


def _allowed_contact(state: CustomerState, profile: Mapping[str, object]) -> list[str] | None:
    """Return the channels on which the customer may be contacted; None where nobody said."""
    named = profile.get("contact_by")
    if named is None:
        return None
    closed = MESSAGE_CHANNELS if Intent.UNSUBSCRIBE in state.intents else frozenset[str]()
    # A tuple in the event, a list in a row's bytes: the compiled cast is a check, and takes either so.
    return [channel for channel in cast("Iterable[str]", named) if channel not in closed]


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
