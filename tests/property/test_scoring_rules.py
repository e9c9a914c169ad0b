"""The rules on any life: the cheap look equals the full one."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Touchpoint, time_s
from streams.scoring.apply import Applied, Scorer
from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
from tests.customers import DAY, DEFAULT, plain, scorer
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
        strong = under.apply(state, each, at_s, 0) is Applied.STRONG
        under.rules.evaluate(state, at_s, absence_until_s=at_s, strong=strong)
    _compare(under, state, state.newest_s + later * DAY)


def _compare(under: Scorer, state: CustomerState, at_s: float) -> None:
    full, cheap = unpack(pack(state)), unpack(pack(state))
    expected = under.rules.evaluate(full, at_s, absence_until_s=at_s)
    found = under.rules.evaluate_silence(cheap, at_s, absence_until_s=at_s)
    assert plain(found) == plain(expected)
    assert plain(cheap) == plain(full)
