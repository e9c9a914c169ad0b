"""The field's own figures, counted from accepted touchpoints by channel.

Definitions (docs/operations.md has them for people): CSAT is the share of answers in the top two of five
boxes; NPS promoters answer 9 or 10 of 10, detractors 0 to 6; CES 2.0 counts who agrees (5 to 7 of 7) that it
was easy. A contact is inbound. Failure demand is a contact within 14 days of a bad experience of weight 1 or
more. Events with an amount are counted by its currency: the policy may have no rate for it. Counters only:
shares, n and intervals are made where they are read.
"""

from collections import Counter
from collections.abc import Callable, Container
from typing import Any, Final

from mypy_extensions import mypyc_attr

from schemas.arrivals import Arrival
from schemas.envelope import Touchpoint
from schemas.families import orders, promises, store, support, voice
from schemas.fields import Data
from schemas.touchpoints import TYPES
from streams.observe.census import DROPPED
from streams.observe.contacts import Contact
from streams.observe.counted import add_counts, count_up
from streams.observe.histogram import Histogram, add_all, observe_under
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.state import LastExperience

WAIT_BUCKETS_S: Final[tuple[float, ...]] = (10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
HANDLING_BUCKETS_S: Final[tuple[float, ...]] = (60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0)
REPLY_BUCKETS_S: Final[tuple[float, ...]] = (300.0, 900.0, 3600.0, 14400.0, 28800.0, 86400.0, 259200.0)
FAILURE_S: Final = 14 * DAY_S
ROUNDING: Final = 1e-9
NPS_PROMOTER, NPS_DETRACTOR = 9.0, 6.0
TOP_TWO, BOTTOM_TWO = 0.75, 0.25
EASY, HARD = 4.0 / 6.0, 2.0 / 6.0
MOST_CURRENCIES: Final = 40
"""Currencies without a rate that are counted apart, the first met: three letters of a producer's choice must
not grow without end."""


class Kpis:
    """Counters of one transaction, or of everything that was committed."""

    __slots__ = (
        "answers",
        "contacts",
        "currencies",
        "first_reply_s",
        "handling_s",
        "offered",
        "pending",
        "priced",
        "promises",
        "spent",
        "wait_s",
    )

    def __init__(self, priced: frozenset[str] = frozenset()) -> None:
        self.answers: dict[tuple[str, str, str], int] = {}
        """Survey answers by (survey, channel, answer): good, neutral, bad."""
        self.contacts: dict[tuple[str, str], int] = {}
        """Inbound contacts by (channel, after): failure where one came before, else other."""
        self.offered: dict[tuple[str, str], int] = {}
        """Contacts that waited for a person, by (channel, result): answered, abandoned."""
        self.promises: dict[tuple[str, str], int] = {}
        """By (channel, result): kept, broken, withdrawn."""
        self.wait_s: dict[str, Histogram] = {}
        self.handling_s: dict[str, Histogram] = {}
        self.first_reply_s: dict[str, Histogram] = {}
        self.spent: dict[tuple[type[Touchpoint], str, str], int] = {}
        """Events with an amount in a currency that is not among `priced`, by (type, channel, currency)."""
        self.priced = priced
        """Currencies that the policy has a rate for: nearly all amounts are in one, and need no count. Of
        those counted all the same none becomes `other`, however many others came."""
        self.currencies: set[str] = set()
        """The others that were added under their own code; all further ones are `other`."""
        self.pending: list[Contact] = []
        """Contacts for the judgement of first-contact resolution; drained when committed."""

    def see(
        self,
        counting: "Counting",
        arrival: Arrival,
        channel: str,
        key: bytes,
        event_s: float,
        last: LastExperience | None,
    ) -> None:
        """Count an accepted event as its type is counted (`COUNTED`).

        `last` is the last experience before it, which only contacts ask for.
        """
        data = arrival.data
        direction: str | None = data.direction
        if direction == "outbound":
            return
        if counting.contact:
            self._contact(data, channel, key, event_s, last)
        reader = counting.reader
        if reader is not None:
            reader(self, arrival, data, channel)

    def _contact(
        self, data: Data, channel: str, key: bytes, event_s: float, last: LastExperience | None
    ) -> None:
        failed = last is not None and last.a < 0.0 and 0.0 <= event_s - last.at_s <= FAILURE_S
        count_up(self.contacts, (channel, "failure" if failed else "other"))
        issue = data.issue_id or data.reason or ""
        self.pending.append(Contact(hash((key, issue)), event_s, channel))

    def spend(self, kind: type[Touchpoint], channel: str, currency: str) -> None:
        """Count an event with an amount in `currency`, by its code: a transaction has only so many events."""
        if currency not in self.priced:
            count_up(self.spent, (kind, channel, currency))

    def _label(self, currency: str) -> str:
        """Return what a currency is counted as in a sum of many transactions."""
        if currency in self.priced or currency in self.currencies:
            return currency
        if currency == DROPPED or len(self.currencies) >= MOST_CURRENCIES:
            return DROPPED
        self.currencies.add(currency)
        return currency

    def unpriced(self, engagement: Container[str], priced: Container[str]) -> Counter[tuple[str, str]]:
        """Return the engagements whose amount counts nothing, by (channel, currency).

        `engagement` are the policy's types of engagement, `priced` the currencies that it has a rate for.
        """
        found: Counter[tuple[str, str]] = Counter()
        for (kind, channel, currency), events in self.spent.items():
            if currency not in priced and str(kind.__struct_config__.tag) in engagement:
                found[channel, currency] += events
        return found

    def add(self, other: "Kpis") -> None:
        """Add other counters, but for the pending contacts."""
        add_counts(self.answers, other.answers)
        add_counts(self.contacts, other.contacts)
        add_counts(self.offered, other.offered)
        add_counts(self.promises, other.promises)
        add_all(self.wait_s, other.wait_s)
        add_all(self.handling_s, other.handling_s)
        add_all(self.first_reply_s, other.first_reply_s)
        for (kind, channel, currency), events in other.spent.items():
            count_up(self.spent, (kind, channel, self._label(currency)), events)


_Reader = Callable[[Kpis, Arrival, Any, str], None]


@mypyc_attr(acyclic=True)
class Counting:
    """How events of one type are counted."""

    __slots__ = ("contact", "reader")

    def __init__(self, reader: _Reader | None, *, contact: bool) -> None:
        self.reader = reader
        self.contact = contact
        """The customer came to us."""


def priced_by(policy: Policy) -> frozenset[str]:
    """Return the currencies that a policy has a rate for, its own with them."""
    return frozenset((policy.currency, *policy.currencies))


def answer_of(survey: str, goodness: float) -> str:
    """Return good, neutral or bad for an answer, `goodness` being its share of the scale, 0..1."""
    if survey == "nps":
        points = 10.0 * goodness
        good, bad = points >= NPS_PROMOTER - ROUNDING, points < NPS_DETRACTOR + 1.0 - ROUNDING
    elif survey == "csat":
        good, bad = goodness >= TOP_TWO - ROUNDING, goodness <= BOTTOM_TWO + ROUNDING
    else:
        good, bad = goodness >= EASY - ROUNDING, goodness <= HARD + ROUNDING
    return "good" if good else "bad" if bad else "neutral"


def _survey(kpis: Kpis, _: Arrival, data: voice.SurveyAnsweredData, channel: str) -> None:
    count_up(kpis.answers, (data.survey, channel, answer_of(data.survey, data.goodness)))


def _call(kpis: Kpis, _: Arrival, data: support.CallEndedData, channel: str) -> None:
    handled_s = data.talk_s
    if handled_s is not None:
        handled_s += (data.hold_s or 0.0) + (data.acw_s or 0.0)
    _conversation(kpis, data, channel, handled_s)


def _chat(kpis: Kpis, _: Arrival, data: support.ChatEndedData, channel: str) -> None:
    _conversation(kpis, data, channel, data.duration_s)


def _conversation(kpis: Kpis, data: Any, channel: str, handled_s: float | None) -> None:
    """Count a call or a chat: whether a person answered, how long it took."""
    count_up(kpis.offered, (channel, "abandoned" if data.abandoned else "answered"))
    wait_s = data.wait_s
    if wait_s is not None:
        observe_under(kpis.wait_s, channel, WAIT_BUCKETS_S, wait_s)
    if handled_s is not None:
        observe_under(kpis.handling_s, channel, HANDLING_BUCKETS_S, handled_s)


def _queue(kpis: Kpis, _: Arrival, data: store.QueueWaitedData, channel: str) -> None:
    count_up(kpis.offered, (channel, "abandoned" if data.abandoned else "answered"))
    if data.wait_s is not None:
        observe_under(kpis.wait_s, channel, WAIT_BUCKETS_S, data.wait_s)


def _ticket_solved(kpis: Kpis, _: Arrival, data: support.TicketData, channel: str) -> None:
    """Take the time to the first reply once a ticket: at its first solution."""
    if not data.reopens and data.first_reply is not None and data.first_reply.calendar_s is not None:
        observe_under(kpis.first_reply_s, channel, REPLY_BUCKETS_S, data.first_reply.calendar_s)


def _delivered(kpis: Kpis, arrival: Arrival, data: orders.DeliveryEndData, channel: str) -> None:
    promised_at = data.promised_at
    if promised_at is not None:
        count_up(kpis.promises, (channel, "kept" if arrival.time <= promised_at else "broken"))


def _delivery_failed(kpis: Kpis, _: Arrival, __: orders.DeliveryEndData, channel: str) -> None:
    count_up(kpis.promises, (channel, "broken"))


def _kept(kpis: Kpis, _: Arrival, __: promises.PromiseEndData, channel: str) -> None:
    count_up(kpis.promises, (channel, "kept"))


def _withdrawn(kpis: Kpis, _: Arrival, __: promises.PromiseEndData, channel: str) -> None:
    count_up(kpis.promises, (channel, "withdrawn"))


def _amount(kpis: Kpis, arrival: Arrival, data: Any, channel: str) -> None:
    """Take the currency of an amount; where none is named, it is the policy's."""
    currency = data.currency
    if currency is None or currency in kpis.priced:
        return
    if getattr(data, "total", None) or getattr(data, "amount", None):
        kpis.spend(arrival.kind, channel, currency)


_CONTACTS: Final[frozenset[type[Touchpoint]]] = frozenset(
    {support.CallEnded, support.ChatEnded, support.TicketCreated}
)
PRICED: Final = frozenset(
    info.touchpoint
    for info in TYPES.values()
    if "currency" in info.data.__struct_fields__ and {"total", "amount"} & {*info.data.__struct_fields__}
)
"""The types that may be an engagement with an amount (see `scoring.apply.Scorer.count`)."""
_READERS: Final[dict[type[Touchpoint], _Reader]] = {
    voice.SurveyAnswered: _survey,
    support.CallEnded: _call,
    support.ChatEnded: _chat,
    support.TicketSolved: _ticket_solved,
    store.QueueWaited: _queue,
    orders.DeliveryDelivered: _delivered,
    orders.DeliveryFailed: _delivery_failed,
    promises.PromiseKept: _kept,
    promises.PromiseWithdrawn: _withdrawn,
    **dict.fromkeys(PRICED, _amount),
}
COUNTED: Final[dict[type[Touchpoint], Counting]] = {
    kind: Counting(_READERS.get(kind), contact=kind in _CONTACTS) for kind in _CONTACTS.union(_READERS)
}
"""The types that say anything here: all others need not be shown."""
