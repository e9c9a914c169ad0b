"""What a change of policy changes: the episodes of alerts under both, matched with each other.

An episode is the same alert under both policies where it was open at the same time for the same customer by
the same rule. Then it is earlier, later, or at the same time; an episode without a counterpart is added or
removed.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

import msgspec

from schemas.times import at_time
from streams.rulebook.life import Life, Lived
from streams.scoring.rules import SEVERITIES

Kind = Literal["added", "removed", "earlier", "later", "same"]
KINDS: Final[tuple[Kind, ...]] = ("added", "removed", "earlier", "later", "same")
SAME_WITHIN_S: Final = 60.0


class Episode(msgspec.Struct, kw_only=True):
    """One alert from its opening to its end; `closed_s` None is still open where the log ends."""

    customer_id: str
    rule: str
    opened_s: float
    closed_s: float | None = None
    severity: str
    owner: str
    """Who looks after the cause; `nobody` where no driver of an owner takes enough to matter."""
    value_at_risk: float
    """In minor units of the policy's currency; 0 where no value is known."""
    reason: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """An episode under both policies, or under the only one that has it."""

    kind: Kind
    old: Episode | None = None
    new: Episode | None = None

    @property
    def episode(self) -> Episode:
        """The episode under the new policy, or the one that went."""
        found = self.new or self.old
        if found is None:
            msg = "a change without an episode"
            raise ValueError(msg)
        return found

    @property
    def shift_s(self) -> float:
        """By how many seconds the alert comes later; negative for earlier, 0 without a counterpart."""
        return self.new.opened_s - self.old.opened_s if self.new and self.old else 0.0

    def document(self) -> dict[str, Any]:
        """Return the change as a program reads it."""
        found = self.episode
        return {
            "change": self.kind,
            "customer_id": found.customer_id,
            "rule": found.rule,
            "old_opened": at_time(self.old.opened_s) if self.old else None,
            "new_opened": at_time(self.new.opened_s) if self.new else None,
            "old_severity": self.old.severity if self.old else None,
            "new_severity": self.new.severity if self.new else None,
            "owner": found.owner,
            "value_at_risk": found.value_at_risk,
            "reason": found.reason,
        }


def episodes_of(life: Life) -> list[Episode]:
    """Return the episodes of a life that has been lived, by the time they were opened."""
    found: list[Episode] = []
    running: dict[str, Episode] = {}
    for step in life.steps:
        document = step.document
        rule = document["rule"]
        if document["step"] == "opened":
            found.append(_opened(step))
            running[rule] = found[-1]
        elif document["step"] == "resolved":
            running.pop(rule).closed_s = step.at_s
        else:
            running[rule].severity = document["severity"]
    return found


def _opened(step: Lived) -> Episode:
    document = step.document
    return Episode(
        customer_id=document["customer_id"],
        rule=document["rule"],
        opened_s=step.at_s,
        severity=document["severity"],
        owner=document["cause_owner"] or "nobody",
        value_at_risk=(document.get("value_at_risk") or {}).get("amount", 0.0),
        reason=document["reason"],
    )


def compare(old: Iterable[Episode], new: Iterable[Episode]) -> Iterator[Change]:
    """Yield what became of each episode of one customer, in order of the rule and time."""
    olds, news = _by_rule(old), _by_rule(new)
    for rule in sorted({*olds, *news}):
        yield from _matched(olds.get(rule, []), news.get(rule, []))


def _by_rule(episodes: Iterable[Episode]) -> dict[str, list[Episode]]:
    found: dict[str, list[Episode]] = {}
    for episode in episodes:
        found.setdefault(episode.rule, []).append(episode)
    return found


def _matched(olds: list[Episode], news: list[Episode]) -> Iterator[Change]:
    """Walk both lists in order of time; what was open together is one alert, what ended before is alone."""
    i = j = 0
    while i < len(olds) and j < len(news):
        old, new = olds[i], news[j]
        if _over_before(old, new):
            yield Change(kind="removed", old=old)
            i += 1
        elif _over_before(new, old):
            yield Change(kind="added", new=new)
            j += 1
        else:
            yield Change(kind=_kind(new.opened_s - old.opened_s), old=old, new=new)
            i, j = i + 1, j + 1
    yield from (Change(kind="removed", old=old) for old in olds[i:])
    yield from (Change(kind="added", new=new) for new in news[j:])


def _over_before(one: Episode, other: Episode) -> bool:
    return one.closed_s is not None and one.closed_s < other.opened_s


def _kind(shift_s: float) -> Kind:
    if abs(shift_s) < SAME_WITHIN_S:
        return "same"
    return "earlier" if shift_s < 0 else "later"


def gravity(severity: str) -> int:
    """Return the rank of a severity, 0 for low."""
    return SEVERITIES.index(severity)
