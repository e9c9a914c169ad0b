"""How much people are told: the alerts of a partition that wait, and the budget they wait for.

A budget is alerts a week for 1,000 active customers. It fills a token bucket, which travels in the
partition's marker; each announcement takes a token, and the worst that waits goes first. What waits is in the
rows. The desk is this worker's memory of where to look: it may be behind, so rows are asked again before
anybody is told.
"""

from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final

from streams.engine.handler import Bucket
from streams.scoring.policy import DAY_S, AnnouncementSection

BUCKET: Final = "announcements"
WEEK_S: Final = 7 * DAY_S
LOOKED_AT: Final = 50
"""Most rows looked at in one go: a tick of the sweep must not stop the partition."""


@dataclass(slots=True)
class Desk:
    """The alerts of one partition that wait to be announced, as far as this worker knows."""

    waiting: dict[bytes, tuple[float, ...]] = field(default_factory=dict)
    """Customer key -> how bad it is: compared figure by figure."""
    active: int = 0
    """Active customers, as of the last whole pass of the sweep; before the first, 0."""
    tokens_left: float = 0.0
    """The budget as of the last tick of the sweep, in announcements."""
    _seen: int = 0

    def begin_pass(self) -> None:
        """Count from the beginning: a pass that did not end says nothing."""
        self._seen = 0

    def see(self, *, active: bool) -> None:
        """Count a customer visited by the sweep's pass under way."""
        self._seen += active

    def end_pass(self) -> None:
        """Take the count of a whole pass."""
        self.active, self._seen = self._seen, 0

    def note(self, key: bytes, worst: tuple[float, ...] | None) -> None:
        """Remember how bad what waits of a customer is; None: nothing does."""
        if worst is None:
            self.waiting.pop(key, None)
        else:
            self.waiting[key] = worst

    def worst(self) -> list[bytes]:
        """Return the customers of whom the worst waits, the worst first; ties by key."""
        among = ((how_bad, key) for key, how_bad in self.waiting.items())
        return [key for _, key in nlargest(LOOKED_AT, among)]


def refill(bucket: Bucket | None, desk: Desk, limits: AnnouncementSection, now_s: float) -> Bucket:
    """Return the bucket as of `now_s`. It starts full, and holds at least one announcement."""
    per_s = limits.per_1000_a_week / 1000.0 * desk.active / WEEK_S
    if per_s <= 0.0:
        return Bucket(0.0, now_s)
    most = max(1.0, per_s * limits.burst_days * DAY_S)
    if bucket is None:
        return Bucket(most, now_s)
    return Bucket(min(most, bucket.level + per_s * max(0.0, now_s - bucket.at_s)), max(now_s, bucket.at_s))
