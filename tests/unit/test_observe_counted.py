"""Counters that are plain dicts."""

from collections import Counter

from streams.observe.counted import add_counts, count_up


def test_a_key_is_counted_once_or_several_times():
    """What was never counted begins at 0."""
    counts: dict[str, int] = {}
    count_up(counts, "a")
    count_up(counts, "a", 2)
    assert counts == {"a": 3}


def test_counts_add_up():
    """As those of the standard library do; the other ones stay as they are."""
    counts, other = {"a": 1, "b": 2}, {"a": 3, "c": 0}
    add_counts(counts, other)
    add_counts(counts, {})
    assert counts == Counter({"a": 4, "b": 2, "c": 0})
    assert other == {"a": 3, "c": 0}
