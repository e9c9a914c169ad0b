"""What the benchmark sends: a seeded, realistic mix of touchpoints of about 330 bytes."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random

from streams.demo.feed import Record
from streams.routing import topic_for

SPAN_S = 90 * 86_400.0
"""Event time that a backlog covers, up to now."""
RANK_OFFSET = 50
RANK_POWER = 1.1
DRAWN = 8192
"""Customers and types drawn at once: drawing them one by one costs more than the rest of an event."""

Data = Callable[[int, int, Random], str]


def weights(customers: int, step: int = 1) -> list[float]:
    """Return how often each of `customers` comes, relative to the others: 1 / (rank + 50) ** 1.1.

    `step` takes every so many-th rank only: a sample of a larger crowd with the same spread.
    """
    return [1.0 / (rank * step + RANK_OFFSET) ** RANK_POWER for rank in range(customers)]


def _page(number: int, _: int, draw: Random) -> str:
    return f'"session_id":"s-{number // 7:07x}","page":"/garden/chairs/item-{number % 997}",\
"load_s":{draw.random():.2f}'


def _search(number: int, _: int, draw: Random) -> str:
    results = 0 if draw.random() < 0.05 else number % 90 + 1
    return f'"session_id":"s-{number // 7:07x}","query":"teak lounger {number % 53}",\
"results":{results}'


def _order(number: int, who: int, _: Random) -> str:
    total = 2_000 + number % 17 * 990
    return f'"order_id":"o-{who}-{number}","lines":[{{"sku":"sku-{number % 809}","quantity":1,\
"amount":{total}}}],"total":{total},"currency":"EUR","payment_method":"card"'


def _delivered(number: int, who: int, _: Random) -> str:
    return f'"order_id":"o-{who}-{number % 11}","delivery_id":"p-{number:08d}","reason":"as_promised",\
"promised_at":"2100-01-01T18:00:00Z"'


def _delivery_failed(number: int, who: int, _: Random) -> str:
    return f'"order_id":"o-{who}-{number % 11}","delivery_id":"p-{number:08d}","reason":"damaged_in_transit"'


def _call(number: int, who: int, draw: Random) -> str:
    resolved = "yes" if draw.random() < 0.8 else "no"
    return f'"call_id":"call-{number}","issue_id":"i-{who}-{number % 5}","direction":"inbound",\
"wait_s":{number % 400},"talk_s":{number % 700},"transfers":{number % 3 // 2},"resolved":"{resolved}"'


def _chat(number: int, who: int, draw: Random) -> str:
    resolved = "yes" if draw.random() < 0.8 else "no"
    return f'"chat_id":"chat-{number}","issue_id":"i-{who}-{number % 5}","direction":"inbound",\
"wait_s":{number % 90},"duration_s":{number % 900},"transfers":0,"resolved":"{resolved}"'


def _ticket(number: int, who: int, _: Random) -> str:
    return f'"ticket_id":"t-{number}","issue_id":"i-{who}-{number % 5}","reason":"late_delivery",\
"direction":"inbound","priority":"normal","reopens":0,"replies":0'


def _visit(number: int, _: int, __: Random) -> str:
    return f'"store_id":"store-{number % 61}-harbour-street","visit_id":"v-{number:08d}",\
"duration_s":{number % 3600}'


def _survey(number: int, who: int, draw: Random) -> str:
    return f'"survey_id":"q-{number}","issue_id":"i-{who}-{number % 5}","survey":"csat","aspect":"speed",\
"score":{draw.choice((1, 3, 4, 5, 5))},"scale_min":1,"scale_max":5,"scope":"transactional"'


def _checkout(number: int, _: int, __: Random) -> str:
    return f'"session_id":"s-{number // 7:07x}","reason":"address_not_found","step":"address","total":24900,\
"currency":"EUR"'


def _payment(number: int, who: int, _: Random) -> str:
    return f'"order_id":"o-{who}-{number}","reason":"declined","amount":22410,"currency":"EUR",\
"payment_method":"card","code":"do_not_honour"'


def _error(number: int, _: int, __: Random) -> str:
    return f'"session_id":"s-{number // 7:07x}","page":"/checkout/address/step-{number % 5}","code":"500"'


MIX: tuple[tuple[float, str, str, str, Data], ...] = (
    (30, "cx.page.viewed.v1", "web", "/shop/web", _page),
    (20, "cx.search.performed.v1", "web", "/shop/web", _search),
    (15, "cx.order.placed.v1", "web", "/shop/orders", _order),
    (9, "cx.delivery.delivered.v1", "product", "/logistics/parcels", _delivered),
    (1, "cx.delivery.failed.v1", "product", "/logistics/parcels", _delivery_failed),
    (4, "cx.call.ended.v1", "phone", "/contact-centre/calls", _call),
    (3, "cx.chat.ended.v1", "chat", "/contact-centre/chats", _chat),
    (3, "cx.ticket.created.v1", "email", "/helpdesk/tickets", _ticket),
    (7, "cx.store.visited.v1", "store", "/stores/pos", _visit),
    (4, "cx.survey.answered.v1", "email", "/surveys", _survey),
    (2, "cx.checkout.failed.v1", "web", "/shop/web", _checkout),
    (1, "cx.payment.failed.v1", "web", "/payments", _payment),
    (1, "cx.error.shown.v1", "web", "/shop/web", _error),
)
"""Share in percent, type, channel, source and data of the touchpoints."""
_KINDS = tuple(
    (kind, channel, source, data, topic_for(kind, channel).name) for _, kind, channel, source, data in MIX
)
_SHARES = tuple(itertools.accumulate(share for share, *_ in MIX))


class Workload:
    """An endless stream of touchpoints of `customers`; the same seed gives the same stream."""

    def __init__(self, customers: int, *, seed: int = 1, step: int = 1, first: int = 0) -> None:
        self._draw = Random(seed)
        self._number = itertools.count(first)
        self._ranks = range(customers)
        self._weights = tuple(itertools.accumulate(weights(customers, step)))
        self._pairs = self._pair()

    def event(self, at_s: float) -> Record:
        """Return the next touchpoint, dated `at_s` (seconds since the epoch)."""
        who, (kind, channel, source, data, topic) = next(self._pairs)
        number = next(self._number)
        time = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
        key = customer_id(who)
        value = f'{{"specversion":"1.0","id":"01JTB{number:021d}","source":"{source}","type":"{kind}",\
"time":"{time}","subject":"{key}","channel":"{channel}",\
"recordedtime":"{time}","data":{{{data(number, who, self._draw)}}}}}'
        return Record(value.encode(), key.encode(), topic, at_s)

    def backlog(self, events: int, end_s: float) -> Iterator[Record]:
        """Yield `events` touchpoints in order of time, over the span that ends at `end_s`."""
        step = SPAN_S / events
        return (self.event(end_s - (events - number) * step) for number in range(events))

    def _pair(self) -> Iterator[tuple[int, tuple[str, str, str, Data, str]]]:
        while True:
            ranks = self._draw.choices(self._ranks, cum_weights=self._weights, k=DRAWN)
            kinds = self._draw.choices(_KINDS, cum_weights=_SHARES, k=DRAWN)
            yield from zip(ranks, kinds, strict=True)


def customer_id(rank: int) -> str:
    """Return the id of the customer of `rank`."""
    return f"c-{rank:07d}"


def probe(number: int, at_s: float) -> Record:
    """Return an event that raises an alert at once: a customer of its own complains in public."""
    key = f"probe-{number}"
    time = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
    value = f'{{"specversion":"1.0","id":"probe-{number}","source":"/listening",\
"type":"cx.social.mentioned.v1","time":"{time}","subject":"{key}","channel":"social",\
"data":{{"post_id":"post-{number}","network":"example.social","sentiment":-0.9,"reach":12400}}}}'
    return Record(value.encode(), key.encode(), topic_for("cx.social.mentioned.v1", "social").name, at_s)
