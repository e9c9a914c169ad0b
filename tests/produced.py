"""The requests of a transaction in which partitions join by themselves, by aiokafka's tables."""

from aiokafka.protocol.types import (
    CompactArray,
    CompactBytes,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

SPOKEN = {0: (3, 13), 18: (0, 4), 26: (0, 5)}
"""Versions of requests that a broker of today speaks."""
TEXT = CompactString("utf-8")
JOINING = Schema(
    ("transactional_id", TEXT),
    ("required_acks", Int16),
    ("timeout", Int32),
    (
        "topics",
        CompactArray(
            ("topic", TEXT),
            (
                "partitions",
                CompactArray(("partition", Int32), ("messages", CompactBytes), ("tags", TaggedFields)),
            ),
            ("tags", TaggedFields),
        ),
    ),
    ("tags", TaggedFields),
)
"""The fields of a produce request with which partitions join, as aiokafka tells such."""
JOINED = Schema(
    (
        "topics",
        CompactArray(
            ("topic", TEXT),
            (
                "partitions",
                CompactArray(
                    ("partition", Int32),
                    ("error_code", Int16),
                    ("offset", Int64),
                    ("timestamp", Int64),
                    ("log_start_offset", Int64),
                    (
                        "record_errors",
                        CompactArray(("batch_index", Int32), ("message", TEXT), ("tags", TaggedFields)),
                    ),
                    ("error_message", TEXT),
                    ("tags", TaggedFields),
                ),
            ),
            ("tags", TaggedFields),
        ),
    ),
    ("throttle_time_ms", Int32),
    ("tags", TaggedFields),
)
"""Those of the answer."""
