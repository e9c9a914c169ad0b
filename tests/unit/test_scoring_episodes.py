"""Which episodes of a row are open, whatever was asked of it before."""

from streams.scoring.episodes import any_open, open_of
from streams.scoring.rules import Rule
from streams.scoring.state import CustomerState, Episode
from tests.customers import DEFAULT, seconds


def opened(state: CustomerState, number: int) -> Episode:
    """Enter an open episode of silence."""
    episode = state.episodes[Rule.SILENCE] = Episode(number, seconds(number), None, "lost", 1, 0)
    return episode


def test_a_row_without_episodes_has_none_open():
    """Nothing is open of a customer of whom no rule ever said anything."""
    state = DEFAULT.new(seconds(0))

    assert not any_open(state)
    assert open_of(state, Rule.SILENCE) is None


def test_what_is_entered_or_closed_after_a_look_is_seen():
    """An episode that came, was closed or was replaced since the last look is what the next one finds."""
    state = DEFAULT.new(seconds(0))
    assert open_of(state, Rule.SILENCE) is None
    first = opened(state, 1)
    assert open_of(state, Rule.SILENCE) is first
    assert open_of(state, Rule.CHURN_RISK) is None
    assert any_open(state)

    first.closed_s = seconds(2)
    assert open_of(state, Rule.SILENCE) is None
    assert not any_open(state)

    second = opened(state, 2)
    assert open_of(state, Rule.SILENCE) is second
