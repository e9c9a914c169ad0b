"""The records of a transaction, customer by customer.

The customers that a transaction of a backlog touches are many times what a core's own cache holds. In the
order of arrival, each would have left it when the next event comes; in groups of customers, a group goes from
its rows to its bytes while it is there, and its memory serves the next. Records of one customer keep their
order.
"""

from collections.abc import Sequence
from zlib import crc32

from streams.engine.handler import Record, Run

SUM_BITS = 32


def grouped(runs: Sequence[Run], most: int) -> list[list[Run]]:
    """Return `runs` split by customer into groups of about `most` records; those without a key are one.

    The groups are the same in every process: they depend on keys and numbers alone. The first bits of the sum
    tell, because librdkafka's own partitioner has made the last ones the same in a partition.
    """
    number = sum([len(records) for _, records in runs])
    size, shift = 1, SUM_BITS
    while size * most < number:
        size *= 2
        shift -= 1
    if size == 1:
        return [list(runs)] if runs else []
    groups: list[list[Run]] = [[] for _ in range(size)]
    for topic, records in runs:
        split: list[list[Record]] = [[] for _ in range(size)]
        for record in records:
            key = record.key
            split[0 if key is None else crc32(key) >> shift].append(record)
        for group, own in zip(groups, split, strict=True):
            if group and group[-1][0] == topic and len(group[-1][1]) + len(own) <= most:
                # One run costs less than two; a long one is left apart, to be a step of its own.
                group[-1] = topic, [*group[-1][1], *own]
            elif own:
                group.append((topic, own))
    return groups
