"""The product as the engine drives it: a handler, which gives each transaction its unit of work."""

import time
from collections.abc import Callable

from streams.announcing import Desk
from streams.casework import Office
from streams.engine.handler import Effects, Standing
from streams.observe.intake import named_sources
from streams.observe.kpis import priced_by
from streams.observe.placement import PlacementWarnings
from streams.observe.tally import LATENCY_BUCKETS_S, Census, Histogram, Latencies, Processed, Tally
from streams.scoring.apply import Scorer
from streams.scoring.policy import load_policy
from streams.scoring.warm import WarmStates
from streams.settings import Settings
from streams.suppression import Suppression, build_suppression
from streams.taken import handlings
from streams.topics import ACTIONS as ACTIONS_TOPIC
from streams.topics import ALERTS, DEAD_LETTERS, INCIDENTS, INPUTS, SCORES
from streams.work import PartitionWork


class Processor:
    """The product's handler: scores touchpoints. One per worker."""

    def __init__(
        self,
        scorer: Scorer,
        *,
        prefix: str = "",
        max_customers: int = 2_000_000,
        link_template: str = "",
        event_clock: bool = False,
        clock: Callable[[], float] = time.time,
        partitions: int = 0,
    ) -> None:
        self.scorer = scorer
        self.handlings = handlings(scorer)
        self.suppression = Suppression()
        """By default nobody can be forgotten."""
        self.warm = WarmStates()
        self.max_customers = max_customers
        self.event_clock = event_clock
        self.clock = clock
        self.partitions = partitions
        """Partitions of every input; 0 while unknown: then it is not checked where customers lie."""
        self.topics = {prefix + topic.name: index for index, topic in enumerate(INPUTS)}
        self.actions_topic = prefix + ACTIONS_TOPIC.name
        self.scores_topic = prefix + SCORES.name
        self.publishing = True
        """A rebuild publishes no score: rows that remember none are published by the sweep after it."""
        self.office = Office(
            scorer,
            alerts_topic=prefix + ALERTS.name,
            incidents_topic=prefix + INCIDENTS.name,
            link_template=link_template,
            event_clock=event_clock,
            clock=clock,
        )
        self.dead_letters_topic = prefix + DEAD_LETTERS.name
        self.sources = named_sources(scorer.policy.sources)
        self.priced = priced_by(scorer.policy)
        self.tally = Tally(self.sources, self.priced)
        """Everything committed since this worker started."""
        self.alert_latency = Histogram(LATENCY_BUCKETS_S)
        """Seconds from an event's record timestamp to the commit of the alert that it raised."""
        self.latencies = Latencies()
        self.censuses: dict[int, Census] = {}
        """The last finished pass of the sweep, by partition."""
        self._counting: dict[int, Census] = {}
        self._placement = PlacementWarnings()

    @property
    def desks(self) -> dict[int, Desk]:
        """Return who decides of whom people are told, by partition."""
        return self.office.desks

    def begin(self, partition: int, rows: dict[bytes, bytes], standing: Standing) -> PartitionWork:
        """Start a unit of work on `partition` (see `engine.handler.Handler`)."""
        return PartitionWork(self, partition, rows, standing)

    def committed(self, partition: int, effects: Effects) -> None:
        """Add up what a committed transaction did, and keep the states of whom it touched."""
        if not isinstance(effects, Processed):
            msg = f"effects of another handler: {type(effects).__name__}"
            raise TypeError(msg)
        self.warm.keep(effects.rows, effects.states)
        effects.states = {}
        tally = effects.tally
        self.tally.add(tally)
        if tally.misplaced:
            self._placement.warn(tally.misplaced)
        now_s = self.clock()
        self.latencies.take(partition, tally, now_s)
        for record_s in tally.alert_records_s:
            self.alert_latency.observe(max(0.0, now_s - record_s))

    def counting(self, partition: int, rows: int, *, anew: bool) -> Census:
        """Return the census of the pass over `partition` under way; `anew` or without one, begin it.

        Where a partition was loaded again, those who were counted before are visited, and counted, again.
        """
        census = self._counting.get(partition)
        if census is None or anew:
            self.office.desk(partition).begin_pass()
            census = self._counting[partition] = Census(began_s=self.clock(), expected=rows)
        return census

    def counted(self, partition: int) -> None:
        """End the pass over `partition`: what it found is the partition's census.

        A gauge, not a count: a pass that a failed transaction interrupted is mended by the next one.
        """
        census = self.censuses[partition] = self._counting.pop(partition)
        census.ended_s = self.clock()
        self.office.desk(partition).end_pass()


def build_processor(settings: Settings) -> Processor:
    """Return the product's handler for `settings`; raises CxError on a policy that is not valid."""
    processor = Processor(
        Scorer(load_policy(settings.policy)),
        prefix=settings.topic_prefix,
        max_customers=settings.max_customers,
        link_template=settings.link_template,
        event_clock=settings.clock == "event",
    )
    processor.suppression = build_suppression(settings)
    return processor
