"""The rhythm: days counted exactly, probabilities finite, and a shortcut that is never wrong."""

import math
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from librt.vecs import vec

from streams.scoring.policy import DAY_S
from streams.scoring.rhythm import LOGIT_LIMIT, MAP_DAYS, Silence, engage, month_of
from streams.scoring.state import CustomerState, Rhythm
from tests.customers import DEFAULT, scorer, seconds

NO_COUNTS = vec[float]()
HALF_LIVES_S = (10 * DAY_S, 100 * DAY_S)
POPULATIONS = [
    DEFAULT.churn.silence,
    scorer(rhythm={"r": 0.05, "alpha_days": 2, "a": 8, "b": 0.1}).churn.silence,
    scorer(rhythm={"r": 30, "alpha_days": 500, "a": 0.01, "b": 9}).churn.silence,
    scorer(rhythm={"a": 1e-300}).churn.silence,
]
populations = st.sampled_from(POPULATIONS)
repeats = st.one_of(st.integers(0, 12), st.integers(0, 10**6))


@st.composite
def rhythms(draw: st.DrawFn) -> Rhythm:
    """Return a rhythm with any number of repeats over any span."""
    first = draw(st.integers(0, 20_000))
    span = draw(st.integers(0, 12_000))
    return Rhythm(first, first + span, draw(repeats) if span else 0, 1, NO_COUNTS, 1)


def engaged(days: list[int]) -> CustomerState:
    """Return a row that has counted an engagement at noon of each day from START, as they come."""
    state = DEFAULT.new(seconds(days[0]))
    for day in days:
        engage(state, seconds(day + 0.5), HALF_LIVES_S)
    return state


def mapped(rhythm: Rhythm, last: int) -> set[int]:
    """Return the days that the map knows, `last` being the number of the last one."""
    return {last, *(last - bit - 1 for bit in range(MAP_DAYS) if rhythm.days >> bit & 1)}


@given(st.lists(st.integers(0, MAP_DAYS), min_size=1, max_size=40))
def test_days_against_a_set(days: list[int]):
    """Up to 64 days back the map counts each day once, in whatever order they come."""
    rhythm = engaged(days).rhythm
    assert rhythm is not None
    first = round(seconds(0) / DAY_S)
    known = set(days)

    assert (rhythm.first_day, rhythm.last_day) == (first + min(known), first + max(known))
    assert rhythm.repeats == len(known) - 1
    assert mapped(rhythm, max(known)) == known
    assert rhythm.months == sum(1 << month for month in {month_of(first + day) for day in known})


@given(st.lists(st.integers(-3000, 3000), min_size=1, max_size=40))
def test_days_against_a_window(days: list[int]):
    """A day older than the map counts as new; any other is counted once."""
    rhythm = engaged(days).rhythm
    assert rhythm is not None
    last, window, count = days[0], {days[0]}, 0
    for day in days[1:]:
        old = last - day > MAP_DAYS
        count += old or day not in window
        last = max(last, day)
        window = {each for each in {*window, day} if last - each <= MAP_DAYS}

    assert rhythm.repeats == count
    assert rhythm.first_day == round(seconds(0) / DAY_S) + min(days)
    assert mapped(rhythm, last) == window


@given(st.lists(st.integers(0, MAP_DAYS - 1), min_size=1, max_size=20), st.integers(0, 500))
def test_decayed_counts(days: list[int], later: int):
    """The count of a horizon is the sum of its days' decays, each dated the start of its day."""
    state = engaged(days)
    assert state.rhythm is not None
    at = MAP_DAYS + later

    for count, half_life_s in zip(state.rhythm.counts, HALF_LIVES_S, strict=True):
        seen = count * 2 ** ((state.ref_s - seconds(at)) / half_life_s)
        expected = sum(2 ** ((day - at) * DAY_S / half_life_s) for day in set(days))
        assert seen == pytest.approx(expected, rel=1e-9)


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2200, 1, 1)))
def test_months(day: date):
    """A day's month is the calendar's, before 1970 too."""
    number = (
        datetime.combine(day, datetime.min.time(), UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    ) // timedelta(1)

    assert month_of(number) == day.month - 1


def closed_form_p0(silence: Silence, x: int, tx: float, t: float, h: float) -> float:
    """Return P0(h) as evidence and literature write it (Batislam, Denizel and Filiztekin 2007)."""
    r, alpha, a, b = silence.r, silence.alpha, silence.a, silence.b
    alive = 1 / (1 + a / (b + x) * ((alpha + t) / (alpha + tx)) ** (r + x))
    return 1 - alive + alive * ((alpha + t) / (alpha + t + h)) ** (r + x)


@pytest.mark.parametrize("silence", POPULATIONS[:3])
@pytest.mark.parametrize("h", [1, 30, 90, 273])
def test_p0_against_the_closed_form(silence: Silence, h: int):
    """P0 equals the closed form on a grid of repeats, spans and silences, as far as a double carries that."""
    for x, tx, silent in product([0, 1, 2, 5, 20, 60], [0, 1, 30, 200], [0, 1, 30, 90, 400]):
        rhythm = Rhythm(100, 100 + tx, x, 1, NO_COUNTS, 1)
        p0 = closed_form_p0(silence, x, tx, tx + silent, h)

        assert -math.expm1(silence.log_active(x, tx, tx + silent, h)) == pytest.approx(p0, abs=1e-12)
        if 1e-5 < p0 < 1 - 1e-5:
            logit = silence.logit_p0(rhythm, (100 + tx + silent) * DAY_S, h)
            assert logit == pytest.approx(math.log(p0 / (1 - p0)), abs=1e-8)


@given(populations, rhythms(), st.floats(0, 12_000), st.integers(1, 3650))
@example(POPULATIONS[0], Rhythm(0, 12_000, 10**6, 1, NO_COUNTS, 1), 0.0, 3650)
@example(POPULATIONS[1], Rhythm(0, 12_000, 10**6, 1, NO_COUNTS, 1), 12_000.0, 1)
@example(POPULATIONS[3], Rhythm(0, 10, 10**6, 1, NO_COUNTS, 1), 0.0, 3650)
def test_finite(silence: Silence, rhythm: Rhythm, silent: float, horizon: int):
    """The log-odds are finite and clamped, up to a million repeats and decades of silence."""
    at_s = (rhythm.last_day + silent) * DAY_S
    logit = silence.logit_p0(rhythm, at_s, horizon)

    assert -LOGIT_LIMIT <= logit <= LOGIT_LIMIT
    assert -1e-9 <= silence.lost(rhythm, at_s, horizon) <= 1.0


@given(populations, rhythms(), st.lists(st.floats(0, 4000), min_size=2, max_size=8))
def test_silence_only_loses(silence: Silence, rhythm: Rhythm, silent: list[float]):
    """The longer the silence, the more of the chance is lost; at the last engagement nothing is."""
    lost = [silence.lost(rhythm, (rhythm.last_day + days) * DAY_S, 90.0) for days in sorted(silent)]

    assert silence.lost(rhythm, rhythm.last_day * DAY_S, 90.0) == 0.0
    for earlier, later in pairwise(lost):
        assert later >= earlier - 1e-9


@given(populations, rhythms(), st.floats(0, 300), st.floats(0, 1), st.sampled_from([7.0, 90.0, 365.0]))
def test_shortcut_is_never_wrong(
    silence: Silence, rhythm: Rhythm, silent: float, least: float, horizon: float
):
    """The shortcut never says that less is lost than is lost, down to the last digits."""
    at_s = (rhythm.last_day + silent) * DAY_S
    lost = silence.lost(rhythm, at_s, horizon)

    for share in (least, lost * (0.7 + 0.3 * least), lost):
        assert share > lost or not silence.surely_below(rhythm, at_s, share)


@pytest.mark.parametrize("silent", range(0, 24, 2))
@pytest.mark.parametrize("horizon", [0.01, 1.0])
def test_shortcut_where_it_is_tight(silent: int, horizon: float):
    """For the shortest horizons, where the bound is tightest, the shortcut is right too, and is of use."""
    fresh = Rhythm(0, 0, 0, 1, NO_COUNTS, 1)
    at_s = silent * DAY_S
    silence = DEFAULT.churn.silence
    lost = silence.lost(fresh, at_s, horizon)

    assert not silence.surely_below(fresh, at_s, lost * 0.999)
    assert silence.surely_below(fresh, at_s, 0.5)


@given(populations, rhythms(), st.floats(0, 3000), st.integers(1, 3650))
@example(POPULATIONS[0], Rhythm(0, 300, 1, 1, NO_COUNTS, 1), 0.0, 90)
def test_the_most_of_p0_is_never_exceeded(silence: Silence, rhythm: Rhythm, silent: float, horizon: int):
    """The cheap bound lies at most rounding below the log-odds of no engagement."""
    at_s = (rhythm.last_day + silent) * DAY_S

    assert silence.most_logit_p0(rhythm, at_s, horizon) >= silence.logit_p0(rhythm, at_s, horizon) - 1e-12


@pytest.mark.parametrize("repeats", [2, 5, 20])
def test_the_most_of_p0_is_of_use(repeats: int):
    """For who engages once a month it lies less than two log-odds above what it bounds."""
    rhythm, silence = Rhythm(0, 30 * repeats, repeats, 1, NO_COUNTS, 1), DEFAULT.churn.silence
    at_s = (rhythm.last_day + 10) * DAY_S

    assert silence.most_logit_p0(rhythm, at_s, 90.0) < silence.logit_p0(rhythm, at_s, 90.0) + 2.0


@given(populations, rhythms(), st.sampled_from([0.3, 0.5, 0.8]))
def test_expected_by(silence: Silence, rhythm: Rhythm, share: float):
    """A customer is expected by the day on which silence reaches the share, if that comes within 20 years."""
    expected_s = silence.expected_by_s(rhythm, 90.0, share)

    if expected_s is None:
        assert silence.lost(rhythm, (rhythm.last_day + 7300) * DAY_S, 90.0) < share
        return
    assert silence.lost(rhythm, expected_s, 90.0) >= share
    assert (
        expected_s - 60 * 5 <= rhythm.last_day * DAY_S or silence.lost(rhythm, expected_s - 300, 90.0) < share
    )
