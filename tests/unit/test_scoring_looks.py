"""When a row is looked at: what silence can change, and what was seen already."""

import pytest

from schemas.times import at_time
from streams.scoring.episodes import any_open
from streams.scoring.facts import all_until
from streams.scoring.rules import Cause, Rule
from streams.scoring.state import CustomerState, Episode
from tests.alerts import FAILED, LOYAL, WEEKLY, Life, orders
from tests.customers import DEFAULT, event, live, row, scorer, seconds


def test_the_risk_of_the_angry_grows_in_silence():
    """Who complained and then stays away becomes a churn risk before silence alone would say so."""
    angry = [event("complaint.raised", 45 * n + 1) for n in range(1, 8)]
    edge = scorer(rules={"critical_margin": 0}, bands={"at_risk_below": 36})
    state, _ = live([*orders(20, 18), *angry], edge)
    assert not any(episode.closed_s is None for episode in state.episodes.values())

    days = (seconds(day) for day in range(362, 430))
    steps = [step for at_s in days for step in edge.rules.evaluate_silence(state, at_s, absence_until_s=at_s)]
    assert (steps[0].rule, steps[0].cause) == (Rule.CHURN_RISK, Cause.EXPERIENCE)


def test_the_risk_of_who_said_so_grows_in_silence():
    """Who declared intent to leave and lived through nothing bad is looked at in silence too."""
    lasting = scorer(churn={"cancel_page": 2.4, "intent_half_life_days": 365})
    state, steps = live([*WEEKLY, event("cancel_page.viewed", 357.2)], lasting)
    assert steps == []

    found = lasting.rules.evaluate_silence(state, seconds(382), absence_until_s=seconds(382))
    assert [(step.rule, step.cause) for step in found] == [(Rule.CHURN_RISK, Cause.EXPERIENCE)]


def test_a_risk_that_is_rounded_to_certainty_opens():
    """A policy that alerts at a probability of 1 alerts where the log-odds are too great to tell from it."""
    sure = scorer(rules={"churn_open": 1.0}, churn={"base": [40.0, 40.0, 40.0], "terms_cap": 9.0})
    _, steps = live([*orders(0, 20), event("complaint.raised", 40)], sure)

    assert (Rule.CHURN_RISK, Cause.EXPERIENCE) in [(step.rule, step.cause) for step in steps]


def test_a_good_score_may_become_critical_in_silence():
    """Where the prior itself is critical, also who lived through nothing bad is looked at in silence."""
    picky = scorer(bands={"critical_below": 70.0, "at_risk_below": 75.0, "steady_below": 80.0})
    state = row([event("order.placed", float(day)) for day in range(6)], picky)

    found = picky.rules.evaluate_silence(state, seconds(200), absence_until_s=0.0)
    assert [step.rule for step in found] == [Rule.EXPERIENCE_DROP]


def test_an_advocate_may_be_found_in_silence():
    """Where advocates are told of, nobody is passed over by the cheap look: a rest may be over."""
    glad = scorer(rules={"advocate": True, "advocate_score": 62.0, "advocate_coverage": 0.1})
    state = row([event("order.placed", float(day)) for day in range(12)], glad)

    found = glad.rules.evaluate_silence(state, seconds(12), absence_until_s=0.0)
    assert [step.rule for step in found] == [Rule.ADVOCATE]


def test_what_is_long_forgotten_opens_nothing():
    """A failure of ten years ago asks for no full evaluation and opens nothing."""
    state = row([FAILED])

    assert DEFAULT.ledger.worst_case(state, seconds(4000)) == (pytest.approx(0, abs=1e-6), 0.0)
    assert DEFAULT.rules.evaluate_silence(state, seconds(4000), absence_until_s=seconds(4000)) == []


def looked_at(life: Life, *, absence_until: float) -> CustomerState:
    """Return a row whose rules found nothing more to decide as of its newest event."""
    state = row(life)
    while DEFAULT.rules.evaluate(state, state.newest_s, absence_until_s=seconds(absence_until)):
        assert stirs(state, absence_until), "what was decided is followed by another look"
    return state


def stirs(state: CustomerState, absence_until: float) -> bool:
    """Tell whether a row is to be looked at as of its newest event."""
    return DEFAULT.rules.stirs(state, state.newest_s, absence_until_s=seconds(absence_until))


def test_a_row_is_not_looked_at_twice_as_of_one_time():
    """An act that comes late, while an alert is open, calls for no look that would find the same."""
    state = looked_at([*LOYAL, FAILED], absence_until=0)
    assert any_open(state)
    DEFAULT.apply(state, event("page.viewed", 345.5), seconds(345.5), 0)
    assert not stirs(state, 0)

    DEFAULT.apply(state, event("page.viewed", 346.5), seconds(346.5), 0)
    assert stirs(state, 0)


def test_a_late_event_calls_for_a_look():
    """Evidence that comes late is looked at, though the row's time stays."""
    state = looked_at([*LOYAL, FAILED], absence_until=0)
    DEFAULT.apply(state, event("rage.clicked", 345.5), seconds(345.5), 0)

    assert stirs(state, 0)


def test_an_episode_that_somebody_may_have_changed_calls_for_a_look():
    """What was closed by hand no longer keeps the other rules from telling."""
    state = looked_at([*LOYAL, FAILED], absence_until=0)
    state.episodes[Rule.EXPERIENCE_DROP] = Episode(1, seconds(340), None, "trend", 1, 0)

    assert stirs(state, 0)


def test_a_missed_deadline_calls_for_a_look():
    """A promise that is found broken is looked at, though the row's time stays."""
    promised = event("order.placed", 1, order_id="o1", promised_at=at_time(seconds(3)))
    state = looked_at([promised, event("delivery.failed", 10)], absence_until=0)
    assert not stirs(state, 0)

    assert DEFAULT.expire(state, seconds(20), all_until(seconds(20)))
    assert stirs(state, 0)


def test_inputs_that_were_read_on_call_for_a_look():
    """Silence says something as of a time once every input was read up to there."""
    state = looked_at([*orders(1, 1), event("page.viewed", 500)], absence_until=400)
    assert not stirs(state, 400)

    assert stirs(state, 500)
