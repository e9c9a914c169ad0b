"""`cx policy test`: lives with what must come of them, and how a difference is told."""

import json
import os
from collections.abc import Callable
from errno import EACCES
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streams.cli.main import cx
from streams.errors import CxError, Exit
from streams.scoring.explain import assess
from tests.customers import DEFAULT, event, row, seconds

ORDERS = "{at: 0d, type: order.placed, repeat: 24, every: 15d}"
FAILED = "{at: 346d, type: delivery.failed}"
DROP = "{rule: experience_drop, severity: medium, at: 346d, reason: failed delivery}"


class Folder:
    """A folder of policy tests."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> str:
        """Write a file and return its path."""
        (self.path / name).write_text(text)
        return str(self.path / name)

    def case(self, expect: str, events: str = f"{ORDERS}, {FAILED}", rest: str = "") -> str:
        """Write a file with one test: events and expectations in flow style."""
        text = f"tests:\n  - name: one\n    events: [{events}]\n    expect: [{expect}]\n{rest}"
        return self.write("one.yaml", text)

    def run(self, *args: str) -> tuple[int, str]:
        """Return exit code and output; a CxError comes through."""
        result = CliRunner().invoke(cx, ["policy", "test", *(args or (str(self.path),))])
        if isinstance(result.exception, CxError):
            raise result.exception
        return result.exit_code, result.output

    def refused(self, *args: str) -> str:
        """Return the message of a refusal."""
        with pytest.raises(CxError) as error:
            self.run(*args)
        assert error.value.code is Exit.USAGE
        return error.value.message


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return an empty folder of policy tests."""
    return Folder(tmp_path)


def test_figures_are_those_of_the_scoring(folder: Folder):
    """A plain number holds where the figure is shown as that number, and not beside it."""
    life = [*(event("order.placed", 15 * n) for n in range(24)), event("delivery.failed", 346)]
    score = assess(DEFAULT, row(life), seconds(346)).experience.score

    folder.case(f"{{at: 346d, experience: {score:.1f}}}")
    assert folder.run() == (0, f"{folder.path}/one.yaml  1 of 1 passed\n1 tests: 1 passed\n")
    folder.case(f"{{at: 346d, experience: {score + 0.2:.1f}}}")
    code, output = folder.run()
    assert code == Exit.FINDING
    assert f"experience is {score:.1f}, expected {score + 0.2:.1f}" in output


PASSING = {
    "bounds": "experience: {min: 44, max: 46}, coverage: {min: 0.5}",
    "bands": "band: at_risk | critical",
    "list of bands": "band: [at_risk, critical]",
    "drivers": "drivers: {failed_delivery: {max: -20}, waiting: 0}",
    "service drivers": "service_drivers: {waiting: 0}",
    "churn drivers": "churn_drivers: {base: 0, failed_delivery: {min: .1}}",
    "nothing": "gap: null, service_coverage: 0",
    "last": "last_experience: failed_delivery",
    "alerts": f"alerts: [{DROP}], open: [experience_drop]",
    "severities": "alerts: [{rule: experience_drop, severity: medium | high}]",
    "risk": "churn_probability: {max: .5}, lost: {max: .1}, trend: {max: -10}, service: 65",
}


@pytest.mark.parametrize("expectation", PASSING.values(), ids=PASSING)
def test_what_can_be_expected(folder: Folder, expectation: str):
    """Each kind of expectation holds where it should."""
    folder.case(f"{{at: 346d, {expectation}}}")

    assert folder.run()[0] == 0


FAILING = {
    "by little": ("experience: {max: 44.8}", "experience is 44.802, expected at most"),
    "bounds": ("experience: {min: 50}", "experience is 44.8, expected at least 50"),
    "both": ("experience: {min: 1, max: 2}", "expected 1 to 2"),
    "above": ("trend: {max: -40}", "expected at most -40"),
    "band": ("band: steady | delighted", "band is at_risk, expected steady or delighted"),
    "driver": ("drivers: {failed_delivery: {min: 0}}", "experience is the prior and failed_delivery -27.8"),
    "number for nothing": ("gap: 3", "gap is null, expected 3.0"),
    "nothing for a number": ("lost: null", "expected null"),
    "last": ("last_experience: waiting", "last_experience is failed_delivery, expected waiting"),
    "open": ("open: []", "open is experience_drop, expected none"),
    "not open": ("open: [silence]", "open is experience_drop, expected silence"),
    "no alerts": ("no_alerts: true", "+ experience_drop opened, medium, at 346d: Experience"),
    "severity": ("alerts: [{rule: experience_drop, severity: high}]", "- experience_drop opened, high\n"),
    "step": ("alerts: [{rule: experience_drop, step: resolved}]", "- experience_drop resolved\n"),
    "time": ("alerts: [{rule: experience_drop, at: 345d}]", "- experience_drop opened, at 345d\n"),
    "reason": ("alerts: [{rule: experience_drop, reason: rain}]", "- experience_drop opened: ...rain...\n"),
    "one too many": (f"alerts: [{DROP}, {{rule: silence}}]", "- silence opened\n"),
}


@pytest.mark.parametrize(("expectation", "told"), FAILING.values(), ids=FAILING)
def test_what_is_told_of_a_difference(folder: Folder, expectation: str, told: str):
    """A failed expectation is told with its time and line, what was found and what was expected."""
    folder.case(f"{{at: 346d, {expectation}}}")
    code, output = folder.run()

    assert code == Exit.FINDING
    assert "  FAILED  one\n    at 346d (2026-12-13 00:00 UTC), line 4\n" in output
    assert told in output
    assert output.endswith("1 tests: 0 passed, 1 failed\n")


def test_alerts_are_those_since_the_last_look_at_them(folder: Folder):
    """Each step is accounted for once, by the first expectation after it that names alerts."""
    folder.case(
        f"{{at: 300d, experience: {{min: 70}}}}, {{at: 346d, alerts: [{DROP}]}}, {{at: +1d, no_alerts: true}}"
    )

    assert folder.run()[0] == 0


def test_silence_is_seen_between_events(folder: Folder):
    """The timer of a worker runs as often as the file says, so silence is found without an event."""
    orders = "{at: 0d, type: order.placed, repeat: 5, every: 7d}"
    silent = "{at: 85d, alerts: [{rule: silence, at: 69d}]}"
    folder.case(silent, orders)
    assert folder.run()[0] == 0
    folder.case(silent, orders, rest="evaluate_every: 10d\n")
    assert "+ silence opened, medium, at 70d" in folder.run()[1]
    folder.case(silent, orders, rest="    evaluate_every: 40d\n")
    assert "+ silence opened, medium, at 80d" in folder.run()[1]


def full(day: str, **changes: Any) -> str:
    """Return a whole CloudEvent as JSON, which is YAML too."""
    document = {
        "specversion": "1.0",
        "id": day,
        "source": "/shop",
        "type": "cx.order.placed.v1",
        "time": f"2026-01-{day}T00:00:00Z",
        "subject": "anna",
    }
    return json.dumps(document | changes)


def test_whole_cloudevents(folder: Folder):
    """An event may be given as producers send it; a repeat of its id counts once."""
    folder.case("{at: +0d, band: steady, drivers: {purchase: 4.1}}", f"{full('02')}, {full('02')}")

    assert folder.run() == (0, f"{folder.path}/one.yaml  1 of 1 passed\n1 tests: 1 passed\n")


def test_times_within_data(folder: Folder):
    """A time in the data may count from its event, as a promise does."""
    late = "{at: 2d, type: cx.delivery.delivered.v1, channel: store, id: x, data: {promised_at: 1d}}"
    early = "{at: 2d, type: delivery.delivered, data: {promised_at: +1h}, id: x, repeat: 2}"
    folder.case("{at: 4d, last_experience: late_delivery}", late)
    assert folder.run()[0] == 0
    folder.case("{at: 4d, last_experience: delivery_on_time}", early)
    assert folder.run()[0] == 0


def test_the_policy_beside_the_tests(folder: Folder):
    """A file names its policy by a path from itself; --policy tests another one."""
    folder.write("mine.toml", "[ledger]\nprior = 50\n")
    other = folder.write("other.toml", "[ledger]\nprior = 40\n")
    folder.case("{at: 0d, service: 50}", "{at: 0d, type: rage.clicked}", "policy: mine.toml\n")

    assert folder.run()[0] == 0
    assert "service is 40.0, expected 50.0" in folder.run(str(folder.path), "--policy", other)[1]


def test_tests_by_name(folder: Folder):
    """--only runs what its text is part of, --verbose names what passed."""
    path = folder.write(
        "two.yml",
        "definitions: {a: &a [{at: 0d, type: rage.clicked}]}\n"
        "tests:\n"
        "  - {name: first, events: [*a], expect: [{at: 0d, band: unknown}]}\n"
        "  - {name: second, events: [*a], expect: [{at: 0d, band: steady}]}\n",
    )

    assert folder.run(path, "--only", "first", "-v") == (
        0,
        f"{path}  1 of 1 passed\n  ok      first\n1 tests: 1 passed\n",
    )
    assert "no test has 'third' in its name" in folder.refused(path, "--only", "third")


def test_for_programs(folder: Folder):
    """--json gives counts and each test with its differences."""
    folder.case("{at: 346d, band: steady}")
    code, output = folder.run(str(folder.path), "--json")
    found = json.loads(output)

    assert code == Exit.FINDING
    assert (found["passed"], found["failed"]) == (0, 1)
    [failure] = found["tests"][0]["failures"]
    assert failure["differences"] == [{"what": "band", "expected": "steady", "found": "at_risk"}]
    assert (failure["at"], failure["day"], failure["line"]) == ("2026-12-13T00:00:00Z", "346d", 4)
    assert list(failure["drivers"]) == ["failed_delivery", "purchase"]


LOOK = "{at: 0d, band: steady}"
EVENT = "{at: 0d, type: order.placed}"
REFUSED = {
    "key of a look": ("{at: 0d, bnd: steady}", EVENT, "one.yaml:4: unknown key `bnd`, did you mean `band`?"),
    "key of an event": (LOOK, "{at: 0d, typ: x}", "one.yaml:3: unknown key `typ`, did you mean `type`?"),
    "key of a range": ("{at: 0d, trend: {mn: 1}}", EVENT, "unknown key `mn`, did you mean `min`?"),
    "key of a driver": (
        "{at: 0d, drivers: {waiting: {mx: 1}}}",
        EVENT,
        "unknown key `mx`, did you mean `max`?",
    ),
    "key of an alert": ("{at: 0d, alerts: [{ruel: x}]}", EVENT, "unknown key `ruel`, did you mean `rule`?"),
    "rule": ("{at: 0d, open: [silense]}", EVENT, "no such name `silense`, did you mean `silence`?"),
    "severity": ("{at: 0d, alerts: [{rule: silence, severity: hgh}]}", EVENT, "no severity `hgh`"),
    "band": ("{at: 0d, band: at_rsk}", EVENT, "no band `at_rsk`, did you mean `at_risk`?"),
    "driver": ("{at: 0d, drivers: {wating: 1}}", EVENT, "no driver `wating`, did you mean `waiting`?"),
    "type": (LOOK, "{at: 0d, type: order.place}", "no type `order.place`, did you mean `order.placed`?"),
    "a word for a number": ("{at: 0d, trend: up}", EVENT, "tests[0].expect[0].trend: Expected"),
    "missing": ("{band: steady}", EVENT, "tests[0].expect[0]: missing key `at`"),
    "missing in an event": (LOOK, "{at: 0d}", "tests[0].events[0]: missing key `type`"),
    "time": ("{at: soon}", EVENT, "tests[0].expect[0].at: 'soon' is no time: write a time like 12d 6h"),
    "span": (LOOK, "{at: 0d, type: order.placed, every: often}", "'often' is no span of time"),
    "repeat": (LOOK, "{at: 0d, type: order.placed, repeat: 0}", "repeat must lie between 1 and 10000"),
    "early": (LOOK, "{at: 1d, type: order.placed}", "expect[0].at: a time before the first event"),
    "back": ("{at: 2d}, {at: 1d}", EVENT, "expect[1].at: a time before the expectation above it"),
    "both": ("{at: 0d, no_alerts: true, alerts: [{rule: silence}]}", EVENT, "contradict each other"),
    "range": ("{at: 0d, trend: {}}", EVENT, "a range needs min or max"),
    "turned": ("{at: 0d, trend: {min: 2, max: 1}}", EVENT, "min lies above max"),
    "nothing": ("", EVENT, "nothing expected"),
    "no life": (LOOK, "", "no events"),
    "reject": (
        LOOK,
        "{at: 0d, type: order.placed, data: {total: x}}",
        "reject it as schema_violation, for $.data",
    ),
    "two lives": (LOOK, f"{EVENT}, {full('02')}", "a test lives the life of one"),
}


@pytest.mark.parametrize(("expect", "events", "told"), REFUSED.values(), ids=REFUSED)
def test_mistakes_are_named(folder: Folder, expect: str, events: str, told: str):
    """A file that says something else than a test is refused with line, place and suggestion."""
    assert told in folder.refused(folder.case(expect, events))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- 1", "no tests"),
        ("tests: []", "no tests"),
        ("tests: [1]", "tests[0]: Expected keys and values, got a whole number"),
        ("tsts: []", "unknown key `tsts`, did you mean `tests`?"),
        ("tests: 1", "tests: Expected a list"),
    ],
)
def test_what_is_no_file_of_tests(folder: Folder, text: str, told: str):
    """What does not begin with tests is refused."""
    assert told in folder.refused(folder.write("x.yaml", text))


def test_names_are_used_once(folder: Folder):
    """Two tests of one name could not be told apart."""
    case = f"  - {{name: a, events: [{EVENT}], expect: [{LOOK}]}}\n"

    assert "two tests are named 'a'" in folder.refused(folder.write("x.yaml", "tests:\n" + 2 * case))


def test_a_broken_file_hides_no_other(folder: Folder):
    """The other files run before a broken one ends the command with 2."""
    folder.case(LOOK, EVENT)
    folder.write("z.yaml", "tests: []")
    result = CliRunner().invoke(cx, ["policy", "test", str(folder.path)])

    assert "1 tests: 1 passed" in result.output
    assert isinstance(result.exception, CxError)


def test_a_folder_without_tests(folder: Folder):
    """A folder without YAML is named."""
    assert "no policy tests in" in folder.refused()


def test_a_folder_that_is_kept_from_us_is_told_of(folder: Folder, monkeypatch: pytest.MonkeyPatch):
    """Neither is it taken for one without tests, nor are the tests of a folder within passed over."""
    folder.case("{at: 346d, band: at_risk}")
    inner = folder.path / "inner"
    inner.mkdir()
    looked = os.scandir
    for locked in (folder.path, inner):
        monkeypatch.setattr(os, "scandir", kept(locked, looked))
        assert folder.refused() == f"cannot read the folder {locked}: Permission denied"


def kept(locked: Path, looked: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what looks into folders for somebody who has no right to one; root would have it."""

    def look(path: Any) -> Any:
        if Path(path) == locked:
            raise PermissionError(EACCES, os.strerror(EACCES), str(path))
        return looked(path)

    return look


def test_a_path_that_cannot_be_looked_at_is_told_of(folder: Folder):
    """What the system refuses to look at is named like any file that cannot be read."""
    assert folder.refused("p" * 300) == f"cannot read {'p' * 300}: File name too long"
