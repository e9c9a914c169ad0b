"""Touchpoints of the stores, and complaints wherever they are raised."""

from typing import Annotated

from schemas.envelope import Touchpoint
from schemas.fields import Data, Id, Seconds, Text, says


class StoreVisitedData(Data, frozen=True, kw_only=True):
    """A visit."""

    visit_id: Annotated[Id | None, says("The visit.")] = None
    duration_s: Annotated[Seconds | None, says("How long it lasted.")] = None


class StoreVisited(Touchpoint, frozen=True, kw_only=True, tag="cx.store.visited.v1"):
    """The customer came to a store."""

    data: StoreVisitedData = StoreVisitedData()


class QueueWaitedData(Data, frozen=True, kw_only=True):
    """A wait in a store."""

    wait_s: Annotated[Seconds | None, says("How long the customer waited.")] = None
    abandoned: Annotated[bool | None, says("True if the customer left before being served.")] = None
    visit_id: Annotated[Id | None, says("The visit.")] = None


class QueueWaited(Touchpoint, frozen=True, kw_only=True, tag="cx.queue.waited.v1"):
    """The customer stood in a queue."""

    data: QueueWaitedData = QueueWaitedData()


class VisitAssistedData(Data, frozen=True, kw_only=True):
    """Help by staff."""

    visit_id: Annotated[Id | None, says("The visit.")] = None
    employee_id: Annotated[Id | None, says("Who helped.")] = None
    duration_s: Annotated[Seconds | None, says("How long it took.")] = None


class VisitAssisted(Touchpoint, frozen=True, kw_only=True, tag="cx.visit.assisted.v1"):
    """A member of staff helped the customer."""

    data: VisitAssistedData = VisitAssistedData()


class StockoutHitData(Data, frozen=True, kw_only=True):
    """Goods that were not there."""

    sku: Annotated[Id | None, says("The article that was missing.")] = None
    visit_id: Annotated[Id | None, says("The visit.")] = None


class StockoutHit(Touchpoint, frozen=True, kw_only=True, tag="cx.stockout.hit.v1"):
    """The customer wanted something that was out of stock."""

    data: StockoutHitData = StockoutHitData()


class ComplaintRaisedData(Data, frozen=True, kw_only=True):
    """A complaint."""

    complaint_id: Annotated[Id | None, says("The complaint.")] = None
    about: Annotated[Text | None, says("What it is about, such as delivery, staff or price.")] = None
    public: Annotated[bool | None, says("True if others can read it.")] = None


class ComplaintRaised(Touchpoint, frozen=True, kw_only=True, tag="cx.complaint.raised.v1"):
    """The customer complained, on any channel."""

    data: ComplaintRaisedData = ComplaintRaisedData()
