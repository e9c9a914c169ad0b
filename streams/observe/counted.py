"""A counter that costs little to make: every transaction makes some twenty, and counts in few of them."""

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")


class Counted(dict[K, int]):
    """Counts by key; of what was never counted there are 0.

    As `collections.Counter`, whose constructor takes five times as long.
    """

    __slots__ = ()

    def __missing__(self, key: K) -> int:
        return 0

    def add(self, other: Mapping[K, int]) -> None:
        """Add the counts of another."""
        for key, count in other.items():
            self[key] = self.get(key, 0) + count
