"""Alerts as cases: who, why now, what they lived through, what is at stake, and what to do.

Documents are dicts with the fields of `schemas.outputs`, which a test holds them to.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final, cast
from urllib.parse import quote

import orjson

from schemas.outputs import ChurnAlert
from schemas.times import at_time
from streams.scoring.apply import Scorer, profile_of
from streams.scoring.churn import sigmoid
from streams.scoring.episodes import Decision
from streams.scoring.explain import Assessment, Document, assess_at, driver_name, figures
from streams.scoring.facts import DUE, KEPT, KIND_NAMES, ORDER, PROMISE, THOUSANDTHS
from streams.scoring.lifecycle import case_facts
from streams.scoring.policy import DAY_S
from streams.scoring.reasons import HOUR_S, reason_of
from streams.scoring.signals import Intent
from streams.scoring.state import NO_CODE, Case, CustomerState, Episode
from streams.scoring.texts import churn_drivers_text, drivers_text
from streams.scoring.vocabulary import RULE_LABELS, SEVERITIES, Rule

FILE_GENERATION: Final = "file"
"""The generation of alert ids that were made from a file, without a changelog."""
OWNED_POINTS: Final = -1.0
"""A driver that takes less than this is nobody's failure."""
PROFILE_IN_ALERTS: Final = ("segment", "tier", "locale", "timezone", "since", "owner")
MESSAGES_S: Final = 30 * DAY_S
MESSAGE_CHANNELS: Final = frozenset({"email", "sms"})
"""Channels that an unsubscribe closes."""
_ADVOCATE: Final = Rule.ADVOCATE


_BLANK: Final[Document] = dict.fromkeys(sorted(ChurnAlert.__struct_fields__))
"""Every field of an alert without a value, in the order in which they are written: set in any order, they are
never sorted again. The keys of the parts stand in order where they are made."""
_ID: Final = blake2b(digest_size=12)


def alert_id(generation: str, customer_id: str, rule: Rule, number: int) -> str:
    """Return the id of an episode: the same in every run on the same log."""
    digest = _ID.copy()
    digest.update(f"{generation}\x00{customer_id}\x00{RULE_LABELS[rule]}\x00{number}".encode())
    return digest.hexdigest()


def alert_step(scorer: Scorer, customer_id: str, state: CustomerState, decision: Decision) -> Document:
    """Return one step of an alert as `cx score --json` lists it, with the generation `file`."""
    found = assess_at(scorer, state, decision.glance)
    key = alert_id(FILE_GENERATION, customer_id, decision.rule, decision.number)
    return _step(scorer, key, state, decision, found) | {"drivers": found.drivers}


def _step(scorer: Scorer, key: str, state: CustomerState, decision: Decision, found: Assessment) -> Document:
    return {
        "alert_id": key,
        "rule": RULE_LABELS[decision.rule],
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
    key = alert_id(generation, customer_id, decision.rule, decision.number)
    said = {"announced": announced}
    text = alert_text(scorer, key, customer_id, state, decision, said, link_template=link_template)
    document: Document = orjson.loads(text)
    return document


def alert_text(  # what was decided, of whom, and what is said of it
    scorer: Scorer,
    key: str,
    customer_id: str,
    state: CustomerState,
    decision: Decision,
    said: Mapping[str, str | bool | None],
    *,
    link_template: str = "",
) -> bytes:
    """Return `alert_document` as JSON, its keys in order. `key` is its id, `said` fields of this step alone.

    How the customer stands is kept with the glance: other steps and the score need not read it again.
    """
    found = assess_at(scorer, state, decision.glance)
    decision.glance.found = found
    document = _BLANK.copy()
    document |= figures(scorer, customer_id, found)
    document["drivers"] = orjson.Fragment(drivers_text(found))
    document["churn_drivers"] = orjson.Fragment(churn_drivers_text(found))
    document |= _step(scorer, key, state, decision, found)
    if decision.because is not None:
        document["resolved_because"] = decision.because.value
    if link_template:
        document["link"] = link_template.replace("{customer_id}", quote(customer_id, safe=""))
    document["evidence"] = evidence_of(state)
    _write_silence(document, scorer, state, found.at_s)
    _write_stakes(document, scorer, state, decision, found)
    _write_lived_through(document, scorer, state, decision, found.at_s)
    _write_what_to_do(document, scorer, decision, found)
    _write_profile(document, state)
    document |= case_facts(state.episodes.get(decision.rule))
    document |= said
    return orjson.dumps(document)


def _write_silence(document: Document, scorer: Scorer, state: CustomerState, at_s: float) -> None:
    """Write what silence has cost, and when the customer was expected back."""
    rhythm = state.rhythm
    if rhythm is None:
        return
    horizon, silence = float(scorer.policy.churn.alert_horizon_days), scorer.churn.silence
    document["lost"] = max(0.0, silence.lost(rhythm, at_s, horizon))
    expected_s = silence.expected_by_s(rhythm, horizon, scorer.policy.rules.lost)
    if expected_s is not None:
        document["expected_by"] = at_time(expected_s)


def _write_stakes(
    document: Document, scorer: Scorer, state: CustomerState, decision: Decision, found: Assessment
) -> None:
    """Write the risk at each horizon, what is at risk and how that was reckoned, and by when to act."""
    churn, terms, at_s = scorer.churn, decision.glance.terms, found.at_s
    risks: list[Document] = []
    for index, days in enumerate(scorer.policy.churn.horizons_days):
        logit = churn.logit(state, at_s, terms, index)
        if logit is not None:
            risks.append({"horizon_days": days, "probability": sigmoid(logit)})
    document["churn_by_horizon"] = risks
    if found.churn is not None:
        document["value_at_risk"] = _value_at_risk(scorer, state, at_s, found.churn.probability)
    if decision.because is None:
        within_s = scorer.policy.rules.act_within_hours[SEVERITIES[decision.severity]] * HOUR_S
        document["act_by"] = at_time(at_s + within_s)


def _value_at_risk(scorer: Scorer, state: CustomerState, at_s: float, probability: float) -> Document | None:
    value = scorer.rules.value
    amount = value.at_risk(state, at_s, probability)
    if amount is None:
        return None
    return {
        "amount": round(amount),
        "currency": scorer.policy.currency,
        "formula": value.reckoning(state, at_s, probability),
    }


def _write_lived_through(
    document: Document, scorer: Scorer, state: CustomerState, decision: Decision, at_s: float
) -> None:
    """Write what stands open, what was promised, how often we wrote, and what earlier alerts came to."""
    issues: list[Document] = []
    promises: list[Document] = []
    for _, _, case in sorted([(case.since_s, name, case) for name, case in state.cases.items()]):
        if case.key != NO_CODE and at_s < case.until_s:
            issues.append(_issue(scorer, case, at_s))
        if case.facts.get(DUE):
            promises.append(_promise(case))
    document["open_issues"] = issues
    document["promises"] = promises
    messages = 0
    for sent_s in state.outreach:
        messages += at_s - sent_s <= MESSAGES_S
    document["messages_30d"] = messages
    document["earlier_alerts"] = [
        _earlier(rule, state.episodes[rule]) for rule in sorted(state.episodes) if rule != decision.rule
    ]


def _earlier(rule: int, episode: Episode) -> Document:
    return {
        "closed_at": None if episode.closed_s is None else at_time(episode.closed_s),
        "episode": episode.number,
        "opened_at": at_time(episode.opened_s),
        "outcome": episode.outcome or episode.inferred or None,
        "rule": RULE_LABELS[rule],
    }


def _issue(scorer: Scorer, case: Case, at_s: float) -> Document:
    return {
        "age_s": at_s - case.since_s,
        "driver": driver_name(scorer, case.key >> 3),
        "kind": KIND_NAMES[case.kind],
        "since": at_time(float(case.since_s)),
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
    return {"due": at_time(float(case.facts[DUE])), "kind": KIND_NAMES[case.kind], "status": status}


def _write_what_to_do(document: Document, scorer: Scorer, decision: Decision, found: Assessment) -> None:
    """Write who looks after the driver that takes most, and a playbook.

    It is the playbook of the worst driver that has one, else of the rule.
    """
    policy, label = scorer.policy, RULE_LABELS[decision.rule]
    playbook = policy.playbook
    owned = found.worst(len(found.experience.parts.drivers), OWNED_POINTS)
    if owned and owned[0] in policy.drivers:
        document["cause_owner"] = policy.drivers[owned[0]].owner or None
    names = [label] if decision.rule is _ADVOCATE else [*owned, label]
    document["do"], document["do_not"] = [], []
    for name in names:
        play = playbook.get(name)
        if play is not None:
            document["do"], document["do_not"] = list(play.do), list(play.do_not)
            return


def _write_profile(document: Document, state: CustomerState) -> None:
    """Write what the profile says of the customer, and the channels on which they may be contacted.

    Those are null where nobody said.
    """
    profile = profile_of(state)
    for name in PROFILE_IN_ALERTS:
        value = profile.get(name)
        if value is not None:
            document[name] = str(value)
    named = profile.get("contact_by")
    if named is not None:
        # A tuple in the event, a list in a row's bytes: the compiled cast is a check, and takes either so.
        document["allowed_contact"] = _allowed_contact(state, cast("Iterable[str]", named))


def _allowed_contact(state: CustomerState, named: Iterable[str]) -> list[str]:
    closed = MESSAGE_CHANNELS if Intent.UNSUBSCRIBE in state.intents else frozenset[str]()
    return [channel for channel in named if channel not in closed]


def evidence_of(state: CustomerState) -> list[Document]:
    """Return the newest events that say something, of the sums and of the register, the newest first."""
    last, cause = state.last, state.cause
    found: list[tuple[float, str, str]] = []
    if last is not None and last.source:
        found.append((-last.at_s, last.source, last.id))
    if cause is not None and cause.source:
        found.append((-cause.at_s, cause.source, cause.id))
    found.sort()
    return [{"id": event_id, "source": source} for _, source, event_id in found]
