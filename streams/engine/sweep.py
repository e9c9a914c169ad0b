"""Who is due: every customer of a partition once per interval, in slices."""

from collections.abc import Collection, Sequence
from math import ceil, inf


class SweepCursor:
    """Walks over the customers of one partition at the pace of a clock.

        cursor = SweepCursor(interval_s=900, most=500)
        for key in cursor.due(rows, now_s): ...

    `now_s` is any clock that goes forward: the wall's, or the watermark under the event clock. At most `most`
    customers are due at once, so that a clock that jumps does not stop the partition for a whole pass. A
    customer who came after a pass began is visited in the next one.
    """

    def __init__(self, interval_s: float, most: int) -> None:
        self.interval_s = interval_s
        self.most = most
        self.passes = 0
        self.begins = False
        """Whether a pass began with those who were due last."""
        self._keys: Sequence[bytes] = ()
        self._visited = 0
        self._started_s: float | None = None
        self._began_at_s = -inf
        """What the clock showed when the pass began."""

    def due(self, rows: Collection[bytes], now_s: float, *, stands: bool = False) -> Sequence[bytes]:
        """Return the customers to visit now and count them as visited.

        `stands` tells that the clock goes no further for now (the event clock at the end of every input): the
        pass goes on without it, and another one is made if the clock has moved since this one began.
        """
        self.begins = self._visited >= len(self._keys) and self._begin(rows, now_s, stands=stands)
        if self._visited >= len(self._keys):
            return ()
        elapsed = now_s - (self._started_s or 0.0)
        share = 1.0 if stands else min(1.0, elapsed / self.interval_s)
        upto = min(ceil(share * len(self._keys)), self._visited + self.most)
        keys = self._keys[self._visited : upto]
        self._visited = max(self._visited, upto)
        return keys

    def _begin(self, rows: Collection[bytes], now_s: float, *, stands: bool) -> bool:
        """Begin a pass if the last one began an interval ago; the first begins at once."""
        if self._started_s is None:
            # The first pass starts as if half an interval old: neither all at once nor only at its end.
            self._started_s = now_s - self.interval_s / 2
        elif now_s <= self._began_at_s or (not stands and now_s - self._started_s < self.interval_s):
            return False
        else:
            self.passes += 1
            self._started_s = now_s
        self._began_at_s = now_s
        self._keys = list(rows)
        self._visited = 0
        return bool(self._keys)
