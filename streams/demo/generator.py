"""Generated omnichannel journeys: seeded to the byte, in order of event time, their truth beside them."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson

from streams.demo.feed import Record, record_of
from streams.demo.journeys import PERSONAS, Storyteller
from streams.demo.scenes import DAY, HOUR, Customer, Journey, Moment, draw_customer, iso
from streams.routing import topic_for

START = datetime(2023, 11, 1, tzinfo=UTC)
"""Two Decembers lie within the default span, and all of it in the past of any clock."""
DAYS = 500
DUPLICATES = 0.002
LATE = 0.003
LATE_MAX_S = 3 * DAY

_CUSTOMERS_AT_START = 0.8
"""Share of customers who arrive within the first tenth of the span: histories need time to grow."""
_WITH_PROFILE = 0.5
_EVENTS_BASE = 12.0
_EVENTS_PER_DAY = 0.22
"""Events a customer leaves in the span, measured over seeds: a base, and a rate while they stay."""

_SOURCES = {
    "web": "/shop/web",
    "app": "/shop/app",
    "store": "/shop/store",
    "phone": "/care/phone",
    "email": "/care/desk",
    "social": "/voice/social",
    "product": "/logistics/parcels",
    "other": "/crm",
}


def _wrong_channel(event: dict[str, Any]) -> bytes:
    return orjson.dumps(event | {"channel": "carrier pigeon"})


def _half(event: dict[str, Any]) -> bytes:
    text = orjson.dumps(event)
    return text[: len(text) // 2]


def _nobody(event: dict[str, Any]) -> bytes:
    return orjson.dumps({name: value for name, value in event.items() if name != "subject"})


def _from_the_future(event: dict[str, Any]) -> bytes:
    # recordedtime stands in for the record's timestamp where there is no Kafka: the reject is the same.
    return orjson.dumps(event | {"time": "2100-01-01T00:00:00Z", "recordedtime": event["time"]})


POISON: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "not_json": _half,
    "schema_violation": _wrong_channel,
    "unknown_type": lambda event: orjson.dumps(event | {"type": "cx.oder.placed.v1"}),
    "unsupported_version": lambda event: orjson.dumps(event | {"type": event["type"][:-1] + "9"}),
    "key_missing": _nobody,
    "clock_future": _from_the_future,
    "clock_ancient": lambda event: orjson.dumps(event | {"time": "1970-01-20T06:13:20Z"}),
}
"""Each kind of bad record, named by the reason it is rejected with."""


@dataclass(slots=True)
class Truth:
    """What was planted: filled while events are generated, complete when they end."""

    customers: list[Customer] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    end: int = 0
    """Event time at which the generated world stops, epoch seconds."""

    def personas(self) -> dict[str, int]:
        """Count the customers of each persona."""
        return dict(Counter(who.persona for who in self.customers))

    def lines(self) -> Iterator[bytes]:
        """Yield the side file: one JSON object a customer, then one a duplicate, late or bad record."""
        for who in self.customers:
            left = who.churned_at is not None and who.churned_at <= self.end
            yield orjson.dumps(
                {
                    "kind": "customer",
                    "customer_id": who.id,
                    "persona": who.persona,
                    "planted": who.planted,
                    "churned_at": iso(who.churned_at) if left and who.churned_at is not None else None,
                }
            )
        for fault in self.faults:
            yield orjson.dumps({"kind": "fault", **fault})


def generate(  # noqa: PLR0913  # each is one property of the world
    events: int,
    *,
    seed: int = 0,
    start: datetime = START,
    days: int = DAYS,
    poison: float = 0.0,
    duplicates: float = DUPLICATES,
    late: float = LATE,
    truth: Truth | None = None,
) -> Iterator[Record]:
    """Yield exactly `events` records of journeys that begin at `start` and span about `days`.

    The number of customers follows from both. `duplicates`, `late` and `poison` are shares of the records:
    an event sent again, one sent up to three days after its time, a record that must be rejected. `truth` is
    filled with who is who. Memory grows with the customers, not with the events.
    """
    world = _World(seed, int(start.timestamp()), days, events, truth or Truth())
    world.duplicates, world.late, world.poison = duplicates, late, poison
    return world.records(events)


@dataclass(slots=True)
class _Waiting:
    """A customer whose journey goes on when its time comes."""

    who: Customer
    journey: Journey


class _World:
    """All customers alive at once: a heap of what happens next, and arrivals that never end."""

    duplicates = late = poison = 0.0

    def __init__(self, seed: int, start: int, days: int, events: int, truth: Truth) -> None:
        self.rng = Random(f"cx-journeys-{seed}")  # noqa: S311  # a seeded world, no secret
        self.story = Storyteller(self.rng)
        self.seed = seed
        self.start = start
        self.span = days * DAY
        self.expected = max(len(PERSONAS), round(events / (_EVENTS_BASE + _EVENTS_PER_DAY * days)))
        self.truth = truth
        self.heap: list[tuple[int, int, Record | _Waiting | tuple[Customer, Moment]]] = []
        self.pushed = 0
        self.deck: list[str] = []

    def records(self, events: int) -> Iterator[Record]:
        """Yield `events` records in the order in which they are sent."""
        heap, sent = self.heap, 0
        arrival = self._arrival()
        while sent < events:
            while not heap or arrival <= heap[0][0]:
                self._welcome(arrival)
                arrival = self._arrival()
            at, _, item = heapq.heappop(heap)
            if isinstance(item, _Waiting):
                self._live_on(item)
                continue
            record = item if isinstance(item, Record) else self._send(at, *item)
            if record is not None:
                sent += 1
                self.truth.end = at
                yield record

    def _push(self, at: int, item: Record | _Waiting | tuple[Customer, Moment]) -> None:
        self.pushed += 1
        heapq.heappush(self.heap, (at, self.pushed, item))

    def _arrival(self) -> int:
        """Return when the next customer arrives: most early on, the others one after the other, for ever."""
        number = len(self.truth.customers)
        early = max(1, int(self.expected * _CUSTOMERS_AT_START))
        if number < early:
            return self.start + self.span * number // (10 * early)
        rest = max(1, self.expected - early)
        return self.start + self.span // 10 + self.span * (number - early) // rest

    def _welcome(self, at: int) -> None:
        customers = self.truth.customers
        if not self.deck:
            self.deck = self._shuffled_deck()
        who = draw_customer(f"c{self.seed}-{len(customers):06d}", self.deck.pop(), self.rng)
        customers.append(who)
        if self.rng.random() < _WITH_PROFILE:
            self._push(at, (who, self.story.profile(who, at)))
        life, _ = PERSONAS[who.persona]
        self._push(at, _Waiting(who, life(self.story, who, at)))

    def _shuffled_deck(self) -> list[str]:
        """Return fifty personas in their shares; each comes once before any comes twice."""
        rest = [persona for persona, (_, share) in PERSONAS.items() for _ in range(share - 1)]
        self.rng.shuffle(rest)
        return rest + list(reversed(PERSONAS))

    def _live_on(self, waiting: _Waiting) -> None:
        chapter = next(waiting.journey, None)
        if chapter is None:
            return
        for moment in chapter.moments:
            self._push(moment.time, (waiting.who, moment))
        self._push(chapter.until, waiting)

    def _send(self, at: int, who: Customer, moment: Moment) -> Record | None:
        """Return the moment's record, or None where it is held back to arrive late."""
        rng = self.rng
        held_back = at > moment.time
        if not held_back and not moment.planted and rng.random() < self.late:
            self._push(at + rng.randrange(HOUR, LATE_MAX_S), (who, moment))
            return None
        event = self._event(who, moment)
        if held_back:
            event["recordedtime"] = iso(at)
            self._note("late", event)
        if moment.planted:
            who.planted.append({"id": event["id"], "type": moment.type, "time": event["time"]})
        topic = topic_for(moment.type, moment.channel).name
        record = Record(orjson.dumps(event), who.id.encode(), topic, float(at))
        if rng.random() < self.duplicates:
            self._push(at + rng.randrange(1, 30), record)
            self._note("duplicate", event)
        if rng.random() < self.poison:
            self._spoil(at, event)
        return record

    def _event(self, who: Customer, moment: Moment) -> dict[str, Any]:
        self.pushed += 1
        return {
            "specversion": "1.0",
            "id": f"g{self.seed}-{self.pushed}",
            "source": _SOURCES[moment.channel],
            "type": moment.type,
            "time": iso(moment.time),
            "subject": who.id,
            "channel": moment.channel,
            "data": moment.data,
        }

    def _spoil(self, at: int, event: dict[str, Any]) -> None:
        """Send a bad copy of an event beside it, under an id of its own."""
        reason = self.rng.choice(tuple(POISON))
        bad = event | {"id": event["id"] + "-bad"}
        self._note(reason, bad)
        self._push(at, record_of(POISON[reason](bad)))

    def _note(self, fault: str, event: dict[str, Any]) -> None:
        self.truth.faults.append({"fault": fault, "id": event["id"], "customer_id": event["subject"]})
