"""Counts that are cheap to make behave as a counter does."""

from collections import Counter

from streams.observe.counted import Counted, add_counts


def test_what_was_never_counted_is_none():
    """Looking at a count adds none."""
    counts: Counted[str] = Counted()
    assert counts["a"] == 0
    assert not counts


def test_counts_add_up():
    """As those of the standard library do, and they compare with them."""
    counts = Counted({"a": 1})
    counts["b"] += 2
    add_counts(counts, Counted({"a": 3, "c": 0}))
    assert counts == Counter({"a": 4, "b": 2, "c": 0})
