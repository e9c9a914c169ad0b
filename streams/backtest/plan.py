"""What a backtest asks: how far ahead, of whom, how often, and from when on it counts."""

import math
from dataclasses import dataclass

import msgspec

from streams.amounts import counted
from streams.errors import CxError, Exit
from streams.scoring.policy import DAY_S, Policy, default_policy, policy_from_tables

REFIT_PERIODS = 4
REFIT_SHARE = 1 / 40
"""A fit costs a second or two: six years of weeks must not cost minutes, so less often the more is known."""
LATE_SHARE = 0.6
"""At least 40% of the periods that can be judged are judged, however short the log."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One question to a log; all lengths in days."""

    horizon_days: int = 90
    active_days: int = 180
    every_days: int = 7
    warmup_days: int | None = None
    """Periods before it are learnt from and not judged; None is half of the log."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The times at which customers are scored, seconds; `judged_from` is an index of `times_s`."""

    times_s: tuple[float, ...]
    end_s: float
    judged_from: int


def grid(plan: Plan, first_s: float, last_s: float) -> Grid:
    """Lay `plan` over a log from `first_s` to `last_s` (event times).

    Scores are given at the start of a UTC day, for what comes within the horizon; only times whose horizon
    ends before the log does can be judged. Raises CxError where there is none.
    """
    start_s = first_s // DAY_S * DAY_S
    end_s = (last_s // DAY_S + 1) * DAY_S
    span = round((end_s - start_s) / DAY_S)
    count = (span - plan.horizon_days) // plan.every_days
    if count < 1:
        msg = (
            f"the log spans {counted(span, 'day', 'days')}: too few to see what follows "
            f"{plan.horizon_days} days after a first period of {plan.every_days}"
        )
        shorter = max(1, (span - 1) // 4)
        mend = f"ask for a shorter horizon, --horizon {shorter}d, or give a longer log"
        raise CxError(msg, mend=mend, code=Exit.USAGE)
    warmup = plan.warmup_days
    if warmup is None:
        warmup = min(span // 2, math.floor(LATE_SHARE * (span - plan.horizon_days)))
    skipped = max(0, math.ceil(warmup / plan.every_days) - 1)
    if skipped >= count:
        last = count * plan.every_days
        msg = f"no period is left to judge after a warm-up of {warmup} days: the last one is on day {last}"
        raise CxError(msg, mend="give a shorter --warmup", code=Exit.USAGE)
    times_s = tuple(start_s + step * plan.every_days * DAY_S for step in range(1, count + 1))
    return Grid(times_s, end_s, skipped)


def next_fit(period: int) -> int:
    """Return the period of the fit after one at `period`: told by the past alone, however long the log."""
    return period + max(REFIT_PERIODS, round(REFIT_SHARE * period))


def under_horizon(policy: Policy, horizon_days: int) -> Policy:
    """Return `policy` with `horizon_days` as its alert horizon.

    A horizon that the policy does not have gets company at a third and two thirds of it: what has come true
    of the shorter ones is learnt from before anything can be known of the long one.
    """
    churn = policy.churn
    if horizon_days in churn.horizons_days:
        return policy_with(policy, {"alert_horizon_days": horizon_days})
    horizons = sorted({max(1, round(horizon_days * share / 3)) for share in (1, 2)} | {horizon_days})
    base = [min(churn.base[: _shorter(churn.horizons_days, days)] or churn.base[:1]) for days in horizons]
    return policy_with(
        policy,
        {
            "horizons_days": horizons,
            "alert_horizon_days": horizon_days,
            "base": base,
            "calibration": {"kind": "none", "slope": 1.0, "shifts": [], "x": [], "y": []},
        },
    )


def is_fitted(policy: Policy) -> bool:
    """Tell whether a policy brings a rhythm, coefficients or a calibration of its own.

    One that does not (it names a currency, engagements or weights of experience) is where a fit starts.
    """
    found, plain = policy.churn, default_policy().churn
    learnt = ("rhythm", "rhythm_limit", "engagement", "spend", "typical_spend", "recency", "calibration")
    if any(found.base) or any(getattr(found, name) != getattr(plain, name) for name in learnt):
        return True
    rhythm, usual = policy.rhythm, default_policy().rhythm
    return any(getattr(rhythm, name) != getattr(usual, name) for name in ("r", "alpha_days", "a", "b"))


def policy_with(policy: Policy, churn: dict[str, object], rhythm: dict[str, float] | None = None) -> Policy:
    """Return `policy` with other values in its sections `churn` and `rhythm`, linted like a file."""
    tables = msgspec.to_builtins(policy)
    tables["churn"] = {**tables["churn"], **churn}
    tables["rhythm"] = {**tables["rhythm"], **(rhythm or {})}
    tables["ancient_before"] = policy.ancient_before
    return policy_from_tables(tables, name="the fitted policy")


def _shorter(horizons: tuple[int, ...], days: int) -> int:
    return sum(1 for each in horizons if each <= days)
