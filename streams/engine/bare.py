"""Records as they lie in their batch: aiokafka's consumer makes a second object of each, at a higher price.

The batch's own has what the handler asks of a `Record`, but neither topic nor partition: these are known by
where it was found.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer.fetcher import FetchResult, PartitionRecords


class BareRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped
    """What was fetched of a partition; which records are committed, and how far they go, stock says."""

    def __iter__(self) -> Iterator[Any]:
        """Return the generator itself: stock puts a call of its own before each record."""
        records: Iterator[Any] = self._records_iterator
        return records

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ARG002  # aiokafka's signature
        return record


def give_bare(consumer: Any) -> None:
    """Let `consumer`, which was started, give bare records from its next fetch on."""
    fetcher = consumer._fetcher  # noqa: SLF001  # made at the start
    stock = fetcher._proc_fetch_request  # noqa: SLF001  # the seam itself

    async def proc_fetch_request(assignment: Any, node_id: Any, request: Any) -> Any:
        woken = await stock(assignment, node_id, request)
        # Nobody has read of it yet: readers are woken by whoever waits for this.
        for found in fetcher._records.values():  # noqa: SLF001  # what was fetched, or why nothing was
            if type(found) is FetchResult and found.has_more():
                found._partition_records.__class__ = BareRecords  # noqa: SLF001  # made in the midst of stock's function
        return woken

    fetcher._proc_fetch_request = proc_fetch_request  # noqa: SLF001  # as above
