"""One customer's life under a policy: events at their times, and between them the timer that sees silence."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from schemas.envelope import Touchpoint, time_s
from streams.routing import topic_for
from streams.scoring.apply import Applied, Scorer, admit, identify
from streams.scoring.cases import FILE_GENERATION, alert_document
from streams.scoring.explain import Document
from streams.scoring.facts import all_until
from streams.scoring.policy import DAY_S
from streams.scoring.rows import pack, unpack
from streams.scoring.rules import Decision
from streams.scoring.state import CustomerState
from streams.topics import INPUTS

Teller = Callable[[Scorer, str, CustomerState, Decision], Document]
"""Makes the document of a step, of the row as it is when the step is decided."""
_TOPIC_INDEX = {topic.name: index for index, topic in enumerate(INPUTS)}


@dataclass(frozen=True, slots=True)
class Lived:
    """A step of an alert: when it was taken, and its document."""

    at_s: float
    document: Document


def as_case(scorer: Scorer, customer_id: str, state: CustomerState, decision: Decision) -> Document:
    """Return a step as the case that a worker publishes (`schemas.outputs.ChurnAlert`)."""
    return alert_document(scorer, customer_id, state, decision, generation=FILE_GENERATION, announced=True)


class Life:
    """Lives through a customer's events in order of (time, source, id), as a worker that was never behind.

    Each event is evaluated before and after it is applied. Each `sweep_every_s` seconds, counted from the
    first event, the row is evaluated again: silence makes no event. With a `stride` above 1, so many
    evaluations are tried at once, and done one by one only where the last of them would change something:
    for whole logs, where what holds for less than a stride is not worth its time. `read_s` is the newest
    event time of each channel, which judges whether a promise can be called broken; without it every channel
    counts as read up to any time. `tell` makes the documents of the steps.
    """

    def __init__(
        self,
        scorer: Scorer,
        customer_id: str,
        events: Iterable[Touchpoint],
        *,
        sweep_every_s: float = DAY_S,
        stride: int = 1,
        read_s: Mapping[str, float] | None = None,
        tell: Teller = as_case,
    ) -> None:
        self.scorer = scorer
        self.customer_id = customer_id
        self.steps: list[Lived] = []
        self._events = sorted(events, key=lambda each: (each.time, each.source, each.id))
        self._next = 0
        self._every_s = sweep_every_s
        self._stride = stride
        self._one_by_one_s = 0.0
        self._passed_s = 0
        self._read_s = read_s
        self._tell = tell
        self.first_s = time_s(self._events[0])
        self._sweep_s = self.first_s
        self.state = scorer.new(self.first_s)

    def until(self, at_s: float) -> None:
        """Live up to `at_s` (seconds), events of that time included, and evaluate there."""
        while self._next < len(self._events) and time_s(self._events[self._next]) <= at_s:
            event = self._events[self._next]
            self._sweep_until(time_s(event))
            self._meet(event)
            self._next += 1
        self._sweep_until(at_s)
        self._sweep(at_s)

    def _meet(self, event: Touchpoint) -> None:
        """Evaluate, apply one event and evaluate again; a duplicate changes nothing."""
        at_s, rules = time_s(event), self.scorer.rules
        topic = _TOPIC_INDEX[topic_for(event.type, event.channel).name]
        self._sweep(at_s)
        read = self.scorer.read(event)
        hashed = identify(*read)
        if not admit(self.state, topic, hashed):
            return
        applied = self.scorer.count(self.state, *read, at_s, hashed)
        strong, cancelled = applied is Applied.STRONG, applied is Applied.CANCELLED
        self._keep(rules.evaluate(self.state, at_s, absence_until_s=at_s, strong=strong, cancelled=cancelled))

    def _sweep_until(self, at_s: float) -> None:
        """Do the sweeps that fall before `at_s`, and look at each deadline as soon as it has passed."""
        while True:
            due_s, next_s = self._due_s(), self._sweep_s + self._every_s
            if min(due_s, next_s) >= at_s:
                return
            if due_s < next_s:
                self._passed_s = self.state.deadline_s
                self._sweep(due_s)
            elif not self._strode(min(at_s, due_s)):
                self._sweep_s = next_s
                self._sweep(next_s)

    def _due_s(self) -> float:
        """Return when the next deadline may be called missed; infinity for none that was not looked at."""
        deadline_s = self.state.deadline_s
        if deadline_s <= self._passed_s:
            return math.inf
        return max(deadline_s + self.scorer.register.grace_s + 1.0, self.state.newest_s)

    def _strode(self, before_s: float) -> bool:
        """Pass over a stride of sweeps where the last of them changes no alert."""
        if self._stride < 2 or self._sweep_s < self._one_by_one_s:  # noqa: PLR2004  # one is no stride
            return False
        ahead_s = self._sweep_s + self._stride * self._every_s
        if ahead_s >= before_s:
            return False
        row = unpack(pack(self.state))
        if self._look(row, ahead_s):
            self._one_by_one_s = ahead_s
            return False
        self._sweep_s = ahead_s
        return True

    def _sweep(self, at_s: float) -> None:
        self._keep(self._look(self.state, at_s))

    def _look(self, row: CustomerState, at_s: float) -> list[Decision]:
        """Look at a row for silence and for deadlines that passed."""
        read_s = all_until(at_s) if self._read_s is None else self._read_s
        return self.scorer.sweep(row, at_s, absence_until_s=at_s, fulfilled_until_s=read_s)

    def _keep(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            document = self._tell(self.scorer, self.customer_id, self.state, decision)
            self.steps.append(Lived(decision.glance.at_s, document))
