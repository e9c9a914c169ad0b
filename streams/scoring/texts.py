"""A score as the bytes of its document, without the document: some thirty dicts a score are not made.

All numbers are written at once, and what stands before each of them is put between.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from schemas.times import at_time
from streams.scoring.apply import Scorer
from streams.scoring.churn import NO_ENGAGEMENT
from streams.scoring.drivers import AFTER_OBJECT, Part, ranked
from streams.scoring.explain import Assessment
from streams.scoring.state import CustomerState
from streams.scoring.vocabulary import Band

_BANDS: Final = [band.label.encode() for band in Band]
_ENGAGED: Final = b',"churn_reason":null'
_NO_ENGAGEMENT: Final = b',"churn_reason":' + orjson.dumps(NO_ENGAGEMENT)


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

    def add(self, heads: list[bytes], numbers: Sequence[object]) -> None:
        """Add numbers, each after its head; None, and what is not finite, is null."""
        if self._begun:
            heads[0] = self._begun + heads[0]
            self._begun = b""
        self._heads += heads
        self._numbers += numbers

    def written(self) -> bytes:
        """Return the whole."""
        if not self._numbers:
            return self._begun
        numbers = orjson.dumps(self._numbers)[1:-1].split(b",")
        pieces = self._heads + numbers
        pieces[::2], pieces[1::2] = self._heads, numbers
        pieces.append(self._begun)
        return b"".join(pieces)


def score_text(scorer: Scorer, customer_id: str, state: CustomerState, found: Assessment) -> bytes:
    """Return `score_document` as JSON, its keys in order."""
    churn, experience, service = found.churn, found.experience, found.service
    band = _BANDS[found.band]
    text = Text(b'{"at":"' + at_time(found.at_s).encode() + b'","band":"' + band + b'","churn_drivers":')
    _put_churn_drivers(text, found)
    reason = _ENGAGED if churn is not None else _NO_ENGAGEMENT
    text.add(
        [b',"churn_probability":', reason + b',"coverage":{"experience":', b',"service":'],
        [None if churn is None else churn.probability, experience.coverage, service.coverage],
    )
    text.put(b'},"customer_id":' + orjson.dumps(customer_id) + b',"drivers":')
    _put_drivers(text, found)
    text.add(
        [b',"events":', b',"experience":', b',"gap":', b',"horizon_days":'],
        [state.events, experience.score, found.gap, scorer.policy.churn.alert_horizon_days],
    )
    _put_last(text, found)
    text.add(
        [b',"policy_version":"' + scorer.policy.hash.encode() + b'","prior":', b',"service":', b',"trend":'],
        [found.prior, service.score, found.trend],
    )
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
    experience = ranked(found.experience.parts, by_name=False)
    service = ranked(found.service.parts, by_name=False)
    heads = [part.driver.in_experience for part in experience]
    heads += [part.driver.in_service for part in service]
    _put_list(text, heads, experience + service)


def _put_churn_drivers(text: Text, found: Assessment) -> None:
    if found.churn_text:
        text.put(found.churn_text)
        return
    parts = found.churn_parts()
    _put_list(text, [part.driver.in_churn for part in parts], parts)


def _put_list(text: Text, heads: list[bytes], parts: list[Part]) -> None:
    text.put(b"[")
    if parts:
        heads[0] = heads[0][AFTER_OBJECT:]
        text.add(heads, [part.amount for part in parts])
        text.put(b"}")
    text.put(b"]")


def _put_last(text: Text, found: Assessment) -> None:
    felt = found.last_felt()
    if felt is None:
        text.put(b',"last_experience":null')
        return
    last, driver, points = felt
    text.add(
        [b',"last_experience":{"age_s":', b"".join([b',"driver":', driver.quoted, b',"points":'])],
        [found.at_s - last.at_s, points],
    )
    text.put(b"}")
