"""Transactions as Kafka 4 has them (KIP-890), which aiokafka does not know: two requests instead of three.

A partition joins the transaction with the first batch that it is sent, without a request of its own before;
and the answer to the commit brings a new epoch, under which batches are numbered from 0 again. A cluster has
it where its feature `transaction.version` is 2 or more.
"""
# ruff: noqa: SLF001  # the senders and handlers are aiokafka's, and so is what they hold

from collections.abc import Collection
from io import BytesIO
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import (
    BrokerResponseError,
    ConcurrentTransactions,
    KafkaError,
    ProducerFenced,
    kafka_errors,
)
from aiokafka.producer.sender import BACKOFF_OVERRIDE, EndTxnHandler, Sender, SendProduceReqHandler
from aiokafka.producer.transaction_manager import PidAndEpoch
from aiokafka.protocol.api import Request, RequestStruct, Response, ResponseHeader_v0
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

from streams.engine.packed import JoiningProduce, RenewingEndTxn

FEATURE, LEAST = "transaction.version", 2
FINALIZED = 2
"""The tag under which a broker tells the features that its cluster has agreed on."""
FENCED = 90
"""Error of a commit by a producer whose id another one has by now; aiokafka knows the older one alone."""
NO_PRODUCER = -1
TEXT = CompactString("utf-8")


class TransactionAbortableError(BrokerResponseError):  # type: ignore[misc]  # aiokafka is untyped here
    """Says that a transaction can only be aborted (KIP-890); aiokafka has no name for it."""

    errno = 120
    message = "TRANSACTION_ABORTABLE"
    description = "The transaction has to be aborted; its producer may go on."


kafka_errors[TransactionAbortableError.errno] = TransactionAbortableError


class FeaturesResponse(Response):  # type: ignore[misc]  # as above
    """ApiVersions v3, the first version that tells features."""

    API_KEY = 18
    API_VERSION = 3
    SCHEMA = Schema(
        ("error_code", Int16),
        (
            "api_versions",
            CompactArray(
                ("api_key", Int16), ("min_version", Int16), ("max_version", Int16), ("tags", TaggedFields)
            ),
        ),
        ("throttle_time_ms", Int32),
        ("tags", TaggedFields),
    )
    FEATURES = CompactArray(
        ("name", TEXT), ("max_level", Int16), ("min_level", Int16), ("tags", TaggedFields)
    )

    def level(self, feature: str) -> int:
        """Return the level that the cluster has agreed on, 0 where it has on none."""
        found = self.tags.get(FINALIZED)
        levels = self.FEATURES.decode(BytesIO(found)) if found else ()
        return max((highest for name, highest, _, _ in levels if name == feature), default=0)


class FeaturesRequestV3(RequestStruct):  # type: ignore[misc]  # as above
    """The request for `FeaturesResponse`."""

    FLEXIBLE_VERSION = True
    API_KEY = 18
    API_VERSION = 3
    RESPONSE_TYPE = FeaturesResponse
    SCHEMA = Schema(("software", TEXT), ("version", TEXT), ("tags", TaggedFields))

    def parse_response_header(self, read_buffer: Any) -> Any:
        """Read the header of old: a client that asks this does not know yet what the broker speaks."""
        return ResponseHeader_v0.decode(read_buffer)


class FeaturesRequest(Request[FeaturesRequestV3]):  # type: ignore[misc]  # as above
    """Asks a broker for the features of its cluster."""

    API_KEY = 18

    def build(self, request_struct_class: type[FeaturesRequestV3]) -> FeaturesRequestV3:
        """Return the request as it goes over the wire."""
        return request_struct_class("cx-signals", "1", {})


class JoiningProduceHandler(SendProduceReqHandler):  # type: ignore[misc]  # as above
    """Sends batches with which their partitions join."""

    def create_request(self) -> JoiningProduce:
        """Return the request for the batches."""
        return JoiningProduce(super().create_request())

    def handle_response(self, response: Any) -> None:
        """Keep what could not join yet, the last transaction is still being ended; the rest is stock's."""
        answered = []
        for topic, partitions in response.topics:
            for number, error_code, *_ in partitions:
                if error_code == ConcurrentTransactions.errno:
                    self._default_backoff = BACKOFF_OVERRIDE
                    self._to_reenqueue.append(self._batches[TopicPartition(topic, number)])
            answered.append((topic, [each for each in partitions if each[1] != ConcurrentTransactions.errno]))
        response.topics = answered
        super().handle_response(response)


class RenewingEndTxnHandler(EndTxnHandler):  # type: ignore[misc]  # as above
    """Ends a transaction and takes what the next one is written under."""

    def create_request(self) -> RenewingEndTxn:
        """Return the request that ends the transaction."""
        manager = self._sender._txn_manager
        return RenewingEndTxn(
            manager.transactional_id, manager.producer_id, manager.producer_epoch, self._commit_result
        )

    def handle_response(self, resp: Any) -> float | None:
        """Return after how many seconds to ask again, None where it is ended."""
        if resp.error_code == FENCED:
            raise ProducerFenced
        pause_s: float | None = super().handle_response(resp)
        if pause_s is None and resp.producer_id != NO_PRODUCER:
            manager = self._sender._txn_manager
            manager._pid_and_epoch = PidAndEpoch(resp.producer_id, resp.producer_epoch)
            manager._sequence_numbers.clear()
        return pause_s


class ImplicitSender(Sender):  # type: ignore[misc]  # as above
    """aiokafka's steps of a transaction where partitions join by themselves."""

    async def _do_add_partitions_to_txn(self, tps: Collection[TopicPartition]) -> None:
        for tp in tuple(tps):
            self._txn_manager.partition_added(tp)

    async def _do_txn_commit(self, commit_result: Any) -> None:
        node = await self._find_coordinator(CoordinationType.TRANSACTION, self._txn_manager.transactional_id)
        await RenewingEndTxnHandler(self, commit_result).do(node)


async def joins_implicitly(sender: Any) -> bool:
    """Tell whether the cluster has such transactions; without an answer it is asked as of old."""
    node = await sender._find_coordinator(CoordinationType.TRANSACTION, sender._txn_manager.transactional_id)
    try:
        response = await sender.client.send(node, FeaturesRequest(), group=ConnectionGroup.COORDINATION)
    except (KafkaError, NotImplementedError):
        return False
    return bool(response.error_code == 0 and response.level(FEATURE) >= LEAST)
