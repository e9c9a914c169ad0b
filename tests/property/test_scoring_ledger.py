"""The ledger: exact sums, bounded without a clamp, monotone, and the prior where nothing is known."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.envelope import Touchpoint, time_s
from streams.scoring.apply import Scorer, event_hash
from streams.scoring.explain import assess
from streams.scoring.policy import DAY_S
from streams.scoring.rules import Band
from streams.scoring.signals import Group, Signal
from streams.scoring.state import CustomerState
from tests.customers import DEFAULT, row, scorer, seconds
from tests.lives import BAD, GOOD, MOMENTS, days, lives

Life = list[Touchpoint]
POLICIES = [
    DEFAULT,
    scorer(ledger={"asymmetry": 1.0, "peak_share": 0.0, "prior": 50}),
    scorer(ledger={"peak_share": 1.0, "mass": 0.5, "routine_cap": 0.1, "service_cap": 50}),
    scorer(ledger={"prior": 99.9, "asymmetry": 20.0}, churn={"terms_cap": 0.5}),
]
scorers = st.sampled_from(POLICIES)


@dataclass(frozen=True)
class Moment:
    """A signal and when it was, in days from START."""

    signal: Signal
    day: float
    number: int


@st.composite
def moments(draw: st.DrawFn, under: Scorer) -> list[Moment]:
    """Return moments of any value 0..100 and weight, in either ledger, in order of time."""
    drivers = st.sampled_from(sorted({*GOOD, *BAD, "store_visit"}))
    made = st.builds(
        lambda name, value, service, share, day: (
            under.signals.graded(name, value, service=service, share=share)[0],
            day,
        ),
        drivers,
        st.floats(0, 100),
        st.booleans(),
        st.sampled_from([0.05, 0.5, 1.0, 10.0]),
        days(0, 400.0),
    )
    found = sorted(draw(st.lists(made, max_size=25)), key=lambda pair: pair[1])
    return [Moment(signal, day, number) for number, (signal, day) in enumerate(found)]


def ledger_row(under: Scorer, life: list[Moment]) -> CustomerState:
    """Return a row that has counted the moments."""
    state = under.new(seconds(life[0].day if life else 0))
    for each in life:
        count(under, state, each)
    return state


def count(under: Scorer, state: CustomerState, moment: Moment) -> None:
    """Count one moment in a row."""
    name = str(moment.number)
    under.weigher.add(state, moment.signal, seconds(moment.day), "/s", name, event_hash("/s", name))


def by_hand(under: Scorer, life: list[Moment], day: float, *, service: bool) -> tuple[float, float]:
    """Return score and coverage of a ledger by the formulas of docs/concepts.md, from all moments at once."""
    policy = under.policy.ledger
    mu, kappa, share = policy.prior, policy.mass, policy.peak_share
    counted = [each for each in life if each.signal.service or not service]
    faded = [(each.signal, 2 ** ((each.day - day) / policy.half_life_days)) for each in counted]
    caps = {} if service else {Group.ROUTINE: policy.routine_cap, Group.SERVICE: policy.service_cap}
    total, mass = 0.0, kappa
    for group in Group:
        a = sum(signal.a * decay for signal, decay in faded if signal.group is group)
        q = sum(signal.q * decay for signal, decay in faded if signal.group is group)
        factor = caps[group] / (caps[group] + q) if group in caps else 1.0
        total, mass = total + a * factor, mass + q * factor
    best = [m.m * d for m, d in faded if m.a > 0 and (service or m.group is not Group.SERVICE)]
    high, low = max(best, default=0.0), max((m.m * d for m, d in faded if m.a < 0), default=0.0)
    peak = (100 - mu) * high / (kappa * (100 - mu) + high) - mu * low / (kappa * mu + low)
    weight = sum(signal.weight * decay for signal, decay in faded)
    return mu + (1 - share) * total / mass + share * peak, weight / (2 + weight)


@given(st.data(), scorers, days(400, 2000))
def test_against_the_formulas(data: st.DataObject, under: Scorer, day: float):
    """Both ledgers equal what the formulas give from all moments at once."""
    life = data.draw(moments(under))
    found = assess(under, ledger_row(under, life), seconds(day))

    for reading, service in ((found.experience, False), (found.service, True)):
        score, coverage = by_hand(under, life, day, service=service)
        assert reading.score == pytest.approx(score, abs=1e-9)
        assert reading.coverage == pytest.approx(coverage, abs=1e-9)


@given(lives(), scorers, days(0, 800))
def test_scores_are_sums(life: Life, under: Scorer, day: float):
    """Prior plus the points of a ledger is its score, and the logits of the churn drivers are its logit."""
    state = row(life, under)
    found = assess(under, state, seconds(day))

    for ledger, score in (("experience", found.experience.score), ("service", found.service.score)):
        points = [each["points"] for each in found.drivers if each["ledger"] == ledger]
        assert found.prior + sum(points) == pytest.approx(score, abs=1e-9)
    if found.churn is not None:
        assert sum(each["logit"] for each in found.churn_drivers) == pytest.approx(
            found.churn.logit, abs=1e-9
        )


@given(lives(), scorers, days(0, 800))
def test_quick_figures_are_the_full_ones(life: Life, under: Scorer, day: float):
    """What the rules look at equals the full reading with its drivers."""
    state = row(life, under)
    found = assess(under, state, seconds(day))
    glance = under.rules.glance(state, seconds(day))
    quick = under.churn.logit(state, found.at_s, glance.terms, under.policy.alert_horizon)

    assert (glance.at_s, glance.band) == (found.at_s, found.band)
    assert glance.score == pytest.approx(found.experience.score, abs=1e-9)
    assert glance.coverage == pytest.approx(found.experience.coverage, abs=1e-9)
    assert glance.trend == pytest.approx(found.trend, abs=1e-9)
    assert under.ledger.service_score(state, found.at_s) == pytest.approx(found.service.score, abs=1e-9)
    assert (quick is None) == (found.churn is None)
    if quick is not None and found.churn is not None:
        assert quick == pytest.approx(found.churn.logit, abs=1e-9)


@given(st.data(), scorers, days(400, 800))
def test_bounds(data: st.DataObject, under: Scorer, day: float):
    """Scores stay within 0..100, coverage within 0..1, whatever happened."""
    found = assess(under, ledger_row(under, data.draw(moments(under))), seconds(day))

    for reading in (found.experience, found.service):
        assert 0.0 <= reading.score <= 100.0
        assert 0.0 <= reading.coverage < 1.0


@given(st.data(), scorers, days(400, 500), days(500, 600))
def test_bad_never_lifts_good_never_lowers(data: st.DataObject, under: Scorer, newest: float, day: float):
    """One more bad moment lifts no score and one more good moment lowers none, now and at any later time."""
    life = data.draw(moments(under))
    value = data.draw(st.floats(0, 100))
    name = data.draw(st.sampled_from(sorted({*GOOD, *BAD})))
    service = data.draw(st.booleans())
    (signal,) = under.signals.graded(name, value, service=service)
    state = ledger_row(under, life)
    before = [score(under, state, at) for at in (newest, day)]
    count(under, state, Moment(signal, newest, 10_000))
    after = [score(under, state, at) for at in (newest, day)]

    for (experience, served), (experience_then, served_then) in zip(before, after, strict=True):
        if value < under.policy.ledger.prior:
            assert experience_then <= experience + 1e-12
            assert served_then <= served + 1e-12
        else:
            assert experience_then >= experience - 1e-12
            assert served_then >= served - 1e-12


def score(under: Scorer, state: CustomerState, day: float) -> tuple[float, float]:
    """Return both scores at a day."""
    return under.ledger.score(state, seconds(day)), under.ledger.service_score(state, seconds(day))


@given(lives(), scorers)
def test_silence_forgets(life: Life, under: Scorer):
    """In silence coverage falls towards 0 and the score goes to the prior, where the band is unknown."""
    state = row(life, under)
    newest = max(map(time_s, life))
    readings = [assess(under, state, newest + day * DAY_S) for day in range(0, 2000, 40)]
    coverages = [each.experience.coverage for each in readings]

    assert coverages == sorted(coverages, reverse=True)
    last = assess(under, state, newest + 6000 * DAY_S)
    assert last.experience.coverage < 1e-9
    assert last.experience.score == pytest.approx(under.policy.ledger.prior, abs=1e-9)
    assert last.service.score == pytest.approx(under.policy.ledger.prior, abs=1e-9)
    assert last.band is Band.UNKNOWN
    assert last.gap is None


@given(lives(of=MOMENTS), scorers, days(0, 90))
def test_trend_in_silence(life: Life, under: Scorer, step: float):
    """Silence moves the trend only towards 0."""
    state = row(life, under)
    newest = max(map(time_s, life))
    trends = [under.ledger.trend(state, newest + n * step * DAY_S) for n in range(8)]

    for earlier, later in pairwise(trends):
        assert abs(later) <= abs(earlier) + 1e-9
        assert later * earlier >= -1e-9


@given(lives(), scorers, days(0, 90))
def test_what_stands_may_lower_the_trend(life: Life, under: Scorer, step: float):
    """While failures stand and nothing is repaired, silence makes no trend better than 0 or than it was."""
    state = row(life, under)
    assume(not any(case.mended_s for case in state.entries.all()))
    newest = max(map(time_s, life))
    trends = [under.ledger.trend(state, newest + n * step * DAY_S) for n in range(8)]

    for earlier, later in pairwise(trends):
        assert later <= max(earlier, 0.0) + 1e-9


@given(st.data(), days(0, 300))
def test_all_bad_has_no_trend(data: st.DataObject, day: float):
    """A history of bad moments only has no trend: entry into critical covers it."""
    life = [each for each in data.draw(moments(DEFAULT)) if each.signal.a < 0]
    assume(life)
    state = ledger_row(DEFAULT, life)

    assert DEFAULT.ledger.trend(state, seconds(life[-1].day + day)) == pytest.approx(0.0, abs=1e-9)


@given(st.data(), scorers)
def test_a_trivial_event_is_trivial(data: st.DataObject, under: Scorer):
    """A moment of hardly any weight hardly moves a score."""
    state = ledger_row(under, data.draw(moments(under)))
    (trifle,) = under.signals.graded("rage_click", 0.0, share=1e-4)
    before = score(under, state, 400)
    count(under, state, Moment(trifle, 400, 10_000))

    assert score(under, state, 400) == pytest.approx(before, abs=0.1)


@given(st.data(), scorers, days(400, 2500))
def test_the_worst_case_is_never_exceeded(data: st.DataObject, under: Scorer, day: float):
    """The quick bound on what lies below the prior holds, and its trend is the trend."""
    state = ledger_row(under, data.draw(moments(under)))
    below, trend = under.ledger.worst_case(state, seconds(day))

    assert under.policy.ledger.prior - under.ledger.score(state, seconds(day)) <= below + 1e-9
    assert trend == pytest.approx(under.ledger.trend(state, seconds(day)), abs=1e-9)
