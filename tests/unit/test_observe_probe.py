"""The probe of the event loop's lag, on a loop whose clock the test moves."""

from typing import Any

import pytest

from streams.observe.probe import EVERY_S, LoopProbe


class Loop:
    """As much of an event loop as the probe asks for."""

    def __init__(self) -> None:
        self.now_s = 10.0
        self.calls: list[tuple[float, Any, tuple[Any, ...]]] = []

    def time(self) -> float:
        """Return the loop's clock."""
        return self.now_s

    def call_at(self, when: float, callback: Any, *args: Any) -> None:
        """Remember a call."""
        self.calls.append((when, callback, args))

    def run(self, late_s: float) -> None:
        """Make the call that waits, too late by some seconds."""
        when, callback, args = self.calls.pop()
        self.now_s = when + late_s
        callback(*args)


def test_each_call_counts_by_how_much_it_was_late():
    """A loop that was busy for two seconds shows it; a call asks for the next one."""
    loop = Loop()
    probe = LoopProbe(loop)  # type: ignore[arg-type]
    probe.start()
    assert loop.calls[0][0] == 10.0 + EVERY_S
    loop.run(late_s=2.0)
    loop.run(late_s=0.0)
    assert probe.lag.total == pytest.approx(2.0)
    assert sum(probe.lag.counts) == 2


def test_a_stopped_probe_asks_for_no_other_call():
    """The call that waits is the last one."""
    loop = Loop()
    probe = LoopProbe(loop)  # type: ignore[arg-type]
    probe.start()
    probe.stop()
    loop.run(late_s=0.0)
    assert not loop.calls
