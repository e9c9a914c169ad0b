"""G1 to G4 over seeded interleavings of produce, poll, compute, write, commit, crash, rebalance and zombie.

A failing seed is printed; `pytest tests/simulation --seed N` runs it again.
"""

import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))  # the counting handler is shared

from counting import ALERT_EVERY, CountingHandler, amount  # found by the lines above
from simulation import (
    ALERTS,
    CI_SEEDS,
    DEAD,
    INPUTS,
    PARTITIONS,
    SETTINGS,
    Simulation,
    everything,
    markers_in_order,
    out_of_step,
)

from streams.engine.marker import MARKER_KEY

_seen: Counter[str] = Counter()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each seed a test of its own."""
    if "seed" in metafunc.fixturenames:
        one = metafunc.config.getoption("--seed", None)
        seeds = range(metafunc.config.getoption("--seeds", CI_SEEDS)) if one is None else [one]
        metafunc.parametrize("seed", seeds)


def test_every_event_is_counted_once_whatever_happens(seed: int) -> None:
    """Rows, alerts, dead letters and markers are those of the inputs alone."""
    simulation = Simulation(seed, lambda: CountingHandler(ALERTS, DEAD))
    simulation.run()
    _seen.update(simulation.done)
    found = differences(simulation)
    again = f"run it again: pytest tests/simulation --seed {seed}"
    assert not found, f"seed {seed}: {found[:10]}\n{again}\n" + "\n".join(simulation.trace[-60:])


@pytest.mark.parametrize("among", range(40))
def test_inputs_are_applied_in_step(among: int) -> None:
    """Whatever happens, no record is applied before an older one that the log has of another input."""
    simulation = Simulation(among, lambda: CountingHandler(ALERTS, DEAD))
    # What was fetched and lost is known to be missing only when the next chunk comes.
    simulation.lose_a_fetch = lambda: False  # type: ignore[method-assign]
    simulation.run()
    assert out_of_step(simulation.log) == []


def test_the_simulation_reached_every_failure(request: pytest.FixtureRequest) -> None:
    """The runs before this one did lose fetches, fence zombies, kill and freeze: they prove something."""
    if (
        request.config.getoption("--seed", None) is not None
        or request.config.getoption("--seeds", CI_SEEDS) < 50
    ):
        pytest.skip("needs many seeds")
    wanted = {"Fenced", "SequenceHole", "kill", "freeze", "thaw", "write_and_never_hear", "sweep", "gather"}
    wanted.add("heal_before_hearing_of_the_rebalance")
    assert wanted <= _seen.keys()


def test_a_seed_is_a_run() -> None:
    """The same seed does the same things."""
    traces = []
    for _ in range(2):
        simulation = Simulation(11, lambda: CountingHandler(ALERTS, DEAD))
        simulation.run()
        traces.append(simulation.trace)
    assert traces[0] == traces[1]


def differences(simulation: Simulation) -> list[str]:
    """Return what differs from a recount of the inputs."""
    log = simulation.log
    rows: dict[bytes, list[int]] = {}
    dead: set[bytes] = set()
    for topic in INPUTS:
        for number in range(PARTITIONS):
            for record in log.read(topic, number):
                value = amount(record)
                if value is None:
                    dead.add(f"{topic}:{number}:{record.offset}".encode())
                else:
                    row = rows.setdefault(bytes(record.key or b""), [0, 0])
                    row[0] += 1
                    row[1] += value
    state = {
        record.key: orjson.loads(record.value or b"")
        for record in everything(log, SETTINGS.changelog)
        if record.key != MARKER_KEY
    }
    wrong = markers_in_order(log)
    wrong += [
        f"row {key!r}: {state.get(key)}, must be {row}"
        for key, row in rows.items()
        if key not in state or state[key][:2] != row
    ]
    times = Counter(record.key for record in everything(log, ALERTS))
    wrong += [f"alert {key!r} {count} times" for key, count in times.items() if count != 1]
    want = {
        b"%s:%d" % (key, step)
        for key, (n, _) in rows.items()
        for step in range(ALERT_EVERY, n + 1, ALERT_EVERY)
    }
    have = {key for key in times if key and not key.startswith(b"absent:")}
    wrong += [f"alerts differ: {sorted(want ^ have)}"] if want != have else []
    absent = {key.removeprefix(b"absent:") for key in times if key and key.startswith(b"absent:")}
    swept = {key for key, row in state.items() if row[2]}
    wrong += [f"sweep: {sorted(absent ^ swept)}"] if absent != swept else []
    origins = Counter(dict(record.headers)["cx-origin"] for record in everything(log, DEAD))
    wrong += [f"dead letters: {origins}, must be {dead}"] if origins != dict.fromkeys(dead, 1) else []
    return wrong
