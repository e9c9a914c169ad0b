"""From touchpoints to signals: what each type says about how a moment felt."""

from typing import Any

import pytest

from schemas.touchpoints import TYPES
from streams.scoring.signals import FIXED, INTENTS, READERS, Group, Intent, intent_of
from tests.customers import DEFAULT, event, scorer

LATER = "2026-01-02T00:00:00Z"
EARLIER = "2025-12-31T00:00:00Z"
OUTBOUND = {"direction": "outbound"}
PUBLIC = {"reach": 1000}

# type, data -> (driver, value, weight, in service) of each signal
READ: list[tuple[str, dict[str, Any], list[tuple[str, float, float, bool]]]] = [
    ("page.viewed", {}, []),
    ("order.placed", {}, [("purchase", 85, 1, False)]),
    ("delivery.delivered", {}, []),
    ("delivery.delivered", {"promised_at": LATER}, [("delivery_on_time", 85, 1, False)]),
    (
        "delivery.delivered",
        {"promised_at": "2026-01-01T01:00:00+01:00"},
        [("delivery_on_time", 85, 1, False)],
    ),
    ("delivery.delivered", {"promised_at": EARLIER}, [("late_delivery", 0, 1.5, False)]),
    ("delivery.failed", {}, [("failed_delivery", 0, 3, False)]),
    ("delivery.rescheduled", {"by": "customer"}, []),
    ("delivery.rescheduled", {"by": "company"}, [("rescheduled_delivery", 0, 1, False)]),
    ("delivery.rescheduled", {}, [("rescheduled_delivery", 0, 1, False)]),
    ("order.cancelled", {"by": "company"}, [("cancelled_by_company", 0, 2, False)]),
    ("order.cancelled", {"by": "customer"}, []),
    ("order.cancelled", {}, []),
    ("order.returned", {}, [("returned", 55, 0.1, False)]),
    ("order.refunded", {}, []),
    ("order.refunded", {"requested_at": "2100-01-01T00:00:00Z"}, []),  # paid before it was asked for
    ("order.refunded", {"requested_at": "2025-12-27T00:00:00Z"}, [("refund_prompt", 85, 0.5, True)]),
    ("order.refunded", {"requested_at": "2025-12-20T00:00:00Z"}, []),
    ("order.refunded", {"requested_at": "2025-12-17T00:00:00Z"}, [("refund_slow", 0, 1, True)]),
    ("payment.failed", {}, [("payment_failed", 0, 1, False)]),
    ("subscription.renewed", {}, [("renewal", 85, 1, False)]),
    ("subscription.downgraded", {}, [("downgrade", 30, 1, False)]),
    ("search.performed", {"results": 3}, []),
    ("search.performed", {}, []),
    ("search.performed", {"results": 0}, [("search_no_results", 0, 0.1, False)]),
    ("error.shown", {}, [("site_error", 0, 0.3, False)]),
    ("rage.clicked", {}, [("rage_click", 0, 0.1, False)]),
    ("form.abandoned", {}, [("form_abandoned", 0, 0.1, False)]),
    ("cart.abandoned", {}, [("cart_abandoned", 0, 0.1, False)]),
    ("checkout.failed", {}, [("checkout_failed", 0, 1, False)]),
    ("cancel_page.viewed", {}, []),
    ("store.visited", {}, [("store_visit", 80, 0.5, False)]),
    ("visit.assisted", {}, [("assisted_visit", 90, 1, True)]),
    ("stockout.hit", {}, [("stockout", 0, 0.5, False)]),
    ("social.mentioned", {"sentiment": -1, "direction": "outbound"}, []),
    ("queue.waited", {}, []),
    ("queue.waited", {"wait_s": 119}, []),
    ("queue.waited", {"wait_s": 120}, [("waiting", 0, 0.5, True)]),
    ("queue.waited", {"wait_s": 600}, [("waiting", 0, 1, True)]),
    ("queue.waited", {"wait_s": 600, "abandoned": True}, [("abandoned_contact", 0, 1.5, True)]),
    ("complaint.raised", {}, [("complaint", 0, 2, False)]),
    ("complaint.raised", {"public": True}, [("public_complaint", 0, 2, False)]),
    ("complaint.raised", OUTBOUND, []),
    ("help.searched", {"results": 0}, [("help_not_found", 0, 0.3, True)]),
    ("help.searched", {"results": 1}, []),
    ("bot.resolved", {}, [("self_service", 85, 0.5, True)]),
    ("bot.handed_off", {}, [("bot_handoff", 0, 0.3, True)]),
    ("ivr.ended", {"result": "contained"}, [("self_service", 85, 0.5, True)]),
    ("ivr.ended", {"result": "abandoned"}, [("abandoned_contact", 0, 1.5, True)]),
    ("ivr.ended", {"result": "to_agent"}, []),
    ("ivr.ended", {"result": "abandoned"} | OUTBOUND, []),
    ("queue.waited", {"wait_s": 10_000} | OUTBOUND, []),
    ("call.ended", {}, [("contact_needed", 0, 0.3, False)]),
    ("call.ended", OUTBOUND, []),
    (
        "call.ended",
        {"abandoned": True},
        [("contact_needed", 0, 0.3, False), ("abandoned_contact", 0, 1.5, True)],
    ),
    ("call.ended", {"abandoned": True} | OUTBOUND, []),
    (
        "call.ended",
        {"wait_s": 60, "hold_s": 60},
        [("contact_needed", 0, 0.3, False), ("waiting", 0, 0.5, True)],
    ),
    ("call.ended", {"wait_s": 900} | OUTBOUND, []),
    ("call.ended", {"transfers": 1}, [("contact_needed", 0, 0.3, False)]),
    ("call.ended", {"transfers": 2}, [("contact_needed", 0, 0.3, False), ("handed_around", 0, 0.5, True)]),
    ("call.ended", {"resolved": "yes"}, [("contact_needed", 0, 0.3, False), ("resolved", 90, 1.5, True)]),
    (
        "call.ended",
        {"resolved": "yes", "sentiment": 0.5},
        [("contact_needed", 0, 0.3, False), ("great_service", 95, 2, True)],
    ),
    (
        "call.ended",
        {"resolved": "yes", "sentiment": -0.9},
        [("contact_needed", 0, 0.3, False), ("resolved", 90, 1.5, True)],
    ),
    (
        "call.ended",
        {"resolved": "no", "sentiment": -0.5},
        [("contact_needed", 0, 0.3, False), ("unresolved", 0, 2, True), ("sentiment", 25, 0.5, True)],
    ),
    ("call.ended", {"resolved": "no"}, [("contact_needed", 0, 0.3, False), ("unresolved", 0, 2, True)]),
    ("call.ended", {"sentiment": 0.19}, [("contact_needed", 0, 0.3, False)]),
    ("call.ended", {"sentiment": 1}, [("contact_needed", 0, 0.3, False), ("sentiment", 100, 0.5, True)]),
    ("chat.ended", {"wait_s": 600}, [("contact_needed", 0, 0.3, False), ("waiting", 0, 1, True)]),
    ("chat.ended", {"resolved": "no"} | OUTBOUND, [("unresolved", 0, 2, True)]),
    ("ticket.created", {}, [("contact_needed", 0, 0.3, False)]),
    (
        "ticket.created",
        {"sentiment": -1},
        [("contact_needed", 0, 0.3, False), ("sentiment", 0, 0.5, True)],
    ),
    ("ticket.created", OUTBOUND, []),
    ("ticket.replied", {}, []),
    ("ticket.reopened", {}, [("reopened", 0, 1.5, True)]),
    ("ticket.solved", {}, [("resolved", 90, 1.5, True)]),
    ("ticket.solved", {"sentiment": 0.9}, [("great_service", 95, 2, True)]),
    ("ticket.escalated", {}, [("escalated", 0, 4, True)]),
    ("social.mentioned", {}, []),
    ("social.mentioned", {"sentiment": -0.2} | PUBLIC, [("public_complaint", 0, 4, False)]),
    ("social.mentioned", {"sentiment": -0.2, "reach": 999}, [("public_complaint", 0, 2, False)]),
    ("social.mentioned", {"sentiment": 0.1} | PUBLIC, []),
    ("social.mentioned", {"sentiment": 0.5} | PUBLIC, [("public_praise", 100, 2, False)]),
    ("review.posted", {"sentiment": -1} | PUBLIC, [("public_complaint", 0, 4, False)]),
    ("review.posted", {"rating": 1}, [("bad_review", 0, 1, False)]),
    ("review.posted", {"rating": 3}, []),
    ("review.posted", {"rating": 5, "sentiment": -1}, [("public_praise", 100, 1, False)]),
    ("survey.answered", {"survey": "csat", "score": 5}, [("csat", 100, 2, True)]),
    ("survey.answered", {"survey": "csat", "score": 1, "aspect": "people"}, [("csat", 0, 2, True)]),
    ("survey.answered", {"survey": "csat", "score": 3, "aspect": "price"}, [("csat_price", 50, 2, False)]),
    ("survey.answered", {"survey": "csat", "score": 1, "aspect": "product"}, [("csat_product", 0, 2, False)]),
    ("survey.answered", {"survey": "csat", "score": 1, "aspect": "parking"}, [("csat_other", 0, 2, False)]),
    ("survey.answered", {"survey": "ces", "score": 1, "aspect": "price"}, [("ces", 0, 1, False)]),
    ("survey.answered", {"survey": "csat", "score": 3, "scope": "relational"}, [("csat", 50, 2, False)]),
    ("survey.answered", {"survey": "ces", "score": 7}, [("ces", 100, 1, True)]),
    (
        "survey.answered",
        {"survey": "ces", "score": 1, "scale_min": 1, "scale_max": 5, "high_is_good": False},
        [("ces", 100, 1, True)],
    ),
    ("survey.answered", {"survey": "nps", "score": 10}, [("nps", 100, 1.5, False)]),
    ("survey.answered", {"survey": "nps", "score": 9}, [("nps", 100, 1.5, False)]),
    ("survey.answered", {"survey": "nps", "score": 8}, [("nps", 65, 1.5, False)]),
    ("survey.answered", {"survey": "nps", "score": 7}, [("nps", 65, 1.5, False)]),
    ("survey.answered", {"survey": "nps", "score": 6}, [("nps", 40, 1.5, False)]),
    ("survey.answered", {"survey": "nps", "score": 3}, [("nps", 20, 1.5, False)]),
    ("survey.answered", {"survey": "nps", "score": 0, "scope": "transactional"}, [("nps", 0, 1.5, True)]),
    ("survey.sent", {}, []),
    ("customer.updated", {}, []),
    ("message.unsubscribed", {}, []),
]


@pytest.mark.parametrize(("kind", "data", "expected"), READ, ids=[f"{kind} {data}" for kind, data, _ in READ])
def test_signals_of(kind: str, data: dict[str, Any], expected: list[tuple[str, float, float, bool]]):
    """A touchpoint gives the signals of its type, graded by its data."""
    _, _, found = DEFAULT.read(event(kind, **data))

    assert [_seen(signal) for signal in found] == [
        (name, pytest.approx(value), weight, service) for name, value, weight, service in expected
    ]


def _seen(signal: Any) -> tuple[str, float, float, bool]:
    """Return a signal as (driver, value, weight, in service), with v from a = w'(v - mu)."""
    effective = signal.weight * (1.5 if signal.a < 0 else 1.0)
    return signal.driver, 65.0 + signal.a / effective, signal.weight, signal.service


def test_every_type_is_judged():
    """Each type either gives signals or shows intent, or is listed here as neutral."""
    neutral = {
        "cx.page.viewed.v1",
        "cx.delivery.promised.v1",
        "cx.ticket.replied.v1",
        "cx.survey.sent.v1",
        "cx.promise.made.v1",
        "cx.promise.kept.v1",
        "cx.promise.withdrawn.v1",
        "cx.customer.updated.v1",
        "cx.alert.acknowledged.v1",
        "cx.alert.snoozed.v1",
        "cx.alert.closed.v1",
        "cx.action.taken.v1",
        "cx.customer.forgotten.v1",
        "cx.outcome.recorded.v1",
    }
    telling = {str(each.__struct_config__.tag) for each in {*FIXED, *READERS, *INTENTS}}

    assert telling | neutral == set(TYPES)
    assert not telling & neutral


def test_drivers_of_the_table_exist():
    """Every driver of the default policy is given by some event of the table above, or by the register."""
    given = {name for _, _, signals in READ for name, *_ in signals}

    assert given | {"promise_broken", "target_missed", "repeat_contact"} == set(DEFAULT.policy.drivers)


def test_terms_of_a_bad_signal():
    """A bad moment weighs more by the asymmetry, and its q is its share of the way down to 0."""
    (bad,) = DEFAULT.signals.graded("csat", 13.0)

    assert (bad.a, bad.q, bad.m, bad.group) == (3.0 * -52, pytest.approx(3.0 * 0.8), 156.0, Group.PLAIN)


def test_terms_of_a_good_signal():
    """A good moment weighs its weight, and its q is its share of the way up to 100."""
    (good,) = DEFAULT.signals.graded("csat", 93.0)

    assert (good.a, good.q, good.group) == (2.0 * 28, pytest.approx(2.0 * 0.8), Group.SERVICE)


@pytest.mark.parametrize(
    ("driver", "group"),
    [
        ("purchase", Group.ROUTINE),
        ("resolved", Group.SERVICE),
        ("public_praise", Group.PLAIN),
        ("complaint", Group.PLAIN),
    ],
)
def test_groups(driver: str, group: Group):
    """Routine good moments and good service saturate; all else is plain."""
    (signal,) = DEFAULT.signals.full(driver)

    assert signal.group is group
    assert signal.key == signal.code * 8 + group * 2 + signal.service


def test_bad_routine_moments_do_not_saturate():
    """A group holds good signals only: a policy that finds purchases bad counts them in full."""
    table = scorer(drivers={"purchase": {"value": 20}}).signals

    assert table.full("purchase")[0].group is Group.PLAIN


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("cancel_page.viewed", {}, Intent.CANCEL_PAGE),
        ("subscription.cancelled", {}, Intent.CANCELLED),
        ("subscription.cancelled", {"by": "customer"}, Intent.CANCELLED),
        ("subscription.cancelled", {"by": "company"}, None),
        ("complaint.raised", {}, Intent.COMPLAINT),
        ("complaint.raised", OUTBOUND, None),
        ("message.unsubscribed", {}, Intent.UNSUBSCRIBE),
        ("page.viewed", {}, None),
    ],
)
def test_intent(kind: str, data: dict[str, Any], expected: Intent | None):
    """Intent to leave is what the customer declares, not what the company does."""
    assert intent_of(event(kind, **data)) is expected
