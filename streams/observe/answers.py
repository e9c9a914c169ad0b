"""What a worker answers over HTTP, without the HTTP: health, readiness, and one customer in full.

GET /customers/ID answers with the fields of `ScoreUpdated` (as `cx score --json` has them) and three more:

    {"customer_id", "at", "prior", "experience", "service", "gap", "trend", "coverage":
     {"experience", "service"}, "band", "churn_probability", "churn_reason", "horizon_days",
     "drivers": [{"driver", "ledger", "points"}], "churn_drivers": [{"driver", "logit"}],
     "last_experience": {"driver", "age_s", "points"} | null, "events", "policy_version",
     "partition": 2,                       the state partition that keeps the customer
     "profile": {"segment": "gold", ...},  what customer.updated said, field by field
     "open_alerts": [{"alert_id", "rule", "episode", "opened", "severity"}]}

`?at=TIME` (RFC 3339 with an offset) evaluates at that time instead of now; never before the newest event. It
answers 404 `{"error"}` for a customer nobody has heard of, and 421 `{"error", "partition"}` where another
worker keeps the customer: ask that one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from schemas.codec import LATEST_S
from schemas.times import at_time
from streams.engine.stats import Snapshot
from streams.observe.watch import Found, lag_records
from streams.scoring.apply import Scorer, profile_of
from streams.scoring.cases import alert_id
from streams.scoring.explain import assess, score_document
from streams.scoring.rows import unpack
from streams.scoring.rules import SEVERITIES, Rule
from streams.scoring.state import CustomerState


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON document."""

    status: HTTPStatus
    document: dict[str, Any]


def failure(status: HTTPStatus, error: str, **more: Any) -> Answer:
    """Return an answer that says what is wrong."""
    return Answer(status, {"error": error, **more})


def ready(engine: Snapshot, behind_s: float = 0.0, most_behind_s: float = 0.0) -> Answer:
    """Say whether every partition assigned is worked on: 200, else 503 with the reason.

    `behind_s` is the lag in seconds; beyond `most_behind_s`, where that is not 0, the worker is not ready.
    """
    late = bool(most_behind_s) and behind_s > most_behind_s
    is_ready = engine.ready and not late
    stopped = {str(each.partition): each.problem for each in engine.partitions if each.problem}
    loading = [each.partition for each in engine.partitions if not each.ready and not each.problem]
    document: dict[str, Any] = {
        "ready": is_ready,
        "partitions": [each.partition for each in engine.partitions if each.ready],
        "customers": sum(each.rows for each in engine.partitions),
        "lag": sum(lag_records(each) or 0 for owner in engine.partitions for each in owner.inputs),
    }
    if late:
        document |= {"behind_s": round(behind_s, 1), "most_behind_s": most_behind_s}
    if not engine.ready:
        document |= {"rebalancing": engine.rebalancing, "loading": loading, "stopped": stopped}
    return Answer(HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE, document)


def customer(scorer: Scorer, find: Callable[[str], Found], customer_id: str, at: str | None) -> Answer:
    """Return the full reading of a customer (see the module)."""
    at_s = None
    if at is not None and (at_s := _seconds(at)) is None:
        return failure(HTTPStatus.BAD_REQUEST, "`at` is no time with an offset, such as 2026-01-31T12:00:00Z")
    found = find(customer_id)
    if not found.here:
        error = f"partition {found.partition} is not worked on here: ask the other workers"
        return failure(HTTPStatus.MISDIRECTED_REQUEST, error, partition=found.partition)
    if found.row is None:
        return failure(HTTPStatus.NOT_FOUND, "no such customer", partition=found.partition)
    state = unpack(found.row)
    document = score_document(
        scorer, customer_id, state, assess(scorer, state, found.at_s if at_s is None else at_s)
    )
    document |= {
        "partition": found.partition,
        "profile": profile_of(state),
        "open_alerts": _open_alerts(customer_id, state, found.generation),
    }
    return Answer(HTTPStatus.OK, document)


def _seconds(text: str) -> float | None:
    # In a query, "+" stands for a space.
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        seconds = moment.timestamp() if moment.tzinfo else math.nan
    except (ValueError, OverflowError):
        return None
    return seconds if seconds < LATEST_S else None  # a calendar ends, and nan is below nothing


def _open_alerts(customer_id: str, state: CustomerState, generation: str) -> list[dict[str, Any]]:
    return [
        {
            "alert_id": alert_id(generation, customer_id, Rule(rule), episode.number),
            "rule": Rule(rule).label,
            "episode": episode.number,
            "opened": at_time(episode.opened_s),
            "severity": SEVERITIES[episode.severity],
        }
        for rule, episode in sorted(state.episodes.items())
        if episode.closed_s is None
    ]
