"""Counters as plain dicts: a transaction makes some twenty, and counts in few of them."""

from typing import TypeVar

K = TypeVar("K")


def count_up(counts: dict[K, int], key: K, times: int = 1) -> None:
    """Count `key` once, or several times."""
    counts[key] = counts.get(key, 0) + times


def add_counts(counts: dict[K, int], other: dict[K, int]) -> None:
    """Add the counts of another: at every transaction to twenty counters, most of which saw nothing."""
    if other:
        for key, number in other.items():
            counts[key] = counts.get(key, 0) + number
