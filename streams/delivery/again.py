"""Dead letters of the delivery, sent once more: after the receiver was mended, or the routes were."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Final

from aiokafka import TopicPartition

from schemas.deliveries import Settlement
from schemas.times import at_time
from streams.delivery.alert import decode, trace_headers
from streams.delivery.book import DEAD_REASON, KafkaBook, settlement_of
from streams.delivery.client import Answer, Client, Result
from streams.delivery.log import partitions_of, reader, records
from streams.delivery.payload import body_of
from streams.delivery.receivers import Receiver
from streams.delivery.routes import Routes
from streams.delivery.signing import sign
from streams.observe.deadletters import DeadLetter, Filter, read
from streams.settings import Settings
from streams.topics import DELIVERY

REASONS: Final = frozenset(DEAD_REASON + each for each in ("expired", "refused", "gone"))
FAILURES: Final = 5
"""Failures of a receiver in a row after which its other letters are left for another time."""


async def deliver_again(
    settings: Settings,
    *,
    routes: Routes,
    receivers: Mapping[str, Receiver],
    client: Client,
    since_ms: int = 0,
) -> Counter[str]:
    """Send each dead letter of the delivery once, with its old id, to where the routes send it now.

    Returns the numbers of those `accepted`, `failed`, `left` (their receiver fails, or no route leads to one)
    and `before` (accepted before). A second run sends what was not accepted.
    """
    accepted = await _accepted(settings)
    found: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    async with KafkaBook(settings) as book:
        async for letter in read(settings, Filter(REASONS, since_ms)):
            message_id = letter.said("cx-message-id")
            name = routes.endpoint_of(decode(letter.value or b""))
            if message_id in accepted:
                found["before"] += 1
                continue
            if name not in receivers or failures[name] >= FAILURES:
                found["left"] += 1
                continue
            answer = await _post(client, receivers[name], message_id, letter)
            if answer.result is not Result.ACCEPTED:
                found["failed"] += 1
                failures[name] += 1
                continue
            failures[name] = 0
            found["accepted"] += 1
            accepted.add(message_id)
            await book.settle(int(letter.said("cx-partition")), _settlement(letter, name, answer))
    return found


async def _accepted(settings: Settings) -> set[str]:
    """Return the ids of all messages that a receiver has accepted."""
    topic = settings.topic_prefix + DELIVERY.name
    endings: dict[str, str] = {}
    async with reader(settings) as consumer:
        for number in range(await partitions_of(settings, topic)):
            async for record in records(consumer, TopicPartition(topic, number)):
                if (settlement := settlement_of(record.value)) is not None:
                    endings[settlement.message_id] = settlement.ending
    return {message_id for message_id, ending in endings.items() if ending == "accepted"}


async def _post(client: Client, receiver: Receiver, message_id: str, letter: DeadLetter) -> Answer:
    value = letter.value or b""
    body = body_of(receiver.endpoint.format, decode(value), value)
    headers = sign(message_id, int(time.time()), body, receiver.keys) | trace_headers(letter)
    return await client.post(receiver, headers, body)


def _settlement(letter: DeadLetter, name: str, answer: Answer) -> Settlement:
    alert = decode(letter.value or b"")
    return Settlement(
        message_id=letter.said("cx-message-id"),
        alert_id=alert.alert_id,
        step=alert.step,
        endpoint=name,
        ending="accepted",
        at=at_time(time.time()),
        attempts=1,
        status=answer.status,
    )
