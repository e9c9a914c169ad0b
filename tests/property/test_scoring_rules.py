"""The rules on any life: the cheap look equals the full one."""

import random

from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Touchpoint, time_s
from streams.scoring import lifecycle
from streams.scoring.apply import Applied, Scorer, admit, identify
from streams.scoring.episodes import Decision
from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
from tests.customers import DAY, DEFAULT, plain, scorer, then
from tests.lives import days, lives

Life = list[Touchpoint]
TOUCHY = scorer(
    rules={"churn_open": 0.3, "churn_close": 0.2, "drop_open": -2, "drop_close": -1, "lost": 0.2},
    ledger={"trend_half_life_days": 10},
)
"""A policy that alerts at little."""
PICKY = scorer(bands={"critical_below": 70, "at_risk_below": 75, "steady_below": 80})
"""A policy under which a good score becomes critical by time alone."""
GLAD = scorer(rules={"advocate": True, "advocate_score": 62, "advocate_coverage": 0.1})
"""A policy that tells of advocates, who may come forth as what was bad fades."""
scorers = st.sampled_from([DEFAULT, TOUCHY, PICKY, GLAD])


@given(lives(last=300), scorers, days(0, 400))
def test_the_cheap_look_before_an_event(life: Life, under: Scorer, later: float):
    """Before an event, looking at silence alone takes the steps that a full evaluation takes."""
    state = under.new(min(map(time_s, life)))
    for each in sorted(life, key=time_s):
        at_s = time_s(each)
        _compare(under, state, at_s)
        then(state, each, under)
    _compare(under, state, state.newest_s + later * DAY)


@given(lives(last=300), scorers, st.randoms(use_true_random=False))
def test_a_look_that_found_nothing_is_not_repeated(life: Life, under: Scorer, chance: random.Random):
    """A look only where a row stirs takes the steps that a look after each event takes, in whatever order."""
    spared, looked = under.new(time_s(life[0])), under.new(time_s(life[0]))
    until_s = time_s(life[0])
    for each in chance.sample(life, len(life)):
        until_s += chance.choice([0.0, 0.0, 40 * DAY])
        found = _count(under, spared, each, until_s, always=False)
        assert plain(found) == plain(_count(under, looked, each, until_s, always=True))
        if chance.random() < 0.1:  # somebody closes what is open
            for state in (spared, looked):
                for episode in state.episodes.values():
                    lifecycle.close(episode, state.newest_s)
        assert plain(spared) == plain(looked)


def _count(
    under: Scorer, state: CustomerState, each: Touchpoint, until_s: float, *, always: bool
) -> list[Decision]:
    """Count an event as the worker does, or with a look after every one; return the steps."""
    arrival, kind, signals = under.read(each)
    event = identify(arrival, kind, signals)
    if not admit(state, 0, event):
        return []
    applied, rules = under.count(state, arrival, kind, signals, time_s(each), event), under.rules
    if always or event or rules.stirs(state, state.newest_s, absence_until_s=until_s):
        strong, cancelled = applied is Applied.STRONG, applied is Applied.CANCELLED
        return rules.evaluate(
            state, state.newest_s, absence_until_s=until_s, strong=strong, cancelled=cancelled
        )
    return []


def _compare(under: Scorer, state: CustomerState, at_s: float) -> None:
    full, cheap = unpack(pack(state)), unpack(pack(state))
    expected = under.rules.evaluate(full, at_s, absence_until_s=at_s)
    found = under.rules.evaluate_silence(cheap, at_s, absence_until_s=at_s)
    assert plain(found) == plain(expected)
    assert plain(cheap) == plain(full)
