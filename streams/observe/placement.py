"""Where a customer belongs, and a word about producers that put records elsewhere.

librdkafka's default partitioner (crc32) sends the same customer to another partition than Kafka's own
producers do: two producers of one company would split a customer in two, silently.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from aiokafka.partitioner import murmur2

log = logging.getLogger(__name__)

CHECKED_ROWS: Final = 8
"""New customers looked at in each unit of work: hashing every one would cost more than it tells."""
REMIND_S: Final = 300.0
MEND: Final = "set partitioner=murmur2_random in the librdkafka producers (confluent-kafka, Go, Node, C#)"


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of `key` by Kafka's default partitioner."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


class PlacementWarnings:
    """Says that a topic has misplaced customers: once, then every five minutes while it goes on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_s: dict[str, float] = {}

    def warn(self, misplaced: Mapping[str, int]) -> None:
        """Hear how many misplaced customers were found, by topic."""
        now_s = self._clock()
        for topic, count in misplaced.items():
            said_s = self._said_s.get(topic)
            if count and (said_s is None or now_s - said_s >= REMIND_S):
                self._said_s[topic] = now_s
                log.warning(
                    "%s: a producer does not use Kafka's default partitioner, its customers are split over "
                    "partitions; %s",
                    topic,
                    MEND,
                )
