"""The customers touched last, whose rows need not be unpacked again.

A state is kept beside the very bytes that it was packed to, and is given out for these bytes alone: when a
partition was loaded again, or a row was changed by anybody else, the bytes are others and are unpacked. It is
given out once. Whoever takes it may change it, and a unit of work that is dropped just leaves it gone: only
what was committed comes back.
"""

from collections import OrderedDict
from typing import Final

from streams.scoring.rows import unpack
from streams.scoring.state import CustomerState

MOST: Final = 10_240
"""States that a worker keeps, of about 2.7 KB each."""
MOST_AT_ONCE: Final = 2_048
"""States kept of one transaction: those of a backlog touch so many customers that every state would be
replaced before it was asked for again."""


class WarmStates:
    """The states of a worker, of all its partitions, those touched last at the end."""

    def __init__(self, most: int = MOST, at_once: int = MOST_AT_ONCE) -> None:
        self.most = most
        self.at_once = at_once
        self._held: OrderedDict[bytes, tuple[bytes, CustomerState]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, key: bytes, row: bytes) -> CustomerState:
        """Return the state of a committed row, to be changed by the caller."""
        held = self._held.pop(key, None)
        # Equal bytes would do as well; the same object tells it without reading them.
        if held is not None and held[0] is row:
            return held[1]
        return unpack(row)

    def keep(self, rows: dict[bytes, bytes | None], states: dict[bytes, CustomerState]) -> None:
        """Keep the `states` that the committed `rows` were packed from; nobody may change them from now on.

        Of a row without a state, such as a tombstone, nothing is kept. In a long transaction the busy
        customers come first: those are kept, and longest.
        """
        held, left = self._held, len(rows)
        for key in reversed(rows):
            row, state = rows[key], states.get(key)
            held.pop(key, None)
            if row is not None and state is not None and left <= self.at_once:
                held[key] = row, state
            left -= 1
        while len(held) > self.most:
            held.popitem(last=False)
