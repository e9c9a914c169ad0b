"""`cx explain` tells a person where a customer stands and why."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from streams.cli.explain import explain
from streams.cli.ledger_view import render
from streams.cli.score import score
from streams.errors import CxError, Exit
from streams.scoring.policy import default_policy
from tests.customers import line

POLICY = default_policy()


def run(*args: str, content: bytes = b"") -> Result:
    """Run `cx explain`; its errors are raised."""
    return CliRunner().invoke(explain, args, input=content, catch_exceptions=False, standalone_mode=False)


def failed(*args: str) -> CxError:
    """Run `cx explain` and return the error it ends with."""
    result = CliRunner().invoke(explain, args, standalone_mode=False)
    assert isinstance(result.exception, CxError), result.output
    return result.exception


LIFE = [
    *(line("order.placed", 15 * n, total=5000) for n in range(24)),
    line("delivery.failed", 346),
    line("call.ended", 347, resolved="no", wait_s=900),
    line("order.returned", 347.5),
    b"not an event",
    line("order.placed", 345, id="o", source="/s").replace(b'"anna"', b'"annabel"'),
]


@pytest.fixture
def events(tmp_path: Path) -> str:
    """Return the path of a file in which anna has a year of orders, a failed delivery and a bad call."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(LIFE))
    return str(path)


def cells(output: str, name: str) -> list[str]:
    """Return the cells of the first row that begins with `name`."""
    found = next(text for text in output.splitlines() if text.strip().startswith(name + " "))
    return [cell.strip() for cell in found.split("  ") if cell.strip()]


def test_the_whole_ledger(events: str):
    """Both scores, their parts with their reasons, the gap, the trend, the risk and the alerts are told."""
    output = run("anna", "--events", events).stdout

    assert output.startswith("anna, 2026-12-14 12:00 UTC: critical, 27 events\n")
    assert cells(output, "experience")[:2] == ["experience", "33.3"]
    assert cells(output, "gap")[2] == "service is like the rest"
    assert cells(output, "trend")[2] == "worse than usual"
    assert cells(output, "last experience")[2] == "unresolved, 12 h ago"
    assert cells(output, "failed delivery")[2] == POLICY.drivers["failed_delivery"].reason
    assert cells(output, "prior")[1:3] == ["65.00", "65.00"]
    assert "% that the customer does not engage in 90 days." in output
    assert cells(output, "rhythm")[2] == "how often and how lately the customer engaged"
    assert "2026-12-13 00:00  experience drop 1 opened, medium" in output


def test_the_parts_add_up(events: str):
    """The numbers that are shown sum to the score that is shown, as far as their digits go."""
    output = run("anna", "--events", events).stdout
    names = ("prior", "purchase", "failed delivery", "contact needed", "waiting", "unresolved", "returned")
    shown = [float(cells(output, name)[1]) for name in names]
    total = float(cells(output, "score")[1])

    assert sum(shown) == pytest.approx(total, abs=0.005 * len(shown))


def test_json_is_that_of_score(events: str):
    """A program gets what `cx score --json` says of the customer."""
    lines = CliRunner().invoke(score, [events, "--json"]).stdout.splitlines()

    assert json.loads(run("anna", "--events", events, "--json").stdout) == json.loads(lines[0])


def test_silence_is_dated_when_a_worker_would_have_seen_it(tmp_path: Path):
    """Not at the customer's next event or the end of the file: a timer looks each day, as a worker's does."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([*LIFE[:24], line("page.viewed", 600), line("order.placed", 700)]))
    found = json.loads(run("anna", "--events", str(path), "--json").stdout)
    scored = json.loads(CliRunner().invoke(score, [str(path), "--json"]).stdout)

    def dated(document: dict[str, Any]) -> list[tuple[str, str, str]]:
        return [(each["rule"], each["step"], each["at"][:10]) for each in document["alerts"]]

    assert dated(found) == [
        ("silence", "opened", "2027-02-10"),
        ("churn_risk", "opened", "2027-03-03"),
        ("silence", "resolved", "2027-03-03"),
        ("churn_risk", "escalated", "2027-03-30"),
        ("churn_risk", "resolved", "2027-12-02"),
    ]
    assert dated(scored) == [
        ("churn_risk", "opened", "2027-08-24"),
        ("churn_risk", "resolved", "2027-12-02"),
    ]
    assert found["alerts"][0].keys() == scored["alerts"][0].keys()
    assert {**found, "alerts": []} == {**scored, "alerts": []}


def test_a_promise_is_broken_only_where_its_channel_was_read(tmp_path: Path):
    """The walk knows how far the file goes in each channel, as `cx score` does; a repeat counts once."""
    order = line("order.placed", 1, id="o", order_id="o-1", promised_at="2026-01-05T00:00:00Z")
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([order, line("call.ended", 9), order]))
    silent = run("anna", "--events", str(path), "--at", "2026-01-12T00:00:00Z")
    path.write_bytes(b"\n".join([order, line("page.viewed", 9), order]))
    heard = run("anna", "--events", str(path), "--at", "2026-01-12T00:00:00Z")

    assert "No alerts." in silent.stdout
    assert "2026-01-05 02:00  experience drop 1 opened, high" in heard.stdout
    assert heard.stderr == "duplicates: 1\n"


def test_rejects_are_told(events: str):
    """What did not become part of the ledger is counted on standard error."""
    assert run("anna", "--events", events).stderr == "rejected: 1 not_json\n"


def test_standard_input():
    """The events may come by standard input."""
    assert run("anna", "--events", "-", content=line("page.viewed")).stdout.startswith("anna, ")


def test_at_a_time(events: str):
    """At an earlier time later events are left out and counted."""
    result = run("anna", "--events", events, "--at", "2026-06-01T00:00:00Z")

    assert result.stdout.startswith("anna, 2026-06-01 00:00 UTC: delighted, 11 events")
    assert "later: 17" in result.stderr


def test_unknown_customer(events: str):
    """A customer who is not in the file ends the command with 2, its size and names that are close."""
    error = failed("ana", "--events", events)

    assert error.message == f"no customer ana among 2 customers in {events}"
    assert error.mend == "did you mean anna or annabel?"
    assert error.code is Exit.USAGE
    assert failed("zoe", "--events", events).mend == f"cx score {events} --json names them all"


@pytest.mark.parametrize("args", [[], ["--events", "e.jsonl", "--worker", "http://localhost:9"]])
def test_one_source(args: list[str]):
    """Exactly one of a file and a worker is asked."""
    assert failed("anna", *args).code is Exit.USAGE


def test_another_policy(events: str, tmp_path: Path):
    """The policy that is given judges and gives the reasons."""
    path = tmp_path / "mine.toml"
    path.write_text('[drivers.failed_delivery]\nreason = "left in the rain"\n')

    assert cells(run("anna", "--events", events, "--policy", str(path)).stdout, "failed delivery")[2] == (
        "left in the rain"
    )


def document(**changes: Any) -> dict[str, Any]:
    """Return a customer's document, with changes."""
    return {
        "customer_id": "bea",
        "at": "2026-03-04T05:06:07Z",
        "prior": 65.0,
        "experience": 70.0,
        "service": 60.0,
        "gap": None,
        "trend": 0.2,
        "coverage": {"experience": 0.5, "service": 0.1},
        "band": "steady",
        "churn_probability": None,
        "churn_reason": "no_engagement",
        "horizon_days": 90,
        "drivers": [
            {"driver": "purchase", "ledger": "experience", "points": 5.004},
            {"driver": "driver_4001", "ledger": "service", "points": -5.0},
            {"driver": "returned", "ledger": "experience", "points": -0.003},
            {"driver": "rage_click", "ledger": "experience", "points": -0.001},
        ],
        "churn_drivers": [],
        "last_experience": None,
        "policy_version": POLICY.hash,
        "events": 1234,
    } | changes


def text_of(found: dict[str, Any]) -> str:
    """Return a document as it is shown on a wide terminal."""
    from rich.console import Console  # noqa: PLC0415  # only here

    console = Console(width=160)
    with console.capture() as capture:
        for part in render(found, POLICY):
            console.print(part)
    return capture.get()


def test_who_never_engaged():
    """Without an engagement the risk is unknown, and told so; so is what else is unknown."""
    output = text_of(document())

    assert "bea, 2026-03-04 05:06 UTC: steady, 1,234 events" in output
    assert "Risk of churn: unknown, the customer never engaged." in output
    assert cells(output, "gap") == ["gap", "-", "too little is known of one of them"]
    assert "last experience" not in output
    assert "No alerts." in output


def test_what_rounds_to_nothing_is_one_row():
    """Drivers that would be shown as 0.00 are summed in a row of their own, so that nothing is lost."""
    output = text_of(document())

    assert cells(output, "2 more") == ["2 more", "+0.00", "+0.00", "too small to show"]
    assert "returned" not in output
    assert cells(output, "driver 4001") == ["driver 4001", "-5.00"]


@pytest.mark.parametrize(
    ("gap", "experience", "words"),
    [
        (25.0, 40.0, "service carries a failing experience: mend the cause"),
        (15.0, 40.0, "service is failing too, only less: mend the cause"),
        (20.0, 70.0, "service is the best of it"),
        (-20.0, 70.0, "service spoils a good one"),
        (-20.0, 40.0, "service is the worst of it"),
        (4.9, 40.0, "service is like the rest"),
    ],
)
def test_gap_in_words(gap: float, experience: float, words: str):
    """The gap says whether service carries or spoils the experience."""
    found = document(gap=gap, experience=experience, service=experience + gap)

    assert cells(text_of(found), "gap") == ["gap", f"{gap:+.1f}", words]


@pytest.mark.parametrize(
    ("trend", "words"),
    [(0.9, "as usual"), (-1.0, "worse than usual"), (1.0, "better than usual"), (-0.9, "as usual")],
)
def test_trend_in_words(trend: float, words: str):
    """The trend compares with the usual: after a repair it is negative for weeks, and nothing gets worse."""
    assert cells(text_of(document(trend=trend)), "trend")[2] == words


def test_an_unknown_band():
    """Where too little is known, that is said instead of a band."""
    assert "UTC: too little is known, 1,234 events" in text_of(document(band="unknown"))


def test_another_policy_judged():
    """Where the worker judges by another policy than the reasons are of, both are named."""
    assert f"Judged by policy abc; the reasons are of {POLICY.hash}." in text_of(
        document(policy_version="abc")
    )
    assert "Judged by" not in text_of(document())


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_terminal(events: str, monkeypatch: pytest.MonkeyPatch, width: int):
    """On a terminal no line is wider than it is."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", run("anna", "--events", events).stdout).splitlines()

    assert max(map(len, lines)) == width


def test_nothing_steers_the_terminal():
    """Names that producers send cannot paint a screen."""
    assert "\x1b" not in text_of(document(customer_id="\x1b[31mred"))


OPEN_ALERT = {
    "alert_id": "x",
    "rule": "churn_risk",
    "episode": 2,
    "opened": "2026-03-01T00:00:00Z",
    "severity": "high",
}


@contextmanager
def worker(status: int, body: bytes) -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    """Serve one answer to every request; yields the address, and the paths and tokens asked with."""
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_worker_is_asked():
    """A worker's answer is shown like a file's, with the alerts that are open."""
    with worker(200, orjson.dumps(document(open_alerts=[OPEN_ALERT]))) as (address, asked):
        output = run("be/a", "--worker", address, "--at", "2026-03-04T06:06:07+01:00").stdout

    assert asked == [("/customers/be%2Fa?at=2026-03-04T05%3A06%3A07Z", None)]
    assert "bea, 2026-03-04 05:06 UTC: steady" in output
    assert "2026-03-01 00:00  churn risk 2 open, high" in output


def test_a_worker_leaves_no_event_out():
    """What it has counted later than the time asked about is in its answer: that is told, and not shown."""
    with worker(200, orjson.dumps(document())) as (address, _):
        error = failed("bea", "--worker", address, "--at", "2026-03-04T05:06:06Z")

    assert error.message.endswith("has counted events of bea up to 2026-03-04T05:06:07Z")
    assert "--events FILE" in error.mend
    assert error.code is Exit.USAGE


def test_a_workers_json():
    """A worker's answer is handed on as it is."""
    with worker(200, orjson.dumps(document())) as (address, _):
        assert json.loads(run("bea", "--worker", f"http://{address}/", "--json").stdout) == document()


def test_the_token_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The token of the settings is shown to the worker."""
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    monkeypatch.setenv("CX_API_TOKEN_FILE", str(path))
    with worker(200, orjson.dumps(document())) as (address, asked):
        run("bea", "--worker", address)

    assert asked == [("/customers/bea", "Bearer s3cret")]


REFUSALS: list[tuple[int, bytes, str, str, Exit]] = [
    (404, b'{"error": "no such customer", "partition": 1}', "knows no customer bea", "subject", Exit.USAGE),
    (404, b'{"error": "there are /metrics"}', "refuses: there are /metrics", "metrics", Exit.ENVIRONMENT),
    (404, b"<html>", "refuses: 404 Not Found", "a worker serves metrics", Exit.ENVIRONMENT),
    (421, b'{"error": "partition 3 is not here"}', "partition 3 is not here", "another", Exit.ENVIRONMENT),
    (401, b'{"error": "a token is needed"}', "a token is needed", "CX_API_TOKEN_FILE", Exit.ENVIRONMENT),
    (503, b"<html>", "503 Service Unavailable", "cx doctor --worker http://", Exit.ENVIRONMENT),
    (503, b"[]", "503 Service Unavailable", "cx doctor --worker http://", Exit.ENVIRONMENT),
    (200, b"<html>", "no worker answers", "cx doctor --worker http://", Exit.ENVIRONMENT),
    (599, b"{}", "599", "cx doctor --worker http://", Exit.ENVIRONMENT),
]


@pytest.mark.parametrize(("status", "body", "words", "mend", "code"), REFUSALS)
def test_refusals(status: int, body: bytes, words: str, mend: str, code: Exit):
    """What a worker refuses is told with the way out."""
    with worker(status, body) as (address, _):
        error = failed("bea", "--worker", address)

    assert words in error.message
    assert mend in error.mend
    assert error.code is code


def test_a_workers_words_steer_no_terminal():
    """What a worker answers reaches the terminal without its escape characters."""
    with worker(421, b'{"error": "gone \\u001b[31mred"}') as (address, _):
        error = failed("bea", "--worker", address)

    assert "gone" in error.message
    assert "\x1b" not in error.message


def test_no_worker():
    """An address at which nothing answers is named."""
    error = failed("bea", "--worker", "http://127.0.0.1:9")

    assert "no worker answers at http://127.0.0.1:9" in error.message
    assert (error.mend, error.code) == ("cx doctor --worker http://127.0.0.1:9", Exit.ENVIRONMENT)


def test_a_close_id_steers_no_terminal(tmp_path: Path):
    """Neither the id asked for nor the ids of the file reach the terminal with an escape character."""
    event = json.loads(line("page.viewed")) | {"subject": "customer\x1b[31m"}
    path = tmp_path / "events.jsonl"
    path.write_bytes(orjson.dumps(event))
    error = failed("customer\x1b[32m", "--events", str(path))
    assert "customer?[32m" in error.message
    assert error.mend == "did you mean customer?[31m?"


@pytest.mark.parametrize(
    "address",
    ["http://[bad", "http://host:port", "", "http://", "a b:1", "http://" + "a" * 64, "ftp://host:1"],
)
def test_what_is_no_address_is_no_crash(address: str):
    """A slip in the address is told as a wrong option."""
    result = CliRunner().invoke(explain, ["bea", "--worker", address])

    assert result.exit_code == Exit.USAGE
    assert "is no address; write it like http://127.0.0.1:9464" in result.output


def test_another_program_is_no_crash():
    """Where something listens that does not speak HTTP, that is said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=_greet, args=(server,))
        answering.start()
        error = failed("bea", "--worker", f"127.0.0.1:{server.getsockname()[1]}")
        answering.join()

    assert "no worker answers at http://127.0.0.1:" in error.message
    assert "SSH-2.0" in error.message


def _greet(server: socket.socket) -> None:
    """Speak first, as a server of another protocol."""
    client, _ = server.accept()
    with client:
        client.recv(1 << 16)
        client.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def test_nobody_in_a_file_is_not_looked_for_among_nobody():
    """Where no event counts, the customer's name is not what is wrong."""
    result = CliRunner().invoke(explain, ["bea", "--events", "-"], input=b"[]", standalone_mode=False)

    assert isinstance(result.exception, CxError)
    assert "cx check -" in result.exception.mend
