"""Episodes under two policies: what is the same alert, and what became of it."""

import pytest

from schemas.codec import decode_line
from schemas.envelope import Touchpoint, time_s
from streams.demo.generator import generate
from streams.replay import replay
from streams.rulebook.diff import read_log
from streams.rulebook.episodes import Change, Episode, compare, episodes_of
from streams.rulebook.life import Life
from tests.customers import DEFAULT, event, seconds

DAY = 86400.0
Span = tuple[float, float | None]


def episode(span: Span, rule: str = "silence") -> Episode:
    """Return an episode open between two days; None is open to the end."""
    opened, closed = span
    return Episode(
        customer_id="anna",
        rule=rule,
        opened_s=opened * DAY,
        closed_s=None if closed is None else closed * DAY,
        severity="medium",
        owner="nobody",
        value_at_risk=0.0,
        reason="",
    )


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ([], [], []),
        ([(1, 2)], [], ["removed"]),
        ([], [(1, None)], ["added"]),
        ([(1, 5)], [(1, 5)], ["same"]),
        ([(1, 5)], [(1, None)], ["same"]),
        ([(3, 5)], [(1, 4)], ["earlier"]),
        ([(3, 5)], [(5, 9)], ["later"]),
        ([(1, 2)], [(3, 4)], ["removed", "added"]),
        ([(3, 4)], [(1, 2)], ["added", "removed"]),
        ([(1, 2), (5, 9)], [(6, 9)], ["removed", "later"]),
        ([(1, 9)], [(2, 3), (5, 6)], ["later", "added"]),
        ([(1, None)], [(90, None)], ["later"]),
    ],
)
def test_what_was_open_together_is_one_alert(old: list[Span], new: list[Span], kinds: list[str]):
    """Episodes that overlap are the same alert; all others are added or removed."""
    found = compare(map(episode, old), map(episode, new))

    assert [change.kind for change in found] == kinds


def test_rules_are_told_apart():
    """An alert of one rule is never the counterpart of another's."""
    found = compare([episode((1, 5))], [episode((1, 5), "churn_risk")])

    assert [(change.kind, change.episode.rule) for change in found] == [
        ("added", "churn_risk"),
        ("removed", "silence"),
    ]


def test_a_shift_has_a_direction():
    """An earlier alert has a negative shift, and one without a counterpart none."""
    [earlier] = compare([episode((3, 5))], [episode((1, 4))])
    [added] = compare([], [episode((1, 4))])

    assert (earlier.shift_s, added.shift_s) == (-2 * DAY, 0.0)


def test_a_change_is_of_an_episode():
    """A change without any episode is a mistake of the caller."""
    with pytest.raises(ValueError, match="without an episode"):
        _ = Change(kind="same").episode


def test_episodes_of_a_life():
    """An episode has the gravest severity that it came to, the owner of its cause, and its end."""
    life = Life(
        DEFAULT,
        "anna",
        [
            *(event("order.placed", 7 * n) for n in range(20)),
            event("delivery.failed", 40),
            event("complaint.raised", 41),
            event("order.placed", 400),
        ],
    )
    life.until(seconds(400))
    drop, silence, risk = episodes_of(life)

    assert (drop.rule, drop.owner, drop.severity) == ("experience_drop", "logistics", "high")
    assert (silence.rule, silence.severity, silence.customer_id) == ("silence", "medium", "anna")
    assert (risk.rule, risk.closed_s) == ("churn_risk", seconds(400))
    assert silence.closed_s == risk.opened_s


def test_a_life_does_not_look_ahead():
    """A row is evaluated with the events up to its time only, and a second call goes on from there."""
    life = Life(DEFAULT, "anna", [event("order.placed", 0), event("delivery.failed", 10)])
    life.until(seconds(9))
    before = life.state.events
    life.until(seconds(10))

    assert (before, life.state.events) == (1, 2)


def test_strides_change_nothing_but_time():
    """Trying several evaluations at once finds the same steps at the same times as doing each."""
    events: dict[str, list[Touchpoint]] = {}
    for record in generate(3000, seed=5):
        found = decode_line(record.value)
        if isinstance(found, Touchpoint) and found.subject is not None:
            events.setdefault(found.subject, []).append(found)
    end_s = max(time_s(each) for life in events.values() for each in life)
    steps = []
    for stride in (1, 8):
        lives = [Life(DEFAULT, name, life, stride=stride) for name, life in events.items()]
        for life in lives:
            life.until(end_s)
        steps.append([[step.document for step in life.steps] for life in lives])

    assert sum(map(len, steps[0])) > 20
    assert steps[0] == steps[1]


def test_a_life_is_lived_as_cx_score_does():
    """Without the timer between events, a life takes the steps that a replay of the log takes."""
    lines = [record.value for record in generate(3000, seed=6)]
    log = read_log(lines, DEFAULT)
    expected = replay(lines, DEFAULT).customers
    for name, events in log.customers.items():
        life = Life(DEFAULT, name, events, sweep_every_s=1e12, read_s=log.read_s)
        life.until(log.last_s)
        found = [(step.document["rule"], step.document["step"], step.document["at"]) for step in life.steps]

        assert found == [(each["rule"], each["step"], each["at"]) for each in expected[name].steps], name
