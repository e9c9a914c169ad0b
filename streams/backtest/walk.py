"""Replay a log in event time through the real scoring, and score who is active at each period.

At a time t a row has seen the events before t and nothing else; the policy in force was fitted on labels
that had matured by t. So what happens after t cannot change a score at t by a bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streams.backtest.baselines import Baselines
from streams.backtest.fit import Fitted, Fitter
from streams.backtest.history import History, RawRow, Rows, rows_of
from streams.backtest.log import Engagements, Floats, Log
from streams.backtest.plan import Grid, Plan, next_fit
from streams.backtest.population import Lives
from streams.scoring.apply import Scorer
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.rhythm import count_half_lives_s
from streams.topics import INPUTS

if TYPE_CHECKING:
    from streams.scoring.state import CustomerState

Progress = Callable[[int, int], None]
"""Told the period and how many there are."""


@dataclass(frozen=True, slots=True)
class Walked:
    """All scores of a walk, one row a customer and period, and the last policy."""

    rows: Rows
    period: Floats
    """Number of each row's period."""
    scores: dict[str, Floats]
    """Model -> its score of each row, higher is more at risk."""
    policy: Policy
    fits: list[Fitted]


class Walk:
    """One pass over a log. With `refit` the policy is fitted anew as labels mature; else it stays."""

    def __init__(self, log: Log, plan: Plan, policy: Policy, *, refit: bool) -> None:
        self._log = log
        self._plan = plan
        self._refit = refit
        self._engagements = log.engagements(policy)
        self._fitter = Fitter(policy, self._engagements)
        self._baselines = Baselines(policy, self._engagements)
        self._half_lives_s = count_half_lives_s(policy)
        self._base = Scorer(policy)
        self._scorer = self._base
        self._states: dict[int, CustomerState] = {}
        self._active: dict[int, CustomerState] = {}
        self._rhythms = np.full((len(log.customers), 3), np.nan)
        self._history = History()
        self._next = 0
        self._read_s: dict[str, float] = {}
        """The newest event so far of each channel: what is due later is not called broken yet."""

    @property
    def engagements(self) -> Engagements:
        """When customers engaged, the future included: for judging only."""
        return self._engagements

    def run(self, grid: Grid, progress: Progress | None = None) -> Walked:
        """Score every period of `grid`."""
        scores: dict[str, list[Floats]] = {}
        periods: list[Floats] = []
        fits: list[Fitted] = []
        due = next_fit(0)
        for number, at_s in enumerate(grid.times_s):
            self._move_to(at_s)
            if number == due:
                self._learn(at_s, fits)
                due = next_fit(number)
            rows = self._look(at_s)
            self._history.add(rows)
            periods.append(np.full(len(rows), float(number)))
            for name, column in ({"ours": rows.logit} | self._baselines.scores(rows)).items():
                scores.setdefault(name, []).append(column)
            if progress is not None:
                progress(number + 1, len(grid.times_s))
        columns = {name: np.concatenate(parts) for name, parts in scores.items()}
        return Walked(self._history.rows, np.concatenate(periods), columns, self._scorer.policy, fits)

    def fit_at_end(self, grid: Grid, progress: Progress | None = None) -> Fitted:
        """Walk through `grid` with its fits, then fit once more at the end of the log."""
        fits = self.run(grid, progress).fits
        self._move_to(grid.end_s)
        self._learn(grid.end_s, fits)
        return fits[-1]

    def _move_to(self, at_s: float) -> None:
        """Apply the events before `at_s`, break what is overdue, and let go of who was not active lately."""
        entries, states, apply = self._log.entries, self._states, self._base.apply
        number = self._next
        while number < len(entries) and entries[number][0] < at_s:
            event_s, _, _, customer, topic, event = entries[number]
            state = states.get(customer)
            if state is None:
                state = states[customer] = self._base.new(event_s)
            apply(state, event, event_s, topic)
            self._active[customer] = state
            self._read_s[event.channel or INPUTS[topic].default_channel] = event_s
            number += 1
        self._next = number
        oldest_day = at_s / DAY_S - self._plan.active_days
        for customer, state in list(self._active.items()):
            self._base.expire(state, at_s, self._read_s)
            rhythm = state.rhythm
            if rhythm is None:  # has not engaged yet
                continue
            self._rhythms[customer] = rhythm.repeats, rhythm.first_day, rhythm.last_day
            if rhythm.last_day < oldest_day:
                del self._active[customer]

    def _look(self, at_s: float) -> Rows:
        """Return a row of every active customer, with what the real scoring says of them."""
        base, churn = self._base, self._scorer.churn
        index = self._scorer.policy.alert_horizon
        raw: list[RawRow] = []
        for customer, state in self._active.items():
            glance = base.rules.glance(state, at_s)
            terms = churn.terms(state, glance.failures, at_s, glance.score, glance.trend)
            rhythm, logit = state.rhythm, churn.logit(state, at_s, terms, index)
            if rhythm is None or logit is None:  # has not engaged yet
                continue
            days = (customer, rhythm.first_day, rhythm.last_day, rhythm.repeats)
            raw.append((*days, state.ref_s, rhythm.spend, glance.terms, logit, *rhythm.counts))
        return rows_of(raw, at_s, self._half_lives_s)

    def _learn(self, at_s: float, fits: list[Fitted]) -> None:
        rows, lives = self._history.sample(), self._lives(at_s)
        learnt_days = self._plan.horizon_days
        if self._refit:
            fits.append(self._fitter.fit(rows, lives, at_s))
            self._scorer = Scorer(fits[-1].policy)
            learnt_days = fits[-1].learnt_days or learnt_days
        self._baselines.fit(rows, lives, at_s, learnt_days)

    def _lives(self, at_s: float) -> Lives:
        """Return the histories of all customers who ever engaged, as of `at_s`."""
        known = self._rhythms[~np.isnan(self._rhythms[:, 0])]
        return Lives(known[:, 0], known[:, 2] - known[:, 1], at_s / DAY_S - known[:, 1])
