"""The drivers of a policy, what of a sum each of them makes, and which come first."""

from typing import Final

import orjson
from librt.vecs import append, vec
from mypy_extensions import i64, mypyc_attr

from streams.scoring.policy import Policy
from streams.scoring.state import NO_CODE
from streams.scoring.sums import Sums

_LETTERS: Final = 7


@mypyc_attr(acyclic=True)
class Driver:
    """A driver with the JSON before its number in each object of a document. Not to be changed."""

    __slots__ = ("begins", "code", "in_churn", "in_experience", "in_last", "in_service", "name")

    def __init__(self, name: str, code: int = NO_CODE) -> None:
        self.name = name
        self.begins = i64(int.from_bytes(name.encode().ljust(_LETTERS, b"\0")[:_LETTERS], "big"))
        """The first letters as a number, which orders most names as their letters do."""
        self.code = i64(code)
        named = b'"driver":' + orjson.dumps(name)
        self.in_experience = b"{" + named + b',"ledger":"experience","points":'
        self.in_service = b"{" + named + b',"ledger":"service","points":'
        self.in_churn = b"{" + named + b',"logit":'
        self.in_last = b"," + named + b',"points":'


class Drivers:
    """The drivers of a policy by their codes."""

    def __init__(self, policy: Policy) -> None:
        names = policy.driver_names
        self._by_code = [Driver(names.get(code, _unnamed(code)), code) for code in range(max(names) + 1)]

    def of(self, code: i64) -> Driver:
        """Return the driver of a code; one that the policy dropped keeps its number."""
        return self._by_code[code] if 0 <= code < len(self._by_code) else Driver(_unnamed(code), code)

    def name(self, code: int) -> str:
        """Return the name of a driver by its code."""
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

    def ranked(self, *, by_name: bool) -> list[int]:
        """Return the places of the parts with the strongest first, and equals by name or else by code.

        Parts are held against each other in billionths, without the last bits of a sum: those depend on the
        order of its events; the order of a document must not.
        """
        amounts = self.amounts
        found: list[int] = []
        ranks = vec[float](capacity=len(amounts))
        for place in range(len(amounts)):
            amount = amounts[place]
            rank = float(int((amount if amount >= 0.0 else -amount) * 1e9 + 0.5))
            at = place
            while at:
                before = found[at - 1]
                above = ranks[before]
                if above > rank or (above == rank and not self._yields(before, place, by_name=by_name)):
                    break
                at -= 1
            found.insert(at, place)
            ranks = append(ranks, rank)
        return found

    def named(self, *, by_name: bool) -> list[tuple[str, float]]:
        """Return the name and the amount of each part, in the order of `ranked`."""
        return [(self.drivers[at].name, self.amounts[at]) for at in self.ranked(by_name=by_name)]

    def _yields(self, place: int, later: int, *, by_name: bool) -> bool:
        """Tell whether a part comes after one that was added later and is as strong."""
        one, other = self.drivers[place], self.drivers[later]
        if not by_name:
            return one.code > other.code
        return one.name > other.name if one.begins == other.begins else one.begins > other.begins
