"""What is fetched next, so that the inputs of each partition come in step and no more waits than may.

Fetching what every input has would fill the queues with what has to wait: the largest input of a backlog
comes last. So more is fetched of the input that is behind, and of the partition whose turn it is.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from faust.types import TP

from streams.engine.owned import Owned
from streams.engine.ownership import Ownership
from streams.engine.settings import EngineSettings


class Fetching:
    """Knows what waits here and what the broker may have."""

    def __init__(self, app: Any, settings: EngineSettings, partitions: Ownership) -> None:
        self.app = app
        self.settings = settings
        self.partitions = partitions
        self._first: Owned | None = None
        """The partition whose turn it is, while it has not enough for a transaction."""

    def more(self, owned: Owned) -> list[str]:
        """Return the inputs of a partition of which the broker may have more, or chunks are on their way."""
        number, came = owned.state.number, owned.queue.came
        return [topic for topic in self.settings.inputs if self._has_more(TP(topic, number), came(topic))]

    def until_ms(self, owned: Owned) -> float:
        """Return the timestamp up to which records of a partition may be applied."""
        return owned.queue.until_ms(self.more(owned))

    def ready(self, owned: Owned) -> int:
        """Return how many records of a partition may be applied."""
        return owned.queue.ready(self.until_ms(owned)) if owned.queue else 0

    def fetchable(self, inputs: Iterable[TP]) -> set[TP]:
        """Return those of `inputs` that may be fetched now.

        What waits is bounded. Room for a transaction is left to the partition whose turn it is, and to inputs
        of which nothing waits: their partition may wait for them. Where all do, these may exceed the bound.
        """
        if not any(owned.queue for owned in self.partitions):
            return set(inputs)
        left = self.settings.queue_bytes - sum(owned.queue.bytes for owned in self.partitions)
        if left <= 0 and any(map(self.ready, self.partitions)):
            # They will make room.
            return set()
        more = {owned.state.number: self.more(owned) for owned in self.partitions}
        share = self.settings.queue_bytes // max(1, sum(map(bool, more.values())))
        most = max(share, self.settings.transaction_bytes)
        scarce = left < self.settings.transaction_bytes

        def may(owned: Owned, topic: str) -> bool:
            queue = owned.queue
            if not queue.holds(topic):
                return True
            if left <= 0 or (scarce and owned is not self._first):
                return False
            return queue.bytes < most and queue.wants(topic, more[owned.state.number])

        return {
            tp
            for tp in inputs
            if (owned := self.partitions.get(tp.partition)) is None or may(owned, tp.topic)
        }

    @contextmanager
    def first(self, owned: Owned) -> Iterator[None]:
        """Leave the last room to a partition."""
        self._first = owned
        self.app.consumer.space.set()
        try:
            yield
        finally:
            self._first = None

    def comes(self, owned: Owned) -> bool:
        """Tell whether more comes of what the broker may have of a partition."""
        return bool(self.fetchable(TP(topic, owned.state.number) for topic in self.more(owned)))

    def fetch_bytes(self) -> int:
        """Return the bytes of a fetch, at most: one input does not take the room of all that have more."""
        return self.settings.queue_bytes // max(1, sum(len(self.more(owned)) for owned in self.partitions))

    def _has_more(self, tp: TP, came: int) -> bool:
        consumer = self.app.consumer
        reach = consumer.reaches.get(tp)
        return reach is None or reach.end > reach.position or consumer.sequences.get(tp, 0) > came
