"""Alerts after the rules: whom people are told of, and when."""

from typing import Any

import msgspec
import pytest

from schemas.outputs import ChurnAlert
from streams.announcing import BUCKET
from streams.casework import FRESH_S
from streams.engine.handler import Bucket
from streams.scoring import lifecycle
from streams.scoring.apply import Scorer
from streams.scoring.churn import Churn
from streams.scoring.ledger import Ledger, Reading
from streams.scoring.rows import unpack
from streams.scoring.rules import Rule
from streams.scoring.state import CustomerState, Episode
from streams.topics import ALERTS, SCORES
from tests.customers import DAY, DEFAULT, line, scorer, seconds
from tests.handling import (
    ANNA,
    Rec,
    Rig,
    angry,
    changed,
    documents,
    orders,
    shopper,
    silent,
    steps,
    told,
    written,
)


def crowd(count: int, rig: Rig) -> None:
    """Let so many customers be silent; the first bought once, the second twice, and so on."""
    for number in range(count):
        name = f"c{number}"
        lines = [*orders([10.0 * n for n in range(4 + number % 3)]), line("page.viewed", 300.0)]
        rig.apply(*(Rec(changed(each, subject=name), key=name.encode()) for each in lines))


@pytest.mark.parametrize(
    ("options", "changes", "announced"),
    [
        ({"now_day": 300 + 0.99 * FRESH_S / DAY}, {}, True),
        ({"now_day": 300.02 + 1.01 * FRESH_S / DAY}, {}, False),
        ({"now_day": 300 - 1.01 * FRESH_S / DAY}, {}, False),
        ({"now_day": 9000, "event_clock": True}, {}, True),
        ({"now_day": 300}, {"backfill": True}, False),
        ({"now_day": 9000, "event_clock": True}, {"backfill": True}, False),
    ],
    ids=["fresh", "a day old", "ahead of the clock", "event clock", "backfill", "backfill, event clock"],
)
def test_what_is_critical_is_told_at_once_unless_it_is_history(
    options: dict[str, Any],
    changes: Any,
    announced: bool,  # noqa: FBT001
):
    """Within a day of the clock, past the budget and counted; never where history caused it (G7)."""
    done = Rig(**options).apply(*angry(**changes))
    assert bool(told(done)) == announced
    assert done.tally.outcomes.passed == ({"churn_risk": 1} if announced else {})


def test_rules_of_one_customer_fold_into_the_gravest():
    """There is one message; the other alerts say into which they were folded, and count as told."""
    rig = Rig(now_day=300)
    found = documents(rig.apply(*angry()), ALERTS.name)
    told_of, folded = [each for each in found if each["step"] == "announced"]
    assert (told_of["rule"], told_of["severity"], told_of["announced"]) == ("churn_risk", "critical", True)
    assert (folded["rule"], folded["announced"]) == ("experience_drop", False)
    assert folded["folded_into"] == told_of["alert_id"]
    assert folded["announced_at"] == told_of["announced_at"] == told_of["at"]
    for each in written(rig.apply(), ALERTS.name):
        msgspec.json.decode(each.value or b"", type=ChurnAlert, strict=True)
    assert rig.processor.tally.outcomes.suppressed == {("experience_drop", "folded"): 1}
    assert rig.processor.office.desk(0).waiting == {}
    assert not told(rig.sweep(300.02))


@pytest.mark.sources
def test_all_steps_of_an_event_and_its_score_are_of_one_reading(monkeypatch: pytest.MonkeyPatch):
    """How a customer stands and what they risk is read once an event, whatever is told of it."""
    rig, readings = Rig(now_day=300), list[float]()
    first, last = (
        [*orders([0, 10, 20, 30]), line("complaint.raised", 300.0)],
        line("complaint.raised", 300.01),
    )
    rig.apply(*first)
    read, reckon, risks = Ledger.read, Churn.risks, list[float]()

    def counted(ledger: Ledger, state: CustomerState, at_s: float) -> tuple[Reading, Reading]:
        readings.append(at_s)
        return read(ledger, state, at_s)

    def reckoned(churn: Churn, state: CustomerState, at_s: float, terms: float) -> list[float]:
        risks.append(at_s)
        return reckon(churn, state, at_s, terms)

    monkeypatch.setattr(Ledger, "read", counted)
    monkeypatch.setattr(Churn, "risks", reckoned)
    done = rig.apply(last)
    alerts, (score,) = documents(done, ALERTS.name), documents(done, SCORES.name)
    assert len(alerts) > 1
    assert readings == [seconds(300.01)]
    assert risks == [seconds(300.01)]
    assert all(each["drivers"] == score["drivers"] for each in alerts)


def came_back(rig: Rig, *, taken_on: bool = False) -> None:
    """Let a customer whose alerts were told in one message buy again: the graver of them ends."""
    rig.apply(*angry())
    if taken_on:
        state = unpack(rig.rows[ANNA])
        state.episodes[Rule.CHURN_RISK].acknowledged_s = seconds(300.1)
        rig.hold(state)
    rig.now_s = seconds(300.2)
    assert ("churn_risk", "resolved", "critical", True) in steps(rig.apply(line("order.placed", 300.2)))
    assert unpack(rig.rows[ANNA]).episodes[Rule.EXPERIENCE_DROP].closed_s is None


def test_what_was_folded_is_told_itself_when_the_graver_alert_ends():
    """People heard that it is over, and it is not: the next day they hear what still holds, once."""
    rig = Rig(now_day=300)
    came_back(rig)
    assert not told(rig.sweep(300.9)), "one message a day"
    rig.now_s = seconds(301.1)
    assert steps(rig.sweep(301.1)) == [("experience_drop", "announced", "high", True)]
    rig.now_s = seconds(302.2)
    rig.tokens.pop(BUCKET)
    assert not told(rig.sweep(302.2))


def test_what_was_folded_into_an_alert_that_somebody_took_on_is_in_hand():
    """Nobody is told twice of a case that a person has."""
    rig = Rig(now_day=300)
    came_back(rig, taken_on=True)
    rig.now_s = seconds(301.1)
    assert not told(rig.sweep(301.1))


def test_the_graver_alert_is_not_told_again_when_a_folded_one_ends():
    """Its message was its own."""
    rig = Rig(now_day=300)
    rig.apply(*angry())
    state = unpack(rig.rows[ANNA])
    drop = state.episodes[Rule.EXPERIENCE_DROP]
    lifecycle.unfold(state, drop)
    assert not lifecycle.waiting(state, seconds(302))


def test_what_is_not_critical_waits_for_the_sweep():
    """It is written when it opens, and told once everybody was looked at."""
    rig = Rig(now_day=300)
    done = rig.apply(*silent())
    assert steps(done) == [("churn_risk", "opened", "high", False)]
    assert unpack(rig.rows[ANNA]).told_s is None
    done = rig.sweep(300.1)
    assert steps(done) == [("churn_risk", "announced", "high", True)]
    state = unpack(rig.rows[ANNA])
    assert (state.told_s, state.episodes[Rule.CHURN_RISK].told_s) == (seconds(300.1), seconds(300.1))
    assert not rig.sweep(300.2).outputs


@pytest.mark.parametrize(
    ("now_day", "caught_up", "announced"),
    [
        (300.1, True, True),
        (300.1 + 10 / DAY, False, True),
        (300.1 + 11 / DAY, False, False),
        (302, True, False),
    ],
    ids=["caught up", "ten seconds behind", "further behind", "a clock that is ahead"],
)
def test_a_customer_at_risk_at_go_live_is_told_by_the_first_sweep_that_has_caught_up(
    now_day: float,
    caught_up: bool,  # noqa: FBT001
    announced: bool,  # noqa: FBT001
):
    """History tells nothing itself; what still holds when all is read is announced, under the budget."""
    rig = Rig(now_day=5000)
    rig.apply(*silent(backfill=True))
    rig.now_s = seconds(now_day)
    assert bool(told(rig.sweep(300.1, caught_up=caught_up))) == announced


def test_history_that_ended_well_tells_nobody():
    """Replayed from the beginning, a year of alerts that were resolved sends no message (G7)."""
    rig = Rig(now_day=2000)
    assert not told(rig.apply(*silent(), line("order.placed", 310.0), line("order.placed", 320.0)))
    assert unpack(rig.rows[ANNA]).episodes[Rule.CHURN_RISK].closed_s is not None
    rig.now_s = seconds(321)
    assert not told(rig.sweep(321))
    assert rig.processor.tally.outcomes.suppressed == {("churn_risk", "old"): 1}


def test_nobody_is_told_before_everybody_was_looked_at():
    """The worst is only known after a whole pass; then the budget goes to it."""
    rig = Rig(now_day=300)
    crowd(3, rig)
    assert not told(rig.sweep(300.1, [b"c0", b"c1"]))
    worst = max(rig.processor.office.desk(0).waiting.items(), key=lambda each: each[1])[0]
    rig.hold(shopper(), ANNA)
    assert len(told(rig.sweep(300.2, [b"c2", ANNA]))) == 1
    assert worst in rig.rows


def test_the_budget_bounds_what_is_told_and_the_worst_goes_first():
    """Three wait and one may be told a week (of few customers): the one most likely to leave."""
    rig = Rig(now_day=300)
    crowd(3, rig)
    waiting: dict[bytes, float] = rig.processor.office.desk(0).waiting
    order = sorted(waiting, key=lambda key: (waiting[key], key), reverse=True)
    assert told(rig.sweep(300.1)) == [order[0].decode()]
    assert rig.tokens[BUCKET] == Bucket(0.0, seconds(300.1))
    rig.now_s = seconds(300.2)
    assert not told(rig.sweep(300.2))
    rig.tokens[BUCKET] = Bucket(5.0, seconds(300.3))
    rig.now_s = seconds(300.3)
    assert told(rig.sweep(300.3)) == [order[1].decode()], "more than the most cannot be saved"
    assert rig.processor.office.desk(0).tokens_left == 0.0


def test_the_budget_is_of_active_customers():
    """Who was not heard of for half a year is nobody to be told of in time, and fills no budget."""
    rig = Rig(now_day=300)
    rig.hold(shopper(119.0))
    rig.hold(shopper(130.0), b"berta")
    rig.sweep(300)
    assert rig.processor.office.desk(0).active == 1


def test_of_equal_severity_the_greater_value_goes_first():
    """Money at risk decides between two customers, though the richer one is less likely to leave."""
    rig = Rig(now_day=300)
    for name, total, first in (("poor", 10_000, 0.0), ("rich", 20_000, 40.0)):
        lines = [line("order.placed", first + 10.0 * n, total=total, currency="EUR") for n in range(4)]
        rig.apply(
            *(
                Rec(changed(each, subject=name), key=name.encode())
                for each in (*lines, line("page.viewed", 300.0))
            )
        )
    severity, value, risk = zip(*rig.processor.office.desk(0).waiting.values(), strict=True)
    assert severity[0] == severity[1]
    assert value[0] < value[1]
    assert risk[0] > risk[1]
    assert told(rig.sweep(300.1)) == ["rich"]


def test_a_sweep_that_is_behind_tells_nobody_of_what_is_critical():
    """What time has done before everything was read may be undone by what is still to be read."""
    rig = Rig(now_day=300.5)
    rig.apply(*angry()[:-2], *(changed(each, backfill=True) for each in angry()[-2:]))
    state = unpack(rig.rows[ANNA])
    state.episodes.clear()
    rig.hold(state)
    done = rig.sweep(300.1, caught_up=False)
    assert ("churn_risk", "opened", "critical", False) in steps(done)
    assert not told(done)


def test_a_spent_budget_is_not_refilled_by_a_failed_transaction():
    """Tokens are taken with the announcement or not at all."""
    rig = Rig(now_day=300)
    rig.apply(*silent())
    work = rig.begin(0, seconds(300.1), caught_up=True)
    work.sweep([ANNA], seconds(300.1))
    assert told(work.finish())
    assert rig.processor.office.desk(0).waiting == {}
    assert BUCKET not in rig.tokens
    assert told(rig.sweep(300.2)) == ["anna"], "the row still waits"


def test_people_hear_of_a_customer_once_a_day():
    """An escalation within a day of the message waits; the sweep tells it the next day."""
    rig = Rig(now_day=300)
    rig.apply(*silent())
    assert told(rig.sweep(300.1))
    rig.now_s = seconds(300.2)
    done = rig.apply(*[line("complaint.raised", 300.2 + n / 100) for n in range(3)])
    assert ("churn_risk", "escalated", "critical", False) in steps(done)
    assert not told(done)
    assert not told(rig.sweep(300.5))
    rig.now_s = seconds(301.2)
    rig.tokens.pop(BUCKET)
    assert steps(rig.sweep(301.2))[-2:] == [
        ("churn_risk", "announced", "critical", True),
        ("experience_drop", "announced", "high", False),
    ]


def test_a_resolved_alert_is_news_to_those_who_were_told():
    """Who heard that a customer may leave hears that she is back; who did not, does not."""
    rig = Rig(now_day=300)
    rig.apply(*silent())
    rig.sweep(300.1)
    rig.now_s = seconds(301)
    assert steps(rig.apply(line("order.placed", 301.0))) == [("churn_risk", "resolved", "high", True)]
    berta = Rig(now_day=300)
    berta.apply(*silent())
    assert steps(berta.apply(line("order.placed", 300.5))) == [("churn_risk", "resolved", "high", False)]
    assert berta.processor.tally.outcomes.suppressed == {("churn_risk", "budget"): 1}


def test_what_no_longer_holds_is_not_told():
    """A waiting customer is evaluated again before anybody is told."""
    rig = Rig(now_day=300)
    rig.apply(*silent())
    desk = rig.processor.office.desk(0)
    desk.note(b"gone", (5.0,))
    desk.end_pass()
    desk.active = 1
    rig.hold(shopper(300.0))
    assert set(desk.waiting) == {ANNA, b"gone"}
    assert not told(rig.sweep(300.1, []))
    assert desk.waiting == {}


def test_what_faded_while_it_waited_is_resolved_untold():
    """Asked again before it is told, an alert may be over: that is written, and told to nobody."""
    rig = Rig(now_day=400)
    rig.apply(*[line("complaint.raised", n / 10) for n in range(4)])
    desk = rig.processor.office.desk(0)
    desk.end_pass()
    desk.active = 1
    assert set(desk.waiting) == {ANNA}
    assert ("experience_drop", "resolved", "high", False) in steps(rig.sweep(400, []))
    assert unpack(rig.rows[ANNA]).episodes[Rule.EXPERIENCE_DROP].closed_s == seconds(400)


def test_a_lesser_alert_that_folds_into_a_graver_one_is_no_news():
    """People who knew of the silence hear of the risk of churn, not of the end of the silence."""
    rig = Rig(now_day=300)
    state = shopper()
    assert state.rhythm is not None
    for told_s in (seconds(290), None):
        episode = Episode(1, seconds(290), None, "lost", 1, state.rhythm.last_day)
        episode.told, episode.told_s = (1, told_s) if told_s else (-1, None)
        state.episodes[Rule.SILENCE] = episode
        rig.hold(state)
        assert ("silence", "resolved", "medium", False) in steps(rig.sweep(300, caught_up=False))
    assert rig.processor.tally.outcomes.suppressed == {("silence", "folded"): 1}


def holdout() -> Scorer:
    """Return a scorer under whose policy nobody is told of anybody."""
    return scorer(announcements={"holdout_share": 1.0})


def test_of_a_holdout_nobody_is_told():
    """State goes on and the alert says so; its outcome is counted apart."""
    rig = Rig(holdout(), now_day=300)
    done = rig.apply(*angry())
    assert not told(done)
    assert all(each["holdout"] for each in documents(done, ALERTS.name))
    assert not told(rig.sweep(300.1))
    rig.now_s = seconds(300.2)
    rig.apply(line("order.placed", 300.2))
    outcomes = rig.processor.tally.outcomes
    assert outcomes.inferred.keys() >= {("churn_risk", "returned", "holdout")}
    assert outcomes.suppressed["churn_risk", "holdout"] == 1


def test_the_default_policy_holds_nobody_out():
    """Learning what telling is worth is switched on by hand."""
    assert DEFAULT.policy.announcements.holdout_share == 0.0
