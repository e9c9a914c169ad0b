"""The worker's HTTP server: what it answers, to whom, and for how long it waits."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from streams.engine.stats import InputSnapshot
from streams.errors import CxError, Exit
from streams.observe import server as server_module
from streams.observe.gate import Gate
from streams.observe.placement import partition_of
from streams.observe.server import AdminServer, is_loopback
from streams.observe.tally import LATENCY_BUCKETS_S, Histogram, Latencies, Tally
from streams.observe.watch import Watch
from streams.scoring.explain import assess, score_document
from streams.settings import Settings
from streams.suppression import GUARD
from tests.customers import DEFAULT, seconds
from tests.live_worker import until
from tests.served import ANNA, PARTITIONS, STATE, Loop, Served, a_lane, a_snapshot

Start = Callable[..., Served]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return what starts a server; all are stopped in the end."""
    running: list[Served] = []

    def starting(**settings: Any) -> Served:
        observed = SimpleNamespace(
            scorer=DEFAULT,
            event_clock=False,
            partitions=PARTITIONS,
            tally=Tally(),
            alert_latency=Histogram(LATENCY_BUCKETS_S),
            latencies=Latencies(),
            desks={},
            censuses={},
        )
        lane, loop = a_lane(), Loop()
        server = AdminServer(Settings(**{"metrics_port": 0, **settings}), Watch(observed, lane))
        served = Served(server, loop, lane, observed)
        running.append(served)
        server.bind()
        server.start(loop.loop)
        return served

    yield starting
    for each in running:
        each.server.stop()
        each.loop.close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Return a file with a token."""
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    return path


def test_metrics_are_in_prometheus_format(start: Start):
    """GET /metrics answers with what the worker counts at that moment."""
    served = start()
    served.observed.tally.scores = 7
    status, body = served.get("/metrics")
    assert status == 200
    assert "cx_scores_total 7.0" in body.splitlines()
    served.observed.tally.scores = 8
    assert "cx_scores_total 8.0" in served.get("/metrics")[1].splitlines()


def test_openmetrics_is_served_to_who_asks_for_it(start: Start):
    """Prometheus asks for OpenMetrics, which ends with its own mark."""
    _, body = start().get("/metrics", {"Accept": "application/openmetrics-text; version=1.0.0"})
    assert body.endswith("# EOF\n")


def test_health_and_readiness(start: Start):
    """A worker at work is healthy and ready, and says what it works on."""
    served = start()
    assert served.get("/healthz") == (200, {"status": "ok"})
    assert served.get("/readyz") == (200, {"ready": True, "partitions": [ANNA], "customers": 1, "lag": 0})


def test_a_worker_that_loads_is_healthy_but_not_ready(start: Start):
    """A probe must not kill a worker that recovers, nor send anybody to it."""
    served = start()
    served.lane.snapshot = lambda: a_snapshot(ready=False)
    assert served.get("/healthz")[0] == 200
    status, body = served.get("/readyz")
    assert (status, body["ready"], body["loading"]) == (503, False, [ANNA])


def test_a_worker_that_is_too_far_behind_is_not_ready(start: Start):
    """Beyond the bound of the settings nobody should rely on its scores; without one it is ready."""
    served = start()
    late = InputSnapshot("web", 7, 10, time.time() - 90.0, 0.0, at_end=False)
    served.lane.snapshot = lambda: a_snapshot(inputs=(late,))
    assert served.get("/readyz")[0] == 200
    served.server._most_behind_s = 60.0
    status, body = served.get("/readyz")
    assert (status, body["ready"], body["most_behind_s"]) == (503, False, 60.0)
    assert body["behind_s"] >= 90.0
    served.server._most_behind_s = 600.0
    assert served.get("/readyz")[0] == 200


def test_a_worker_that_the_broker_does_not_answer_is_not_ready(start: Start):
    """Its lag is 0 as of the last answer; under the event clock a watermark is no time of an answer."""
    served = start(ready_lag_s=60.0)
    for silent_s, status in ((30.0, 200), (90.0, 503)):
        seen = a_snapshot(watermark_s=time.time() - silent_s)
        served.lane.snapshot = lambda seen=seen: seen
        assert served.get("/readyz")[0] == status
    served.observed.event_clock = True
    assert served.get("/readyz")[0] == 200


def test_a_stopped_partition_is_named_with_its_reason(start: Start):
    """Whoever asks why it is not ready reads why."""
    served = start()
    served.lane.snapshot = lambda: a_snapshot(ready=False, problem="web[1]: made anew")
    assert served.get("/readyz")[1]["stopped"] == {str(ANNA): "web[1]: made anew"}


def test_a_loop_that_hangs_is_seen_from_outside(start: Start, monkeypatch: pytest.MonkeyPatch):
    """Health, readiness and metrics answer 503 when the worker's loop does not."""
    served = start()
    monkeypatch.setattr(server_module, "LOOP_TIMEOUT_S", 0.05)
    hold = threading.Event()
    served.loop.loop.call_soon_threadsafe(hold.wait)
    assert [served.get(path)[0] for path in ("/healthz", "/readyz", "/metrics", "/customers/anna")] == [
        503
    ] * 4
    hold.set()


def test_a_worker_that_has_ended_is_not_healthy(start: Start):
    """A loop that is closed answers nothing any more."""
    served = start()
    served.loop.loop.call_soon_threadsafe(served.loop.loop.stop)
    served.loop.thread.join()
    served.loop.loop.close()
    assert served.get("/healthz")[0] == 503
    served.loop = served.server._loop = Loop()  # type: ignore[assignment]  # for the fixture to close


def test_a_customer_is_read_in_full(start: Start):
    """GET /customers/ID is the reading of the committed row, at the time asked for."""
    at = "2026-02-01T00:00:00Z"
    status, body = start().get(f"/customers/anna?at={at}")
    wanted = score_document(DEFAULT, "anna", STATE, assess(DEFAULT, STATE, seconds(31.0)))
    assert status == 200
    assert {name: body[name] for name in wanted} == orjson.loads(orjson.dumps(wanted))
    assert body["partition"] == ANNA
    assert body["profile"] == {}


def test_open_alerts_come_with_the_customer(start: Start):
    """An episode that is open is named with its id; one that is closed is history."""
    (alert,) = start().get("/customers/anna")[1]["open_alerts"]
    assert (alert["rule"], alert["episode"], alert["severity"]) == ("silence", 2, "medium")
    assert alert["opened"] == "2026-01-03T00:00:00Z"
    assert len(alert["alert_id"]) == 24


def test_the_event_clock_reads_at_the_newest_event(start: Start):
    """Where events make the time, a customer of years ago is not read as of today."""
    served = start()
    served.observed.event_clock = True
    assert served.get("/customers/anna")[1]["at"].startswith("2026-09-21T")


@pytest.mark.parametrize("offset", ["%2B00:00", "+00:00"])
def test_a_time_with_an_offset_is_read_quoted_or_not(start: Start, offset: str):
    """In a query a plus is a space: curl users forget to quote it."""
    assert start().get(f"/customers/anna?at=2026-02-01T00:00:00{offset}".replace("+", "%20"))[0] == 200


def test_an_unknown_customer_is_not_found(start: Start):
    """Nobody was heard of under this id: 404."""
    served = start()
    name = next(name for name in map(str, range(99)) if partition_of(name.encode(), PARTITIONS) == ANNA)
    assert served.get(f"/customers/{name}") == (404, {"error": "no such customer", "partition": ANNA})


def test_a_row_that_remembers_the_forgotten_is_nobodys(start: Start):
    """No path leads to rows that are no customers."""
    served = start()
    served.lane.partitions[ANNA].state.rows[GUARD] = b"mac"
    served.lane.partitions[partition_of(GUARD, PARTITIONS)] = served.lane.partitions[ANNA]
    assert served.get("/customers/%00cx-forgotten")[0] == 404


def test_a_customer_of_another_worker_is_misdirected(start: Start):
    """421 names the partition, so that the caller can ask its owner."""
    served = start()
    name = next(name for name in map(str, range(99)) if partition_of(name.encode(), PARTITIONS) != ANNA)
    status, body = served.get(f"/customers/{name}")
    assert (status, body["partition"]) == (421, partition_of(name.encode(), PARTITIONS))


def test_a_partition_that_is_not_ready_answers_for_nobody(start: Start):
    """A row that may be behind the log is not shown."""
    served = start()
    served.lane.partitions[ANNA].ready = False
    assert served.get("/customers/anna")[0] == 421


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/customers/anna?at=yesterday", 400),
        ("/customers/anna?at=9999-12-31T23:59:59-12:00", 400),
        ("/customers/anna?at=2026-02-01T00:00:00", 400),
        ("/customers/%ff", 400),
        ("/", 404),
        ("/customers", 404),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(start: Start, path: str, status: int):
    """A time without an offset, an id that is not UTF-8, a path that is not there."""
    found, body = start().get(path)
    assert found == status
    assert body["error"]


def test_with_a_token_metrics_and_customers_need_it(start: Start, token_file: Path):
    """The right token opens; none or another one does not; health needs none (G9)."""
    served = start(api_token_file=str(token_file))
    right, wrong = {"Authorization": "Bearer s3cret"}, {"Authorization": "Bearer s3cre"}
    for path in ("/metrics", "/customers/anna", "/nothing"):
        assert served.get(path)[0] == served.get(path, wrong)[0] == 401
    assert served.get("/metrics", right)[0] == served.get("/customers/anna", right)[0] == 200
    assert served.get("/healthz")[0] == served.get("/readyz")[0] == 200


def test_a_web_page_cannot_ask_through_a_browser(start: Start):
    """A page may give its own name the loopback address: the name gives it away (G9)."""
    served = start()
    assert served.get("/metrics", {"Host": "evil.example"})[0] == 403
    assert served.get("/customers/anna", {"Host": "evil.example:9464"})[0] == 403
    for host in ("localhost:9464", "127.0.0.1", "[::1]:9464"):
        assert served.get("/metrics", {"Host": host})[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "", "worker.example"])  # noqa: S104  # refused
def test_without_a_token_only_the_loopback_address_is_served(host: str):
    """A worker that others can reach refuses to start without a token, and says how to make one (G9)."""
    with pytest.raises(CxError) as refused:
        AdminServer(Settings(metrics_host=host), Watch(SimpleNamespace(scorer=DEFAULT, tally=Tally())))  # type: ignore[arg-type]
    assert refused.value.code is Exit.USAGE
    assert "(umask 077; openssl rand -hex 32 > token), then set CX_API_TOKEN_FILE=token" in refused.value.mend


def test_an_empty_token_is_none(tmp_path: Path):
    """A file that somebody forgot to fill must not open the door to `Bearer `."""
    path = tmp_path / "token"
    path.write_text("\n")
    with pytest.raises(CxError, match="is empty") as refused:
        AdminServer(
            Settings(metrics_host="127.0.0.1", api_token_file=str(path)),
            Watch(SimpleNamespace(scorer=DEFAULT, tally=Tally())),  # type: ignore[arg-type]
        )
    assert refused.value.mend == f"(umask 077; openssl rand -hex 32 > {path})"


def test_a_token_lets_other_addresses_be_served(token_file: Path):
    """With a token, the address may be any."""
    settings = Settings(metrics_host="0.0.0.0", api_token_file=str(token_file))  # noqa: S104  # not bound here
    assert AdminServer(settings, Watch(SimpleNamespace(scorer=DEFAULT, tally=Tally()))).token == "s3cret"  # type: ignore[arg-type]  # noqa: S105


def test_a_port_in_use_is_named_with_the_mend():
    """Two workers on one machine: the second says which port, and what to do."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        server = AdminServer(
            Settings(metrics_port=port), Watch(SimpleNamespace(scorer=DEFAULT, tally=Tally()))
        )  # type: ignore[arg-type]
        with pytest.raises(CxError, match=f"port {port}") as refused:
            server.bind()
    assert "CX_METRICS_PORT" in refused.value.mend
    assert refused.value.code is Exit.ENVIRONMENT


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_another_machine_is_named_with_the_mend(host: str, token_file: Path):
    """Another port would not help: the setting of the address is told."""
    settings = Settings(metrics_host=host, metrics_port=0, api_token_file=str(token_file))
    server = AdminServer(settings, Watch(SimpleNamespace(scorer=DEFAULT, tally=Tally())))  # type: ignore[arg-type]
    with pytest.raises(CxError, match=host) as error:
        server.bind()
    assert "CX_METRICS_HOST" in error.value.mend


def test_stopping_frees_the_port(start: Start):
    """A worker that starts again at once gets its port back."""
    served = start()
    port = int(served.server.url.rsplit(":", 1)[1])
    served.server.stop()
    served.server.stop()
    with closing(socket.create_server(("127.0.0.1", port))):
        pass


def test_a_failure_is_answered_and_logged_without_the_customer(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """An unforeseen error is a 500 of fixed words; the log has where it came from, and no customer's id."""

    def broken(_: Watch, customer_id: str) -> None:
        raise KeyError(customer_id)

    served = start()
    monkeypatch.setattr(Watch, "find", broken)
    assert served.get("/customers/anna") == (500, {"error": "the worker failed; its log says why"})
    assert "KeyError" in caplog.text
    assert "in broken" in caplog.text
    assert "anna" not in caplog.text


def connect(served: Served) -> socket.socket:
    """Return an open connection that has not asked for anything yet."""
    made = socket.create_connection(("127.0.0.1", int(served.server.url.rsplit(":", 1)[1])))
    made.settimeout(10)
    return made


def test_silent_clients_do_not_pile_up(start: Start, monkeypatch: pytest.MonkeyPatch):
    """Beyond a bound, the one that has been silent longest is turned away; who asks is answered (G8)."""
    monkeypatch.setattr(server_module, "MOST_CLIENTS", 2)
    served = start()
    with closing(connect(served)) as first, closing(connect(served)) as second, closing(connect(served)):
        assert first.recv(1) == b""
        assert served.get("/healthz")[0] == 200
        assert second.recv(1) == b""


def test_a_client_beyond_all_threads_is_turned_away(start: Start, monkeypatch: pytest.MonkeyPatch):
    """Where even those who are turned away have not ended yet, no thread is made for one more (G8)."""
    served = start()
    monkeypatch.setattr(Gate, "enter", lambda *_: (False, None))
    with closing(connect(served)) as client:
        assert client.recv(1) == b""


def test_who_was_turned_away_while_asking_gets_no_answer(start: Start, monkeypatch: pytest.MonkeyPatch):
    """The place was given to another one: an answer would be one more than there may be."""
    served = start()
    monkeypatch.setattr(Gate, "asked", lambda *_: False)
    with pytest.raises(http.client.RemoteDisconnected):
        served.get("/healthz")


def test_slow_readers_of_other_paths_leave_health_alone(start: Start, monkeypatch: pytest.MonkeyPatch):
    """While every slot for answers is taken, liveness and readiness are told; others have to come again."""
    monkeypatch.setattr(server_module, "MOST_CLIENTS", 2)
    served = start()
    held, released = threading.Semaphore(0), threading.Event()

    def slow(*_: Any) -> tuple[bytes, str]:
        held.release()
        released.wait(10)
        return b"", "text/plain"

    monkeypatch.setattr(AdminServer, "metrics", slow)
    with closing(connect(served)) as first, closing(connect(served)) as second:
        for each in (first, second):
            each.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
            assert held.acquire(timeout=10)
        assert served.get("/healthz")[0] == served.get("/readyz")[0] == 200
        assert served.get("/customers/anna") == (503, {"error": "too many ask at once: ask again"})
        released.set()
        assert first.recv(12) == second.recv(12) == b"HTTP/1.0 200"
    assert served.get("/customers/anna")[0] == 200


def test_a_client_that_does_not_read_is_let_go(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Its slot is free again after the time-out, and nobody need know of it."""
    monkeypatch.setattr(server_module, "MOST_CLIENTS", 1)
    monkeypatch.setattr(server_module._Handler, "timeout", 2.0)
    served, read = start(), threading.Event()

    def metrics(*_: object) -> tuple[bytes, str]:
        read.set()
        return bytes(50_000_000), "text/plain"

    monkeypatch.setattr(AdminServer, "metrics", metrics)
    with closing(connect(served)) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert read.wait(30.0)  # before that it would be turned away for the next one
        assert served.get("/customers/anna")[0] == 503
        until(lambda: served.get("/customers/anna")[0] == 200, "the slot is free again")
    assert caplog.text == ""


def test_an_error_beside_the_answer_is_logged(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """What goes wrong before there is an answer ends the connection, and the log says where."""
    served = start()
    monkeypatch.setattr(Gate, "asked", lambda *_: 1 / 0)
    with pytest.raises(http.client.RemoteDisconnected):
        served.get("/healthz")
    until(lambda: "ZeroDivisionError" in caplog.text, "the log says so")


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/nothing", 404)])
def test_head_is_answered_as_get_without_the_body(start: Start, path: str, status: int):
    """Some probes ask by HEAD: the same status and headers, nothing more."""
    served = start()
    with closing(connect(served)) as client:
        client.sendall(f"HEAD {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        said = b"".join(iter(lambda: client.recv(4096), b""))
    head, body = said.split(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.0 {status} ".encode())
    assert b"Content-Length: " + str(len(orjson.dumps(served.get(path)[1])) + 1).encode() in head
    assert body == b""


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("LocalHost", True),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_what_is_loopback(host: str, *, loopback: bool):
    """Only addresses that no other machine can reach count."""
    assert is_loopback(host) is loopback
