"""States that are kept beside their rows: for whom they are, and when they are given out."""

from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
from streams.scoring.warm import WarmStates
from tests.customers import DEFAULT, event, plain, row, seconds


def bought(times: int) -> CustomerState:
    """Return the row of somebody who bought so many times."""
    return row(event("order.placed", day) for day in range(times))


def kept(warm: WarmStates, key: bytes, state: CustomerState) -> bytes:
    """Keep the state of a customer, and return the row it is kept for."""
    packed = pack(state)
    warm.keep({key: packed}, {key: state})
    return packed


def test_the_state_of_a_row_is_given_out_once():
    """Whoever takes it may change it; the next one reads the row."""
    warm, state = WarmStates(), bought(1)
    packed = kept(warm, b"anna", state)
    assert warm.take(b"anna", packed) is state
    again = warm.take(b"anna", packed)
    assert again is not state
    assert plain(again) == plain(state)


def test_a_state_is_of_its_row_alone():
    """Other bytes are read, and the state that was kept is gone: of it nothing is known any more."""
    warm, state = WarmStates(), bought(1)
    packed, other = kept(warm, b"anna", state), pack(bought(2))
    assert plain(warm.take(b"anna", other)) == plain(unpack(other))
    assert warm.take(b"anna", packed) is not state


def test_nothing_is_kept_of_who_was_forgotten():
    """A tombstone takes the state along; rows that are no customers' have none."""
    warm = WarmStates()
    kept(warm, b"anna", bought(1))
    warm.keep({b"anna": None, b"\x00cx-forgotten": b"\x01"}, {})
    assert not len(warm)


def test_those_touched_last_stay():
    """Of all units of work the newest stay, and of one the customers that came last."""
    warm = WarmStates(most=3)
    states = {b"%d" % number: bought(number) for number in range(1, 6)}
    rows = {key: pack(state) for key, state in states.items()}
    first, second = (b"1", b"2"), (b"3", b"4", b"5")
    for keys in (first, second[:1], first[1:], second):
        warm.keep({key: rows[key] for key in keys}, states)
    assert [key for key, row in rows.items() if warm.take(key, row) is states[key]] == list(second)
    for keys in (first, second):
        warm.keep({key: rows[key] for key in keys}, states)
    warm.keep({b"4": rows[b"4"], b"1": rows[b"1"]}, states)
    assert [key for key, row in rows.items() if warm.take(key, row) is states[key]] == [b"1", b"4", b"5"]


def test_a_sum_that_faded_to_nothing_is_what_its_bytes_say():
    """A row keeps no sum of 0 and none comes back negative, so a state that lived on has no -0.0 either."""
    state = row([event("complaint.raised", 0.0)])
    assert state.mass.a_recent < 0.0
    state.newest_s = seconds(36_525)
    DEFAULT._move_reference(state, state.newest_s)
    assert [str(each) for each in (state.mass.a_recent, unpack(pack(state)).mass.a_recent)] == ["0.0", "0.0"]
