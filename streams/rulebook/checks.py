"""Runs policy tests: a life for each, looked at where the test says, and what was not as expected."""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import UNSET

from schemas.times import at_time
from streams.mistakes import did_you_mean
from streams.rulebook.events import CUSTOMER, Clock, events_of
from streams.rulebook.life import Life, Lived
from streams.rulebook.spec import (
    AlertSpec,
    CaseSpec,
    FileSpec,
    LookSpec,
    Number,
    Range,
    allowed,
    figures,
)
from streams.rulebook.times import day_text
from streams.rulebook.yaml_file import YamlFile
from streams.scoring.apply import Scorer
from streams.scoring.explain import Document, assess, score_document
from streams.scoring.rules import Rule

FINE: Final = frozenset({"coverage", "service_coverage", "churn_probability", "lost", "churn_drivers"})
"""Shown with two decimals, all other figures with one."""
ROUNDING: Final = 1e-9
EXPLAINED: Final = 5
NEAR_S: Final = 60.0
"""An alert that is expected at a time may come within a minute of it."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One figure or list that is not as expected, in words; a list is one line an entry."""

    what: str
    expected: str
    found: str


class Look(msgspec.Struct, kw_only=True):
    """What was wrong at one time; `drivers` explain the score, the strongest first."""

    at: str
    day: str
    line: int
    differences: list[Difference]
    drivers: dict[str, float]


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a test: passed where no look has a difference."""

    file: str
    test: str
    passed: bool
    events: int
    looks: int
    failures: list[Look]


def run_file(spec: FileSpec, file: YamlFile, scorer: Scorer) -> list[Outcome]:
    """Run every test of a file; raises CxError (exit code 2) with the line of what cannot be run."""
    clock = Clock(file, spec.start)
    return [
        _Case(spec, clock, scorer, case, f"tests[{index}]").run() for index, case in enumerate(spec.tests)
    ]


class _Case:
    """One test while it runs."""

    def __init__(self, spec: FileSpec, clock: Clock, scorer: Scorer, case: CaseSpec, path: str) -> None:
        self.clock, self.scorer, self.case, self.path = clock, scorer, case, path
        events = events_of(clock, case, path, scorer)
        place = f"{path}.evaluate_every" if case.evaluate_every else "evaluate_every"
        every_s = clock.span(place, case.evaluate_every or spec.evaluate_every)
        self.life = Life(scorer, events[0].subject or CUSTOMER, events, sweep_every_s=every_s)
        self.events = len(events)
        self.told = 0
        """How many steps of alerts earlier looks have accounted for."""

    def run(self) -> Outcome:
        """Live the life and look where the test says."""
        failures = [look for look in self._looks() if look.differences]
        return Outcome(
            file=self.clock.file.name,
            test=self.case.name,
            passed=not failures,
            events=self.events,
            looks=len(self.case.expect),
            failures=failures,
        )

    def _looks(self) -> Iterator[Look]:
        before_s = self.life.first_s
        for index, expected in enumerate(self.case.expect):
            path = f"{self.path}.expect[{index}]"
            at_s = self.clock.moment(f"{path}.at", expected.at, before_s)
            if at_s < before_s:
                earlier = "the expectation above it" if index else "the first event"
                raise self.clock.file.refuse((path, f"{path}.at: a time before {earlier}"))
            yield self._look(expected, at_s, path)
            before_s = at_s

    def _look(self, expected: LookSpec, at_s: float, path: str) -> Look:
        self.life.until(at_s)
        found = read(self.scorer, self.life, at_s)
        differences = [*self._figures(expected, found, path), *_words(expected, found)]
        if expected.alerts is not UNSET or expected.no_alerts is True:
            wanted = expected.alerts if isinstance(expected.alerts, list) else []
            differences += self._alerts(wanted, f"{path}.alerts")
        return Look(
            at=at_time(at_s),
            day=day_text(at_s, self.clock.start_s),
            line=self.clock.file.line(path),
            differences=differences,
            drivers=dict(list(found["drivers"].items())[:EXPLAINED]),
        )

    def _figures(self, expected: LookSpec, found: Document, path: str) -> Iterator[Difference]:
        for name, number in figures(expected):
            group, _, driver = name.partition(".")
            if driver:
                self._known(group, driver, f"{path}.{name}")
            value = found[group].get(driver, 0.0) if driver else found[group]
            if not holds(group, number, value):
                found_text = told_apart(group, number, value)
                yield Difference(what=name, expected=wanted_text(group, number), found=found_text)

    def _known(self, group: str, driver: str, path: str) -> None:
        """Refuse a driver that the policy does not have: its points would always be 0."""
        known = self.scorer.policy.drivers
        if group != "churn_drivers" and driver not in known:
            raise self.clock.file.refuse((path, f"no driver `{driver}`" + did_you_mean(driver, known)))

    def _alerts(self, wanted: list[AlertSpec], path: str) -> Iterator[Difference]:
        """Compare the steps taken since the last look that named alerts."""
        found = self.life.steps[self.told :]
        self.told = len(self.life.steps)
        matched = [
            self._matches(each, step, f"{path}[{index}]")
            for index, (each, step) in enumerate(zip(wanted, found, strict=False))
        ]
        if len(wanted) != len(found) or not all(matched):
            expected = "\n".join(_wanted_step(each) for each in wanted)
            yield Difference(what="alerts", expected=expected, found="\n".join(map(self._step, found)))

    def _matches(self, expected: AlertSpec, step: Lived, path: str) -> bool:
        document = step.document
        if expected.at is not None:
            at_s = self.clock.moment(f"{path}.at", expected.at, self.life.first_s)
            if abs(at_s - step.at_s) > NEAR_S:
                return False
        return (
            (expected.rule, expected.step) == (document["rule"], document["step"])
            and (expected.severity is None or document["severity"] in allowed(expected.severity))
            and (expected.reason or "").lower() in document["reason"].lower()
        )

    def _step(self, step: Lived) -> str:
        document = step.document
        what = f"{document['rule']} {document['step']}, {document['severity']}"
        return f"{what}, at {day_text(step.at_s, self.clock.start_s)}: {document['reason']}"


def _wanted_step(spec: AlertSpec) -> str:
    severity = f", {' or '.join(allowed(spec.severity))}" if spec.severity else ""
    at = f", at {spec.at}" if spec.at else ""
    return f"{spec.rule} {spec.step}{severity}{at}" + (f": ...{spec.reason}..." if spec.reason else "")


def read(scorer: Scorer, life: Life, at_s: float) -> Document:
    """Return every figure that a test may name, read at `at_s` (seconds), by its name."""
    document = score_document(scorer, life.customer_id, life.state, assess(scorer, life.state, at_s))
    points: dict[str, dict[str, float]] = {"experience": {}, "service": {}}
    for entry in document["drivers"]:
        points[entry["ledger"]][entry["driver"]] = entry["points"]
    rhythm = life.state.rhythm
    horizon = float(scorer.policy.churn.alert_horizon_days)
    last = document["last_experience"]
    return {
        **{name: document[name] for name in ("experience", "service", "gap", "trend", "band")},
        "coverage": document["coverage"]["experience"],
        "service_coverage": document["coverage"]["service"],
        "churn_probability": document["churn_probability"],
        "lost": None if rhythm is None else max(0.0, scorer.churn.silence.lost(rhythm, at_s, horizon)),
        "last_experience": last and last["driver"],
        "drivers": points["experience"],
        "service_drivers": points["service"],
        "churn_drivers": {entry["driver"]: entry["logit"] for entry in document["churn_drivers"]},
        "open": [Rule(rule).label for rule, each in life.state.episodes.items() if each.closed_s is None],
    }


def _words(expected: LookSpec, found: Document) -> Iterator[Difference]:
    """Compare what is not a number: the band, the last experience, the open alerts."""
    if expected.band is not UNSET and found["band"] not in (bands := allowed(expected.band)):
        yield Difference(what="band", expected=" or ".join(bands), found=found["band"])
    if expected.last_experience not in (UNSET, found["last_experience"]):
        wanted = str(expected.last_experience)
        yield Difference(what="last_experience", expected=wanted, found=str(found["last_experience"]))
    if expected.open is not UNSET and sorted(expected.open) != sorted(found["open"]):
        yield Difference(
            what="open",
            expected=", ".join(sorted(expected.open)) or "none",
            found=", ".join(sorted(found["open"])) or "none",
        )


def holds(name: str, number: Number, value: float | None) -> bool:
    """Tell whether a figure is as expected; a plain number holds where the figure is shown as that number."""
    if number is None or value is None:
        return number is None and value is None
    if isinstance(number, Range):
        low = number.min is None or value >= number.min - ROUNDING
        return low and (number.max is None or value <= number.max + ROUNDING)
    return abs(value - number) <= (0.005 if name in FINE else 0.05) + ROUNDING


def shown(name: str, value: float | None) -> str:
    """Return a figure as tests write it."""
    if value is None:
        return "null"
    return f"{value:.2f}" if name in FINE else f"{value:.1f}"


def told_apart(name: str, number: Number, value: float | None) -> str:
    """Return a figure that is not as expected, with as many digits as it takes to see that."""
    text = shown(name, value)
    decimals = 2
    while value is not None and holds(name, number, float(text)):
        text = f"{value:.{decimals}f}"
        decimals += 1
    return text


def wanted_text(name: str, number: Number) -> str:
    """Return an expectation in words."""
    if not isinstance(number, Range):
        return shown(name, number)
    if number.min is None or number.max is None:
        return f"at most {number.max:g}" if number.min is None else f"at least {number.min:g}"
    return f"{number.min:g} to {number.max:g}"
