"""The routes file: who is told of which alert, where, and when not. TOML, linted before anything is sent.

    default = "care"

    [endpoints.care]
    url = "https://hooks.example.com/cx"
    key_files = ["care.key"]

    [endpoints.stores]
    format = "slack"
    url_file = "stores.url"

    [[routes]]
    cause_owner = "store-*"
    severity = ["high", "critical"]
    endpoint = "stores"

The first route that fits a step says where it goes, else `default`. Files are named from the routes file's
own folder. The endpoint `nowhere` is always there: what goes to it is counted and not sent.
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from schemas.outputs import Rule, Severity, Step
from streams.delivery.alert import Alert
from streams.delivery.quiet import QuietHours, zone_of
from streams.errors import CxError, Exit, unreadable
from streams.mistakes import did_you_mean, ill_formed

NOWHERE: Final = "nowhere"
EVERY_HOUR_S: Final = 3600.0
MOST_ENDPOINTS: Final = 100
"""An endpoint is a label of the metrics."""
CLOSED: Final[dict[str, tuple[str, ...]]] = {
    "severity": get_args(Severity),
    "rule": get_args(Rule),
    "step": get_args(Step),
}
Pattern = str | list[str] | None
Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,39}$")]
ClockTime = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receiver. Secrets are in files; the address may be, where it is a secret itself."""

    url: str = ""
    url_file: str = ""
    format: Literal["json", "slack"] = "json"
    key_files: list[str] = []
    """Files of the keys that sign, all of them at once."""
    ca_file: str = ""
    """PEM file of the authorities that sign the receiver's certificate; empty: the system's."""
    timeout_s: Annotated[float, Meta(ge=0.1, le=60)] = 10.0
    max_age_s: Annotated[float, Meta(ge=60, le=7 * 86_400)] = 86_400.0
    """A step older than this is given up."""
    most_at_once: Annotated[int, Meta(ge=1, le=64)] = 4
    allow_http: bool = False
    allow_private: bool = False

    def __repr__(self) -> str:
        """Show no more of the address than its host: path and query may be a secret here too."""
        return f"Endpoint({self.url_file or urlsplit(self.url).hostname})"


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step must be like, and where it goes then. A pattern may end in `*` and be a list of several."""

    endpoint: str
    owner: Pattern = None
    cause_owner: Pattern = None
    severity: Pattern = None
    rule: Pattern = None
    step: Pattern = None

    def fits(self, alert: Alert) -> bool:
        """Tell whether every pattern that is given fits; a value that is not there fits none."""
        return all(_fits(getattr(self, name), getattr(alert, name)) for name in MATCHED)


MATCHED: Final = tuple(name for name in Route.__struct_fields__ if name != "endpoint")


class Quiet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"start": "from"}):
    """Quiet hours in the customer's zone; `timezone` is that of customers of whom none is known."""

    start: ClockTime
    to: ClockTime
    timezone: str
    passes: list[str] = []


class Routes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    default: str
    endpoints: dict[Name, Endpoint]
    routes: list[Route] = []
    quiet_hours: Quiet | None = None

    def endpoint_of(self, alert: Alert) -> str:
        """Return the name of the endpoint that a step goes to."""
        return next((route.endpoint for route in self.routes if route.fits(alert)), self.default)

    def quiet(self) -> QuietHours | None:
        """Return the quiet hours, None where there are none."""
        found = self.quiet_hours
        zone = zone_of(found.timezone) if found is not None else None
        if found is None or zone is None:
            return None
        start, end = time.fromisoformat(found.start), time.fromisoformat(found.to)
        return QuietHours(start, end, zone, frozenset(found.passes))


def _fits(pattern: Pattern, value: str | None) -> bool:
    if pattern is None:
        return True
    patterns = [pattern] if isinstance(pattern, str) else pattern
    return value is not None and any(fnmatchcase(value, each) for each in patterns)


def load_routes(path: Path) -> Routes:
    """Return the routes of a file. Raises `CxError` (exit code 2) that names all that is wrong in it."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        mend = "name the TOML file of the routes"
        raise unreadable(path, error, mend, what="the routes file") from error
    except tomllib.TOMLDecodeError as error:
        msg = f"{path} is not TOML: {error}"
        raise _wrong(msg, f"mend {path} at the line named") from error
    found = [*_unknown(tables), *ill_formed(tables, Routes)]
    if not found:
        routes = msgspec.convert(tables, Routes)
        found = list(lint(routes))
        if not found:
            return routes
    lines = "".join(f"\n  {line}" for line in found)
    msg = f"{path} is not right:{lines}"
    raise _wrong(msg, "docs/operations.md, Delivering alerts, has an example")


def lint(routes: Routes) -> Iterator[str]:
    """Yield what is wrong between values that are each valid alone."""
    known = {*routes.endpoints, NOWHERE}
    if NOWHERE in routes.endpoints:
        yield f"endpoints.{NOWHERE}: this name means that nothing is sent"
    if len(routes.endpoints) > MOST_ENDPOINTS:
        yield f"endpoints: more than {MOST_ENDPOINTS}"
    if routes.default not in known:
        yield f"default: no endpoint `{routes.default}`" + did_you_mean(routes.default, known)
    for name, endpoint in routes.endpoints.items():
        yield from _lint_endpoint(f"endpoints.{name}", endpoint, routes.quiet())
    for number, route in enumerate(routes.routes, 1):
        yield from _lint_route(f"routes, the {number}. one", route, known)
    if routes.quiet_hours is not None:
        yield from _lint_quiet(routes.quiet_hours)


def _lint_endpoint(where: str, endpoint: Endpoint, quiet: QuietHours | None) -> Iterator[str]:
    if bool(endpoint.url) == bool(endpoint.url_file):
        yield f"{where}: give either `url` or `url_file`"
    if endpoint.url and (problem := url_problem(endpoint.url, allow_http=endpoint.allow_http)):
        yield f"{where}.url: {problem}"
    if endpoint.format == "json" and not endpoint.key_files:
        yield f"{where}: without `key_files` the receiver cannot tell our messages from anybody's"
    if quiet is not None and endpoint.max_age_s < quiet.length_s + EVERY_HOUR_S:
        yield f"{where}.max_age_s: shorter than the quiet hours and one more: steps would expire in the night"


def _lint_route(where: str, route: Route, known: set[str]) -> Iterator[str]:
    if route.endpoint not in known:
        yield f"{where}: no endpoint `{route.endpoint}`" + did_you_mean(route.endpoint, known)
    if all(getattr(route, name) is None for name in MATCHED):
        yield f"{where}: fits every step: what follows is never reached; use `default`"
    for name, words in CLOSED.items():
        pattern = getattr(route, name)
        for each in [pattern] if isinstance(pattern, str) else pattern or ():
            if not any(fnmatchcase(word, each) for word in words):
                yield f"{where}.{name}: no {name} is `{each}`" + did_you_mean(each, words)


def _lint_quiet(quiet: Quiet) -> Iterator[str]:
    if quiet.start == quiet.to:
        yield "quiet_hours: `from` and `to` are the same"
    if zone_of(quiet.timezone) is None:
        yield f"quiet_hours.timezone: no zone `{quiet.timezone}`; write it as Europe/Zurich"
    for each in quiet.passes:
        if each not in CLOSED["severity"]:
            yield f"quiet_hours.passes: no severity `{each}`" + did_you_mean(each, CLOSED["severity"])


def url_problem(url: str, *, allow_http: bool) -> str:
    """Return what is wrong with an address, in words that do not show it; empty where nothing is."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in ("https", "http") or not host:
        return "must be https://HOST/..."
    if parts.scheme == "http" and not allow_http:
        return "must be https (or set allow_http = true for this endpoint)"
    if parts.username is not None or parts.password is not None:
        return "must hold no user and no password"
    return ""


def _unknown(tables: Mapping[str, Any]) -> Iterator[str]:
    """Name keys that nothing reads, and the one that was meant."""
    yield from _unknown_in(tables, Routes, "")
    endpoints = tables.get("endpoints")
    for name, table in endpoints.items() if isinstance(endpoints, dict) else ():
        yield from _unknown_in(table, Endpoint, f"endpoints.{name}.")
    routes = tables.get("routes")
    for number, table in enumerate(routes if isinstance(routes, list) else (), 1):
        yield from _unknown_in(table, Route, f"routes, the {number}. one: ")
    yield from _unknown_in(tables.get("quiet_hours"), Quiet, "quiet_hours.")


def _unknown_in(table: Any, struct: type[msgspec.Struct], where: str) -> Iterator[str]:
    known = struct.__struct_encode_fields__
    for key in table if isinstance(table, dict) else ():
        if key not in known:
            yield f"unknown key `{where}{key}`" + did_you_mean(key, known)


def _wrong(message: str, mend: str) -> CxError:
    return CxError(message, mend=mend, code=Exit.USAGE)
