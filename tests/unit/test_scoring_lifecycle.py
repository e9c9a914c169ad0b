"""The life of an alert: who is told, who took it on, how it turned out."""

from dataclasses import dataclass

import pytest

from streams.scoring import lifecycle
from streams.scoring.lifecycle import LOST, RETIRE_AFTER_S, RETURNED, UNTOLD
from streams.scoring.rhythm import engage
from streams.scoring.rules import Rule
from streams.scoring.state import CustomerState, Episode
from tests.customers import DAY, DEFAULT, START, seconds

LOW, MEDIUM, HIGH, CRITICAL = range(4)
HORIZON_S = 90 * DAY
FIRST_DAY = int(START / DAY)


def episode(opened: float = 0.0, severity: int = HIGH, cause: str = "experience", last: int = 0) -> Episode:
    """Return an episode opened on a day, `last` being the day from START of the last engagement."""
    return Episode(1, seconds(opened), None, cause, severity, FIRST_DAY + last)


def customer(*engaged: float, **episodes: Episode) -> CustomerState:
    """Return a row that engaged on days, with episodes by rule."""
    state = DEFAULT.new(seconds(0))
    for day in engaged:
        engage(state, seconds(day), (DAY, DAY, DAY))
    state.episodes.update({Rule[name.upper()]: each for name, each in episodes.items()})
    return state


def test_the_gravest_waits_first_and_of_equals_the_oldest():
    """What is open and graver than what people know waits, by severity and age."""
    state = customer(
        silence=episode(2, LOW),
        churn_risk=episode(3, HIGH),
        experience_drop=episode(1, HIGH),
    )
    found = [Rule(each.rule) for each in lifecycle.waiting(state, seconds(4))]
    assert found == [Rule.EXPERIENCE_DROP, Rule.CHURN_RISK, Rule.SILENCE]


@dataclass(frozen=True)
class Told:
    """What happened to an episode of high severity, and whether it still waits on day 5."""

    changes: dict[str, object]
    waits: bool


@pytest.mark.parametrize(
    "case",
    [
        Told({}, waits=True),
        Told({"closed_s": seconds(4)}, waits=False),
        Told({"told": HIGH}, waits=False),
        Told({"told": MEDIUM}, waits=True),
        Told({"snoozed_until_s": seconds(6)}, waits=False),
        Told({"snoozed_until_s": seconds(5)}, waits=True),
    ],
    ids=["untold", "closed", "told", "graver than told", "snoozed", "the snooze is over"],
)
def test_what_waits_is_open_graver_than_told_and_not_snoozed(case: Told):
    """Nobody is told twice of the same gravity, nor of what is over or put off."""
    held = episode()
    for name, value in case.changes.items():
        setattr(held, name, value)
    assert bool(lifecycle.waiting(customer(churn_risk=held), seconds(5))) == case.waits


def test_while_absence_is_held_back_what_silence_opened_does_not_wait():
    """A silent source holds back the alerts of silence, and no other."""
    state = customer(silence=episode(cause="lost"), experience_drop=episode(cause="critical"))
    found = lifecycle.waiting(state, seconds(1), absence_held=True)
    assert [each.rule for each in found] == [Rule.EXPERIENCE_DROP]


def test_people_hear_of_a_customer_once_a_day():
    """A message is lately for a day, also seen from before it."""
    state = customer()
    assert not lifecycle.told_lately(state, seconds(1))
    lifecycle.tell(state, [], seconds(1))
    assert lifecycle.told_lately(state, seconds(1.99))
    assert lifecycle.told_lately(state, seconds(0.5))
    assert not lifecycle.told_lately(state, seconds(2))


def test_telling_marks_every_episode_of_the_message():
    """The gravest and what folds into it are known from then on; the first telling stays."""
    first, second = episode(severity=HIGH), episode(severity=LOW)
    state = customer(churn_risk=first, silence=second)
    lifecycle.tell(state, lifecycle.waiting(state, seconds(1)), seconds(1))
    assert [(each.told, each.told_s) for each in (first, second)] == [(HIGH, seconds(1)), (LOW, seconds(1))]
    lifecycle.mark_told(first, CRITICAL, seconds(3))
    lifecycle.mark_told(first, LOW, seconds(4))
    assert (first.told, first.told_s) == (CRITICAL, seconds(1))


def test_a_holdout_is_a_share_of_customers_and_always_the_same():
    """About the share of many customers is in it; of nobody none, of all everybody."""
    names = [f"customer-{number}" for number in range(4000)]
    among = [name for name in names if lifecycle.in_holdout(name, 0.1)]
    assert 300 < len(among) < 500
    assert all(lifecycle.in_holdout(name, 0.2) for name in among)
    assert not any(lifecycle.in_holdout(name, 0.0) for name in names)
    assert all(lifecycle.in_holdout(name, 1.0) for name in names)


def test_who_took_it_on_need_not_be_told():
    """An acknowledgement counts once, and stands for having been told; an escalation is news again."""
    held = episode()
    assert lifecycle.acknowledge(held, seconds(1)) == "acknowledged"
    assert lifecycle.acknowledge(held, seconds(2)) is None
    assert (held.acknowledged_s, held.told) == (seconds(1), HIGH)
    held.severity = CRITICAL
    assert lifecycle.waiting(customer(churn_risk=held), seconds(2))
    assert lifecycle.acknowledge(Episode(1, 0.0, 1.0, "lost", 0, 0), 2.0) is None


def test_a_snooze_ends_in_being_told_again():
    """Put off, it does not wait until then; a repeat, a past time and a closed episode change nothing."""
    held = episode()
    held.told = HIGH
    assert lifecycle.snooze(held, seconds(1), seconds(3)) == "snoozed"
    assert lifecycle.snooze(held, seconds(1.5), seconds(3)) is None
    assert lifecycle.snooze(held, seconds(4), seconds(4)) is None
    assert (held.snoozed_until_s, held.told) == (seconds(3), UNTOLD)
    state = customer(churn_risk=held)
    assert not lifecycle.waiting(state, seconds(2.9))
    assert lifecycle.waiting(state, seconds(3))
    held.closed_s = seconds(4)
    assert lifecycle.snooze(held, seconds(4), seconds(9)) is None


def test_an_episode_is_closed_once_and_takes_its_outcome_later_too():
    """Closing by hand ends it; an outcome of one that is over is a step of its own, and counted once."""
    held = episode()
    assert lifecycle.close(held, seconds(1)) == "closed"
    assert lifecycle.close(held, seconds(2)) is None
    assert lifecycle.close(held, seconds(60), "retained") == "closed"
    assert lifecycle.close(held, seconds(61), "retained") is None
    assert lifecycle.close(held, seconds(90), "churned") == "closed"
    assert (held.closed_s, held.outcome) == (seconds(1), "churned")


@pytest.mark.parametrize(
    ("engaged", "day", "outcome"),
    [
        ((0, 20), 50, ""),
        ((0, 20), 130, LOST),
        ((0, 20), 129.9, ""),
        ((0, 20, 100), 101, RETURNED),
        ((0, 20, 100, 150), 151, RETURNED),
        ((0, 20, 131), 131, LOST),
        ((0, 20, 100, 300), 301, LOST),
    ],
    ids=["open", "over", "not quite", "back", "back, and later", "back too late", "no longer known"],
)
def test_an_outcome_is_inferred_from_engagement_within_the_horizon(
    engaged: tuple[float, ...], day: float, outcome: str
):
    """Who engages within 90 days of the opening (day 40) returned; whose horizon passes without is lost.

    A return that lies more than 64 days before the last engagement is no longer known to the row.
    """
    state = customer(*engaged)
    assert lifecycle.infer(episode(40, last=20), state.rhythm, seconds(day), HORIZON_S) == outcome


def test_of_whom_never_engaged_nothing_is_inferred():
    """Without a rhythm there is nobody to come back."""
    assert lifecycle.infer(episode(), None, seconds(500), HORIZON_S) == ""


@pytest.mark.parametrize(("day", "new"), [(89.9, False), (90, True), (96.9, True), (97, False)])
def test_a_loss_is_seen_when_the_horizon_has_passed(day: float, new: bool):  # noqa: FBT001
    """A customer silent for 90 days is lost, if that is seen within a week: older losses are history."""
    assert lifecycle.mark_lost(customer(0), seconds(day), HORIZON_S) == new


def test_a_loss_counts_once_until_the_customer_is_back():
    """The same silence is no second loss; a later one is."""
    state = customer(0)
    assert lifecycle.mark_lost(state, seconds(91), HORIZON_S)
    assert not lifecycle.mark_lost(state, seconds(92), HORIZON_S)
    engage(state, seconds(100), (DAY, DAY, DAY))
    assert not lifecycle.mark_lost(state, seconds(150), HORIZON_S)
    assert lifecycle.mark_lost(state, seconds(190), HORIZON_S)
    assert not lifecycle.mark_lost(customer(), seconds(91), HORIZON_S)


def test_a_loss_was_foretold_by_what_opened_since_the_last_engagement():
    """The lead runs from the opening to the end of the horizon; older and later episodes told nothing."""
    state = customer(
        0,
        20,
        silence=episode(50, last=20),
        churn_risk=episode(10, last=0),
        experience_drop=episode(111, last=20),
    )
    assert lifecycle.foretold(state, HORIZON_S) == [(Rule.SILENCE, 60 * DAY)]
    assert lifecycle.foretold(customer(silence=episode()), HORIZON_S) == []


def test_a_closed_alert_is_retired_once_after_thirty_days():
    """What is open or fresh stays on the topic."""
    held = episode()
    assert not lifecycle.retire(held, seconds(100))
    held.closed_s = seconds(100)
    assert not lifecycle.retire(held, seconds(100) + RETIRE_AFTER_S - 1)
    assert lifecycle.retire(held, seconds(100) + RETIRE_AFTER_S)
    assert not lifecycle.retire(held, seconds(500))
