"""The one request that aiokafka lacks: metadata with topic ids, which never creates a topic.

aiokafka's own metadata request lets the broker create a topic that is asked for: a changelog made like that
is not compacted and loses customers.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from time import monotonic
from typing import Any

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

NO_ID = bytes(16)
SPREAD_S = 2.0
"""For so long a node of a cluster may not have heard of a topic that another one has made."""
POLL_S = 0.1


class Uuid(AbstractType[bytes]):  # type: ignore[misc]  # aiokafka is untyped here
    """Sixteen bytes of the protocol, which aiokafka has no type for."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """Return the bytes."""
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        """Read sixteen bytes."""
        return data.read(16)


class TopicsResponse(Response):  # type: ignore[misc]  # as above
    """Metadata v11, the first version whose request may leave out the cluster's operations."""

    API_KEY = 3
    API_VERSION = 11
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class TopicsRequestV11(RequestStruct):  # type: ignore[misc]  # as above
    """The request for `TopicsResponse`."""

    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 11
    RESPONSE_TYPE = TopicsResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicsRequest(Request[TopicsRequestV11]):  # type: ignore[misc]  # as above
    """Asks for topics by name, never creating one."""

    API_KEY = 3

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[TopicsRequestV11]) -> TopicsRequestV11:
        """Return the request as it goes over the wire."""
        topics: Any = [(NO_ID, name, {}) for name in self._topics]
        return request_struct_class(topics, False, False, {})  # noqa: FBT003  # fields of the wire format


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic that exists; `topic_id` is in hex, empty where the broker knows none (before 2.8)."""

    partitions: int
    topic_id: str


async def describe(
    connected: Any, topics: Collection[str], *, wait_s: float = 0.0
) -> Mapping[str, TopicInfo]:
    """Return those of `topics` that exist. `connected` is a consumer or an admin client.

    Any node may answer, and each hears of a new topic at a time of its own: what is missing is asked for
    again for `wait_s`, such as `SPREAD_S`.
    """
    deadline = monotonic() + wait_s
    while True:
        found = await _describe(connected, topics)
        if len(found) == len(set(topics)) or monotonic() >= deadline:
            return found
        await asyncio.sleep(POLL_S)


async def _describe(connected: Any, topics: Collection[str]) -> Mapping[str, TopicInfo]:
    client = connected._client  # noqa: SLF001  # the connections of our own clients
    node = client.get_random_node()
    try:
        response = await client.send(node, TopicsRequest(topics))
    except (IncompatibleBrokerVersion, NotImplementedError):
        response = await client.send(node, MetadataRequest(list(topics), allow_auto_topic_creation=False))
    found = (each for each in response.to_object()["topics"] if not each["error_code"])
    return {
        each.get("name") or each["topic"]: TopicInfo(len(each["partitions"]), _hex(each.get("topic_id")))
        for each in found
    }


def _hex(topic_id: bytes | None) -> str:
    return topic_id.hex() if topic_id and topic_id != NO_ID else ""
