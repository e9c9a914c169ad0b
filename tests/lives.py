"""Hypothesis strategies: lives of customers in touchpoints, and readings of the rows that they leave."""

from typing import Any, Final

from hypothesis import strategies as st

from schemas.envelope import Touchpoint
from streams.scoring.apply import Scorer
from streams.scoring.explain import Assessment, assess
from streams.scoring.state import A_RECENT, Q_RECENT, CustomerState
from tests.customers import DEFAULT, event

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
def lives(draw: st.DrawFn, *, first: float = 0.0, last: float = 64.0, most: int = 20) -> list[Touchpoint]:
    """Return 1 to `most` events between two days from START, in any order, each with an id of its own."""
    moments = draw(
        st.lists(st.tuples(st.sampled_from(MOMENTS), days(first, last)), min_size=1, max_size=most)
    )
    return [
        event(kind, day, id=f"{first}-{number}", source=f"/source/{number % 2}", **data)
        for number, ((kind, data), day) in enumerate(moments)
    ]


def evidence(state: CustomerState, at_s: float, scorer: Scorer = DEFAULT) -> dict[str, Any]:
    """Return all evidence in a row as of one time: sums decayed to it, and what does not decay as it is."""
    ledger, churn = scorer.ledger, scorer.churn

    def decay(half_life_s: float) -> float:
        return 2.0 ** ((state.ref_s - at_s) / half_life_s)

    slow, fast = decay(ledger.half_life_s), decay(ledger.recent_half_life_s)
    rhythm = state.rhythm
    return {
        "newest": state.newest_s,
        "events": state.events,
        "peaks": dict(sorted(state.peaks.items())),
        "last": state.last,
        "rhythm": rhythm and (rhythm.first_day, rhythm.last_day, rhythm.repeats, rhythm.days, rhythm.months),
        "profile": {key: (at, _plain(value)) for key, (at, value) in sorted(state.profile.items())},
        **{f"points {key}": a * slow for key, a in sorted(state.points.items())},
        **{
            f"mass {k}": x * (fast if k in (A_RECENT, Q_RECENT) else slow)
            for k, x in sorted(state.mass.items())
        },
        **{f"intent {k}": x * decay(churn.intent_half_life_s) for k, x in sorted(state.intents.items())},
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


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
