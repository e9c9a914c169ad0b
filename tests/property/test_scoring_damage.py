"""Whatever is damaged in a row, it is scored, or refused as damaged with the command that mends it."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.envelope import Touchpoint, time_s
from streams.errors import CxError
from streams.scoring.cases import alert_document
from streams.scoring.explain import assess, score_document
from streams.scoring.facts import all_until
from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
from tests.customers import DEFAULT, event, seconds
from tests.earlier import packed, version_2
from tests.lives import MATTERS, MOMENTS, ORDERS, lives

Life = list[Touchpoint]
Path = tuple[Any, ...]
NUMBERS: Final = [
    *(float("nan"), float("inf"), -float("inf"), 1e300, -1e300, 1e89, -1e89, 0.0, -1.0, 1e-320, 4.3e11),
    *(seconds(days) for days in (-250 * 365, 100 * 365, 250 * 365, 300 * 365)),
]
WHOLES: Final = [2**63 - 1, -(2**63), 2**40, 2**34, 2**31, 70_000, 250, 1, 0, -1, -70_000, 5_000_001]
RHYTHM, REGISTER = 8, 17


@st.composite
def rows(draw: st.DrawFn) -> CustomerState:
    """Return the row that a worker leaves of a life, with its alerts."""
    life = sorted(draw(lives(most=24)), key=time_s)
    state = DEFAULT.new(time_s(life[0]))
    for number, each in enumerate(life):
        DEFAULT.apply(state, each, time_s(each), number % 3)
        _look(state, state.newest_s)
    return state


def _look(state: CustomerState, at_s: float) -> None:
    """Look at a row as the sweep does, and write the alerts of it."""
    at_s = max(at_s, state.newest_s)
    for step in DEFAULT.sweep(state, at_s, absence_until_s=at_s, fulfilled_until_s=all_until(at_s)):
        alert_document(DEFAULT, "anna", state, step, generation="g", announced=True)


def version_1(state: CustomerState) -> list[Any]:
    """Return the fields of a row of version 1, which had no register and no spend."""
    fields = version_2(state)
    if fields[RHYTHM] is not None:
        fields[RHYTHM] = fields[RHYTHM][:-1]
    return [1, *fields[1:REGISTER]]


def _numbers_in(fields: Any, path: Path = ()) -> Iterator[Path]:
    """Find each number in the fields of a row."""
    if isinstance(fields, dict):
        for key, each in fields.items():
            yield from _numbers_in(each, (*path, key))
    elif isinstance(fields, list | tuple):
        for place, each in enumerate(fields):
            yield from _numbers_in(each, (*path, place))
    elif isinstance(fields, int | float):
        yield path


def _at(fields: Any, path: Path) -> Any:
    for step in path:
        fields = fields[step]
    return fields


def _with(fields: Any, path: Path, number: Any) -> Any:
    """Return the fields with another number at a path."""
    if not path:
        return number
    step, *rest = path
    if isinstance(fields, dict):
        return {**fields, step: _with(fields[step], tuple(rest), number)}
    return [_with(each, tuple(rest), number) if place == step else each for place, each in enumerate(fields)]


def scored_or_refused(data: bytes, late: Touchpoint) -> None:
    """Do with a row what a worker does, for as long as it is not told to be damaged."""
    try:
        state = unpack(data)
        _look(state, state.newest_s + 60.0)
        DEFAULT.apply(state, late, time_s(late), 0)
        for at_s in (time_s(late), seconds(200)):
            _look(state, at_s)
            score_document(DEFAULT, "anna", state, assess(DEFAULT, state, at_s))
        unpack(pack(state)).entries.all()
    except CxError as error:
        assert error.mend == "make the rows anew: cx rebuild", error  # noqa: PT017  # some are scored


more = st.sampled_from([*MOMENTS, *ORDERS, *MATTERS]).map(
    lambda each: event(each[0], 70, id="more", **each[1])
)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@given(rows(), more, st.data())
def test_a_byte_that_is_another(version: int, state: CustomerState, late: Touchpoint, data: st.DataObject):
    """One byte of a row of each version is damaged."""
    row = bytearray(_bytes_of(state, version))
    place = data.draw(st.integers(1, len(row) - 1))
    row[place] = data.draw(st.integers(0, 255))

    scored_or_refused(bytes(row), late)


@pytest.mark.parametrize("version", [1, 2])
@given(rows(), more, st.data())
def test_a_number_that_is_another(version: int, state: CustomerState, late: Touchpoint, data: st.DataObject):
    """One number of a row is damaged, where it lies in the same place in rows of today."""
    fields = version_1(state) if version == 1 else version_2(state)
    path = data.draw(st.sampled_from(list(_numbers_in(fields))))
    assume(path != (0,))
    is_float = isinstance(_at(fields, path), float)

    scored_or_refused(
        packed(_with(fields, path, data.draw(st.sampled_from(NUMBERS if is_float else WHOLES)))), late
    )


def _bytes_of(state: CustomerState, version: int) -> bytes:
    if version == 1:
        return packed(version_1(state))
    if version == 2:
        return packed(version_2(state))
    return bytes([version]) + pack(state)[1:]
