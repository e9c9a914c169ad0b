"""Which partitions this process owns, and how it comes to own them."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic

from streams.engine.bare import give_bare
from streams.engine.cluster import new_producer, reader
from streams.engine.errors import OutOfRange
from streams.engine.handler import Handler
from streams.engine.identity import settle
from streams.engine.loader import Loaded, read_changelog
from streams.engine.owned import Owned
from streams.engine.partition import Partition
from streams.engine.settings import EngineSettings
from streams.engine.stats import Stats
from streams.engine.sweep import SweepCursor
from streams.engine.wire import SPREAD_S, TopicInfo, describe
from streams.engine.writer import Writer, start_all

log = logging.getLogger(__name__)

SWEEP_SLICE = 500
"""Most customers in one transaction of the sweep."""


class Ownership:
    """The partitions of one worker by number."""

    def __init__(self, settings: EngineSettings, handler: Handler, stats: Stats) -> None:
        self.settings = settings
        self.handler = handler
        self.stats = stats
        self._owned: dict[int, Owned] = {}
        self._told: dict[int, str] = {}
        """Problems that were logged and counted; a stopped partition is looked at again and again."""

    def __iter__(self) -> Iterator[Owned]:
        return iter(list(self._owned.values()))

    def __len__(self) -> int:
        return len(self._owned)

    def get(self, number: int) -> Owned | None:
        """Return a partition, or None if it is not ours."""
        return self._owned.get(number)

    def loaded(self) -> set[int]:
        """Return the partitions that can be worked on."""
        return {owned.state.number for owned in self if owned.state.loaded and not owned.problem}

    def halted(self) -> dict[int, OutOfRange]:
        """Return the partitions that are stopped, and why."""
        return {owned.state.number: owned.problem for owned in self if owned.problem}

    def positions(self) -> dict[tuple[int, str], int]:
        """Return where each input of each loaded partition goes on."""
        return {
            (owned.state.number, topic): position.next_offset
            for owned in self
            if owned.state.loaded
            for topic, position in owned.state.marker.inputs.items()
        }

    async def made_anew(self) -> list[Owned]:
        """Return the partitions with an input whose topic is not the one that was read so far, or is gone.

        The group's consumer would not notice where the new topic has grown past the position, and it goes on
        without one that was deleted.
        """
        async with reader(self.settings) as consumer:
            found = await describe(consumer, self.settings.inputs, wait_s=SPREAD_S)
        return [owned for owned in self if owned.ready and _other_topics(owned, found)]

    async def load(self, numbers: set[int], session: int, generation: int, *, healing: bool) -> None:
        """Own exactly `numbers`: keep the memory of those owned just before, load the others from the log."""
        kept = {number for number in numbers if self._keep(number, session, generation, healing=healing)}
        await self.close(self._owned.keys() - kept)
        if fresh := sorted(numbers - kept):
            started = monotonic()
            await self._load([self._new(number, session, generation) for number in fresh])
            self.stats.recovery_seconds += monotonic() - started

    async def close(self, numbers: Iterable[int] | None = None) -> None:
        """Let partitions go, by default all."""
        leaving = list(self._owned if numbers is None else numbers)
        await asyncio.gather(*(self._owned.pop(number).close() for number in leaving))

    def _keep(self, number: int, session: int, generation: int, *, healing: bool) -> bool:
        """Keep the memory of a partition that was ours until this rebalance; tell whether it could be."""
        owned = self._owned.get(number)
        if owned is None or not owned.state.loaded or owned.problem or owned.lock.locked():
            return False
        # Kafka's generation tells whether another worker can have had it in between; when one had, the first
        # transaction would be fenced: this saves the detour.
        consecutive = healing or generation == owned.generation + 1
        if not consecutive or owned.state.session != session - 1:
            return False
        owned.generation = generation
        owned.state.begin_session(session)
        self.stats.kept += 1
        return True

    def _new(self, number: int, session: int, generation: int) -> Owned:
        return Owned(
            Partition(number, self.handler, session=session),
            Writer(self.settings, number, new_producer(self.settings, number)),
            generation,
            SweepCursor(self.settings.sweep_interval_s, SWEEP_SLICE),
        )

    async def _load(self, fresh: list[Owned]) -> None:
        try:
            # Whoever wrote before is fenced, and its open transaction aborted, BEFORE the changelog is read.
            await start_all([each.writer for each in fresh])
            await self._read(fresh)
        except BaseException:
            await asyncio.gather(*(each.close() for each in fresh))
            raise
        self._owned.update({each.state.number: each for each in fresh})

    async def _read(self, fresh: list[Owned]) -> None:
        async with reader(self.settings) as consumer:
            give_bare(consumer)
            numbers = [each.state.number for each in fresh]
            found = await read_changelog(consumer, self.settings.changelog, numbers, self.stats)
            markers = {number: loaded.marker for number, loaded in found.items()}
            settled = await settle(consumer, self.settings, markers)
        for each in fresh:
            number = each.state.number
            if problem := settled.problems.get(number):
                self._stop(each, problem, found[number])
            else:
                self._told.pop(number, None)
                each.state.load(found[number].rows, settled.markers[number])

    def _stop(self, owned: Owned, problem: OutOfRange, loaded: Loaded) -> None:
        owned.problem = problem
        if loaded.marker is not None:
            owned.state.load(loaded.rows, loaded.marker)
        if self._told.get(owned.state.number) == str(problem):
            return
        self._told[owned.state.number] = str(problem)
        self.stats.out_of_range += 1
        log.error(
            "partition %d is stopped: %s. Nothing was skipped. The way out: %s",
            owned.state.number,
            problem,
            problem.mend,
        )


def _other_topics(owned: Owned, found: Mapping[str, TopicInfo]) -> list[str]:
    """Return the inputs that are not there, or have another topic id now."""
    return [
        topic
        for topic, position in owned.state.marker.inputs.items()
        if topic not in found or (position.topic_id and found[topic].topic_id not in ("", position.topic_id))
    ]
