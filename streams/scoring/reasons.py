"""Why now: an alert's reason in one sentence, and ages and names as people say them."""

from datetime import UTC, datetime
from typing import Final

from schemas.outputs import REASON_MAX_CHARS
from streams.scoring.apply import Scorer
from streams.scoring.churn import BESIDE_TERMS, BROKEN_PROMISE, INTENT_NAMES, OPEN_ISSUE, TREND
from streams.scoring.drivers import Parts
from streams.scoring.episodes import Decision
from streams.scoring.explain import Assessment
from streams.scoring.hours import HOUR_S
from streams.scoring.maths import rounded
from streams.scoring.policy import DAY_S
from streams.scoring.signals import Intent
from streams.scoring.state import CustomerState, LastExperience
from streams.scoring.vocabulary import Because, Cause, Rule

TOP_DRIVERS: Final = 2
MINUTE_S: Final = 60.0
HARDLY: Final = 1e-9
"""A contribution to the log-odds of no more than this is rounding."""

_INTENT: Final = "declared intent to leave"
_STANDING: Final = frozenset({OPEN_ISSUE, BROKEN_PROMISE})
_RAISED_BY: Final = dict.fromkeys(INTENT_NAMES.values(), _INTENT) | {
    INTENT_NAMES[Intent.COMPLAINT]: "complaint",  # who complains has not said that they leave
    TREND: "falling experience",
}
"""What raises a risk, where the driver's name does not say it."""
_SURVEYS: Final = {"ces": "CES", "csat": "CSAT", "nps": "NPS"}
# Members of an enum are looked up each time they are named.
_ADVOCATE: Final = Rule.ADVOCATE
_CHURN_RISK: Final = Rule.CHURN_RISK
_EXPERIENCE_DROP: Final = Rule.EXPERIENCE_DROP
_PROMISE_BROKEN: Final = Rule.PROMISE_BROKEN
_SERVICE_FAILURE: Final = Rule.SERVICE_FAILURE
_SILENCE: Final = Rule.SILENCE
_COMPLAINT: Final = Cause.COMPLAINT
_TREND: Final = Cause.TREND
_LOST: Final = Cause.LOST
_LEAVING: Final = Cause.LEAVING
_RECOVERED: Final = Because.RECOVERED


def reason_of(scorer: Scorer, state: CustomerState, decision: Decision, found: Assessment) -> str:
    """Say in one sentence of at most 140 characters why now, with the last experience where it fits."""
    return reason_after(scorer, state, decision, found, scorer.ledger.last_of(state))


def reason_after(
    scorer: Scorer,
    state: CustomerState,
    decision: Decision,
    found: Assessment,
    last: LastExperience | None,
) -> str:
    """Say why now, as `reason_of` does, of a customer whose last experience is known."""
    sentence = _why(scorer, state, decision, found)
    if last is not None and decision.because is None:
        driver = words(scorer.drivers.name(last.key >> 3))
        longer = f"{sentence}; last experience: {driver}, {ago(found.at_s - last.at_s)}"
        if len(longer) < REASON_MAX_CHARS:
            sentence = longer
    return sentence[: REASON_MAX_CHARS - 1] + "."


def _why(scorer: Scorer, state: CustomerState, decision: Decision, found: Assessment) -> str:
    if decision.because is not None:
        return _why_over(scorer, state, decision, decision.because)
    horizon = scorer.policy.churn.alert_horizon_days
    if decision.rule is _EXPERIENCE_DROP:
        return _why_drop(decision, found, scorer.policy.bands.critical_below)
    if decision.rule in (_SERVICE_FAILURE, _PROMISE_BROKEN):
        return _why_grieved(scorer, state, decision, found)
    if decision.rule is _ADVOCATE:
        return f"Delighted: experience {whole(found.experience.score)} of 100, and much is known"
    cancelled = decision.rule is _CHURN_RISK and _cancelled(scorer, state, decision, found.at_s)
    if cancelled or (decision.rule is _CHURN_RISK and decision.cause != _LOST):
        return _why_at_risk(found, horizon, cancelled=cancelled)
    return _why_silent(scorer, state, decision, found, horizon)


def _why_over(scorer: Scorer, state: CustomerState, decision: Decision, because: Because) -> str:
    rule = decision.rule
    if because is _RECOVERED and rule in (_SERVICE_FAILURE, _PROMISE_BROKEN):
        opened_s = state.episodes[rule].opened_s
        if scorer.rules.grievances.outlived(rule, state, opened_s):
            return "Resolved: nobody mended it, and it is too old to stand"
    return _RESOLVED[because]


def _cancelled(scorer: Scorer, state: CustomerState, decision: Decision, at_s: float) -> bool:
    """Tell whether the customer cancelled, at the beginning of a risk or while it was open.

    Of a cancellation before that it is told if it was heard late: it is news where no risk was told before.
    """
    if decision.cause == _LEAVING:
        return True
    episode = state.by_rule[decision.rule]
    if episode is None:
        return False
    return scorer.rules.cancelled_since(state, 0.0 if episode.number == 1 else episode.opened_s, at_s)


def _why_at_risk(found: Assessment, horizon: int, *, cancelled: bool) -> str:
    churn = found.churn
    risk = "" if churn is None else f"risk within {horizon} days is {whole(churn.probability * 100.0)}%"
    if cancelled:
        return "The customer cancelled" + (f": churn {risk}" if risk else "")
    causes = " and ".join(_raising(churn.parts) if churn is not None else ())
    return f"Churn {risk}" + (f", driven by {causes}" if causes else "")


def _raising(parts: Parts) -> list[str]:
    """Return in words what of the experience raises the risk of churn most.

    That something stands comes last: `failed delivery` says more than `broken promise`.
    """
    named: list[str] = []
    standing: list[str] = []
    for place in parts.ranked(by_name=True):
        name = parts.drivers[place].name
        if parts.amounts[place] <= HARDLY or name in BESIDE_TERMS:
            continue
        among = standing if name in _STANDING else named
        said = _RAISED_BY.get(name) or words(name)
        if said not in among:
            among.append(said)
        if len(named) == TOP_DRIVERS:
            return named
    return (named + standing)[:TOP_DRIVERS]


def _why_drop(decision: Decision, found: Assessment, critical_below: float) -> str:
    causes = " and ".join(words(driver) for driver in found.worst(TOP_DRIVERS))
    score = found.experience.score
    if decision.cause == _TREND:
        what = f"is falling, {whole(abs(found.trend))} points below the usual"
    elif score < critical_below:
        what = f"fell to critical, {_whole_below(score, critical_below)} of 100"
    elif decision.cause == _COMPLAINT:
        return f"Experience after a complaint is {whole(score)} of 100"
    else:
        what = f"fell to critical and is {whole(score)} of 100 now"
    return f"Experience {what}" + (f", driven by {causes}" if causes else "")


def _why_grieved(scorer: Scorer, state: CustomerState, decision: Decision, found: Assessment) -> str:
    """Say what stands in the register, since when, as far as it still does."""
    leading = scorer.rules.grievances.leading(decision.rule, state, found.at_s)
    cause = Cause(decision.cause) if leading is None else leading[0]
    sentence = _GRIEVED[cause]
    if cause is Cause.BROKEN and leading is not None and leading[1].key == scorer.register.judge.failed_key:
        sentence = "A delivery failed and was not made good"
    return sentence if leading is None else f"{sentence} ({ago(found.at_s - leading[1].since_s)})"


_GRIEVED: Final[dict[Cause, str]] = {
    Cause.UNANSWERED: "A complaint in public has not been answered",
    Cause.FAILURE: "A matter that had to be escalated is not solved",
    Cause.TARGET: "A ticket missed its target and is still open",
    Cause.REOPENED: "A ticket was reopened and is still open",
    Cause.REPEAT: "The customer had to come again about the same matter",
    Cause.BROKEN: "A promise was broken and not kept since",
}


def _why_silent(
    scorer: Scorer, state: CustomerState, decision: Decision, found: Assessment, horizon: int
) -> str:
    rhythm = state.rhythm
    if rhythm is None:  # neither rule opens without an engagement
        msg = f"{decision.rule.label} was opened for a customer without an engagement"
        raise ValueError(msg)
    lost = scorer.churn.silence.lost(rhythm, found.at_s, float(horizon))
    since = datetime.fromtimestamp(rhythm.last_day * DAY_S, UTC)
    fallen = f"chance of buying within {horizon} days has fallen {lost:.0%} since {since:%-d %b %Y}"
    if decision.rule is _SILENCE or found.churn is None:
        return fallen[0].upper() + fallen[1:]
    return f"Churn risk {found.churn.probability:.0%}: {fallen}"


def _whole_below(score: float, bound: float) -> str:
    """Return a score that lies below a bound as a whole number that does so too."""
    return whole(score) if rounded(score) < bound else str(int(score))


_RESOLVED: Final[dict[Because, str]] = {
    Because.ENGAGED: "Resolved: the customer engaged again",
    Because.RECOVERED: "Resolved: the reason no longer holds",
    Because.FOLDED: "Resolved: folded into a graver alert of the same customer",
}


def words(name: str) -> str:
    """Return a name such as `failed_delivery` as words, a survey's by its letters."""
    return " ".join([_SURVEYS.get(word, word) for word in name.split("_")])


def ago(seconds: float) -> str:
    """Return an age as a person says it: just now, 5 min ago, 3 h ago, 12 d ago."""
    if seconds < MINUTE_S:
        return "just now"
    if seconds < HOUR_S:
        return f"{int(seconds) // int(MINUTE_S)} min ago"
    if seconds < 2 * DAY_S:
        return f"{int(seconds) // int(HOUR_S)} h ago"
    return f"{int(seconds) // int(DAY_S)} d ago"


def whole(number: float) -> str:
    """Return a number without its fraction, as `format(number, ".0f")` rounds it, which costs far more."""
    return str(rounded(number)) if number > 0.0 else format(number, ".0f")
