"""`cx deliver`: routes are checked, a test message is sent, and what is wrong is told with the mend."""

import asyncio
import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiokafka.errors import KafkaConnectionError
from click.testing import CliRunner, Result

from streams.cli.deliver import _give_up, deliver
from streams.delivery import book as book_module
from streams.delivery.admin import DeliveryServer
from streams.delivery.figures import Figures
from streams.delivery.service import Health
from streams.errors import CxError, Exit
from streams.observe.metrics import METRICS
from streams.settings import Settings
from tests.delivering import SECRET, receiving

ROUTES = """
default = "care"
[endpoints.care]
url = "{url}"
key_files = ["care.key"]
allow_http = true
{more}
[endpoints.stores]
format = "slack"
url = "https://hooks.example.com/secret"
[[routes]]
owner = "store-*"
endpoint = "stores"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a key, which is where the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "care.key").write_text(SECRET)
    return tmp_path


def write(folder: Path, url: str = "https://hooks.example.com/cx", more: str = "") -> None:
    """Write a routes file."""
    (folder / "routes.toml").write_text(ROUTES.format(url=url, more=more))


def run(*arguments: str) -> Result:
    """Run `cx deliver`."""
    return CliRunner(env={"CX_METRICS_HOST": "127.0.0.1"}).invoke(deliver, list(arguments))


def failure(result: Result) -> CxError:
    """Return the error that a person sees."""
    assert isinstance(result.exception, CxError), result.output
    return result.exception


def test_the_receivers_are_listed_without_their_secrets(folder: Path):
    """Who is told how, and by how many routes; the path of an address may be a secret."""
    write(folder)
    listed = run("--check", "--routes", "routes.toml").stdout.splitlines()
    assert listed[:2] == [
        "care: https://hooks.example.com/... (json, 1 key, 0 routes, default)",
        "stores: https://hooks.example.com/... (slack, 0 keys, 1 route)",
    ]


@pytest.mark.parametrize("command", [(), ("--check",), ("--test", "care")])
def test_without_routes_nobody_can_be_told(folder: Path, command: tuple[str, ...]):  # noqa: ARG001  # where it runs
    """The option and the variable are named."""
    error = failure(run(*command))
    assert (error.code, "CX_ROUTES" in error.mend) == (Exit.USAGE, True)


EMPTY = """default = "nowhere"

[endpoints]
"""


@pytest.mark.parametrize("asked", [("--test", "care"), ("--again",)])
def test_nothing_can_be_sent_without_an_endpoint(folder: Path, asked: tuple[str, ...]):
    """Exit code 2, the file that names none, and how one is named."""
    (folder / "routes.toml").write_text(EMPTY)
    error = failure(run(*asked, "--routes", "routes.toml"))
    assert (error.code, error.message) == (
        Exit.USAGE,
        "no endpoint is configured in the routes file routes.toml",
    )
    assert "[endpoints.care] with url and key_files" in error.mend


def test_a_delivery_to_nobody_says_so(folder: Path):
    """It may run, as the whole stack does when it is new; nobody is left to believe that people are told."""
    (folder / "routes.toml").write_text(EMPTY)
    where = ["--bootstrap-servers", "127.0.0.1:1", "--metrics-port", "0", "--routes", "routes.toml"]
    assert "127.0.0.1:1" in failure(run(*where)).message
    warned, mend, started = run("--shadow", *where).stderr.splitlines()
    assert warned.startswith("warning: no endpoint is configured in the routes file routes.toml: alerts are")
    assert "[endpoints.care] with url and key_files" in mend
    assert started.startswith("nothing is sent; writing what would go to nobody; metrics http://127.0.0.1:")


def test_a_check_of_routes_to_nobody_offers_no_test(folder: Path):
    """The routes may be meant so: exit code 0, with the warning."""
    (folder / "routes.toml").write_text(EMPTY)
    said = run("--check", "--routes", "routes.toml")
    assert (said.exit_code, said.stdout) == (0, "the routes are right\n")
    assert said.stderr.startswith("warning: no endpoint is configured")


def test_out_belongs_to_the_shadow(folder: Path):
    """A file for what would be sent, where it is sent: somebody meant --shadow."""
    write(folder)
    error = failure(run("--routes", "routes.toml", "--out", "x.jsonl"))
    assert (error.code, error.message) == (Exit.USAGE, "--out is without effect without --shadow")


def test_since_belongs_to_again(folder: Path):
    """A time for dead letters, where none are sent: somebody meant --again."""
    write(folder)
    error = failure(run("--routes", "routes.toml", "--since", "2026-01-01T00:00:00Z"))
    assert (error.code, error.message) == (Exit.USAGE, "--since is without effect without --again")


def test_an_endpoint_that_is_none_is_told_with_the_one_that_was_meant(folder: Path):
    """`cx deliver --test car` meant care."""
    write(folder)
    error = failure(run("--test", "car", "--routes", "routes.toml"))
    assert (error.code, error.message) == (Exit.USAGE, "no endpoint `car`, did you mean `care`?")


async def sent_to(folder: Path, status: int, more: str = "allow_private = true") -> tuple[Result, list[Any]]:
    """Send a test message to a receiver that answers `status`."""
    seen: list[Any] = []

    async def receive(request: web.Request) -> web.Response:
        seen.append((dict(request.headers), await request.json()))
        return web.Response(status=status, headers={"Location": "https://elsewhere.example/"})

    async with receiving(receive) as port:
        write(folder, f"http://127.0.0.1:{port}/cx", more)
        return await asyncio.to_thread(run, "--test", "care", "--routes", "routes.toml"), seen


async def test_a_test_message_is_signed(folder: Path):
    """The receiver gets a message that it can verify, and whoever sent it its answer."""
    result, seen = await sent_to(folder, 204)
    assert result.stdout == "care accepted the test message: it answered 204\n"
    ((headers, body),) = seen
    assert body["type"] == "cx.test"
    assert headers["webhook-signature"].startswith("v1,")
    assert headers["webhook-id"].startswith("msg_test_")


@pytest.mark.parametrize(
    ("status", "more", "said", "mend"),
    [
        (500, "allow_private = true", "it answered 500", "the receiver's own log"),
        (302, "allow_private = true", "it answered 302", "redirects are not followed"),
        (204, "", "it leads to an address that is not permitted", "allow_private = true"),
    ],
)
async def test_a_test_message_that_fails_is_a_finding(
    folder: Path, status: int, more: str, said: str, mend: str
):
    """Exit code 1, what was answered, and what to look at."""
    result, _ = await sent_to(folder, status, more)
    error = failure(result)
    assert error.code == Exit.FINDING
    assert said in error.message
    assert mend in error.mend


async def test_a_receiver_without_tls_is_told_with_the_setting(folder: Path):
    """An own authority is the usual reason."""

    async def receive(_: web.Request) -> web.Response:
        return web.Response()

    async with receiving(receive) as port:
        write(folder, f"https://127.0.0.1:{port}/cx", "allow_private = true")
        result = await asyncio.to_thread(run, "--test", "care", "--routes", "routes.toml")
    assert "ca_file in endpoints.care" in failure(result).mend


def test_no_broker_is_told(folder: Path):
    """The delivery ends with the address that it tried."""
    write(folder)
    error = failure(
        run("--routes", "routes.toml", "--bootstrap-servers", "127.0.0.1:1", "--metrics-port", "0")
    )
    assert "127.0.0.1:1" in error.message


def test_a_shadow_needs_no_receiver_but_a_broker(folder: Path):
    """A shadow reads alerts as a delivery does."""
    write(folder)
    where = ["--bootstrap-servers", "127.0.0.1:1", "--metrics-port", "0"]
    assert "127.0.0.1:1" in failure(run("--routes", "routes.toml", "--shadow", *where)).message


def test_a_stop_that_takes_too_long_ends_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Without a broker the clients would wait for ever: exit code 5, and what that means."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    _give_up()
    assert codes == [Exit.STOPPED]
    assert "could not stop in order within 20 s" in capsys.readouterr().err


@pytest.fixture
def health() -> Health:
    """Return the health of a delivery that nobody has taken in yet."""
    return Health()


@pytest.fixture
async def url(health: Health) -> Any:
    """Return the address of a server of that health."""
    server = DeliveryServer(Settings(deliver_metrics_port=0), Figures(["care"]), health)
    server.start(asyncio.get_running_loop())
    yield server.url
    server.stop()


def fetch(url: str) -> tuple[int, Any]:
    """Return status and JSON of a GET."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310  # our own
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as answer:
        return answer.code, json.loads(answer.read())


async def test_readiness_is_membership(url: str, health: Health):
    """503 until the group has taken the delivery in, then its partitions; a pause is shown, not a fault."""
    assert await asyncio.to_thread(fetch, url + "/healthz") == (200, {"status": "ok"})
    assert (await asyncio.to_thread(fetch, url + "/readyz"))[0] == 503
    health.joined, health.partitions, health.paused = True, (0, 2), True
    ready = {"ready": True, "partitions": [0, 2], "paused": True}
    assert await asyncio.to_thread(fetch, url + "/readyz") == (200, ready)
    assert (await asyncio.to_thread(fetch, url + "/customers/anna"))[0] == 404


@pytest.mark.parametrize(
    ("most_s", "silent_s", "status"), [(0, 900, 200), (60, 900, 503), (60, 1, 200), (60, None, 200)]
)
async def test_readiness_needs_a_broker_where_that_is_asked_for(
    health: Health, most_s: float, silent_s: float | None, status: int
):
    """With `ready_lag_s` a delivery whose broker is away is not ready; without it that is no fault."""
    health.joined = True
    health.answered_s = None if silent_s is None else time.time() - silent_s
    settings = Settings(deliver_metrics_port=0, ready_lag_s=most_s)
    server = DeliveryServer(settings, Figures(["care"]), health)
    server.start(asyncio.get_running_loop())
    try:
        found, said = await asyncio.to_thread(fetch, server.url + "/readyz")
    finally:
        server.stop()

    assert (found, said["ready"]) == (status, status == 200)
    assert ("broker_silent_s" in said) is (status == 503)


def test_every_metric_of_the_table_is_exposed():
    """What dashboards and alerts ask for is there from the start, with a zero for each ending and result."""
    registry = Figures(["care"]).registry
    names = {sample.name for family in registry.collect() for sample in family.samples}
    table = {metric for metric in METRICS if metric.program == "cx deliver"}
    for metric in table:
        assert metric.name in names or f"{metric.name}_count" in names or "partition" in metric.labels
    labels = {"receiver": "care", "result": "expired"}
    assert registry.get_sample_value("cx_deliveries_total", labels) == 0


def test_a_port_in_use_is_told_with_the_setting_of_the_delivery():
    """A delivery beside a worker has a port of its own."""
    first = DeliveryServer(Settings(deliver_metrics_port=0), Figures(), Health())
    first.bind()
    port = int(first.url.rsplit(":", 1)[1])
    second = DeliveryServer(Settings(deliver_metrics_port=port), Figures(), Health())
    with pytest.raises(CxError) as refused:
        second.bind()
    first.stop()
    assert "CX_DELIVER_METRICS_PORT" in refused.value.mend
    assert "cx deliver --metrics-port 0" in refused.value.mend


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have writes tried again at once."""
    monkeypatch.setattr(book_module, "RETRY_S", 0.0)


@pytest.mark.usefixtures("impatient")
async def test_what_was_delivered_is_written_down_once_the_broker_is_back():
    """A broker that restarts does not make the delivery forget."""
    tries = iter([KafkaConnectionError(), KafkaConnectionError(), None])

    async def write() -> None:
        if (error := next(tries)) is not None:
            raise error

    await book_module._patiently(write)
    assert list(tries) == []


@pytest.mark.usefixtures("impatient")
async def test_a_broker_that_stays_away_ends_the_delivery(monkeypatch: pytest.MonkeyPatch):
    """After the patience, exit code 5: nothing more is sent that could not be written down."""
    monkeypatch.setattr(book_module, "PATIENCE_S", -1.0)

    async def write() -> None:
        raise KafkaConnectionError

    with pytest.raises(CxError) as ended:
        await book_module._patiently(write)
    assert ended.value.code == Exit.STOPPED
    assert "with the same id" in ended.value.mend
