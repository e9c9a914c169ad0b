"""The drivers of a policy, what of a sum each of them makes, and which come first."""

from typing import Final

import orjson
from mypy_extensions import mypyc_attr

from streams.scoring.policy import Policy
from streams.scoring.state import NO_CODE

AFTER_OBJECT: Final = len("},")


@mypyc_attr(acyclic=True)
class Driver:
    """A driver with what stands before its number in each list of a document.

    That is the JSON from the `},` of the object before to the `:` of its own number. Not to be changed.
    """

    __slots__ = ("code", "in_churn", "in_experience", "in_service", "name", "quoted")

    def __init__(self, name: str, code: int = NO_CODE) -> None:
        self.name = name
        self.quoted = orjson.dumps(name)
        begun = b'},{"driver":' + self.quoted
        self.code = code
        self.in_experience = begun + b',"ledger":"experience","points":'
        self.in_service = begun + b',"ledger":"service","points":'
        self.in_churn = begun + b',"logit":'


class Drivers:
    """The drivers of a policy by their codes."""

    def __init__(self, policy: Policy) -> None:
        self._by_code = {code: Driver(name, code) for code, name in policy.driver_names.items()}

    def of(self, code: int) -> Driver:
        """Return the driver of a code; one that the policy dropped keeps its number."""
        found = self._by_code.get(code)
        if found is None:
            found = self._by_code[code] = Driver(f"driver_{code}", code)
        return found

    def name(self, code: int) -> str:
        """Return the name of a driver by its code."""
        return self.of(code).name


@mypyc_attr(acyclic=True)
class Part:
    """What a driver makes of a sum."""

    __slots__ = ("amount", "driver", "rank")

    def __init__(self, driver: Driver, amount: float) -> None:
        self.driver = driver
        self.amount = amount
        self.rank = 0


def total(parts: list[Part]) -> float:
    """Return the sum of the amounts."""
    found = 0.0
    for part in parts:
        found += part.amount
    return found


def give(parts: list[Part], drivers: Drivers, code: int, amount: float) -> None:
    """Add to the part of a driver."""
    for part in parts:
        if part.driver.code == code:
            part.amount += amount
            return
    parts.append(Part(drivers.of(code), amount + 0.0))  # a -0.0 would be written as one


def ranked(parts: list[Part], *, by_name: bool) -> list[Part]:
    """Return parts with the strongest first, and equals by name or else by code.

    Parts are held against each other in billionths, without the last bits of a sum: those depend on the order
    of its events; the order of a document must not.
    """
    found: list[Part] = []
    for part in parts:
        amount, driver = part.amount, part.driver
        rank = part.rank = int((amount if amount >= 0.0 else -amount) * 1e9 + 0.5)
        place = len(found)
        while place:
            before = found[place - 1]
            if before.rank > rank:
                break
            if before.rank == rank:
                other = before.driver
                if (other.name <= driver.name) if by_name else (other.code <= driver.code):
                    break
            place -= 1
        found.insert(place, part)
    return found
