"""What a customer lived through, as alerts tell it: matters, promises, messages and events."""

from collections.abc import Iterable
from typing import Final, cast

from streams.scoring.entry import NO_CODE, Case
from streams.scoring.facts import DUE, FAILED, GONE, KEPT, ORDER, PROMISE
from streams.scoring.policy import DAY_S
from streams.scoring.signals import Intent
from streams.scoring.state import CustomerState, damaged_row

MESSAGES_S: Final = 30 * DAY_S
MESSAGE_CHANNELS: Final = frozenset({"email", "sms"})
"""Channels that an unsubscribe closes."""
_UNSUBSCRIBE: Final = Intent.UNSUBSCRIBE


def matters_of(state: CustomerState, at_s: float) -> tuple[list[Case], list[Case]]:
    """Return the issues that stand open at `at_s`, and what was promised, each the oldest first."""
    issues: list[tuple[int, bytes, Case]] = []
    promises: list[tuple[int, bytes, Case]] = []
    for case in state.entries.all():
        if case.key != NO_CODE and at_s < case.until_s:
            issues.append((case.since_s, case.name, case))
        if case.kind in (ORDER, PROMISE) and case.known(DUE):  # of others no deadline is said
            promises.append((case.since_s, case.name, case))
    return _by_age(issues), _by_age(promises)


def _by_age(found: list[tuple[int, bytes, Case]]) -> list[Case]:
    if len(found) > 1:
        found.sort()
    return [case for _, _, case in found]


def promise_status(case: Case) -> str:
    """Return how a promise stands: pending, kept, late, broken, or withdrawn.

    An order may have failed otherwise, by a wait or at the door, and have come in time.
    """
    if case.pending_s:
        return "pending"
    due_s, kept_s = case.known(DUE), case.known(KEPT)
    called_off = 0 < case.known(GONE) <= due_s
    if kept_s:
        return "kept" if kept_s <= due_s or called_off else "late"
    if case.key == NO_CODE or (called_off and not case.known(FAILED)):
        return "withdrawn"
    return "broken"


def messages_of(state: CustomerState, at_s: float) -> int:
    """Return how many messages the company sent in the last 30 days, of the last 8."""
    messages = 0
    for sent_s in state.outreach:
        messages += at_s - sent_s <= MESSAGES_S
    return messages


def allowed_contact(state: CustomerState, named: object) -> list[str]:
    """Return the channels on which the customer may be contacted, of those `named` in the profile."""
    if not isinstance(named, list | tuple):
        why = "its profile is none"
        raise damaged_row(why)
    # A tuple in the event, a list in a row's bytes: the compiled cast is a check, and takes either so.
    return _not_closed(state, cast("Iterable[str]", named))


def _not_closed(state: CustomerState, named: Iterable[str]) -> list[str]:
    closed = MESSAGE_CHANNELS if state.intents.has(_UNSUBSCRIBE) else frozenset[str]()
    return [channel for channel in named if channel not in closed]


def evidence_of(state: CustomerState) -> list[dict[str, str]]:
    """Return the newest events that say something, of the sums and beside them, the newest first."""
    last, cause = state.last, state.cause
    found: list[tuple[float, str, str]] = []
    if last is not None and last.source:
        found.append((-last.at_s, last.source, last.id))
    if cause is not None and cause.source:
        found.append((-cause.at_s, cause.source, cause.id))
    if len(found) > 1:
        found.sort()
    return [{"id": event_id, "source": source} for _, source, event_id in found]
