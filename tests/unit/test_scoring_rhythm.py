"""The rhythm against published figures, and the seasons of those who buy once a year."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from math import exp, lgamma, log
from pathlib import Path

import pytest
from librt.vecs import vec

from streams.scoring import rhythm as rhythms
from streams.scoring.policy import DAY_S
from streams.scoring.rhythm import EPOCH, Silence, engage, month_of, season_open
from streams.scoring.state import Rhythm
from tests.customers import DEFAULT, seconds

NO_COUNTS = vec[float]()
CALIBRATION_ENDS = date(1997, 9, 30)
"""CDNOW's first 39 weeks, as Fader, Hardie and Lee (2005) cut them."""
History = tuple[int, float, float]
"""Repeats, days from the first to the last, days from the first to the end."""


@dataclass(frozen=True)
class Population:
    """Parameters of a BG/NBD or MBG/NBD; `alpha` in the unit of the histories."""

    r: float
    alpha: float
    a: float
    b: float


PUBLISHED = Population(0.243, 4.414, 0.793, 2.426)
"""BG/NBD of the CDNOW sample in weeks (Fader, Hardie and Lee 2005), log-likelihood -9582.4."""


@pytest.fixture(scope="module")
def cdnow() -> list[History]:
    """Return the first 39 weeks of the CDNOW sample, 2,357 customers, or skip without its package."""
    spec = find_spec("lifetimes")
    if spec is None or spec.origin is None:
        pytest.skip("the CDNOW sample comes with the package lifetimes")
    text = (Path(spec.origin).parent / "datasets" / "CDNOW_sample.txt").read_text(encoding="ascii")
    bought: dict[str, set[date]] = defaultdict(set)
    for fields in map(str.split, text.splitlines()):
        day = datetime.strptime(fields[2], "%Y%m%d").replace(tzinfo=UTC).date()
        if day <= CALIBRATION_ENDS:
            bought[fields[1]].add(day)
    return [
        (len(days) - 1, float((max(days) - min(days)).days), float((CALIBRATION_ENDS - min(days)).days))
        for days in bought.values()
    ]


def log_beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_sum(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    return max(a, b) + log(1 + exp(-abs(a - b)))


def purchases(p: Population, x: int, t: float) -> float:
    """Return the log of the gamma-mixed likelihood of x purchases while active for t."""
    return lgamma(p.r + x) - lgamma(p.r) + p.r * log(p.alpha) - (p.r + x) * log(p.alpha + t)


def bg_nbd(p: Population, history: History) -> float:
    """Return a customer's log-likelihood under BG/NBD (Fader, Hardie and Lee 2005, eq. 6)."""
    x, tx, t = history
    alive = log_beta(p.a, p.b + x) - log_beta(p.a, p.b) + purchases(p, x, t)
    if not x:
        return alive
    gone = log_beta(p.a + 1, p.b + x - 1) - log_beta(p.a, p.b) + purchases(p, x, tx)
    return log_sum(alive, gone)


def mbg_nbd(p: Population, history: History) -> float:
    """Return a customer's log-likelihood under MBG/NBD: one may leave at once (Batislam et al. 2007)."""
    x, tx, t = history
    alive = log_beta(p.a, p.b + x + 1) - log_beta(p.a, p.b) + purchases(p, x, t)
    gone = log_beta(p.a + 1, p.b + x) - log_beta(p.a, p.b) + purchases(p, x, tx)
    return log_sum(alive, gone)


def test_the_sample_is_the_published_one(cdnow: list[History]):
    """BG/NBD has the published likelihood on the sample: the histories are read as the field does."""
    weeks = [(x, tx / 7, t / 7) for x, tx, t in cdnow]

    assert len(weeks) == 2357
    assert sum(bg_nbd(PUBLISHED, history) for history in weeks) == pytest.approx(-9582.4, abs=0.1)


def default_population() -> Population:
    """Return the MBG/NBD of the default policy, in days."""
    section = DEFAULT.policy.rhythm
    return Population(section.r, section.alpha_days, section.a, section.b)


def test_the_default_population_is_the_fit(cdnow: list[History]):
    """The default MBG/NBD in days has the likelihood of its fit on CDNOW's first 39 weeks."""
    assert sum(mbg_nbd(default_population(), history) for history in cdnow) == pytest.approx(
        -14363.2, abs=0.5
    )


@pytest.mark.parametrize("name", ["r", "alpha", "a", "b"])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_the_default_population_is_a_maximum(cdnow: list[History], name: str, factor: float):
    """No parameter of the default can be moved by a tenth without making the histories less likely."""
    best = default_population()
    moved = Population(**{**vars_of(best), name: vars_of(best)[name] * factor})

    assert sum(mbg_nbd(moved, history) for history in cdnow) < sum(mbg_nbd(best, h) for h in cdnow)


def vars_of(population: Population) -> dict[str, float]:
    """Return the parameters by name."""
    return {"r": population.r, "alpha": population.alpha, "a": population.a, "b": population.b}


def test_rhythm_of_a_sample_customer():
    """Customer 4 of the sample, two repeats, read on the last day of week 39 by the closed form."""
    state = DEFAULT.new(0.0)
    for day in (date(1997, 1, 1), date(1997, 1, 18), date(1997, 8, 2)):
        engage(state, (day - EPOCH).days * DAY_S + 3600, DEFAULT.churn.count_half_lives_s)
    silence = DEFAULT.churn.silence
    assert state.rhythm is not None
    end_s = (CALIBRATION_ENDS - EPOCH).days * DAY_S

    p = default_population()
    alive = 1 / (1 + p.a / (p.b + 2) * ((p.alpha + 272) / (p.alpha + 213)) ** (p.r + 2))
    p0 = 1 - alive + alive * ((p.alpha + 272) / (p.alpha + 272 + 90)) ** (p.r + 2)
    assert silence.logit_p0(state.rhythm, end_s, 90) == pytest.approx(log(p0 / (1 - p0)), abs=1e-9)


def test_same_day_is_one_occasion():
    """A second engagement on the same UTC day is the same occasion; a minute after midnight is another."""
    state = DEFAULT.new(seconds(0))
    repeats = []
    for day in (0.1, 0.9999, 1.0001):
        engage(state, seconds(day), ())
        assert state.rhythm is not None
        repeats.append(state.rhythm.repeats)

    assert repeats == [0, 0, 1]


def rhythm(*days: date) -> Rhythm:
    """Return the rhythm of engagements on these days."""
    numbers = [(day - EPOCH).days for day in days]
    months = 0
    for number in numbers:
        months |= 1 << month_of(number)
    return Rhythm(min(numbers), max(numbers), len(days) - 1, 1, NO_COUNTS, months)


DECEMBERS = rhythm(date(2024, 12, 3), date(2025, 12, 20))
SEASONS: list[tuple[str, Rhythm, date | None]] = [
    ("each December", DECEMBERS, date(2027, 1, 1)),
    ("November and December", rhythm(date(2024, 12, 9), date(2025, 11, 28)), date(2026, 1, 1)),
    ("December, then November", rhythm(date(2024, 11, 9), date(2025, 12, 1)), date(2026, 12, 1)),
    ("each June", rhythm(date(2024, 6, 30), date(2025, 6, 1)), date(2026, 7, 1)),
    ("January and July", rhythm(date(2024, 7, 1), date(2025, 1, 5), date(2025, 7, 9)), date(2026, 2, 1)),
    ("329 days", rhythm(date(2025, 1, 1), date(2025, 11, 26)), None),
    ("330 days", rhythm(date(2025, 1, 1), date(2025, 11, 27)), date(2026, 2, 1)),
    ("once", rhythm(date(2025, 12, 20)), None),
    ("three months", rhythm(date(2024, 12, 3), date(2025, 5, 5), date(2025, 11, 20)), None),
]


@pytest.mark.parametrize(("life", "until"), [case[1:] for case in SEASONS], ids=[case[0] for case in SEASONS])
def test_season(life: Rhythm, until: date | None):
    """Silence says nothing of a seasonal customer until her next month has ended."""
    last_s = life.last_day * DAY_S
    if until is None:
        assert not season_open(life, last_s, span_days=330, months=2)
        return
    end_s = (until - EPOCH).days * DAY_S
    assert season_open(life, last_s, span_days=330, months=2)
    assert season_open(life, end_s - 1, span_days=330, months=2)
    assert not season_open(life, end_s, span_days=330, months=2)


def test_all_is_never_lost():
    """A policy that waits until the whole chance is gone expects nobody by any day."""
    assert DEFAULT.churn.silence.expected_by_s(Rhythm(0, 30, 2, 1, NO_COUNTS, 1), 90.0, 1.0) is None


@pytest.mark.sources
def test_remembered_months_are_bounded(monkeypatch: pytest.MonkeyPatch):
    """However many days are asked for, only some are remembered."""
    monkeypatch.setattr(rhythms, "MOST_MONTHS", 3)
    found = [month_of(day) for day in range(0, 400, 31)]
    assert found == [(date(1970, 1, 1) + timedelta(days=day)).month - 1 for day in range(0, 400, 31)]
    assert len(rhythms._MONTHS) <= 3


@pytest.mark.sources
def test_remembered_waits_are_bounded(monkeypatch: pytest.MonkeyPatch):
    """When a customer is expected is searched once for a rhythm, and only some answers are remembered."""
    silence = Silence(DEFAULT.policy.rhythm)
    monkeypatch.setattr(rhythms, "MOST_WAITS", 3)
    lives = [Rhythm(0, span, 1, 1, NO_COUNTS, 1) for span in (10, 20, 30, 40, 50)]
    found = [silence.expected_by_s(each, 90.0, 0.5) for each in lives]
    assert found == [Silence(DEFAULT.policy.rhythm).expected_by_s(each, 90.0, 0.5) for each in lives]
    assert len(silence._waits) <= 3

    monkeypatch.setattr(Silence, "_search", None)
    assert silence.expected_by_s(lives[-1], 90.0, 0.5) == found[-1]
