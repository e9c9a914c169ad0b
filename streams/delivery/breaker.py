"""The circuit breaker of an endpoint: a receiver that fails is left alone, then asked with one message."""

from typing import Final

FAILURES: Final = 5
"""Failures in a row after which the receiver is left alone."""
FIRST_REST_S: Final = 30.0
LONGEST_REST_S: Final = 300.0


class Breaker:
    """Counts failures in a row; times are seconds of any one clock."""

    def __init__(self) -> None:
        self._failures = 0
        self._rest_s = FIRST_REST_S
        self._open_until_s: float | None = None
        self._held_until_s = 0.0
        self._probing = False

    @property
    def open(self) -> bool:
        """Tell whether the receiver is left alone, or asked with one message only."""
        return self._open_until_s is not None

    def wait_s(self, now_s: float) -> float:
        """Return how long nothing may be sent; 0 lets one message through, and a probe is alone."""
        if now_s < self._held_until_s:
            return self._held_until_s - now_s
        if self._open_until_s is None:
            return 0.0
        if now_s < self._open_until_s:
            return self._open_until_s - now_s
        return 1.0 if self._probing else 0.0

    def began(self) -> None:
        """Note that a message is on its way."""
        self._probing = self.open

    def succeeded(self) -> None:
        """Note that the receiver works."""
        self._failures = 0
        self._rest_s = FIRST_REST_S
        self._open_until_s = None
        self._probing = False

    def failed(self, now_s: float) -> None:
        """Note that the receiver does not work."""
        self._failures += 1
        was_probe, self._probing = self._probing, False
        if was_probe:
            self._rest_s = min(LONGEST_REST_S, 2 * self._rest_s)
        if was_probe or (self._failures >= FAILURES and not self.open):
            self._open_until_s = now_s + self._rest_s

    def left(self) -> None:
        """Note that a message was given up on the way: nothing is known of the receiver."""
        self._probing = False

    def hold(self, until_s: float) -> None:
        """Send nothing before `until_s`: the receiver asked for it."""
        self._held_until_s = max(self._held_until_s, until_s)
