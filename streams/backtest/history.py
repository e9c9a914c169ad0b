"""What was known of the customers at each period: columns, one row a customer and period."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from streams.backtest.log import Floats, Ints
from streams.scoring.churn import MIN_COUNT, MOST_HORIZONS, TYPICAL_OCCASIONS
from streams.scoring.policy import DAY_S

MOST_ROWS: Final = 200_000
"""More rows move a coefficient by less than the season does, and cost seconds at each fit."""

RawRow = tuple[float, ...]
"""Customer, first day, last day, repeats, reference time, spend, experience terms, logit, counts."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns of equal length. Days count from 1970-01-01; `last` and `age` from the first engagement."""

    customer: Ints
    at_s: Floats
    first_day: Floats
    last: Floats
    age: Floats
    repeats: Floats
    counts: Floats
    """Decayed occasions, one column a horizon of the policy."""
    spend: Floats
    """Decayed, at the half-life of the longest horizon's count; minor units."""
    terms: Floats
    """The experience terms under the policy before any fit, log-odds."""
    logit: Floats
    """What the real scoring said, log-odds at the alert horizon."""

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, index: Ints) -> "Rows":
        """Return the rows at `index`."""
        return Rows(*(getattr(self, name)[index] for name in self.__slots__))

    def log_count(self, horizon: int) -> Floats:
        """Return the log of the decayed count of a horizon, as `Churn` takes it."""
        found: Floats = np.log(np.maximum(self.counts[:, horizon], MIN_COUNT))
        return found

    def log_spend(self, typical: float) -> Floats:
        """Return the log of the shrunk mean spend of an occasion against the typical, as `Churn` takes it."""
        spend = np.maximum(self.spend / typical + TYPICAL_OCCASIONS, MIN_COUNT)
        found: Floats = np.log(spend / (self.counts[:, -1] + TYPICAL_OCCASIONS))
        return found

    def silence(self, horizon_days: float) -> Floats:
        """Return the days since the last engagement in horizons, as `Churn` takes them."""
        found: Floats = np.minimum(self.recency / horizon_days, MOST_HORIZONS)
        return found

    @property
    def recency(self) -> Floats:
        """Days since the last engagement."""
        return self.age - self.last


def rows_of(raw: list[RawRow], at_s: float, half_lives_s: tuple[float, ...]) -> Rows:
    """Return the columns of one period, each sum decayed to its time."""
    table = np.array(raw, dtype=np.float64).reshape(len(raw), 8 + len(half_lives_s))
    decay = np.exp2((table[:, 4] - at_s)[:, None] / np.array(half_lives_s))
    return Rows(
        customer=table[:, 0].astype(np.int64),
        at_s=np.full(len(raw), at_s),
        first_day=table[:, 1],
        last=table[:, 2] - table[:, 1],
        age=at_s / DAY_S - table[:, 1],
        repeats=table[:, 3],
        counts=table[:, 8:] * decay,
        spend=table[:, 5] * decay[:, -1],
        terms=table[:, 6],
        logit=table[:, 7],
    )


class History:
    """The periods so far, oldest first."""

    def __init__(self) -> None:
        self.periods: list[Rows] = []

    def add(self, rows: Rows) -> None:
        """Add a period."""
        self.periods.append(rows)

    def sample(self) -> Rows:
        """Return the rows of all periods so far, or an even share of each where they are too many."""
        step = max(1, -(-sum(map(len, self.periods)) // MOST_ROWS))
        return joined(
            [
                rows if step == 1 else rows.take(np.arange(number % step, len(rows), step))
                for number, rows in enumerate(self.periods)
                if len(rows)
            ]
        )

    @cached_property
    def rows(self) -> Rows:
        """All rows; ask for it when no period is added any more."""
        return joined([rows for rows in self.periods if len(rows)])


def joined(periods: list[Rows]) -> Rows:
    """Return periods one below the other; no period gives no row."""
    if not periods:
        return rows_of([], 0.0, (1.0,))
    return Rows(*(np.concatenate([getattr(rows, name) for rows in periods]) for name in Rows.__slots__))
