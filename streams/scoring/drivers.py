"""The drivers of a policy, what of a sum each of them makes, and which come first."""

from typing import Final

import orjson
from librt.vecs import append, vec
from mypy_extensions import i64, mypyc_attr

from streams.scoring.compiled import COMPILED
from streams.scoring.entry import NO_CODE
from streams.scoring.policy import Policy
from streams.scoring.sums import Sums

EXPERIENCE: Final = 0
SERVICE: Final = 1
CHURN: Final = 2
_BESIDE: Final = (b',"ledger":"experience","points":', b',"ledger":"service","points":', b',"logit":')
_LETTERS: Final = 7
_PLACE_BITS: Final = 12  # of a number with the rank of a part above its place: `policy.MAX_CODE` is less
_PLACE: Final = (1 << _PLACE_BITS) - 1
_MOST: Final = 1e6  # all beyond are as strong: their billionths leave room for a place


@mypyc_attr(acyclic=True)
class Driver:
    """A driver with the JSON before its number in each object of a document. Not to be changed."""

    __slots__ = ("begins", "code", "heads", "in_last", "name", "nothings")

    def __init__(self, name: str, code: int = NO_CODE) -> None:
        self.name = name
        self.begins = i64(int.from_bytes(name.encode().ljust(_LETTERS, b"\0")[:_LETTERS], "big"))
        """The first letters as a number, which orders most names as their letters do."""
        self.code = i64(code)
        named = b'"driver":' + orjson.dumps(name)
        self.heads = [b",{" + named + beside for beside in _BESIDE]
        """For `EXPERIENCE`, `SERVICE` and `CHURN`."""
        self.nothings = [head + b"0.0}" for head in self.heads]
        """The objects of a part of nothing."""
        self.in_last = b"," + named + b',"points":'

    def precedes(self, other: "Driver", *, by_name: bool) -> bool:
        """Tell whether it comes before another of the same rank."""
        if not by_name:
            return self.code < other.code
        return self.name < other.name if self.begins == other.begins else self.begins < other.begins


class Drivers:
    """The drivers of a policy by their codes."""

    def __init__(self, policy: Policy) -> None:
        names = policy.driver_names
        self._by_code = [Driver(names.get(code, _unnamed(code)), code) for code in range(max(names) + 1)]

    def of(self, code: i64) -> Driver:
        """Return the driver of a code; one that the policy dropped keeps its number."""
        return self._by_code[code] if 0 <= code < len(self._by_code) else Driver(_unnamed(code), code)

    def name(self, code: int) -> str:
        """Return the policy's name of a driver code; a code that the policy dropped keeps its number."""
        return self.of(code).name

    def name_all(self, parts: "Parts") -> None:
        """Give parts that were added by code their drivers."""
        parts.drivers = [self.of(code) for code in parts.keys]


def _unnamed(code: int) -> str:
    return f"driver_{code}"


@mypyc_attr(acyclic=True)
class Parts(Sums):
    """What drivers make of a sum, in the order in which they were added; by their codes until all are."""

    __slots__ = ("drivers",)

    def __init__(self, drivers: list[Driver], room: i64 = 0) -> None:
        super().__init__(room)
        self.drivers = drivers

    def join(self, driver: Driver, amount: float) -> None:
        """Add a driver that has no part yet."""
        self.drivers.append(driver)
        self.amounts = append(self.amounts, amount)

    def ranked(self, *, by_name: bool) -> vec[i64]:
        """Return the places of the parts with the strongest first, and equals by name or else by code.

        Parts are held against each other in billionths, without the last bits of a sum: those depend on the
        order of its events; the order of a document must not.
        """
        return by_insertion(self, by_name=by_name) if COMPILED else by_sorting(self, by_name=by_name)

    def named(self, *, by_name: bool) -> list[tuple[str, float]]:
        """Return the name and the amount of each part, in the order of `ranked`."""
        return [(self.drivers[at].name, self.amounts[at]) for at in self.ranked(by_name=by_name)]


def by_sorting(parts: Parts, *, by_name: bool) -> vec[i64]:
    """Rank as Python does best."""
    drivers, amounts = parts.drivers, parts.amounts

    def rank(place: int) -> tuple[int, str | int]:
        driver = drivers[place]
        return -_billionths(amounts[place]), driver.name if by_name else driver.code

    return vec[i64](sorted(range(len(drivers)), key=rank))


def by_insertion(parts: Parts, *, by_name: bool) -> vec[i64]:
    """Rank without an object: quicker where numbers are none, which is compiled."""
    drivers, amounts = parts.drivers, parts.amounts
    place: i64 = len(amounts)
    found = vec[i64]([0] * place)
    ranked: i64 = 0
    while place:  # from the last: many of the first are nothing, which every other would have to pass
        place -= 1
        rank = _billionths(amounts[place])
        at = ranked
        ranked += 1
        while at:
            before = found[at - 1]
            above = before >> _PLACE_BITS
            if above > rank or (
                above == rank and drivers[before & _PLACE].precedes(drivers[place], by_name=by_name)
            ):
                break
            found[at] = before
            at -= 1
        found[at] = rank << _PLACE_BITS | place
    for at in range(len(found)):
        found[at] &= _PLACE
    return found


def _billionths(amount: float) -> i64:
    return int(min(abs(amount), _MOST) * 1e9 + 0.5)
