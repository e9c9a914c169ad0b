"""A counter that costs little to make: every transaction makes some twenty, and counts in few of them."""

from typing import TypeVar

from mypy_extensions import mypyc_attr

K = TypeVar("K")


@mypyc_attr(native_class=False)
class Counted(dict[K, int]):
    """Counts by key; of what was never counted there are 0.

    As `collections.Counter`, whose constructor takes five times as long.
    """

    __slots__ = ()

    def __missing__(self, key: K) -> int:
        return 0


def add_counts(counts: dict[K, int], other: dict[K, int]) -> None:
    """Add the counts of another: at every transaction to twenty counters, most of which saw nothing."""
    for key, count in other.items():
        counts[key] = counts.get(key, 0) + count
