"""Episodes of a row: at most one open of each rule, opened, escalated and resolved by decisions."""

from dataclasses import dataclass
from typing import Final

from mypy_extensions import mypyc_attr

from streams.scoring.state import Case, CustomerState, Episode, Rhythm
from streams.scoring.vocabulary import Band, Because, Cause, Rule

FOLDS_INTO: Final[dict[Rule, tuple[Rule, ...]]] = {
    Rule.SERVICE_FAILURE: (Rule.CHURN_RISK, Rule.EXPERIENCE_DROP),
    Rule.PROMISE_BROKEN: (Rule.CHURN_RISK, Rule.EXPERIENCE_DROP, Rule.SERVICE_FAILURE),
    Rule.SILENCE: (Rule.CHURN_RISK,),
}
"""A rule says nothing while a graver one of the same customer is open that tells the same."""


@mypyc_attr(acyclic=True)
class Glance:
    """What the rules and the scores topic look at, without the drivers.

    `failures` are the cases with a failure, none where all have ended.
    """

    __slots__ = ("at_s", "band", "coverage", "failures", "found", "score", "terms", "trend")

    def __init__(  # the figures of a row
        self,
        at_s: float,
        score: float,
        coverage: float,
        trend: float,
        band: Band,
        terms: float,
        failures: list[Case],
    ) -> None:
        self.at_s = at_s
        self.score = score
        self.coverage = coverage
        self.trend = trend
        self.band = band
        self.terms = terms
        self.failures = failures
        self.found: object | None = None
        """The `explain.Assessment` of the row as it was then, where one was made for an alert."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of an episode, decided at `glance.at_s`."""

    rule: Rule
    number: int
    step: str
    severity: int
    cause: str
    because: Because | None
    glance: Glance


def any_open(state: CustomerState) -> bool:
    """Tell whether an episode of any rule is open."""
    for episode in state.episodes.values():  # noqa: SIM110  # a generator costs more than the loop
        if episode.closed_s is None:
            return True
    return False


def open_of(state: CustomerState, rule: Rule) -> Episode | None:
    """Return the rule's open episode, None if it has none."""
    if not state.episodes:
        return None
    episode = state.episodes.get(rule)
    return episode if episode is not None and episode.closed_s is None else None


def is_folded(state: CustomerState, rule: Rule) -> bool:
    """Tell whether a graver rule is open that tells what `rule` would."""
    for graver in FOLDS_INTO[rule]:  # noqa: SIM110  # a generator costs more than the loop
        if open_of(state, graver) is not None:
            return True
    return False


def engaged_since(rhythm: Rhythm, episode: Episode) -> bool:
    """Tell whether the customer engaged since the episode was opened."""
    return rhythm.last_day > episode.last_day


def open_episode(
    state: CustomerState, rule: Rule, glance: Glance, steps: list[Decision], cause: Cause, severity: int
) -> None:
    """Open the rule's next episode."""
    before = state.episodes.get(rule)
    number = before.number + 1 if before is not None else 1
    last_day = state.rhythm.last_day if state.rhythm is not None else 0
    state.episodes[rule] = Episode(number, glance.at_s, None, cause.value, severity, last_day)
    steps.append(Decision(rule, number, "opened", severity, cause, None, glance))


def escalate(rule: Rule, episode: Episode, glance: Glance, steps: list[Decision], severity: int) -> None:
    """Raise the severity of an open episode; a lesser one changes nothing."""
    if severity > episode.severity:
        episode.severity = severity
        steps.append(Decision(rule, episode.number, "escalated", severity, episode.cause, None, glance))


def resolve(rule: Rule, episode: Episode, glance: Glance, steps: list[Decision], because: Because) -> None:
    """Close an open episode."""
    episode.closed_s = glance.at_s
    steps.append(Decision(rule, episode.number, "resolved", episode.severity, episode.cause, because, glance))
