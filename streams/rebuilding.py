"""The product's part of a rebuild: a handler that tells nobody, and alerts that go on as they were.

A rebuild replays years in minutes. Nothing of that is published: rows are written, no score, no alert, no
dead letter. At the end of a partition its old alerts are looked at: one that is open in the new row too goes
on under its id, and stays announced if it was; one that is not is closed with reason `rebuilt`.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from schemas.outputs import OVER
from schemas.times import at_time
from streams.engine.handler import Effects, Output, Standing, Work
from streams.engine.loader import read_newest
from streams.engine.partition import Partition
from streams.processing import Processor
from streams.scoring.cases import alert_id
from streams.scoring.explain import Document
from streams.scoring.lifecycle import mark_told
from streams.scoring.rows import pack, unpack
from streams.scoring.rules import SEVERITIES, Rule
from streams.scoring.state import CustomerState, Episode

BECAUSE: Final = "rebuilt"
_RULES: Final = {rule.label: rule for rule in Rule}


class Quiet:
    """The product's handler for a replay: rows as a worker would make them, and nobody hears of it."""

    def __init__(self, processor: Processor) -> None:
        # No time is near the end of time: nothing that is decided counts as news.
        processor.office.clock = lambda: math.inf
        processor.office.event_clock = False
        processor.publishing = False
        self.processor = processor

    def begin(self, partition: int, rows: dict[bytes, bytes], standing: Standing) -> Work:
        """Start a unit of work (see `engine.handler.Handler`)."""
        return QuietWork(self.processor.begin(partition, rows, standing))

    def committed(self, partition: int, effects: Effects) -> None:
        """Count nothing: a replay is no work of a worker."""


class QuietWork:
    """A unit of work of which only the rows are kept."""

    urgent = False
    """Nobody waits for it."""

    def __init__(self, work: Work) -> None:
        self.apply = work.apply
        self.settle = work.settle
        self.sweep = work.sweep
        self._work = work

    def finish(self) -> Effects:
        """Return the rows and the counts; budgets are left as they stand."""
        done = self._work.finish()
        done.tokens.clear()
        return done


class Alerts:
    """Settles the alerts of rebuilt partitions, and counts what became of them."""

    def __init__(self, topic: str, now_s: float) -> None:
        self.topic = topic
        self.now_s = now_s
        self.continued = 0
        self.closed = 0

    async def settle(self, consumer: Any, partition: Partition) -> Effects:
        """Return the rows to change and the alerts to close (see `engine.rebuild.Orders`)."""
        newest = (await read_newest(consumer, self.topic, [partition.number]))[partition.number]
        documents = [orjson.loads(value) for value in newest.rows.values()]
        return self.reconcile(partition.rows, documents, partition.marker.generation)

    def reconcile(
        self, rows: Mapping[bytes, bytes], documents: Iterable[Document], generation: str
    ) -> Effects:
        """Bring `rows` and the newest step of each alert together."""
        effects = Effects()
        for customer_id, by_rule in _by_customer(documents).items():
            row = rows.get(customer_id.encode())
            state = unpack(row) if row is not None else None
            for rule, found in by_rule.items():
                for document in self._match(state, rule, found, generation):
                    self.closed += 1
                    effects.outputs.append(self._closing(document))
            if state is not None and (packed := pack(state)) != row:
                effects.rows[customer_id.encode()] = packed
        return effects

    def _match(
        self, state: CustomerState | None, rule: Rule, found: list[Document], generation: str
    ) -> list[Document]:
        """Let the row's episode of a rule go on from the old alerts; return those that have ended."""
        still_open = [document for document in found if document["step"] not in OVER]
        episode = state.episodes.get(rule) if state is not None else None
        if state is None or episode is None:
            return still_open
        newest: int = max(document["episode"] for document in found)
        if episode.closed_s is not None or not still_open:
            # The next one, or this one, must not be taken for an old alert that has ended.
            episode.number = max(episode.number, newest + (episode.closed_s is None))
            return still_open
        held = max(still_open, key=lambda document: int(document["episode"]))
        _carry(state, episode, held)
        episode.number = newest
        goes_on = alert_id(generation, held["customer_id"], rule, episode.number) == held["alert_id"]
        self.continued += goes_on
        return [document for document in still_open if document is not held or not goes_on]

    def _closing(self, document: Document) -> Output:
        closing = document | {
            "step": "resolved",
            "resolved_because": BECAUSE,
            "reason": "Closed: the history was replayed, and the rule does not hold in it",
            "announced": False,
            "act_by": None,
            "do": [],
            "do_not": [],
            "at": at_time(self.now_s),
        }
        value = orjson.dumps(closing, option=orjson.OPT_SORT_KEYS)
        return Output(self.topic, document["alert_id"].encode(), value)


def _by_customer(documents: Iterable[Document]) -> dict[str, dict[Rule, list[Document]]]:
    found: dict[str, dict[Rule, list[Document]]] = defaultdict(lambda: defaultdict(list))
    for document in documents:
        if document["rule"] in _RULES:
            found[document["customer_id"]][_RULES[document["rule"]]].append(document)
    return found


def _carry(state: CustomerState, episode: Episode, document: Document) -> None:
    """Note in the row what people know of the alert, and what they did with it."""
    told_s = _seconds(document["announced_at"])
    if told_s is not None:
        mark_told(episode, SEVERITIES.index(document["severity"]), told_s)
        state.told_s = max(state.told_s or 0.0, told_s)
    if episode.acknowledged_s is None:
        episode.acknowledged_s = _seconds(document["acknowledged_at"])
    if episode.snoozed_until_s is None:
        episode.snoozed_until_s = _seconds(document["snoozed_until"])
    episode.outcome = episode.outcome or document["outcome"] or ""


def _seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()
