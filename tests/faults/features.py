"""The feature of a cluster that says how transactions are written: changed as `kafka-features.sh` does."""

import asyncio
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, Int8, Int16, Int32, Schema, TaggedFields

from streams.engine.implicit import FEATURE, TEXT, FeaturesRequest

RAISE, LOWER = 1, 3
"""Kinds of a change; the one that lowers may lose metadata."""
TIMEOUT_MS = 20_000
POLL_S = 0.05


class UpdateResponse(Response):  # type: ignore[misc]  # aiokafka is untyped here
    """What became of the change."""

    API_KEY = 57
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", TEXT),
        (
            "results",
            CompactArray(("feature", TEXT), ("error_code", Int16), ("message", TEXT), ("tags", TaggedFields)),
        ),
        ("tags", TaggedFields),
    )


class UpdateRequestV1(RequestStruct):  # type: ignore[misc]  # as above
    """UpdateFeatures, the first version that knows kinds."""

    FLEXIBLE_VERSION = True
    API_KEY = 57
    API_VERSION = 1
    RESPONSE_TYPE = UpdateResponse
    SCHEMA = Schema(
        ("timeout_ms", Int32),
        (
            "updates",
            CompactArray(("feature", TEXT), ("level", Int16), ("kind", Int8), ("tags", TaggedFields)),
        ),
        ("validate_only", Boolean),
        ("tags", TaggedFields),
    )


class UpdateRequest(Request[UpdateRequestV1]):  # type: ignore[misc]  # as above
    """Asks for a level."""

    API_KEY = 57

    def __init__(self, level: int, kind: int) -> None:
        self._change: Any = [(FEATURE, level, kind, {})]

    def build(self, request_struct_class: type[UpdateRequestV1]) -> UpdateRequestV1:
        """Return the request as it goes over the wire."""
        return request_struct_class(timeout_ms=TIMEOUT_MS, updates=self._change, validate_only=False, tags={})


async def write_transactions(bootstrap: str, level: int) -> None:
    """Return once the cluster writes transactions by `level`."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        now = await _level(client)
        if now != level:
            kind = RAISE if level > now else LOWER
            done = await client.send(client.get_random_node(), UpdateRequest(level, kind))
            assert done.error_code == 0, done
        while now != level:
            await asyncio.sleep(POLL_S)
            now = await _level(client)
    finally:
        await client.close()


async def _level(client: AIOKafkaClient) -> int:
    told = await client.send(client.get_random_node(), FeaturesRequest())
    found: int = told.level(FEATURE)
    return found
