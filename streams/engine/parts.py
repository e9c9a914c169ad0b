"""What effects are made of.

Not compiled: mypyc drops the options of such classes, and with them the form in which the marker is kept.
"""

import msgspec


class Counts(msgspec.Struct, array_like=True):
    """Outcomes of records; together they equal the offsets that the inputs have moved (guarantee G4)."""

    accepted: int = 0
    duplicate: int = 0
    anonymous: int = 0
    suppressed: int = 0
    rejected: int = 0
    skipped: int = 0
    """Offsets that carried no record: transaction markers, compaction, deleted records."""

    def total(self) -> int:
        """Return the sum over all outcomes."""
        return (
            self.accepted + self.duplicate + self.anonymous + self.suppressed + self.rejected + self.skipped
        )

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum of both, outcome by outcome."""
        return Counts(
            self.accepted + other.accepted,
            self.duplicate + other.duplicate,
            self.anonymous + other.anonymous,
            self.suppressed + other.suppressed,
            self.rejected + other.rejected,
            self.skipped + other.skipped,
        )


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record to write to an output topic, at the state partition's number. `value` None is a tombstone."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class Bucket(msgspec.Struct, array_like=True, frozen=True):
    """A token bucket as of a moment: the handler refills it from the time that went by since."""

    level: float
    at_s: float
    """When it held `level`, seconds since the epoch."""
