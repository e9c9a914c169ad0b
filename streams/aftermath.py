"""What follows an alert: what people did about it, and how it turned out.

Actions come in on `cx.actions` as touchpoints of the customer. The sweep judges alerts whose horizon is over,
counts customers who were lost, and takes alerts off their topic that were closed long ago.
"""

from typing import Any, Final

from schemas.envelope import Touchpoint, time_s
from schemas.families.customers import (
    ActionTaken,
    AlertAcknowledged,
    AlertClosed,
    AlertSnoozed,
    OutcomeRecorded,
)
from schemas.tracing import Trace
from streams.casework import Casework, step_of
from streams.observe.counted import count_up
from streams.scoring import lifecycle
from streams.scoring.alerttexts import Said
from streams.scoring.policy import DAY_S
from streams.scoring.rules import Glance, Rule
from streams.scoring.state import CustomerState, Episode

PAST_IDS: Final = 64
"""Earlier episodes of a rule whose ids are told from ids nobody knows."""
ACTIONS: Final[dict[type[Touchpoint], str]] = {
    AlertAcknowledged: "acknowledged",
    AlertSnoozed: "snoozed",
    AlertClosed: "closed",
    ActionTaken: "action",
    OutcomeRecorded: "outcome",
}
"""Types that say what somebody did about an alert, and the word that they are counted by."""


def act(casework: Casework, key: bytes, state: CustomerState, event: Touchpoint, trace: Trace) -> None:
    """Apply an action to the episodes that it is about, and write the steps that come of it.

    An action on an alert that is not in the row changes nothing and is counted: `past` for an earlier episode
    of a rule, else `unknown_alert`. `trace` is the action's context, which the steps carry on.
    """
    customer_id, word = key.decode(), ACTIONS[type(event)]
    data: Any = event.data
    targets, otherwise = _targets(casework, customer_id, state, data.alert_id, word)
    counts = casework.outcomes.actions
    if not targets:
        count_up(counts, (word, otherwise))
        return
    glance = casework.scorer.rules.glance(state, state.newest_s)
    snooze_s = casework.scorer.policy.announcements.snooze_days * DAY_S
    for rule in targets:
        episode = state.episodes[rule]
        before = episode.outcome
        step = _apply(episode, event, snooze_s, glance)
        count_up(counts, (word, "applied" if step else "unchanged"))
        if step is None:
            continue
        if episode.outcome != before:
            casework.outcomes.matured(Rule(rule).label, episode.outcome)
        said = Said(by=getattr(data, "by", None), note=getattr(data, "note", None))
        casework.write(customer_id, state, step_of(rule, episode, step, glance), said, trace=trace)
    casework.note(key, state, casework.to_tell(customer_id, state, glance.at_s), glance)


def _apply(episode: Episode, event: Touchpoint, snooze_s: float, glance: Glance) -> str | None:
    data: Any = event.data
    at_s = time_s(event)
    if isinstance(event, AlertSnoozed):
        until_s = at_s + snooze_s if data.until is None else data.until.timestamp()
        return lifecycle.snooze(episode, at_s, until_s)
    if isinstance(event, AlertClosed | OutcomeRecorded):
        return lifecycle.close(episode, glance.at_s, data.outcome or "")
    return lifecycle.acknowledge(episode, at_s)


def _targets(
    casework: Casework, customer_id: str, state: CustomerState, alert_id: str | None, word: str
) -> tuple[list[int], str]:
    """Return the rules whose episode is meant, and what to count where there is none.

    Without an alert's id an action is about all that is open, an outcome about the newest that is open, else
    about the newest.
    """
    if alert_id is None:
        opened = [rule for rule, episode in state.episodes.items() if episode.closed_s is None]
        if word == "outcome":
            opened = sorted(opened or state.episodes, key=lambda rule: state.episodes[rule].opened_s)[-1:]
        return opened, "unknown_alert"
    for rule, episode in state.episodes.items():
        if casework.alert_id(customer_id, Rule(rule), episode.number) == alert_id:
            return [rule], ""
    return [], "past" if _is_past(casework, customer_id, state, alert_id) else "unknown_alert"


def _is_past(casework: Casework, customer_id: str, state: CustomerState, alert_id: str) -> bool:
    """Tell whether the id is one of the last that a newer episode of its rule has replaced."""
    for rule, episode in state.episodes.items():
        for number in range(max(1, episode.number - PAST_IDS), episode.number):
            if casework.alert_id(customer_id, Rule(rule), number) == alert_id:
                return True
    return False


def follow(casework: Casework, key: bytes, state: CustomerState, at_s: float) -> bool:
    """Judge what can be judged of a customer at `at_s`; True if the row changed."""
    changed = False
    if state.has_episodes:
        customer_id = key.decode()
        for rule, episode in state.episodes.items():
            changed |= casework.infer(customer_id, state, rule, at_s)
            if lifecycle.retire(episode, at_s):
                casework.retire(customer_id, rule, episode.number)
                changed = True
    if lifecycle.mark_lost(state, at_s, casework.horizon_s):
        _lost(casework, state)
        changed = True
    return changed


def _lost(casework: Casework, state: CustomerState) -> None:
    """Count a customer whose silence has lasted for the horizon, and the rules that had said so."""
    outcomes = casework.outcomes
    outcomes.losses += 1
    warned = lifecycle.foretold(state, casework.horizon_s)
    for rule, lead_s in warned:
        count_up(outcomes.foretold, Rule(rule).label)
        outcomes.lead(Rule(rule).label, lead_s)
    count_up(outcomes.foretold, "any", int(bool(warned)))
