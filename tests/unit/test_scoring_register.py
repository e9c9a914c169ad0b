"""The register over time: how much a failure weighs, when it ends and is folded, and how large a row gets."""

from typing import Any

import pytest

from streams.scoring.entry import NO_CODE, Case
from streams.scoring.explain import assess
from streams.scoring.facts import BEFORE, ISSUE, all_until, contact
from streams.scoring.policy import DAY_S
from streams.scoring.rows import pack
from streams.scoring.standing import failing
from streams.scoring.state import BEST, BEST_KEPT, CustomerState
from tests.customers import DEFAULT, event, plain, row, scorer, seconds
from tests.register import HOUR, Life, call, day, failures, placed, swept, ticket
from tests.unit.test_scoring_signals import READ


def experience(state: CustomerState, at: float) -> float:
    """Return the experience score at a day."""
    return DEFAULT.ledger.score(state, seconds(at))


COMPLAINT = event("complaint.raised", 0, complaint_id="c1", issue_id="i1")


def test_it_stands_and_then_fades():
    """A failure weighs the same while it stands, and fades by half in a half-life after 60 days."""
    state = row([COMPLAINT])

    assert experience(state, 59) == pytest.approx(experience(state, 0))
    points = assess(DEFAULT, state, seconds(60)).experience.points
    assert sum(points.values()) < sum(assess(DEFAULT, state, seconds(150)).experience.points.values()) < 0


def test_solved_and_not_reopened_is_a_repair():
    """Seven days after it was solved, a failure weighs half."""
    solved = event("ticket.solved", 1, ticket_id="t1", issue_id="i1")
    state, without = row([COMPLAINT, solved]), row([COMPLAINT, solved])
    for case in without.entries.all():
        case.mended_s = 0

    assert experience(state, 7.9) == pytest.approx(experience(without, 7.9))
    assert experience(state, 8.1) > experience(without, 8.1) + 3


def test_top_box_is_a_repair():
    """An answer in the top box about the issue repairs at once; a lesser one does not."""
    answers = {
        score: row([COMPLAINT, event("survey.answered", 1, survey="csat", score=score, issue_id="i1")])
        for score in (5, 4)
    }
    mended = {score: [bool(case.mended_s) for case in each.entries.all()] for score, each in answers.items()}

    assert mended == {5: [True, False], 4: [False]}


def test_a_second_failure_earns_nothing():
    """A failure within 90 days of another keeps its weight when it is repaired; a later one does not."""
    life = []
    for number, at in enumerate((0.0, 95.0, 120.0)):
        life.append(event("complaint.raised", at, complaint_id=f"c{number}", issue_id=f"i{number}"))
    life.append(event("bot.resolved", 121, issue_id="i1"))
    life.append(event("bot.resolved", 121, id="other", issue_id="i2"))
    state = row(life)

    complaints = sorted((case.since_s, case.credit) for case in state.entries.all() if case.key != NO_CODE)
    assert [credit for _, credit in complaints] == [True, True, False]
    late = event("complaint.raised", 80, complaint_id="c9")
    DEFAULT.apply(state, late, seconds(80), 0)
    assert [case.credit for case in state.entries.all() if case.since_s == seconds(95)] == [False]


@pytest.mark.parametrize(("second", "weight"), [(80.0, 2.0), (95.0, 1.0)])
def test_apologies_wear_out(second: float, weight: float):
    """A repair halves what a failure weighs, but not what a second one within 90 days does."""
    life: Life = []
    for name, at in (("1", 0.0), ("2", second)):
        life.append(event("complaint.raised", at, complaint_id=name, issue_id=name))
        life.append(event("bot.resolved", at + 1, issue_id=name))
    newest = max(row(life).entries.failures, key=lambda case: case.since_s)

    assert DEFAULT.ledger.failures.at(newest, seconds(second + 20)).weight == weight


def test_a_glad_answer_before_a_failure_repairs_nothing():
    """Who was content with how an issue was settled and complains later is not content with that."""
    glad = event("survey.answered", 0, survey="csat", score=5, issue_id="i1")
    (case,) = row([glad, event("complaint.raised", 1, complaint_id="c1", issue_id="i1")]).entries.failures

    assert case.mended_s == 0


def test_of_two_targets_missed_the_first_counts():
    """A ticket that nobody answered fails once, from its first target on, when the second is missed too."""
    state = swept([ticket("created", 10 * HOUR)], 1)
    first = failures(state)

    assert DEFAULT.expire(state, seconds(9), all_until(seconds(9)))
    assert failures(state) == first
    assert first == [("target_missed", 2.0, pytest.approx(14 * HOUR), pytest.approx(14 * HOUR + 60))]


def test_of_failures_of_one_second_the_same_leave_a_full_register():
    """Which of them makes room does not depend on the order in which they came."""
    life = [event("delivery.failed", 0, id=name, order_id=name) for name in "abcdefghijklmnopqrst"]
    states = [row(life), row(life[::-1])]
    kept, others = ({case.name for case in state.entries.all()} for state in states)

    assert kept == others
    assert [(len(kept), state.crowded) for state in states] == [(16, 4), (16, 4)]


def test_what_is_over_is_folded():
    """Ninety days after its end an entry leaves the register, and goes on weighing in the sums."""
    state = row([event("delivery.failed", 0, order_id="o1"), event("delivery.delivered", 1, order_id="o1")])
    failed = event("delivery.failed", 95, order_id="o9")
    DEFAULT.apply(state, failed, seconds(95), 0)

    assert [case.since_s for case in state.entries.all()] == [seconds(95)]
    assert experience(state, 95) < experience(row([failed]), 95)
    assert state.crowded == 0


def test_what_is_over_is_folded_alike_whatever_is_asked():
    """A failure without credit that is over weighs the same, whatever an event tells of its issue."""
    worn = event("complaint.raised", 5, complaint_id="c2", issue_id="i1")
    life = [COMPLAINT, worn, event("bot.resolved", 6, issue_id="i1")]
    glad = event("survey.answered", 200, survey="csat", score=5, issue_id="i1")
    asked, told = row([*life, call(200)]), row([*life, glad])

    key = DEFAULT.policy.drivers["complaint"].code * 8
    assert len(asked.entries.all()) == len(told.entries.all()) == 1
    assert asked.points.get(key) == told.points.get(key) < 0.0


def test_the_newest_experience_may_stand():
    """The last experience is the newest of the sums and the register, before and after it is folded."""
    state = row(
        [
            event("order.placed", 0),
            COMPLAINT,
            placed(20, at=0.5),
            event("delivery.delivered", 19, order_id="o1"),
        ]
    )
    last = DEFAULT.ledger.last_of(state)
    assert last is not None
    assert (last.key >> 3, last.at_s, last.source) == (2, seconds(19), "")

    for case in list(state.entries.all()):
        DEFAULT.register._fold(state, case, seconds(400))
    assert plain(state.last) == plain(last)


def test_the_cause_has_its_id():
    """Of the newest event that the register took, source and id are kept."""
    failed = event("delivery.failed", 2, order_id="o1", source="/carrier", id="d-7")
    state = row([failed, COMPLAINT])

    assert state.cause is not None
    assert (state.cause.at_s, state.cause.source, state.cause.id) == (seconds(2), "/carrier", "d-7")


@pytest.mark.parametrize(
    ("kind", "data", "count"),
    [
        ("survey.sent", {}, 1),
        ("action.taken", {"kind": "voucher"}, 1),
        ("call.ended", {"direction": "outbound"}, 1),
        ("ticket.replied", {"ticket_id": "t1"}, 1),
        ("ticket.replied", {"ticket_id": "t1", "by": "customer"}, 0),
        ("ticket.replied", {}, 1),
        ("call.ended", {}, 0),
    ],
)
def test_messages_are_counted(kind: str, data: dict[str, Any], count: int):
    """What the company sent is remembered by its time, the newest eight."""
    assert len(row([event(kind, **data)]).outreach) == count
    many = row([event(kind, n, **data) for n in range(12)])
    assert many.outreach == tuple(seconds(n) for n in range(4, 12)) * count


def test_targets_can_be_off():
    """A policy that promises nothing for tickets misses nothing."""
    silent = scorer(promises={"first_reply_business_hours": 0, "solved_hours": 0})

    assert swept([ticket("created", 0)], 50, silent).failing == 0


def test_a_full_register_and_the_longest_ids_are_bounded():
    """A register that is full of the largest entries takes less than 1,800 bytes of its row."""
    state = row([event("order.placed")])
    small = len(pack(state))
    for number in range(40):
        at = 1 + number / 10
        for kind in ("created", "replied", "solved", "reopened", "escalated"):
            DEFAULT.apply(state, ticket(kind, at, ticket_id=f"t{number}"), seconds(at), 0)
    DEFAULT.expire(state, seconds(300), all_until(seconds(300)))

    assert len(state.entries.all()) == 16
    assert len(pack(state)) - small <= 1800


def test_a_row_with_everything_is_bounded():
    """A row with every driver, field and ring, the longest ids and a full register takes less than 3.5 KB."""
    long = "x" * 128
    state = row(
        [event("customer.updated", **dict.fromkeys(("segment", "tier", "owner", "home_store_id"), long))]
    )
    for topic in range(4):
        for number, (kind, data, _) in enumerate(READ):
            each = event(kind, number / 100, id=f"{number:0>128}", source="s" * 128, **data)
            DEFAULT.apply(state, each, seconds(number / 100), topic)
    for number in range(20):
        for kind in ("created", "replied", "solved", "reopened", "escalated"):
            DEFAULT.apply(state, ticket(kind, 2 + number, ticket_id=f"t{number}"), seconds(2 + number), 0)
    DEFAULT.rules.evaluate(state, seconds(22), absence_until_s=seconds(22))

    assert len(state.entries.all()) == 16
    assert len(pack(state)) <= 3_500


def test_an_order_and_its_delivery_are_a_small_row():
    """A customer of two events whose order and delivery lie in the register takes at most 300 bytes."""
    data = {"order_id": "o-c1-000001-1", "promised_at": day(3)}
    life = [event("order.placed", 0, total=4000, **data), event("delivery.delivered", 2, **data)]

    assert len(pack(row(life))) <= 300


def test_standing_days_are_the_policys():
    """How long a failure stands at most is a number of the policy."""
    short = scorer(promises={"standing_days": 10})
    (case,) = row([event("delivery.failed", order_id="o1")], short).entries.all()

    assert case.until_s - case.since_s == 10 * DAY_S


def test_a_repair_may_be_complete():
    """Where the policy says so, a repaired failure weighs nothing, in the register and when it is folded."""
    whole = scorer(promises={"repaired_share": 0.0})
    state = row([COMPLAINT, event("bot.resolved", 1, issue_id="i1")], whole)
    failed = event("delivery.failed", 20, order_id="o1")
    whole.apply(state, failed, seconds(20), 0)
    found = assess(whole, state, 0).experience.points
    assert found.get(10, 0.0) == 0.0

    for case in list(state.entries.all()):
        whole.register._fold(state, case, seconds(20))
    assert assess(whole, state, 0).experience.points.get(10, 0.0) == 0.0


@pytest.mark.parametrize(("value", "weight"), [(65.0, 1.0), (85.0, 0.5)])
def test_a_delivery_in_time_may_be_nothing_to_remember(value: float, weight: float):
    """A delivery in time that the policy makes neutral or light is no best moment or last experience."""
    plain = scorer(
        drivers={"delivery_on_time": {"value": value, "weight": weight}, "purchase": {"weight": 0.4}}
    )
    state = row([placed(), event("delivery.delivered", 2, order_id="o1")], plain)
    other = event("ticket.escalated", 120, ticket_id="t1")
    plain.apply(state, other, seconds(120), 0)

    last = plain.ledger.last_of(state)
    assert last is not None
    assert (last.key >> 3 == 2) is False
    assert [peak.code for peak in (state.peaks[BEST], state.peaks[BEST_KEPT]) if peak is not None] == (
        [2] if value > 65 else [1]
    )


def test_an_order_that_is_light_leaves_no_last_experience():
    """A failure of less than weight 1 is folded without becoming the last experience."""
    light = scorer(drivers={"waiting": {"weight": 0.5}})
    state = row([event("queue.waited", 0, order_id="o1", wait_s=700)], light)
    assert light.ledger.last_of(state) is None

    for case in list(state.entries.all()):
        light.register._fold(state, case, seconds(200))
    assert state.last is None


def test_the_same_contact_twice_is_one():
    """A repeat of a contact that the ring no longer knows is no second contact."""
    case = Case(b"", ISSUE, {})
    for _ in range(2):
        contact(case, 1000, b"abcdef")

    assert BEFORE not in case.facts


def test_orders_that_go_well_push_out_nothing_that_stands_or_is_due():
    """Who orders every other day still waits for the parcel that failed, and for one that is due later."""
    life = [event("delivery.failed", 0, order_id="failed")]
    life.append(event("order.placed", 1, order_id="sofa", promised_at=day(50)))
    for number in range(2, 42, 2):
        life.append(event("order.placed", number, order_id=f"o{number}", promised_at=day(number + 1)))
        life.append(event("delivery.delivered", number + 0.5, order_id=f"o{number}"))
    state = row(life)
    assert DEFAULT.ledger.failures.open_matters(failing(state), seconds(45)) == (0, 1)
    assert DEFAULT.expire(state, seconds(51), all_until(seconds(51)))
    assert DEFAULT.ledger.failures.open_matters(failing(state), seconds(51)) == (0, 2)


def test_a_failure_whose_driver_the_policy_dropped():
    """It counts as value 0, and as no promise."""
    section, dropped = DEFAULT.policy.ledger, max(DEFAULT.policy.driver_names) + 1
    worth = DEFAULT.ledger.failures.worth(dropped * 8 + 1)

    assert (worth.a, worth.q) == (-section.asymmetry * section.prior, section.asymmetry)
    assert not worth.is_promise


def test_a_late_delivery_next_to_one_in_time():
    """Undoing one delivery in time leaves the others in the sums."""
    life = [
        placed(3, "o1"),
        placed(3, "o2", 0.5),
        event("delivery.delivered", 2, order_id="o1"),
        event("delivery.delivered", 2.5, order_id="o2"),
        event("delivery.promised", 1, order_id="o2", promised_at=day(1.5)),
    ]
    state = row(life)

    assert failures(state) == [("promise_broken", 1.5, 1.5, 2.5)]
    points = {each["driver"]: each["points"] for each in assess(DEFAULT, state, 0).drivers}
    assert points["delivery_on_time"] > 0.1


def test_a_wait_for_what_came_in_time():
    """Who waits for an order that then comes in time feels both."""
    life = [
        placed(),
        event("queue.waited", 1, order_id="o1", wait_s=700),
        event("delivery.delivered", 2, order_id="o1"),
    ]
    in_order, other = row(life), row([life[0], life[2], life[1]])
    assert {each["driver"] for each in assess(DEFAULT, in_order, 0).drivers} >= {
        "waiting",
        "delivery_on_time",
    }

    for state in (in_order, other):
        DEFAULT.apply(state, event("delivery.delivered", 2.5, order_id="o1"), seconds(2.5), 0)
    assert plain(assess(DEFAULT, in_order, 0).experience) == plain(assess(DEFAULT, other, 0).experience)
