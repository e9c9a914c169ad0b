"""Touchpoints about the customer, and what the company did about an alert."""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta

from schemas.currencies import Priced, hold_currency
from schemas.envelope import Touchpoint
from schemas.families.promises import check_zone
from schemas.fields import Channel, Currency, Data, Id, Money, SignedMoney, Text, Time, Zone, says

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Outcome = Literal["churned", "retained", "saved", "false_alarm"]
Channels = Annotated[tuple[Channel, ...], Meta(max_length=12)]


class CustomerUpdatedData(Data, frozen=True, kw_only=True):
    """Fields of the profile; those left out stay as they are."""

    segment: Annotated[Id | None, says("Segment, such as family or business.")] = None
    tier: Annotated[Id | None, says("Loyalty tier.")] = None
    lifetime_value: Annotated[SignedMoney | None, says("Expected lifetime value in minor units.")] = None
    currency: Annotated[Currency | None, says("ISO 4217; without it, the policy's.")] = None
    owner: Annotated[Id | None, says("Who looks after the customer.")] = None
    home_store_id: Annotated[Id | None, says("The customer's usual store.")] = None
    locale: Annotated[Zone | None, says("Language and region, such as de-DE.")] = None
    timezone: Annotated[Zone | None, says("IANA time zone.")] = None
    since: Annotated[date | None, says("Customer since that day.")] = None
    contact_by: Annotated[Channels | None, says("Channels on which the customer may be contacted.")] = None

    def __post_init__(self) -> None:
        """Require a time zone that exists, and a code of a currency."""
        check_zone(self.timezone)
        hold_currency(self)


class CustomerUpdated(Touchpoint, frozen=True, kw_only=True, tag="cx.customer.updated.v1"):
    """Something about the customer changed; the last by event time wins, field by field."""

    data: CustomerUpdatedData = CustomerUpdatedData()


class AlertActionData(Data, frozen=True, kw_only=True):
    """Someone's hand on an alert."""

    alert_id: Annotated[Id, says("The alert.")]
    by: Annotated[Id | None, says("Who did it.")] = None
    note: Annotated[Text | None, says("A remark.")] = None


class AlertAcknowledged(Touchpoint, frozen=True, kw_only=True, tag="cx.alert.acknowledged.v1"):
    """Someone took the alert on."""

    data: AlertActionData


class AlertSnoozedData(AlertActionData, frozen=True, kw_only=True):
    """A pause."""

    until: Annotated[Time | None, says("Not to be heard of before then.")] = None


class AlertSnoozed(Touchpoint, frozen=True, kw_only=True, tag="cx.alert.snoozed.v1"):
    """Someone put the alert off."""

    data: AlertSnoozedData


class AlertClosedData(AlertActionData, frozen=True, kw_only=True):
    """The end of a case."""

    outcome: Annotated[Outcome | None, says("How it turned out, where that is known.")] = None


class AlertClosed(Touchpoint, frozen=True, kw_only=True, tag="cx.alert.closed.v1"):
    """Someone closed the alert."""

    data: AlertClosedData


class ActionTakenData(Data, Priced, frozen=True, kw_only=True):
    """What was done for the customer."""

    kind: Annotated[Id | None, says("What was done, such as call, email or voucher.")] = None
    alert_id: Annotated[Id | None, says("The alert it answers.")] = None
    action_id: Annotated[Id | None, says("The action.")] = None
    cost: Annotated[Money | None, says("What it cost, in minor units.")] = None
    currency: Annotated[Currency | None, says("ISO 4217; without it, the policy's.")] = None
    by: Annotated[Id | None, says("Who did it.")] = None


class ActionTaken(Touchpoint, frozen=True, kw_only=True, tag="cx.action.taken.v1"):
    """The company did something to keep the customer."""

    data: ActionTakenData = ActionTakenData()


class OutcomeRecordedData(Data, frozen=True, kw_only=True):
    """How it turned out."""

    outcome: Annotated[Outcome, says("churned, retained, saved (by an action) or false_alarm.")]
    alert_id: Annotated[Id | None, says("The alert it judges.")] = None


class OutcomeRecorded(Touchpoint, frozen=True, kw_only=True, tag="cx.outcome.recorded.v1"):
    """It became known whether the customer stayed."""

    data: OutcomeRecordedData


class MessageUnsubscribedData(Data, frozen=True, kw_only=True):
    """Messages no longer wanted."""

    list_id: Annotated[Id | None, says("The list or kind of message; without it, all.")] = None


class MessageUnsubscribed(Touchpoint, frozen=True, kw_only=True, tag="cx.message.unsubscribed.v1"):
    """The customer no longer wants to hear from the company."""

    data: MessageUnsubscribedData = MessageUnsubscribedData()


class CustomerForgottenData(Data, frozen=True, kw_only=True):
    """Who may ask for it, and what is to go."""

    proof: Annotated[Digest, says("HMAC-SHA256 by which `cx forget` shows that it holds the key.")]
    alert_ids: Annotated[
        tuple[Id, ...], Meta(max_length=5_000), says("Alerts of the customer that were found on cx.alerts.")
    ] = ()


class CustomerForgotten(Touchpoint, frozen=True, kw_only=True, tag="cx.customer.forgotten.v1"):
    """The customer is to be forgotten: everything kept goes, and nothing more is kept; by `cx forget`."""

    data: CustomerForgottenData
