"""The producer of a partition's transactions: aiokafka's requests, one after another in the task that writes.

Stock hands each request to a task of its own, and a further task waits for these and for whatever else may
happen: that costs a small transaction as much as a request. What is asked for and in which order, how batches
are numbered, and what is tried again after which answer are stock's.
"""
# ruff: noqa: SLF001  # a producer of ours is its own inside

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerClosed
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.producer.sender import SendProduceReqHandler

from streams.engine.implicit import ImplicitSender, JoiningProduceHandler, joins_implicitly


class LaneWriter(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka is untyped
    """Writes transactions, one at a time; after one that failed it is good for being stopped alone."""

    _produce: type[SendProduceReqHandler] = SendProduceReqHandler

    async def start(self) -> None:
        """Connect, and get an id, which fences whoever wrote before. Stock starts its tasks as well."""
        await self.client.bootstrap()
        await self._sender._maybe_wait_for_pid()
        if await joins_implicitly(self._sender):
            self._sender.__class__ = ImplicitSender
            self._produce = JoiningProduceHandler

    async def stop(self) -> None:
        """Close the connections. Stock waits for what was not sent; here nobody would send it any more."""
        self._closed = True
        await self.client.close()

    async def transact(self, batches: Iterable[tuple[TopicPartition, BatchBuilder]]) -> None:
        """Write `batches`, at least one, in a transaction and commit it.

        The second of a partition is asked for once the first was acknowledged. Raises `KafkaError` where the
        transaction was not committed, or nobody can tell.
        """
        self._txn_manager.begin_transaction()
        waiting, sent = self._message_accumulator, []
        for tp, batch in batches:
            await self.client._wait_on_metadata(tp.topic)
            while tp in waiting._batches:
                await self._send_waiting()
            sent.append(waiting._append_batch(batch, tp).future)
        while waiting._batches:
            await self._send_waiting()
        # Mostly all were taken: no turn of the loop then.
        await asyncio.gather(*(each for each in sent if not each.done() or each.exception()))
        self._txn_manager.committing_transaction()
        while (result := self._txn_manager.needs_transaction_commit()) is not None:
            self._check_open()
            await self._sender._do_txn_commit(result)

    async def _send_waiting(self) -> None:
        """Send the next batch of each partition, to each broker in one request.

        Stock's steps end without an error, after a pause, where a broker is to be asked again: what it did
        not take waits again.
        """
        self._check_open()
        while partitions := self._txn_manager.partitions_to_add():
            await self._sender._do_add_partitions_to_txn(partitions)
            self._check_open()
        # A broker of before 3.6 takes a batch whose partition was refused, and the next commit would show it.
        if not self._txn_manager.is_in_transaction():
            self._txn_manager.wait_for_transaction_end().result()
        by_node, leaderless = self._message_accumulator.drain_by_nodes(())
        sending = [self._produce(self._sender, found).do(node) for node, found in by_node.items()]
        await (sending[0] if len(sending) == 1 else asyncio.gather(*sending))
        if leaderless:
            await self.client.force_metadata_update()
            await asyncio.sleep(self._sender._retry_backoff)

    def _check_open(self) -> None:
        """Ask nothing more of a producer that was stopped: it would connect again."""
        if self._closed:
            raise ProducerClosed
