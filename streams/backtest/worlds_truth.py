"""Alerts held against the truth of a world: who of those who left was seen, how soon, and who was not gone.

A model that scores customers each period raises an alert the first time after a purchase that a score
reaches its threshold; a purchase ends it. The threshold is set so that every model raises the same number.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.backtest.worlds_life import DAY_S, Life

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
WEEK_DAYS: Final = 7.0
SILENT_HORIZONS: Final = 2.0
"""Who is silent for so many horizons is given up by a rule of thumb: the lead is measured from there."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Alerts of one model: of which customer (index in the lives) and when (seconds since the epoch)."""

    customer: Ints
    at_s: Floats


@dataclass(frozen=True, slots=True)
class Seen:
    """What alerts were worth, by the truth."""

    alerts: int
    per_1000_a_week: float
    """Alerts per 1,000 active customers a week."""
    detected: float
    """Share of those who left that had an alert before they had been silent for two horizons."""
    detected_driven: float | None
    """The same of those whom a moment drove out; None where nobody was."""
    false_alarms: float
    """Share of the alerts whose customer had not left."""
    lead_days: float
    """Mean days between the alert of who left and two horizons of silence; 0 where none was seen."""


def cycles(lives: list[Life], customer: Ints, at_s: Floats) -> Ints:
    """Return for each row how many purchases its customer had made: an alert belongs to one such cycle."""
    counted = np.zeros(len(customer), dtype=np.int64)
    for index in np.unique(customer):
        rows = customer == index
        counted[rows] = np.searchsorted(lives[index].purchases, at_s[rows], side="right")
    return counted


class Cycles:
    """Scored rows by cycle: what is between two purchases of a customer raises at most one alert."""

    def __init__(self, customer: Ints, at_s: Floats, cycle: Ints, score: Floats) -> None:
        self._customer, self._at_s, self._cycle, self._score = customer, at_s, cycle, score
        self._order = order = np.lexsort((at_s, cycle, customer))
        new = (np.diff(customer[order]) != 0) | (np.diff(cycle[order]) != 0)
        self._starts = np.flatnonzero(np.concatenate([[True], new]))

    def alarms(self, threshold: float) -> Alarms:
        """Return the first row of each cycle at which the score reaches the threshold.

        What was above it in the first period is no alert: nobody knows since when.
        """
        reached = self._order[self._score[self._order] >= threshold]
        pairs = np.stack([self._customer[reached], self._cycle[reached]])
        _, heads = np.unique(pairs, axis=1, return_index=True)
        rows = reached[heads]
        rows = rows[self._at_s[rows] > self._at_s.min()]
        return Alarms(self._customer[rows], self._at_s[rows])

    def threshold(self, most: int) -> float:
        """Return the highest threshold with at least `most` alerts, or as many as there can be."""
        order, starts = self._order, self._starts
        highest = np.maximum.reduceat(self._score[order], starts)
        first = order[starts]
        already = np.where(self._at_s[first] == self._at_s.min(), self._score[first], -np.inf)
        tried = np.unique(highest)[::-1]
        above = len(highest) - np.searchsorted(np.sort(highest), tried, side="left")
        before = len(already) - np.searchsorted(np.sort(already), tried, side="left")
        enough = np.flatnonzero(above - before >= most)
        return float(tried[enough[0] if len(enough) else np.argmax(above - before)])


def judge(
    lives: list[Life], alarms: Alarms, *, horizon_days: float, span: tuple[float, float], weeks: float
) -> Seen:
    """Return what alerts were worth.

    `span` is from when to when (seconds since the epoch) customers were scored: who left within it, two
    horizons before its end, could be seen. `weeks` is the sum of weeks of all active customers.
    """
    silent_s = SILENT_HORIZONS * horizon_days * DAY_S
    by_customer: dict[int, list[float]] = {}
    for customer, at_s in zip(alarms.customer.tolist(), alarms.at_s.tolist(), strict=True):
        by_customer.setdefault(customer, []).append(at_s)
    leads: list[float] = []
    seen: list[bool] = []
    driven: list[bool] = []
    for index, life in enumerate(lives):
        if life.left_s is None or not span[0] <= life.left_s <= span[1] - silent_s:
            continue
        given_up_s = life.left_s + silent_s
        in_time = [at_s for at_s in by_customer.get(index, []) if life.left_s <= at_s < given_up_s]
        leads += [(given_up_s - min(in_time)) / DAY_S] if in_time else []
        seen.append(bool(in_time))
        driven += [bool(in_time)] if life.because else []
    total = len(alarms.customer)
    false = sum(not _gone(lives[customer], at_s) for customer, own in by_customer.items() for at_s in own)
    return Seen(
        alerts=total,
        per_1000_a_week=1000.0 * total / weeks if weeks else 0.0,
        detected=sum(seen) / len(seen) if seen else 0.0,
        detected_driven=sum(driven) / len(driven) if driven else None,
        false_alarms=false / total if total else 0.0,
        lead_days=sum(leads) / len(leads) if leads else 0.0,
    )


def _gone(life: Life, at_s: float) -> bool:
    return life.left_s is not None and life.left_s <= at_s
