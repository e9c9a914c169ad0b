"""Hypothesis strategies: lives of customers in touchpoints, and readings of the rows that they leave."""

from typing import Any, Final

from hypothesis import strategies as st

from schemas.envelope import Touchpoint
from schemas.times import at_time
from streams.scoring.apply import Scorer
from streams.scoring.entry import Case
from streams.scoring.explain import Assessment, assess
from streams.scoring.rows import pack, unpack
from streams.scoring.state import CustomerState
from tests.customers import DEFAULT, by_key, event, plain, seconds

MOMENTS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("order.placed", {"total": 1999}),
    ("order.placed", {"direction": "outbound"}),
    ("subscription.renewed", {}),
    ("store.visited", {}),
    ("visit.assisted", {}),
    ("delivery.failed", {}),
    ("rage.clicked", {}),
    ("page.viewed", {}),
    ("complaint.raised", {}),
    ("cancel_page.viewed", {}),
    ("message.unsubscribed", {}),
    ("social.mentioned", {"sentiment": -0.9, "reach": 100_000}),
    ("social.mentioned", {"sentiment": 0.9, "reach": 10}),
    ("call.ended", {"resolved": "no", "sentiment": -0.7}),
    ("call.ended", {"resolved": "yes", "sentiment": 0.7}),
    ("call.ended", {"wait_s": 700, "transfers": 3}),
    ("ticket.solved", {}),
    ("survey.answered", {"survey": "csat", "score": 5}),
    ("survey.answered", {"survey": "csat", "score": 2}),
    ("survey.answered", {"survey": "nps", "score": 7}),
    ("survey.answered", {"survey": "nps", "score": 3}),
    ("customer.updated", {"tier": "gold", "contact_by": ["phone", "email"]}),
    ("customer.updated", {"tier": "silver", "contact_by": ["sms"], "lifetime_value": -5}),
]
ORDERS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("order.placed", {"order_id": name, "promised_at": at_time(seconds(due)), "total": 4000})
    for name, due in (("o1", 9), ("o1", 12), ("o2", 30))
] + [
    ("delivery.promised", {"order_id": "o2", "promised_at": at_time(seconds(20))}),
    ("delivery.rescheduled", {"order_id": "o1", "by": "company", "promised_at": at_time(seconds(25))}),
    ("delivery.rescheduled", {"order_id": "o1", "by": "customer"}),
    ("delivery.delivered", {"order_id": "o1"}),
    ("delivery.delivered", {"order_id": "o2", "promised_at": at_time(seconds(22))}),
    ("delivery.delivered", {"order_id": "o1", "issue_id": "i1"}),
    ("delivery.failed", {"order_id": "o1"}),
    ("delivery.failed", {"order_id": "o2"}),
    ("order.cancelled", {"order_id": "o2", "by": "customer"}),
    ("order.refunded", {"order_id": "o1"}),
    ("queue.waited", {"order_id": "o2", "wait_s": 700}),
]
MATTERS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("ticket.created", {"ticket_id": "t1", "issue_id": "i1"}),
    ("ticket.created", {"ticket_id": "t2", "reason": "lost"}),
    ("ticket.replied", {"ticket_id": "t1", "issue_id": "i1"}),
    ("ticket.replied", {"ticket_id": "t2", "by": "customer"}),
    ("ticket.solved", {"ticket_id": "t1", "issue_id": "i1"}),
    ("ticket.solved", {"ticket_id": "t2"}),
    ("ticket.reopened", {"ticket_id": "t1", "issue_id": "i1"}),
    ("ticket.reopened", {"ticket_id": "t2"}),
    ("ticket.escalated", {"ticket_id": "t2"}),
    ("call.ended", {"issue_id": "i1", "order_id": "o1", "resolved": "no"}),
    ("call.ended", {"issue_id": "i1", "resolved": "yes"}),
    ("call.ended", {"issue_id": "i1", "direction": "outbound"}),
    ("call.ended", {"reason": "lost", "wait_s": 700}),
    ("bot.resolved", {"issue_id": "i1"}),
    ("survey.answered", {"survey": "csat", "score": 5, "issue_id": "i1"}),
    ("survey.sent", {}),
    ("complaint.raised", {"complaint_id": "c1", "issue_id": "i1"}),
    ("complaint.raised", {"complaint_id": "c1", "public": True}),
    ("social.mentioned", {"post_id": "s1", "sentiment": -0.8, "reach": 100_000}),
    ("social.mentioned", {"post_id": "s1", "direction": "outbound"}),
    ("promise.made", {"promise_id": "p1", "due_at": at_time(seconds(15)), "issue_id": "i1"}),
    ("promise.made", {"promise_id": "p2", "due_at": at_time(seconds(40)), "fulfilled_by": "phone"}),
    ("promise.kept", {"promise_id": "p1"}),
    ("promise.withdrawn", {"promise_id": "p1"}),
    ("promise.withdrawn", {"promise_id": "p2"}),
    ("action.taken", {"issue_id": "i1"}),
]
GOOD: Final = ("purchase", "delivery_on_time", "great_service", "resolved", "csat", "nps", "public_praise")
BAD: Final = (
    "complaint",
    "failed_delivery",
    "unresolved",
    "waiting",
    "rage_click",
    "public_complaint",
    "csat",
)


def days(first: float, last: float) -> st.SearchStrategy[float]:
    """Return days from START in quarters of an hour, so that some fall together."""
    return st.integers(round(first * 96), round(last * 96)).map(lambda quarter: quarter / 96)


@st.composite
def lives(  # a life's span and what it is made of
    draw: st.DrawFn,
    *,
    first: float = 0.0,
    last: float = 64.0,
    most: int = 20,
    of: list[tuple[str, dict[str, Any]]] | None = None,
) -> list[Touchpoint]:
    """Return 1 to `most` events between two days from START, in any order, each with an id of its own.

    They are drawn from `of`; by default from moments, orders and matters of all kinds.
    """
    kinds = st.sampled_from(of or [*MOMENTS, *ORDERS, *MATTERS])
    moments = draw(st.lists(st.tuples(kinds, days(first, last)), min_size=1, max_size=most))
    return [
        event(kind, day, id=f"{first}-{number}", source=f"/source/{number % 2}", **data)
        for number, ((kind, data), day) in enumerate(moments)
    ]


def evidence(state: CustomerState, at_s: float) -> dict[str, Any]:
    """Return all evidence in a row as of one time: sums decayed to it, and what does not decay as it is.

    What has ended by then is moved into the sums first: when that is done is of no meaning.
    """
    state = unpack(pack(state))
    DEFAULT.register._refresh(state, at_s)
    ledger, churn = DEFAULT.ledger, DEFAULT.churn

    def decay(half_life_s: float) -> float:
        return 2.0 ** ((state.ref_s - at_s) / half_life_s)

    slow, fast = decay(ledger.half_life_s), decay(ledger.recent_half_life_s)
    rhythm = state.rhythm
    return {
        "newest": state.newest_s,
        "events": state.events,
        "peaks": [each and plain(each) for each in state.peaks],
        "last": plain(DEFAULT.ledger.last_of(state)),
        "cause": plain(state.cause),
        "outreach": state.outreach,
        "crowded": state.crowded,
        "register": {
            name: (case.kind, case.issue, tuple(sorted(case.facts.items())), _derived(case))
            for name, case in sorted(state.cases.items())
        },
        "failing": state.failing,
        "deadline": state.deadline_s,
        "rhythm": rhythm and (rhythm.first_day, rhythm.last_day, rhythm.repeats, rhythm.days, rhythm.months),
        "profile": {key: (at, _plain(value)) for key, (at, value) in sorted(state.profile.items())},
        **{f"points {key}": a * slow for key, a in sorted(by_key(state.points).items())},
        **{
            f"mass {name}": amount * (fast if name.endswith("_recent") else slow)
            for name, amount in plain(state.mass).items()
            if amount
        },
        **{
            f"intent {k}": x * decay(churn.intent_half_life_s)
            for k, x in sorted(by_key(state.intents).items())
        },
        **{
            f"count {index}": count * decay(churn.count_half_lives_s[index])
            for index, count in enumerate(rhythm.counts if rhythm else ())
        },
        "spend": rhythm.spend * decay(churn.count_half_lives_s[-1]) if rhythm else 0.0,
    }


def figures(state: CustomerState, at_s: float, scorer: Scorer = DEFAULT) -> dict[str, Any]:
    """Return every score of a row at a time by name, with all contributions."""
    found: Assessment = assess(scorer, state, at_s)
    return {
        "experience": found.experience.score,
        "service": found.service.score,
        "experience coverage": found.experience.coverage,
        "service coverage": found.service.coverage,
        "gap": found.gap,
        "trend": found.trend,
        "band": found.band,
        "churn": found.churn.logit if found.churn else None,
        **{f"{each['ledger']} {each['driver']}": each["points"] for each in found.drivers},
        **{f"logit {each['driver']}": each["logit"] for each in found.churn_drivers},
        **{f"last {name}": value for name, value in (found.last or {}).items()},
    }


def _derived(case: Case) -> tuple[Any, ...]:
    """Return what was derived from a case's facts."""
    return case.key, case.weight, case.since_s, case.until_s, case.mended_s, case.credit, case.in_time


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
