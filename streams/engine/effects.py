"""What one transaction carries."""

from streams.engine.parts import Bucket, Counts, Output


class Effects:
    """What one transaction carries, beside the marker that the engine adds."""

    __slots__ = ("counts", "newest_event_s", "outputs", "rows", "tokens")

    def __init__(self, rows: dict[bytes, bytes | None] | None = None) -> None:
        self.rows = {} if rows is None else rows
        """Changed rows by customer key, packed; None is a tombstone."""
        self.outputs: list[Output] = []
        self.counts = Counts()
        """Outcomes of the records applied (`skipped` is the engine's)."""
        self.newest_event_s: dict[str, float] = {}
        """Newest event time applied per input topic, seconds since the epoch."""
        self.tokens: dict[str, Bucket | None] = {}
        """Token buckets that changed; they travel in the marker, so that a crash neither refills nor empties
        one. None takes a bucket away. They alone make no transaction: whoever takes a token writes something
        too."""

    def __bool__(self) -> bool:
        """Tell whether there is anything to write."""
        return bool(self.rows or self.outputs or self.counts.total())
