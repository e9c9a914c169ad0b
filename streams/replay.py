"""Touchpoints of a file to customers, through the same decode and apply as a worker, without Kafka.

A line's topic follows its channel. Duplicates are judged in file order, as a worker judges them in the
order of its log; then the events of each customer are applied by (time, source, id). Each event is
evaluated at its time, applied, and evaluated again; and at each deadline that passes between two events, as
far as the file goes on in the channel that would have reported the promise kept.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from schemas.codec import decode_line, judge_time
from schemas.envelope import Touchpoint, time_s
from schemas.families.customers import CustomerForgotten
from schemas.rejects import Reject
from streams.routing import topic_for
from streams.scoring.apply import Applied, Scorer, admit, identify
from streams.scoring.cases import alert_step
from streams.scoring.policy import DAY_S
from streams.scoring.rules import Decision
from streams.scoring.state import CustomerState
from streams.topics import INPUTS

_TOPIC_INDEX = {topic.name: index for index, topic in enumerate(INPUTS)}
FAR_S: Final = 60 * DAY_S
FAR_GAPS: Final = 20.0
"""An event is far beyond all others from both: in days, and in mean gaps between two of the others."""
LEAST_OTHERS: Final = 3
"""Of fewer events nobody can tell how far apart they usually are."""
_Admitted = tuple[float, str, str, int, Touchpoint | None, bytes | None]


@dataclass(slots=True)
class Customer:
    """One customer of a replay: the row and every step of an alert, in order."""

    state: CustomerState
    steps: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outlier:
    """The newest event of a file, where it alone lies far beyond all others: its year may be wrong."""

    customer_id: str
    line: int
    """Its line, from 1."""
    at_s: float
    before_s: float
    """The time of the newest of the others, seconds."""


@dataclass(slots=True)
class Replay:
    """What became of a file."""

    customers: dict[str, Customer] = field(default_factory=dict)
    at_s: float = 0.0
    """The time at which all customers were evaluated last, seconds."""
    accepted: int = 0
    duplicates: int = 0
    anonymous: int = 0
    later: int = 0
    suppressed: int = 0
    """Events of customers whom the file says to forget, behind that line."""
    forgotten: set[str] = field(default_factory=set)
    rejects: Counter[str] = field(default_factory=Counter)
    newest_s: dict[str, float] = field(default_factory=dict)
    """The newest event of each channel, seconds."""
    outlier: Outlier | None = None
    """The event that decided on `at_s`, if it alone did."""
    watched: str | None = None
    events: list[Touchpoint] = field(default_factory=list)
    """All events of the customer `watched` that count, in file order: a life can be lived again with them."""


def replay(
    lines: Iterable[bytes], scorer: Scorer, *, at_s: float | None = None, watched: str | None = None
) -> Replay:
    """Score every customer in `lines` (one touchpoint of JSON a line; empty lines are passed over).

    `at_s` leaves out later events and is where all are evaluated at the end; None is the newest event time.
    The events of the customer `watched` are kept.
    """
    result = Replay(watched=watched)
    admitted: dict[str, list[_Admitted]] = {}
    for number, line in enumerate(lines):
        if line and not line.isspace():
            _admit(line, number, scorer, at_s, result, admitted)
    newest_s = max((customer.state.newest_s for customer in result.customers.values()), default=0.0)
    result.at_s = newest_s if at_s is None else at_s
    for customer_id, customer in result.customers.items():
        _apply_all(customer_id, customer, admitted[customer_id], scorer, result)
    if at_s is None:
        result.outlier = _outlier(admitted)
    return result


def judge(line: bytes, scorer: Scorer) -> Touchpoint | Reject:
    """Decode a line; `clock_future` is judged only where `recordedtime` stands in for a timestamp."""
    event = decode_line(line)
    if isinstance(event, Reject):
        return event
    happened_s = time_s(event)
    recorded_s = math.inf if event.recordedtime is None else event.recordedtime.timestamp()
    return judge_time(happened_s, recorded_s, scorer.policy.ancient_before_s) or event


@lru_cache(maxsize=1024)  # types and channels are closed sets
def _place(kind: type[Touchpoint], channel: str | None) -> tuple[int, str]:
    """Return the number of the input topic that such an event goes to, and its channel."""
    topic = topic_for(str(kind.__struct_config__.tag), channel)
    return _TOPIC_INDEX[topic.name], channel or topic.default_channel


def _admit(  # one line's way through the file's totals
    line: bytes,
    number: int,
    scorer: Scorer,
    at_s: float | None,
    result: Replay,
    admitted: dict[str, list[_Admitted]],
) -> None:
    event = judge(line, scorer)
    if isinstance(event, Reject):
        result.rejects[event.reason] += 1
        return
    if event.subject is None:
        result.anonymous += 1
        return
    if type(event) is CustomerForgotten:
        _forget(event.subject, result, admitted)
        return
    if event.subject in result.forgotten:
        result.suppressed += 1
        return
    event_s = time_s(event)
    if at_s is not None and event_s > at_s:
        result.later += 1
        return
    customer = result.customers.get(event.subject)
    if customer is None:
        customer = result.customers[event.subject] = Customer(scorer.new(event_s))
        admitted[event.subject] = []
    topic, channel = _place(type(event), event.channel)
    key = identify(*scorer.read(event))
    if not admit(customer.state, topic, key):
        result.duplicates += 1
        return
    result.accepted += 1
    if event.subject == result.watched:
        result.events.append(event)
    customer.state.newest_s = max(customer.state.newest_s, event_s)
    if event_s > result.newest_s.get(channel, 0.0):
        result.newest_s[channel] = event_s
    kept = None if key is None else event  # of a neutral act only its time counts: its event need not be kept
    admitted[event.subject].append((event_s, event.source, event.id, number, kept, key))


def _forget(customer_id: str, result: Replay, admitted: dict[str, list[_Admitted]]) -> None:
    """Drop what the file said of a customer so far; whoever may write the file needs no proof."""
    result.accepted += 1
    result.forgotten.add(customer_id)
    result.customers.pop(customer_id, None)
    admitted.pop(customer_id, None)
    if customer_id == result.watched:
        result.events.clear()


def _apply_all(
    customer_id: str, customer: Customer, events: list[_Admitted], scorer: Scorer, result: Replay
) -> None:
    """Apply a customer's events in the order of (time, source, id)."""
    events.sort()
    state = customer.state
    state.newest_s = state.ref_s = events[0][0]
    rules = scorer.rules
    for event_s, _, _, _, event, key in events:
        if state.deadline_s and state.deadline_s < event_s:
            _pass_deadlines(customer_id, customer, scorer, event_s, result)
        if found := rules.evaluate_silence(state, event_s, absence_until_s=event_s):
            _keep(customer_id, customer, scorer, found)
        if event is None:
            # A neutral act changes no evidence: evaluating it again would find what was just found.
            state.events += 1
            state.newest_s = event_s
            continue
        applied = scorer.count(state, *scorer.read(event), event_s, key)
        strong, cancelled = applied is Applied.STRONG, applied is Applied.CANCELLED
        if found := rules.evaluate(
            state, event_s, absence_until_s=event_s, strong=strong, cancelled=cancelled
        ):
            _keep(customer_id, customer, scorer, found)
    _pass_deadlines(customer_id, customer, scorer, result.at_s, result)
    _keep(customer_id, customer, scorer, rules.evaluate(state, result.at_s, absence_until_s=result.at_s))


def _outlier(admitted: Mapping[str, list[_Admitted]]) -> Outlier | None:
    """Return the newest event where it lies far beyond all others; each customer's are in order."""
    others = sum(map(len, admitted.values())) - 1
    if others < LEAST_OTHERS:
        return None
    last = ((each[0], each[3], name) for name, events in admitted.items() for each in events[-2:])
    (at_s, number, customer_id), (before_s, _, _) = heapq.nlargest(2, last)
    gap_s = (before_s - min(events[0][0] for events in admitted.values())) / (others - 1)
    if at_s - before_s <= max(FAR_S, FAR_GAPS * gap_s):
        return None
    return Outlier(customer_id, number + 1, at_s, before_s)


def _pass_deadlines(
    customer_id: str, customer: Customer, scorer: Scorer, until_s: float, result: Replay
) -> None:
    """Look at the customer at each deadline before `until_s`, as a sweep that never sleeps would."""
    state, passed_s = customer.state, 0
    while state.deadline_s > passed_s:
        passed_s = state.deadline_s
        at_s = max(passed_s + scorer.register.grace_s + 1.0, state.newest_s)
        if at_s > until_s:
            return
        found = scorer.sweep(state, at_s, absence_until_s=at_s, fulfilled_until_s=result.newest_s)
        _keep(customer_id, customer, scorer, found)


def _keep(customer_id: str, customer: Customer, scorer: Scorer, decisions: list[Decision]) -> None:
    for decision in decisions:
        customer.steps.append(alert_step(scorer, customer_id, customer.state, decision))
