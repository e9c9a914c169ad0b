"""What the doctor says of topics, versions and a worker, without a broker."""

import threading
from collections.abc import AsyncIterator, Iterator
from http.client import BadStatusLine
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from streams.admin import TopicState
from streams.cli.doctor import doctor
from streams.errors import Exit
from streams.observe import doctor as examined
from streams.observe import doctor_worker
from streams.observe.doctor import versions
from streams.observe.doctor_cluster import topics
from streams.observe.doctor_log import _misplaced as misplaced
from streams.observe.doctor_worker import worker
from streams.observe.findings import Finding, Status
from streams.observe.placement import partition_of
from streams.settings import Settings
from streams.topics import TOPICS

READY = {"ready": True, "partitions": [0, 1], "customers": 1200, "lag": 0}


def states(**changes: Any) -> tuple[TopicState, ...]:
    """Return all topics and the changelog as they should be, but for `changes` (partitions or config)."""
    wanted = {topic.name: topic for topic in TOPICS} | {"cx-signals-customers-changelog": None}
    found = []
    for name, topic in wanted.items():
        state = TopicState(name, topic, 4, {})
        change = changes.get(name.replace(".", "_").replace("-", "_"), {})
        partitions = change if isinstance(change, int) else 4
        config = state.wanted | (change if isinstance(change, dict) else {})
        found.append(TopicState(name, topic, partitions, config))
    return tuple(found)


def told(found: Iterator[Finding]) -> list[tuple[str, str, str]]:
    """Return status, message and mend of each finding."""
    return [(each.status.value, each.message, each.mend) for each in found]


async def test_a_token_that_cannot_be_read_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    """What was found before it is not lost, and the worker is not asked as nobody."""

    async def nothing(_: Settings) -> AsyncIterator[Finding]:
        return
        yield

    monkeypatch.setattr(examined, "_kafka", nothing)
    settings = Settings(api_token_file="none/token")  # noqa: S106  # the name of a file
    found = [each async for each in examined.examine(settings, "http://127.0.0.1:1")]
    assert [(each.subject, each.status) for each in found][1:] == [("worker", Status.ERROR)]
    assert found[1].message == "cannot read the secret's file none/token: No such file or directory"
    assert found[1].mend


def test_topics_as_they_should_be_are_one_line():
    """Nothing wrong: one ok, no advice."""
    assert told(topics(states(), Settings())) == [
        ("ok", f"{len(TOPICS) + 1} topics of 4 partitions, kept as they should be", "")
    ]


def test_missing_topics_are_named_with_the_count_of_the_others():
    """The command that mends makes them equal to those that exist."""
    ((status, message, mend),) = told(topics(states(cx_scores=0, cx_actions=0), Settings()))
    assert (status, message) == ("error", "missing: cx.actions, cx.scores")
    assert mend == "cx topics create --partitions 4"


def test_unequal_counts_name_the_odd_one():
    """Whoever reads it sees which topic differs."""
    ((status, message, _),) = told(topics(states(cx_touchpoints_store=6), Settings()))
    assert status == "error"
    assert message == "partition counts differ: cx.touchpoints.store has 6, the others 4"


def test_an_uncompacted_changelog_is_an_error_and_another_policy_a_warning():
    """A changelog that deletes loses customers; an output that deletes loses history only."""
    changed = states(
        cx_scores={"cleanup.policy": "delete"}, cx_signals_customers_changelog={"cleanup.policy": "delete"}
    )
    found = told(topics(changed, Settings()))
    assert [(status, message.split(":")[0]) for status, message, _ in found] == [
        ("warning", "cx.scores"),
        ("error", "cx-signals-customers-changelog"),
    ]
    assert all("--add-config cleanup.policy=[compact]" in mend for _, _, mend in found)


def test_a_compacted_input_is_an_error():
    """Compaction leaves one record of each customer: events are gone before they are applied."""
    changed = states(cx_touchpoints_web={"cleanup.policy": "compact"})
    ((status, message, mend),) = told(topics(changed, Settings()))
    assert (status, message.split(":")[0]) == ("error", "cx.touchpoints.web")
    assert "cleanup.policy=[delete]" in mend


def test_a_changelog_that_is_not_there_yet_is_no_error():
    """Before the first worker there is none."""
    found = told(topics(states()[:-1], Settings()))
    assert [status for status, _, _ in found] == ["ok", "warning"]
    assert found[1][2] == "cx worker"


def test_versions_are_held_to_the_seams(monkeypatch: pytest.MonkeyPatch):
    """An upgrade that moved what the engine overrides is an error, and names the seam."""
    (fine,) = versions()
    assert fine.status is Status.OK
    monkeypatch.setattr(examined, "moved_seams", lambda: iter(["Consumer.getmany is gone"]))
    (moved,) = versions()
    assert moved.status is Status.ERROR
    assert "Consumer.getmany is gone" in moved.message


def test_misplaced_records_are_told_from_those_without_a_key():
    """Records without a key have no place of their own."""
    here = partition_of(b"21", 5)
    places = ((b"21", here), (b"21", here - 1), (None, 1))
    records = [SimpleNamespace(key=key, partition=number) for key, number in places]
    assert misplaced(records, 5) == "1 of 2"
    assert misplaced(records[:1], 5) is None


class Worker:
    """An HTTP server that answers as it is told to."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.tokens: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.tokens.append(self.headers.get("Authorization"))
                status, body = outer.answers.get(self.path, (404, b"{}"))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def says(
        self, ready: Any, metrics: str = "", *, status: int = 200, metrics_status: int = 200
    ) -> "Worker":
        """Set what it answers."""
        body = ready if isinstance(ready, bytes) else orjson.dumps(ready)
        self.answers = {"/readyz": (status, body), "/metrics": (metrics_status, metrics.encode())}
        return self

    def stop(self) -> None:
        """End it."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def a_worker() -> Iterator[Worker]:
    """Return a worker that answers as it is told to."""
    made = Worker()
    yield made
    made.stop()


def found_at(made: Worker) -> list[tuple[str, str, str]]:
    """Return what the doctor finds at a worker."""
    return [(each.status.value, each.subject, each.message) for each in worker(made.url, "tok")]


def test_a_worker_at_work(a_worker: Worker):
    """Ready, and nothing stands out in its metrics; it is asked with the token."""
    found = found_at(a_worker.says(READY, 'cx_lag_seconds{topic="a"} 0.5\ncx_lag_records{topic="a"} 3\n'))
    assert found == [
        ("ok", "worker", f"{a_worker.url} is ready: partitions [0, 1], 1,200 customers"),
        ("ok", "lag", "0.5 s behind, 3 records"),
    ]
    assert a_worker.tokens == [None, "Bearer tok"]


def test_what_stands_out_in_metrics_is_named(a_worker: Worker):
    """Misplaced customers are an error; lost amounts, rejects, fencing and a big lag are warnings."""
    metrics = (
        'cx_misplaced_customers_total{topic="web"} 12\n'
        'cx_rejected_records_total{topic="web",reason="not_json"} 5\n'
        'cx_unpriced_engagements_total{channel="web",currency="KRW"} 3\n'
        'cx_unpriced_engagements_total{channel="app",currency="JPY"} 1\n'
        'cx_unpriced_engagements_total{channel="app",currency="SEK"} 0\n'
        "cx_fenced_total 2\n"
        'cx_lag_seconds{topic="web",partition="0"} 900\n'
    )
    found = found_at(a_worker.says(READY, metrics))[1:]
    assert [(status, subject) for status, subject, _ in found] == [
        ("error", "producers"),
        ("warning", "currencies"),
        ("warning", "rejects"),
        ("warning", "worker"),
        ("warning", "lag"),
    ]
    assert [message.split()[0] for _, _, message in found] == ["web:", "4", "5", "fenced", "900"]
    assert found[1][2].endswith("no rate for JPY, KRW")


@pytest.mark.parametrize(
    ("answer", "status", "word"),
    [
        (
            {**READY, "ready": False, "stopped": {"1": "web[1]: made anew"}},
            503,
            "partition 1: web[1]: made anew",
        ),
        ({**READY, "ready": False, "stopped": {}, "loading": [0]}, 503, "is not ready"),
    ],
)
def test_a_worker_that_is_not_well_is_an_error(a_worker: Worker, answer: Any, status: int, word: str):
    """Stopped partitions are named with their reason."""
    (kind, subject, message), *_ = found_at(a_worker.says(answer, status=status))
    assert (kind, subject) == ("error", "worker")
    assert word in message


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"<html>", 200), (b"[]", 404), ({"ready": True, "partitions": [0], "paused": False}, 200)],
    ids=["a page", "nothing of ours", "cx deliver"],
)
def test_another_program_is_not_taken_for_a_worker(a_worker: Worker, answer: Any, status: int):
    """That is all that is told of it: its other paths would be asked for in vain."""
    words = f"{a_worker.url} is no worker of ours (status {status})"
    assert found_at(a_worker.says(answer, status=status)) == [("error", "worker", words)]


def test_a_token_that_is_wrong_is_an_error(a_worker: Worker):
    """The mend names the setting."""
    a_worker.says(READY, metrics_status=401)
    assert found_at(a_worker)[1] == ("error", "metrics", f"{a_worker.url}/metrics answers 401")


def test_no_worker_is_a_warning(a_worker: Worker):
    """A doctor may be asked before a worker runs."""
    a_worker.stop()
    found = found_at(a_worker)
    assert [(status, subject) for status, subject, _ in found] == [("warning", "worker")]
    a_worker.__init__()  # type: ignore[misc]  # for the fixture to stop


def test_an_unreachable_broker_ends_with_exit_code_1_and_the_mend(a_worker: Worker):
    """What can be looked at is; the broker is an error with the command that starts one."""
    a_worker.says(READY)
    where = ["--bootstrap-servers", "127.0.0.1:1", "--worker", a_worker.url]
    result = CliRunner().invoke(doctor, where)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[1].startswith("error   broker       no Kafka broker answers at 127.0.0.1:1")
    assert lines[2].strip().startswith("try: cx kafka start")
    assert lines[3].startswith("ok      worker  ")
    as_json = orjson.loads(CliRunner().invoke(doctor, [*where, "--json"]).stdout)
    assert [each["status"] for each in as_json] == ["ok", "error", "ok", "ok"]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9464"),
        ("0.0.0.0", "http://127.0.0.1:9464"),  # noqa: S104  # asked, not bound
        ("::1", "http://[::1]:9464"),
    ],
)
def test_the_workers_address_is_that_of_the_settings(host: str, url: str):
    """A worker that listens on all addresses is asked on the loopback one."""
    from streams.cli.doctor import _url  # noqa: PLC0415  # beside its one use

    assert _url(Settings(metrics_host=host)) == url


@pytest.mark.parametrize(("given", "code"), [("127.0.0.1:1", Exit.FINDING), ("http://[bad", Exit.USAGE)])
def test_the_workers_address_is_host_and_port(given: str, code: Exit):
    """As for `cx explain`, the scheme may be left out, and what is no address is a wrong option."""
    result = CliRunner().invoke(doctor, ["--worker", given, "--bootstrap-servers", "127.0.0.1:1"])

    assert result.exit_code == code
    assert ("no worker answers at http://127.0.0.1:1" in result.output) is (code is Exit.FINDING)
    assert "unknown url type" not in result.output


def test_a_program_without_http_is_told(monkeypatch: pytest.MonkeyPatch):
    """Something listens there that does not speak HTTP: no worker, and no crash."""

    def garbled(*_: Any, **__: Any) -> None:
        raise BadStatusLine("SSH-2.0")  # noqa: EM101  # as http.client does

    monkeypatch.setattr(doctor_worker.urllib.request, "urlopen", garbled)
    [found] = worker("http://127.0.0.1:1", "")
    assert (found.status.value, "SSH-2.0" in found.message) == ("warning", True)
