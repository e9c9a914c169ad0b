"""From touchpoints to signals: how a moment felt, how much it matters, and who served.

A `Signal` carries what the ledger needs, computed once: most moments have no grade, so their signals are
made when the policy is read, and readers grade the others. Neutral acts give none (see
`scoring.kinds.Kind.signals`).
"""

import math
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, cast

from mypy_extensions import mypyc_attr

from schemas.arrivals import Arrival
from schemas.envelope import Touchpoint
from schemas.families import customers, orders, store, support, voice, web
from streams.scoring.maths import log2
from streams.scoring.policy import DAY_S, DriverSection, Policy

SERVICE_ASPECTS: Final = frozenset({"people", "speed", "service", "support", "staff"})
ASPECT_DRIVERS: Final = {"price": "csat_price", "product": "csat_product"}
"""Aspects of CSAT with a driver of their own; others that are not of the service are `csat_other`."""


class Group(IntEnum):
    """Good moments that saturate together; bad ones are always `PLAIN`."""

    PLAIN = 0
    ROUTINE = 1
    SERVICE = 2


GROUP_BITS: Final = 6  # of `Signal.key`
ROUTINE_BITS: Final = 2  # twice `Group.ROUTINE`


class Intent(IntEnum):
    """What the customer said or did about leaving."""

    CANCEL_PAGE = 0
    COMPLAINT = 1
    UNSUBSCRIBE = 2
    CANCELLED = 3


@mypyc_attr(acyclic=True)
class Signal:
    """One moment as the ledger counts it."""

    __slots__ = ("a", "code", "driver", "group", "key", "log2_m", "m", "q", "service", "weight")

    def __init__(  # each is a term of the formula
        self,
        driver: str,
        section: DriverSection,
        value: float,
        weight: float,
        policy: Policy,
        *,
        service: bool,
    ) -> None:
        mu = policy.ledger.prior
        good = value >= mu
        effective = weight if good else weight * policy.ledger.asymmetry
        self.driver = driver
        self.code = section.code
        self.weight = weight
        self.service = service
        self.group = _group(section, good=good, service=service)
        self.key = section.code * 8 + self.group * 2 + service
        self.a = effective * (value - mu)
        self.q = effective * ((value - mu) / (100 - mu) if good else (mu - value) / mu)
        self.m = abs(self.a)
        self.log2_m = log2(self.m) if self.m else -math.inf


def _group(section: DriverSection, *, good: bool, service: bool) -> Group:
    if not good:
        return Group.PLAIN
    if service:
        return Group.SERVICE
    return Group.ROUTINE if section.group == "routine" else Group.PLAIN


Signals = tuple[Signal, ...]
Reader = Callable[["SignalTable", Any, Arrival], Signals]


class SignalTable:
    """The signals of every type of touchpoint under one policy."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._full: dict[str, Signals] = {name: (self._make(name),) for name in policy.drivers}
        self._half: dict[str, Signals] = {name: (self._make(name, share=0.5),) for name in policy.drivers}
        self.kept_late = (self._make("promise_broken", share=policy.promises.kept_late_share),)
        """What a delivery with an id gives that came after its time: the register knows its promise."""
        limits = policy.signals
        self.wait_ordinary_s = limits.wait_ordinary_s
        self.wait_long_s = limits.wait_long_s
        self.transfers = limits.transfers
        self.glad = limits.sentiment_glad
        self.neutral = limits.sentiment_neutral
        self.reach = limits.reach_public
        self.prompt_days = limits.refund_prompt_days
        self.slow_days = limits.refund_slow_days

    def fixed(self, kind: type[Touchpoint]) -> Signals:
        """Return the signals that every event of a type gives."""
        driver = FIXED.get(kind)
        return () if driver is None else self.full(driver)

    @staticmethod
    def reader(kind: type[Touchpoint]) -> Reader | None:
        """Return what makes the signals of a type whose events differ."""
        return READERS.get(kind)

    def full(self, name: str) -> Signals:
        """Return driver `name` at its policy's value and weight."""
        return self._full[name]

    def half(self, name: str) -> Signals:
        """Return driver `name` at half its weight."""
        return self._half[name]

    def graded(self, name: str, value: float, *, service: bool | None = None, share: float = 1.0) -> Signals:
        """Return driver `name` with its own `value` 0..100; `service` None is the driver's ledger."""
        return (self._make(name, value, service=service, share=share),)

    def _make(
        self, name: str, value: float | None = None, *, service: bool | None = None, share: float = 1.0
    ) -> Signal:
        section = self.policy.drivers[name]
        return Signal(
            name,
            section,
            section.value if value is None else value,
            section.weight * share,
            self.policy,
            service=section.service if service is None else service,
        )


def intent_of(touchpoint: Touchpoint) -> Intent | None:
    """Return the declared intent to leave that `touchpoint` shows, or None."""
    intent = INTENTS.get(type(touchpoint))
    if intent is None:
        return None
    if intent is Intent.COMPLAINT and is_outbound(touchpoint.data):
        return None
    if isinstance(touchpoint, orders.SubscriptionCancelled) and touchpoint.data.by == "company":
        return None
    return intent


def is_outbound(data: Any) -> bool:
    """Tell whether the company went to the customer."""
    direction: str | None = data.direction
    return direction == "outbound"


def _delivered(table: SignalTable, data: orders.DeliveryEndData, arrival: Arrival) -> Signals:
    promised_at = data.promised_at
    if promised_at is None:  # nobody can say whether a promise was kept
        return ()
    if arrival.time <= promised_at:
        return table.full("delivery_on_time")
    if data.order_id is None and data.delivery_id is None:
        return table.full("late_delivery")
    return table.kept_late


def _rescheduled(table: SignalTable, data: orders.DeliveryRescheduledData, _: Arrival) -> Signals:
    return () if data.by == "customer" else table.full("rescheduled_delivery")


def _cancelled(table: SignalTable, data: orders.OrderChangeData, _: Arrival) -> Signals:
    return table.full("cancelled_by_company") if data.by == "company" else ()


def _refunded(table: SignalTable, data: orders.OrderChangeData, arrival: Arrival) -> Signals:
    if data.requested_at is None:
        return ()
    days = (arrival.time.timestamp() - data.requested_at.timestamp()) / DAY_S
    if days < 0.0:  # paid before it was asked for: that says nothing of how long it took
        return ()
    if days <= table.prompt_days:
        return table.full("refund_prompt")
    return table.full("refund_slow") if days > table.slow_days else ()


def _searched(table: SignalTable, data: web.SearchPerformedData, _: Arrival) -> Signals:
    return table.full("search_no_results") if data.results == 0 else ()


def _help_searched(table: SignalTable, data: support.HelpSearchedData, _: Arrival) -> Signals:
    return table.full("help_not_found") if data.results == 0 else ()


def _waiting(table: SignalTable, wait_s: float) -> Signals:
    if wait_s >= table.wait_long_s:
        return table.full("waiting")
    return table.half("waiting") if wait_s >= table.wait_ordinary_s else ()


def _queue(table: SignalTable, data: store.QueueWaitedData, _: Arrival) -> Signals:
    if is_outbound(data):
        return ()
    return table.full("abandoned_contact") if data.abandoned else _waiting(table, data.wait_s or 0.0)


def _sentiment(table: SignalTable, sentiment: float | None) -> Signals:
    if sentiment is None or abs(sentiment) < table.neutral:
        return ()
    return table.graded("sentiment", 50.0 * (1.0 + sentiment))


def _how_it_went(table: SignalTable, resolved: str | None, sentiment: float | None) -> Signals:
    if resolved == "yes":
        glad = sentiment is not None and sentiment >= table.glad
        return table.full("great_service" if glad else "resolved")
    unresolved = table.full("unresolved") if resolved == "no" else ()
    return unresolved + _sentiment(table, sentiment)


def _call(table: SignalTable, data: support.CallEndedData, _: Arrival) -> Signals:
    return _conversation(table, data, data.hold_s or 0.0)


def _chat(table: SignalTable, data: support.ChatEndedData, _: Arrival) -> Signals:
    return _conversation(table, data, 0.0)


def _conversation(table: SignalTable, data: Any, held_s: float) -> Signals:
    """Signals of a call or a chat: who had to come, the wait, the hand-overs and the end."""
    outbound = is_outbound(data)
    signals = () if outbound else table.full("contact_needed")
    if data.abandoned:
        return signals if outbound else signals + table.full("abandoned_contact")
    if not outbound:
        wait_s: float | None = data.wait_s
        signals += _waiting(table, (wait_s or 0.0) + held_s)
    transfers: int | None = data.transfers
    if (transfers or 0) >= table.transfers:
        signals += table.full("handed_around")
    return signals + _how_it_went(table, data.resolved, data.sentiment)


def _ticket_created(table: SignalTable, data: support.TicketData, _: Arrival) -> Signals:
    return () if is_outbound(data) else table.full("contact_needed") + _sentiment(table, data.sentiment)


def _ticket_solved(table: SignalTable, data: support.TicketData, _: Arrival) -> Signals:
    return _how_it_went(table, "yes", data.sentiment)


def _ivr(table: SignalTable, data: support.IvrEndedData, _: Arrival) -> Signals:
    if is_outbound(data):
        return ()
    if data.result == "contained":
        return table.full("self_service")
    return table.full("abandoned_contact") if data.result == "abandoned" else ()


def _in_public(table: SignalTable, sentiment: float | None, reach: int | None, bad: str) -> Signals:
    """Signals of a public voice: full weight from the policy's reach on, half below or if unknown."""
    if sentiment is None:
        return ()
    weigh = table.full if (reach or 0) >= table.reach else table.half
    if sentiment <= -table.neutral:
        return weigh(bad)
    return weigh("public_praise") if sentiment >= table.glad else ()


def _social(table: SignalTable, data: voice.SocialMentionedData, _: Arrival) -> Signals:
    if is_outbound(data):
        return ()
    return _in_public(table, data.sentiment, data.reach, "public_complaint")


def _review(table: SignalTable, data: voice.ReviewPostedData, _: Arrival) -> Signals:
    sentiment = data.sentiment if data.goodness is None else 2.0 * data.goodness - 1.0
    wide = (data.reach or 0) >= table.reach
    return _in_public(table, sentiment, data.reach, "public_complaint" if wide else "bad_review")


def _complaint(table: SignalTable, data: store.ComplaintRaisedData, _: Arrival) -> Signals:
    if is_outbound(data):
        return ()
    return table.half("public_complaint") if data.public else table.full("complaint")


def _survey(table: SignalTable, data: voice.SurveyAnsweredData, _: Arrival) -> Signals:
    about_service = data.aspect is None or data.aspect in SERVICE_ASPECTS
    service = data.scope == "transactional" and about_service
    if data.survey == "nps":
        return table.graded("nps", _nps_value(data.goodness, table.policy.ledger.prior), service=service)
    driver: str = data.survey
    if driver == "csat" and data.aspect is not None and not about_service:
        driver = ASPECT_DRIVERS.get(data.aspect, "csat_other")
    return table.graded(driver, 100.0 * data.goodness, service=service)


def _nps_value(goodness: float, prior: float) -> float:
    """Grade an NPS answer: 9-10 promoters 100, 7-8 passives the prior, 0-6 detractors 0..40."""
    score = 10.0 * goodness
    if score >= 9:  # noqa: PLR2004  # the definition of NPS
        return 100.0
    return prior if score >= 7 else min(score, 6.0) / 6.0 * 40.0  # noqa: PLR2004


FIXED: Final[dict[type[Touchpoint], str]] = {
    orders.OrderPlaced: "purchase",
    orders.DeliveryFailed: "failed_delivery",
    orders.OrderReturned: "returned",
    orders.PaymentFailed: "payment_failed",
    orders.SubscriptionRenewed: "renewal",
    orders.SubscriptionDowngraded: "downgrade",
    store.StoreVisited: "store_visit",
    store.VisitAssisted: "assisted_visit",
    store.StockoutHit: "stockout",
    support.TicketReopened: "reopened",
    support.TicketEscalated: "escalated",
    support.BotResolved: "self_service",
    support.BotHandedOff: "bot_handoff",
    web.ErrorShown: "site_error",
    web.RageClicked: "rage_click",
    web.FormAbandoned: "form_abandoned",
    web.CartAbandoned: "cart_abandoned",
    web.CheckoutFailed: "checkout_failed",
}
READERS: Final[dict[type[Touchpoint], Reader]] = {
    orders.DeliveryDelivered: cast("Reader", _delivered),
    orders.DeliveryRescheduled: cast("Reader", _rescheduled),
    orders.OrderCancelled: cast("Reader", _cancelled),
    orders.OrderRefunded: cast("Reader", _refunded),
    web.SearchPerformed: cast("Reader", _searched),
    store.QueueWaited: cast("Reader", _queue),
    store.ComplaintRaised: cast("Reader", _complaint),
    support.HelpSearched: cast("Reader", _help_searched),
    support.CallEnded: cast("Reader", _call),
    support.ChatEnded: cast("Reader", _chat),
    support.TicketCreated: cast("Reader", _ticket_created),
    support.TicketSolved: cast("Reader", _ticket_solved),
    support.IvrEnded: cast("Reader", _ivr),
    voice.SocialMentioned: cast("Reader", _social),
    voice.ReviewPosted: cast("Reader", _review),
    voice.SurveyAnswered: cast("Reader", _survey),
}
INTENTS: Final[dict[type[Touchpoint], Intent]] = {
    web.CancelPageViewed: Intent.CANCEL_PAGE,
    orders.SubscriptionCancelled: Intent.CANCELLED,
    store.ComplaintRaised: Intent.COMPLAINT,
    customers.MessageUnsubscribed: Intent.UNSUBSCRIBE,
}
