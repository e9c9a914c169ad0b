"""Customers computed in groups: of each, the same is written as without them."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import TOUCHES, TURNS, World, live  # beside this test

from streams.engine import partition
from streams.scoring.warm import MOST


def by_key(world: World) -> dict[Any, list[Any]]:
    """Return what was written under each key of each topic, in order."""
    found: dict[Any, list[Any]] = defaultdict(list)
    for name, partitions in world.log._topics.items():
        for number, records in enumerate(partitions):
            for record in records:
                found[name, number, record.key].append((record.value, record.headers))
    return found


@given(st.lists(st.one_of(TOUCHES, TOUCHES, TOUCHES, TURNS), min_size=20, max_size=80))
def test_of_each_customer_the_same_is_written(steps: list[Any]):
    """Rows, scores, alerts and dead letters do not depend on who is computed with whom."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partition, "GROUP_RECORDS", 1_000)
        together = live(steps, MOST)
        patch.setattr(partition, "GROUP_RECORDS", 1)
        apart = live(steps, MOST)
    assert by_key(apart) == by_key(together)
