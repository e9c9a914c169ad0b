"""States that live on in memory change nothing that is written, whatever becomes of a unit of work."""

from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from worlds import FATES, KINDS, TOUCHES, TURNS, live  # beside this test

from streams.scoring.warm import MOST


@given(st.lists(st.one_of(TOUCHES, TOUCHES, TURNS), min_size=5, max_size=60))
def test_whatever_happens_the_log_is_the_same(steps: list[Any]):
    """Rows, scores and alerts are those of a worker that reads each row from its bytes."""
    assert live(steps, MOST).log._topics == live(steps, 0).log._topics


def test_many_states_live_on():
    """Over a long run states are changed again and again without being read, and the log is the same."""
    draw = Random(11)
    steps: list[Any] = []
    for _ in range(300):
        steps += [
            (draw.randrange(4), draw.choice(KINDS), draw.uniform(0, 64)) for _ in range(draw.randrange(4))
        ]
        steps.append((draw.choice(("work", "work", "sweep")), draw.choice((*FATES, "committed", "lost"))))
    world = live(steps, MOST)
    assert world.lived_on > 20
    assert world.log._topics == live(steps, 0).log._topics
