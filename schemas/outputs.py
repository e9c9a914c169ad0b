"""What the product publishes: scores, alerts and incidents, encoded with sorted keys."""

from typing import Annotated, Final, Literal

import msgspec
import orjson
from msgspec import Meta

from schemas.fields import Channel, says

Ledger = Literal["experience", "service"]
Band = Literal["unknown", "critical", "at_risk", "steady", "delighted"]
Rule = Literal["churn_risk", "experience_drop", "silence", "service_failure", "promise_broken", "advocate"]
PromiseStatus = Literal["pending", "kept", "late", "broken", "withdrawn"]
Severity = Literal["low", "medium", "high", "critical"]
Step = Literal["opened", "escalated", "announced", "acknowledged", "snoozed", "resolved", "closed"]
OVER: Final = frozenset({"resolved", "closed"})
"""Steps after which an alert is no longer open."""
Outcome = Literal["churned", "retained", "saved", "false_alarm"]

REASON_MAX_CHARS: Final = 140
Reason = Annotated[str, Meta(max_length=REASON_MAX_CHARS)]
Points = float
Share = Annotated[float, Meta(ge=0, le=1)]
Score = Annotated[float, Meta(ge=0, le=100)]


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How much is known, 0 (nothing) to 1, for each ledger."""

    experience: Annotated[Share, says("Coverage of the experience score.")]
    service: Annotated[Share, says("Coverage of the service score.")]


class DriverPoints(msgspec.Struct, frozen=True, kw_only=True):
    """What one driver adds to one score."""

    driver: Annotated[str, says("The driver, a name of the policy.")]
    ledger: Annotated[Ledger, says("The score it adds to.")]
    points: Annotated[Points, says("Points above or below the prior.")]


class DriverLogit(msgspec.Struct, frozen=True, kw_only=True):
    """What one driver adds to the log-odds of churn."""

    driver: Annotated[str, says("The driver, or base, rhythm, engagement, calibration.")]
    logit: Annotated[float, says("Its part of the log-odds.")]


class LastExperience(msgspec.Struct, frozen=True, kw_only=True):
    """The newest moment that mattered: an opinion is only as good as the last experience."""

    driver: Annotated[str, says("Its driver.")]
    age_s: Annotated[float, says("Seconds since then.")]
    points: Annotated[Points, says("What it adds to the experience score.")]


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """An event that caused an alert."""

    source: Annotated[str, says("Its source.")]
    id: Annotated[str, says("Its id.")]


class HorizonRisk(msgspec.Struct, frozen=True, kw_only=True):
    """The churn probability at one horizon."""

    horizon_days: Annotated[int, says("The horizon in days.")]
    probability: Annotated[Share, says("Probability of no engagement within it.")]


class ValueAtRisk(msgspec.Struct, frozen=True, kw_only=True):
    """What the company may lose."""

    amount: Annotated[int, says("Minor units of the currency.")]
    currency: Annotated[str, says("ISO 4217.")]
    formula: Annotated[str, says("How it was reckoned: probability x spend a year x years.")]


class OpenIssue(msgspec.Struct, frozen=True, kw_only=True):
    """A failure that stands: nobody has mended it yet."""

    kind: Annotated[str, says("What it is about: order, promise, ticket, complaint, issue or reason.")]
    driver: Annotated[str, says("Its driver.")]
    since: Annotated[str, says("When it began, RFC 3339.")]
    age_s: Annotated[float, says("Seconds since then.")]
    weight: Annotated[float, says("How much it matters.")]


class PromiseMade(msgspec.Struct, frozen=True, kw_only=True):
    """Something the customer was promised by a time."""

    kind: Annotated[str, says("What it is about: an order or another promise.")]
    due: Annotated[str, says("Promised by then, RFC 3339.")]
    status: Annotated[PromiseStatus, says("How it stands.")]


class EarlierAlert(msgspec.Struct, frozen=True, kw_only=True):
    """The newest episode of another rule for the customer."""

    rule: Annotated[Rule, says("The rule.")]
    episode: Annotated[int, says("Its number.")]
    opened_at: Annotated[str, says("RFC 3339.")]
    closed_at: Annotated[str | None, says("RFC 3339; null while it is open.")]
    outcome: Annotated[str | None, says("How it turned out, recorded or inferred.")]


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Where a customer stands at a time: the part that scores and alerts share."""

    customer_id: Annotated[str, says("The customer, the `subject` of the touchpoints.")]
    at: Annotated[str, says("The time evaluated, RFC 3339 in UTC.")]
    experience: Annotated[Score, says("The experience score: all moments.")]
    service: Annotated[Score, says("The service score: moments in which the company served.")]
    gap: Annotated[float | None, says("service minus experience; null while either is hardly known.")]
    trend: Annotated[float, says("Recent experience against the usual, in points.")]
    coverage: Annotated[Coverage, says("How much is known.")]
    band: Annotated[Band, says("The experience score in words.")]
    churn_probability: Annotated[Share | None, says("Probability of no engagement within the horizon.")]
    horizon_days: Annotated[int, says("The horizon in days.")]
    drivers: Annotated[list[DriverPoints], says("prior plus the points of a ledger is its score.")]
    churn_drivers: Annotated[list[DriverLogit], says("Their sum is the log-odds of churn_probability.")]
    last_experience: Annotated[LastExperience | None, says("The newest moment that mattered.")]
    policy_version: Annotated[str, says("The hash of the policy that judged.")]


class ScoreUpdated(Snapshot, frozen=True, kw_only=True):
    """A customer's scores at a time, with what made them. Key: the customer id."""

    prior: Annotated[Score, says("The score of a customer of whom nothing is known.")]
    churn_reason: Annotated[str | None, says("Why there is no probability, such as no_engagement.")]
    events: Annotated[int, says("Touchpoints counted for the customer.")]


class ChurnAlert(Snapshot, frozen=True, kw_only=True):
    """A step of an alert about one customer: a case, not a number. Key: the alert id."""

    alert_id: Annotated[str, says("The episode: equal in all its steps.")]
    rule: Annotated[Rule, says("The rule that holds.")]
    episode: Annotated[int, says("Which time the rule holds for this customer, from 1.")]
    step: Annotated[Step, says("What happened to the episode.")]
    severity: Annotated[Severity, says("How grave it is.")]
    reason: Annotated[Reason, says("Why now, in one sentence.")]
    resolved_because: Annotated[str | None, says("Why it was resolved.")] = None
    lost: Annotated[float | None, says("Share of the chance of buying that silence has cost.")] = None
    expected_by: Annotated[str | None, says("When the customer was expected back, RFC 3339.")] = None
    link: Annotated[str | None, says("The customer in the company's own system.")] = None
    segment: Annotated[str | None, says("From the profile.")] = None
    tier: Annotated[str | None, says("From the profile.")] = None
    locale: Annotated[str | None, says("From the profile.")] = None
    timezone: Annotated[str | None, says("From the profile.")] = None
    since: Annotated[str | None, says("Customer since that day.")] = None
    owner: Annotated[str | None, says("Who looks after the customer.")] = None
    cause_owner: Annotated[str | None, says("Who looks after the cause, by its driver.")] = None
    evidence: Annotated[list[Evidence], says("The events that caused the step.")] = []
    churn_by_horizon: Annotated[list[HorizonRisk], says("The risk at each horizon, the shortest first.")] = []
    value_at_risk: Annotated[
        ValueAtRisk | None, says("Null without an engagement or without any amount.")
    ] = None
    act_by: Annotated[str | None, says("By when somebody should have acted, RFC 3339.")] = None
    open_issues: Annotated[list[OpenIssue], says("What stands unmended, the oldest first.")] = []
    promises: Annotated[list[PromiseMade], says("What was promised lately, and how that stands.")] = []
    messages_30d: Annotated[int, says("Messages sent in the last 30 days; 8 means 8 or more.")] = 0
    earlier_alerts: Annotated[list[EarlierAlert], says("The newest episode of each other rule.")] = []
    allowed_contact: Annotated[
        list[Channel] | None, says("Channels on which they may be contacted; null where unknown.")
    ] = None
    do: Annotated[list[str], says("From the playbook.")] = []
    do_not: Annotated[list[str], says("From the playbook.")] = []
    announced: Annotated[bool, says("True if people are told of this step: not for history.")] = False
    announced_at: Annotated[str | None, says("When people were first told of the alert, RFC 3339.")] = None
    folded_into: Annotated[str | None, says("The graver alert that told people of this one too.")] = None
    holdout: Annotated[bool, says("True if nobody is told, to learn what telling is worth.")] = False
    acknowledged_at: Annotated[str | None, says("When someone took it on, RFC 3339.")] = None
    snoozed_until: Annotated[str | None, says("Not to be heard of before then, RFC 3339.")] = None
    outcome: Annotated[Outcome | None, says("How it turned out, as somebody recorded it.")] = None
    by: Annotated[str | None, says("Who took this step, where a person did.")] = None
    note: Annotated[str | None, says("Their remark.")] = None


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong with a source, not with a customer. Key: the incident id."""

    incident_id: Annotated[str, says("The incident.")]
    kind: Annotated[str, says("Its kind, such as source_silent.")]
    channel: Annotated[str | None, says("The channel it concerns.")]
    since: Annotated[str, says("When it began, RFC 3339 in UTC.")]
    until: Annotated[str | None, says("When it was over, RFC 3339 in UTC; null while it stands.")] = None
    detail: Annotated[str, says("What is known, in one line.")]


Output = ScoreUpdated | ChurnAlert | Incident


def builtins(output: Output) -> dict[str, object]:
    """Return an output as plain dicts, lists and numbers."""
    plain: dict[str, object] = msgspec.to_builtins(output)
    return plain


def encode(output: Output) -> bytes:
    """Return an output as JSON in UTF-8 with sorted keys."""
    return orjson.dumps(builtins(output), option=orjson.OPT_SORT_KEYS)
