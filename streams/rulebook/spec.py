"""What a file of policy tests may say, and what it says: every mistake with its line and a suggestion."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, UnsetType

from schemas.outputs import Rule, Step
from streams.mistakes import did_you_mean
from streams.rulebook.yaml_file import YamlFile, read_yaml
from streams.scoring.rules import SEVERITIES, Band

T = TypeVar("T")
Placed = Iterator[tuple[str, str]]
"""Path and problem."""
BANDS: Final = tuple(band.label for band in Band)
_IN_WORDS: Final = {
    "Object missing required field": "missing key",
    "`str`": "text",
    "`int`": "a whole number",
    "`float`": "a number",
    "`array`": "a list",
    "`object`": "keys and values",
    "`null`": "nothing",
}
_NO_NAME: Final = re.compile(r"Invalid enum value '(.*)'")
_NAMES: Final = (*get_args(Rule), *get_args(Step))
_AT: Final = re.compile(r"^(.*?)(?: - at `\$\.?(.*)`)?$", re.DOTALL)


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything in a file: an unknown key is an error."""


class Range(_Section, frozen=True, kw_only=True):
    """Bounds that a figure must keep, both inclusive."""

    min: float | None = None
    max: float | None = None


Number = float | Range | None
"""A number as it is shown (one decimal, shares two), bounds, or null where there must be none."""


class EventSpec(_Section, frozen=True, kw_only=True):
    """An event in short: what a full CloudEvent would say is filled in."""

    at: str
    type: str
    data: dict[str, Any] = {}
    channel: str | None = None
    id: str | None = None
    source: str = "/policy-test"
    repeat: int = 1
    every: str = "1d"


class AlertSpec(_Section, frozen=True, kw_only=True):
    """A step of an alert; what is not named may be anything."""

    rule: Rule
    step: Step = "opened"
    severity: str | list[str] | None = None
    at: str | None = None
    reason: str | None = None
    """Words that its sentence must contain."""


class LookSpec(_Section, frozen=True, kw_only=True):
    """What must hold at a time; every customer is evaluated there as a worker's timer would do."""

    at: str
    experience: Number | UnsetType = UNSET
    service: Number | UnsetType = UNSET
    gap: Number | UnsetType = UNSET
    trend: Number | UnsetType = UNSET
    coverage: Number | UnsetType = UNSET
    service_coverage: Number | UnsetType = UNSET
    churn_probability: Number | UnsetType = UNSET
    lost: Number | UnsetType = UNSET
    band: str | list[str] | UnsetType = UNSET
    last_experience: str | UnsetType | None = UNSET
    drivers: dict[str, Number] = {}
    service_drivers: dict[str, Number] = {}
    churn_drivers: dict[str, Number] = {}
    open: list[Rule] | UnsetType = UNSET
    alerts: list[AlertSpec] | UnsetType = UNSET
    no_alerts: Literal[True] | UnsetType = UNSET


class CaseSpec(_Section, frozen=True, kw_only=True):
    """One life and what must come of it."""

    name: str
    events: list[Any]
    expect: list[LookSpec]
    evaluate_every: str | None = None


class FileSpec(_Section, frozen=True, kw_only=True):
    """A file of policy tests."""

    tests: list[CaseSpec]
    policy: str | None = None
    start: str = "2026-01-01T00:00:00Z"
    evaluate_every: str = "1d"
    definitions: Any = None
    """Anything: a place for anchors that the tests repeat."""


def read_spec(path: Path | str) -> tuple[FileSpec, YamlFile]:
    """Read a file of tests; raises CxError (exit code 2) naming every unknown key, or a wrong value."""
    file = read_yaml(path)
    if not isinstance(file.content, dict):
        raise file.refuse(("", "no tests: a file begins with `tests:` and a list of them"))
    if problems := list(_unknown(file.content)):
        raise file.refuse(*problems)
    spec: FileSpec = convert(file, file.content, FileSpec, "")
    if problems := list(_lint(spec)):
        raise file.refuse(*problems)
    return spec, file


def convert(file: YamlFile, content: Any, kind: type[T], path: str) -> T:
    """Return the content at `path` as `kind`; raises CxError with the line of what does not fit."""
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        what, below = (found[1], found[2] or "") if found else (str(error), "")
        place = ".".join(part for part in (path, below) if part).replace(".[", "[")
        raise file.refuse((place, f"{place}: {_plain(what)}" if place else _plain(what))) from error


def _plain(what: str) -> str:
    """Return msgspec's words for a wrong value in those of a person who writes YAML."""
    if name := _NO_NAME.match(what):
        return f"no such name `{name[1]}`" + did_you_mean(name[1], _NAMES)
    for technical, plain in _IN_WORDS.items():
        what = what.replace(technical, plain)
    return what


def flat_events(events: list[Any], path: str) -> Iterator[tuple[str, Any]]:
    """Yield path and content of each event; a list among them, such as an alias, counts as its events."""
    for index, event in enumerate(events):
        place = f"{path}[{index}]"
        if isinstance(event, list):
            yield from flat_events(event, place)
        else:
            yield place, event


def is_full(event: Any) -> bool:
    """Tell whether an event is a whole CloudEvent rather than one in short."""
    return isinstance(event, dict) and "specversion" in event


def allowed(words: str | list[str]) -> list[str]:
    """Return the words that `at_risk | critical`, or a list of them, allows."""
    return [word.strip() for word in words.split("|")] if isinstance(words, str) else words


_LISTS: Final[dict[tuple[type, str], type]] = {
    (FileSpec, "tests"): CaseSpec,
    (CaseSpec, "expect"): LookSpec,
    (LookSpec, "alerts"): AlertSpec,
}
_DRIVERS: Final = ("drivers", "service_drivers", "churn_drivers")


def _unknown(content: dict[str, Any], kind: type[msgspec.Struct] = FileSpec, path: str = "") -> Placed:
    """Yield each key that `kind` does not know, here and below."""
    for key, value in content.items():
        place = f"{path}.{key}" if path else key
        if key not in kind.__struct_fields__:
            yield place, f"unknown key `{key}`" + did_you_mean(key, kind.__struct_fields__)
        elif (kind, key) in _LISTS and isinstance(value, list):
            yield from _unknown_in_list(value, _LISTS[kind, key], place)
        elif (kind, key) == (CaseSpec, "events") and isinstance(value, list):
            for below, event in flat_events(value, place):
                if isinstance(event, dict) and not is_full(event):
                    yield from _unknown(event, EventSpec, below)
        elif kind is LookSpec and isinstance(value, dict):
            yield from _unknown_in_figure(key, value, place)


def _unknown_in_list(items: list[Any], kind: type[msgspec.Struct], path: str) -> Placed:
    for index, item in enumerate(items):
        if isinstance(item, dict):
            yield from _unknown(item, kind, f"{path}[{index}]")


def _unknown_in_figure(key: str, value: dict[str, Any], path: str) -> Placed:
    if key not in _DRIVERS:
        yield from _unknown(value, Range, path)
        return
    for driver, number in value.items():
        if isinstance(number, dict):
            yield from _unknown(number, Range, f"{path}.{driver}")


def _lint(spec: FileSpec) -> Placed:
    """Yield what is wrong between values that are each valid alone."""
    seen: set[str] = set()
    if not spec.tests:
        yield "tests", "no tests"
    for index, case in enumerate(spec.tests):
        path = f"tests[{index}]"
        if case.name in seen:
            yield f"{path}.name", f"two tests are named {case.name!r}"
        seen.add(case.name)
        if not case.events:
            yield f"{path}.events", "no events: a customer without any has no row"
        if not case.expect:
            yield f"{path}.expect", "nothing expected"
        for number, look in enumerate(case.expect):
            yield from _lint_look(look, f"{path}.expect[{number}]")


def _lint_look(look: LookSpec, path: str) -> Placed:
    if look.alerts and look.no_alerts is True:
        yield f"{path}.no_alerts", "`alerts` and `no_alerts` contradict each other"
    if look.band is not UNSET:
        yield from _lint_words(look.band, "band", BANDS, f"{path}.band")
    for index, alert in enumerate(look.alerts if isinstance(look.alerts, list) else []):
        if alert.severity is not None:
            place = f"{path}.alerts[{index}].severity"
            yield from _lint_words(alert.severity, "severity", SEVERITIES, place)
    for name, number in figures(look):
        if isinstance(number, Range):
            if number.min is None and number.max is None:
                yield f"{path}.{name}", "a range needs min or max"
            elif number.min is not None and number.max is not None and number.min > number.max:
                yield f"{path}.{name}", "min lies above max"


def _lint_words(words: str | list[str], kind: str, known: tuple[str, ...], path: str) -> Placed:
    for word in allowed(words):
        if word not in known:
            yield path, f"no {kind} `{word}`" + did_you_mean(word, known)


def figures(look: LookSpec) -> Iterator[tuple[str, Number]]:
    """Yield each figure that a look names with what it must be; drivers as `drivers.waiting`."""
    for name in FIGURES:
        number = getattr(look, name)
        if number is not UNSET:
            yield name, number
    for name in _DRIVERS:
        for driver, number in getattr(look, name).items():
            yield f"{name}.{driver}", number


FIGURES: Final = (
    "experience",
    "service",
    "gap",
    "trend",
    "coverage",
    "service_coverage",
    "churn_probability",
    "lost",
)
