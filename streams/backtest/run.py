"""Backtest and fit as one call each, for commands and for other programs."""

from collections.abc import Iterable
from dataclasses import dataclass

from streams.backtest.fit import Fitted
from streams.backtest.judge import Verdict, judge
from streams.backtest.log import Log, read_log
from streams.backtest.plan import Plan, grid, under_horizon
from streams.backtest.walk import Progress, Walk
from streams.scoring.policy import Policy


@dataclass(frozen=True, slots=True)
class Question:
    """A log, what is asked of it, and the policy to start from."""

    name: str
    log: Log
    plan: Plan
    policy: Policy


def ask(name: str, lines: Iterable[bytes], plan: Plan, policy: Policy) -> Question:
    """Read a log for a backtest or a fit; CxError where nothing can be read of it."""
    policy = under_horizon(policy, plan.horizon_days)
    return Question(name, read_log(lines, policy), plan, policy)


def backtest(question: Question, *, refit: bool, progress: Progress | None = None) -> Verdict:
    """Replay a log and judge every model; with `refit` ours is fitted as time goes on.

    Raises CxError where the log is too short, or has nothing to tell apart.
    """
    walk = Walk(question.log, question.plan, question.policy, refit=refit)
    engagements = walk.engagements
    times = grid(question.plan, engagements.first_s, engagements.last_s)
    walked = walk.run(times, progress)
    return judge(question.name, question.plan, walked, times, engagements)


def fit(question: Question, *, progress: Progress | None = None) -> Fitted:
    """Return the policy that a backtest would go on with at the end of the log."""
    walk = Walk(question.log, question.plan, question.policy, refit=True)
    times = grid(question.plan, walk.engagements.first_s, walk.engagements.last_s)
    return walk.fit_at_end(times, progress)
