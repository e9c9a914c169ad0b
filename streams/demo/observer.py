"""What a demo sees: the records on the output topics, and the counts in the markers of the changelog."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from streams.engine.handler import Counts
from streams.engine.marker import MARKER_KEY, decode_marker
from streams.scoring.rules import SEVERITIES
from streams.topics import ALERTS, DEAD_LETTERS, SCORES

ALERTS_KEPT = 40
NEWS = frozenset({"opened", "escalated"})
CASES = NEWS | {"announced"}
REASON_HEADER = "cx-reason"


class Observer:
    """Adds up what a worker writes. `changelog` is the full name of its changelog topic."""

    def __init__(self, prefix: str, changelog: str) -> None:
        self.changelog = changelog
        self.topics = tuple(prefix + topic.name for topic in (SCORES, ALERTS, DEAD_LETTERS))
        self._scores, self._alerts, self._dead_letters = self.topics
        self.alerts: deque[dict[str, Any]] = deque(maxlen=ALERTS_KEPT)
        """Opened and escalated alerts, newest first."""
        self.opened: Counter[str] = Counter()
        """Alerts opened, by rule."""
        self.rejected: Counter[str] = Counter()
        """Dead letters by reason."""
        self.newest_event: str | None = None
        self.taken = 0
        """Records looked at."""
        self._bands: dict[bytes, str] = {}
        self._counts: dict[int, Counts] = {}
        self._case: dict[str, Any] | None = None

    def take(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
    ) -> None:
        """Look at one record of an output topic or of the changelog."""
        self.taken += 1
        if topic == self.changelog:
            if key == MARKER_KEY and value is not None:
                self._counts[partition] = decode_marker(value).counts
        elif topic == self._scores:
            self._take_score(key or b"", value)
        elif topic == self._alerts and value is not None:
            self._take_alert(orjson.loads(value))
        elif topic == self._dead_letters:
            self.rejected[(dict(headers)[REASON_HEADER] or b"").decode()] += 1

    def _take_score(self, key: bytes, value: bytes | None) -> None:
        if value is None:
            self._bands.pop(key, None)
            return
        score = orjson.loads(value)
        self._bands[key] = score["band"]
        self.newest_event = max(self.newest_event or "", score["at"])

    def _take_alert(self, alert: dict[str, Any]) -> None:
        if alert["step"] == "opened":
            self.opened[alert["rule"]] += 1
        if alert["step"] in NEWS:
            self.alerts.appendleft(alert)
        # A case to show at the end: first what people are told of, then the gravest, of these the latest.
        if alert["step"] in CASES and (self._case is None or _gravity(alert) >= _gravity(self._case)):
            self._case = alert

    @property
    def case(self) -> Mapping[str, Any] | None:
        """The alert that has the most to tell."""
        return self._case

    @property
    def bands(self) -> dict[str, int]:
        """Customers by band, as last published."""
        return dict(Counter(self._bands.values()))

    @property
    def counts(self) -> Counts:
        """Outcomes of all records, over all partitions."""
        total = Counts()
        for counts in self._counts.values():
            total = total.plus(counts)
        return total


def _gravity(alert: Mapping[str, Any]) -> tuple[bool, bool, int]:
    told = bool(alert.get("announced"))
    return told, alert["rule"] != "silence", SEVERITIES.index(alert["severity"])
