"""`cx check` tells a publisher what would become of each event."""

import json
import sys
from pathlib import Path
from typing import Any, Self

import orjson
import pytest
from click.testing import CliRunner, Result

from schemas import export as contract
from schemas.touchpoints import TYPES
from streams.cli import check as module
from streams.cli.check import check
from streams.errors import CxError, Exit
from streams.scoring.rings import RING_IDS
from streams.scoring.signals import Intent
from tests.customers import line


def run(content: bytes, *args: str) -> Result:
    """Run `cx check -` on bytes."""
    return CliRunner().invoke(check, ["-", *args], input=content, catch_exceptions=False)


def told(*lines: bytes, args: tuple[str, ...] = ()) -> list[str]:
    """Return what is said of each line, without the summary."""
    return run(b"\n".join(lines), *args).stdout.splitlines()[:-1]


def documents(*lines: bytes) -> list[dict[str, Any]]:
    """Return what `--json` says of each line."""
    return [json.loads(each) for each in run(b"\n".join(lines), "--json").stdout.splitlines()]


def changed(kind: str, **attributes: Any) -> bytes:
    """Return an event with attributes of its envelope changed; None takes one away."""
    event = orjson.loads(line(kind)) | attributes
    return orjson.dumps({name: value for name, value in event.items() if value is not None})


WORDS: list[tuple[str, bytes, str]] = [
    (
        "signal",
        line("order.placed"),
        "     1  accepted   order.placed.v1  anna  purchase +4.1; an engagement",
    ),
    (
        "both ledgers",
        line("ticket.escalated"),
        "     1  accepted   ticket.escalated.v1  anna  escalated -39.0 (service -39.0)",
    ),
    ("neutral", line("page.viewed"), "     1  neutral    page.viewed.v1  anna"),
    ("intent", line("cancel_page.viewed"), "     1  accepted   cancel_page.viewed.v1  anna  wants to leave"),
    (
        "signal and intent",
        line("complaint.raised"),
        "     1  accepted   complaint.raised.v1  anna  complaint -27.9; complains",
    ),
    (
        "unsubscribed",
        line("message.unsubscribed"),
        "     1  accepted   message.unsubscribed.v1  anna  wants no messages",
    ),
    (
        "profile",
        line("customer.updated", tier="gold"),
        "     1  accepted   customer.updated.v1  anna  updates the profile",
    ),
    (
        "anonymous",
        changed("page.viewed", subject=None, anonymousid="v"),
        "     1  anonymous  page.viewed.v1  counted, not scored: no subject",
    ),
    (
        "not JSON",
        b'{"a":',
        (
            "     1  rejected   not_json at $: saw JSON that ends too early."
            " Send one JSON object in UTF-8 per record."
        ),
    ),
    (
        "a wrong field",
        line("survey.answered", survey="csat", score="x"),
        "     1  rejected   schema_violation at $.data.score: saw string. Send a number.",
    ),
    (
        "ancient",
        changed("page.viewed", time="1970-01-01T00:00:00Z"),
        (
            "     1  rejected   clock_ancient at $.time: saw a time before the earliest. Send `time` in"
            " RFC 3339 (a number of seconds read as milliseconds gives 1970)."
        ),
    ),
    (
        "ahead of its recording",
        changed("page.viewed", recordedtime="2025-12-31T00:00:00Z"),
        (
            "     1  rejected   clock_future at $.time: saw a time after the record's. Set the publisher's"
            " clock, and leave the record's timestamp to the producer."
        ),
    ),
    (
        "a name that paints",
        changed("page.viewed", subject="\x1b[31mred"),
        "     1  neutral    page.viewed.v1  ?[31mred",
    ),
]


@pytest.mark.parametrize(("event", "words"), [case[1:] for case in WORDS], ids=[case[0] for case in WORDS])
def test_words(event: bytes, words: str):
    """Each event is told in one line: what becomes of it and why."""
    assert told(event) == [words]


def test_several_signals():
    """All signals of an event are told, each with its own points."""
    (found,) = told(line("call.ended", resolved="no", wait_s=900))

    assert found.split("anna  ")[1] == (
        "contact needed -2.6; waiting -8.7 (service -9.2); unresolved -23.0 (service -23.9)"
    )


def test_who_gave_up_waiting_for_an_order_has_waited():
    """A signal that counts for another driver is told with that one and its points."""
    (found,) = told(line("queue.waited", order_id="o1", abandoned=True))

    assert found.endswith("waiting -23.4 (service -23.4)")


def test_a_signal_that_the_policy_makes_nothing_of(tmp_path: Path):
    """It is told without points."""
    policy = tmp_path / "policy.toml"
    policy.write_text("[promises]\nkept_late_share = 0.0\n")
    late = line("delivery.delivered", 3, order_id="o1", promised_at="2026-01-02T00:00:00Z")

    assert told(late, args=("--policy", str(policy)))[0].endswith("promise broken +0.0")


def test_points_are_those_of_a_customer_without_history():
    """The points are what the event alone does, whatever came before it in the file."""
    before = [line("delivery.failed", n, id=str(n)) for n in range(5)]

    assert told(*before, line("order.placed", 9))[-1].endswith("purchase +4.1; an engagement")


def test_json():
    """A program gets for each line its outcome with all that belongs to it."""
    found = documents(
        line("ticket.escalated", id="e1"), line("page.viewed", id="p"), line("cancel_page.viewed", id="c")
    )

    assert found[0] == {
        "line": 1,
        "outcome": "accepted",
        "type": "cx.ticket.escalated.v1",
        "topic": "cx.touchpoints.support",
        "customer_id": "anna",
        "id": "e1",
        "signals": [
            {
                "driver": "escalated",
                "weight": 4.0,
                "experience": pytest.approx(-39.0),
                "service": pytest.approx(-39.0),
            }
        ],
    }
    assert (found[1]["outcome"], found[1]["topic"]) == ("neutral", "cx.touchpoints.web")
    assert (found[2]["outcome"], found[2]["intent"]) == ("accepted", "cancel_page")


def test_json_of_a_reject():
    """A reject is its reason, path, what was seen and the mend."""
    (found,) = documents(b"[]")

    assert found == {
        "line": 1,
        "outcome": "rejected",
        "reason": "schema_violation",
        "path": "$",
        "seen": "array",
        "mend": "Send one JSON object.",
    }


def test_duplicates_are_named():
    """A repeat names the line that counts; the same id of another source or on another topic is no repeat."""
    again = [
        line("order.placed", 0, id="1"),
        line("order.placed", 3, id="1"),
        line("order.placed", 3, id="1", source="/b"),
        changed("order.placed", id="1", channel="store"),
    ]

    assert [found["outcome"] for found in documents(*again)] == [
        "accepted",
        "duplicate",
        "accepted",
        "accepted",
    ]
    assert (
        told(*again)[1]
        == "     2  duplicate  order.placed.v1  anna  has source and id of line 1: counts once"
    )
    assert documents(*again)[1]["of_line"] == 1


def test_a_repeat_of_what_moves_nothing():
    """A type that may show intent is known as a repeat even where the event shows none."""
    outbound = line("complaint.raised", direction="outbound")

    assert [found["outcome"] for found in documents(outbound, outbound)] == ["neutral", "duplicate"]
    assert documents(outbound, outbound)[1]["of_line"] == 1


def test_neutral_events_have_no_repeats():
    """A neutral event is counted each time, so the same one again is not warned of."""
    found = documents(line("page.viewed"), line("page.viewed"))

    assert [each["outcome"] for each in found] == ["neutral", "neutral"]
    assert "repeats_line" not in found[1]


def test_a_repeat_too_long_after_is_warned_of():
    """A repeat that a worker no longer knows as one is said to count again."""
    between = [line("rage.clicked", n, id=f"r{n}") for n in range(RING_IDS)]
    found = told(line("order.placed", id="1"), *between, line("order.placed", id="1"))

    assert found[-1].endswith("counts AGAIN: source and id are of line 1, too long before")


def test_blank_lines_are_passed_over():
    """Blank lines are no events; the others keep their number in the file."""
    assert [found["line"] for found in documents(b"", line("order.placed"), b"  ", line("page.viewed"))] == [
        2,
        4,
    ]


def test_summary():
    """The last line counts the outcomes, and the rejects by reason."""
    content = b"\n".join([b"{", b"{", b"[]", *(line("page.viewed", n) for n in range(4))])

    assert run(content).stdout.splitlines()[-1] == (
        "7 events: 4 neutral, 3 rejected (2 not_json, 1 schema_violation)"
    )
    assert run(b"").stdout == "no events\n"


@pytest.mark.parametrize(
    ("content", "code"), [(b"{", Exit.FINDING), (line("page.viewed"), Exit.OK), (b"", Exit.OK)]
)
@pytest.mark.parametrize("args", [(), ("--json",), ("--rejected",)])
def test_exit_code(content: bytes, code: Exit, args: tuple[str, ...]):
    """A reject ends the command with 1, whatever is shown."""
    assert run(content, *args).exit_code == code


def test_only_rejects():
    """With --rejected only rejects are shown; the summary counts all."""
    result = run(b"\n".join([line("page.viewed"), b"{"]), "--rejected")

    assert [text.split()[:2] for text in result.stdout.splitlines()] == [["2", "rejected"], ["2", "events:"]]


def test_json_keeps_standard_output_for_documents():
    """With --json the summary goes to standard error."""
    result = run(line("page.viewed"), "--json")

    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == "1 event: 1 neutral\n"


@pytest.mark.parametrize("name", TYPES)
def test_examples_are_accepted(name: str):
    """What `cx schema example` prints is never rejected."""
    (found,) = documents(orjson.dumps(orjson.loads(contract.example(name))))

    assert found["outcome"] in ("accepted", "neutral", "anonymous")


def test_the_policy_decides(tmp_path: Path):
    """Points are those of the policy that is given."""
    path = tmp_path / "mine.toml"
    path.write_text("[drivers.purchase]\nweight = 10\n")

    assert told(line("order.placed"), args=("--policy", str(path))) != told(line("order.placed"))


def test_a_missing_file():
    """A file that cannot be read ends the command with 2."""
    result = CliRunner().invoke(check, ["/nowhere/events.jsonl"], standalone_mode=False)

    assert isinstance(result.exception, CxError)
    assert result.exception.code is Exit.USAGE


def test_progress_only_where_a_person_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A bar follows a large file on a terminal whose output goes elsewhere, and takes no line away."""
    path = tmp_path / "events.jsonl"
    lines = [line("page.viewed", n) + b"\n" for n in range(module.EVERY_LINES + 1)]
    path.write_bytes(b"".join(lines))
    seen: list[int] = []

    class Bar:
        def __init__(self, **_: Any) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def add_task(self, _: str, total: int) -> int:
            assert total == path.stat().st_size
            return 1

        def update(self, _: int, completed: int) -> None:
            seen.append(completed)

    monkeypatch.setattr(module, "Progress", Bar)
    assert list(module._watched(lines, str(path))) == lines
    assert seen == []
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert list(module._watched(lines, str(path))) == lines
    assert seen == [sum(map(len, lines[:-1]))]


def test_a_field_that_nobody_reads_is_told_and_counted():
    """A worker loses a misspelled field silently: its publisher hears of it, with what was probably meant."""
    lost = line("call.ended", id="a", waits_s=900, wombat=1)
    found = run(b"\n".join([lost, line("call.ended", id="b", waits_s=1), line("page.viewed", id="c")]))
    first, _, last, summary = found.stdout.splitlines()

    assert found.exit_code == 0
    assert first.endswith(
        "; IGNORED: no field $.data.waits_s: did you mean `wait_s`?; IGNORED: no field $.data.wombat"
    )
    assert "IGNORED" not in last
    assert summary == (
        "3 events: 2 accepted, 1 neutral; ignored fields: 2 data.waits_s of call.ended.v1, "
        "1 data.wombat of call.ended.v1"
    )


def test_unknown_fields_within_a_list_are_told_once():
    """The lines of an order have fields of their own, and a thousand of them one mistake."""
    goods = [{"sku": "a", "quantiy": 1}, {"sku": "b", "quantiy": 2}]
    (found,) = documents(line("order.placed", lines=goods))

    assert found["outcome"] == "accepted"
    assert found["unknown"] == [{"path": "$.data.lines[].quantiy", "meant": "did you mean `quantity`?"}]


def test_an_ignored_field_of_a_visitor_or_a_repeat_is_told_too():
    """Also an event that counts for nothing tells its publisher what is wrong with it."""
    lost = line("call.ended", waits_s=900)
    visitor = orjson.dumps(
        {k: v for k, v in orjson.loads(lost).items() if k != "subject"} | {"anonymousid": "x"}
    )
    assert all("IGNORED" in each for each in told(lost, lost, visitor))
    assert ["unknown" in each for each in documents(b"[]", line("page.viewed"))] == [False, False]


def test_the_summary_names_the_most_frequent_unknown_fields():
    """However many fields are unknown, the summary is one line."""
    lost = line("page.viewed", **{f"field_{number}": 1 for number in range(12)})
    summary = run(lost).stdout.splitlines()[-1]

    assert summary.count(" of page.viewed.v1") == 10
    assert summary.endswith(", ...")


@pytest.mark.parametrize("intent", Intent)
def test_every_intent_has_words(intent: Intent):
    """What a customer declares is said in words."""
    assert module.INTENT_WORDS[intent]
