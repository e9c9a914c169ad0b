"""Scenes of a customer's life: purchases, deliveries, visits, calls and surveys."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, NamedTuple

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Moment(NamedTuple):
    """One thing that happens to a customer; `time` is epoch seconds, `planted` marks what the truth names."""

    time: int
    type: str
    channel: str
    data: dict[str, Any]
    planted: bool = False


class Chapter(NamedTuple):
    """What happens from one wake-up on, in any order, and when the customer's journey goes on."""

    moments: list[Moment]
    until: int


Journey = Iterator[Chapter]


@dataclass(slots=True)
class Customer:
    """A customer's habits, drawn once, and the truth about when they left."""

    id: str
    persona: str
    channel: str
    gap_days: float
    """Mean days between purchases: heavy-tailed over customers."""
    sessions: float
    """Mean browsing sessions between two purchases."""
    basket_minor: int
    store_id: str
    churned_at: int | None = None
    """After this moment the customer never buys again; None: they still would."""
    planted: list[dict[str, str]] = field(default_factory=list)
    orders: int = 0
    issues: int = 0


def draw_customer(customer_id: str, persona: str, rng: Random) -> Customer:
    """Draw the habits of one customer."""
    return Customer(
        id=customer_id,
        persona=persona,
        channel=rng.choices(("web", "app", "store"), (6, 2, 2))[0],
        gap_days=min(90.0, max(4.0, rng.lognormvariate(3.0, 0.6))),
        sessions=min(8.0, rng.paretovariate(1.6)),
        basket_minor=int(min(60_000.0, max(500.0, rng.lognormvariate(8.3, 0.7)))),
        store_id=f"store-{rng.randrange(40):02d}",
    )


_EXTRAS = (84, 6, 4, 3, 3)
"""Out of a hundred purchases: nothing more, a CSAT answer, an NPS answer, a call that goes well, a return."""
_STUMBLES = (65, 22, 3, 8, 2)
"""Out of a hundred visits: nothing more, a search, a search without results, a cart left behind, an error."""


class Scenes:
    """Draws what happens; every draw comes from one seeded source, so a seed names a world."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng

    def profile(self, who: Customer, at: int) -> Moment:
        """Return what the company knows of a customer when they arrive."""
        rng = self.rng
        data = {
            "segment": rng.choices(("private", "family", "business"), (6, 3, 1))[0],
            "tier": rng.choices(("basic", "silver", "gold"), (7, 2, 1))[0],
            "home_store_id": who.store_id,
            "locale": rng.choice(("de-DE", "en-GB", "fr-FR")),
            "timezone": "Europe/Berlin",
            "since": iso(at)[:10],
            "contact_by": ["email", "phone"],
        }
        return self._moment(at, "customer.updated", "other", data)

    def _gap(self, who: Customer) -> int:
        return max(DAY, int(self.rng.gammavariate(3.0, who.gap_days / 3.0) * DAY))

    def _cycle(self, who: Customer, at: int, gap: int) -> list[Moment]:
        """Return one purchase and the life until the next: delivery, browsing, now and then a word."""
        rng = self.rng
        order = self._place(who, at, who.channel)
        moments = [order, *self._delivery(order)]
        if who.channel == "store":
            moments.append(self._moment(at, "store.visited", "store", {"store_id": who.store_id}))
        for _ in range(min(30, int(rng.expovariate(1.0 / who.sessions)))):
            moments += self._session(who, at + rng.randrange(gap))
        extra = rng.choices(
            (None, self._csat_after, self._nps_after, self._call_after, self._return_of), _EXTRAS
        )[0]
        if extra is not None:
            moments.append(extra(who, order))
        return moments

    def _session(self, who: Customer, at: int) -> list[Moment]:
        """Return one visit to site or app: a heavy-tailed number of pages, perhaps a stumble."""
        rng = self.rng
        channel = "app" if who.channel == "app" else "web"
        session = {"session_id": f"{who.id}-{at}"}
        moments = []
        for _ in range(min(40, int(rng.paretovariate(1.2)))):
            moments.append(Moment(at, "cx.page.viewed.v1", channel, session))
            at += 5 + int(rng.expovariate(0.02))
        what = rng.choices(("left", "found", "not_found", "cart", "error"), _STUMBLES)[0]
        if what == "found":
            moments.append(
                self._moment(at, "search.performed", channel, {**session, "results": rng.randint(1, 200)})
            )
        elif what == "not_found":
            moments.append(self._moment(at, "search.performed", channel, {**session, "results": 0}))
        elif what == "cart":
            moments.append(self._moment(at, "cart.abandoned", channel, session))
        elif what == "error":
            moments.append(self._moment(at, "error.shown", channel, session))
        return moments

    def _place(self, who: Customer, at: int, channel: str) -> Moment:
        rng = self.rng
        who.orders += 1
        total = max(100, int(who.basket_minor * rng.lognormvariate(0.0, 0.4)))
        data: dict[str, Any] = {
            "order_id": f"o-{who.id}-{who.orders}",
            "total": total,
            "currency": "EUR",
            "lines": [{"sku": f"sku-{rng.randrange(900):03d}", "quantity": 1, "amount": total}],
        }
        if channel == "store":
            data["store_id"] = who.store_id
        else:
            data["promised_at"] = iso(at + 3 * DAY)
        return self._moment(at, "order.placed", channel, data)

    def _delivery(self, order: Moment) -> list[Moment]:
        """Return the delivery of an order, in time but for a few; what is bought in a store is taken home."""
        if order.channel == "store":
            return []
        late = self._chance(0.03)
        took = self.rng.randrange(3 * DAY + 3 * HOUR, 5 * DAY) if late else self.rng.randrange(DAY, 3 * DAY)
        return [self._moment(order.time + took, "delivery.delivered", order.channel, self._promise_of(order))]

    def _delivery_failed(self, order: Moment, at: int) -> Moment:
        why = self.rng.choice(("parcel_lost", "not_at_home", "damaged"))
        data = {"order_id": order.data["order_id"], "reason": why}
        return self._moment(at, "delivery.failed", order.channel, data, planted=True)

    def _csat_after(self, _who: Customer, order: Moment) -> Moment:
        return self._csat(order.time + 4 * DAY, self.rng.choices((5, 4, 3), (6, 3, 1))[0])

    def _nps_after(self, _who: Customer, order: Moment) -> Moment:
        score = self.rng.choices((10, 9, 8, 6), (3, 4, 2, 1))[0]
        data = {"survey": "nps", "score": score, "scale_min": 0, "scale_max": 10}
        return self._moment(order.time + 5 * DAY, "survey.answered", "email", data)

    def _call_after(self, who: Customer, order: Moment) -> Moment:
        return self._good_call(self._issue(who), order, order.time + 2 * DAY)

    def _return_of(self, _who: Customer, order: Moment) -> Moment:
        taken_back = {"order_id": order.data["order_id"], "amount": order.data["total"], "currency": "EUR"}
        return self._moment(
            order.time + 6 * DAY, "order.returned", order.channel, {**taken_back, "by": "customer"}
        )

    def _bad_call(self, issue: str, order: Moment, at: int) -> Moment:
        rng = self.rng
        data = {
            "wait_s": rng.randint(600, 2400),
            "hold_s": rng.randint(120, 900),
            "talk_s": rng.randint(200, 900),
            "transfers": rng.randint(2, 4),
            "abandoned": False,
            "resolved": "no",
            "sentiment": round(rng.uniform(-0.95, -0.5), 2),
        }
        return self._call(issue, order, at, data, planted=True)

    def _good_call(self, issue: str, order: Moment, at: int) -> Moment:
        rng = self.rng
        data = {
            "wait_s": rng.randint(5, 60),
            "hold_s": 0,
            "talk_s": rng.randint(120, 600),
            "transfers": 0,
            "abandoned": False,
            "resolved": "yes",
            "sentiment": round(rng.uniform(0.3, 0.9), 2),
        }
        return self._call(issue, order, at, data, planted=False)

    def _call(self, issue: str, order: Moment, at: int, data: dict[str, Any], *, planted: bool) -> Moment:
        about = {
            "issue_id": issue,
            "order_id": order.data["order_id"],
            "reason": "where_is_my_order",
            "direction": "inbound",
        }
        return self._moment(at, "call.ended", "phone", about | data, planted=planted)

    def _complaint(self, issue: str, order: Moment, at: int, channel: str) -> Moment:
        about: dict[str, Any] = {"issue_id": issue, "order_id": order.data["order_id"], "about": "delivery"}
        if channel == "social":
            about["public"] = True
        return self._moment(at, "complaint.raised", channel, about, planted=True)

    def _csat(self, at: int, score: int, issue: str | None = None, *, planted: bool = False) -> Moment:
        data: dict[str, Any] = {"survey": "csat", "score": score, "scale_min": 1, "scale_max": 5}
        if issue:
            data["issue_id"] = issue
        return self._moment(at, "survey.answered", "email", data, planted=planted)

    def _chance(self, share: float) -> bool:
        return self.rng.random() < share

    def _issue(self, who: Customer) -> str:
        who.issues += 1
        return f"i-{who.id}-{who.issues}"

    @staticmethod
    def _promise_of(order: Moment) -> dict[str, Any]:
        return {name: order.data[name] for name in ("order_id", "promised_at") if name in order.data}

    @staticmethod
    def _moment(at: int, what: str, channel: str, data: dict[str, Any], *, planted: bool = False) -> Moment:
        return Moment(at, f"cx.{what}.v1", channel, data, planted)


_days: dict[int, str] = {}


def iso(at: int) -> str:
    """Return epoch seconds as RFC 3339 in UTC."""
    day, second = divmod(at, DAY)
    date = _days.get(day)
    if date is None:
        date = _days[day] = datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")
    return f"{date}T{second // HOUR:02}:{second // MINUTE % 60:02}:{second % 60:02}Z"
