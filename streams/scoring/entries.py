"""The register of a row: its entries, in bytes until somebody asks for more than its failures.

Most events touch no entry, and most entries are parcels that came in time. So the bytes begin with the places
of the entries that hold a failure, which every reading of a row looks at; the others stay bytes until an
event is about one of them. The facts of an entry stay bytes for longer still, and an entry that did not
change is not packed again.
"""

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64, mypyc_attr

from streams.scoring.binary import Reader, put_bytes, put_whole
from streams.scoring.entry import KINDS, NO_CODE, Case, damaged_register

# Yes or no of a case.
_CREDIT: Final = 1
_IN_TIME: Final = 2
_UNANSWERED: Final = 4
_HAS_ISSUE: Final = 8

_OF_A_FAILURE: Final = 5
"""So many numbers side by side tell of the failure of a case."""

_NONE: Final[list[Case]] = []
"""Not to be changed."""


@mypyc_attr(acyclic=True)
class Entries:
    """The entries of one customer, in the order in which they came.

    Raises CxError where the bytes are not what was written.
    """

    __slots__ = ("_cases", "_failures", "_failures_read", "_read", "packed")

    def __init__(self) -> None:
        self.packed: bytes | None = b""
        """The register as the row has it, while nothing has changed in it."""
        self._cases = _NONE
        self._read = False
        self._failures = _NONE
        self._failures_read = False

    @property
    def failures(self) -> list[Case]:
        """The entries with a failure, ended or not; not to be changed."""
        if not self._failures_read:
            self._read_failures()
        return self._failures

    @failures.setter
    def failures(self, failures: list[Case]) -> None:
        self._failures = failures

    def all(self) -> list[Case]:
        """Return all of them, those with a failure as they were given out; not to be changed."""
        if not self._read:
            self._read_all()
        return self._cases

    def get(self, name: bytes) -> Case | None:
        """Return the entry of a name, None if there is none."""
        for case in self.all():
            if case.name == name:
                return case
        return None

    def holds(self, case: Case) -> bool:
        """Tell whether an entry is one of them."""
        for each in self.all():  # noqa: SIM110  # a generator costs more than the loop
            if each is case:
                return True
        return False

    def add(self, case: Case) -> None:
        """Add one that is new."""
        self.all().append(case)

    def remove(self, case: Case) -> None:
        """Remove one of them."""
        self.all().remove(case)

    def change(self) -> None:
        """Take away the bytes of the whole: whoever changes an entry or adds one does so."""
        if not self._read:
            self._read_all()
        self.packed = None

    def pack(self) -> bytes:
        """Return the bytes of the register: none where it is empty."""
        packed = self.packed
        if packed is None:
            packed = self.packed = _packed(self._cases)
        return packed

    def _read_failures(self) -> None:
        packed = self.packed or b""  # whoever takes them away has read all
        if packed:
            try:
                self._failures = _failures_in(packed)
            except IndexError:
                raise damaged_register(packed) from None
        self._failures_read = True

    def _read_all(self) -> None:
        failures, packed = self.failures, self.packed
        cases: list[Case] = []
        if packed:
            try:
                _read_into(cases, packed, failures)
            except IndexError:
                raise damaged_register(packed) from None
        self._cases = cases
        self._read = True


def _failures_in(packed: bytes) -> list[Case]:
    """Return the entries with a failure."""
    failing = Reader(packed)
    failing.whole()
    number = failing.whole()
    if not number:
        return _NONE
    failures: list[Case] = []
    found = Reader(packed)
    begun = _begin(found)
    for _number in range(number):  # compiled, `_` would be an object each time
        found.turn_to(begun + failing.whole())
        failures.append(_unpacked(packed, found))
    return failures


def _read_into(cases: list[Case], packed: bytes, failures: list[Case]) -> None:
    """Read all entries; those with a failure were read before."""
    found, given = Reader(packed), 0
    length = found.whole()
    found.turn_to(0)
    _begin(found)
    for _number in range(length):
        if given < len(failures) and failures[given].begins == found.place():
            case = failures[given]
            given += 1
            found.turn_to(case.ends)
        else:
            case = _unpacked(packed, found)
        cases.append(case)
    if given < len(failures) or not found.is_at_end():
        raise IndexError


def _begin(found: Reader) -> i64:
    """Pass by what stands before the entries, and return where they begin."""
    found.whole()  # how many they are
    for _number in range(found.whole()):
        found.whole()
    return found.place()


def _packed(cases: list[Case]) -> bytes:
    """Return the bytes of entries, in which they lie from then on; neighbours are copied at once."""
    if not cases:
        return b""
    entries, places = BytesWriter(), BytesWriter()
    failed, source = 0, b""
    begun: i64 = 0
    end: i64 = 0
    for case in cases:
        if case.key != NO_CODE:
            failed += 1
            put_whole(places, len(entries) + end - begun)
        if not case.ends:
            entries.write(source[begun:end])
            begun = end
            _put(entries, case)
        elif case.source is source and case.begins == end:
            end = case.ends
        else:
            entries.write(source[begun:end])
            source, begun, end = case.source, case.begins, case.ends
    entries.write(source[begun:end])
    to = BytesWriter()
    put_whole(to, len(cases))
    put_whole(to, failed)
    to.write(places.getvalue())
    place: i64 = len(to)
    to.write(entries.getvalue())
    packed = to.getvalue()
    for case in cases:
        _lie(case, packed, place)
        place = case.ends
    return packed


def _lie(case: Case, source: bytes, place: i64) -> None:
    """Let a case have its bytes in others, from a place on."""
    ahead = place - case.begins
    case.source = source
    case.begins = place
    case.facts_at += ahead
    case.ends += ahead


def _put(entries: BytesWriter, case: Case) -> None:
    """Add the bytes of a case, with its facts at their end."""
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
    case.begins = len(entries)
    put_bytes(entries, to.getvalue())
    case.ends = len(entries)
    case.facts_at = case.ends - len(to) + facts_at


def _unpacked(source: bytes, found: Reader) -> Case:
    """Return the next case of a register, its facts in bytes still."""
    begins = found.place()
    ends: i64 = found.whole()
    ends += found.place()
    told = found.whole()
    name = found.data()
    kind = found.whole()
    if not 0 < kind <= KINDS:
        raise IndexError
    case = Case(name, kind, None, found.data() if told & _HAS_ISSUE else None)
    case.credit = told & _CREDIT != 0
    case.in_time = told & _IN_TIME != 0
    case.unanswered = told & _UNANSWERED != 0
    case.at_s = found.whole()
    if not found.passes_nothing(_OF_A_FAILURE):  # most hold none, and are made without one
        case.key = found.whole()
        if case.key < 0:
            raise IndexError
        case.weight = found.whole()
        case.since_s = found.whole()
        case.until_s = found.whole()
        case.mended_s = found.whole()
    case.pending_s = found.whole()
    case.settled = found.whole()
    case.source = source
    case.begins = begins
    case.facts_at = found.place()
    case.ends = ends
    if case.facts_at > ends:
        raise IndexError
    found.turn_to(ends)
    return case
