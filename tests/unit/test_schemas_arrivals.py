"""An event as it came in: what is read of its envelope at once is what the event says."""

import pytest

from schemas import export
from schemas.arrivals import Arrival
from schemas.codec import decode_line
from schemas.envelope import Touchpoint
from schemas.touchpoints import TYPES

READ = ("id", "source", "time", "subject", "data", "channel")


@pytest.mark.parametrize("name", TYPES)
def test_an_arrival_is_its_event(name: str):
    """Fields are read by their place: in every type each has to be where the envelope has it."""
    event = decode_line(export.example(name))
    assert isinstance(event, Touchpoint)

    arrival = Arrival(event)

    assert arrival.event is event
    assert arrival.kind is TYPES[name].touchpoint
    assert [getattr(arrival, each) for each in READ] == [getattr(event, each) for each in READ]
