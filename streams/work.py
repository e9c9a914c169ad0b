"""The way of an event: records of a partition in; rows, scores, alerts and dead letters out.

A unit of work decodes, applies and evaluates, and returns `Effects`. The engine delivers the records and
writes the effects in one transaction; the in-memory log drives the same code.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, cast

from schemas.arrivals import Arrival
from schemas.codec import judge_time, receive
from schemas.envelope import Touchpoint
from schemas.families.customers import CustomerForgotten
from schemas.rejects import Reject, RejectReason, dead_letter_headers, reject
from schemas.times import seconds_of
from schemas.tracing import trace_of
from streams.aftermath import act, follow
from streams.casework import Casework, Office
from streams.engine.handler import Counts, Output, Record, Run, Standing
from streams.observe.counted import count_up
from streams.observe.intake import LATE_S, Meter, is_late
from streams.observe.placement import CHECKED_ROWS, partition_of
from streams.observe.tally import Census, Processed, Tally
from streams.outages import SEEN, count
from streams.publishing import due, publish
from streams.scoring.apply import Applied, Scorer, admit
from streams.scoring.policy import DAY_S
from streams.scoring.rows import pack, unpack
from streams.scoring.rules import Glance
from streams.scoring.state import CustomerState
from streams.scoring.warm import WarmStates
from streams.suppression import Forgetting, Suppression, alerts_of, is_reserved
from streams.taken import Handling, Origin, Taken
from streams.topics import INPUTS

log = logging.getLogger(__name__)

FORGET_AFTER_S: Final = 3 * 365 * DAY_S
FORGET_COVERAGE: Final = 0.01
FORGETTING: Final = CustomerForgotten
"""Its own name would be looked up in the module for each event."""
_STRONG: Final = Applied.STRONG
_CANCELLED: Final = Applied.CANCELLED
STAGED: Final = 64
"""Records that go through each stage together: more would need more memory than a core has close by."""


class Shared(Protocol):
    """What the units of work of one worker share (see `processing.Processor`)."""

    scorer: Scorer
    handlings: dict[type[Touchpoint], Handling]
    office: Office
    suppression: Suppression
    warm: WarmStates
    sources: frozenset[str]
    priced: frozenset[str]
    topics: dict[str, int]
    """Full names of the inputs -> their numbers."""
    actions_topic: str
    scores_topic: str
    dead_letters_topic: str
    max_customers: int
    partitions: int
    publishing: bool

    def counting(self, partition: int, rows: int, *, anew: bool) -> Census:
        """Return the census of the pass over `partition` under way; `anew` or without one, begin it."""
        ...

    def counted(self, partition: int) -> None:
        """End the pass over `partition`."""
        ...


class PartitionWork:
    """One unit of work on one state partition; rows are read from memory and changed in copies."""

    def __init__(
        self, processor: Shared, partition: int, rows: dict[bytes, bytes], standing: Standing
    ) -> None:
        self._processor = processor
        self._scorer = processor.scorer
        self._handlings = processor.handlings
        self._partition = partition
        self._rows = rows
        self._warm = processor.warm
        self._standing = standing
        self._origins: dict[str, Origin] = {}
        self._current: Record | None = None
        """What is being applied."""
        self._touched: dict[bytes, CustomerState] = {}
        self._active_s = processor.scorer.policy.announcements.active_days * DAY_S
        self._created = 0
        self._accepted = self._duplicate = self._anonymous = self._suppressed = self._rejected = 0
        self._forgetting = Forgetting(processor.suppression, rows)
        self._anyone_forgotten: bool = self._forgetting.active
        tally = Tally(processor.sources, processor.priced)
        self._done = Processed(tally, self._touched)
        self._tally, self._kpis, self._intake = tally, tally.kpis, tally.intake
        self._meters: list[Meter | None] = [None] * len(self._handlings)
        """The meter of each type's last event, by its number: most come from one source, by one channel."""
        self._casework = Casework(processor.office, partition, standing, self._done)

    @property
    def urgent(self) -> bool:
        """Tell whether there is an alert, an incident, a dead letter or something to remove."""
        return bool(self._done.outputs)

    def apply(self, runs: Sequence[Run]) -> None:
        """Apply records, run by run."""
        began_s = time.perf_counter()
        try:
            self._apply(runs)
        except Exception:
            current = self._current
            if current is not None:  # whoever mends it has to find the record
                topic = next(topic for topic, records in runs if any(each is current for each in records))
                where = {"topic": topic, "partition": self._partition, "offset": current.offset}
                log.error("a record could not be scored", extra={**where, "customer": current.key})  # noqa: TRY400  # the engine says why
            raise
        for origin in self._origins.values():
            if origin.newest_s:
                self._done.newest_event_s[origin.topic] = origin.newest_s
        for _, records in runs:
            self._intake.arrived(records)
        self._tally.compute_s += time.perf_counter() - began_s

    def _apply(self, runs: Sequence[Run]) -> None:
        """Take the records of all runs through the stages, so many at a time."""
        staged: list[Record] = []
        origins: list[Origin] = []
        for topic, records in runs:
            origin = self._origin(topic)
            begin = 0
            while begin < len(records):
                more = list(records[begin : begin + STAGED - len(staged)])
                begin += len(more)
                staged += more
                origins += [origin] * len(more)
                if len(staged) == STAGED:
                    self._apply_staged(staged, origins)
                    staged, origins = [], []
        self._apply_staged(staged, origins)

    def _origin(self, topic: str) -> Origin:
        origin = self._origins.get(topic)
        if origin is None:
            index = self._processor.topics[topic]
            origin = self._origins[topic] = Origin(topic, index, INPUTS[index].default_channel)
        return origin

    def _apply_staged(self, records: list[Record], origins: list[Origin]) -> None:
        """Read, judge and count stage by stage.

        What is done to many in a row finds its code in the core's cache: each alone would fetch most of it
        anew (decision 0025).
        """
        while records:
            arrivals = self._receive(records)
            taken = self._judge(records, origins, arrivals)
            if not self._anyone_forgotten:
                self._fetch(taken)
            for one in taken:
                self._current = one.record
                self._count(one)
            self._measure(taken)
            records, origins = records[len(arrivals) :], origins[len(arrivals) :]

    def _receive(self, records: list[Record]) -> list[Arrival | Reject]:
        """Read records, up to the first request to forget: of rejects behind it nothing may be kept."""
        arrivals: list[Arrival | Reject] = []
        for record in records:
            self._current = record
            arrival = receive(record.value, record.key, record.headers)
            arrivals.append(arrival)
            if isinstance(arrival, Arrival) and arrival.kind is FORGETTING:
                break
        return arrivals

    def _judge(
        self, records: list[Record], origins: list[Origin], arrivals: list[Arrival | Reject]
    ) -> list[Taken]:
        """Return the events of customers; what else was read has its outcome."""
        ancient_s, handlings = self._scorer.policy.ancient_before_s, self._handlings
        taken: list[Taken] = []
        for number, arrival in enumerate(arrivals):
            record, origin = records[number], origins[number]
            self._current = record
            if not isinstance(arrival, Arrival):
                self._dead_letter(arrival, record, origin)
                continue
            event_s = seconds_of(arrival.time)
            record_s = record.timestamp / 1000.0
            untrue = judge_time(event_s, record_s, ancient_s)
            if untrue is not None:
                self._dead_letter(untrue, record, origin)
                continue
            key = arrival.key
            if key is None or arrival.subject is None:
                self._anonymous += 1
                self._intake.seen(arrival.event, arrival.channel or origin.channel, "anonymous")
                continue
            handling = handlings[arrival.kind]
            taken.append(Taken(record, origin, key, arrival, event_s, record_s, handling))
        return taken

    def _fetch(self, taken: list[Taken]) -> None:
        """Unpack the rows of the customers that events are about to change."""
        touched, rows, warm = self._touched, self._rows, self._warm
        for one in taken:
            key = one.key
            state = touched.get(key)
            if state is None and not one.handling.forgets:
                row = rows.get(key)
                if row is not None:
                    self._current = one.record
                    state = touched[key] = warm.take(key, row)
            one.state = state

    def _count(self, one: Taken) -> None:
        """Apply one event to its customer's row."""
        arrival, key, channel, handling = one.arrival, one.key, one.channel, one.handling
        event, record, origin, event_s = arrival.event, one.record, one.origin, one.event_s
        if handling.forgets:
            self._forget_on_request(cast("CustomerForgotten", event), one)
            return
        if self._anyone_forgotten and self._forgetting.holds(key, self._touched):
            self._suppressed += 1
            self._intake.seen(event, channel, "suppressed")
            return
        state = one.state or self._state(one)
        if state is None:
            self._dead_letter(reject(RejectReason.CAPACITY, "$.subject", "a new customer"), record, origin)
            return
        if not admit(state, origin.index, one.event):
            self._duplicate += 1
            self._intake.seen(event, channel, "duplicate")
            return
        self._accepted += 1
        one.accepted = True
        scorer, counting = self._scorer, handling.counting
        if counting is not None and counting.contact:
            one.last = scorer.ledger.last_of(state)
        applied = scorer.count(state, arrival, handling.kind, one.signals, event_s, one.event)
        # At a neutral act only time has passed: it mostly changes nothing.
        if one.event is not None or scorer.rules.stirs(
            state, state.newest_s, absence_until_s=self._casework.absence_until_s
        ):
            self._decide(key, state, event, record, applied)
        if handling.acts:
            act(self._casework, key, state, event, trace_of(record.headers, event.traceparent))

    def _measure(self, taken: list[Taken]) -> None:
        """Count what was accepted for whoever watches."""
        for one in taken:
            if not one.accepted:
                continue
            arrival, channel, event_s, handling = one.arrival, one.channel, one.event_s, one.handling
            origin = one.origin
            if event_s > origin.newest_s:  # noqa: PLR1730  # max() costs several times as much
                origin.newest_s = event_s
            meter = self._meter(handling, arrival, channel, event_s, one.record_s)
            for signal in one.signals:
                meter.feel(signal.code if signal.a < 0.0 else -signal.code, signal.m)
            counting = handling.counting
            if counting is not None:
                self._kpis.see(counting, arrival, channel, one.key, event_s, one.last)

    def _decide(
        self, key: bytes, state: CustomerState, event: Touchpoint, record: Record, applied: Applied
    ) -> None:
        """Evaluate the rules after an event, and tell what they decide."""
        rules, until_s = self._scorer.rules, self._casework.absence_until_s
        glance = state.glance = rules.glance(state, state.newest_s)
        strong, cancelled = applied is _STRONG, applied is _CANCELLED
        decisions = rules.decide(state, glance, absence_until_s=until_s, strong=strong, cancelled=cancelled)
        if decisions:
            trace = trace_of(record.headers, event.traceparent)
            self._casework.decided(key, state, decisions, history=bool(event.backfill), trace=trace)
            self._tally.alert_records_s.append(record.timestamp / 1000.0)

    def _meter(
        self, handling: Handling, arrival: Arrival, channel: str, event_s: float, record_s: float
    ) -> Meter:
        """Count an accepted event for its type, channel and source (see `observe.intake.Intake.accepted`)."""
        source, number = arrival.source, handling.number
        meter = self._meters[number]
        if meter is None or meter.source != source or meter.channel != channel:
            meter = self._meters[number] = self._intake.meter(arrival.kind, channel, source)
        meter.number += 1
        if event_s > meter.newest_s:  # noqa: PLR1730  # max() costs several times as much, on every event
            meter.newest_s = event_s
        if record_s - event_s > LATE_S and is_late(arrival.event, event_s, record_s):
            meter.late += 1
        return meter

    def _state(self, one: Taken) -> CustomerState | None:
        """Return the customer's row to change, made anew if need be; None beyond the capacity."""
        key = one.key
        state = self._touched.get(key)
        if state is not None:
            return state
        row = self._rows.get(key)
        if row is not None:
            state = self._warm.take(key, row)
        elif len(self._rows) + self._created >= self._processor.max_customers:
            return None
        else:
            state = self._scorer.new(one.event_s)
            self._created += 1
            if self._created <= CHECKED_ROWS:
                self._check_place(one)
        self._touched[key] = state
        return state

    def _check_place(self, one: Taken) -> None:
        """Count a new customer whom the producer's partitioner put on a partition of its own choice."""
        partitions = self._processor.partitions
        if partitions and partition_of(one.key, partitions) != self._partition:
            count_up(self._tally.misplaced, one.origin.topic)

    def sweep(self, keys: Iterable[bytes], now_s: float, *, begins: bool = False) -> None:
        """Evaluate the customers in `keys` at the watermark `now_s`: silence makes no event."""
        census = self._processor.counting(self._partition, len(self._rows), anew=begins)
        census.at_s = now_s
        for key in keys:
            census.visited += 1
            row = self._rows.get(key)
            if row is None:
                continue
            if is_reserved(key):
                census.forgotten += 1
            else:
                self._visit(key, row, census, now_s)
        if census.visited >= max(1, census.expected):
            self._processor.counted(self._partition)
        self._casework.watch_sources(now_s)
        self._casework.announce(self, now_s)

    def _visit(self, key: bytes, row: bytes, census: Census, now_s: float) -> None:
        """Look at one customer: what silence has done, and what there is to publish, to judge and to tell."""
        casework = self._casework
        state = self._touched.get(key) or unpack(row)
        decided = self._evaluate(key, state, now_s)
        at_s = max(now_s, state.newest_s)
        changed = follow(casework, key, state, at_s) or decided
        glance = census.take(self._scorer, row, state, at_s)
        casework.desk.see(active=at_s - state.newest_s < self._active_s)
        if state.has_episodes:
            casework.note(key, state, casework.to_tell(key.decode(), state, at_s), glance)
        if glance.coverage < FORGET_COVERAGE and self._forgettable(state, at_s):
            self._forget(key)
        elif changed or due(self._scorer, state, glance) is not None:
            self.keep(key, state, glance)

    def _evaluate(self, key: bytes, state: CustomerState, now_s: float) -> bool:
        """Look at a row at `now_s`, or at its newest event; True if a promise broke or a rule decided."""
        rules, casework = self._scorer.rules, self._casework
        at_s, until_s = max(now_s, state.newest_s), min(now_s, casework.absence_until_s)
        broke = self._scorer.expire(state, now_s, casework.fulfilled_until_s)
        if broke:
            decisions = rules.evaluate(state, at_s, absence_until_s=until_s, strong=True)
        else:
            decisions = rules.evaluate_silence(state, at_s, absence_until_s=until_s)
        if decisions:
            casework.decided(key, state, decisions, history=not casework.caught_up)
        return broke or bool(decisions)

    def look(self, key: bytes, now_s: float) -> tuple[CustomerState, Glance] | None:
        """Evaluate a customer at `now_s` (see `casework.Rows`)."""
        state, row = self._touched.get(key), self._rows.get(key)
        if state is None:
            if row is None or key in self._done.rows:
                return None
            state = unpack(row)
        decided = self._evaluate(key, state, now_s)
        glance = self._scorer.rules.glance(state, now_s)
        if decided:
            self.keep(key, state, glance)
        return state, glance

    def keep(self, key: bytes, state: CustomerState, glance: Glance) -> None:
        """Write a changed row with the transaction."""
        self._touched[key] = state
        state.glance = glance

    @staticmethod
    def _forgettable(state: CustomerState, at_s: float) -> bool:
        if at_s - state.newest_s < FORGET_AFTER_S:
            return False
        return all(episode.closed_s is not None for episode in state.episodes.values())

    def _forget(self, key: bytes) -> None:
        """Tombstone a row of which nothing is left to know."""
        self._touched.pop(key, None)
        self._done.rows[key] = None
        self._done.outputs.append(Output(self._processor.scores_topic, key, None))

    def _forget_on_request(self, event: CustomerForgotten, one: Taken) -> None:
        """Remove everything kept of a customer and remember that nothing is to be kept."""
        key, origin = one.key, one.origin
        if origin.topic != self._processor.actions_topic or not self._processor.suppression.accepts(event):
            self._dead_letter(reject(RejectReason.FORGET_KEY, "$.data.proof", "a proof"), one.record, origin)
            return
        row = self._rows.get(key)
        state = self._touched.get(key) or (self._warm.take(key, row) if row is not None else None)
        alerts = self._processor.office.alerts_topic
        for alert in alerts_of(event, state, self._standing.generation):
            self._done.outputs.append(Output(alerts, alert.encode(), None))
        if not self._forgetting.holds(key, ()):
            self._done.outputs.append(Output(self._processor.scores_topic, key, None))
        self._touched.pop(key, None)
        self._done.rows.update(self._forgetting.forget(key))
        self._anyone_forgotten = True
        self._casework.desk.note(key, None)
        self._accepted += 1
        self._intake.seen(event, one.channel, "accepted")

    def settle(self) -> None:
        """Publish the due scores of the customers applied so far, and pack their rows."""
        done, tally, touched = self._done, self._tally, self._touched
        rows, written = done.rows, 0
        if self._processor.publishing:
            scores = publish(self._scorer, touched, self._processor.scores_topic)
            done.outputs += scores
            tally.scores += len(scores)
        for key, state in touched.items():
            state.glance = None  # a state that is kept would keep all that was read with it
            packed = rows[key] = pack(state)
            written += len(key) + len(packed)
        tally.changelog_bytes += written
        # Those of the groups before are let go: a backlog touches more than can be kept.
        done.states = touched
        self._touched = {}

    def finish(self) -> Processed:
        """Return everything that this work changed: due scores, then rows."""
        if self._touched:
            self.settle()
        self._count_channels()
        done = self._done
        done.counts = Counts(
            self._accepted, self._duplicate, self._anonymous, self._suppressed, self._rejected
        )
        return done

    def _count_channels(self) -> None:
        """Keep how much each channel sends: the silence of a source is judged by it."""
        tokens, before = self._done.tokens, self._standing.tokens
        for channel, meter in self._intake.by_channel().items():
            name = SEEN + channel
            tokens[name] = count(before.get(name), meter.number, meter.newest_s)

    def _dead_letter(self, found: Reject, record: Record, origin: Origin) -> None:
        """Keep a rejected record's bytes, key and headers, with the reason and its origin as headers.

        Of a forgotten customer nothing is kept: the record is suppressed.
        """
        if (
            record.key is not None
            and self._anyone_forgotten
            and self._forgetting.holds(record.key, self._touched)
        ):
            self._suppressed += 1
            return
        headers = dead_letter_headers(
            found,
            topic=origin.topic,
            partition=self._partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
        )
        self._done.outputs.append(
            Output(self._processor.dead_letters_topic, record.key, record.value, (*record.headers, *headers))
        )
        count_up(self._tally.rejects, (origin.topic, found.reason.value))
        self._intake.rejected(record.value, record.headers, found.reason.value)
        self._rejected += 1
