"""The entries of a register stay bytes until somebody asks for them."""

import pytest

from schemas.times import at_time
from streams.errors import CxError
from streams.scoring.facts import ORDER
from streams.scoring.rows import pack, unpack
from streams.scoring.state import Case, CustomerState
from tests.customers import DEFAULT, event, plain, row, seconds

PARCELS = [
    event("order.placed", 0, order_id="o1", promised_at=at_time(seconds(5))),
    event("delivery.failed", 1, order_id="o2"),
    event("order.placed", 2, order_id="o3", promised_at=at_time(seconds(9))),
    event("ticket.reopened", 3, ticket_id="t1"),
]


def read_again(state: CustomerState) -> CustomerState:
    """Return the row of a row's bytes."""
    return unpack(pack(state))


def test_an_event_about_something_else_reads_no_entry():
    """A row that is read, scored and written again has the same register, without a look at its entries."""
    state = read_again(row(PARCELS))
    DEFAULT.apply(state, event("rage.clicked", 4), seconds(4), 1)
    DEFAULT.rules.evaluate(state, seconds(4), absence_until_s=seconds(4))
    assert DEFAULT.ledger.last_of(state) is not None

    assert state.unread is not None
    written = pack(state)
    assert state.unread is not None
    assert plain(unpack(written).cases) == plain(row(PARCELS).cases)


def test_an_event_of_the_register_reads_them():
    """What a row has learned of its orders goes on from its bytes as it would have without them."""
    delivered = event("delivery.delivered", 4, order_id="o3")
    read, lived = read_again(row(PARCELS)), row(PARCELS)
    for state in (read, lived):
        DEFAULT.apply(state, delivered, seconds(4), 1)

    assert read.unread is None
    assert plain(read) == plain(lived)
    assert pack(read) == pack(lived)


def test_a_failure_is_the_entry_itself():
    """A failure that is listed and its entry are one object: whoever changes it changes both."""
    state = read_again(row(PARCELS))
    failures = state.failures

    assert [case.name for case in failures] == [case.name for case in state.cases.values() if case.key]
    assert all(state.cases[case.name] is case for case in failures)


def test_facts_are_read_when_somebody_asks():
    """Of an entry that was read for its failure the facts stay bytes, and are what they were."""
    state, lived = read_again(row(PARCELS)), row(PARCELS)
    (failure, _) = state.failures

    assert failure._facts is None
    assert failure.facts == lived.cases[failure.name].facts
    assert failure.facts is failure.facts


def test_damaged_facts_are_told():
    """Facts that end within one are refused with the command that mends them."""
    case = Case(b"name", ORDER, None)
    case.packed = b"\x01"

    with pytest.raises(CxError, match="damaged") as caught:
        assert case.facts
    assert caught.value.mend == "make the rows anew: cx rebuild"


def test_an_empty_register_is_nothing_to_read():
    """A row without entries has none to ask for."""
    state = read_again(row([event("rage.clicked")]))

    assert state.unread is None
    assert state.cases == {}


@pytest.mark.parametrize("damage", [b"\xff", b"\x00"])
def test_damaged_entries_are_told(damage: bytes):
    """Entries whose bytes end too early or too late are refused with the command that mends them."""
    state = row(PARCELS[:1])
    packed = read_again(state).packed_cases
    assert packed is not None
    name = packed.index(next(iter(state.cases)))
    data = pack(state).replace(packed, packed[: name - 1] + damage + packed[name:])
    if damage == b"\x00":
        data = pack(state).replace(packed, b"\x00" + packed[1:])

    with pytest.raises(CxError, match="damaged") as caught:
        assert unpack(data).cases
    assert caught.value.mend == "make the rows anew: cx rebuild"
