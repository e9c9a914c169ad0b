"""What becomes of the rules' decisions: steps on `cx.alerts`, and who is told.

One `Casework` goes with each unit of work on a partition. It changes the episodes of the rows that it is
given and adds outputs and counters to the work's effects; which rows are kept is for the caller to say.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from schemas.tracing import Trace
from streams.announcing import BUCKET, Desk, refill
from streams.engine.handler import Bucket, Output, Standing
from streams.observe.counted import count_up
from streams.observe.outcomes import Outcomes
from streams.observe.tally import Processed
from streams.outages import Watchman, held_since, newest_by_channel
from streams.scoring import lifecycle
from streams.scoring.alerttexts import AlertTexts, Said
from streams.scoring.apply import Scorer
from streams.scoring.cases import alert_id
from streams.scoring.explain import risks_at
from streams.scoring.lifecycle import Waiting
from streams.scoring.policy import DAY_S
from streams.scoring.rules import CRITICAL_SEVERITY, Because, Decision, Glance, Rule
from streams.scoring.signals import Intent
from streams.scoring.state import CustomerState, Episode
from streams.scoring.vocabulary import RULE_LABELS, SEVERITIES

FRESH_S: Final = DAY_S
"""A step is told to people if it is decided within this time of the clock; older ones are history."""
CAUGHT_UP_S: Final = 10.0
"""A worker this little behind the clock has caught up: under a steady load there is always more to read."""
NOTHING: Final = Said()
NEWS: Final = Said(announced=True)


class Rows(Protocol):
    """The rows of the unit of work."""

    def look(self, key: bytes, now_s: float) -> tuple[CustomerState, Glance] | None:
        """Evaluate a customer at `now_s`; None where the customer is gone."""
        ...

    def keep(self, key: bytes, state: CustomerState, glance: Glance) -> None:
        """Write a changed row with the transaction."""
        ...


@dataclass(slots=True)
class Office:
    """What the casework of one worker shares."""

    scorer: Scorer
    alerts_topic: str
    incidents_topic: str
    link_template: str
    event_clock: bool
    clock: Callable[[], float]
    desks: dict[int, Desk] = field(default_factory=dict)
    watchmen: dict[int, Watchman] = field(default_factory=dict)
    outages: dict[str, float] = field(default_factory=dict)
    """Channel -> start of its last outage, seconds since the epoch."""
    texts: AlertTexts = field(init=False)

    def __post_init__(self) -> None:
        self.texts = AlertTexts(self.scorer, self.link_template)

    def desk(self, partition: int) -> Desk:
        """Return the desk of a partition."""
        desk = self.desks.get(partition)
        if desk is None:
            desk = self.desks[partition] = Desk()
        return desk

    def watchman(self, partition: int) -> Watchman:
        """Return who watches the channels of a partition."""
        return self.watchmen.setdefault(partition, Watchman(self.scorer.policy.outages))

    def is_caught_up(self, standing: Standing) -> bool:
        """Tell whether a partition has read everything, or all but the last moments."""
        behind_s = self.clock() - standing.watermark_s
        return standing.caught_up or (not self.event_clock and behind_s <= CAUGHT_UP_S)

    def is_fresh(self, at_s: float) -> bool:
        """Tell whether what is decided at `at_s` is news: under the event clock all is."""
        return self.event_clock or abs(self.clock() - at_s) <= FRESH_S


class Casework:
    """The alerts' side of one unit of work on a partition."""

    def __init__(self, office: Office, partition: int, standing: Standing, done: Processed) -> None:
        self.office = office
        self.scorer = office.scorer
        self.horizon_s = office.scorer.policy.churn.alert_horizon_days * DAY_S
        self.desk = office.desk(partition)
        self._limits = office.scorer.policy.announcements
        self._standing = standing
        self._partition = partition
        self._done = done
        self.absence_until_s = min(
            standing.watermark_s,
            held_since(standing.tokens, standing.watermark_s, office.scorer.policy.outages),
        )
        """Silence says nothing of later times: up to here every input was read, and every source sent."""
        self._absence_held = self.absence_until_s < standing.watermark_s
        self.caught_up = office.is_caught_up(standing)
        self._fulfilled_until_s: dict[str, float] | None = None

    @property
    def fulfilled_until_s(self) -> dict[str, float]:
        """Channel -> time up to which it would have told of a promise that was kept: only the sweep asks."""
        if self._fulfilled_until_s is None:
            self._fulfilled_until_s = newest_by_channel(self._standing.tokens) if self.caught_up else {}
        return self._fulfilled_until_s

    @property
    def outcomes(self) -> Outcomes:
        """Return the counters of the work."""
        return self._done.tally.outcomes

    def decided(
        self,
        key: bytes,
        state: CustomerState,
        decisions: list[Decision],
        *,
        history: bool,
        trace: Trace = (),
    ) -> None:
        """Write the steps; tell people at once of what is critical, and let the rest wait in the row.

        `history`: an old event was the cause, or time itself before everything was read. `trace`: the context
        of the event that was the cause.
        """
        customer_id = key.decode()
        glance = decisions[-1].glance
        fresh = not history and self.office.is_fresh(glance.at_s)
        for decision in decisions:
            episode = state.episodes[decision.rule]
            if decision.step == "opened":
                self._opened(state, episode, decision.glance)
            if decision.because is None:
                self.write(customer_id, state, decision, trace=trace)
            else:
                news = fresh and episode.told_s is not None and decision.because is not Because.FOLDED
                self.write(customer_id, state, decision, NEWS if news else NOTHING, trace=trace)
                self._resolved(customer_id, state, decision, fresh=fresh)
        found = self.to_tell(customer_id, state, glance.at_s)
        if found and fresh and found[0].episode.severity == CRITICAL_SEVERITY:
            count_up(self.outcomes.passed, Rule(found[0].rule).label)
            self.tell(customer_id, state, found, glance, trace=trace)
            found = []
        self.note(key, state, found, glance)

    def _opened(self, state: CustomerState, episode: Episode, glance: Glance) -> None:
        episode.risk = self._risk(state, glance)
        when = "after_complaint" if state.intents.has(Intent.COMPLAINT) else "before_complaint"
        count_up(self.outcomes.raised, when)

    def _resolved(self, customer_id: str, state: CustomerState, decision: Decision, *, fresh: bool) -> None:
        """Judge an episode whose customer came back; count one of which people were never told, and why."""
        episode, at_s = state.episodes[decision.rule], decision.glance.at_s
        if decision.because is Because.ENGAGED:
            self.infer(customer_id, state, decision.rule, at_s)
        if decision.because is not Because.FOLDED:
            lifecycle.unfold(state, episode)
        if episode.told_s is not None or episode.acknowledged_s is not None:
            return
        why = "budget"
        if decision.because is Because.FOLDED:
            why = "folded"
        elif self.in_holdout(customer_id):
            why = "holdout"
        elif lifecycle.is_snoozed(episode, at_s):
            why = "snoozed"
        elif not fresh:
            why = "old"
        elif self._absence_held and episode.cause == lifecycle.ABSENCE:
            why = "source_silent"
        self.outcomes.suppress(decision.rule.label, why)

    def infer(self, customer_id: str, state: CustomerState, rule: int, at_s: float) -> bool:
        """Judge by the customer's engagement how an episode turned out; True if that is new."""
        episode = state.episodes[rule]
        if episode.inferred:
            return False
        episode.inferred = lifecycle.infer(episode, state.rhythm, at_s, self.horizon_s)
        if not episode.inferred:
            return False
        group = "untold" if episode.told_s is None else "told"
        if self.in_holdout(customer_id):
            group = "holdout"
        count_up(self.outcomes.inferred, (Rule(rule).label, episode.inferred, group))
        if episode.risk is not None:
            self.outcomes.predict(episode.risk, churned=episode.inferred == lifecycle.LOST)
        return True

    def in_holdout(self, customer_id: str) -> bool:
        """Tell whether nobody is told of the customer, to learn what telling is worth."""
        share = self._limits.holdout_share
        return share > 0.0 and lifecycle.in_holdout(customer_id, share)

    def to_tell(self, customer_id: str, state: CustomerState, at_s: float) -> list[Waiting]:
        """Return what people may be told of the customer now, the gravest first."""
        found = lifecycle.waiting(state, at_s, absence_held=self._absence_held)
        if found and (lifecycle.told_lately(state, at_s) or self.in_holdout(customer_id)):
            return []
        return found

    def tell(
        self,
        customer_id: str,
        state: CustomerState,
        found: list[Waiting],
        glance: Glance,
        *,
        trace: Trace = (),
    ) -> None:
        """Tell people of the gravest; the other rules of the customer fold into it."""
        lifecycle.tell(state, found, glance.at_s)
        gravest, *others = (step_of(each.rule, each.episode, "announced", glance) for each in found)
        self.write(customer_id, state, gravest, NEWS, trace=trace)
        into = self.alert_id(customer_id, gravest.rule, gravest.number)
        for other in others:
            self.write(customer_id, state, other, Said(folded_into=into), trace=trace)
            self.outcomes.suppress(other.rule.label, "folded")

    def note(self, key: bytes, state: CustomerState, found: list[Waiting], glance: Glance) -> None:
        """Remember how bad what waits is: the severity, then the value at risk, then the churn risk."""
        if not found:
            self.desk.note(key, None)
            return
        risk = self._risk(state, glance)
        value = self.scorer.rules.value.at_risk(state, glance.at_s, risk)
        self.desk.note(key, (float(found[0].episode.severity), value or 0.0, risk or 0.0))

    def _risk(self, state: CustomerState, glance: Glance) -> float | None:
        risks = risks_at(self.scorer, state, glance)
        return risks[self.scorer.horizon] if risks else None

    def announce(self, rows: Rows, now_s: float) -> None:
        """Announce the worst that waits while the budget lasts, once all was read.

        Before everybody was looked at once, the budget is 0: nobody is known to be active.
        """
        bucket = refill(self._standing.tokens.get(BUCKET), self.desk, self._limits, now_s)
        level = self.desk.tokens_left = bucket.level
        if not (self.caught_up and self.office.is_fresh(now_s)):
            return
        if level < 1.0 or not self.desk.waiting:
            return
        for key in self.desk.worst():
            if level < 1.0:
                break
            level -= self._announce_one(rows, key, now_s)
        if level < bucket.level:
            self._done.tokens[BUCKET] = Bucket(level, bucket.at_s)
            self.desk.tokens_left = level

    def _announce_one(self, rows: Rows, key: bytes, now_s: float) -> bool:
        """Tell people of a customer if what waited still holds; True if they are told."""
        seen = rows.look(key, now_s)
        self.desk.note(key, None)
        if seen is None:
            return False
        state, glance = seen
        found = self.to_tell(key.decode(), state, glance.at_s)
        if found:
            self.tell(key.decode(), state, found, glance)
            rows.keep(key, state, glance)
        return bool(found)

    def watch_sources(self, now_s: float) -> None:
        """Look whether a channel fell silent or sends again, once everything was read."""
        if not self.caught_up:
            return
        found = self.office.watchman(self._partition).look(self._standing.tokens, now_s, self.office.outages)
        self._done.tokens.update(found.tokens)
        for turn in found.turns:
            self._done.outputs.append(Output(self.office.incidents_topic, turn.key, turn.value))
            count_up(self.outcomes.incidents, (turn.channel, turn.state))

    def alert_id(self, customer_id: str, rule: Rule, number: int) -> str:
        """Return the id of an episode of this partition's generation."""
        return alert_id(self._standing.generation, customer_id, rule, number)

    def write(
        self,
        customer_id: str,
        state: CustomerState,
        decision: Decision,
        said: Said = NOTHING,
        *,
        trace: Trace = (),
    ) -> None:
        """Write a step to `cx.alerts`.

        `trace` are its headers: the value is the same with them and without.
        """
        key = self.alert_id(customer_id, decision.rule, decision.number)
        holdout = self.in_holdout(customer_id)
        value = self.office.texts.text(key, customer_id, state, decision, said, holdout=holdout)
        self._done.outputs.append(Output(self.office.alerts_topic, key.encode(), value, trace))
        step = RULE_LABELS[decision.rule], SEVERITIES[decision.severity], decision.step
        count_up(self._done.tally.alerts, step)

    def retire(self, customer_id: str, rule: int, number: int) -> None:
        """Take an alert off `cx.alerts`."""
        key = self.alert_id(customer_id, Rule(rule), number).encode()
        self._done.outputs.append(Output(self.office.alerts_topic, key, None))


def step_of(rule: int, episode: Episode, step: str, glance: Glance) -> Decision:
    """Return a step that no rule decided, of an episode as it is."""
    return Decision(Rule(rule), episode.number, step, episode.severity, episode.cause, None, glance)
