"""Scores as documents, with what made them."""

from typing import Any

import msgspec
import pytest

from schemas.envelope import Touchpoint
from schemas.outputs import ScoreUpdated
from streams.scoring.explain import assess, score_document
from tests.customers import DEFAULT, event, row, seconds

Life = list[Touchpoint]
LOYAL = [event("order.placed", 15 * n) for n in range(24)]
FAILED = event("delivery.failed", 346)


def document(life: Life, day: float) -> dict[str, Any]:
    """Return the score document of customer anna at a day."""
    state = row(life)
    return score_document(DEFAULT, "anna", state, assess(DEFAULT, state, seconds(day)))


@pytest.mark.parametrize(
    "life", [[FAILED], [*LOYAL, FAILED], [event("page.viewed")]], ids=["new", "loyal", "neutral"]
)
def test_scores_keep_the_contract(life: Life):
    """A score document is a ScoreUpdated, with each of its fields and no other."""
    found = document(life, 400)

    assert msgspec.convert(found, ScoreUpdated)
    assert set(found) == {field.name for field in msgspec.structs.fields(ScoreUpdated)}


def test_score_document():
    """A score says where the customer stands, when, by which policy, and what is not known."""
    found = document([FAILED], 347)

    assert found["customer_id"] == "anna"
    assert found["at"] == "2026-12-14T00:00:00Z"
    assert (found["prior"], found["service"], found["band"], found["events"]) == (65.0, 65.0, "critical", 1)
    assert (found["churn_probability"], found["churn_reason"], found["churn_drivers"]) == (
        None,
        "no_engagement",
        [],
    )
    assert (found["gap"], found["horizon_days"], found["policy_version"]) == (None, 90, DEFAULT.policy.hash)
    assert found["last_experience"]["driver"] == "failed_delivery"
    assert found["last_experience"]["age_s"] == 86_400.0
    assert [entry["driver"] for entry in found["drivers"]] == ["failed_delivery"]


def test_nothing_known():
    """Of a customer with neutral acts only, everything is the prior and the band unknown."""
    found = document([event("page.viewed")], 1)

    assert (found["experience"], found["service"], found["band"]) == (65.0, 65.0, "unknown")
    assert (found["drivers"], found["last_experience"], found["trend"]) == ([], None, 0.0)
    assert found["coverage"] == {"experience": 0.0, "service": 0.0}


def test_drivers_come_strongest_first():
    """Drivers of a ledger come by the size of their points, those of churn by the size of their logits."""
    found = document([*LOYAL, FAILED, event("rage.clicked", 346)], 347)
    points = [abs(entry["points"]) for entry in found["drivers"] if entry["ledger"] == "experience"]
    logits = [abs(entry["logit"]) for entry in found["churn_drivers"]]

    assert points == sorted(points, reverse=True)
    assert logits == sorted(logits, reverse=True)
    assert found["drivers"][0]["driver"] == "failed_delivery"


def test_a_signal_of_both_ledgers_is_listed_in_both():
    """What happened in service counts in the experience too, once in each."""
    found = document([event("ticket.reopened")], 0)

    assert [(entry["driver"], entry["ledger"]) for entry in found["drivers"]] == [
        ("reopened", "experience"),
        ("reopened", "service"),
    ]


GAP: list[tuple[str, Life, int]] = [
    ("service carries", [event("delivery.failed"), event("call.ended", 1, resolved="yes", sentiment=1)], 1),
    ("service spoils", [*LOYAL[:6], event("ticket.reopened", 80)], -1),
]


@pytest.mark.parametrize(("life", "sign"), [case[1:] for case in GAP], ids=[case[0] for case in GAP])
def test_gap(life: Life, sign: int):
    """The gap is service minus experience."""
    found = assess(DEFAULT, row(life), 0)

    assert found.gap == found.service.score - found.experience.score
    assert found.gap * sign > 0


def test_gap_needs_both_ledgers_known():
    """While one ledger is hardly known, the gap is null."""
    assert assess(DEFAULT, row(LOYAL), 0).gap is None
    assert assess(DEFAULT, row([event("ticket.reopened")]), seconds(400)).gap is None
