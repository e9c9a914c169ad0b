"""What a worker says of itself, asked over HTTP as any monitor would."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from streams.amounts import counted
from streams.observe.findings import Finding, error, ok, warning
from streams.observe.placement import MEND as PARTITIONER

WORKER_TIMEOUT_S: Final = 5.0
BIG_LAG_S: Final = 300.0
WORKERS_WORDS: Final = {"ready", "partitions", "customers"}
SKEW_S: Final = 5.0
"""Clocks further apart than this make silence and deadlines wrong by as much."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    body: str
    clock_s: float | None
    """What the worker's clock showed, seconds since the epoch; its answer has whole seconds."""


def worker(url: str, token: str) -> list[Finding]:
    """Look whether the worker at `url` is ready, and at what stands out in its metrics."""
    try:
        ready = _get(f"{url}/readyz", "")
    except (OSError, HTTPException) as problem:
        reason = getattr(problem, "reason", problem)
        mend = "cx worker, or name another: --worker URL"
        return [warning("worker", f"no worker answers at {url}: {reason}", mend)]
    state = _state(ready.body)
    if state is None:
        message = f"{url} is no worker of ours (status {ready.status})"
        return [error("worker", message, "name one: --worker URL")]
    found = [_readiness(url, state), *_clock(url, ready.clock_s)]
    try:
        figures = _get(f"{url}/metrics", token)
    except (OSError, HTTPException) as problem:
        return [*found, error("metrics", f"{url}/metrics: {problem}", "look at the worker's log")]
    if figures.status != 200:  # noqa: PLR2004  # the one status of an exposition
        mend = "set CX_API_TOKEN_FILE to the file of the worker's token"
        return [*found, error("metrics", f"{url}/metrics answers {figures.status}", mend)]
    return [*found, *_figures(figures.body)]


def _get(url: str, token: str) -> _Reply:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})  # noqa: S310  # an address that the operator gave
    try:
        with urllib.request.urlopen(request, timeout=WORKER_TIMEOUT_S) as response:  # noqa: S310  # as above
            return _reply(response.status, response)
    except urllib.error.HTTPError as answer:
        return _reply(answer.code, answer)


def _reply(status: int, response: Any) -> _Reply:
    date = response.headers.get("Date")
    clock_s = parsedate_to_datetime(date).timestamp() if date else None
    return _Reply(status, response.read().decode("utf-8", "replace"), clock_s)


def _clock(url: str, clock_s: float | None) -> Iterator[Finding]:
    """Compare the worker's clock with this machine's: silence and deadlines are judged by the former."""
    if clock_s is not None and abs(skew_s := clock_s - time.time()) > SKEW_S:
        message = f"the clock of {url} differs from this machine's by {skew_s:+,.0f} s"
        yield warning("clock", message, "chronyc tracking, on both machines")


def _state(body: str) -> dict[str, Any] | None:
    """Return what a worker says of its readiness; None where another program answers, as `cx deliver`."""
    try:
        state = json.loads(body)
    except ValueError:
        return None
    return state if isinstance(state, dict) and state.keys() >= WORKERS_WORDS else None


def _readiness(url: str, state: dict[str, Any]) -> Finding:
    if state["ready"]:
        customers = counted(state["customers"], "customer", "customers")
        return ok("worker", f"{url} is ready: partitions {state['partitions']}, {customers}")
    if state.get("stopped"):
        why = "; ".join(f"partition {number}: {problem}" for number, problem in state["stopped"].items())
        return error(
            "worker", f"{url} has stopped partitions: {why}", "cx topics adopt NAME, once you know why"
        )
    message = f"{url} is not ready: {json.dumps(state)}"
    return error("worker", message, "wait for recovery; then look at its log")


def _figures(exposition: str) -> Iterator[Finding]:
    """Yield what stands out in a worker's metrics."""
    samples = [sample for family in text_string_to_metric_families(exposition) for sample in family.samples]

    def total(name: str) -> float:
        return sum(sample.value for sample in samples if sample.name == name)

    for sample in samples:
        if sample.name == "cx_misplaced_customers_total" and sample.value:
            message = f"{sample.labels['topic']}: {sample.value:,.0f} customers on a wrong partition"
            yield error("producers", message, PARTITIONER)
    yield from _currencies([each for each in samples if each.name == "cx_unpriced_engagements_total"])
    if rejected := total("cx_rejected_records_total"):
        yield warning("rejects", f"{rejected:,.0f} records rejected since it started", "cx deadletters list")
    if fenced := total("cx_fenced_total"):
        mend = "give each worker its own static_id, and each application its own app_id"
        yield warning("worker", f"fenced {fenced:,.0f} times", mend)
    lag_s = max((each.value for each in samples if each.name == "cx_lag_seconds"), default=0.0)
    if lag_s > BIG_LAG_S:
        yield warning(
            "lag", f"{lag_s:,.0f} s behind, {total('cx_lag_records'):,.0f} records", "start another worker"
        )
    else:
        yield ok("lag", f"{lag_s:,.1f} s behind, {total('cx_lag_records'):,.0f} records")


def _currencies(unpriced: Sequence[Sample]) -> Iterator[Finding]:
    """Name the currencies whose amounts count nothing."""
    if number := sum(each.value for each in unpriced):
        named = ", ".join(sorted({each.labels["currency"] for each in unpriced if each.value}))
        message = f"{number:,.0f} engagements count without their amount: the policy has no rate for {named}"
        yield warning("currencies", message, "add them to [currencies] of the policy, then cx policy check")
