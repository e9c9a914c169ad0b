"""What a policy makes of each type of touchpoint, in one look-up an event."""

from typing import Final

from mypy_extensions import mypyc_attr

from schemas.arrivals import Arrival
from schemas.envelope import Touchpoint
from schemas.families.customers import CustomerUpdated
from schemas.touchpoints import TYPES, TypeInfo
from streams.scoring.claims import READERS
from streams.scoring.policy import Policy
from streams.scoring.signals import INTENTS, Signals, SignalTable

AMOUNTS: Final = ("total", "amount")
"""Where an engagement has its amount; the first that is known counts."""


@mypyc_attr(acyclic=True)
class Kind:
    """A type of touchpoint under one policy."""

    __slots__ = (
        "_fixed",
        "_reader",
        "_table",
        "amounts",
        "changes",
        "declares",
        "engages",
        "teach",
        "updates",
    )

    def __init__(self, info: TypeInfo, table: SignalTable, *, engages: bool) -> None:
        touchpoint = info.touchpoint
        self._table = table
        self._fixed = table.fixed(touchpoint)
        self._reader = table.reader(touchpoint)
        self.teach = READERS.get(touchpoint)
        """What enters its facts in the register; None where they do not go there."""
        self.engages = engages
        """The customer does something of their own accord."""
        self.amounts = tuple(name for name in AMOUNTS if name in info.data.__struct_fields__)
        self.declares = touchpoint in INTENTS
        """It may declare an intent to leave."""
        self.updates = touchpoint is CustomerUpdated
        """It is about the profile."""
        self.changes = self.teach is not None or engages or self.declares or self.updates
        """Every event of the type changes the evidence; others do by their signals alone."""

    def signals(self, arrival: Arrival) -> Signals:
        """Return the signals of an event of this type; empty for a neutral act."""
        reader = self._reader
        return self._fixed if reader is None else reader(self._table, arrival.data, arrival)


def kinds_of(policy: Policy, table: SignalTable) -> dict[type[Touchpoint], Kind]:
    """Return all types of touchpoints under a policy."""
    engagement = frozenset(policy.rhythm.engagement)
    return {info.touchpoint: Kind(info, table, engages=info.name in engagement) for info in TYPES.values()}
