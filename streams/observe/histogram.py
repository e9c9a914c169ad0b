"""A histogram as plain counts, for the worker's own loop."""

from collections.abc import Iterator
from itertools import accumulate


class Histogram:
    """Counts by upper bound; the last one is unbounded."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count one value, or the same value several times."""
        place = 0
        for bound in self.bounds:  # some ten of them: bisect is a call of Python's
            if value <= bound:
                break
            place += 1
        self.counts[place] += times
        self.total += value * times

    def add(self, other: "Histogram") -> None:
        """Add the counts of another histogram. Raises ValueError where it has other bounds."""
        if other.bounds != self.bounds:
            msg = f"counts by {other.bounds} do not add up with counts by {self.bounds}"
            raise ValueError(msg)
        counts = self.counts
        for place, count in enumerate(other.counts):
            if count:
                counts[place] += count
        self.total += other.total

    def copy(self) -> "Histogram":
        """Return a histogram that shares nothing with this one."""
        copy = Histogram(self.bounds)
        copy.add(self)
        return copy

    def buckets(self) -> Iterator[tuple[str, int]]:
        """Yield (upper bound as Prometheus writes it, values at most that)."""
        bounds = [*(f"{bound:g}" for bound in self.bounds), "+Inf"]
        yield from zip(bounds, accumulate(self.counts), strict=True)


def observe_under(
    histograms: dict[str, Histogram], key: str, bounds: tuple[float, ...], value: float
) -> None:
    """Count `value` in the histogram of `key`, made where it is not there yet."""
    histogram = histograms.get(key)
    if histogram is None:
        histogram = histograms[key] = Histogram(bounds)
    histogram.observe(value)


def add_all(histograms: dict[str, Histogram], other: dict[str, Histogram]) -> None:
    """Add each histogram of `other` to that of the same key."""
    for key, each in other.items():
        held = histograms.get(key)
        if held is None:
            histograms[key] = each.copy()
        else:
            held.add(each)
