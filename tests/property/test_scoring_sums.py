"""The sums of a row against a dict: the same amounts in the same order, through whatever happens to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from librt.strings import BytesWriter

from streams.scoring.binary import Reader, put_whole
from streams.scoring.sums import Sums, sums_of
from tests.customers import by_key

KEYS = st.integers(0, 40) | st.integers(252, 260) | st.just(4001 * 8)
AMOUNTS = st.floats(-1e6, 1e6)
STEPS = st.tuples(st.sampled_from(["put", "add", "drop"]), KEYS, AMOUNTS)


def stepped(steps: list[tuple[str, int, float]]) -> tuple[Sums, dict[int, float]]:
    """Return sums and a dict to which the same was done."""
    sums, model = Sums(), dict[int, float]()
    for step, key, amount in steps:
        if step == "put":
            sums.put(key, amount)
            model[key] = amount
        elif step == "add":
            sums.add(key, amount)
            model[key] = model.get(key, 0.0) + amount
        else:
            sums.drop(key)
            model.pop(key, None)
    return sums, model


@given(st.lists(STEPS, max_size=60))
def test_sums_hold_what_a_dict_would(steps: list[tuple[str, int, float]]):
    """Amounts stay in the order in which their keys came, a dropped key comes back last, and none is -0.0."""
    sums, model = stepped(steps)

    assert repr(by_key(sums)) == repr(model)
    assert bool(sums) == bool(model)
    assert sums.total() == sum(model.values(), 0.0)
    for key in {key for _, key, _ in steps} | {99}:
        assert sums.has(key) == (key in model)
        assert repr(sums.get(key)) == repr(model.get(key, 0.0))


@given(st.lists(STEPS, max_size=60), st.lists(STEPS, max_size=20), st.floats(0.1, 1.0))
def test_sums_come_out_of_bytes_as_they_went_in(
    steps: list[tuple[str, int, float]], later: list[tuple[str, int, float]], factor: float
):
    """Sums that were read go on like those that were written, and fade alike."""
    sums, _ = stepped(steps)
    to = BytesWriter()
    sums.write(to)
    found, read = Reader(to.getvalue()), Sums()
    read.read(found)
    assert found.is_at_end()

    for each in (sums, read):
        for _, key, amount in later:
            each.add(key, amount)
        each.fade(factor)
    assert repr(by_key(read)) == repr(by_key(sums))
    assert by_key(read) == {key: amount * factor for key, amount in _added(steps, later).items()}


def _added(steps: list[tuple[str, int, float]], later: list[tuple[str, int, float]]) -> dict[int, float]:
    return stepped([*steps, *(("add", key, amount) for _, key, amount in later)])[1]


@pytest.mark.parametrize("count", [-1, (1 << 15) + 1, 1 << 40])
def test_more_sums_than_there_are_keys_are_damage(count: int):
    """A count that no row has is refused, before room is made for so many."""
    to = BytesWriter()
    put_whole(to, count)

    with pytest.raises(ValueError, match="sums"):
        Sums().read(Reader(to.getvalue()))


def test_sums_of_a_dict():
    """Sums are made of a dict in its order."""
    assert list(by_key(sums_of({9: 1.0, 3: -2.0})).items()) == [(9, 1.0), (3, -2.0)]
