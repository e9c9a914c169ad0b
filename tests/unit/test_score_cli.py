"""`cx score`: scores of a file's customers as JSON and in words, and what is said of lines that count not."""

import gc
import io
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson
import pytest
from click.testing import CliRunner, Result

from schemas.outputs import ScoreUpdated
from streams.cli import main as program
from streams.cli.explain import explain
from streams.cli.files import open_events, parse_time
from streams.cli.score import WORST_SHOWN, score
from streams.demo.generator import generate
from streams.errors import CxError, Exit
from streams.scoring.cases import FILE_GENERATION, alert_id
from streams.scoring.rules import Rule
from tests.customers import DEFAULT, line

KEYS = {
    *("customer_id", "prior", "experience", "service", "gap", "trend", "coverage", "band"),
    *("churn_probability", "churn_reason", "horizon_days", "drivers", "churn_drivers", "last_experience"),
    *("alerts", "events"),
}
"""What the issue promises of each object; `at` and `policy_version` come on top, as on `cx.scores`."""
BESIDE = {"base", "rhythm", "engagement", "calibration"}


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    """Leave the garbage collector as it was: the command switches it off for its own process."""
    yield
    gc.enable()


def run(content: bytes | list[bytes], *args: str, file: str = "-") -> Result:
    """Run `cx score` on lines from standard input."""
    text = content if isinstance(content, bytes) else b"\n".join(content) + b"\n"
    return CliRunner().invoke(score, [file, *args], input=text, catch_exceptions=False)


def documents(content: list[bytes], *args: str) -> list[dict[str, Any]]:
    """Return what `--json` prints."""
    return [json.loads(each) for each in run(content, "--json", *args).stdout.splitlines()]


def changed(line: bytes, **changes: Any) -> bytes:
    """Return an event with other attributes; None takes one away."""
    document = orjson.loads(line) | changes
    return orjson.dumps({name: value for name, value in document.items() if value is not None})


JOURNEYS = [each.value for each in generate(2500, seed=11, poison=0.01)]


@pytest.fixture(scope="module")
def journeys() -> list[dict[str, Any]]:
    """Return what is printed of generated journeys."""
    return documents(JOURNEYS)


def test_one_object_a_customer_sorted_by_id(journeys: list[dict[str, Any]]):
    """Each customer is there once, in the order of ids."""
    ids = [each["customer_id"] for each in journeys]
    assert len(ids) > 10
    assert ids == sorted(set(ids))


def test_each_object_has_the_promised_keys(journeys: list[dict[str, Any]]):
    """The contract's keys are all there, and what is beside them is known."""
    assert {frozenset(each) for each in journeys} == {frozenset(KEYS | {"at", "policy_version"})}
    assert {frozenset(each["coverage"]) for each in journeys} == {frozenset({"experience", "service"})}
    assert {frozenset(found) for each in journeys for found in each["drivers"]} == {
        frozenset({"driver", "ledger", "points"})
    }
    last = [each["last_experience"] for each in journeys if each["last_experience"]]
    assert {frozenset(found) for found in last} == {frozenset({"driver", "age_s", "points"})}
    steps = [step for each in journeys for step in each["alerts"]]
    assert {frozenset(step) for step in steps} == {
        frozenset({"alert_id", "rule", "episode", "step", "at", "severity", "reason", "drivers"})
    }


def test_an_object_is_a_score_of_the_contract(journeys: list[dict[str, Any]]):
    """But for its alerts it is the document on `cx.scores`."""
    for each in journeys:
        found = {name: value for name, value in each.items() if name != "alerts"}
        assert msgspec.to_builtins(msgspec.convert(found, ScoreUpdated, strict=True)) == found


def test_scores_are_the_sums_of_their_points(journeys: list[dict[str, Any]]):
    """Prior plus points of a ledger is its score to 1e-9; a driver appears once in each ledger (G5)."""
    for each in journeys:
        for ledger in ("experience", "service"):
            points = {d["driver"]: d["points"] for d in each["drivers"] if d["ledger"] == ledger}
            assert math.fsum([each["prior"], *points.values()]) == pytest.approx(each[ledger], abs=1e-9)
        names = [(d["driver"], d["ledger"]) for d in each["drivers"]]
        assert len(names) == len(set(names))
    both = {d["ledger"] for each in journeys for d in each["drivers"] if d["driver"] == "waiting"}
    assert both == {"experience", "service"}


def test_logits_sum_to_the_probability(journeys: list[dict[str, Any]]):
    """The parts, with base, rhythm, engagement and calibration, are the log-odds of churn to 1e-9 (G5)."""
    known = [each for each in journeys if each["churn_probability"] is not None]
    assert len(known) > 10
    for each in known:
        logits = {d["driver"]: d["logit"] for d in each["churn_drivers"]}
        assert logits.keys() >= BESIDE
        p = each["churn_probability"]
        assert math.fsum(logits.values()) == pytest.approx(math.log(p / (1 - p)), abs=1e-9)
        assert each["churn_reason"] is None
        assert each["horizon_days"] == 90


def test_without_engagement_there_is_no_probability():
    """Who never bought has no churn to speak of: null, with the reason, and no logits."""
    (found,) = documents([line("complaint.raised")])
    assert (found["churn_probability"], found["churn_reason"]) == (None, "no_engagement")
    assert found["churn_drivers"] == []


def test_the_gap_needs_two_known_scores():
    """It is service minus experience, or null while either is hardly known."""
    known = [line("call.ended", float(day), resolved="yes", sentiment=0.7) for day in range(5)]
    (found,) = documents(known)
    assert found["gap"] == pytest.approx(found["service"] - found["experience"], abs=1e-12)
    (found,) = documents([line("order.placed")])
    assert found["gap"] is None


def test_alerts_carry_the_generation_of_files(journeys: list[dict[str, Any]]):
    """An alert's id is the same in every run on the same file."""
    steps = [(each["customer_id"], step) for each in journeys for step in each["alerts"]]
    assert {step["step"] for _, step in steps} >= {"opened", "resolved"}
    for customer_id, step in steps:
        rule = Rule[step["rule"].upper()]
        assert step["alert_id"] == alert_id(FILE_GENERATION, customer_id, rule, step["episode"])
        assert len(step["reason"]) <= 140


def test_all_are_evaluated_at_the_newest_time(journeys: list[dict[str, Any]]):
    """Without a time given, every customer is read at the newest event of the file."""
    (at,) = {each["at"] for each in journeys}
    later = [
        json.loads(each)["time"] for each in JOURNEYS if b'"time":"2100' not in each and each.endswith(b"}")
    ]
    assert at == max(later)


def test_a_time_given_leaves_out_what_came_later():
    """Later events do not count and are told; the state is that of then."""
    lines = [line("order.placed", float(day)) for day in range(4)]
    result = run(lines, "--json", "--at", "2026-01-02T01:00:00+01:00")
    (found,) = [json.loads(each) for each in result.stdout.splitlines()]
    assert (found["events"], found["at"]) == (2, "2026-01-02T00:00:00Z")
    assert result.stderr == "later: 2\n"


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-01-31", "2026-01-31T12:00:00", "1767225600", ""], ids=repr
)
def test_a_time_without_an_offset_is_refused(text: str):
    """What has no offset is no time: exit 2, and how to write it."""
    result = run([line("order.placed")], "--at", text)
    assert result.exit_code == Exit.USAGE
    assert f"{text!r} is no time with an offset; write it like 2026-01-31T12:00:00Z" in result.stderr


def test_a_time_beyond_the_calendar_is_refused():
    """A year that no calendar has ends with a word, not with a traceback."""
    result = run([line("order.placed")], "--at", "9999-12-31T23:59:59-12:00")
    assert result.exit_code == Exit.USAGE
    assert "lies beyond 2199" in result.stderr


def test_a_time_is_read_in_its_offset():
    """Z and any other offset are the same moment."""
    context = click.Context(score)
    assert parse_time(context, score.params[0], "2026-01-31T12:00:00Z") == 1769860800.0
    assert parse_time(context, score.params[0], "2026-01-31T13:00:00+01:00") == 1769860800.0
    assert parse_time(context, score.params[0], None) is None


LOST = [
    line("order.placed"),
    line("order.placed"),
    changed(line("page.viewed"), type="cx.page.veiwed.v1"),
    b"\xff\xfe garbage",
    b"{",
    changed(line("page.viewed"), subject=None, anonymousid="a"),
]


def test_what_did_not_count_is_told_by_reason():
    """Rejects by reason, duplicates and visitors are counted on standard error; the exit code stays 0."""
    result = run(LOST, "--json")
    assert result.stderr.splitlines() == [
        "rejected: 2 not_json",
        "rejected: 1 unknown_type",
        "duplicates: 1",
        "anonymous: 1",
    ]
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 1)


def survey(score: str) -> bytes:
    """Return a survey whose score is this text, whatever it is."""
    event = line("survey.answered", survey="csat", score=1, scale_min=1, scale_max=5)
    return event.replace(b'"score":1,', f'"score":{score},'.encode())


BAD: dict[str, tuple[str, bytes]] = {
    "garbage": ("not_json", b"\xff\x00{{"),
    "half a JSON": ("not_json", line("page.viewed")[:60]),
    "depth 10,000": ("not_json", b"[" * 10_000),
    "deep in a field": (
        "not_json",
        changed(line("page.viewed"), x=1)[:-2] + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ),
    "5 MB": ("too_large", changed(line("page.viewed"), padding="x" * 5_000_000)),
    "NaN": ("not_json", survey("NaN")),
    "2**70": ("schema_violation", survey(str(2**70))),
    "beyond a double": ("schema_violation", survey("1e999")),
    "another type": ("schema_violation", changed(line("page.viewed"), time=17)),
    "no object": ("schema_violation", b"[1, 2]"),
    "nobody": ("key_missing", changed(line("page.viewed"), subject=None)),
    "1970": ("clock_ancient", changed(line("page.viewed"), time="1970-01-01T00:00:00Z")),
    "unknown type": ("unknown_type", changed(line("page.viewed"), type="cx.page.veiwed.v1")),
    "reserved": ("reserved_key", changed(line("page.viewed"), subject="\x00cx-marker")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_one_reject_and_disturbs_nothing(name: str):
    """Good lines before and after it score as if it had not been there."""
    reason, bad = BAD[name]
    good = [line("order.placed"), line("complaint.raised", 1.0)]
    result = run([good[0], bad, good[1]], "--json")
    assert result.stderr == f"rejected: 1 {reason}\n"
    assert result.stdout == run(good, "--json").stdout


def test_strict_makes_rejects_an_exit_code():
    """With --strict a reject ends in 3, after the scores; duplicates and visitors do not."""
    result = run(LOST, "--json", "--strict")
    assert (result.exit_code, len(result.stdout.splitlines())) == (Exit.REJECTED, 1)
    assert run(LOST[:2], "--strict").exit_code == 0


def test_the_future_is_judged_where_a_source_recorded_it():
    """Without `recordedtime` there is nothing to be in the future of."""
    ahead = changed(line("page.viewed"), time="2100-01-01T00:00:00Z")
    assert run([ahead], "--strict").exit_code == 0
    result = run([changed(ahead, recordedtime="2026-01-01T00:00:00Z")])
    assert result.stderr == "rejected: 1 clock_future\n"


def test_nothing_in_nothing_out():
    """An empty file has no customer, and that is no error."""
    for args in ((), ("--strict",)):
        result = run(b"", "--json", *args)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert run(b"").stdout == "0 events of 0 customers\n"


def test_a_file_is_read_as_standard_input_is(tmp_path: Path):
    """The same bytes give the same scores."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(JOURNEYS[:200]))
    assert run(b"", "--json", file=str(path)).stdout == run(JOURNEYS[:200], "--json").stdout


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: str
) -> tuple[int, str]:
    """Return exit code and standard error of the whole program."""
    monkeypatch.setattr(sys, "argv", ["cx", "score", *args])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(SystemExit) as ended:
        program.main()
    return int(ended.value.code or 0), capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    """A missing file and a folder end in exit 2 with what to give instead."""
    for path, why in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
        code, said = refused(monkeypatch, capsys, str(path))
        assert code == Exit.USAGE
        assert said.splitlines()[0] == f"error: cannot read {path}: {why}"
        assert said.splitlines()[1].startswith("  try: give a file of touchpoints, one JSON object a line")


def test_a_policy_with_a_typo_is_mended_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    """A key that is not known ends in exit 2 and names the one that was meant."""
    policy = tmp_path / "policy.toml"
    policy.write_text("[ledger]\nprioor = 50.0\n")
    code, said = refused(monkeypatch, capsys, "-", "--policy", str(policy))
    assert code == Exit.USAGE
    assert "did you mean `prior`?" in said
    assert str(policy) in said


def test_a_policy_judges(tmp_path: Path):
    """Another prior is where the scores start from."""
    policy = tmp_path / "policy.toml"
    policy.write_text("[ledger]\nprior = 50.0\n")
    (found,) = documents([line("page.viewed")], "--policy", str(policy))
    assert (found["prior"], found["experience"]) == (50.0, 50.0)
    assert found["policy_version"] != DEFAULT.policy.hash


def test_a_reader_gets_its_own_errors(tmp_path: Path):
    """Only opening is the file's fault: what fails while it is read is not told as a missing file."""
    path = tmp_path / "events"
    path.touch()
    with pytest.raises(OSError, match="the reader's"), open_events(str(path)) as file:
        raise OSError("the reader's")  # noqa: EM101, TRY003  # one of a kind
    assert file.closed
    with pytest.raises(CxError), open_events(str(tmp_path / "none")):
        pass


def test_people_read_the_bands_and_the_lowest_scores():
    """Without --json: how many there are in each band, and the worst ten with what weighs most."""
    lines = [
        changed(line(kind, day), subject=f"c{number:02}")
        for number in range(WORST_SHOWN + 2)
        for kind, day in (("order.placed", 0.0), ("complaint.raised", 1.0 + number))
    ]
    bought = [changed(line("order.placed", float(day)), subject="zoe") for day in range(30)]
    result = run([*lines, *bought, changed(line("page.viewed"), subject="yan")])
    said = [each.strip() for each in result.stdout.splitlines()]
    head, at = said[0].split(", evaluated at ")
    assert head == f"{len(lines) + len(bought) + 1} events of {WORST_SHOWN + 4} customers"
    assert at == max(json.loads(each)["time"] for each in bought)
    bands = dict(each.split() for each in said[1 : said.index("lowest experience")])
    assert next(iter(bands)) == "delighted"
    assert sum(map(int, bands.values())) == WORST_SHOWN + 4
    assert sum(" complaint" in each for each in said) == WORST_SHOWN
    assert not {"c00", "c01", "yan"} & set(result.stdout.split()), "the oldest complaints hurt least"


def test_of_whom_nothing_is_known_no_table_is_made():
    """Page views alone give bands only; who never bought shows no churn."""
    seen = line("page.viewed")
    assert run([seen]).stdout.splitlines() == [
        f"1 event of 1 customer, evaluated at {json.loads(seen)['time']}",
        "  unknown          1",
    ]
    assert " - " in run([line("complaint.raised")]).stdout


def test_an_id_is_no_markup_and_steers_no_terminal():
    """What looks like markup is shown as it is, and an escape character as a question mark."""
    lines = [changed(line("complaint.raised"), subject=each) for each in ("a[/x]b", "a\x1b[31mb")]
    said = run(lines).stdout
    assert "a[/x]b" in said
    assert "a?[31mb" in said
    assert "\x1b" not in said


def test_a_time_that_has_not_come_is_said_to_be_so():
    """Scores of tomorrow are a question one may ask, and often a mistake: a note, on standard error."""
    events = [line("order.placed", 1.0)]
    assert run(events).stderr == ""
    asked = run(events, "--at", "2105-01-01T00:00:00Z")
    assert asked.exit_code == 0
    assert "note: evaluated at 2105-01-01T00:00:00Z, which has not come yet" in asked.stderr


def test_one_event_with_a_wrong_year_is_named():
    """It moves the time of everybody's scores: a note with its line, and the time that leaves it out."""
    days = [1.0, 2.5, 2.75, 4.0]
    lines = [changed(line("order.placed", day), subject=f"c{day}") for day in days]
    assert run(lines).stderr == ""
    wrong = [*lines[:2], b"", changed(line("complaint.raised", 3.0 + 365.0), subject="c\x1b"), *lines[2:]]
    said = run(wrong)
    assert said.exit_code == 0
    note, mend = said.stderr.splitlines()[:2]  # and a third one until that year has come
    assert note.startswith("note: line 4 (c?, 2027-01-04T00:00:00Z) lies 364 days after all others")
    assert mend == "  try: if its year is wrong, --at 2026-01-05T00:00:00Z leaves it out"
    at = run(wrong, "--json", "--at", "2026-01-05T00:00:00Z")
    assert at.stderr == "later: 1\n"
    assert at.stdout == run(lines, "--json").stdout


def test_the_note_is_there_for_who_explains_one_customer_too(tmp_path: Path):
    """Another customer's wrong year has moved the time of this one."""
    path = tmp_path / "events.jsonl"
    lines = [line("order.placed", day) for day in (1.0, 2.0, 3.0)]
    path.write_bytes(b"\n".join([*lines, changed(line("page.viewed", 900.0), subject="bert")]))
    said = CliRunner().invoke(explain, ["anna", "--events", str(path)])
    assert "note: line 4 (bert, " in said.stderr
