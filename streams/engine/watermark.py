"""The watermark of a partition: the time up to which every one of its inputs was read."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from streams.engine.settings import Clock


class InputState(NamedTuple):
    """How far one input is applied; times in seconds since the epoch, -inf where nothing was applied."""

    at_end: bool
    reached_s: float
    """When the broker last said that there is nothing behind the position (only read where `at_end`)."""
    record_s: float
    """Timestamp of the last record applied."""
    event_s: float
    """Newest event time applied."""
    next_s: float = -math.inf
    """Timestamp of the record that waits to be applied next; -inf where none does."""


def watermark(inputs: Iterable[InputState], clock: Clock) -> float:
    """Return the least time that any input has been read up to, -inf where one is unknown.

    `wall`: an input at its end counts with the time the broker said so, one behind with the timestamp of
    its last record, or of the next, which may wait for other inputs for long. `event` (demos, data sets): one
    at its end counts with the newest event time of the partition, one behind with its own.
    """
    states = list(inputs)
    newest = max((state.event_s for state in states), default=-math.inf)
    return min((_reached(state, clock, newest) for state in states), default=-math.inf)


def _reached(state: InputState, clock: Clock, newest_event_s: float) -> float:
    if clock == "event":
        return newest_event_s if state.at_end else state.event_s
    if state.at_end:
        return state.reached_s
    # A record whose producer's clock is ahead says nothing of the time until then.
    return max(state.record_s, min(state.next_s, state.reached_s))
