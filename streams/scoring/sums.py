"""Amounts by key, as a row keeps them: a few numbers in the order in which their keys came.

Every event reads all of them, and compiled they are C numbers side by side: nothing is hashed, and none of
them becomes a Python object. A search takes a comparison for each.
"""

from typing import Final

from librt.strings import BytesWriter, write_f64_le
from librt.vecs import append, pop, vec
from mypy_extensions import i64, mypyc_attr

from streams.scoring.binary import Reader, put_whole

ROOM: Final = 16
"""Most rows have fewer sums; more are taken as they come."""
_KEYS: Final = 1 << 15  # codes of drivers are below 4096, and each is in at most 8 keys


@mypyc_attr(acyclic=True)
class Sums:
    """Amounts by key; `room` is how many can come without being moved."""

    __slots__ = ("amounts", "keys")

    def __init__(self, room: i64 = 0) -> None:
        self.keys = vec[i64](capacity=room)
        self.amounts = vec[float](capacity=room)

    def __bool__(self) -> bool:
        return len(self.keys) > 0

    def has(self, key: i64) -> bool:
        """Tell whether there is an amount of that key."""
        return self._place(key) >= 0

    def get(self, key: i64) -> float:
        """Return the amount of a key, 0 for none."""
        place = self._place(key)
        return self.amounts[place] if place >= 0 else 0.0

    def put(self, key: i64, amount: float) -> None:
        """Make `amount` that of a key."""
        place = self._place(key)
        if place >= 0:
            self.amounts[place] = amount
        else:
            self.keys = append(self.keys, key)
            self.amounts = append(self.amounts, amount)

    def add(self, key: i64, amount: float) -> None:
        """Add to the amount of a key."""
        place = self._place(key)
        if place >= 0:
            self.amounts[place] += amount
        else:
            self.keys = append(self.keys, key)
            self.amounts = append(self.amounts, amount + 0.0)  # never -0.0: as if added to nothing

    def drop(self, key: i64) -> None:
        """Forget the amount of a key, if there is one."""
        place = self._place(key)
        if place >= 0:
            self.keys, _ = pop(self.keys, place)
            self.amounts, _ = pop(self.amounts, place)

    def fade(self, factor: float) -> None:
        """Multiply all amounts."""
        amounts = self.amounts
        for place in range(len(amounts)):
            amounts[place] *= factor

    def total(self, first: i64 = 0) -> float:
        """Return the sum of the amounts, from the `first` on."""
        amounts, found = self.amounts, 0.0
        for place in range(first, len(amounts)):
            found += amounts[place]
        return found

    def write(self, to: BytesWriter) -> None:
        """Add all to the bytes of a row."""
        amounts = self.amounts
        put_whole(to, len(amounts))
        for place, key in enumerate(self.keys):
            put_whole(to, key)
            write_f64_le(to, amounts[place])

    def read(self, found: Reader, end: i64 = _KEYS) -> None:
        """Take what `write` added, into sums that have nothing yet, with keys from 0 to before `end`.

        Raises ValueError where that is none.
        """
        count: i64 = found.whole()
        if not count:
            return
        if not 0 < count <= end:  # room for them is made at once
            msg = f"a row has no {count} sums"
            raise ValueError(msg)
        keys = vec[i64]([0] * count, capacity=ROOM)
        amounts = vec[float]([0.0] * count, capacity=ROOM)
        for place in range(count):
            key: i64 = found.whole()
            if key < 0 or key >= end:
                msg = f"a row has no sum of a key {key}"
                raise ValueError(msg)
            keys[place] = key
            amounts[place] = found.number()
        self.keys, self.amounts = keys, amounts

    def _place(self, key: i64) -> i64:
        """Return where a key is, -1 for nowhere."""
        place: i64 = 0
        for held in self.keys:
            if held == key:
                return place
            place += 1  # noqa: SIM113  # compiled, a count of C integers
        return -1


def sums_of(amounts: dict[int, float]) -> Sums:
    """Return the amounts of a dict."""
    sums = Sums()
    for key, amount in amounts.items():
        sums.put(key, amount)
    return sums
