"""A score as the bytes of its document, without the document: some thirty dicts a score are not made.

All numbers are written at once, and what stands before each of them is put between.
"""

from typing import Final

import orjson

from schemas.times import at_time
from streams.scoring.apply import Scorer
from streams.scoring.churn import NO_ENGAGEMENT
from streams.scoring.drivers import Part, ranked
from streams.scoring.explain import Assessment
from streams.scoring.state import CustomerState
from streams.scoring.vocabulary import Band

_BANDS: Final = [band.label.encode() for band in Band]
_NO_ENGAGEMENT: Final = b',"churn_reason":' + orjson.dumps(NO_ENGAGEMENT)
_CHURN: Final = 0
_EXPERIENCE: Final = 1
_SERVICE: Final = 2


class Text:
    """JSON in the making: numbers, each with what stands before it."""

    def __init__(self, begun: bytes) -> None:
        self._begun = begun
        """What stands before the next number so far."""
        self._heads: list[bytes] = []
        self._numbers: list[object] = []

    def put(self, text: bytes) -> None:
        """Add text."""
        self._begun += text

    def number(self, text: bytes, number: object) -> None:
        """Add text and a number; None, and what is not finite, is null."""
        self._heads.append(self._begun + text if self._begun else text)
        self._numbers.append(number)
        self._begun = b""

    def parts(self, parts: list[Part], ledger: int, *, goes_on: bool = False) -> None:
        """Add the objects of a list, but for the last `}`; those that go on a list begin with a comma."""
        for part in parts:
            driver = part.driver
            head = driver.in_churn
            if ledger != _CHURN:
                head = driver.in_experience if ledger == _EXPERIENCE else driver.in_service
            if not goes_on:
                goes_on = True
                head = self._begun + head[2:]
                self._begun = b""
            self._heads.append(head)
            self._numbers.append(part.amount)

    def written(self) -> bytes:
        """Return the whole."""
        pieces: list[bytes] = []
        if self._numbers:
            numbers: list[bytes] = orjson.dumps(self._numbers)[1:-1].split(b",")
            for place, number in enumerate(numbers):
                pieces.append(self._heads[place])
                pieces.append(number)
        pieces.append(self._begun)
        return b"".join(pieces)


def score_text(scorer: Scorer, customer_id: str, state: CustomerState, found: Assessment) -> bytes:
    """Return `score_document` as JSON, its keys in order."""
    churn, experience, service = found.churn, found.experience, found.service
    band = _BANDS[found.band]
    text = Text(b'{"at":"' + at_time(found.at_s).encode() + b'","band":"' + band + b'","churn_drivers":')
    _put_churn_drivers(text, found)
    text.number(b',"churn_probability":', None if churn is None else churn.probability)
    text.put(b',"churn_reason":null' if churn is not None else _NO_ENGAGEMENT)
    text.number(b',"coverage":{"experience":', experience.coverage)
    text.number(b',"service":', service.coverage)
    text.put(b'},"customer_id":' + orjson.dumps(customer_id) + b',"drivers":')
    _put_drivers(text, found)
    text.number(b',"events":', state.events)
    text.number(b',"experience":', experience.score)
    text.number(b',"gap":', found.gap)
    text.number(b',"horizon_days":', scorer.policy.churn.alert_horizon_days)
    _put_last(text, found)
    text.put(b',"policy_version":"' + scorer.policy.hash.encode() + b'"')
    text.number(b',"prior":', found.prior)
    text.number(b',"service":', service.score)
    text.number(b',"trend":', found.trend)
    text.put(b"}")
    return text.written()


def drivers_text(found: Assessment) -> bytes:
    """Return `found.drivers` as JSON, which is kept: steps of alerts and a score may be of one reading."""
    if not found.drivers_text:
        text = Text(b"")
        _put_drivers(text, found)
        found.drivers_text = text.written()
    return found.drivers_text


def churn_drivers_text(found: Assessment) -> bytes:
    """Return `found.churn_drivers` as JSON, which is kept."""
    if not found.churn_text:
        text = Text(b"")
        _put_churn_drivers(text, found)
        found.churn_text = text.written()
    return found.churn_text


def _put_drivers(text: Text, found: Assessment) -> None:
    if found.drivers_text:
        text.put(found.drivers_text)
        return
    experience, service = found.experience.parts, found.service.parts
    text.put(b"[")
    text.parts(ranked(experience, by_name=False), _EXPERIENCE)
    text.parts(ranked(service, by_name=False), _SERVICE, goes_on=bool(experience))
    text.put(b"}]" if experience or service else b"]")


def _put_churn_drivers(text: Text, found: Assessment) -> None:
    if found.churn_text:
        text.put(found.churn_text)
        return
    parts = found.churn_parts()
    text.put(b"[")
    text.parts(parts, _CHURN)
    text.put(b"}]" if parts else b"]")


def _put_last(text: Text, found: Assessment) -> None:
    felt = found.last_felt()
    if felt is None:
        text.put(b',"last_experience":null')
        return
    last, driver, points = felt
    text.number(b',"last_experience":{"age_s":', found.at_s - last.at_s)
    text.number(b"".join([b',"driver":', driver.quoted, b',"points":']), points)
    text.put(b"}")
