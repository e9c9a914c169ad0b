"""Calibration: from the log-odds that the sum gives to those that came true.

Platt has one slope >= 0 for all horizons and a shift for each, which never goes up with the horizon:
`logit = slope * sum + shift`. It scales each contribution and shifts b0, so that nothing is left over.
Isotonic has a strictly increasing curve for each horizon, linear in log-odds between its knots and of slope
1 beyond them; then, going up in the horizon, `p(h) = min(own, p of the next shorter)`. Both keep the order
in the horizon: a longer one is never the higher risk.
"""

from bisect import bisect_right

from streams.scoring.policy import CalibrationSection


class Curve:
    """A strictly increasing line through knots (log-odds told, log-odds that came true)."""

    def __init__(self, x: tuple[float, ...], y: tuple[float, ...]) -> None:
        self._x = x
        self._y = y

    def at(self, logit: float) -> float:
        """Return the calibrated log-odds."""
        x, y = self._x, self._y
        right = bisect_right(x, logit)
        if right == 0:
            return y[0] + (logit - x[0])
        if right == len(x):
            return y[-1] + (logit - x[-1])
        left = right - 1
        return y[left] + (logit - x[left]) * (y[right] - y[left]) / (x[right] - x[left])


class Calibration:
    """The calibration of one policy: the same for every row."""

    def __init__(self, section: CalibrationSection, horizons: int) -> None:
        platt = section.kind == "platt"
        self.slope = section.slope if platt else 1.0
        self.shifts = section.shifts if platt else (0.0,) * horizons
        self.curves: tuple[Curve, ...] = ()
        if section.kind == "isotonic":
            self.curves = tuple(Curve(x, y) for x, y in zip(section.x, section.y, strict=True))
