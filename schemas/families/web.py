"""Touchpoints of the site and the app."""

from typing import Annotated

from schemas.currencies import Priced
from schemas.envelope import Touchpoint
from schemas.fields import Count, Currency, Data, Id, Money, Seconds, Text, says


class PageViewedData(Data, frozen=True, kw_only=True):
    """A page or screen."""

    page: Annotated[Text | None, says("Path or name of the page or screen.")] = None
    referrer: Annotated[Text | None, says("Where the customer came from.")] = None
    load_s: Annotated[Seconds | None, says("How long the page took to show.")] = None


class PageViewed(Touchpoint, frozen=True, kw_only=True, tag="cx.page.viewed.v1"):
    """A page or screen was viewed: neutral."""

    data: PageViewedData = PageViewedData()


class SearchPerformedData(Data, frozen=True, kw_only=True):
    """A search in the shop."""

    results: Annotated[Count | None, says("Number of results; 0 is a dead end.")] = None
    query: Annotated[Text | None, says("What was searched for.")] = None


class SearchPerformed(Touchpoint, frozen=True, kw_only=True, tag="cx.search.performed.v1"):
    """The customer searched the shop."""

    data: SearchPerformedData = SearchPerformedData()


class ErrorShownData(Data, frozen=True, kw_only=True):
    """An error on a page."""

    page: Annotated[Text | None, says("Path or name of the page or screen.")] = None
    code: Annotated[Id | None, says("Status or error code.")] = None


class ErrorShown(Touchpoint, frozen=True, kw_only=True, tag="cx.error.shown.v1"):
    """The customer was shown an error."""

    data: ErrorShownData = ErrorShownData()


class RageClickedData(Data, frozen=True, kw_only=True):
    """Clicks that did nothing."""

    page: Annotated[Text | None, says("Path or name of the page or screen.")] = None
    element: Annotated[Text | None, says("What was clicked.")] = None
    clicks: Annotated[Count | None, says("Number of clicks.")] = None


class RageClicked(Touchpoint, frozen=True, kw_only=True, tag="cx.rage.clicked.v1"):
    """The customer clicked the same thing again and again."""

    data: RageClickedData = RageClickedData()


class FormAbandonedData(Data, frozen=True, kw_only=True):
    """A form left half filled."""

    form: Annotated[Text | None, says("Name of the form.")] = None
    step: Annotated[Text | None, says("The field or step where it was left.")] = None


class FormAbandoned(Touchpoint, frozen=True, kw_only=True, tag="cx.form.abandoned.v1"):
    """The customer gave up on a form."""

    data: FormAbandonedData = FormAbandonedData()


class CartAbandonedData(Data, Priced, frozen=True, kw_only=True):
    """A cart left behind."""

    total: Annotated[Money | None, says("Value of the cart in minor units.")] = None
    currency: Annotated[Currency | None, says("ISO 4217; without it, the policy's.")] = None
    items: Annotated[Count | None, says("Number of items in the cart.")] = None


class CartAbandoned(Touchpoint, frozen=True, kw_only=True, tag="cx.cart.abandoned.v1"):
    """The customer left a cart behind."""

    data: CartAbandonedData = CartAbandonedData()


class CheckoutFailedData(Data, Priced, frozen=True, kw_only=True):
    """A checkout that did not go through."""

    step: Annotated[Text | None, says("The step that failed.")] = None
    total: Annotated[Money | None, says("Value of the order in minor units.")] = None
    currency: Annotated[Currency | None, says("ISO 4217; without it, the policy's.")] = None


class CheckoutFailed(Touchpoint, frozen=True, kw_only=True, tag="cx.checkout.failed.v1"):
    """The customer wanted to buy and could not."""

    data: CheckoutFailedData = CheckoutFailedData()


class CancelPageViewedData(Data, frozen=True, kw_only=True):
    """The page where one leaves."""

    page: Annotated[Text | None, says("Path or name of the page or screen.")] = None
    subscription_id: Annotated[Id | None, says("What may be cancelled.")] = None


class CancelPageViewed(Touchpoint, frozen=True, kw_only=True, tag="cx.cancel_page.viewed.v1"):
    """The customer looked at how to leave: declared intent."""

    data: CancelPageViewedData = CancelPageViewedData()
