"""What stands in the register after a life, and which promises are broken by whom."""

from dataclasses import dataclass

import pytest

from streams.scoring.explain import assess
from tests.customers import DEFAULT, event, row, seconds
from tests.register import HOUR, Life, call, day, failures, placed, swept, ticket


@dataclass(frozen=True)
class Story:
    """A life, the day of the last sweep, and the failures that it leaves."""

    life: Life
    at: float
    failures: list[tuple[str, float, float, float]]


FRIDAY = 1.0  # START is a Thursday
STORIES = {
    "in time": Story([placed(), event("delivery.delivered", 2, order_id="o1")], 9, []),
    "in time to the second": Story([placed(), event("delivery.delivered", 3, order_id="o1")], 9, []),
    "late": Story(
        [placed(), event("delivery.delivered", 5, order_id="o1")], 9, [("promise_broken", 1.5, 3, 5)]
    ),
    "not yet due": Story([placed()], 3, []),
    "in the grace": Story([placed()], 3 + 1.9 * HOUR, []),
    "broken": Story([placed()], 3 + 2.1 * HOUR, [("promise_broken", 3, 3, 63)]),
    "moved by a later word": Story(
        [placed(), event("delivery.rescheduled", 1, order_id="o1", promised_at=day(6), by="customer")], 5, []
    ),
    "moved to no known day": Story([placed(), event("delivery.rescheduled", 1, order_id="o1")], 50, []),
    "promised by the parcel": Story(
        [event("delivery.promised", 0, delivery_id="d1", promised_at=day(2))],
        5,
        [("promise_broken", 3, 2, 62)],
    ),
    "cancelled before": Story([placed(), event("order.cancelled", 2, order_id="o1")], 9, []),
    "refunded after": Story(
        [placed(), event("order.refunded", 7, order_id="o1")], 9, [("promise_broken", 3, 3, 7)]
    ),
    "called off in the grace": Story(
        [placed(), event("order.cancelled", 3 + HOUR, order_id="o1")],
        3 + 1.5 * HOUR,
        [("promise_broken", 3, 3, 3 + HOUR)],
    ),
    "failed at the door and never late beside": Story(
        [placed(), event("delivery.failed", 2, order_id="o1")], 9, [("failed_delivery", 3, 2, 62)]
    ),
    "failed, delivered again": Story(
        [
            event("delivery.delivered", 1, order_id="o1"),
            event("delivery.failed", 2, order_id="o1"),
            event("delivery.delivered", 4, order_id="o1"),
        ],
        9,
        [("failed_delivery", 3, 2, 4)],
    ),
    "waited for an order": Story(
        [event("queue.waited", 1, order_id="o1", wait_s=700)], 9, [("waiting", 1, 1, 1)]
    ),
    "a wait is part of the broken promise": Story(
        [placed(), event("queue.waited", 5, order_id="o1", wait_s=700)], 9, [("promise_broken", 3, 3, 63)]
    ),
    "a short wait for an order": Story([event("queue.waited", 1, order_id="o1", wait_s=10)], 9, []),
    "a promise of an agent": Story(
        [event("promise.made", 0, promise_id="p1", due_at=day(2))], 5, [("promise_broken", 3, 2, 62)]
    ),
    "a promise kept before it was known": Story(
        [
            event("promise.kept", 1, promise_id="p1"),
            event("promise.made", 1.5, promise_id="p1", due_at=day(2)),
        ],
        5,
        [],
    ),
    "a promise withdrawn": Story(
        [
            event("promise.made", 0, promise_id="p1", due_at=day(2)),
            event("promise.withdrawn", 1, promise_id="p1"),
        ],
        5,
        [],
    ),
    "no reply within business hours": Story(
        [ticket("created", FRIDAY + 18 * HOUR)],
        FRIDAY + 2,
        [("target_missed", 2, FRIDAY + 1.75, FRIDAY + 61.75)],
    ),
    "replied and solved in time": Story(
        [ticket("created", 10 * HOUR), ticket("replied", 12 * HOUR), ticket("solved", 20 * HOUR)], 9, []
    ),
    "a bot's reply is no reply": Story(
        [ticket("created", 10 * HOUR), ticket("replied", 12 * HOUR, by="bot"), ticket("solved", 16 * HOUR)],
        9,
        [("target_missed", 1, 14 * HOUR, 16 * HOUR)],
    ),
    "solved late": Story(
        [ticket("created", 10 * HOUR), ticket("replied", 12 * HOUR), ticket("solved", 40 * HOUR)],
        9,
        [("target_missed", 1, 34 * HOUR, 40 * HOUR)],
    ),
    "an agent agreed on a day": Story(
        [
            ticket("created", 10 * HOUR),
            event("promise.made", 11 * HOUR, promise_id="p1", due_at=day(5), issue_id="i1"),
        ],
        4,
        [],
    ),
    "a ticket of the company's own": Story([ticket("created", 0, direction="outbound")], 9, []),
    "a ticket without an id": Story([event("ticket.created", 0)], 9, []),
    "reopened": Story(
        [ticket("replied", 0), ticket("solved", 1), ticket("reopened", 2), ticket("solved", 3)],
        9,
        [("reopened", 1.5, 2, 3)],
    ),
    "escalated is graver than reopened": Story(
        [ticket("reopened", 1), ticket("escalated", 2)], 9, [("escalated", 4, 2, 62)]
    ),
    "a complaint that the ticket about it settled": Story(
        [
            event("complaint.raised", 0, complaint_id="c1", issue_id="i1"),
            event("ticket.solved", 1, ticket_id="t9", issue_id="i1"),
        ],
        9,
        [("complaint", 2, 0, 1)],
    ),
    "a complaint about what was settled before": Story(
        [event("bot.resolved", 0, issue_id="i1"), event("complaint.raised", 1, issue_id="i1")],
        9,
        [("complaint", 2, 1, 61)],
    ),
    "a complaint that a bot settled": Story(
        [event("complaint.raised", 0, issue_id="i1"), event("bot.resolved", 1, issue_id="i1")],
        9,
        [("complaint", 2, 0, 1)],
    ),
    "a settled matter that was not": Story(
        [event("complaint.raised", 0, issue_id="i1"), call(1, resolved="yes"), call(5, resolved="no")],
        9,
        [("complaint", 2, 0, 60), ("repeat_contact", 1, 5, 65)],
    ),
    "a repeat that settles it": Story([call(0), call(1, resolved="yes")], 9, [("repeat_contact", 1, 1, 1)]),
    "two contacts on one reason": Story(
        [event("call.ended", 0, reason="lost"), event("chat.ended", 6, reason="lost")],
        9,
        [("repeat_contact", 1, 6, 6)],
    ),
    "two contacts far apart": Story([call(0), call(8)], 9, []),
    "a call back is no contact": Story([call(0), call(1, direction="outbound")], 9, []),
    "a call about an order in trouble settles it": Story(
        [event("delivery.failed", 0, order_id="o1"), call(1, order_id="o1", resolved="yes")],
        9,
        [("failed_delivery", 3, 0, 1)],
    ),
    "a public complaint": Story(
        [event("social.mentioned", 0, post_id="s1", sentiment=-1, reach=5000)],
        9,
        [("public_complaint", 4, 0, 60)],
    ),
    "a wide review": Story(
        [event("review.posted", 0, review_id="r1", rating=1, reach=5000)], 9, [("public_complaint", 4, 0, 60)]
    ),
    "praise does not stand": Story([event("social.mentioned", 0, post_id="s1", sentiment=1)], 9, []),
    "an answer without a complaint": Story(
        [event("social.mentioned", 0, post_id="s1", direction="outbound")], 9, []
    ),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_what_stands(story: Story):
    """A life leaves exactly the failures of its story, each from its day until its end."""
    found = failures(swept(story.life, story.at))

    assert found == [
        (name, weight, pytest.approx(a), pytest.approx(b)) for name, weight, a, b in story.failures
    ]


@pytest.mark.parametrize(
    "kind", ["ticket.reopened", "ticket.escalated", "delivery.failed", "complaint.raised"]
)
def test_without_an_id_it_fades(kind: str):
    """What has no id cannot be told to have ended: it goes to the sums and fades from its day on."""
    state = row([event(kind)])

    assert state.entries.all() == []
    assert state.points


def test_an_order_without_an_id_promises_nothing():
    """A promise that nobody can name cannot be kept or broken; a delivery may still name its own."""
    assert swept([event("order.placed", promised_at=day(1))], 9).entries.all() == []
    late = row([event("delivery.delivered", 5, promised_at=day(3))])
    assert late.entries.all() == []
    assert [each["driver"] for each in assess(DEFAULT, late, 0).drivers] == ["late_delivery"]
    assert swept([event("delivery.promised", promised_at=day(1))], 9).entries.all() == []


FULL = {"web": seconds(9), "product": seconds(9)}
CHANNELS: list[tuple[dict[str, float], bool]] = [
    (FULL, True),
    ({"web": seconds(9)}, True),
    ({"web": seconds(9), "product": seconds(3.05)}, False),
    ({"web": seconds(3.05), "product": seconds(9)}, False),
    ({"phone": seconds(9)}, False),
    ({}, False),
]


@pytest.mark.parametrize(("read", "broken"), CHANNELS)
def test_a_silent_source_breaks_no_promise(read: dict[str, float], *, broken: bool):
    """A delivery is missed only where its channel, and the carrier's if any, were read past the day."""
    state = row([placed()])

    assert DEFAULT.expire(state, seconds(9), read) is broken
    assert bool(state.failing) is broken


@pytest.mark.parametrize(("channel", "broken"), [("phone", True), ("web", False)])
def test_a_promise_names_its_channel(channel: str, *, broken: bool):
    """A promise is missed where the channel that would report it kept was read past its day."""
    state = row([event("promise.made", promise_id="p1", due_at=day(2), fulfilled_by=channel)])

    assert DEFAULT.expire(state, seconds(9), {"phone": seconds(9)}) is broken


def test_an_event_names_its_channel():
    """Where an event names a channel, that is the one whose reading counts."""
    made = event("promise.made", promise_id="p1", due_at=day(2))
    made = type(made)(**{name: getattr(made, name) for name in made.__struct_fields__} | {"channel": "chat"})

    assert not DEFAULT.expire(row([made]), seconds(9), {"web": seconds(9)})
    assert DEFAULT.expire(row([made]), seconds(9), {"chat": seconds(9)})


def test_the_next_deadline():
    """A row names its next deadline, 0 for none, and nothing is looked at before it has passed."""
    state = row([placed(5, "o1"), placed(3, "o2", 0.5)])
    assert state.deadline_s == seconds(3)

    assert not DEFAULT.expire(state, seconds(3), FULL)
    assert DEFAULT.expire(state, seconds(4), FULL)
    assert state.deadline_s == seconds(5)
    assert DEFAULT.expire(state, seconds(9), FULL)
    assert state.deadline_s == 0
    assert not DEFAULT.expire(state, seconds(20), FULL)


def test_late_word_undoes_a_broken_promise():
    """A promise that was called broken is kept after all where the word of it came late."""
    state = swept([placed()], 9)
    assert state.failing == 1
    DEFAULT.apply(state, event("delivery.delivered", 2, order_id="o1"), seconds(2), 0)

    assert failures(state) == []
    assert "delivery_on_time" in [each["driver"] for each in assess(DEFAULT, state, 0).drivers]


def test_late_word_undoes_a_delivery_in_time():
    """A delivery that counted as in time leaves no trace where an earlier promise comes to light."""
    life = [placed(at=0), event("delivery.delivered", 2, order_id="o1")]
    state = row([*life, event("delivery.promised", 1, order_id="o1", promised_at=day(1.5))])

    assert failures(state) == [("promise_broken", 1.5, 1.5, 2)]
    assert "delivery_on_time" not in [each["driver"] for each in assess(DEFAULT, state, 0).drivers]
