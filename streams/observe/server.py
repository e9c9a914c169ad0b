"""The worker's HTTP server: /metrics, /healthz, /readyz and /customers/ID.

It runs in threads of its own and asks the worker's loop for copies, so that a slow client costs the worker
nothing, and a loop that hangs is seen from outside. Only the loopback address goes without a token; health
and readiness, which name no customer, never need one, and never wait for the other paths.
"""

import asyncio
import hmac
import ipaddress
import logging
import socket
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from errno import EADDRNOTAVAIL
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streams.errors import CxError, Exit
from streams.observe.answers import Answer, customer, failure, ready
from streams.observe.collector import registry
from streams.observe.gate import Gate
from streams.observe.histogram import Histogram
from streams.observe.probe import LoopProbe
from streams.observe.watch import Watch
from streams.settings import Settings, read_secret, variable

T = TypeVar("T")
log = logging.getLogger(__name__)

LOOP_TIMEOUT_S: Final = 5.0
"""A worker's loop that does not answer within this time hangs."""
CLIENT_TIMEOUT_S: Final = 10.0
MOST_CLIENTS: Final = 32
"""Requests answered at once, and connections that have not asked yet; more are turned away (see `Gate`)."""
MOST_PROBES: Final = 8
"""Of the open paths: slots that no slow reader of another one can take."""
CUSTOMERS: Final = "/customers/"
PRIVATE_HEX: Final = "(umask 077; openssl rand -hex 32"
"""Others on the machine must not read it: the doctor would warn of a file that they can."""
OPEN_PATHS: Final = ("/healthz", "/readyz")
JSON: Final = "application/json"


class LoopHangsError(Exception):
    """The worker's loop did not answer in time, or is gone."""


class LoopServer(ABC):
    """Serves what lives in one event loop: /metrics, and what `answer` gives.

    `bind` early, so that a port in use is known at once; `start` when the loop runs.
    """

    who = "the worker"
    command = "cx worker"
    port_setting = "metrics_port"

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self.host = settings.metrics_host
        self.token = read_secret(settings.api_token_file)
        self._port: int = getattr(settings, self.port_setting)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._probe: LoopProbe | None = None
        self._registry = registry
        _require_token(settings, self.token)

    @property
    def url(self) -> str:
        """Return the address of the server, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self._port}"

    def bind(self) -> None:
        """Take the port; raises `CxError` where that cannot be done."""
        try:
            self._server = _Server((self.host, self._port), self)
        except (OSError, UnicodeError, OverflowError) as error:
            msg = f"metrics cannot be served on {self.host} port {self._port}: {error}"
            raise CxError(msg, mend=self._mend(error)) from error
        self._port = self._server.server_address[1]

    def _mend(self, error: Exception) -> str:
        if isinstance(error, socket.gaierror) or getattr(error, "errno", 0) == EADDRNOTAVAIL:
            return f"set {variable('metrics_host')} to an address of this machine, such as 127.0.0.1"
        port = variable(self.port_setting)
        return f"set {port} to another port, or 0 for a free one ({self.command} --metrics-port 0)"

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer from now on, with what `loop` is asked for."""
        if self._server is None:
            self.bind()
        self._loop = loop
        self._probe = LoopProbe(loop)
        loop.call_soon_threadsafe(self._probe.start)
        self._thread = threading.Thread(target=self._serve, name="cx-admin", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port. Nothing happens where it is not open."""
        if self._server is None:
            return
        if self._probe is not None:
            self._probe.stop()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server = self._thread = None

    @abstractmethod
    def answer(self, path: str) -> Answer:
        """Return what is answered to GET `path`, but for /metrics."""

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the exposition and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def ask(self, question: Callable[[], T]) -> T:
        """Return what `question` returns in the loop; raises `LoopHangsError` where that takes too long."""
        answer: Future[T] = Future()

        def respond() -> None:
            try:
                answer.set_result(question())
            except Exception as error:  # noqa: BLE001  # raised again where it was asked
                answer.set_exception(error)

        try:
            if self._loop is None:
                raise LoopHangsError  # noqa: TRY301  # the same answer as from a loop that is gone
            self._loop.call_soon_threadsafe(respond)
            return answer.result(LOOP_TIMEOUT_S)
        except (RuntimeError, FutureTimeoutError, LoopHangsError) as error:
            msg = f"{self.who}'s loop did not answer within {LOOP_TIMEOUT_S:g} s"
            raise LoopHangsError(msg) from error

    def _serve(self) -> None:
        if self._server is not None:
            self._server.serve_forever(poll_interval=0.2)


class AdminServer(LoopServer):
    """Serves one worker."""

    def __init__(self, settings: Settings, watch: Watch) -> None:
        self.watch = watch
        self._most_behind_s = settings.ready_lag_s
        made = registry(
            self._reading,
            watch.observed.scorer.policy,
            sweep_interval_s=settings.sweep_interval_s,
            loop_lag=self._loop_lag,
        )
        super().__init__(settings, made)

    def answer(self, path: str) -> Answer:
        """Return what is answered to GET `path`, but for /metrics."""
        parts = urlsplit(path)
        if parts.path == "/healthz":
            self.ask(lambda: None)
            return Answer(HTTPStatus.OK, {"status": "ok"})
        if parts.path == "/readyz":
            engine, behind_s = self.ask(lambda: (self.watch.engine(), self.watch.behind_s()))
            return ready(engine, behind_s, self._most_behind_s)
        if parts.path.startswith(CUSTOMERS):
            query = parse_qs(parts.query)
            at = query.get("at", [None])[0]
            return self._customer(parts.path.removeprefix(CUSTOMERS), at)
        return failure(HTTPStatus.NOT_FOUND, "there are /metrics, /healthz, /readyz and /customers/ID")

    def _customer(self, quoted: str, at: str | None) -> Answer:
        try:
            customer_id = unquote(quoted, errors="strict")
        except UnicodeDecodeError:
            return failure(HTTPStatus.BAD_REQUEST, "the customer id is not UTF-8")
        scorer = self.watch.observed.scorer
        return customer(scorer, lambda each: self.ask(lambda: self.watch.find(each)), customer_id, at)

    def _reading(self) -> Any:
        return self.ask(self.watch.read)

    def _loop_lag(self) -> Histogram | None:
        return None if self._probe is None else self._probe.lag.copy()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CLIENTS

    def __init__(self, address: tuple[str, int], admin: LoopServer) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.admin = admin
        self.gate: Gate[socket.socket] = Gate(MOST_CLIENTS, MOST_PROBES)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        entered, turned_away = self.gate.enter(request)
        if turned_away is not None:
            with suppress(OSError):  # it may have closed by itself
                turned_away.shutdown(socket.SHUT_RDWR)  # its thread reads the end, and ends
        if entered:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.gate.leave(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # socketserver's
        """Say nothing of clients that went away: they know. Anything else is logged."""
        error = sys.exception()
        if error is not None and not isinstance(error, (ConnectionError, TimeoutError)):
            _log(error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = CLIENT_TIMEOUT_S
    server_version = "cx"
    sys_version = ""

    def do_GET(self) -> None:
        admin, gate = self.server.admin, self.server.gate
        path = urlsplit(self.path).path
        if not gate.asked(self.connection):
            return
        if refusal := self._refusal(admin, path):
            self._send_json(refusal)
            return
        with gate.slot(is_open=path in OPEN_PATHS) as free:
            if free:
                self._answer(admin, path)
            else:
                self._send_json(failure(HTTPStatus.SERVICE_UNAVAILABLE, "too many ask at once: ask again"))

    def do_HEAD(self) -> None:
        """Answer as GET does; `_send` leaves the body out."""
        self.do_GET()

    def _answer(self, admin: LoopServer, path: str) -> None:
        try:
            if path == "/metrics":
                body, content_type = admin.metrics(self.headers.get("Accept", ""))
                self._send(HTTPStatus.OK, body, content_type)
            else:
                self._send_json(admin.answer(self.path))
        except LoopHangsError as error:
            self._send_json(failure(HTTPStatus.SERVICE_UNAVAILABLE, str(error)))
        except (ConnectionError, TimeoutError):
            raise  # the client went away
        except Exception as error:  # noqa: BLE001  # told to the client, and logged
            _log(error)
            said = f"{admin.who} failed; its log says why"
            self._send_json(failure(HTTPStatus.INTERNAL_SERVER_ERROR, said))

    def _refusal(self, admin: LoopServer, path: str) -> Answer | None:
        if path in OPEN_PATHS:
            return None
        if admin.token:
            shown = self.headers.get("Authorization", "").encode("utf-8", "replace")
            if hmac.compare_digest(shown, f"Bearer {admin.token}".encode()):
                return None
            return failure(HTTPStatus.UNAUTHORIZED, "a token is needed: Authorization: Bearer TOKEN")
        # A web page may give its own name the loopback address and have a browser ask here.
        if not is_loopback(urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""):
            return failure(HTTPStatus.FORBIDDEN, "ask by the loopback address or localhost")
        return None

    def _send_json(self, answer: Answer) -> None:
        self._send(answer.status, orjson.dumps(answer.document, option=orjson.OPT_APPEND_NEWLINE), JSON)

    def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        """Log nothing: paths name customers."""


def _log(error: BaseException) -> None:
    """Log where an error came from, without its message: like the path, that may name a customer."""
    places = "".join(traceback.format_tb(error.__traceback__))
    log.error("a request failed: %s\n%s", type(error).__name__, places)


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine, seen from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_token(settings: Settings, token: str) -> None:
    if settings.api_token_file and not token:
        msg = f"the token's file {settings.api_token_file} is empty"
        raise CxError(msg, mend=f"{PRIVATE_HEX} > {settings.api_token_file})", code=Exit.USAGE)
    if not token and not is_loopback(settings.metrics_host):
        msg = (
            f"metrics_host {settings.metrics_host or '(all addresses)'} can be reached from other machines, "
            "and there is no token to keep strangers from customers' data"
        )
        mend = f"{PRIVATE_HEX} > token), then set CX_API_TOKEN_FILE=token; or CX_METRICS_HOST=127.0.0.1"
        raise CxError(msg, mend=mend, code=Exit.USAGE)
