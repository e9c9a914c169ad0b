"""How fetches are cut into chunks. Compiled where that can be had: each record is looked at."""

from collections.abc import Sequence

from mypy_extensions import i64

from streams.engine.handler import Record


def cut(records: Sequence[Record], most_records: i64, most_bytes: i64) -> list[tuple[Sequence[Record], int]]:
    """Return runs of `records` within both bounds, with their bytes; a record beyond them runs alone."""
    runs: list[tuple[Sequence[Record], int]] = []
    start: i64 = 0
    size: i64 = 0
    number: i64 = 0
    for record in records:
        key, value = record.key, record.value
        more: i64 = (0 if key is None else len(key)) + (0 if value is None else len(value))
        if number > start and (number - start >= most_records or size + more > most_bytes):
            runs.append((records[start:number], size))
            start, size = number, 0
        size += more
        number += 1
    if number > start:
        runs.append((records[start:number], size))
    return runs
