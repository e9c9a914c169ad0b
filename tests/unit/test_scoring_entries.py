"""The entries of a register stay bytes until somebody asks for them."""

import pytest

from schemas.times import at_time
from streams.errors import CxError
from streams.scoring.entry import Case
from streams.scoring.facts import FAILED, ISSUE, KEPT, ORDER, TICKET, key_of
from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
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

    assert not state.entries._read
    written = pack(state)
    assert not state.entries._read
    assert plain(unpack(written).entries.all()) == plain(row(PARCELS).entries.all())


def test_an_event_of_the_register_reads_them():
    """What a row has learned of its orders goes on from its bytes as it would have without them."""
    delivered = event("delivery.delivered", 4, order_id="o3")
    read, lived = read_again(row(PARCELS)), row(PARCELS)
    for state in (read, lived):
        DEFAULT.apply(state, delivered, seconds(4), 1)

    assert read.entries._read
    assert plain(read) == plain(lived)
    assert pack(read) == pack(lived)


def test_a_failure_is_the_entry_itself():
    """A failure that is listed and its entry are one object: whoever changes it changes both."""
    state = read_again(row(PARCELS))
    failures = state.entries.failures

    assert [case.name for case in failures] == [case.name for case in state.entries.all() if case.key]
    assert all(state.entries.get(case.name) is case for case in failures)


def test_entries_lie_in_the_last_bytes_of_their_register():
    """Whatever changed between, all entries of a packed register have their bytes in it, and nowhere else."""
    state, told = read_again(row(PARCELS)), event("delivery.failed", 4, order_id="o3")
    DEFAULT.apply(state, told, seconds(4), 1)
    pack(state)
    packed = state.entries.packed
    assert packed is not None

    assert all(case.source is packed for case in state.entries.all())
    again = unpack(pack(state))
    assert plain(again) == plain(state)
    for changed in (state, again):
        DEFAULT.apply(changed, event("order.cancelled", 5, order_id="o1"), seconds(5), 1)
    assert pack(state) == pack(again)


def test_facts_are_read_when_somebody_asks():
    """Of an entry that was read for its failure the facts stay bytes, and are what they were."""
    state, lived = read_again(row(PARCELS)), row(PARCELS)
    (failure, _) = state.entries.failures
    (known, _) = lived.entries.failures

    assert failure._facts is None
    assert failure.facts == known.facts
    assert failure.facts is failure.facts
    assert failure.known(FAILED) == failure.facts[FAILED]
    (failure, _) = read_again(row(PARCELS)).entries.failures
    assert (failure.known(FAILED), failure.known(KEPT)) == (known.facts[FAILED], 0)


def test_damaged_facts_are_told():
    """Facts that end within one are refused with the command that mends them."""
    case = Case(b"name", ORDER, None)
    case.source, case.ends = b"\x01", 1

    with pytest.raises(CxError, match="damaged"):
        assert case.known(KEPT)
    with pytest.raises(CxError, match="damaged") as caught:
        assert case.facts
    assert caught.value.mend == "make the rows anew: cx rebuild"


def test_an_empty_register_is_nothing_to_read():
    """A row without entries has none to ask for."""
    state = read_again(row([event("rage.clicked")]))

    assert state.entries.all() == []


@pytest.mark.parametrize("damage", [b"\xff", b"\x00"])
def test_damaged_entries_are_told(damage: bytes):
    """Entries whose bytes end too early or too late are refused with the command that mends them."""
    state = row(PARCELS[:1])
    packed = read_again(state).entries.packed
    assert packed is not None
    name = packed.index(key_of(ORDER, "o1"))
    data = pack(state).replace(packed, packed[: name - 1] + damage + packed[name:])
    if damage == b"\x00":
        data = pack(state).replace(packed, b"\x00" + packed[1:])

    with pytest.raises(CxError, match="damaged") as caught:
        assert unpack(data).entries.all()
    assert caught.value.mend == "make the rows anew: cx rebuild"


def test_an_issue_that_was_only_asked_about_changes_no_other_entry():
    """What belongs to an issue keeps its bytes when somebody asks again, and is derived when it is solved."""
    ticket = event("ticket.created", 0, ticket_id="t1", issue_id="i1")
    state = read_again(row([ticket]))
    asked = event("chat.ended", 4, issue_id="i1", id="c1")
    DEFAULT.apply(state, asked, seconds(4), 1)
    kept = state.entries.get(key_of(TICKET, "t1"))
    assert kept is not None
    assert kept.ends

    DEFAULT.apply(state, event("chat.ended", 5, issue_id="i1", id="c2", resolved="yes"), seconds(5), 1)
    assert not kept.ends


def test_an_issue_that_was_pushed_out_is_told_of_anew():
    """A late event whose ticket takes the place of its issue: what belonged to that is derived without it."""
    due = at_time(seconds(30))
    state = row(
        [
            event("promise.made", 1, promise_id="p1", issue_id="i1", due_at=due),
            event("promise.kept", 9, promise_id="p1"),
            event("ticket.created", 3, ticket_id="t0"),
            event("ticket.escalated", 4, ticket_id="t0", issue_id="i1"),
            *(
                event("ticket.reopened", 2, ticket_id=f"t{number}", id=f"r{number}")
                for number in range(1, 14)
            ),
        ]
    )
    tied = state.entries.get(key_of(TICKET, "t0"))
    assert tied is not None
    assert (len(state.entries.all()), tied.pending_s) == (16, 0)

    DEFAULT.apply(state, event("ticket.created", 0, ticket_id="t99", issue_id="i1"), seconds(0), 1)
    assert state.entries.get(key_of(ISSUE, "i1")) is None
    assert tied.pending_s > 0


@pytest.mark.parametrize("data", [b"\x04\xfd", b"\x04\xfd\x01\x02"])
def test_facts_that_do_not_end_with_their_entry_are_told(data: bytes):
    """A fact that is cut short, or goes on into the next entry, is none."""
    case = Case(b"name", ORDER, None)
    case.source, case.ends = data, 2

    with pytest.raises(CxError, match="damaged"):
        assert case.known(KEPT)
    with pytest.raises(CxError, match="damaged"):
        assert case.facts


@pytest.mark.parametrize("place", [b"\x05", b"\x01"])
def test_a_failure_that_is_no_entry_is_told(place: bytes):
    """A place of a failure at which no entry begins is refused."""
    state = read_again(row(PARCELS[1:2]))
    packed = state.entries.packed
    assert packed is not None
    state.entries.packed = packed[:2] + place + packed[3:]

    with pytest.raises(CxError, match="damaged"):
        state.entries.all()


@pytest.mark.parametrize("place", range(-60, 0))
def test_a_failure_before_all_entries_is_told(place: int):
    """A place of a failure that is negative would be counted from the end of the register."""
    state = read_again(row(PARCELS[1:2]))
    packed = state.entries.packed
    assert packed is not None
    state.entries.packed = packed[:2] + b"\xfd" + place.to_bytes(2, "little", signed=True) + packed[3:]

    with pytest.raises(CxError, match="damaged"):
        assert state.entries.failures


def test_damage_is_told_to_everybody_who_asks():
    """Who asks a damaged register again hears of it again, instead of a customer without failures."""
    state = read_again(row(PARCELS[1:2]))
    packed = state.entries.packed
    assert packed is not None
    state.entries.packed = packed[:2] + b"\xfc" + packed[3:]

    for _ in range(2):
        with pytest.raises(CxError, match="damaged"):
            assert state.entries.failures
        with pytest.raises(CxError, match="damaged"):
            state.entries.all()


def test_an_entry_that_ends_before_its_facts_is_told():
    """An entry whose length is less than what it says of itself is refused."""
    state = read_again(row(PARCELS[:1]))
    packed = state.entries.packed
    assert packed is not None
    state.entries.packed = packed[:2] + b"\x09" + packed[3:]

    with pytest.raises(CxError, match="damaged"):
        state.entries.all()
