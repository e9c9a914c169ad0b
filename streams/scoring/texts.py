"""A score as the bytes of its document, without the document: some thirty dicts a score are not made.

All numbers are written at once, and each is copied from there to where it belongs.
"""

import math
from collections.abc import Sequence
from typing import Final

import orjson
from librt.strings import BytesWriter, read_i64_le, write_i64_le
from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from schemas.times import write_time
from streams.scoring.apply import Scorer
from streams.scoring.churn import NO_ENGAGEMENT
from streams.scoring.compiled import COMPILED
from streams.scoring.drivers import CHURN, EXPERIENCE, SERVICE, Driver, Parts
from streams.scoring.explain import Assessment
from streams.scoring.state import CustomerState, LastExperience
from streams.scoring.vocabulary import Band

dumps: Final = orjson.dumps  # compiled code looks up each import by its name, a constant not
_BANDS: Final = [b',"band":"' + band.label.encode() + b'","churn_drivers":' for band in Band]
_ENGAGED: Final = b',"churn_reason":null,"coverage":{"experience":'
_NO_ENGAGEMENT: Final = b',"churn_reason":' + dumps(NO_ENGAGEMENT) + b',"coverage":{"experience":'
_OPEN_LIST: Final = ord("[")
_CLOSE_LIST: Final = ord("]")
_CLOSE: Final = ord("}")
_QUOTE: Final = ord('"')
_NULL: Final = b"null"
_WORD: Final = 8
_EACH_BYTE: Final = 0x0101010101010101
_LAST_BYTE: Final = 56
_ROOM: Final = " " * _WORD  # behind the last number, for a whole word may be read there


@mypyc_attr(acyclic=True)
class Text:
    """JSON in the making, and the numbers to come."""

    def __init__(self, numbers: list[object]) -> None:
        """Take the numbers in the order of the text; None, and what is not finite, is null."""
        numbers.append(_ROOM)
        self._numbers = dumps(numbers)
        self._next: i64 = 1
        self._written = BytesWriter()

    def put(self, text: bytes) -> None:
        """Add text."""
        self._written.write(text)

    def number(self, head: bytes) -> None:
        """Add the next number, after its head."""
        written, numbers, at = self._written, self._numbers, self._next
        written.write(head)
        self._next = by_words(written, numbers, at) if COMPILED else by_a_slice(written, numbers, at)

    def objects(self, parts: Parts, order: vec[i64], ledger: i64) -> None:
        """Add what `_numbered` returned the order of, each an object after a comma."""
        written, numbers, at = self._written, self._numbers, self._next
        drivers, amounts = parts.drivers, parts.amounts
        for place in order:
            if _is_nothing(amounts[place]):
                written.write(drivers[place].nothings[ledger])
            else:
                written.write(drivers[place].heads[ledger])
                at = by_words(written, numbers, at) if COMPILED else by_a_slice(written, numbers, at)
                written.append(_CLOSE)
        self._next = at

    def listed(self, begun: i64) -> None:
        """Make a list of the objects from a place on: what separates them opens and closes it too."""
        written = self._written
        if begun < len(written):
            written[begun] = _OPEN_LIST
        else:
            written.append(_OPEN_LIST)
        written.append(_CLOSE_LIST)

    def length(self) -> i64:
        """Return how long the text is."""
        return len(self._written)

    def words(self, head: bytes, words: str | None) -> None:
        """Add a string after its head, or null."""
        self._written.write(head)
        self._written.write(_NULL if words is None else dumps(words))

    def time(self, head: bytes, at_s: float | None) -> None:
        """Add seconds since the epoch as outputs write a time, or null."""
        written = self._written
        written.write(head)
        if at_s is None:
            written.write(_NULL)
            return
        written.append(_QUOTE)
        write_time(written, at_s)
        written.append(_QUOTE)

    def whole(self) -> bytes:
        """Return the text."""
        return self._written.getvalue()

    def taken(self) -> bytes:
        """Return the text, and begin another of the numbers that are left."""
        text = self._written.getvalue()
        self._written.truncate(0)
        return text


def by_a_slice(written: BytesWriter, numbers: bytes, at: i64) -> i64:
    """Copy the number that begins at a place, up to its comma, and return where the next one begins."""
    end = numbers.index(b",", at)
    written.write(numbers[at:end])
    return end + 1


def by_words(written: BytesWriter, numbers: bytes, at: i64) -> i64:
    """Do the same with words until one has a comma: quicker where they are no objects, which is compiled.

    Of all that a number or null is written with, only the comma has none of the bits 0, 1, 4 and 6.
    """
    end: i64 = len(written)
    commas: i64 = 0
    while not commas:
        word = read_i64_le(numbers, at)
        write_i64_le(written, word)
        commas = ~(word | word >> 1 | word >> 4 | word >> 6) & _EACH_BYTE
        at += _WORD
        end += _WORD
    before = (commas & -commas) - 1 & _EACH_BYTE  # a one in each byte before the first comma
    skipped = _WORD - (before * _EACH_BYTE >> _LAST_BYTE & _WORD - 1)  # whose sum is in the last one
    written.truncate(end - skipped)
    return at - skipped + 1


Score = tuple[bytes, CustomerState, Assessment]
"""The key of whose score it is, the row, and the row as it was read."""


@mypyc_attr(acyclic=True)
class Drawn:
    """What a score is written from beside its numbers: the places of its parts, in the document's order."""

    __slots__ = ("causes", "churn", "felt", "found", "key", "last", "served")

    def __init__(self, numbers: list[object], key: bytes, events: int, found: Assessment) -> None:
        """Add the score's numbers to those to come."""
        churn, experience, service, last = found.churn, found.experience, found.service, found.last_felt()
        self.key = key
        self.found = found
        self.churn = churn
        self.last = last
        self.causes = _causing(numbers, found)
        numbers.append(None if churn is None else churn.probability)
        numbers.append(experience.coverage)
        numbers.append(service.coverage)
        self.felt = _pointing(numbers, found, experience.parts)
        self.served = _pointing(numbers, found, service.parts)
        numbers.append(events)
        numbers.append(experience.score)
        numbers.append(found.gap)
        if last is not None:
            numbers.append(found.at_s - last[0].at_s)
            numbers.append(last[2])
        numbers.append(service.score)
        numbers.append(found.trend)


def score_texts(scorer: Scorer, scores: Sequence[Score]) -> list[bytes]:
    """Return the `score_document` of each as JSON, its keys in order."""
    numbers: list[object] = []
    drawn = [Drawn(numbers, key, state.events, found) for key, state, found in scores]
    text = Text(numbers)
    written: list[bytes] = []
    for each in drawn:
        _put_score(text, scorer, each)
        written.append(text.taken())
    return written


def _put_score(text: Text, scorer: Scorer, drawn: Drawn) -> None:
    found = drawn.found
    text.time(b'{"at":', found.at_s)
    text.put(_BANDS[found.band])
    _put_causes(text, found, drawn.causes)
    text.number(b',"churn_probability":')
    text.number(_NO_ENGAGEMENT if drawn.churn is None else _ENGAGED)
    text.number(b',"service":')
    text.put(b'},"customer_id":')
    text.put(dumps(drawn.key.decode()))
    text.put(b',"drivers":')
    _put_points(text, found, drawn.felt, drawn.served)
    text.number(b',"events":')
    text.number(b',"experience":')
    text.number(b',"gap":')
    text.put(scorer.heads.after_gap)
    put_last(text, drawn.last)
    text.number(scorer.heads.after_last)
    text.number(b',"trend":')
    text.put(b"}")


def drivers_text(found: Assessment) -> bytes:
    """Return `found.drivers` as JSON, which is kept: the steps of alerts may be of one reading."""
    if not found.drivers_text:
        numbers: list[object] = []
        felt = _pointing(numbers, found, found.experience.parts)
        served = _pointing(numbers, found, found.service.parts)
        text = Text(numbers)
        _put_points(text, found, felt, served)
        found.drivers_text = text.whole()
    return found.drivers_text


def churn_drivers_text(found: Assessment) -> bytes:
    """Return `found.churn_drivers` as JSON, which is kept."""
    if not found.churn_text:
        numbers: list[object] = []
        causes = _causing(numbers, found)
        text = Text(numbers)
        _put_causes(text, found, causes)
        found.churn_text = text.whole()
    return found.churn_text


def _numbered(numbers: list[object], parts: Parts, *, by_name: bool) -> vec[i64]:
    """Add the amounts of the parts to the numbers, in the order of the document, which is returned.

    But for those of nothing, as whatever a policy leaves out of the log-odds is: they are written whole.
    """
    order, amounts = parts.ranked(by_name=by_name), parts.amounts
    for place in order:
        if not _is_nothing(amounts[place]):
            numbers.append(amounts[place])  # noqa: PERF401  # no list between
    return order


def _is_nothing(amount: float) -> bool:
    """Tell 0.0 from all else that it equals."""
    return amount == 0.0 and math.copysign(1.0, amount) > 0.0


def _pointing(numbers: list[object], found: Assessment, parts: Parts) -> vec[i64]:
    """Add the points of a ledger to the numbers, unless a step of an alert has written them."""
    return vec[i64]() if found.drivers_text else _numbered(numbers, parts, by_name=False)


def _causing(numbers: list[object], found: Assessment) -> vec[i64]:
    """Add the log-odds of churn to the numbers, unless a step of an alert has written them."""
    churn = found.churn
    return vec[i64]() if churn is None or found.churn_text else _numbered(numbers, churn.parts, by_name=True)


def _put_points(text: Text, found: Assessment, felt: vec[i64], served: vec[i64]) -> None:
    if found.drivers_text:
        text.put(found.drivers_text)
        return
    begun = text.length()
    text.objects(found.experience.parts, felt, EXPERIENCE)
    text.objects(found.service.parts, served, SERVICE)
    text.listed(begun)


def _put_causes(text: Text, found: Assessment, causes: vec[i64]) -> None:
    if found.churn_text:
        text.put(found.churn_text)
        return
    begun = text.length()
    if found.churn is not None:
        text.objects(found.churn.parts, causes, CHURN)
    text.listed(begun)


def put_last(text: Text, last: tuple[LastExperience, Driver, float] | None) -> None:
    """Write the last experience, its driver and its points, of which the numbers are to come; or null."""
    if last is None:
        text.put(b"null")
        return
    text.number(b'{"age_s":')
    text.number(last[1].in_last)
    text.put(b"}")
