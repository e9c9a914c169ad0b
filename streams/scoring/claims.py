"""From touchpoints to facts: what each type tells of a promise, order, ticket, complaint or issue.

`READERS` maps a type to a function that enters its facts and returns the signals that are left for the sums:
those of a case belong to the register, where they stand as long as the matter does. What has no id of its own
cannot be told to have ended: its signals go to the sums and fade from their day on.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, cast

from mypy_extensions import mypyc_attr

from schemas.arrivals import Arrival
from schemas.envelope import Touchpoint
from schemas.families import customers, orders, promises, store, support, voice
from schemas.fields import CHANNELS, Data
from schemas.times import seconds_of
from schemas.touchpoints import TYPES
from streams.scoring.deadlines import RECITED, WORDS, name_due, say_again
from streams.scoring.entry import Case
from streams.scoring.facts import (
    AGREED,
    CHANNEL,
    COMPLAINT,
    DUE,
    FAILED,
    GLAD,
    GONE,
    GRAVE,
    ISSUE,
    KEPT,
    OPENED,
    ORDER,
    PROMISE,
    RANK_OPENED,
    RANK_REOPENED,
    RANK_SOLVED,
    REASON,
    REOPENED,
    REPLIED,
    SAID,
    SOLVED,
    STATE,
    THOUSANDTHS,
    TICKET,
    WAITED,
    contact,
    earliest,
    graded,
    keep,
    key_of,
    latest,
    say_channel,
    say_due,
    stamp,
    told_by,
    weighed,
)
from streams.scoring.signals import Signals
from streams.scoring.state import CustomerState

TOP_BOX: Final = 0.99
OUTREACH: Final = 8
_OF_TOPIC: Final = {"web": "web", "store": "store", "support": "phone", "actions": "other"}
"""Family of types -> the channel of its input topic, where an event names none."""
_NUMBER_OF: Final = {name: number for number, name in enumerate(CHANNELS)}
_CHANNEL_OF: Final = {info.touchpoint: CHANNELS.index(_OF_TOPIC[info.family]) for info in TYPES.values()}


@mypyc_attr(acyclic=True, free_list_len=1)
class Learning:
    """One event on its way into the register: the entries that it touches."""

    __slots__ = (
        "_arrival",
        "_issue",
        "_issue_key",
        "at_s",
        "event",
        "kept_s",
        "retold",
        "state",
        "told_of",
        "touched",
    )

    def __init__(self, state: CustomerState, arrival: Arrival, at_s: int, event: bytes) -> None:
        self.state = state
        self.at_s = at_s
        self.event = event
        self.touched: list[Case] = []
        self.kept_s: list[int] = []
        """Of each of them: when the delivery came that lies in the sums, before this event; 0 for none."""
        self.retold = False
        """More is told of the issue than that somebody asked: what belongs to it may mean something else."""
        self.told_of: list[bytes] = []
        """The issues of which a ticket says something else now, though the event does not name them."""
        self._arrival = arrival
        self._issue = ""
        self._issue_key = b""

    def channel(self) -> int:
        """Return the channel that the event came by: few of them tell the register anything by it."""
        named = self._arrival.channel
        return _NUMBER_OF[named] if named is not None else _CHANNEL_OF[self._arrival.kind]

    def case(self, kind: int, name: str) -> Case:
        """Return the entry of that name, made anew if need be."""
        key = self._issue_of(name) if kind == ISSUE else key_of(kind, name)
        for case in self.touched:  # two at most
            if case.name == key:
                return case
        case = self._entry(key, kind)
        if kind != ORDER and case.at_s < self.at_s:  # the facts of an order tell it themselves
            case.at_s = self.at_s
        return case

    def _entry(self, key: bytes, kind: int) -> Case:
        """Return the entry of that key, made anew if need be, as one more that the event touches."""
        case = self.state.entries.get(key)
        if case is None:
            case = Case(key, kind, {})
            if kind == ISSUE:
                self.retold = True
        self.touched.append(case)
        self.kept_s.append(case.known(KEPT) if case.in_time else 0)
        return case

    def about(self, kind: int, name: str, data: Data) -> Case:
        """Return the entry of that name, tied to the issue that the event names."""
        case = self.case(kind, name)
        issue = data.issue_id
        if issue is not None:
            held = case.issue
            case.issue = max(held or b"", self._issue_of(issue))
            case.at_s = max(case.at_s, self.at_s)
            if kind == TICKET and case.issue != held and (told_by(case) or REPLIED in case.facts):
                self.retell(held)
                self.retell(case.issue)
        return case

    def retell(self, issue: bytes | None) -> None:
        """Let what belongs to an issue be looked at again: a ticket says something else of it now."""
        if issue is not None:
            self.told_of.append(issue)

    def take_back(self, issue: bytes | None, told: int) -> None:
        """Let a ticket that was created anew say no more of its issue, if nobody else said as much."""
        known = None if issue is None else self.state.entries.get(issue)
        if known is None or known.known(STATE) < told:
            self.retell(issue)

    def issue(self, name: str) -> Case:
        """Return the entry of an issue, to tell more of it than that somebody asked."""
        self.retold = True
        return self.case(ISSUE, name)

    def _issue_of(self, name: str) -> bytes:
        """Return the key of an issue: an event that names one often asks for it several times."""
        if name != self._issue:
            self._issue = name
            self._issue_key = key_of(ISSUE, name)
        return self._issue_key

    def due(self, case: Case, at: datetime | None, channel: int) -> None:
        """Enter a deadline that was said."""
        facts, due_s = case.facts, int(seconds_of(at)) if at is not None else 0
        if DUE in facts:
            say_again(case, due_s, channel, self.at_s)
        else:
            say_due(case, due_s, channel, self.at_s)

    def wrote(self) -> None:
        """Enter that the company wrote to or called the customer: only the newest times are kept."""
        self.state.outreach = tuple(sorted([*self.state.outreach, self.at_s])[-OUTREACH:])

    def status(self, case: Case, rank: int, *, solved: bool) -> None:
        """Enter whether a matter is solved now."""
        latest(case.facts, STATE, stamp(self.at_s, self.event, rank, solved=solved))


Reader = Callable[[Learning, Any, Signals], Signals]


def _outbound(data: Data) -> bool:
    return data.direction == "outbound"


def _order_placed(to: Learning, data: orders.OrderPlacedData, signals: Signals) -> Signals:
    if data.promised_at is not None and data.order_id is not None:
        to.due(to.case(ORDER, data.order_id), data.promised_at, to.channel())
    return signals


def _parcel(data: Any) -> str | None:
    """Return what an order's deliveries are known by."""
    name: str | None = data.order_id or data.delivery_id
    return name


def _delivery_promised(to: Learning, data: orders.DeliveryPromisedData, signals: Signals) -> Signals:
    if (name := _parcel(data)) is not None:
        to.due(to.about(ORDER, name, data), data.promised_at, to.channel())
    return signals


def _delivered(to: Learning, data: orders.DeliveryEndData, signals: Signals) -> Signals:
    if (name := _parcel(data)) is None:
        return signals
    case = to.about(ORDER, name, data)
    keep(case, to.at_s)
    if data.promised_at is not None:
        _recite(case, int(seconds_of(data.promised_at)))
    return ()


def _recite(case: Case, due_s: int) -> None:
    """Enter the deadline that a delivery names: nearly always the one that is known."""
    facts = case.facts
    if due_s == facts.get(DUE) and SAID in facts and WORDS not in facts:
        facts[RECITED] = facts.pop(SAID)
    else:
        name_due(case, due_s)


def _delivery_failed(to: Learning, data: orders.DeliveryEndData, signals: Signals) -> Signals:
    if (name := _parcel(data)) is None:
        return signals
    earliest(to.about(ORDER, name, data).facts, FAILED, to.at_s)
    return ()


def _called_off(to: Learning, data: orders.OrderChangeData, signals: Signals) -> Signals:
    if data.order_id is not None:
        earliest(to.about(ORDER, data.order_id, data).facts, GONE, to.at_s)
    return signals


def _promise_made(to: Learning, data: promises.PromiseMadeData, signals: Signals) -> Signals:
    channel = to.channel() if data.fulfilled_by is None else _NUMBER_OF[data.fulfilled_by]
    to.due(to.about(PROMISE, data.promise_id, data), data.due, channel)
    if data.issue_id is not None:
        earliest(to.issue(data.issue_id).facts, AGREED, to.at_s)
    return signals


def _promise_kept(to: Learning, data: promises.PromiseEndData, signals: Signals) -> Signals:
    keep(to.about(PROMISE, data.promise_id, data), to.at_s)
    return signals


def _promise_withdrawn(to: Learning, data: promises.PromiseEndData, signals: Signals) -> Signals:
    earliest(to.about(PROMISE, data.promise_id, data).facts, GONE, to.at_s)
    return signals


def _ticket(data: support.TicketData) -> str | None:
    return data.ticket_id or data.issue_id


def _came(to: Learning, data: Data) -> None:
    """Enter an inbound contact, about its issue or else its reason."""
    if data.issue_id is not None:
        contact(to.case(ISSUE, data.issue_id), to.at_s, to.event)
    elif data.reason:
        contact(to.case(REASON, data.reason), to.at_s, to.event)


def _tell_ticket(to: Learning, case: Case, data: Data, rank: int, *, solved: bool) -> None:
    """Enter whether a ticket is solved now, and so the issue that it is known to be about."""
    to.status(case, rank, solved=solved)
    if data.issue_id is None:
        to.retell(case.issue)
    else:
        to.status(to.issue(data.issue_id), rank, solved=solved)


def _settle_issue(to: Learning, data: Data, *, solved: bool) -> None:
    if data.issue_id is not None:
        rank = RANK_SOLVED if solved else RANK_OPENED
        to.status(to.issue(data.issue_id), rank, solved=solved)


def _ticket_created(to: Learning, data: support.TicketData, signals: Signals) -> Signals:
    if _outbound(data):
        return signals
    _came(to, data)
    if (name := _ticket(data)) is not None:
        case = to.about(TICKET, name, data)
        earliest(case.facts, OPENED, to.at_s)
        say_channel(case, max(to.channel(), case.facts.get(CHANNEL, 0)))
        told = told_by(case)
        to.status(case, RANK_OPENED, solved=False)
        if told and not told_by(case):
            to.take_back(case.issue, told)
    return signals


def _ticket_replied(to: Learning, data: support.TicketRepliedData, signals: Signals) -> Signals:
    if data.by not in (None, "agent"):
        return signals
    to.wrote()
    if (name := _ticket(data)) is not None:
        case = to.about(TICKET, name, data)
        earliest(case.facts, REPLIED, to.at_s)
        if data.issue_id is None:
            to.retell(case.issue)
    _answered(to, data)
    return signals


def _answered(to: Learning, data: Data) -> None:
    if data.issue_id is not None:
        earliest(to.issue(data.issue_id).facts, REPLIED, to.at_s)


def _ticket_solved(to: Learning, data: support.TicketData, signals: Signals) -> Signals:
    if (name := _ticket(data)) is not None:
        case = to.about(TICKET, name, data)
        earliest(case.facts, SOLVED, to.at_s)
        _tell_ticket(to, case, data, RANK_SOLVED, solved=True)
    return signals


def _ticket_reopened(to: Learning, data: support.TicketData, signals: Signals) -> Signals:
    if (name := _ticket(data)) is None:
        return signals
    case = to.about(TICKET, name, data)
    latest(case.facts, REOPENED, to.at_s)
    _tell_ticket(to, case, data, RANK_REOPENED, solved=False)
    return ()


def _ticket_escalated(to: Learning, data: support.TicketData, signals: Signals) -> Signals:
    return _blame(to, TICKET, _ticket(data), data, signals)


def _blame(to: Learning, kind: int, name: str | None, data: Data, signals: Signals) -> Signals:
    """Enter the bad signal of an event as the failure of a case; the others are left."""
    bad = [signal for signal in signals if signal.a < 0.0]
    if name is None or not bad:
        return signals
    case = to.about(kind, name, data)
    say_channel(case, max(to.channel(), case.facts.get(CHANNEL, 0)))
    earliest(case.facts, FAILED, to.at_s)
    for signal in bad:
        latest(case.facts, GRAVE, graded(round(signal.weight * THOUSANDTHS), signal.code))
    return tuple(signal for signal in signals if signal.a >= 0.0)


def _conversation(to: Learning, data: Any, signals: Signals) -> Signals:
    """Enter a call or a chat: a contact or an answer, and what came of the issue and for the order."""
    if _outbound(data):
        to.wrote()
        _answered(to, data)
    else:
        _came(to, data)
    if data.resolved in ("yes", "no"):
        _settle_issue(to, data, solved=data.resolved == "yes")
    if data.order_id is not None and data.issue_id is not None:
        to.about(ORDER, data.order_id, data)
    return signals


def _queued(to: Learning, data: store.QueueWaitedData, signals: Signals) -> Signals:
    """Enter a wait for an order, which its promise covers; waiting for a person is another matter."""
    if data.order_id is None or not signals:
        return signals
    case = to.about(ORDER, data.order_id, data)
    for signal in signals:
        latest(case.facts, WAITED, weighed(round(signal.weight * THOUSANDTHS), to.at_s))
    return ()


def _bot_resolved(to: Learning, data: support.BotData, signals: Signals) -> Signals:
    _settle_issue(to, data, solved=True)
    return signals


def _complaint(to: Learning, data: store.ComplaintRaisedData, signals: Signals) -> Signals:
    return _blame(to, COMPLAINT, data.complaint_id or data.issue_id, data, signals)


def _social(to: Learning, data: voice.SocialMentionedData, signals: Signals) -> Signals:
    if _outbound(data):
        _answered(to, data)
        if data.post_id is not None:
            earliest(to.about(COMPLAINT, data.post_id, data).facts, REPLIED, to.at_s)
        return signals
    return _blame(to, COMPLAINT, data.post_id or data.issue_id, data, signals)


def _review(to: Learning, data: voice.ReviewPostedData, signals: Signals) -> Signals:
    return _blame(to, COMPLAINT, data.review_id or data.issue_id, data, signals)


def _survey(to: Learning, data: voice.SurveyAnsweredData, signals: Signals) -> Signals:
    if data.survey == "csat" and data.issue_id is not None and data.goodness >= TOP_BOX:
        latest(to.issue(data.issue_id).facts, GLAD, to.at_s)
    return signals


def _survey_sent(to: Learning, data: voice.SurveySentData, signals: Signals) -> Signals:  # noqa: ARG001  # a question is a message, whatever it asks
    to.wrote()
    return signals


def _acted(to: Learning, data: customers.ActionTakenData, signals: Signals) -> Signals:
    to.wrote()
    _answered(to, data)
    return signals


READERS: Final[dict[type[Touchpoint], Reader]] = {
    orders.OrderPlaced: cast("Reader", _order_placed),
    orders.OrderCancelled: cast("Reader", _called_off),
    orders.OrderRefunded: cast("Reader", _called_off),
    orders.DeliveryPromised: cast("Reader", _delivery_promised),
    orders.DeliveryRescheduled: cast("Reader", _delivery_promised),
    orders.DeliveryDelivered: cast("Reader", _delivered),
    orders.DeliveryFailed: cast("Reader", _delivery_failed),
    promises.PromiseMade: cast("Reader", _promise_made),
    promises.PromiseKept: cast("Reader", _promise_kept),
    promises.PromiseWithdrawn: cast("Reader", _promise_withdrawn),
    support.TicketCreated: cast("Reader", _ticket_created),
    support.TicketReplied: cast("Reader", _ticket_replied),
    support.TicketSolved: cast("Reader", _ticket_solved),
    support.TicketReopened: cast("Reader", _ticket_reopened),
    support.TicketEscalated: cast("Reader", _ticket_escalated),
    support.CallEnded: _conversation,
    support.ChatEnded: _conversation,
    support.BotResolved: cast("Reader", _bot_resolved),
    store.QueueWaited: cast("Reader", _queued),
    store.ComplaintRaised: cast("Reader", _complaint),
    voice.SocialMentioned: cast("Reader", _social),
    voice.ReviewPosted: cast("Reader", _review),
    voice.SurveySent: cast("Reader", _survey_sent),
    voice.SurveyAnswered: cast("Reader", _survey),
    customers.ActionTaken: cast("Reader", _acted),
}
