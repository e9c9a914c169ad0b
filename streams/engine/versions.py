"""The versions whose insides the engine overrides, and a check that they are still as they were.

An override of a method that an upgrade renamed would simply never be called: records would be acked and
committed by stock code again. So a worker refuses to start where a seam has moved.
"""

import inspect
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from aiokafka.producer.sender import EndTxnHandler, Sender, SendProduceReqHandler
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.produce import ProduceRequest
from faust import App, Monitor, Schema, Table
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver

from streams.errors import CxError, Exit

CHECKED = {
    "faust-streaming": ("0.15.3",),
    "mode-streaming": ("0.7.1",),
    "aiokafka": ("0.14.0",),
}
"""Versions that every fault test was run on; another one of the same series is told from its seams alone."""

SEAMS: dict[Any, dict[str, str]] = {
    driver.Consumer: {
        "_new_consumer_thread": "self",
        "_drain_messages": "self, fetcher",
        "wait_first": "self, coros, timeout",
        "getmany": "self, timeout",
        "_wait_next_records": "self, timeout",
        "_getmany": "self, active_partitions, timeout",
        "_get_active_partitions": "self",
        "on_buffer_drop": "self, tp",
        "resume_partitions": "self, tps",
        "_filter_tps_with_pending_acks": "self, topics",
        "_new_offset": "self, tp",
        "_commit_offsets": "self, offsets, start_new_transaction",
        "_commit": "self, offsets",
        "on_partitions_revoked": "self, revoked",
        "wait_empty": "self",
        "on_stop": "self",
        "force_commit": "self, topics, start_new_transaction",
        "stop_flow": "self",
        "resume_flow": "self",
    },
    driver.AIOKafkaConsumerThread: {
        "_create_worker_consumer": "self, transport",
        "getmany": "self, active_partitions, timeout",
        "_fetch_records": "self, consumer, active_partitions, timeout, max_records",
        "_commit": "self, offsets",
        "verify_event_path": "self, now, tp",
        "on_start": "self",
        "call_thread": "self, fun, args, kwargs",
        "assignment": "self",
        "_ensure_consumer": "self",
    },
    driver.Producer: {
        "on_start": "self",
        "_settings_auth": "self",
        "_settings_extra": "self",
    },
    TableManager: {
        "recovery": "",
        "on_start": "self",
        "_update_channels": "self",
    },
    Recovery: {
        "_slurp_changelogs": "",
        "_restart_recovery": "",
        "_wait": "self, coro, timeout",
        "_set_recovery_started": "self",
        "_set_recovery_ended": "self",
        "_is_changelog_tp": "self, tp",
        "signal_recovery_start": "",
    },
    Schema: {
        "compile": "self, app, on_key_decode_error, on_value_decode_error, default_propagate",
    },
    Table: {
        "on_key_set": "self, key, value",
        "on_key_del": "self, key",
    },
    Monitor: {
        "on_stream_event_in": "self, tp, offset, stream, event",
        "on_stream_event_out": "self, tp, offset, stream, event, state",
    },
    App: {
        "on_rebalance_end": "self",
        "create_event": "self, key, value, headers, message",
    },
    Fetcher: {
        "_proc_fetch_request": "self, assignment, node_id, request",
        "fetched_records": "self, partitions, timeout, max_records",
        "seek_to": "self, tp, offset",
    },
    FetchResult: {
        "__init__": "self, tp, assignment, partition_records, backoff",
        "getall": "self, max_records",
        "has_more": "self",
    },
    PartitionRecords: {
        "__iter__": "self",
        "__next__": "self",
        "_unpack_records": "self",
        "_consumer_record": "self, tp, record",
    },
    GroupCoordinator: {
        "_do_heartbeat": "self",
        "_do_rejoin_group": "self, subscription",
    },
    AIOKafkaProducer: {
        "start": "self",
        "stop": "self",
    },
    TransactionManager: {
        "begin_transaction": "self",
        "partitions_to_add": "self",
        "committing_transaction": "self",
        "needs_transaction_commit": "self",
        "partition_added": "self, tp",
        "is_in_transaction": "self",
        "wait_for_transaction_end": "self",
    },
    MessageAccumulator: {
        "_append_batch": "self, builder, tp",
        "drain_by_nodes": "self, ignore_nodes, muted_partitions",
        "reenqueue": "self, batch",
    },
    Sender: {
        "_maybe_wait_for_pid": "self",
        "_do_add_partitions_to_txn": "self, tps",
        "_do_txn_commit": "self, commit_result",
        "_find_coordinator": "self, coordinator_type, coordinator_key",
    },
    SendProduceReqHandler: {
        "__init__": "self, sender, batches",
        "do": "self, node_id",
        "create_request": "self",
        "handle_response": "self, response",
    },
    EndTxnHandler: {
        "do": "self, node_id",
        "create_request": "self",
        "handle_response": "self, resp",
    },
    ProduceRequest: {
        "__init__": "self, transactional_id, required_acks, timeout, topics",
    },
    BatchBuilder: {
        "append": "self, timestamp, key, value, headers",
        "__init__": "self, batch_size, compression_type, is_transactional, key_serializer, value_serializer",
        "close": "self",
        "record_count": "self",
    },
    AIOKafkaConnection: {
        "send": "self, request, expect_response",
        "close": "self, reason, exc",
    },
    AIOKafkaClient: {
        "set_topics": "self, topics",
        "get_random_node": "self",
        "send": "self, node_id, request, group",
        "bootstrap": "self",
        "close": "self",
        "force_metadata_update": "self",
        "_wait_on_metadata": "self, topic",
    },
}
"""What is overridden or called from inside, with its parameters; empty where it is no function."""


def check_seams() -> None:
    """Raise `CxError` naming every seam that is not as the engine was written for."""
    if moved := list(moved_seams()):
        msg = "the engine overrides parts of Faust and aiokafka that have moved: " + "; ".join(moved)
        wanted = " ".join(f"{name}=={seen[-1]}" for name, seen in CHECKED.items())
        raise CxError(msg, mend=f"pip install {wanted}", code=Exit.ENVIRONMENT)


def moved_seams() -> Iterator[str]:
    """Yield each seam that is gone or has another signature, in words."""
    for owner, names in SEAMS.items():
        for name, parameters in names.items():
            found = inspect.getattr_static(owner, name, None)
            if found is None:
                yield f"{owner.__name__}.{name} is gone"
            elif parameters and _parameters(found) != parameters:
                yield f"{owner.__name__}.{name}({_parameters(found)}), expected ({parameters})"


def installed() -> dict[str, str]:
    """Return the installed version of each package whose insides are overridden."""
    return {name: version(name) for name in CHECKED}


def _parameters(function: Any) -> str:
    return ", ".join(inspect.signature(inspect.unwrap(function)).parameters)
