"""Logs of purchases for tests of backtest and fit: real ones in part, and made-up ones with a seed."""

import random
from collections.abc import Iterator
from functools import cache

import orjson
import pytest

from schemas.times import at_time
from streams.demo.datasets import DATASETS
from streams.errors import CxError
from tests.customers import DAY

START_S = 1_767_225_600.0
"""2026-01-01."""


def order(customer: str, day: float, number: int = 0, **data: object) -> bytes:
    """Return an order of `customer` on a day after START_S."""
    event = {
        "specversion": "1.0",
        "id": f"{customer}-{day}-{number}",
        "source": "/shop",
        "type": "cx.order.placed.v1",
        "time": at_time(START_S + day * DAY),
        "subject": customer,
        "data": {"order_id": f"{customer}-{day}", "total": 4_000, "currency": "EUR"} | data,
    }
    return orjson.dumps(event)


def buyers(count: int, days: int, seed: int = 5) -> list[bytes]:
    """Return orders of customers with rates of their own, who leave after each with one chance in ten."""
    rng = random.Random(seed)
    lines: list[tuple[float, bytes]] = []
    for number in range(count):
        rate, at = rng.gammavariate(2.0, 1 / 30), rng.uniform(0, days / 2)
        while at < days:
            lines.append((at, order(f"c{number}", round(at, 4))))
            if rng.random() < 0.1:
                break
            at += rng.expovariate(rate)
    return [line for _, line in sorted(lines)]


@cache
def cdnow_part(one_in: int) -> tuple[bytes, ...]:
    """Return the purchases of one in some customers of the CDNOW sample; skips without its package."""
    try:
        return tuple(_part(one_in))
    except CxError as error:
        pytest.skip(str(error))


def _part(one_in: int) -> Iterator[bytes]:
    numbers: dict[bytes, int] = {}
    for record in DATASETS["cdnow-sample"].records():
        assert record.key is not None
        if numbers.setdefault(record.key, len(numbers)) % one_in == 0:
            yield record.value
