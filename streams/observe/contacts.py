"""First-contact resolution: a contact is resolved when none on the same issue follows within 7 days.

Kept in this worker's memory, bounded, by hashes of customer and issue; the time is event time, so history
that is replayed is judged as it was. What is pending when a worker ends is not judged: the share is of the
contacts that were, and does not lean to either side.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Final

REPEAT_S: Final = 7 * 86400.0
MOST_PENDING: Final = 50_000
"""Contacts a partition waits for; the oldest beyond that are let go unjudged."""


class Contact:
    """One inbound contact: a hash of customer and issue, its event time in seconds, its channel."""

    __slots__ = ("at_s", "channel", "issue")

    def __init__(self, issue: int, at_s: float, channel: str) -> None:
        self.issue = issue
        self.at_s = at_s
        self.channel = channel


@dataclass(slots=True)
class _Pending:
    """The contacts of one partition that may still be repeated, the oldest first."""

    by_issue: "OrderedDict[int, Contact]" = field(default_factory=OrderedDict)
    newest_s: float = 0.0


@dataclass(slots=True)
class FirstContacts:
    """Judges the contacts of each partition."""

    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By (channel, result): resolved, repeated."""
    _partitions: dict[int, _Pending] = field(default_factory=dict)

    def take(self, partition: int, contacts: list[Contact]) -> None:
        """Take contacts of one partition in the order in which they were applied."""
        pending = self._partitions.get(partition)
        if pending is None:
            pending = self._partitions[partition] = _Pending()
        for contact in contacts:
            before = pending.by_issue.pop(contact.issue, None)
            if before is not None and abs(contact.at_s - before.at_s) <= REPEAT_S:
                self.results[before.channel, "repeated"] += 1
            elif before is not None:
                self.results[before.channel, "resolved"] += 1
            pending.by_issue[contact.issue] = contact
            if contact.at_s > pending.newest_s:  # noqa: PLR1730  # max() costs several times as much
                pending.newest_s = contact.at_s
        self._judge_late(pending, contacts)
        self._judge(pending)

    def _judge_late(self, pending: _Pending, contacts: list[Contact]) -> None:
        """Judge at once what came more than a week late: it lies behind others that have their time yet."""
        for contact in contacts:
            overdue = pending.newest_s - contact.at_s > REPEAT_S
            if overdue and pending.by_issue.get(contact.issue) is contact:
                del pending.by_issue[contact.issue]
                self.results[contact.channel, "resolved"] += 1

    def _judge(self, pending: _Pending) -> None:
        """Let go of those whose time is over, and of the oldest beyond the bound."""
        by_issue = pending.by_issue
        while by_issue:
            oldest = next(iter(by_issue.values()))
            if pending.newest_s - oldest.at_s > REPEAT_S:
                self.results[oldest.channel, "resolved"] += 1
            elif len(by_issue) <= MOST_PENDING:
                return
            del by_issue[oldest.issue]
