"""Whether two readings of the same customers agree, to 1e-9 in numbers."""

import math
from collections.abc import Mapping
from typing import Any

from streams.cli.score import document
from streams.replay import Customer, Replay
from streams.scoring.apply import Scorer
from streams.scoring.rows import unpack

TOLERANCE = 1e-9


def close(one: Any, other: Any) -> bool:
    """Tell whether two documents are equal, numbers to 1e-9."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other)


def unlike(found: Replay, rows: Mapping[str, bytes], scorer: Scorer, at_s: float) -> dict[str, Any]:
    """Return what differs, by customer: fields of `cx score` against those of packed rows, but for alerts.

    Both are evaluated at `at_s`, which must be after all events. A customer whom only one of them has differs
    in everything.
    """
    differences: dict[str, Any] = {}
    for customer_id in sorted(found.customers.keys() | rows.keys()):
        if customer_id not in rows or customer_id not in found.customers:
            differences[customer_id] = "in one of the two only"
            continue
        wanted = document(scorer, customer_id, found.customers[customer_id], at_s)
        seen = document(scorer, customer_id, Customer(unpack(rows[customer_id])), at_s)
        fields = {
            name: (wanted[name], seen[name])
            for name in wanted
            if name != "alerts" and not close(wanted[name], seen[name])
        }
        if fields:
            differences[customer_id] = fields
    return differences
