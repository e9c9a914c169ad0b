"""The one table of touchpoint types: each name with its Structs, its channel and its topic's family."""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from schemas.envelope import Touchpoint
from schemas.families import customers, orders, promises, store, support, voice, web
from schemas.fields import Data

Family = Literal["web", "store", "support", "actions"]


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A type of touchpoint.

    `channel` is where it usually happens, `family` names the input topic it belongs on if the event gives
    no channel, and `data_optional` tells that the event means something without data.
    """

    name: str
    touchpoint: type[Touchpoint]
    data: type[Data]
    channel: str
    family: Family
    data_optional: bool

    @property
    def meaning(self) -> str:
        """What the type says, in one sentence."""
        return (self.touchpoint.__doc__ or "").splitlines()[0]


def _info(touchpoint: type[Touchpoint], channel: str, family: Family) -> TypeInfo:
    data = next(field for field in msgspec.structs.fields(touchpoint) if field.name == "data")
    return TypeInfo(
        name=str(touchpoint.__struct_config__.tag),
        touchpoint=touchpoint,
        data=data.type,
        channel=channel,
        family=family,
        data_optional=not data.required,
    )


_TABLE: Final[tuple[tuple[type[Touchpoint], str, Family], ...]] = (
    (web.PageViewed, "web", "web"),
    (web.SearchPerformed, "web", "web"),
    (web.ErrorShown, "web", "web"),
    (web.RageClicked, "web", "web"),
    (web.FormAbandoned, "web", "web"),
    (web.CartAbandoned, "web", "web"),
    (web.CheckoutFailed, "web", "web"),
    (web.CancelPageViewed, "web", "web"),
    (orders.OrderPlaced, "web", "web"),
    (orders.OrderCancelled, "web", "web"),
    (orders.OrderReturned, "web", "web"),
    (orders.OrderRefunded, "web", "web"),
    (orders.DeliveryPromised, "web", "web"),
    (orders.DeliveryRescheduled, "web", "web"),
    (orders.DeliveryDelivered, "product", "web"),
    (orders.DeliveryFailed, "product", "web"),
    (orders.PaymentFailed, "web", "web"),
    (orders.SubscriptionRenewed, "web", "web"),
    (orders.SubscriptionDowngraded, "web", "web"),
    (orders.SubscriptionCancelled, "web", "web"),
    (store.StoreVisited, "store", "store"),
    (store.QueueWaited, "store", "store"),
    (store.VisitAssisted, "store", "store"),
    (store.StockoutHit, "store", "store"),
    (store.ComplaintRaised, "other", "web"),
    (support.TicketCreated, "email", "support"),
    (support.TicketReplied, "email", "support"),
    (support.TicketReopened, "email", "support"),
    (support.TicketSolved, "email", "support"),
    (support.TicketEscalated, "email", "support"),
    (support.CallEnded, "phone", "support"),
    (support.ChatEnded, "chat", "support"),
    (support.BotResolved, "chat", "support"),
    (support.BotHandedOff, "chat", "support"),
    (support.IvrEnded, "ivr", "support"),
    (support.HelpSearched, "web", "support"),
    (voice.SocialMentioned, "social", "web"),
    (voice.ReviewPosted, "review", "web"),
    (voice.SurveySent, "email", "web"),
    (voice.SurveyAnswered, "email", "web"),
    (promises.PromiseMade, "other", "web"),
    (promises.PromiseKept, "other", "web"),
    (promises.PromiseWithdrawn, "other", "web"),
    (customers.CustomerUpdated, "other", "web"),
    (customers.AlertAcknowledged, "other", "actions"),
    (customers.AlertSnoozed, "other", "actions"),
    (customers.AlertClosed, "other", "actions"),
    (customers.ActionTaken, "other", "actions"),
    (customers.OutcomeRecorded, "other", "actions"),
    (customers.MessageUnsubscribed, "email", "actions"),
    (customers.CustomerForgotten, "other", "actions"),
)

TYPES: Final[dict[str, TypeInfo]] = {info.name: info for info in (_info(*row) for row in _TABLE)}
