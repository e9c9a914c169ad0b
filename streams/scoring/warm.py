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


class WarmStates:
    """The states of a worker, of all its partitions, those touched last at the end."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
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

        Of a row without a state, such as a tombstone, nothing is kept.
        """
        held = self._held
        for key, row in rows.items():
            state = states.get(key)
            held.pop(key, None)
            if row is not None and state is not None:
                held[key] = row, state
        while len(held) > self.most:
            held.popitem(last=False)
