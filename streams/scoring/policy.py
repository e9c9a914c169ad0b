"""The policy: every number of the scoring, read from TOML, typed, linted and hashed.

A policy file names only what it changes; the rest comes from `default_policy.toml`. `load_policy` reports
every problem of a file at once, with a suggestion where a key or a driver is misspelled.
"""

import hashlib
import itertools
import math
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from schemas.families.promises import zone
from schemas.fields import Channel
from schemas.outputs import Rule as RuleName
from schemas.touchpoints import TYPES
from streams.errors import CxError, Exit, unreadable
from streams.mistakes import did_you_mean, ill_formed, known_part

DAY_S: Final = 86400.0
MAX_CODE = 4000
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Share = Annotated[float, Meta(ge=0, le=1)]
Severity = Literal["low", "medium", "high", "critical"]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all sections: immutable, keyword-only."""


class LedgerSection(_Section, frozen=True, kw_only=True):
    """Parameters of the decayed ledger (docs/concepts.md)."""

    prior: Annotated[float, Meta(gt=0, lt=100)]
    mass: Positive
    peak_share: Share
    asymmetry: Annotated[float, Meta(ge=1)]
    half_life_days: Positive
    trend_half_life_days: Positive
    routine_cap: Positive
    service_cap: Positive


class BandSection(_Section, frozen=True, kw_only=True):
    """Where the bands of the experience score begin, points."""

    critical_below: Percent
    at_risk_below: Percent
    steady_below: Percent
    min_coverage: Share


class RhythmSection(_Section, frozen=True, kw_only=True):
    """MBG/NBD parameters of the population, in days, and which types are an engagement."""

    engagement: tuple[str, ...]
    r: Positive
    alpha_days: Positive
    a: Positive
    b: Positive


class CalibrationSection(_Section, frozen=True, kw_only=True):
    """What came true of the log-odds that were told (streams/scoring/calibration.py)."""

    kind: Literal["none", "platt", "isotonic"]
    slope: NonNegative
    shifts: tuple[float, ...]
    """Of Platt, one a horizon."""
    x: tuple[tuple[float, ...], ...]
    """Of the isotonic curve, one list a horizon: log-odds told ..."""
    y: tuple[tuple[float, ...], ...]
    """... and those that came true."""


class ChurnSection(_Section, frozen=True, kw_only=True):
    """Coefficients of the churn logit."""

    horizons_days: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=3650)], ...], Meta(min_length=1, max_length=6)
    ]
    alert_horizon_days: Annotated[int, Meta(ge=1, le=3650)]
    base: tuple[float, ...]
    rhythm: NonNegative
    rhythm_limit: Positive
    engagement: Annotated[float, Meta(le=0)]
    spend: Annotated[float, Meta(le=0)]
    typical_spend: Positive
    recency: NonNegative
    experience_per_10_points: NonNegative
    trend_per_10_points: NonNegative
    terms_cap: NonNegative
    intent_half_life_days: Positive
    cancelled: NonNegative
    cancel_page: NonNegative
    complaint: NonNegative
    unsubscribe: NonNegative
    calibration: CalibrationSection
    open_issue: NonNegative
    broken_promise: NonNegative
    standing_most: Annotated[int, Meta(ge=0, le=16)]


class RuleSection(_Section, frozen=True, kw_only=True):
    """Thresholds of the alert rules."""

    reopen_after_days: NonNegative
    reopen_weight: Positive
    churn_open: Share
    churn_close: Share
    churn_terms: NonNegative
    lost: Share
    drop_open: Annotated[float, Meta(lt=0)]
    drop_close: Annotated[float, Meta(le=0)]
    critical_margin: NonNegative
    failure_weight: Positive
    act_within_hours: dict[Severity, Positive]
    advocate: bool
    advocate_score: Percent
    advocate_coverage: Share
    seasonal_span_days: NonNegative
    seasonal_months: Annotated[int, Meta(ge=0, le=12)]


class PromiseSection(_Section, frozen=True, kw_only=True):
    """Deadlines, standing failures and repairs (docs/concepts.md)."""

    grace_hours: NonNegative
    delivery_channels: tuple[Channel, ...]
    standing_days: Positive
    fold_after_days: Positive
    kept_late_share: Share
    repaired_share: Share
    repaired_after_days: NonNegative
    credit_after_days: NonNegative
    contacts_within_days: NonNegative
    first_reply_business_hours: NonNegative
    solved_hours: NonNegative
    answer_public_hours: NonNegative
    business_days: Annotated[tuple[Annotated[int, Meta(ge=1, le=7)], ...], Meta(min_length=1, max_length=7)]
    business_from_hour: Annotated[float, Meta(ge=0, lt=24)]
    business_to_hour: Annotated[float, Meta(gt=0, le=24)]
    timezone: Annotated[str, Meta(min_length=1, max_length=64)]


class PublishSection(_Section, frozen=True, kw_only=True):
    """When a score goes out on `cx.scores`."""

    min_move: Positive
    max_age_days: Positive
    min_coverage: Share


class ValueSection(_Section, frozen=True, kw_only=True):
    """What of a customer's spend is at risk, and from where on it moves a severity."""

    years: Positive
    low: NonNegative
    high: Positive


class PlaySection(_Section, frozen=True, kw_only=True):
    """What to do, and what not, about an alert of one driver or rule."""

    do: tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...] = ()
    do_not: tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...] = ()


class SignalSection(_Section, frozen=True, kw_only=True):
    """Thresholds that tell a moment from a neutral act."""

    wait_ordinary_s: NonNegative
    wait_long_s: NonNegative
    transfers: Annotated[int, Meta(ge=1)]
    sentiment_glad: Share
    sentiment_neutral: Share
    reach_public: Annotated[int, Meta(ge=0)]
    refund_prompt_days: NonNegative
    refund_slow_days: NonNegative


class AnnouncementSection(_Section, frozen=True, kw_only=True):
    """How much a retention team is told (docs/concepts.md, "The life of an alert")."""

    per_1000_a_week: NonNegative
    active_days: Positive
    burst_days: Positive
    snooze_days: Positive
    holdout_share: Share


class OutageSection(_Section, frozen=True, kw_only=True):
    """When the silence of a channel is the source's and not the customers'."""

    events: Positive
    hours: Positive
    usual_times: Annotated[float, Meta(ge=1)]
    watched_days: NonNegative
    hold_days: Positive


class DriverSection(_Section, frozen=True, kw_only=True):
    """A named cause of good or bad experience."""

    code: Annotated[int, Meta(ge=1, le=MAX_CODE)]
    value: Percent
    weight: Positive
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    service: bool = False
    group: Literal["", "routine"] = ""
    owner: str = ""
    severity_floor: Severity = "low"


class Policy(_Section, frozen=True, kw_only=True, dict=True):
    """Everything that scoring depends on beside the events. Immutable; `hash` names it."""

    version: Annotated[str, Meta(min_length=1, max_length=64)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    ancient_before: date
    sources: tuple[str, ...]
    ledger: LedgerSection
    bands: BandSection
    rhythm: RhythmSection
    churn: ChurnSection
    rules: RuleSection
    publish: PublishSection
    announcements: AnnouncementSection
    outages: OutageSection
    signals: SignalSection
    promises: PromiseSection
    value: ValueSection
    playbook: dict[str, PlaySection]
    """By a driver's name, which goes first, or a rule's."""
    currencies: dict[Annotated[str, Meta(pattern="^[A-Z]{3}$")], Positive]
    """Minor units of the policy's currency for one minor unit of another; amounts in others do not count."""
    drivers: dict[str, DriverSection]

    @cached_property
    def hash(self) -> str:
        """Twelve hex digits over all values, independent of the order in the file."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]

    @cached_property
    def driver_names(self) -> dict[int, str]:
        """Driver code -> name."""
        return {driver.code: name for name, driver in self.drivers.items()}

    @cached_property
    def ancient_before_s(self) -> float:
        """The policy's fixed date, seconds since the epoch: older events are rejected as `clock_ancient`."""
        return datetime.combine(self.ancient_before, time(), UTC).timestamp()

    @cached_property
    def alert_horizon(self) -> int:
        """Index of the alert horizon in `churn.horizons_days`."""
        return self.churn.horizons_days.index(self.churn.alert_horizon_days)


def _default_tables() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("default_policy.toml").read_text(encoding="utf-8"))


def default_policy() -> Policy:
    """Return the policy that ships with the product."""
    return policy_from_tables({})


def load_policy(path: Path | str | None) -> Policy:
    """Read the policy file at `path`; None or empty is the default policy.

    Raises CxError (exit code 2) naming every problem of the file.
    """
    if not path:
        return default_policy()
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        mend = "give the path of a TOML file, or none for the default"
        raise unreadable(path, error, mend, what="the policy file") from error
    except tomllib.TOMLDecodeError as error:
        msg = f"the policy file {path} is not TOML: {error}"
        raise CxError(msg, mend="mend the line that the message names", code=Exit.USAGE) from error
    return policy_from_tables(tables, name=str(path))


def policy_from_tables(tables: Mapping[str, Any], *, name: str = "policy") -> Policy:
    """Lay `tables` over the default policy and check the result; raises CxError with every problem."""
    problems: list[str] = []
    merged = _overlay(_default_tables(), _known_tables(tables, problems))
    try:
        policy = msgspec.convert(merged, Policy)
    except msgspec.ValidationError as error:
        problems += list(ill_formed(merged, Policy)) or [str(error)]
    else:
        problems += lint(policy)
        if not problems:
            return policy
    msg = f"{name} is not a valid policy:\n" + "\n".join(f"  - {problem}" for problem in problems)
    raise CxError(msg, mend="cx policy show prints every key with its default", code=Exit.USAGE)


def _overlay(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _overlay(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _known_tables(tables: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return what is known of a policy's tables, so that all else can be checked too; name the rest.

    Nor is a driver known that no touchpoint gives: the reading code refers to drivers by their names.
    """
    found: dict[str, Any] = known_part(tables, Policy, problems)
    drivers, known = found.get("drivers"), _default_tables()["drivers"]
    for name in list(drivers) if isinstance(drivers, dict) else ():
        if name not in known:
            problems.append(f"drivers.{name}: no touchpoint gives this driver" + did_you_mean(name, known))
            del found["drivers"][name]
    return found


def lint(policy: Policy) -> Iterator[str]:
    """Yield what is wrong between values that are each valid alone."""
    yield from _lint_finite(msgspec.to_builtins(policy), "")
    yield from _lint_churn(policy)
    yield from _lint_drivers(policy)
    yield from _lint_promises(policy)
    yield from _lint_playbook(policy)
    if policy.value.high <= policy.value.low:
        yield "value.high must lie above value.low"
    bands = policy.bands
    if not bands.critical_below < bands.at_risk_below < bands.steady_below:
        yield "bands: critical_below < at_risk_below < steady_below must hold"
    if policy.rules.churn_close >= policy.rules.churn_open:
        yield "rules.churn_close must lie below rules.churn_open"
    if policy.rules.drop_close <= policy.rules.drop_open:
        yield "rules.drop_close must lie above rules.drop_open"
    if policy.signals.wait_long_s < policy.signals.wait_ordinary_s:
        yield "signals.wait_long_s must not lie below signals.wait_ordinary_s"


def _lint_finite(value: Any, path: str) -> Iterator[str]:
    """Name numbers that are no numbers: TOML knows inf and nan, and every score would become one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _lint_finite(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _lint_finite(inner, path)
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path} must be a finite number"


def _lint_calibration(found: CalibrationSection, horizons: int) -> Iterator[str]:
    yield from _lint_platt(found, horizons)
    if found.kind == "isotonic":
        yield from _lint_isotonic(found, horizons)
    elif found.x or found.y:
        yield 'churn.calibration.x and .y belong to kind = "isotonic"'


def _lint_platt(found: CalibrationSection, horizons: int) -> Iterator[str]:
    name = "churn.calibration"
    if found.kind == "platt":
        if len(found.shifts) != horizons:
            yield f"{name}.shifts needs one value a horizon"
        if list(found.shifts) != sorted(found.shifts, reverse=True):
            yield f"{name}.shifts must not go up with the horizon: a longer horizon is never a higher risk"
    elif found.slope != 1.0 or found.shifts:
        yield f'{name}.slope and .shifts belong to kind = "platt"'


def _lint_isotonic(found: CalibrationSection, horizons: int) -> Iterator[str]:
    name = "churn.calibration"
    if not len(found.x) == len(found.y) == horizons:
        yield f"{name}.x and .y need one list a horizon"
        return
    for days, (x, y) in enumerate(zip(found.x, found.y, strict=True), 1):
        if len(x) != len(y) or not x:
            yield f"{name}: list {days} of x and of y need as many values, and at least one"
        for axis, values in (("x", x), ("y", y)):
            if any(right <= left for left, right in itertools.pairwise(values)):
                yield f"{name}.{axis}: list {days} must go up strictly, or customers would change places"


def _lint_churn(policy: Policy) -> Iterator[str]:
    churn = policy.churn
    if churn.alert_horizon_days not in churn.horizons_days:
        yield f"churn.alert_horizon_days {churn.alert_horizon_days} is not one of churn.horizons_days"
    if list(churn.horizons_days) != sorted(set(churn.horizons_days)):
        yield "churn.horizons_days must go up"
    if len(churn.base) != len(churn.horizons_days):
        yield "churn.base needs one value a horizon"
    if list(churn.base) != sorted(churn.base, reverse=True):
        yield "churn.base must not go up with the horizon: a longer horizon is never a higher risk"
    yield from _lint_calibration(churn.calibration, len(churn.horizons_days))
    for name in policy.rhythm.engagement:
        if name not in TYPES:
            yield f"rhythm.engagement: no type `{name}`" + did_you_mean(name, TYPES)


STANDING_DRIVERS = (
    "complaint",
    "escalated",
    "failed_delivery",
    "promise_broken",
    "public_complaint",
    "reopened",
    "repeat_contact",
    "target_missed",
    "waiting",
)
"""Drivers whose signals stand in the register."""


def _lint_promises(policy: Policy) -> Iterator[str]:
    section = policy.promises
    if section.business_to_hour <= section.business_from_hour:
        yield "promises.business_to_hour must lie after promises.business_from_hour"
    if zone(section.timezone) is None:
        yield f"promises.timezone: no IANA time zone `{section.timezone}`"
    for name in STANDING_DRIVERS:
        if policy.drivers[name].value >= policy.ledger.prior:
            yield f"drivers.{name}.value must lie below ledger.prior: it stands as a failure"


def _lint_playbook(policy: Policy) -> Iterator[str]:
    known = dict.fromkeys((*policy.drivers, *get_args(RuleName)))
    for name in policy.playbook:
        if name not in known:
            yield f"playbook.{name}: neither a driver nor a rule" + did_you_mean(name, known)


def _lint_drivers(policy: Policy) -> Iterator[str]:
    seen: dict[int, str] = {}
    for name, driver in policy.drivers.items():
        if driver.code in seen:
            yield f"drivers.{name}: code {driver.code} belongs to `{seen[driver.code]}`; use a code once"
        seen[driver.code] = name
