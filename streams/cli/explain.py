"""`cx explain`: one customer's ledger in words and numbers."""

import difflib
import shlex
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPException
from itertools import islice
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import click
import orjson

from schemas.times import at_time
from streams.amounts import counted
from streams.cli.connecting import worker_address
from streams.cli.files import at_option, open_events, policy_option
from streams.cli.ledger_view import render
from streams.cli.score import document, report_losses, report_outlier
from streams.cli.tables import print_tables
from streams.demo.words import printable
from streams.errors import CxError, Exit
from streams.replay import Customer, Replay, replay
from streams.rulebook.life import Life
from streams.scoring.apply import Scorer
from streams.scoring.cases import alert_step
from streams.scoring.explain import Document
from streams.scoring.policy import load_policy
from streams.settings import load_settings, read_secret

TIMEOUT_S: Final = 10.0
CLOSE_S: Final = 0.001
"""A time in words has no more digits."""
SEARCHED: Final = 50_000
"""Customers among which one of a like name is looked for: each costs some microseconds."""


@click.command()
@click.argument("customer")
@click.option("--events", metavar="FILE", help="Touchpoints as JSON lines; - is standard input.")
@click.option(
    "--worker",
    metavar="URL",
    callback=worker_address,
    help="Ask a worker, at the address on which it serves metrics.",
)
@policy_option
@at_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
def explain(  # options are the command's arguments
    customer: str,
    events: str | None,
    worker: str | None,
    policy_path: str | None,
    at_s: float | None,
    *,
    as_json: bool,
) -> None:
    """Explain where CUSTOMER stands, from the events of a file or by a worker.

    Every point of both scores and every part of the risk is named, with the reason of its driver. Alerts of
    a file have the dates at which a worker that was never behind would have raised them. A worker judges by
    its own policy, and cannot leave out events that it has counted: of it, --policy gives the reasons, and
    --at is for later times. A token that it asks for is read from the file that the setting api_token_file
    names. Exit codes: 0 done, 2 no such customer, 4 no worker that can answer.
    """
    if (events is None) == (worker is None):
        msg = "give either --events FILE or --worker URL"
        raise CxError(msg, mend=f"cx explain {customer} --events events.jsonl", code=Exit.USAGE)
    policy = load_policy(policy_path)
    if worker is None:
        found = _from_file(customer, events or "-", Scorer(policy), at_s)
    else:
        found = ask(worker, customer, at_s)
    if as_json:
        click.echo(orjson.dumps(found))
    else:
        print_tables(*render(found, policy))


def _from_file(customer: str, events: str, scorer: Scorer, at_s: float | None) -> dict[str, Any]:
    with open_events(events) as lines:
        result = replay(lines, scorer, at_s=at_s, watched=customer)
    report_losses(result)
    report_outlier(result)
    known = result.customers.get(customer)
    if known is None:
        raise _unknown(customer, events, result.customers)
    return document(scorer, customer, Customer(known.state, _steps(customer, scorer, result)), result.at_s)


def _steps(customer: str, scorer: Scorer, result: Replay) -> list[Document]:
    """Return the steps of the customer's alerts, with silence looked for each day (decision 0005).

    The scores stay those of the replay: they are the same, and so to the last bit those of `cx score`.
    """
    life = Life(scorer, customer, result.events, read_s=result.newest_s, tell=alert_step)
    life.until(result.at_s)
    return [step.document for step in life.steps]


def _unknown(customer: str, events: str, customers: Mapping[str, object]) -> CxError:
    if not customers:
        msg = f"no event of {events} counts, so nothing is known of {printable(customer)}"
        return CxError(msg, mend=f"cx check {events}; --at leaves out later events", code=Exit.USAGE)
    close = difflib.get_close_matches(customer, islice(customers, SEARCHED), n=3)
    names = " or ".join(map(printable, close))
    mend = f"did you mean {names}?" if close else f"cx score {events} --json names them all"
    among = counted(len(customers), "customer", "customers")
    msg = f"no customer {printable(customer)} among {among} in {events}"
    return CxError(msg, mend=mend, code=Exit.USAGE)


def ask(worker: str, customer: str, at_s: float | None) -> dict[str, Any]:
    """Return what the worker at the URL `worker` says of a customer; CxError where it cannot."""
    url = f"{worker}/customers/{quote(customer, safe='')}"
    if at_s is not None:
        url += f"?at={quote(at_time(at_s))}"
    token = read_secret(load_settings().api_token_file)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(url, headers=headers)  # noqa: S310  # http or https: see above
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            found: dict[str, Any] = orjson.loads(answer.read())
    except HTTPError as error:
        with error:
            raise _refused(worker, customer, error) from error
    except (OSError, HTTPException, orjson.JSONDecodeError) as error:
        msg = f"no worker answers at {worker}: {getattr(error, 'reason', error)}"
        raise CxError(msg, mend=_examine(worker)) from error
    if at_s is not None and datetime.fromisoformat(found["at"]).timestamp() > at_s + CLOSE_S:
        msg = f"the worker at {worker} has counted events of {printable(customer)} up to {found['at']}"
        raise CxError(msg, mend="give a later --at, or --events FILE to leave events out", code=Exit.USAGE)
    return found


def _refused(worker: str, customer: str, error: HTTPError) -> CxError:
    """Return the error of an answer that is no customer."""
    try:
        answer = orjson.loads(error.read())
        said = printable(str(answer["error"]))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        answer, said = {}, f"{error.code} {error.reason}"
    if error.code == HTTPStatus.NOT_FOUND and "partition" in answer:
        msg = f"the worker at {worker} knows no customer {printable(customer)}"
        return CxError(msg, mend="check the id: it is the subject of its events", code=Exit.USAGE)
    mend: dict[int, str] = {
        HTTPStatus.NOT_FOUND: "give the address at which a worker serves metrics",
        HTTPStatus.MISDIRECTED_REQUEST: "give the address of another worker",
        HTTPStatus.UNAUTHORIZED: "set CX_API_TOKEN_FILE to the file of the worker's token",
    }
    return CxError(f"the worker at {worker} refuses: {said}", mend=mend.get(error.code, _examine(worker)))


def _examine(worker: str) -> str:
    return f"cx doctor --worker {shlex.quote(worker)}"
