"""What a valid policy says that is seldom meant, and what to say instead.

`streams.scoring.policy.lint` refuses what contradicts itself. This names what works, and is known to work
badly or not to be what its author wanted; docs/concepts.md has the reasons.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from streams.scoring.policy import Policy

SHORT_MEMORY_DAYS: Final = 21.0
STRONG_PEAK: Final = 0.5
STRONG_ASYMMETRY: Final = 3.0
STRONG_RETURN: Final = 0.5
GRAVEST: Final = 4.0
CSAT_BESIDE_SERVICE: Final = ("csat_price", "csat_product", "csat_other")
HORIZON_SHARE: Final = 0.5
"""Of the typical gap between engagements: a shorter horizon calls nearly everybody lost."""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One value worth a second look."""

    key: str
    why: str
    suggestion: str


def advise(policy: Policy, default: Policy) -> list[Advice]:
    """Return what is worth a second look in `policy`, in the order of its sections."""
    return [advice for check in _CHECKS for advice in check(policy, default)]


def _ledger(policy: Policy, _: Policy) -> Iterator[Advice]:
    ledger = policy.ledger
    if ledger.half_life_days < SHORT_MEMORY_DAYS:
        yield Advice(
            key="ledger.half_life_days",
            why=f"after {ledger.half_life_days:g} days half of what a customer lived through is forgotten",
            suggestion=f"at least {SHORT_MEMORY_DAYS:g}",
        )
    if ledger.trend_half_life_days >= ledger.half_life_days:
        yield Advice(
            key="ledger.trend_half_life_days",
            why="the trend compares the last weeks with the usual: it must remember less than the ledger",
            suggestion=f"a third of the ledger's half-life: {ledger.half_life_days / 3:g}",
        )
    if ledger.peak_share > STRONG_PEAK:
        yield Advice(
            key="ledger.peak_share",
            why="the best and worst moment predict no better than the mean of all",
            suggestion=f"at most {STRONG_PEAK:g}",
        )
    if ledger.asymmetry > STRONG_ASYMMETRY:
        yield Advice(
            key="ledger.asymmetry",
            why="studies find that bad moments weigh 1.1 to 2 times as much as good ones",
            suggestion=f"at most {STRONG_ASYMMETRY:g}",
        )


def _bands(policy: Policy, _: Policy) -> Iterator[Advice]:
    if policy.ledger.prior < policy.bands.at_risk_below:
        yield Advice(
            key="bands.at_risk_below",
            why=f"it lies above the prior {policy.ledger.prior:g}: silence alone makes a customer at risk",
            suggestion="a value below the prior",
        )


def _churn(policy: Policy, _: Policy) -> Iterator[Advice]:
    gap_days = policy.rhythm.alpha_days / policy.rhythm.r
    if not policy.rhythm.engagement:
        yield Advice(
            key="rhythm.engagement",
            why="without a type of engagement no customer has a risk of churn",
            suggestion="the types that mean that a customer is still with you",
        )
    if policy.churn.alert_horizon_days < HORIZON_SHARE * gap_days:
        yield Advice(
            key="churn.alert_horizon_days",
            why=f"customers come once in {gap_days:.0f} days by [rhythm]: most will not within the horizon",
            suggestion=f"a horizon of {gap_days:.0f} days or more, or a fit of [rhythm] on your events",
        )
    if policy.rules.churn_terms > policy.churn.terms_cap:
        yield Advice(
            key="rules.churn_terms",
            why=f"experience never carries more than churn.terms_cap, {policy.churn.terms_cap:g} logit",
            suggestion="a value below the cap",
        )


def _rules(policy: Policy, _: Policy) -> Iterator[Advice]:
    rules = policy.rules
    if not rules.reopen_after_days:
        yield Advice(
            key="rules.reopen_after_days",
            why="an alert may open again the moment that it was resolved",
            suggestion="some days of rest, such as 14",
        )
    if rules.drop_open < -policy.ledger.prior:
        yield Advice(
            key="rules.drop_open",
            why=f"no trend falls by more than the prior, {policy.ledger.prior:g} points",
            suggestion="-10 to -20",
        )
    if rules.lost == 0.0:
        yield Advice(key="rules.lost", why="everybody is lost at once", suggestion="0.3 to 0.7")


def _announcements(policy: Policy, _: Policy) -> Iterator[Advice]:
    section = policy.announcements
    if not section.per_1000_a_week:
        yield Advice(
            key="announcements.per_1000_a_week",
            why="people are told of no alert, but for those that are critical the moment they open",
            suggestion="as many as a team can answer, such as 10",
        )
    if section.holdout_share == 1.0:
        yield Advice(
            key="announcements.holdout_share",
            why="every customer is held out: people are told of no alert at all",
            suggestion="0.05 to 0.2, or 0 to hold out nobody",
        )


def _drivers(policy: Policy, default: Policy) -> Iterator[Advice]:
    for name, driver in policy.drivers.items():
        before = default.drivers.get(name)
        good = driver.value >= policy.ledger.prior
        if before is not None and good != (before.value >= default.ledger.prior):
            yield Advice(
                key=f"drivers.{name}.value",
                why=f"with the prior {policy.ledger.prior:g} it is a {'good' if good else 'bad'} moment now",
                suggestion=f"a value {'below' if good else 'above'} the prior",
            )
        if driver.weight > GRAVEST and driver.weight > (before.weight if before else 0.0):
            yield Advice(
                key=f"drivers.{name}.weight",
                why="the gravest moments weigh 4: a heavier one hides all others",
                suggestion="4 or less",
            )
        if not driver.owner and not good:
            yield Advice(
                key=f"drivers.{name}.owner",
                why="an alert that it causes belongs to nobody",
                suggestion="the team that can mend the cause",
            )


def _evidence(policy: Policy, _: Policy) -> Iterator[Advice]:
    drivers = policy.drivers
    returned = drivers["returned"]
    if returned.value < policy.ledger.prior and returned.weight > STRONG_RETURN:
        yield Advice(
            key="drivers.returned.weight",
            why="who returns goods is an engaged buyer and leaves no more often than others",
            suggestion=f"at most {STRONG_RETURN:g}",
        )
    if drivers["ces"].weight > drivers["csat"].weight:
        yield Advice(
            key="drivers.ces.weight",
            why="the effort score predicts less than satisfaction",
            suggestion=f"at most that of csat, {drivers['csat'].weight:g}",
        )


def _satisfaction(policy: Policy, default: Policy) -> Iterator[Advice]:
    """Name the kinds of CSAT that do not follow who weighs answers about the service otherwise."""
    csat = policy.drivers["csat"].weight
    if csat == default.drivers["csat"].weight:
        return
    for name in CSAT_BESIDE_SERVICE:
        held = policy.drivers[name].weight
        if held == default.drivers[name].weight and held != csat:
            yield Advice(
                key=f"drivers.{name}.weight",
                why=f"it weighs {held:g}: drivers.csat speaks for answers about the service alone",
                suggestion=f"{csat:g}, as much as drivers.csat",
            )


_CHECKS: Final[tuple[Callable[[Policy, Policy], Iterator[Advice]], ...]] = (
    _ledger,
    _bands,
    _churn,
    _rules,
    _announcements,
    _drivers,
    _evidence,
    _satisfaction,
)
