"""What is learned of a promise, order, ticket, complaint or issue: a union, whatever the order of its events.

Each fact has one rule by which two of its kind become one: the earliest, the latest, or the last said. So
the facts of an entry depend on its events alone. Times are whole seconds since the epoch.
"""

from collections.abc import Mapping
from typing import Final

from schemas.fields import CHANNELS
from streams.scoring.entry import Case, damaged_register
from streams.scoring.state import short_hash

# Kinds of entries; the numbers are what rows keep.
ORDER: Final = 1
PROMISE: Final = 2
TICKET: Final = 3
COMPLAINT: Final = 4
ISSUE: Final = 5
REASON: Final = 6
KIND_NAMES: Final = {
    ORDER: "order",
    PROMISE: "promise",
    TICKET: "ticket",
    COMPLAINT: "complaint",
    ISSUE: "issue",
    REASON: "reason",
}

# Facts; the numbers are what rows keep.
SAID: Final = 1  # when the deadline that holds was said; of two said at once the later deadline holds
DUE: Final = 2  # the deadline that was said, 0 for none
CHANNEL: Final = 3  # where its fulfilment will be reported, an index of CHANNELS; none is the first
KEPT: Final = 4  # earliest: delivered, or the promise was kept
AGAIN: Final = 5  # latest: delivered, where that was more than once
GONE: Final = 6  # earliest: withdrawn, cancelled or refunded
FAILED: Final = 7  # earliest: failed delivery, complaint or escalation
GRAVE: Final = 8  # greatest: weight in thousandths and driver code of the failure
OPENED: Final = 9  # earliest
REPLIED: Final = 10  # earliest: an agent's reply
SOLVED: Final = 11  # earliest
STATE: Final = 12  # last: open or solved, by (time, rank, id)
REOPENED: Final = 13  # latest
GLAD: Final = 14  # latest: an answer in the top box of CSAT
CONTACT: Final = 15  # the latest inbound contact
BEFORE: Final = 16  # the one before it
WAITED: Final = 17  # gravest: weight in thousandths and time of a wait about an order
BROKEN: Final = 18  # latest deadline that was missed, as far as the fulfilling channel has been read
AGREED: Final = 19  # earliest: an agent made a promise of their own about the issue
# 40 to 51 are those of deadlines.py

RANK_OPENED: Final = 0
RANK_SOLVED: Final = 1
RANK_REOPENED: Final = 2

_PREFIXES: Final = tuple(f"{kind}\x00" for kind in range(REASON + 1))
"""By the number of a kind."""
_TIE_BITS: Final = 28
_STAMP_BITS: Final = _TIE_BITS + 3
_RANK_SHIFT: Final = _TIE_BITS + 1
_RANK_MASK: Final = 3
_CODE_BITS: Final = 13
_TIME_BITS: Final = 34
THOUSANDTHS: Final = 1000


def key_of(kind: int, name: str) -> bytes:
    """Return the register's key of something with an id of its own."""
    return short_hash(_PREFIXES[kind] + name)


def stamp(at_s: int, event: bytes, rank: int = 0, *, solved: bool = False) -> int:
    """Return (time, rank, id) as one number that compares as they do, with a status in its last bit."""
    tie = event[0] << 20 | event[1] << 12 | event[2] << 4 | event[3] >> 4  # its first bits
    return at_s << _STAMP_BITS | rank << _RANK_SHIFT | tie << 1 | solved


def stamped_s(stamp: int) -> int:
    """Return the time of a stamp."""
    return stamp >> _STAMP_BITS


def told_of(cases: list[Case], issue: bytes) -> int:
    """Return what tickets about an issue say of it last, as a STATE: solved or reopened; 0 for nothing.

    A helpdesk may name the issue where a ticket is created, and not where it is replied to or solved.
    """
    last = 0
    for case in cases:
        if case.kind == TICKET and case.issue == issue:
            last = max(last, told_by(case))
    return last


def replied_of(cases: list[Case], issue: bytes) -> int:
    """Return when a ticket about an issue was first replied to, 0 for never."""
    first_s = 0
    for case in cases:
        if case.kind == TICKET and case.issue == issue:
            replied_s = case.known(REPLIED)
            if replied_s and (not first_s or replied_s < first_s):
                first_s = replied_s
    return first_s


def told_by(ticket: Case) -> int:
    """Return the STATE of a ticket as far as it says something of its issue: that it was created does not."""
    status = ticket.known(STATE)
    return status if status >> _RANK_SHIFT & _RANK_MASK != RANK_OPENED else 0


def graded(weight: int, code: int) -> int:
    """Return a weight (thousandths) with a driver code; the greater weight is the greater number."""
    return weight << _CODE_BITS | code


def grade_of(grade: int) -> tuple[int, int]:
    """Return the weight in thousandths and the driver code."""
    return grade >> _CODE_BITS, grade & ((1 << _CODE_BITS) - 1)


def weighed(weight: int, at_s: int) -> int:
    """Return a weight (thousandths) with a time; the greater weight is the greater number."""
    return weight << _TIME_BITS | at_s


def weighed_of(both: int) -> tuple[int, int]:
    """Return the weight in thousandths and the time."""
    return both >> _TIME_BITS, both & ((1 << _TIME_BITS) - 1)


def earliest(facts: dict[int, int], fact: int, value: int) -> None:
    """Keep the lesser of what is known and `value`."""
    held = facts.get(fact)
    if held is None or value < held:
        facts[fact] = value


def latest(facts: dict[int, int], fact: int, value: int) -> None:
    """Keep the greater of what is known and `value`."""
    held = facts.get(fact)
    if held is None or value > held:
        facts[fact] = value


def say_due(case: Case, due_s: int, channel: int, at_s: int) -> None:
    """Take a statement of the deadline: the last one said holds; 0 takes the deadline away."""
    facts = case.facts
    said_s = facts.get(SAID)
    if said_s is None or (at_s, due_s, channel) > (said_s, facts[DUE], facts.get(CHANNEL, 0)):
        facts[SAID] = at_s
        facts[DUE] = due_s
        say_channel(case, channel)


def say_channel(case: Case, channel: int) -> None:
    """Take where the fulfilment will be reported; the first channel, the usual one, takes no room."""
    if channel:
        case.facts[CHANNEL] = channel
    else:
        case.facts.pop(CHANNEL, None)


def keep(case: Case, at_s: int) -> None:
    """Take a delivery or a kept promise: the first counts for the deadline, the last ends a failure."""
    facts = case.facts
    held = facts.get(KEPT)
    if held is None:
        facts[KEPT] = at_s
    elif at_s != held:
        latest(facts, AGAIN, max(at_s, held))
        facts[KEPT] = min(at_s, held)


def contact(case: Case, at_s: int, event: bytes) -> None:
    """Take an inbound contact: the two latest are kept."""
    facts = case.facts
    this, last = stamp(at_s, event), facts.get(CONTACT, -1)
    if this > last:
        facts[CONTACT] = this
        if last >= 0:
            facts[BEFORE] = last
    elif this < last:
        latest(facts, BEFORE, this)


def all_until(at_s: float) -> dict[str, float]:
    """Return every channel as read up to one time: what a file or a simulation knows."""
    return dict.fromkeys(CHANNELS, at_s)


def read_until(case: Case, until_s: Mapping[str, float], deliveries: tuple[str, ...]) -> float:
    """Return up to when the channels that report the fulfilment of `case` were read; -inf for none.

    Raises CxError where it is to be reported by a channel that there is none of.
    """
    channel = case.facts.get(CHANNEL, 0)
    if not 0 <= channel < len(CHANNELS):
        raise damaged_register(case.source)
    own = CHANNELS[channel]
    names = (own, *deliveries) if case.kind == ORDER else (own,)
    return min((until_s[name] for name in names if name in until_s), default=float("-inf"))
