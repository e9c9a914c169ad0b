"""Lives of a whole log under two policies, and the sums of what changes."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from schemas.envelope import Touchpoint, time_s
from schemas.families.customers import CustomerForgotten
from schemas.rejects import Reject
from schemas.times import at_time
from streams.replay import judge
from streams.routing import topic_for
from streams.rulebook.episodes import KINDS, Change, Episode, compare, episodes_of
from streams.rulebook.life import Life
from streams.scoring.apply import Scorer
from streams.scoring.policy import DAY_S

STRIDE: Final = 8
"""Evaluations tried at once: a week and a day of silence, by default."""
WEEK_S: Final = 7 * DAY_S
Document = dict[str, Any]
Watch = Callable[[list[str]], Iterable[str]]


class Log(msgspec.Struct, kw_only=True):
    """The events of a log by customer, and what could not be used."""

    customers: dict[str, list[Touchpoint]] = {}
    first_s: float = 0.0
    last_s: float = 0.0
    events: int = 0
    rejected: int = 0
    anonymous: int = 0
    forgotten: set[str] = set()
    """Customers whose events are left out, as a worker would from the moment it is told."""
    read_s: dict[str, float] = {}
    """Newest event time of each channel, seconds."""

    @property
    def weeks(self) -> float:
        """How long the log is, at least a week: rates of a shorter one would mean nothing."""
        return max(1.0, (self.last_s - self.first_s) / WEEK_S)


def read_log(lines: Iterable[bytes], scorer: Scorer) -> Log:
    """Read touchpoints, one of JSON a line; a line that a worker would reject is counted only."""
    log = Log()
    for line in lines:
        if not line or line.isspace():
            continue
        event = judge(line, scorer)
        if isinstance(event, Reject):
            log.rejected += 1
        elif event.subject is None:
            log.anonymous += 1
        elif isinstance(event, CustomerForgotten):
            log.forgotten.add(event.subject)
            log.customers.pop(event.subject, None)
        elif event.subject not in log.forgotten:
            _take(log, event, event.subject)
    return log


def _take(log: Log, event: Touchpoint, customer_id: str) -> None:
    at_s = time_s(event)
    log.first_s = min(log.first_s, at_s) if log.events else at_s
    log.last_s = max(log.last_s, at_s) if log.events else at_s
    log.events += 1
    log.customers.setdefault(customer_id, []).append(event)
    channel = event.channel or topic_for(event.type, None).default_channel
    log.read_s[channel] = max(at_s, log.read_s.get(channel, at_s))


class Difference(msgspec.Struct, kw_only=True):
    """All changes between two policies on a log, and their sums."""

    changes: list[Change] = []
    old: list[Episode] = []
    new: list[Episode] = []

    def rules(self) -> dict[str, Counter[str]]:
        """Return for each rule how many episodes each kind of change has."""
        found: dict[str, Counter[str]] = {}
        for change in self.changes:
            found.setdefault(change.episode.rule, Counter())[change.kind] += 1
        return dict(sorted(found.items()))

    def owners(self) -> dict[str, tuple[int, int]]:
        """Return for each owner of a cause how many alerts each policy opens, the busiest first."""
        old, new = (Counter(each.owner for each in episodes) for episodes in (self.old, self.new))
        return {owner: (old[owner], new[owner]) for owner, _ in (old + new).most_common()}

    def value(self) -> tuple[float, float]:
        """Return the value at risk of the alerts of each policy, in minor units of its currency."""
        old, new = (sum(each.value_at_risk for each in episodes) for episodes in (self.old, self.new))
        return old, new

    @property
    def differs(self) -> bool:
        """Whether any alert changes."""
        return any(change.kind != "same" for change in self.changes)


def difference(
    log: Log, old: Scorer, new: Scorer, *, sweep_every_s: float, watched: Watch = iter
) -> Difference:
    """Live every customer's life under both policies, up to the end of the log.

    `watched` passes the customers on one by one, for who wants to see how far it is.
    """
    found = Difference()
    for customer_id in watched(sorted(log.customers)):
        lived = [_episodes(log, customer_id, scorer, sweep_every_s=sweep_every_s) for scorer in (old, new)]
        found.old += lived[0]
        found.new += lived[1]
        found.changes += compare(*lived)
    return found


def _episodes(log: Log, customer_id: str, scorer: Scorer, *, sweep_every_s: float) -> list[Episode]:
    events = log.customers[customer_id]
    life = Life(scorer, customer_id, events, sweep_every_s=sweep_every_s, stride=STRIDE, read_s=log.read_s)
    life.until(log.last_s)
    return episodes_of(life)


def document(log: Log, found: Difference, old: Scorer, new: Scorer) -> Document:
    """Return a difference as a program reads it."""
    values = found.value()
    return {
        "old": {"version": old.policy.version, "hash": old.policy.hash},
        "new": {"version": new.policy.version, "hash": new.policy.hash},
        "events": log.events,
        "customers": len(log.customers),
        "from": at_time(log.first_s),
        "to": at_time(log.last_s),
        "weeks": log.weeks,
        "rules": {rule: {kind: counts[kind] for kind in KINDS} for rule, counts in found.rules().items()},
        "owners": {owner: {"old": counts[0], "new": counts[1]} for owner, counts in found.owners().items()},
        "value_at_risk": {
            "old": values[0],
            "new": values[1],
            "old_currency": old.policy.currency,
            "new_currency": new.policy.currency,
        },
        "changes": [change.document() for change in found.changes if change.kind != "same"],
    }
