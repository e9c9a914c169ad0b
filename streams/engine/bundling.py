"""How chunks travel through Faust: the small ones of a topic together.

A message costs the same whatever it carries, and an agent takes one in each turn of the event loop. Where
little comes in, a fetch has a few records of every input: in messages of their own they would cost more than
to be computed, and reach the lane at different times.
"""

from collections.abc import Iterable

from streams.engine.partition import Chunk

Bundle = list[Chunk]
"""Chunks of one topic, no two of the same partition."""


def bundled(chunks: Iterable[Chunk], most_records: int, most_bytes: int) -> list[Bundle]:
    """Return `chunks`, of which no input has two, in bundles within both bounds, else alone."""
    bundles: list[Bundle] = []
    last: dict[str, tuple[Bundle, int, int]] = {}
    for chunk in chunks:
        bundle, records, size = last.get(chunk.topic, ([], 0, 0))
        records += len(chunk.records)
        size += chunk.size
        if bundle and (records > most_records or size > most_bytes):
            bundle, records, size = [], len(chunk.records), chunk.size
        if not bundle:
            bundles.append(bundle)
        bundle.append(chunk)
        last[chunk.topic] = bundle, records, size
    return bundles
