"""Builds of the handler side by side: what an event costs in each, from its decoding to its packed row.

python tests/bench/beside.py TREE TREE... [--events N] [--rounds N]

TREE is a checkout, compiled (`make compile` there) or not. All run at once on one core, so that all see the
same noise: measured one after another on a machine whose speed varies, they tell of the machine.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

CUSTOMERS = 100_000
CHUNK_RECORDS = 2_000
TRANSACTION_CHUNKS = 8
"""Chunks of a transaction: 16,000 records."""
WARM_UP = 1 / 3
"""Share of the events that is not measured: the first meet an empty table."""
END_S = 1_780_000_000.0


def share_a_core() -> None:
    """Use the first core alone, in turns of a tenth of a second where the system lets us choose.

    By default turns are some milliseconds, and each begins with the caches of another.
    """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))


def cost_us(events: int) -> float:
    """Return the microseconds of CPU that an event takes, in the tree on Python's path."""
    from streams.engine import partition as found  # noqa: PLC0415  # of the tree that is measured
    from streams.engine.marker import new_marker  # noqa: PLC0415  # as above
    from streams.processing import build_processor  # noqa: PLC0415  # as above
    from streams.settings import Settings  # noqa: PLC0415  # as above
    from streams.topics import INPUTS  # noqa: PLC0415  # as above

    if not Path(found.__file__).is_relative_to(Path.cwd()):  # another one that is installed
        sys.exit(f"{found.__file__} was found instead")
    partition = found.Partition(0, build_processor(Settings()), session=1)
    partition.load({}, new_marker({topic.name: 0 for topic in INPUTS}))
    chunks = list(_chunks(events))
    warm = round(len(chunks) * WARM_UP)
    begun_s, measured = 0.0, 0
    for number in range(0, len(chunks), TRANSACTION_CHUNKS):
        if not begun_s and number >= warm:
            begun_s = time.process_time()
        draft = partition.draft(0.0)
        for chunk in chunks[number : number + TRANSACTION_CHUNKS]:
            draft.add(chunk)
        transaction = draft.seal()
        partition.commit(transaction)
        measured += transaction.records if begun_s else 0
    return (time.process_time() - begun_s) / measured * 1e6


def _chunks(events: int) -> Iterator[object]:
    """Yield the benchmark's touchpoints as the chunks of one partition."""
    from streams.engine.memory import MemoryRecord  # noqa: PLC0415  # of the tree that is measured
    from streams.engine.partition import Chunk  # noqa: PLC0415  # as above
    from tests.bench.workload import Workload  # noqa: PLC0415  # as above

    waiting: defaultdict[str, list[MemoryRecord]] = defaultdict(list)
    offsets: defaultdict[str, int] = defaultdict(int)
    sequences: defaultdict[str, int] = defaultdict(int)
    for each in Workload(CUSTOMERS).backlog(events, END_S):
        record = MemoryRecord(each.key, each.value, (), offsets[each.topic], int(END_S * 1000))
        offsets[each.topic] += 1
        records = waiting[each.topic]
        records.append(record)
        if len(records) == CHUNK_RECORDS:
            yield Chunk(each.topic, 0, records, offsets[each.topic], sequences[each.topic], 1)
            sequences[each.topic] += 1
            waiting[each.topic] = []


def beside(trees: Sequence[Path], events: int) -> list[float]:
    """Return what an event costs in each tree, all of them run at once on one core."""
    running = [
        subprocess.Popen(
            [sys.executable, __file__, "--measure", "--events", str(events)],
            cwd=tree,
            env={**os.environ, "PYTHONPATH": str(tree.resolve())},
            stdout=subprocess.PIPE,
            text=True,
        )
        for tree in trees
    ]
    told = [process.communicate()[0] for process in running]
    for tree, process in zip(trees, running, strict=True):
        if process.returncode:
            sys.exit(f"{tree}: no checkout whose handler can be measured (see above)")
    return [float(line) for line in told]


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="Measure builds of the handler at once on one core.")
    parser.add_argument("trees", nargs="*", type=Path, help="checkouts")
    parser.add_argument("--events", type=int, default=450_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        share_a_core()
        sys.stdout.write(f"{cost_us(options.events)}\n")
        return
    if not options.trees:
        parser.error("name the checkouts to measure")
    rounds = [beside(options.trees, options.events) for _ in range(options.rounds)]
    first = median(costs[0] for costs in rounds)
    for tree, costs in zip(options.trees, zip(*rounds, strict=True), strict=True):
        seen = ", ".join(f"{cost:.2f}" for cost in costs)
        sys.stdout.write(f"{tree}: {seen} us an event; {median(costs) / first:.3f} of the first\n")


if __name__ == "__main__":
    main()
