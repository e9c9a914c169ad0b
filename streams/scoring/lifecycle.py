"""The life of an alert after a rule has opened it: who is told, who took it on, and how it turned out.

Everything here reads and changes the episodes of one row. Times are seconds since the epoch; a step is the
word that `schemas.outputs.Step` has for it.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from streams.scoring.policy import DAY_S
from streams.scoring.state import CustomerState, Episode, Rhythm
from streams.scoring.vocabulary import Cause

ABSENCE: Final = Cause.LOST.value
"""Cause of the episodes that silence opened."""
UNTOLD: Final = -1
MESSAGE_EVERY_S: Final = DAY_S
"""One message a customer in this time."""
RETIRE_AFTER_S: Final = 30 * DAY_S
"""A closed alert is taken off `cx.alerts` after this time."""
LOSS_SEEN_WITHIN_S: Final = 7 * DAY_S
"""A loss is counted if it is seen this soon: older ones came with the history."""
RETURNED: Final = "returned"
LOST: Final = "lost"
_HASH_BYTES: Final = 8
_HASHES: Final = 256.0**_HASH_BYTES


class Waiting:
    """An open episode that people have still to be told of."""

    __slots__ = ("episode", "rule")

    def __init__(self, rule: int, episode: Episode) -> None:
        self.rule = rule
        self.episode = episode


def waiting(state: CustomerState, at_s: float, *, absence_held: bool = False) -> list[Waiting]:
    """Return the episodes that people have still to be told of at `at_s`, the gravest first.

    An episode waits while it is open and graver than what people were told, unless it is snoozed.
    `absence_held` leaves out those that silence opened: the source may be silent, not the customer.
    """
    found: list[Waiting] = []
    for rule, episode in state.episodes.items():
        if (
            episode.closed_s is None
            and episode.severity > episode.told
            and not is_snoozed(episode, at_s)
            and not (absence_held and episode.cause == ABSENCE)
        ):
            found.append(Waiting(rule, episode))
    if len(found) > 1:
        found.sort(key=lambda each: (-each.episode.severity, each.episode.opened_s, each.rule))
    return found


def is_snoozed(episode: Episode, at_s: float) -> bool:
    """Tell whether somebody put the episode off beyond `at_s`."""
    return episode.snoozed_until_s is not None and at_s < episode.snoozed_until_s


def told_lately(state: CustomerState, at_s: float) -> bool:
    """Tell whether people heard of the customer within a day of `at_s`."""
    return state.told_s is not None and at_s - state.told_s < MESSAGE_EVERY_S


def tell(state: CustomerState, told: Iterable[Waiting], at_s: float) -> None:
    """Note that one message at `at_s` told people of these episodes."""
    for each in told:
        mark_told(each.episode, each.episode.severity, at_s)
    state.told_s = at_s


def mark_told(episode: Episode, severity: int, at_s: float) -> None:
    """Note that people know of the episode at this severity; `told_s` is when they first heard of it."""
    episode.told = max(episode.told, severity)
    if episode.told_s is None:
        episode.told_s = at_s


def unfold(state: CustomerState, over: Episode) -> None:
    """Let wait again what people were told of only as a part of `over`, which has ended: it still holds.

    Where somebody took `over` on, the whole case is in hand.
    """
    if over.told_s is None or over.acknowledged_s is not None:
        return
    for episode in state.episodes.values():
        in_its_message = episode is not over and episode.told_s == over.told_s
        if in_its_message and episode.acknowledged_s is None and _gravity(episode) < _gravity(over):
            episode.told = UNTOLD


def _gravity(episode: Episode) -> tuple[int, float]:
    """Return what says which of two episodes gave their message its name."""
    return episode.told, -episode.opened_s


def in_holdout(customer_id: str, share: float) -> bool:
    """Tell whether the customer is among the share (0..1) nobody is told of; the same in every run."""
    digest = hashlib.blake2b(b"holdout\x00" + customer_id.encode(), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest, "big") < share * _HASHES


def acknowledge(episode: Episode, at_s: float) -> str | None:
    """Note that somebody took the episode on: nobody need be told; return the step, None if it was so."""
    if episode.closed_s is not None or episode.acknowledged_s is not None:
        return None
    episode.acknowledged_s = at_s
    episode.told = max(episode.told, episode.severity)
    return "acknowledged"


def snooze(episode: Episode, at_s: float, until_s: float) -> str | None:
    """Put the episode off until `until_s`, when people are told again; return the step, None if it was so."""
    if episode.closed_s is not None or until_s <= at_s or episode.snoozed_until_s == until_s:
        return None
    episode.snoozed_until_s = until_s
    episode.told = UNTOLD
    return "snoozed"


def close(episode: Episode, at_s: float, outcome: str = "") -> str | None:
    """Close the episode, with an outcome where one is known; return the step, None if nothing is new.

    Whoever closes it took it on. A rule that is closed by hand rests like one that was resolved. An episode
    that was over already takes the outcome: it often becomes known months later.
    """
    if episode.closed_s is not None and outcome in ("", episode.outcome):
        return None
    if episode.closed_s is None:
        episode.closed_s = at_s
        if episode.acknowledged_s is None:
            episode.acknowledged_s = at_s
    if outcome:
        episode.outcome = outcome
    return "closed"


def infer(episode: Episode, rhythm: Rhythm | None, at_s: float, horizon_s: float) -> str:
    """Return how an episode turned out by `at_s`: RETURNED or LOST; empty while it is open to both.

    A customer returned who engaged on a later day within the horizon of the opening. Days of engagement are
    known exactly while they lie within 64 days of the last one.
    """
    if rhythm is None:
        return ""
    first = first_engagement_after(rhythm, episode.last_day)
    deadline_s = episode.opened_s + horizon_s
    if first is not None:
        return RETURNED if first * DAY_S <= deadline_s else LOST
    return LOST if at_s >= deadline_s else ""


def first_engagement_after(rhythm: Rhythm, day: int) -> int | None:
    """Return the first engagement day after `day` that the row still knows, None where there is none."""
    if rhythm.last_day <= day:
        return None
    span = rhythm.last_day - day - 1
    later = rhythm.days & ((1 << span) - 1)  # bit n is the day n + 1 days before the last one
    return rhythm.last_day - later.bit_length()


def mark_lost(state: CustomerState, at_s: float, horizon_s: float) -> bool:
    """Note that the customer has now been silent for the horizon; True if that is new.

    A loss that is seen long after it came about was not watched: it came with the history.
    """
    rhythm = state.rhythm
    if rhythm is None or rhythm.last_day == state.lost_day:
        return False
    overdue_s = at_s - (rhythm.last_day * DAY_S + horizon_s)
    if not 0.0 <= overdue_s < LOSS_SEEN_WITHIN_S:
        return False
    state.lost_day = rhythm.last_day
    return True


def foretold(state: CustomerState, horizon_s: float) -> list[tuple[int, float]]:
    """Return the rules that warned since the last engagement, each with its lead before the loss, seconds."""
    rhythm = state.rhythm
    if rhythm is None:
        return []
    lost_s = rhythm.last_day * DAY_S + horizon_s
    return [
        (rule, lost_s - episode.opened_s)
        for rule, episode in state.episodes.items()
        if episode.last_day == rhythm.last_day and episode.opened_s <= lost_s
    ]


def retire(episode: Episode, at_s: float) -> bool:
    """Tell, once, that the alert of a closed episode is to be taken off its topic."""
    if episode.retired or episode.closed_s is None or at_s - episode.closed_s < RETIRE_AFTER_S:
        return False
    episode.retired = True
    return True
