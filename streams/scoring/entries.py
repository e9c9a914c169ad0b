"""The bytes of a register: its entries, read when somebody asks for more than its failures.

Most events touch no entry, and most entries are parcels that came in time. So the bytes begin with the places
of the entries that hold a failure, which every reading of a row looks at; the others stay bytes until an
event is about one of them. The facts of an entry stay bytes for longer still, and an entry that did not
change is not packed again.
"""

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import mypyc_attr

from streams.scoring.binary import Reader, put_bytes, put_whole
from streams.scoring.state import NO_CODE, Case, damaged_register

# Yes or no of a case.
_CREDIT: Final = 1
_IN_TIME: Final = 2
_UNANSWERED: Final = 4
_HAS_ISSUE: Final = 8


def pack_entries(cases: dict[bytes, Case]) -> bytes:
    """Return the bytes of a register: none where it is empty."""
    if not cases:
        return b""
    entries, places = BytesWriter(), BytesWriter()
    failed = 0
    for case in cases.values():
        if case.key != NO_CODE:
            failed += 1
            put_whole(places, len(entries))
        if not case.packed:
            _pack(case)
        put_bytes(entries, case.packed)
    to = BytesWriter()
    put_whole(to, len(cases))
    put_whole(to, failed)
    to.write(places.getvalue())
    to.write(entries.getvalue())
    return to.getvalue()


def _pack(case: Case) -> None:
    """Let a case keep its bytes, with its facts at their end."""
    to = BytesWriter()
    issue = case.issue
    told = _CREDIT if case.credit else 0
    if case.in_time:
        told |= _IN_TIME
    if case.unanswered:
        told |= _UNANSWERED
    if issue is not None:
        told |= _HAS_ISSUE
    put_whole(to, told)
    put_bytes(to, case.name)
    put_whole(to, case.kind)
    if issue is not None:
        put_bytes(to, issue)
    put_whole(to, case.at_s)
    put_whole(to, case.key)
    put_whole(to, case.weight)
    put_whole(to, case.since_s)
    put_whole(to, case.until_s)
    put_whole(to, case.mended_s)
    put_whole(to, case.pending_s)
    put_whole(to, case.settled)
    facts_at = len(to)
    for fact, value in case.facts.items():
        put_whole(to, fact)
        put_whole(to, value)
    case.packed = to.getvalue()
    case.facts_at = facts_at


def _unpacked(packed: bytes) -> Case:
    """Return a case, its facts in bytes still."""
    found = Reader(packed)
    told = found.whole()
    name = found.data()
    kind = found.whole()
    case = Case(name, kind, None, found.data() if told & _HAS_ISSUE else None)
    case.credit = bool(told & _CREDIT)
    case.in_time = bool(told & _IN_TIME)
    case.unanswered = bool(told & _UNANSWERED)
    case.at_s = found.whole()
    case.key = found.whole()
    case.weight = found.whole()
    case.since_s = found.whole()
    case.until_s = found.whole()
    case.mended_s = found.whole()
    case.pending_s = found.whole()
    case.settled = found.whole()
    case.packed = packed
    case.facts_at = found.place()
    return case


@mypyc_attr(acyclic=True)
class PackedEntries:
    """A register in bytes: its failures are read at once, the other entries by `read`.

    Raises IndexError where the bytes end before the failures do.
    """

    __slots__ = ("_begun", "_length", "_packed", "_places", "failures")

    def __init__(self, packed: bytes) -> None:
        found = Reader(packed)
        self._packed = packed
        self._length = found.whole()
        self._places = [found.whole() for _ in range(found.whole())]
        self._begun = found.place()
        self.failures: list[Case] = []
        """The entries with a failure, in the order of the register."""
        for place in self._places:
            self.failures.append(_unpacked(Reader(packed, self._begun + place).data()))

    def read(self) -> dict[bytes, Case]:
        """Return all entries, those with a failure as they were given out; raises CxError on damage."""
        found = Reader(self._packed, self._begun)
        try:
            cases = self._read(found)
        except IndexError:
            raise damaged_register(self._packed) from None
        if not found.is_at_end():
            raise damaged_register(self._packed)
        return cases

    def _read(self, found: Reader) -> dict[bytes, Case]:
        cases: dict[bytes, Case] = {}
        given = 0
        for _ in range(self._length):
            place, packed = found.place() - self._begun, found.data()
            if given < len(self._places) and place == self._places[given]:
                case = self.failures[given]
                given += 1
            else:
                case = _unpacked(packed)
            cases[case.name] = case
        return cases
