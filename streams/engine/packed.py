"""The two requests of a transaction where partitions join by themselves, packed by hand.

aiokafka takes its own apart field by field, by tables: a sixth of what a small transaction costs, and a batch
is copied four times more on its way.
"""

from collections.abc import Sequence
from io import BytesIO
from struct import Struct
from typing import Any, NamedTuple, Self

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    CompactArray,
    CompactString,
    Int32,
    Schema,
    TaggedFields,
    UnsignedVarInt32,
)

HEADER = Struct(">hhih")
ACKS = Struct(">hi")
NUMBER = Struct(">i")
TAKEN = Struct(">ihqqq")
END = Struct(">qh?")
ENDED = Struct(">ihqh")
TEXT = CompactString("utf-8")
NO_TAGS = b"\0"
"""Behind every structure there may be more fields; none are needed here."""
NO_TROUBLE = b"\1\0\0"
"""No record that was refused, no message, no tags."""
TROUBLE = Schema(
    ("record_errors", CompactArray(("batch_index", Int32), ("message", TEXT), ("tags", TaggedFields))),
    ("error_message", TEXT),
    ("tags", TaggedFields),
)


class Header(NamedTuple):
    """What stands before a request."""

    data: bytes

    def encode(self) -> bytes:
        """Return it as it goes over the wire."""
        return self.data


class Packed:
    """A request as it goes over the wire."""

    FLEXIBLE_VERSION = True
    SCHEMA = Schema()
    API_KEY: int
    API_VERSION: int

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def encode(self) -> bytes:
        """Return it whole."""
        return b"".join(self._parts)

    def build_request_header(self, correlation_id: int, client_id: str) -> Header:
        """Return the header for it."""
        name = client_id.encode()
        packed = HEADER.pack(self.API_KEY, self.API_VERSION, correlation_id, len(name))
        return Header(packed + name + NO_TAGS)


class ProduceResponseV12(Response):  # type: ignore[misc]  # aiokafka is untyped here
    """What became of each batch, in the shape that aiokafka's handler takes."""

    API_KEY = 0
    API_VERSION = 12
    SCHEMA = Schema()

    def __init__(self, topics: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]) -> None:
        self.topics = topics

    @classmethod
    def decode(cls, data: BytesIO) -> Self:
        """Read an answer; what stands behind the topics is of no use."""
        return cls([_read_topic(data) for _ in range(UnsignedVarInt32.decode(data) - 1)])


def _read_topic(data: BytesIO) -> tuple[str, list[tuple[Any, ...]]]:
    topic = TEXT.decode(data)
    found = [_read_partition(data) for _ in range(UnsignedVarInt32.decode(data) - 1)]
    TaggedFields.decode(data)
    return topic, found


def _read_partition(data: BytesIO) -> tuple[Any, ...]:
    """Return number, error, offset, timestamp, start of the log, refused records and message."""
    taken = TAKEN.unpack(data.read(TAKEN.size))
    if data.read(len(NO_TROUBLE)) == NO_TROUBLE:
        return (*taken, [], None)
    data.seek(-len(NO_TROUBLE), 1)
    refused, message, _ = TROUBLE.decode(data)
    return (*taken, refused, message)


class ProduceRequestV12(Packed, RequestStruct):  # type: ignore[misc]  # as above
    """The first version with which partitions join."""

    API_KEY = 0
    API_VERSION = 12
    RESPONSE_TYPE = ProduceResponseV12


class JoiningProduce(Request[ProduceRequestV12]):  # type: ignore[misc]  # as above
    """Sends what aiokafka's own request `stock` would."""

    API_KEY = 0

    def __init__(self, stock: Any) -> None:
        self.required_acks = stock.required_acks
        self._stock = stock

    def build(self, request_struct_class: type[ProduceRequestV12]) -> ProduceRequestV12:
        """Return the request as it goes over the wire."""
        stock = self._stock
        name, timeout_ms, topics = stock._transactional_id, stock._timeout, stock._topics  # noqa: SLF001  # it tells nobody
        parts = [TEXT.encode(name), ACKS.pack(stock.required_acks, timeout_ms), _counted(topics)]
        for topic, found in topics:
            parts += (TEXT.encode(topic), _counted(found))
            for number, data in found:
                parts += (NUMBER.pack(number), _counted(data), data, NO_TAGS)
            parts.append(NO_TAGS)
        return request_struct_class(*parts, NO_TAGS)


def _counted(items: Sequence[Any]) -> bytes:
    encoded: bytes = UnsignedVarInt32.encode(len(items) + 1)
    return encoded


class EndTxnResponseV5(Response):  # type: ignore[misc]  # as above
    """How it ended, and the id and epoch of the next transaction."""

    API_KEY = 26
    API_VERSION = 5
    SCHEMA = Schema()

    def __init__(self, error_code: int, producer_id: int, producer_epoch: int) -> None:
        self.error_code = error_code
        self.producer_id = producer_id
        self.producer_epoch = producer_epoch

    @classmethod
    def decode(cls, data: BytesIO) -> Self:
        """Read an answer."""
        _, *ended = ENDED.unpack(data.read(ENDED.size))
        return cls(*ended)


class EndTxnRequestV5(Packed, RequestStruct):  # type: ignore[misc]  # as above
    """The first version that brings a new epoch."""

    API_KEY = 26
    API_VERSION = 5
    RESPONSE_TYPE = EndTxnResponseV5


class RenewingEndTxn(Request[EndTxnRequestV5]):  # type: ignore[misc]  # as above
    """Ends a transaction."""

    API_KEY = 26

    def __init__(self, name: str, producer_id: int, producer_epoch: int, result: int) -> None:
        self._name = name
        self._values = (producer_id, producer_epoch, result)

    def build(self, request_struct_class: type[EndTxnRequestV5]) -> EndTxnRequestV5:
        """Return the request as it goes over the wire."""
        return request_struct_class(TEXT.encode(self._name), END.pack(*self._values), NO_TAGS)
