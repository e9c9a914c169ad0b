"""A step of an alert as the bytes of its document (`schemas.outputs.ChurnAlert`), without the document.

Its fields are written in the order of their names, so that nothing is sorted: each `_put` writes a stretch of
the alphabet.
"""

from typing import Final, get_args
from urllib.parse import quote

import orjson

from schemas import outputs
from schemas.outputs import OVER
from streams.scoring.apply import Scorer, profile_of
from streams.scoring.drivers import Driver, Parts
from streams.scoring.entry import Case
from streams.scoring.episodes import Decision
from streams.scoring.explain import Assessment, assess_at, risks_at
from streams.scoring.facts import DUE, KIND_NAMES, THOUSANDTHS
from streams.scoring.hours import HOUR_S
from streams.scoring.lived import allowed_contact, evidence_of, matters_of, messages_of, promise_status
from streams.scoring.maths import rounded
from streams.scoring.reasons import reason_after
from streams.scoring.state import CustomerState, Episode, damaged_row
from streams.scoring.texts import Text, churn_drivers_text, drivers_text, put_last
from streams.scoring.unresolved import Unresolved
from streams.scoring.vocabulary import RULE_LABELS, SEVERITIES, Band, Because, Rule

OWNED_POINTS: Final = -1.0
"""A driver that takes less than this is nobody's failure."""
_ADVOCATE: Final = Rule.ADVOCATE
_UNKNOWN: Final = Episode(0, 0.0, None, "", 0, 0)
"""Stands for the episode of a step whose row has none."""
_NOBODY: Final[dict[str, object]] = {}


def _field(name: str, value: object) -> bytes:
    return b',"' + name.encode() + b'":' + orjson.dumps(value)


_ANNOUNCED: Final = [_field("announced", value) + b',"announced_at":' for value in (False, True)]
_BANDS: Final = [_field("band", band.label) + b',"by":' for band in Band]
_BECAUSE: Final = {because: _field("resolved_because", because.value) for because in Because}
_NOT_RESOLVED: Final = _field("resolved_because", None)
_KINDS: Final = {kind: _field("kind", name) for kind, name in KIND_NAMES.items()}
_RULES: Final = {rule: _field("rule", label) for rule, label in RULE_LABELS.items()}
_SEVERITIES: Final = [_field("severity", severity) + b',"since":' for severity in SEVERITIES]
_STATUS: Final = {status: _field("status", status) + b"}" for status in get_args(outputs.PromiseStatus)}
_STEPS: Final = {step: _field("step", step) for step in get_args(outputs.Step)}
_NO_OWNER: Final = _field("cause_owner", None)
_NO_PLAY: Final = b',"do":[],"do_not":[]'
_RISKS: Final = b',"churn_by_horizon":['
_NO_RISKS: Final = _RISKS + b"]"


class Said:
    """What a step says beside how the customer stands."""

    __slots__ = ("announced", "by", "folded_into", "note")

    def __init__(
        self,
        *,
        announced: bool = False,
        folded_into: str | None = None,
        by: str | None = None,
        note: str | None = None,
    ) -> None:
        self.announced = announced
        self.folded_into = folded_into
        self.by = by
        self.note = note


class Telling:
    """A step that is being written: what was decided, of whom, and how they stand."""

    __slots__ = (
        "at_s",
        "decision",
        "earlier",
        "episode",
        "felt",
        "found",
        "issues",
        "profile",
        "promised",
        "risks",
        "said",
        "state",
    )

    def __init__(
        self, scorer: Scorer, state: CustomerState, decision: Decision, said: Said, found: Assessment
    ) -> None:
        self.state = state
        self.decision = decision
        self.said = said
        self.found = found
        self.at_s = found.at_s
        self.felt = found.last_felt()
        self.risks = risks_at(scorer, state, decision.glance)
        self.issues, self.promised = matters_of(state, found.at_s)
        self.episode = state.episodes.get(decision.rule) or _UNKNOWN
        self.earlier = [rule for rule in sorted(state.episodes) if rule != decision.rule]
        self.profile = profile_of(state) if state.profile else _NOBODY

    def numbers(self, lost: float | None) -> list[object]:
        """Return all numbers in the order in which they are written; `lost` is what silence has cost."""
        found = self.found
        numbers: list[object] = []
        numbers += self.risks
        numbers.append(None if found.churn is None else found.churn.probability)
        numbers.append(found.experience.coverage)
        numbers.append(found.service.coverage)
        for rule in self.earlier:
            numbers.append(self.state.episodes[rule].number)
        numbers.append(self.decision.number)
        numbers.append(found.experience.score)
        numbers.append(found.gap)
        if self.felt is not None:
            numbers.append(self.at_s - self.felt[0].at_s)
            numbers.append(self.felt[2])
        numbers.append(lost)
        numbers.append(messages_of(self.state, self.at_s))
        for case in self.issues:
            numbers.append(self.at_s - case.since_s)
            numbers.append(case.weight / THOUSANDTHS)
        numbers.append(found.service.score)
        numbers.append(found.trend)
        return numbers

    def told(self, name: str) -> str | None:
        """Return a field of the profile in words, None where nobody said."""
        value = self.profile.get(name)
        return None if value is None else str(value)


class AlertTexts:
    """Alerts under one policy; what is the same in all of them is made once."""

    def __init__(self, scorer: Scorer, link_template: str = "") -> None:
        policy = scorer.policy
        self._scorer = scorer
        self._value = scorer.rules.value
        self._grievances = scorer.rules.grievances
        self._unresolved = Unresolved(scorer.weigher, scorer.signals)
        self._silence = scorer.churn.silence
        self._link_template = link_template
        self._lost_share = policy.rules.lost
        self._horizon_days = float(policy.churn.alert_horizon_days)
        hours = policy.rules.act_within_hours
        self._act_within_s = [hours[severity] * HOUR_S for severity in SEVERITIES]
        self._owners = {
            name: _field("cause_owner", driver.owner or None) for name, driver in policy.drivers.items()
        }
        self._plays = {
            name: _field("do", play.do) + _field("do_not", play.do_not)
            for name, play in policy.playbook.items()
        }
        first, *others = (b'{"horizon_days":%d,"probability":' % days for days in policy.churn.horizons_days)
        self._horizons = [_RISKS + first, *(b"}," + other for other in others)]
        horizon = _field("horizon_days", policy.churn.alert_horizon_days) + b',"last_experience":'
        self._holdout = [_field("holdout", value) + horizon for value in (False, True)]
        self._version = _field("policy_version", policy.hash) + b',"promises":['
        self._currency = _field("currency", policy.currency) + b',"formula":"'

    def text(  # what was decided, of whom, and what is said of it
        self,
        key: str,
        customer_id: str,
        state: CustomerState,
        decision: Decision,
        said: Said,
        *,
        holdout: bool = False,
    ) -> bytes:
        """Return a step as JSON. `key` is the alert's id; `holdout`: nobody is told of the customer.

        How the customer stands is kept with the glance: other steps and the score need not read it again.
        Raises CxError where the row has a time of no calendar, which only a damaged one can.
        """
        try:
            return self._text(key, customer_id, state, decision, said, holdout=holdout)
        except (OverflowError, ValueError):
            why = "what an alert tells of it is no time or word"
            raise damaged_row(why) from None

    def _text(
        self,
        key: str,
        customer_id: str,
        state: CustomerState,
        decision: Decision,
        said: Said,
        *,
        holdout: bool,
    ) -> bytes:
        found = assess_at(self._scorer, state, decision.glance)
        decision.glance.found = found
        it = Telling(self._scorer, state, decision, said, found)
        text = Text(it.numbers(self._lost(it)))
        self._put_from_acknowledged(text, it, key)
        self._put_from_cause(text, it)
        text.words(b',"customer_id":', customer_id)
        self._put_from_do(text, it)
        self._put_from_holdout(text, it, customer_id, holdout=holdout)
        self._put_from_open_issues(text, it)
        self._put_from_reason(text, it)
        return text.whole()

    def _put_from_acknowledged(self, text: Text, it: Telling, key: str) -> None:
        decision, episode = it.decision, it.episode
        text.time(b'{"acknowledged_at":', episode.acknowledged_s)
        act_by_s = it.at_s + self._act_within_s[decision.severity]
        text.time(b',"act_by":', None if decision.step in OVER else act_by_s)
        text.put(b',"alert_id":"')
        text.put(key.encode())
        text.put(b'","allowed_contact":')
        named = it.profile.get("contact_by")
        text.put(b"null" if named is None else orjson.dumps(allowed_contact(it.state, named)))
        text.time(_ANNOUNCED[it.said.announced], episode.told_s)
        text.time(b',"at":', it.at_s)
        text.words(_BANDS[it.found.band], it.said.by)

    def _put_from_cause(self, text: Text, it: Telling) -> None:
        """Write who looks after the driver that takes most, and what drives the customer away."""
        found = it.found
        worst = worst_of(found.experience.parts)
        text.put(_NO_OWNER if worst is None else self._owners.get(worst, _NO_OWNER))
        for index in range(len(it.risks)):
            text.number(self._horizons[index])
        text.put(b"}]" if it.risks else _NO_RISKS)
        text.put(b',"churn_drivers":')
        text.put(churn_drivers_text(found))
        text.number(b',"churn_probability":')
        text.number(b',"coverage":{"experience":')
        text.number(b',"service":')
        text.put(b"}")

    def _put_from_do(self, text: Text, it: Telling) -> None:
        """Write what to do, what came before, and when the customer was expected back."""
        found, rhythm = it.found, it.state.rhythm
        text.put(self._play(it))
        text.put(b',"drivers":')
        text.put(drivers_text(found))
        _put_earlier_alerts(text, it)
        text.number(b'],"episode":')
        text.put(b',"evidence":')
        text.put(orjson.dumps(evidence_of(it.state)))
        expected_s = None
        if rhythm is not None:
            expected_s = self._silence.expected_by_s(rhythm, self._horizon_days, self._lost_share)
        text.time(b',"expected_by":', expected_s)
        text.number(b',"experience":')
        text.words(b',"folded_into":', it.said.folded_into)
        text.number(b',"gap":')

    def _play(self, it: Telling) -> bytes:
        """Return the playbook of the worst driver that has one, else of the rule; none of what is over.

        What was made good needs no mending, though it is still felt.
        """
        if it.decision.step in OVER:
            return _NO_PLAY
        worst: str | None = None
        if it.decision.rule is not _ADVOCATE:
            worst = worst_of(it.found.experience.parts, self._plays, self._made_good(it))
        return self._plays.get(worst or RULE_LABELS[it.decision.rule], _NO_PLAY)

    def _made_good(self, it: Telling) -> set[int]:
        """Return the drivers of which nothing waits to be mended.

        Of what the register does not know, such as a failure without an id, nobody can say that it was.
        """
        scorer, experience = self._scorer, it.found.experience
        scale = scorer.ledger.mean_share / experience.denominator
        good = {
            code
            for code in self._grievances.made_good(it.state, it.at_s)
            if scale * scorer.weigher.beside_register(it.state, code, it.at_s) > OWNED_POINTS
        }
        unresolved = self._unresolved
        if unresolved.left(it.state, it.at_s, OWNED_POINTS / scale) * scale > OWNED_POINTS:
            good.add(unresolved.code)
        return good

    def _put_from_holdout(self, text: Text, it: Telling, customer_id: str, *, holdout: bool) -> None:
        """Write the last experience, and what silence has cost."""
        text.put(self._holdout[holdout])
        put_last(text, it.felt)
        text.words(b',"link":', self._link(customer_id))
        text.words(b',"locale":', it.told("locale"))
        text.number(b',"lost":')
        text.number(b',"messages_30d":')
        text.words(b',"note":', it.said.note)

    def _link(self, customer_id: str) -> str | None:
        if not self._link_template:
            return None
        return self._link_template.replace("{customer_id}", quote(customer_id, safe=""))

    def _lost(self, it: Telling) -> float | None:
        rhythm = it.state.rhythm
        return None if rhythm is None else max(0.0, self._silence.lost(rhythm, it.at_s, self._horizon_days))

    def _put_from_open_issues(self, text: Text, it: Telling) -> None:
        """Write what stands open, and what was promised."""
        text.put(b',"open_issues":[')
        begun = b'{"age_s":'
        for case in it.issues:
            text.number(begun)
            self._put_issue(text, case)
            begun = b',{"age_s":'
        text.words(b'],"outcome":', it.episode.outcome or None)
        text.words(b',"owner":', it.told("owner"))
        text.put(self._version)
        begun = b'{"due":'
        for case in it.promised:
            text.time(begun, float(case.known(DUE)))
            text.put(_KINDS[case.kind])
            text.put(_STATUS[promise_status(case)])
            begun = b',{"due":'

    def _put_issue(self, text: Text, case: Case) -> None:
        text.words(b',"driver":', self._scorer.drivers.name(case.key >> 3))
        text.put(_KINDS[case.kind])
        text.time(b',"since":', float(case.since_s))
        text.number(b',"weight":')
        text.put(b"}")

    def _put_from_reason(self, text: Text, it: Telling) -> None:
        """Write why now, and what is at risk."""
        decision, last = it.decision, None if it.felt is None else it.felt[0]
        text.words(b'],"reason":', reason_after(self._scorer, it.state, decision, it.found, last))
        text.put(_NOT_RESOLVED if decision.because is None else _BECAUSE[decision.because])
        text.put(_RULES[decision.rule])
        text.words(b',"segment":', it.told("segment"))
        text.number(b',"service":')
        text.words(_SEVERITIES[decision.severity], it.told("since"))
        text.time(b',"snoozed_until":', it.episode.snoozed_until_s)
        text.put(_STEPS[decision.step])
        text.words(b',"tier":', it.told("tier"))
        text.words(b',"timezone":', it.told("timezone"))
        text.number(b',"trend":')
        text.put(b',"value_at_risk":')
        text.put(self._value_at_risk(it))
        text.put(b"}")

    def _value_at_risk(self, it: Telling) -> bytes:
        churn, yearly = it.found.churn, self._value.yearly(it.state, it.at_s)
        if churn is None or yearly <= 0.0:
            return b"null"
        amount = rounded(self._value.stake(yearly, churn.probability))
        formula = self._value.reckoning(yearly, churn.probability)
        return b'{"amount":' + str(amount).encode() + self._currency + formula.encode() + b'"}'


def worst_of(parts: Parts, among: dict[str, bytes] | None = None, but: set[int] | None = None) -> str | None:
    """Return the driver that takes most, of those `among` if given; None where nobody fails.

    `but` are codes of drivers that do not count. Of equal ones it is that of the lower code.
    """
    worst: Driver | None = None
    least = OWNED_POINTS
    for place, driver in enumerate(parts.drivers):
        amount = parts.amounts[place]
        if amount > least or amount == OWNED_POINTS:
            continue
        if (among is not None and driver.name not in among) or (but is not None and driver.code in but):
            continue
        if worst is None or amount < least or driver.code < worst.code:
            worst, least = driver, amount
    return None if worst is None else worst.name


def _put_earlier_alerts(text: Text, it: Telling) -> None:
    """Write the newest episode of each other rule."""
    text.put(b',"earlier_alerts":[')
    begun = b'{"closed_at":'
    for rule in it.earlier:
        episode = it.state.episodes[rule]
        text.time(begun, episode.closed_s)
        text.number(b',"episode":')
        text.time(b',"opened_at":', episode.opened_s)
        text.words(b',"outcome":', episode.outcome or episode.inferred or None)
        text.put(_RULES[rule])
        text.put(b"}")
        begun = b',{"closed_at":'
