"""An event as it came in, its envelope read once."""

from datetime import datetime  # noqa: TC003  # an attribute of a compiled class
from typing import Any, Final, final

import msgspec
from mypy_extensions import mypyc_attr

from schemas.envelope import Touchpoint

_fields_of: Final = msgspec.structs.astuple
# Where they stand in the envelope of every type.
_ID: Final = 1
_SOURCE: Final = 2
_TIME: Final = 3
_SUBJECT: Final = 4
_DATA: Final = 5
_CHANNEL: Final = 6


@final
@mypyc_attr(acyclic=True)
class Arrival:
    """An event beside what everybody asks of it.

    To read an attribute of a Struct takes as long as to look something up in a dict, and all of them together
    take as long as two.
    """

    __slots__ = ("channel", "data", "event", "id", "key", "kind", "source", "subject", "time")

    def __init__(self, event: Touchpoint, key: bytes | None = None) -> None:
        self.event = event
        self.key = key
        """Of the record that it came in."""
        self.kind = type(event)
        fields = _fields_of(event)
        self.id: str = fields[_ID]
        self.source: str = fields[_SOURCE]
        self.time: datetime = fields[_TIME]
        self.subject: str | None = fields[_SUBJECT]
        self.data: Any = fields[_DATA]
        self.channel: str | None = fields[_CHANNEL]
        """As the event says it."""
