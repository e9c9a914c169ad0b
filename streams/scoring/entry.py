"""An entry of the register of standing signals."""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from streams.errors import CxError
from streams.scoring.binary import pairs_of, value_of

# How an ended failure of the register lies in the sums.
NOT_SETTLED: Final = 0
SETTLED: Final = 1
SETTLED_REPAIRED: Final = 2

KINDS: Final = 6
"""The kinds of entries have the numbers from 1 to this (`streams.scoring.facts`)."""
NO_CODE: Final = 0
"""No driver: codes begin at 1."""


@mypyc_attr(acyclic=True)
class Case:
    """An entry of the register: what is known of one promise, order, ticket, complaint or issue.

    The facts are a union that does not depend on the order in which they were learned
    (`streams.scoring.facts`); all below them is derived from the facts. Times are whole seconds.
    """

    __slots__ = (
        "_facts",
        "at_s",
        "begins",
        "credit",
        "ends",
        "facts_at",
        "in_time",
        "issue",
        "key",
        "kind",
        "mended_s",
        "name",
        "pending_s",
        "settled",
        "since_s",
        "source",
        "unanswered",
        "until_s",
        "weight",
    )

    def __init__(
        self, name: bytes, kind: int, facts: dict[int, int] | None, issue: bytes | None = None
    ) -> None:
        self.name = name
        """Its key in the register."""
        self.kind = kind
        self._facts = facts
        self.source = b""
        """Bytes that the entry lies in, from `begins` to `ends`, its facts from `facts_at` on.

        Until it is derived again; then it `ends` at 0.
        """
        self.begins: i64 = 0
        self.facts_at: i64 = 0
        self.ends: i64 = 0
        self.issue = issue
        """The key of the issue that it belongs to."""
        self.at_s = 0
        """The newest event of it; of an order, only of those that tie it to an issue."""
        self.key = NO_CODE
        """The failure that stands: driver code * 8 + in service, as in `CustomerState.points`; 0 for none."""
        self.weight = 0
        """Its weight in thousandths."""
        self.since_s = 0
        self.until_s = 0
        """Until then it counts in full: when it ended, and at most the policy's standing days."""
        self.mended_s = 0
        """When it was repaired, 0 for never."""
        self.credit = True
        """False if an earlier failure stood so close that a repair earns nothing."""
        self.in_time = False
        """The delivery came in time: that moment lies in the sums already."""
        self.pending_s = 0
        """The next deadline that can still be missed, 0 for none."""
        self.settled = NOT_SETTLED
        """Whether the failure has ended and lies in the sums, until its facts change or it is folded."""
        self.unanswered = False
        """A complaint in public that nobody answered in time."""

    @property
    def facts(self) -> dict[int, int]:
        """What was learned of it: read from its bytes when somebody asks."""
        facts = self._facts
        if facts is None:
            try:
                facts = self._facts = pairs_of(self.source, self.facts_at, self.ends)
            except IndexError:
                raise damaged_register(self.source) from None
        return facts

    def known(self, fact: int) -> int:
        """Return a fact, 0 where it is not known; no other is read for it."""
        facts = self._facts
        if facts is not None:
            return facts.get(fact, 0)
        try:
            return value_of(self.source, self.facts_at, self.ends, fact)
        except IndexError:
            raise damaged_register(self.source) from None

    def change(self) -> None:
        """Take away its bytes: whoever derives anything of it anew does so before."""
        if self.ends:
            self._facts = self.facts
            self.ends = 0


def damaged_register(data: bytes) -> CxError:
    """Return the error of bytes of a register that are not what was written."""
    msg = f"a register is damaged: its {len(data)} bytes are not its entries"
    return CxError(msg, mend="make the rows anew: cx rebuild")
