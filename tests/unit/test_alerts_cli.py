"""`cx alerts`: what is open, one alert as a case, the pause."""

import re
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from click.testing import CliRunner, Result

from schemas.deliveries import Pause, Pauses
from streams import alertbook
from streams.cli import alerts as module
from streams.cli.alerts import alerts
from streams.errors import CxError, Exit
from streams.settings import Settings
from streams.topics import ACTIONS, ALERTS, INCIDENTS
from tests.customers import line
from tests.handling import Rec, Rig, changed, silent, written

Steps = list[tuple[int, bytes, bytes | None]]


def lived() -> Steps:
    """Return what a partition holds of two customers: berta's alert is taken on, anna's is resolved."""
    rig, steps = Rig(now_day=300), []
    berta = [
        Rec(changed(each, subject="berta"), key=b"berta")
        for each in (line("customer.updated", owner="m.koch", tier="gold"), *silent())
    ]
    works = [rig.apply(*silent()), rig.apply(*berta), rig.sweep(300.1)]
    rig.now_s += 100_000.0
    key = next(each.key for each in written(works[1], ALERTS.name)) or b""
    action = line("alert.acknowledged", 300.5, alert_id=key.decode(), by="m.koch", note="I call\x1b[2J her")
    works.append(rig.apply(Rec(changed(action, subject="berta"), key=b"berta"), topic=ACTIONS.name))
    works.append(rig.apply(line("order.placed", 301.0)))
    for done in works:
        steps += [(0, each.key or b"", each.value) for each in written(done, ALERTS.name)]
    return steps


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Return what `cx.alerts` holds, for a test to change."""
    steps = lived()

    async def read(_: Settings, name: str) -> AsyncIterator[tuple[int, bytes, bytes | None]]:
        for each in steps:
            if each[1].startswith(b"source_silent") == (name == INCIDENTS.name):
                yield each

    monkeypatch.setattr(alertbook, "_records", read)
    monkeypatch.setattr(module, "read_pauses", Held().read_pauses)
    return steps


def run(*arguments: str) -> Result:
    """Run the command on a wide terminal."""
    return CliRunner(env={"COLUMNS": "250"}).invoke(alerts, arguments)


def listed(*arguments: str) -> list[Any]:
    """Return what `list --json` prints, as (customer, step)."""
    result = run("list", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [(each["customer_id"], each["step"]) for each in orjson.loads(result.stdout)]


@pytest.mark.usefixtures("topic")
def test_the_open_alerts_are_listed_by_their_last_step():
    """What was resolved is left out unless all are wanted."""
    assert listed() == [("berta", "acknowledged")]
    assert sorted(listed("--all")) == [("anna", "resolved"), ("berta", "acknowledged")]


@pytest.mark.usefixtures("topic")
@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--rule", "churn_risk"], 2),
        (["--rule", "silence"], 0),
        (["--severity", "high", "--severity", "low"], 2),
        (["--severity", "low"], 0),
        (["--owner", "m.koch"], 1),
        (["--owner", "nobody"], 0),
        (["--customer", "anna"], 1),
    ],
    ids=str,
)
def test_alerts_are_picked_by_rule_severity_owner_and_customer(options: list[str], found: int):
    """Options of one kind widen, of several kinds narrow."""
    assert len(listed("--all", *options)) == found


def test_a_tombstone_takes_an_alert_off_the_list_and_partitions_add_up(topic: Steps):
    """The same id on another partition would be another alert; what was retired is gone."""
    key = topic[-1][1]
    topic.append((0, key, None))
    topic.append((0, b"never there", None))
    topic.append((1, b"other", topic[0][2]))
    assert listed("--all") == [("berta", "acknowledged"), ("anna", "opened")]


def test_the_gravest_are_first_and_a_table_is_cut(topic: Steps):
    """By severity, then the newest; the table says how many there are."""
    first = orjson.loads(topic[0][2] or b"")
    topic.clear()
    for number, severity in enumerate(("low", "critical", "medium")):
        key = f"id{number}"
        document = {**first, "alert_id": key, "severity": severity, "customer_id": f"c{number}"}
        topic.append((0, key.encode(), orjson.dumps(document)))
    assert [name for name, _ in listed()] == ["c1", "c2", "c0"]
    result = run("list", "--limit", "2")
    assert "id1" in result.output
    assert "id0" not in result.output
    assert "3 alerts (the 2 gravest are shown); cx alerts show ID" in result.output
    assert "waiting" in result.output
    assert "\n1 alert; cx alerts show ID" in run("list", "--severity", "low").output


def test_a_narrow_terminal_shows_each_sentence_in_full(topic: Steps, monkeypatch: pytest.MonkeyPatch):
    """Beside six other columns it would be cut to a word a line; through a pipe there is always room."""
    reason = orjson.loads(topic[0][2] or b"")["reason"]
    del topic[1:]
    piped = CliRunner(env={"COLUMNS": "80"}).invoke(alerts, ["list"]).output
    assert any(reason in line for line in piped.splitlines())
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", CliRunner().invoke(alerts, ["list"]).output)
    assert shown.startswith("high churn risk: anna, waiting since 2026-10-28 00:00\n")
    assert " ".join(shown.split()).find(f"{reason} ({topic[0][1].decode()})") > 0


def test_a_silent_source_is_named_beside_the_list(topic: Steps):
    """Once for all partitions, while it stands in any; on standard error, for programs read the list."""
    for number, until in ((0, None), (1, None), (1, "2026-05-02T00:00:00Z"), (2, "2026-05-02T00:00:00Z")):
        detail, since = "no event of web for 7.0 h\x1b", "2026-05-01T06:00:00Z"
        document = {"incident_id": "source_silent:web", "since": since, "until": until, "detail": detail}
        topic.append((number, b"source_silent:web", orjson.dumps(document)))
    result = run("list", "--json")
    said = "silent source since 2026-05-01 06:00: no event of web for 7.0 h?; silence is held back\n"
    assert result.stderr == said
    assert len(orjson.loads(result.stdout)) == 1


@pytest.mark.usefixtures("topic")
def test_an_alert_has_the_time_of_its_last_step():
    """An age would count from today, and of a history that is read under its own clock tell years."""
    listed = re.sub(r" +", " ", run("list").output)
    assert " high churn risk taken on 2026-10-28 12:00 " in listed


@pytest.mark.usefixtures("topic")
@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("a wave\x1b", "delivery is paused for 2 hours: a wave?; cx alerts resume\n"),
        ("", "delivery is paused for 2 hours; cx alerts resume\n"),
        (None, ""),
    ],
)
def test_a_pause_is_told_beside_the_list(reason: str | None, said: str, monkeypatch: pytest.MonkeyPatch):
    """Who looks at what is open learns that nobody is told; on standard error, for programs read the list."""
    held = Held()
    held.reason = reason
    monkeypatch.setattr(module, "read_pauses", held.read_pauses)
    result = run("list", "--json")
    assert result.stderr == said
    assert len(orjson.loads(result.stdout)) == 1


@pytest.mark.usefixtures("topic")
@pytest.mark.parametrize("refusal", [CxError("cx.delivery does not exist"), TopicAuthorizationFailedError()])
def test_who_may_not_read_the_pause_is_shown_the_list(refusal: Exception, monkeypatch: pytest.MonkeyPatch):
    """A reader has no right to the topic of the delivery."""

    async def refuse(_: Settings) -> Pauses:
        raise refusal

    monkeypatch.setattr(module, "read_pauses", refuse)
    result = run("list", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert len(orjson.loads(result.stdout)) == 1


def test_an_empty_list_says_so(topic: Steps):
    """Neither open ones nor any."""
    topic.clear()
    assert run("list").output == "no open alerts\n"
    assert run("list", "--all").output == "no alerts\n"


def test_a_case_is_shown_in_words(topic: Steps):
    """Who, why now, what weighs, who has it, and every step with who took it and their remark."""
    berta = next(key for _, key, value in topic if b'"berta"' in (value or b"")).decode()
    output = run("show", berta).output
    for words in (
        "berta, gold",
        "Churn risk",
        "churn risk, episode 1, taken on",
        "likely to leave within 90 days",
        "m.koch",
        "opened",
        "acknowledged by m.koch: I call?[2J her",
    ):
        assert words in output, words
    assert "\x1b[2J" not in output
    anna = topic[0][1].decode()
    output = run("show", anna).output
    assert "churn risk, episode 1, resolved" in output
    assert "2026-10-29 00:00  resolved" in output


MORE: dict[str, Any] = {
    "folded_into": "graver",
    "holdout": True,
    "snoozed_until": "2026-11-01T00:00:00Z",
    "step": "snoozed",
    "outcome": "saved",
    "drivers": [
        {"driver": "complaint", "ledger": "experience", "points": -12.5},
        {"driver": "purchase", "ledger": "experience", "points": 2.0},
    ],
    "last_experience": {"driver": "complaint", "age_s": 7200.0, "points": -12.5},
    "value_at_risk": {"amount": 123456, "currency": "EUR", "formula": "0.9 x 685.87 EUR a year x 2 years"},
    "act_by": "2026-10-30T12:00:00Z",
    "link": "https://crm/anna",
    "allowed_contact": ["email", "phone"],
    "open_issues": [{"kind": "ticket", "driver": "missed_target", "age_s": 90_000.0}],
    "promises": [{"kind": "order", "due": "2026-10-20T18:00:00Z", "status": "broken"}],
    "earlier_alerts": [{"rule": "silence", "opened_at": "2026-01-02T03:04:05Z", "outcome": "returned"}],
    "messages_30d": 3,
    "do": ["Call her"],
    "do_not": ["Send a voucher"],
}


@pytest.mark.parametrize(
    "words",
    [
        "folded into graver",
        "nobody is told of this customer",
        "snoozed until 2026-11-01 00:00",
        "complaint -12.5",
        "complaint, 2 hours before (-12.5 points)",
        "episode 1, snoozed",
        "outcome: saved",
        "1,234.56 EUR (0.9 x 685.87 EUR a year x 2 years)",
        "act by 2026-10-30 12:00",
        "link: https://crm/anna",
        "may be contacted by email, phone",
        "open ticket: missed target, for 1 day",
        "order promised by 2026-10-20 18:00: broken",
        "silence of 2026-01-02 03:04: returned",
        "3 messages in 30 days",
        "Call her",
        "Send a voucher",
    ],
)
def test_a_case_tells_what_happened_and_what_to_do(topic: Steps, words: str):
    """What is at stake, was lived through and became of the alert has a line each, where it is so."""
    first = orjson.loads(topic[0][2] or b"")
    topic[:] = [(0, b"id", orjson.dumps({**first, **MORE}))]
    output = run("show", "id").output
    assert words in output
    assert "purchase +2.0" not in output, "what lifts the score is not what weighs"


def test_one_message_is_no_messages(topic: Steps):
    """A count of one has its word."""
    first = orjson.loads(topic[0][2] or b"")
    topic[:] = [(0, b"id", orjson.dumps({**first, **MORE, "messages_30d": 1}))]
    assert "1 message in 30 days" in run("show", "id").output


def test_what_is_at_stake_has_the_digits_of_its_currency(topic: Steps):
    """Yen have no minor unit: an amount of 123,456 is not 1,234.56 of them."""
    stake = {"amount": 123456, "currency": "JPY", "formula": "p x spend x years"}
    first = orjson.loads(topic[0][2] or b"")
    topic[:] = [(0, b"id", orjson.dumps({**first, **MORE, "value_at_risk": stake}))]
    assert "123,456 JPY (p x spend x years)" in run("show", "id").output


def test_a_case_of_which_little_is_known_is_short(topic: Steps):
    """What is unknown has no line."""
    first = orjson.loads(topic[0][2] or b"")
    empty = {
        name: []
        for name in ("drivers", "open_issues", "promises", "earlier_alerts", "evidence", "do", "do_not")
    }
    none = dict.fromkeys(
        ("churn_probability", "lost", "act_by", "expected_by", "last_experience", "cause_owner")
    )
    none |= {"value_at_risk": None, "allowed_contact": None, "messages_30d": 0}
    topic[:] = [(0, b"id", orjson.dumps({**first, **empty, **none}))]
    names = [each.split("  ")[0] for each in run("show", "id").output.splitlines()]
    assert names == ["who", "why now", "severity", "rule", "standing", "steps"]


def test_the_steps_of_a_case_are_for_programs_too(topic: Steps):
    """A JSON array, the last step last."""
    steps = orjson.loads(run("show", topic[0][1].decode(), "--json").stdout)
    assert [each["step"] for each in steps] == ["opened", "resolved"]


@pytest.mark.usefixtures("topic")
def test_an_alert_nobody_knows_is_a_finding():
    """The message says where to look."""
    error = run("show", "unknown\x1b").exception
    assert isinstance(error, CxError)
    assert (error.code, error.mend) == (Exit.FINDING, "cx alerts list --all")
    assert "no alert unknown? is on the topic" in error.message


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "waiting"),
        ({"holdout": True}, "held out"),
        ({"announced_at": "t"}, "announced"),
        ({"announced_at": "t", "acknowledged_at": "t"}, "taken on"),
        ({"step": "snoozed", "snoozed_until": "t"}, "snoozed"),
        ({"step": "resolved"}, "resolved"),
        ({"step": "closed", "outcome": "saved"}, "saved"),
    ],
    ids=str,
)
def test_where_an_alert_stands_is_said_in_a_word(changes: dict[str, Any], status: str):
    """The last word is the latest fact."""
    alert = dict.fromkeys(("outcome", "snoozed_until", "acknowledged_at", "announced_at", "holdout"))
    assert alertbook.status_of({**alert, "step": "opened", **changes}) == status


class Held:
    """The pause, as the delivery keeps it."""

    def __init__(self) -> None:
        self.reason: str | None = None

    async def pause(self, _: Settings, reason: str = "") -> bool:
        """Pause unless that is so."""
        was, self.reason = self.reason, reason if self.reason is None else self.reason
        return was is None

    async def resume(self, _: Settings) -> bool:
        """Resume unless that is so."""
        was, self.reason = self.reason, None
        return was is not None

    async def read_pauses(self, _: Settings) -> Pauses:
        """Return the pause that lasts."""
        lasting = [] if self.reason is None else [Pause(from_s=time.time() - 7300.0, reason=self.reason)]
        return Pauses(pauses=lasting)


def test_delivery_is_paused_and_resumed(monkeypatch: pytest.MonkeyPatch):
    """Each command says what it did, and a repeat what already is so, for how long and why."""
    held = Held()
    for name in ("pause", "resume", "read_pauses"):
        monkeypatch.setattr(module, name, getattr(held, name))
    assert run("resume").output == "nothing was paused\n"
    assert run("pause", "--reason", "a wave\x1b").output.startswith("paused: nothing is sent until")
    assert run("pause").output == "already paused for 2 hours: a wave?\n"
    assert "the new reason is not kept" in run("pause", "--reason", "prices").stderr
    assert run("resume").output.startswith("resumed: what is announced from now on")
    held.reason = ""
    assert run("pause").output == "already paused for 2 hours\n"
