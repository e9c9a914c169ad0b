"""Touchpoints of orders, deliveries, payments and subscriptions."""

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.currencies import Priced
from schemas.envelope import Touchpoint
from schemas.fields import Count, Currency, Data, Id, Money, Party, Text, Time, says


class Line(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One line of an order."""

    sku: Annotated[Id | None, says("The article.")] = None
    quantity: Annotated[Count | None, says("How many.")] = None
    amount: Annotated[Money | None, says("Price of the whole line in minor units.")] = None


Lines = Annotated[tuple[Line, ...], Meta(max_length=1000)]


class OrderPlacedData(Data, Priced, frozen=True, kw_only=True):
    """What was bought."""

    lines: Annotated[Lines | None, says("The lines of the order, at most 1000.")] = None
    total: Annotated[Money | None, says("What the customer pays, in minor units.")] = None
    discount: Annotated[Money | None, says("What was taken off, in minor units.")] = None
    currency: Annotated[Currency | None, says("ISO 4217; without it, the policy's.")] = None
    payment_method: Annotated[Id | None, says("How it is paid, such as card or invoice.")] = None
    promised_at: Annotated[Time | None, says("Delivery promised by then: opens the delivery promise.")] = None


class OrderPlaced(Touchpoint, frozen=True, kw_only=True, tag="cx.order.placed.v1"):
    """The customer bought."""

    data: OrderPlacedData = OrderPlacedData()


class OrderChangeData(Data, Priced, frozen=True, kw_only=True):
    """What was taken back."""

    amount: Annotated[Money | None, says("Value in minor units.")] = None
    currency: Annotated[Currency | None, says("ISO 4217; without it, the policy's.")] = None
    by: Annotated[Party | None, says("Who wanted it: customer or company.")] = None
    requested_at: Annotated[Time | None, says("When the customer asked for it.")] = None


class OrderCancelled(Touchpoint, frozen=True, kw_only=True, tag="cx.order.cancelled.v1"):
    """An order was cancelled: by the customer nearly neutral, by the company a failure."""

    data: OrderChangeData = OrderChangeData()


class OrderReturned(Touchpoint, frozen=True, kw_only=True, tag="cx.order.returned.v1"):
    """Goods were sent back."""

    data: OrderChangeData = OrderChangeData()


class OrderRefunded(Touchpoint, frozen=True, kw_only=True, tag="cx.order.refunded.v1"):
    """Money was paid back: good when fast and asked for."""

    data: OrderChangeData = OrderChangeData()


class DeliveryPromisedData(Data, frozen=True, kw_only=True):
    """A delivery date."""

    promised_at: Annotated[Time, says("Delivery promised by then.")]
    delivery_id: Annotated[Id | None, says("The parcel, where an order has several.")] = None


class DeliveryPromised(Touchpoint, frozen=True, kw_only=True, tag="cx.delivery.promised.v1"):
    """The customer was told when the delivery comes."""

    data: DeliveryPromisedData


class DeliveryRescheduledData(Data, frozen=True, kw_only=True):
    """Another delivery date."""

    promised_at: Annotated[Time | None, says("The new date; without it, none is known.")] = None
    by: Annotated[Party | None, says("Who moved it: customer or company.")] = None
    delivery_id: Annotated[Id | None, says("The parcel, where an order has several.")] = None


class DeliveryRescheduled(Touchpoint, frozen=True, kw_only=True, tag="cx.delivery.rescheduled.v1"):
    """The delivery was moved to another date."""

    data: DeliveryRescheduledData = DeliveryRescheduledData()


class DeliveryEndData(Data, frozen=True, kw_only=True):
    """How a delivery ended."""

    promised_at: Annotated[Time | None, says("What had been promised; without it, the order's promise.")] = (
        None
    )
    delivery_id: Annotated[Id | None, says("The parcel, where an order has several.")] = None


class DeliveryDelivered(Touchpoint, frozen=True, kw_only=True, tag="cx.delivery.delivered.v1"):
    """The delivery arrived."""

    data: DeliveryEndData = DeliveryEndData()


class DeliveryFailed(Touchpoint, frozen=True, kw_only=True, tag="cx.delivery.failed.v1"):
    """The delivery did not arrive, or arrived broken or wrong."""

    data: DeliveryEndData = DeliveryEndData()


class PaymentFailedData(Data, Priced, frozen=True, kw_only=True):
    """A payment that did not go through."""

    amount: Annotated[Money | None, says("Value in minor units.")] = None
    currency: Annotated[Currency | None, says("ISO 4217; without it, the policy's.")] = None
    payment_method: Annotated[Id | None, says("How it should have been paid.")] = None
    code: Annotated[Id | None, says("Error code of the payment provider.")] = None


class PaymentFailed(Touchpoint, frozen=True, kw_only=True, tag="cx.payment.failed.v1"):
    """A payment was refused."""

    data: PaymentFailedData = PaymentFailedData()


class SubscriptionData(Data, Priced, frozen=True, kw_only=True):
    """A subscription."""

    subscription_id: Annotated[Id | None, says("The subscription or contract.")] = None
    plan: Annotated[Text | None, says("The plan after the event.")] = None
    amount: Annotated[Money | None, says("Price of a period in minor units.")] = None
    currency: Annotated[Currency | None, says("ISO 4217; without it, the policy's.")] = None
    effective_at: Annotated[Time | None, says("When it takes effect.")] = None


class SubscriptionRenewed(Touchpoint, frozen=True, kw_only=True, tag="cx.subscription.renewed.v1"):
    """The customer stayed for another period."""

    data: SubscriptionData = SubscriptionData()


class SubscriptionDowngraded(Touchpoint, frozen=True, kw_only=True, tag="cx.subscription.downgraded.v1"):
    """The customer chose a smaller plan."""

    data: SubscriptionData = SubscriptionData()


class SubscriptionCancelledData(SubscriptionData, frozen=True, kw_only=True):
    """The end of a subscription."""

    by: Annotated[Party | None, says("Who ended it: customer or company.")] = None


class SubscriptionCancelled(Touchpoint, frozen=True, kw_only=True, tag="cx.subscription.cancelled.v1"):
    """The subscription was ended."""

    data: SubscriptionCancelledData = SubscriptionCancelledData()
