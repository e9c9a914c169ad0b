"""Events that were read and judged and wait to be counted, and how those of each type are handled."""

from typing import final

from mypy_extensions import i64, mypyc_attr

from schemas.arrivals import Arrival
from schemas.envelope import Touchpoint
from schemas.families.customers import CustomerForgotten
from streams.aftermath import ACTIONS
from streams.engine.handler import Record
from streams.observe.kpis import COUNTED
from streams.scoring.apply import Scorer, identify
from streams.scoring.kinds import Kind
from streams.scoring.state import CustomerState, LastExperience  # noqa: TC001  # as attributes are compiled


@mypyc_attr(acyclic=True)
class Handling:
    """How events of one type are handled, found by one look-up each."""

    __slots__ = ("acts", "counting", "forgets", "kind", "number")

    def __init__(self, touchpoint: type[Touchpoint], kind: Kind, number: int) -> None:
        self.number: i64 = number
        """Its place among all types."""
        self.kind = kind
        self.counting = COUNTED.get(touchpoint)
        self.acts = touchpoint in ACTIONS
        """It says what somebody did about an alert."""
        self.forgets = touchpoint is CustomerForgotten


def handlings(scorer: Scorer) -> dict[type[Touchpoint], Handling]:
    """Return how the events of each type are handled under the scorer's policy."""
    kinds = enumerate(scorer.kinds.items())
    return {touchpoint: Handling(touchpoint, kind, number) for number, (touchpoint, kind) in kinds}


@final
@mypyc_attr(acyclic=True)
class Origin:
    """An input whose records are applied."""

    __slots__ = ("channel", "index", "newest_s", "topic")

    def __init__(self, topic: str, index: int, channel: str, newest_s: float = 0.0) -> None:
        self.topic = topic
        """Full name, prefix included."""
        self.index = index
        self.channel = channel
        """That of events which name none."""
        self.newest_s = newest_s
        """Newest event time accepted, seconds since the epoch; 0 for none."""


@final
@mypyc_attr(acyclic=True)
class Taken:
    """An event of a customer, with what can be said of it before the customer's row is seen."""

    __slots__ = (
        "accepted",
        "arrival",
        "channel",
        "event",
        "event_s",
        "handling",
        "key",
        "last",
        "origin",
        "record",
        "record_s",
        "signals",
        "state",
    )

    def __init__(
        self,
        record: Record,
        origin: Origin,
        key: bytes,
        arrival: Arrival,
        event_s: float,
        record_s: float,
        handling: Handling,
    ) -> None:
        self.record = record
        self.origin = origin
        self.key = key
        self.arrival = arrival
        self.event_s = event_s
        self.record_s = record_s
        self.channel = arrival.channel or origin.channel
        self.handling = handling
        self.signals = handling.kind.signals(arrival)
        self.event = identify(arrival, handling.kind, self.signals)
        self.state: CustomerState | None = None
        """The customer's row, where there is one."""
        self.accepted = False
        self.last: LastExperience | None = None
        """The customer's last experience before a contact."""
