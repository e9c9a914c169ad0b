"""`cx backtest` and `cx fit` as a person runs them."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pytest
from click.testing import CliRunner, Result

from streams.backtest import folder
from streams.cli import asking
from streams.cli.main import cx
from streams.demo.datasets import Dataset
from streams.demo.feed import Record
from streams.errors import CxError, Exit
from streams.scoring.policy import default_policy, load_policy
from tests.purchases import buyers, cdnow_part, order

MODELS = {"ours", "recency", "counter", "bgnbd", "mbgnbd", "rfm"}


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    """Run a command as the shell would; a CxError is raised."""
    return CliRunner().invoke(cx, [str(each) for each in arguments], input=stdin, catch_exceptions=False)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of made-up purchases."""
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    path.write_bytes(b"\n".join([*buyers(150, 240), b"{broken"]))
    return path


@pytest.fixture(scope="module")
def fitted(log: Path) -> Path:
    """Return the policy that `cx fit` writes for the log."""
    out = log.parent / "policy.toml"
    result = run("fit", log, "--horizon", "30d", "--out", out)
    assert result.exit_code == 0
    assert re.search(r"policy [0-9a-f]{12}, learnt at 30 days from \d+ rows", result.output)
    return out


def test_a_fit_writes_a_policy_that_loads(fitted: Path):
    """The file holds what was learnt and nothing else, and is a policy."""
    policy = load_policy(fitted)

    assert policy.churn.calibration.kind == "isotonic"
    assert policy.rules == default_policy().rules
    assert "Fitted by cx fit" in fitted.read_text().splitlines()[0]
    assert run("policy", "check", fitted).exit_code == 0


def test_a_backtest_tells_how_good_the_scores_are(log: Path, tmp_path: Path):
    """The table, the JSON and the report tell the same of every model."""
    report = tmp_path / "report"
    options = ("--horizon", "30d", "--active", "60d", "--every", "2w")
    told = orjson.loads(run("backtest", log, *options, "--json", "--report", report).stdout)
    shown = run("backtest", log, *options).stdout

    assert told["horizon_days"] == 30
    assert told["rows"] > 100
    assert set(told["models"]) == MODELS
    ours = told["models"]["ours"]
    assert ours["ci95"][0] <= ours["auc"] <= ours["ci95"][1]
    assert {"auc_within", "p_at_1", "p_at_10", "brier", "ece"} <= ours.keys()
    assert told["models"]["recency"]["brier"] is None
    assert [spent["per_1000"] for spent in ours["budgets"]] == [5, 10, 20]
    assert f"{ours['auc']:.3f}" in shown
    assert "decayed counter" in shown
    html = (report / "index.html").read_text()
    assert f"<b>{ours['auc']:.3f}</b>" in html
    assert orjson.loads((report / "backtest.json").read_bytes()) == told
    for name in ("reliability", "precision-recall", "lead-time"):
        svg = (report / f"{name}.svg").read_text()
        assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314  # our own file
        assert svg in html


def test_a_given_policy_stays_as_it_is(log: Path, fitted: Path):
    """With --policy nothing is learnt on the way: the scores are those of that policy."""
    told = orjson.loads(run("backtest", log, "--horizon", "30d", "--policy", fitted, "--json").stdout)

    assert told["refits"] == 0
    assert told["policy"] == load_policy(fitted).hash
    assert told["active_days"] == 60


def test_a_policy_without_a_fit_is_where_fits_start(log: Path, tmp_path: Path):
    """A policy that only names a currency is fitted on the way; one with a rhythm is judged as it is."""
    path = tmp_path / "euro.toml"
    path.write_text('currency = "CHF"\n[churn]\ncomplaint = 0.8\n')
    options = ("backtest", log, "--horizon", "30d", "--every", "14d", "--json", "--policy", path)

    def asked(*more: str) -> tuple[bool, bool]:
        """Return whether there were fits, and whether the command said that there are none."""
        result = run(*options, *more)
        return orjson.loads(result.stdout)["refits"] > 0, "judged as it is" in result.stderr

    assert asked() == (True, False)
    assert asked("--no-refit") == (False, False)
    path.write_text("[rhythm]\nr = 0.7\n")
    assert asked() == (False, True)
    assert asked("--refit") == (True, False)


def test_rejects_are_told(log: Path):
    """What of the log could not be read is counted by reason on standard error."""
    result = run("backtest", log, "--horizon", "30d", "--every", "28d", "--json")

    assert "rejected: 1 not_json" in result.stderr


def test_standard_input_is_a_log(tmp_path: Path):
    """A log may come through a pipe; anonymous visitors and forgotten customers are counted, not scored."""
    event = orjson.loads(order("x", 1))
    forget = event | {"type": "cx.customer.forgotten.v1", "data": {"proof": "0" * 64}}
    del event["subject"]
    lines = [*buyers(60, 120), orjson.dumps(event | {"anonymousid": "visitor"}), orjson.dumps(forget)]
    out = tmp_path / "p.toml"
    result = run("fit", "-", "--horizon", "20d", "--every", "7d", "--out", out, stdin=b"\n".join(lines))

    assert result.exit_code == 0
    assert "anonymous: 1" in result.stderr
    assert "forgotten: 1" in result.stderr
    assert "rows that were made before need `cx rebuild`" in result.output


def test_too_little_says_so(tmp_path: Path):
    """A log of a few customers gives a rhythm, and a sentence that the rest stays."""
    out = tmp_path / "p.toml"
    result = run("fit", "-", "--out", out, stdin=b"\n".join(buyers(5, 200)))

    assert "rhythm only" in result.output
    assert "Too little has come true" in result.output
    assert load_policy(out).churn == default_policy().churn


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("backtest",), "give a file of touchpoints or --dataset"),
        (("backtest", "x.jsonl", "--dataset", "cdnow"), "and not both"),
        (("backtest", "no/such/file"), "cannot read no/such/file"),
        (("fit", "--out", "x"), "give a file of touchpoints or --dataset"),
        (("fit", "no/such/file", "--out", "x"), "cannot read no/such/file"),
        (("fit", "no/such/file", "--out", f"{'p' * 300}/x"), "cannot write p+/x: File name too long"),
        (("backtest", "no/such/file", "--report", f"{'p' * 300}/x"), "cannot read no/such/file"),
        (("fit", "no/such/file", "--out", "no/such/folder/x"), "cannot write no/such/folder/x: No such file"),
    ],
)
def test_wrong_questions_are_told_so(arguments: tuple[str, ...], words: str):
    """A question without one log ends with exit code 2 and what to do."""
    with pytest.raises(CxError, match=words) as refused:
        run(*arguments)
    assert refused.value.code == Exit.USAGE
    assert refused.value.mend


@pytest.mark.parametrize("days", ["0d", "d", "5h", "99999d", "-1d"])
def test_days_are_days(days: str):
    """A length that is no number of days is refused with an example."""
    result = run("backtest", "--dataset", "cdnow", "--horizon", days)

    assert result.exit_code == Exit.USAGE
    assert "write it like 90d or 12w" in result.output


def test_a_missing_extra_says_what_to_install(log: Path, monkeypatch: pytest.MonkeyPatch):
    """Without numpy, or without matplotlib for a report, the error names the extra that brings it."""
    monkeypatch.setattr(asking, "find_spec", lambda _: None)
    with pytest.raises(CxError) as refused:
        run("backtest", log)
    assert refused.value.mend == "pip install 'cx-signals[fit]'"
    monkeypatch.undo()
    monkeypatch.setattr(folder, "find_spec", lambda _: None)
    with pytest.raises(CxError) as refused:
        run("backtest", "no/such/file", "--report", log.parent / "r")
    assert refused.value.mend == "pip install 'cx-signals[report]'"


def test_a_report_that_cannot_be_written_is_told_before_the_replay(
    log: Path, monkeypatch: pytest.MonkeyPatch
):
    """A file in the way of the folder, or a right that is missing, is told before the log is read."""
    with pytest.raises(CxError, match=r"cannot write the report to .* is no folder"):
        run("backtest", "no/such/file", "--report", log / "r")
    monkeypatch.setattr(folder.os, "access", lambda *_: False)
    with pytest.raises(CxError, match=f"nothing may be written to {log.parent}\n"):
        run("backtest", "no/such/file", "--report", log.parent / "new" / "r")


def test_what_cannot_be_written_is_told(log: Path):
    """A folder in the place of the page, or a name that no disk takes, ends with what to do."""
    (log.parent / "in-the-way" / "index.html").mkdir(parents=True)
    with pytest.raises(CxError, match="cannot write the report"):
        run("backtest", log, "--horizon", "30d", "--every", "28d", "--report", log.parent / "in-the-way")
    with pytest.raises(CxError, match="cannot write"):
        run("fit", log, "--horizon", "30d", "--every", "28d", "--out", log.parent / ("p" * 300))


def test_part_of_cdnow_is_beaten(tmp_path: Path):
    """On a third of the CDNOW sample ours beats the recency rule, surely, and its probabilities hold."""
    path = tmp_path / "cdnow.jsonl"
    path.write_bytes(b"\n".join(cdnow_part(3)))
    told = orjson.loads(run("backtest", path, "--every", "21d", "--json").stdout)
    ours, recency = told["models"]["ours"], told["models"]["recency"]

    assert ours["auc"] >= recency["auc"] + 0.03
    assert ours["above_recency_ci95"][0] > 0.0
    assert ours["auc_within"] >= told["models"]["mbgnbd"]["auc_within"] - 0.01
    assert ours["ece"] <= 0.08


def test_a_report_without_losses_says_so(tmp_path: Path):
    """Where the log ends before any silence is twice the horizon, the picture of lead says that instead."""
    log = tmp_path / "short.jsonl"
    log.write_bytes(b"\n".join(buyers(100, 100)))
    run("backtest", log, "--horizon", "50d", "--every", "10d", "--warmup", "30d", "--report", tmp_path / "r")

    assert "no silence reached twice the horizon" in (tmp_path / "r" / "lead-time.svg").read_text()
    told = orjson.loads((tmp_path / "r" / "backtest.json").read_bytes())
    assert told["losses"] == 0
    assert told["models"]["ours"]["budgets"][0]["recall"] is None


def test_a_data_set_is_a_log(monkeypatch: pytest.MonkeyPatch):
    """`--dataset` reads a real history where a file would be read."""
    lines = buyers(80, 150)
    records = [Record(line, None, "topic", None) for line in lines]
    monkeypatch.setitem(
        asking.DATASETS, "cdnow", replace(asking.DATASETS["cdnow"], read=lambda _: iter(records))
    )
    monkeypatch.setattr(Dataset, "path", lambda _: Path())
    told = orjson.loads(run("backtest", "--dataset", "cdnow", "--horizon", "20d", "--json").stdout)

    assert told["dataset"] == "cdnow"
    assert told["models"]["ours"]["auc"] > 0.5
