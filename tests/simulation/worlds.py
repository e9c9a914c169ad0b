"""Worlds of a few customers: the product on an in-memory log, whose units of work may fail."""

from itertools import count
from typing import Any

import orjson
from hypothesis import strategies as st

from streams.engine.handler import Counts
from streams.engine.marker import MARKER_KEY, Marker, Position
from streams.engine.memory import MemoryLog, MemoryWorker
from streams.engine.partition import Transaction
from streams.engine.settings import EngineSettings
from streams.processing import Processor
from streams.scoring.rows import pack, unpack
from streams.scoring.warm import WarmStates
from streams.suppression import Suppression
from streams.topics import ACTIONS, INPUTS, OUTPUTS, WEB
from tests.customers import DEFAULT, line, packed_anew, parts_of, seconds
from tests.lives import MATTERS, MOMENTS, ORDERS

PARTITIONS = 2
CUSTOMERS = (b"anna", b"ben", b"carla", b"dan")
SECRET = b"a key that nobody can guess"
SETTINGS = EngineSettings(
    bootstrap_servers="",
    app_id="warm",
    inputs=tuple(topic.name for topic in INPUTS),
    outputs=tuple(topic.name for topic in OUTPUTS),
    chunk_records=20,
    sweep_interval_s=900.0,
)


class World:
    """A log and the worker on it, whose units of work are committed, dropped or lost."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.day = 70.0
        self.lived_on = 0
        """How often a state was changed that had been in memory before."""
        self.before: dict[bytes, tuple[bytes, object]] = {}
        self.ids = count()
        self.log = MemoryLog(PARTITIONS)
        self.log.create(SETTINGS.changelog)
        for number in range(PARTITIONS):
            # A generation that is not random: it is a part of every alert's id.
            marker = Marker(2, "generation", dict.fromkeys(SETTINGS.inputs, Position(0, 0)), Counts(), 0)
            self.log.append(SETTINGS.changelog, MARKER_KEY, marker.encode(), timestamp_ms=0, partition=number)
        self.start()

    def start(self) -> None:
        """Start a worker with an empty memory in the place of the one before."""
        self.processor = Processor(DEFAULT, clock=lambda: seconds(self.day))
        self.processor.suppression = Suppression(SECRET)
        self.processor.warm = WarmStates(self.most)
        self.worker = MemoryWorker(self.log, SETTINGS, self.processor, now=lambda: seconds(self.day))
        self.worker.assign(range(PARTITIONS))

    def produce(self, who: int, what: tuple[str, dict[str, Any]], day: float) -> None:
        """Let a touchpoint of a customer come in."""
        kind, data = what
        key, number = CUSTOMERS[who], next(self.ids)
        topic = (ACTIONS if kind == "customer.forgotten" else WEB).name
        if kind == "customer.forgotten":
            data = {"proof": Suppression(SECRET).proof(key.decode(), f"e{number}", ()), "alert_ids": []}
        value = orjson.loads(line(kind, day, id=f"e{number}", **data)) | {"subject": key.decode()}
        at_ms = int(seconds(self.day) * 1000)
        self.log.append(topic, key, orjson.dumps(value), timestamp_ms=at_ms)

    def work(self, fate: str) -> None:
        """Apply what came in, on every partition."""
        for number in range(PARTITIONS):
            self.worker.poll(number)
            self._end(number, self.worker.compute(number), fate)

    def sweep(self, fate: str) -> None:
        """Look at every customer after a day, or after years."""
        self.day += 1200.0 if fate == "dropped" else 1.0
        for number in range(PARTITIONS):
            keys = list(self.worker.state(number).rows)
            self._end(number, self.worker.sweep(number, keys), fate, reload=False)

    def check(self) -> None:
        """Assert that each state in memory is what its row says, in every bit and type."""
        for key, (row, state) in self.processor.warm._held.items():
            assert pack(state) == row
            assert packed_anew(state.entries) == state.entries.packed, (
                "an entry changed, and its bytes were kept"
            )
            assert exact(state) == exact(unpack(row))
            old_row, old_state = self.before.get(key, (row, None))
            self.lived_on += state is old_state and row is not old_row
        self.before = {**self.processor.warm._held}

    def _end(self, number: int, transaction: Transaction | None, fate: str, *, reload: bool = True) -> None:
        if transaction is None:
            return
        if fate != "dropped":
            self.worker.write(transaction)
        if fate == "committed":
            self.worker.confirm(transaction)
        elif fate == "died":
            self.start()
        elif fate == "lost" or reload:
            self.worker.load(number)


def exact(value: Any) -> Any:
    """Return a state, or a part of one, so that only what is the same in every bit and type is equal."""
    if isinstance(value, dict):
        return [(exact(key), exact(each)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return [exact(each) for each in value]
    parts = parts_of(value)
    if parts is not None:
        return [(name, exact(part)) for name, part in parts]
    if isinstance(value, int) and not isinstance(value, bool):
        return "int", int(value)  # a rule is its number
    return type(value), value.hex() if isinstance(value, float) else value


FATES = ("committed", "committed", "committed", "dropped", "lost", "died")
KINDS = [*MOMENTS, *ORDERS, *MATTERS, ("customer.forgotten", {})]
TOUCHES = st.tuples(st.integers(0, len(CUSTOMERS) - 1), st.sampled_from(KINDS), st.integers(0, 64).map(float))
TURNS = st.tuples(st.sampled_from(("work", "work", "sweep")), st.sampled_from(FATES))


def live(steps: list[Any], most: int) -> World:
    """Return what becomes of some steps where so many states are kept."""
    world = World(most)
    for step in (*steps, ("work", "committed")):
        if step[0] == "work":
            world.work(step[1])
        elif step[0] == "sweep":
            world.sweep(step[1])
        else:
            world.produce(*step)
        world.check()
    return world
