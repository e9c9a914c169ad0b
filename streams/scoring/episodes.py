"""Episodes of a row: at most one open of each rule, opened, escalated and resolved by decisions."""

from typing import Final

from mypy_extensions import mypyc_attr

from streams.scoring.entry import Case
from streams.scoring.policy import DAY_S
from streams.scoring.state import CustomerState, Episode, Rhythm
from streams.scoring.vocabulary import Band, Because, Cause, Rule

FOLDS_INTO: Final[dict[int, tuple[Rule, ...]]] = {
    Rule.SERVICE_FAILURE: (Rule.CHURN_RISK, Rule.EXPERIENCE_DROP),
    Rule.PROMISE_BROKEN: (Rule.CHURN_RISK, Rule.EXPERIENCE_DROP, Rule.SERVICE_FAILURE),
    Rule.SILENCE: (Rule.CHURN_RISK,),
}
"""A rule says nothing while a graver one of the same customer is open that tells the same."""
_LOST: Final = Cause.LOST
_LEAVING: Final = Cause.LEAVING
_GRAVER: Final = [[int(graver) for graver in FOLDS_INTO.get(rule, ())] for rule in (0, *Rule)]
"""`FOLDS_INTO` by the number of a rule."""


@mypyc_attr(acyclic=True)
class Glance:
    """What the rules and the scores topic look at, without the drivers.

    `failures` are the cases with a failure, none where all have ended.
    """

    __slots__ = ("at_s", "band", "coverage", "failures", "found", "risks", "score", "terms", "trend")

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
        self.risks: list[float] | None = None
        """The churn probability at each horizon, where somebody asked (`explain.risks_at`)."""


@mypyc_attr(acyclic=True)
class Decision:
    """One step of an episode, decided at `glance.at_s`. Not to be changed."""

    __slots__ = ("because", "cause", "glance", "number", "rule", "severity", "step")

    def __init__(  # what a step is
        self,
        rule: Rule,
        number: int,
        step: str,
        severity: int,
        cause: str,
        because: Because | None,
        glance: Glance,
    ) -> None:
        self.rule = rule
        self.number = number
        self.step = step
        self.severity = severity
        self.cause = cause
        self.because = because
        self.glance = glance


@mypyc_attr(acyclic=True, free_list_len=1)
class Turn:
    """One evaluation of the rules: the row with its figures, and the steps."""

    __slots__ = ("_by_rule", "absent", "at_s", "glance", "state", "steps", "strong")

    def __init__(self, state: CustomerState, glance: Glance, *, absent: bool, strong: bool) -> None:
        self.state = state
        self.glance = glance
        self.at_s = glance.at_s
        self.absent = absent
        self.strong = strong
        self.steps: list[Decision] = []
        self._by_rule = state.by_rule

    def open_of(self, rule: int) -> Episode | None:
        """Return the rule's open episode, None if it has none."""
        episode = self._by_rule[rule]
        return episode if episode is not None and episode.closed_s is None else None

    def is_folded(self, rule: int) -> bool:
        """Tell whether a graver rule is open that tells what `rule` would."""
        for graver in _GRAVER[rule]:  # noqa: SIM110  # a generator costs more than the loop
            if self.open_of(graver) is not None:
                return True
        return False

    def begin(self, rule: Rule, cause: Cause, severity: int) -> None:
        """Open the rule's next episode."""
        state = self.state
        before = state.episodes.get(rule)
        number = before.number + 1 if before is not None else 1
        last_day = state.rhythm.last_day if state.rhythm is not None else 0
        episode = Episode(number, self.at_s, None, cause.value, severity, last_day)
        state.episodes[rule] = episode
        self._by_rule = state.by_rule
        self.steps.append(Decision(rule, number, "opened", severity, cause, None, self.glance))

    def escalate(self, rule: Rule, episode: Episode, severity: int) -> None:
        """Raise the severity of an open episode; a lesser one changes nothing."""
        if severity > episode.severity:
            episode.severity = severity
            self._step(rule, episode, "escalated", None)

    def resolve(self, rule: Rule, episode: Episode, because: Because) -> None:
        """Close an open episode."""
        episode.closed_s = self.at_s
        self._step(rule, episode, "resolved", because)

    def _step(self, rule: Rule, episode: Episode, step: str, because: Because | None) -> None:
        number, severity, cause = episode.number, episode.severity, episode.cause
        self.steps.append(Decision(rule, number, step, severity, cause, because, self.glance))


def any_open(state: CustomerState) -> bool:
    """Tell whether an episode of any rule is open."""
    if not state.has_episodes:
        return False
    for episode in state.by_rule:  # noqa: SIM110  # a generator costs more than the loop
        if episode is not None and episode.closed_s is None:
            return True
    return False


def open_of(state: CustomerState, rule: int) -> Episode | None:
    """Return the rule's open episode, None if it has none."""
    episode = state.by_rule[rule]
    return episode if episode is not None and episode.closed_s is None else None


def engaged_since(rhythm: Rhythm, episode: Episode) -> bool:
    """Tell whether the customer engaged since the episode was opened."""
    return rhythm.last_day > episode.last_day


def is_back(state: CustomerState, episode: Episode) -> bool:
    """Tell whether an engagement ended the risk of who fell silent, or who cancelled on an earlier day.

    Of the order before a cancellation may be heard after it.
    """
    rhythm = state.rhythm
    if rhythm is None:
        return False
    if episode.cause == _LEAVING:
        return rhythm.last_day * DAY_S > episode.opened_s
    return episode.cause == _LOST and engaged_since(rhythm, episode)


def told_silence(state: CustomerState, rhythm: Rhythm, rule: Rule) -> bool:
    """Tell whether the rule told of this silence and is closed: it goes on, and somebody knows."""
    episode = state.by_rule[rule]
    if episode is None or episode.closed_s is None:
        return False
    return episode.cause == _LOST and episode.last_day == rhythm.last_day
