"""A cluster in one thread: an in-memory log, workers that die, freeze and come back, and a virtual clock.

Every step is drawn from one seeded generator, so that a seed is a run. What is simulated is the transport and
its failures; partitions, markers, queues, watermarks and the sweep are the engine's own.
"""

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from streams.engine.errors import Fenced, Lost
from streams.engine.handler import Handler
from streams.engine.marker import MARKER_KEY, Marker, decode_marker
from streams.engine.memory import MemoryLog, MemoryRecord, MemoryWorker
from streams.engine.partition import Draft, Transaction
from streams.engine.settings import EngineSettings

INPUTS = ("web", "store", "actions")
ALERTS, DEAD = "alerts", "dead"
PARTITIONS = 3
WORKERS = 3
STEPS = 400
CI_SEEDS = 200
CUSTOMERS = 40
POISON = 0.03
GATHERED = 0.5
"""Share of the transactions that nobody waits for that have gathered enough."""
SETTINGS = EngineSettings(
    bootstrap_servers="",
    app_id="sim",
    inputs=INPUTS,
    outputs=(ALERTS, DEAD),
    chunk_records=5,
    sweep_interval_s=20.0,
)


@dataclass(slots=True)
class Process:
    """A worker as the group sees it."""

    name: int
    worker: MemoryWorker | None = None
    frozen: bool = False
    evicted: bool = False
    """The group moved its partitions while it was frozen; it does not know yet."""
    gathering: dict[int, Draft] = field(default_factory=dict)
    """Begun, and nobody waits for what they have."""
    in_hand: dict[int, Transaction] = field(default_factory=dict)
    """Computed, not written yet."""
    written: dict[int, Transaction] = field(default_factory=dict)
    """Written, memory not moved yet."""

    def is_busy(self, number: int) -> bool:
        """Tell whether a transaction of a partition waits to be written or confirmed."""
        return number in self.in_hand or number in self.written

    def forget(self, number: int | None = None) -> None:
        """Drop what was begun on a partition, on all if not told."""
        for each in (self.gathering, self.in_hand, self.written):
            if number is None:
                each.clear()
            else:
                each.pop(number, None)


class Simulation:
    """One run. `trace` says what was done, step by step."""

    def __init__(self, seed: int, handler: Callable[[], Handler]) -> None:
        self.rnd = random.Random(seed)
        self.handler = handler
        self.now_s = 1_700_000_000.0
        self.log = MemoryLog(PARTITIONS)
        self.processes = [Process(name) for name in range(WORKERS)]
        self.trace: list[str] = []
        self.done: Counter[str] = Counter()
        for topic in (*INPUTS, ALERTS, DEAD, SETTINGS.changelog):
            self.log.create(topic)

    def run(self) -> None:
        """Let things happen, then let everybody recover and finish."""
        actions = {
            self.produce: 6,
            self.poll: 8,
            self.compute: 10,
            self.write: 10,
            self.confirm: 10,
            self.sweep: 3,
            self.tick: 3,
            self.lose_a_fetch: 0.4,
            self.write_and_never_hear: 0.5,
            self.heal_before_hearing_of_the_rebalance: 0.3,
            self.start: 0.7,
            self.kill: 0.4,
            self.freeze: 0.4,
            self.thaw: 0.8,
            self.leave: 0.2,
        }
        self.start()
        for _ in range(STEPS):
            [action] = self.rnd.choices(list(actions), list(actions.values()))
            if action():
                self.done[action.__name__] += 1
                self.trace.append(action.__name__)
        self.finish()

    # -- what happens

    def produce(self) -> bool:
        """Write a few records, some of them poison."""
        for _ in range(self.rnd.randrange(1, 12)):
            key = b"c%d" % self.rnd.randrange(CUSTOMERS)
            value = orjson.dumps({"v": self.rnd.randrange(50)})
            if self.rnd.random() < POISON:
                value = self.rnd.choice((b"{{", b"[]", b'{"v":"x"}'))
            self.log.append(self.rnd.choice(INPUTS), key, value, timestamp_ms=int(self.now_s * 1000))
        return True

    def tick(self) -> bool:
        """Let time pass."""
        self.now_s += self.rnd.expovariate(1 / 3)
        return True

    def poll(self) -> bool:
        """Fetch something."""
        return self._at_partition(
            lambda process, number: _worker(process).poll(number, self.rnd.randrange(1, 6))
        )

    def compute(self) -> bool:
        """Begin a transaction or go on with it, one at a time a partition; sooner or later it is done."""

        def go(process: Process, number: int) -> object:
            if process.is_busy(number):
                return False
            worker, most = _worker(process), self.rnd.randrange(1, 15)
            draft = process.gathering.pop(number, None)
            if draft is None:
                draft = worker.begin(number)
                if draft is None:
                    return False
                worker.gather(number, draft, most)
            elif worker.ready(number) <= draft.room:
                self.done["gather"] += 1
                worker.gather(number, draft, most)
            if draft.urgent or not draft.room or self.rnd.random() < GATHERED:
                process.in_hand[number] = draft.seal()
            else:
                process.gathering[number] = draft
            return True

        return self._at_partition(go)

    def sweep(self) -> bool:
        """Sweep a few customers; writes like any batch."""

        def go(process: Process, number: int) -> object:
            if process.is_busy(number) or number in process.gathering:
                return False
            keys = list(_worker(process).state(number).rows)
            self.rnd.shuffle(keys)
            transaction = _worker(process).sweep(number, keys[:5])
            if transaction is not None:
                process.in_hand[number] = transaction
            return transaction is not None

        return self._at_partition(go)

    def write(self) -> bool:
        """Commit what is in hand."""

        def go(process: Process, number: int) -> object:
            transaction = process.in_hand.pop(number, None)
            if transaction is None:
                return False
            _worker(process).write(transaction)
            process.written[number] = transaction
            return True

        return self._at_partition(go)

    def confirm(self) -> bool:
        """Hear of the commit."""

        def go(process: Process, number: int) -> object:
            transaction = process.written.pop(number, None)
            if transaction is not None:
                _worker(process).confirm(transaction)
            return transaction is not None

        return self._at_partition(go)

    def write_and_never_hear(self) -> bool:
        """Commit, but lose the answer: the partition is loaded again."""

        def go(process: Process, number: int) -> object:
            transaction = process.in_hand.pop(number, None)
            if transaction is None:
                return False
            _worker(process).write(transaction)
            self._reload(process, number)
            return True

        return self._at_partition(go)

    def lose_a_fetch(self) -> bool:
        """Drop fetched chunks on the way: the next one must be refused."""

        def go(process: Process, number: int) -> object:
            worker = _worker(process)
            if not worker.poll(number, 2):
                return False
            worker._held[number].queue.clear()
            return True

        return self._at_partition(go)

    def heal_before_hearing_of_the_rebalance(self) -> bool:
        """Let an evicted worker load its partitions again: it fences the new owners, who must heal."""
        evicted = [p for p in self.processes if p.worker and p.evicted and not p.frozen]
        if not evicted:
            return False
        process = self.rnd.choice(evicted)
        for number in _worker(process).partitions:
            self._reload(process, number)
        return True

    def start(self) -> bool:
        """Start a process that is not there; the group is rebalanced."""
        absent = [process for process in self.processes if process.worker is None]
        if not absent:
            return False
        process = self.rnd.choice(absent)
        process.worker = MemoryWorker(self.log, SETTINGS, self.handler(), now=lambda: self.now_s)
        process.frozen = process.evicted = False
        self._rebalance()
        return True

    def kill(self) -> bool:
        """Kill with -9; the group notices."""
        return self._end(rebalance=True)

    def leave(self) -> bool:
        """End in good order: what is in hand is dropped, the group is rebalanced."""
        return self._end(rebalance=True)

    def freeze(self) -> bool:
        """SIGSTOP past the session timeout: the others take over."""
        running = [process for process in self.processes if process.worker and not process.frozen]
        if len(running) < 2:
            return False
        process = self.rnd.choice(running)
        process.frozen = process.evicted = True
        self._rebalance()
        return True

    def thaw(self) -> bool:
        """SIGCONT: it goes on where it was, then hears of the rebalance or is fenced first."""
        frozen = [process for process in self.processes if process.frozen]
        if not frozen:
            return False
        self.rnd.choice(frozen).frozen = False
        return True

    def finish(self) -> None:
        """Everybody comes back and works until all is applied and swept."""
        for process in self.processes:
            process.frozen = False
        if not any(process.worker for process in self.processes):
            self.start()
        self._rebalance()
        for process in self.processes:
            for number in process.worker.partitions if process.worker else ():
                self._drain(process, number)

    # -- machinery

    def _at_partition(self, go: Callable[[Process, int], object]) -> bool:
        """Do something at a random partition of a random running process; a loss reloads or rejoins."""
        running = [p for p in self.processes if p.worker and not p.frozen and p.worker.partitions]
        if not running:
            return False
        process = self.rnd.choice(running)
        number = self.rnd.choice(_worker(process).partitions)
        try:
            return bool(go(process, number))
        except Lost as error:
            self.trace.append(f"{process.name} lost {number}: {type(error).__name__}")
            self.done[type(error).__name__] += 1
            if process.evicted and isinstance(error, Fenced):
                self._rejoin(process)
            else:
                self._reload(process, number)
            return True

    def _reload(self, process: Process, number: int) -> None:
        process.forget(number)
        _worker(process).load(number)

    def _drain(self, process: Process, number: int) -> None:
        """Apply what is left; memory that is behind the log is fenced, and loaded again once."""
        try:
            while _worker(process).step(number):
                pass
        except Fenced:
            self._reload(process, number)
            while _worker(process).step(number):
                pass

    def _rejoin(self, process: Process) -> None:
        process.evicted = False
        self._rebalance()

    def _end(self, *, rebalance: bool) -> bool:
        present = [process for process in self.processes if process.worker]
        if not present:
            return False
        process = self.rnd.choice(present)
        process.worker, process.frozen, process.evicted = None, False, False
        process.forget()
        if rebalance:
            self._rebalance()
        return True

    def _rebalance(self) -> None:
        """Give the partitions to those who take part; a frozen one keeps what it believes to own."""
        members = [process for process in self.processes if process.worker and not process.frozen]
        self.rnd.shuffle(members)
        for process in members:
            process.evicted = False
        for rank, process in enumerate(members):
            # What is in hand is let end or dropped; a written one whose answer is outstanding dirties it.
            for number in process.written:
                _worker(process).state(number).dirty = True
            process.forget()
            _worker(process).assign(n for n in range(PARTITIONS) if n % len(members) == rank)


def _worker(process: Process) -> MemoryWorker:
    assert process.worker is not None
    return process.worker


def markers_in_order(log: MemoryLog) -> list[str]:
    """Return where the markers of the changelog are not each the successor of the one before."""
    wrong = []
    for number in range(PARTITIONS):
        before: Marker | None = None
        for record in log.read(SETTINGS.changelog, number):
            if record.key != MARKER_KEY or record.value is None:
                continue
            marker = decode_marker(record.value)
            marker.check()
            if marker.transactions != (before.transactions + 1 if before else 1):
                wrong.append(f"partition {number}: transaction {marker.transactions} out of order")
            before = marker
        ends = {topic: log.end(topic, number) for topic in INPUTS}
        if before is None:
            wrong += [f"partition {number}: nothing applied"] if any(ends.values()) else []
            continue
        wrong += [
            f"partition {number}: {topic} stands at {position.next_offset} of {ends[topic]}"
            for topic, position in before.inputs.items()
            if position.next_offset != ends[topic]
        ]
    return wrong


def out_of_step(log: MemoryLog) -> list[str]:
    """Return the markers that stand behind a record while an older one of another input is not applied."""
    wrong = []
    for number in range(PARTITIONS):
        inputs = {topic: log.read(topic, number) for topic in INPUTS}
        for record in log.read(SETTINGS.changelog, number):
            if record.key != MARKER_KEY or record.value is None:
                continue
            at = {topic: each.next_offset for topic, each in decode_marker(record.value).inputs.items()}
            applied = [inputs[topic][after - 1].timestamp for topic, after in at.items() if after]
            left = [
                inputs[topic][after].timestamp for topic, after in at.items() if after < len(inputs[topic])
            ]
            if max(applied, default=0) > min(left, default=math.inf):
                wrong.append(f"partition {number}: at {at}, applied up to {max(applied)}, left {min(left)}")
    return wrong


def everything(log: MemoryLog, topic: str) -> list[MemoryRecord]:
    """Return all records of a topic."""
    return [record for number in range(PARTITIONS) for record in log.read(topic, number)]
