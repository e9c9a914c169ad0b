"""`cx forget` on a real Kafka: off the disks, and never back."""

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from aiokafka.admin import NewTopic
from click.testing import CliRunner, Result

from streams.admin import admin_client, wait_for_leaders
from streams.cli.forget import forget
from streams.cli.rebuild import rebuild_command
from streams.settings import Settings
from streams.topics import ALERTS, COMPACTED, DEAD_LETTERS, SCORES, TOPICS, WEB
from tests.live_worker import LiveWorker, Sent, read_topic, send, until

pytestmark = pytest.mark.kafka
GONE = "customer-who-wants-to-be-forgotten"
QUICK = {
    "segment.ms": "300",
    "min.compaction.lag.ms": "0",
    "max.compaction.lag.ms": "300",
    "min.cleanable.dirty.ratio": "0.001",
    "delete.retention.ms": "0",
    "file.delete.delay.ms": "0",
}


class Shop:
    """An application of one partition whose topics are compacted all the time."""

    def __init__(self, kafka: str, prefix: str, folder: Path, data: Path) -> None:
        self.kafka, self.prefix, self.data = kafka, prefix, data
        self.changelog = f"{prefix}cx-customers-changelog"
        self.covered = (self.changelog, prefix + SCORES.name, prefix + ALERTS.name)
        key = folder / "forget.key"
        key.write_text("0123456789abcdef" * 4)
        self.other_key = folder / "other.key"
        self.other_key.write_text("f" * 64)
        self.settings = {"CX_FORGET_KEY_FILE": str(key)}
        self.worker = LiveWorker(kafka, prefix, folder, **self.settings)
        self._sent = 0
        asyncio.run(self._make())

    async def _make(self) -> None:
        wanted = {self.prefix + topic.name: topic.config for topic in TOPICS} | {self.changelog: COMPACTED}
        async with admin_client(Settings(bootstrap_servers=self.kafka)) as admin:
            response = await admin.create_topics(
                [NewTopic(name, 1, 1, topic_configs=_quick(config)) for name, config in wanted.items()]
            )
            assert not any(code for _, code, _ in response.topic_errors), response.topic_errors
            await wait_for_leaders(admin, list(wanted))

    def complains(self, customer: str, times: int = 3) -> None:
        """Send complaints of the last hours: they make a row, a score and an alert."""
        records = []
        for _ in range(times):
            self._sent += 1
            event = {
                "specversion": "1.0",
                "id": f"e{self._sent}",
                "source": "/test",
                "type": "cx.complaint.raised.v1",
                "time": (datetime.now(UTC) - timedelta(minutes=times)).isoformat(),
                "subject": customer,
                "data": {},
            }
            records.append(Sent(self.prefix + WEB.name, customer.encode(), json.dumps(event).encode()))
        send(self.kafka, records)

    def keys(self, topic: str) -> list[Any]:
        """Return the keys and values on a topic that speak of the customer."""
        return [
            record
            for record in read_topic(self.kafka, topic)
            if GONE.encode() in (record.key or b"") + (record.value or b"")
        ]

    def on_disk(self) -> list[str]:
        """Return the files of the covered topics in which the customer's id can be read."""
        return [
            str(file)
            for topic in self.covered
            for folder in self.data.glob(f"{topic}-*")
            for file in folder.iterdir()
            if GONE.encode() in _bytes(file)
        ]

    def suppressed(self) -> float:
        """Return how many records were suppressed, by the markers."""
        return self.worker.metrics("cx_records_total", "outcome").get(("suppressed",), 0.0)

    def cx(self, command: click.Command, *arguments: str, **env: str) -> Result:
        """Run a command of `cx` on this application."""
        where = ["--bootstrap-servers", self.kafka, "--topic-prefix", self.prefix]
        where += ["--app-id", f"{self.prefix}cx"]
        return CliRunner(env={**self.settings, **env}).invoke(command, [*arguments, *where])

    def forget(self, *arguments: str, other_key: bool = False) -> Result:
        """Run `cx forget` for the customer, with the worker's key or another one."""
        env = {"CX_FORGET_KEY_FILE": str(self.other_key)} if other_key else {}
        return self.cx(forget, GONE, "--yes", *arguments, **env)


def _quick(config: dict[str, str]) -> dict[str, str]:
    return config | QUICK if "compact" in config.get("cleanup.policy", "") else config


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # the cleaner has just replaced it
        return b""


@pytest.fixture
def shop(
    kafka: str, topic_prefix: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """Return an application with a worker; needs the disks of the broker."""
    if "CX_TEST_KAFKA" in os.environ:
        pytest.skip("the disks of the Kafka that was given cannot be read")
    made = Shop(kafka, topic_prefix, tmp_path, next(tmp_path_factory.getbasetemp().glob("kafka*/data")))
    made.worker.start()
    yield made
    made.worker.stop()


def test_a_forgotten_customer_is_on_no_disk_and_never_comes_back(shop: Shop):
    """Row, score and alerts leave every segment; later and older events are suppressed, in a rebuild too."""
    shop.complains(GONE)
    for topic in shop.covered:
        until(lambda topic=topic: shop.keys(topic), f"the customer on {topic}")
    assert shop.on_disk()

    refused = shop.forget(other_key=True)
    assert "the worker rejected the request" in str(refused.exception)
    assert shop.worker.get(f"/customers/{GONE}")[0] == 200

    result = shop.forget("--json")
    assert result.exit_code == 0, result.output
    receipt = json.loads(result.stdout)
    assert (receipt["customer_id"], receipt["alerts"] > 0, receipt["known"]) == (GONE, True, True)
    assert [each["topic"] for each in receipt["erased"]] == list(shop.covered)
    assert all(each["gone_by"] for each in (*receipt["erased"], *receipt["expires"]))

    def compacted() -> bool:
        # Segments are closed by the next write: other customers go on.
        shop.complains(f"other-{len(read_topic(shop.kafka, shop.prefix + WEB.name))}")
        return not shop.on_disk()

    until(compacted, "compaction")

    shop.complains(GONE)
    send(shop.kafka, [Sent(shop.prefix + WEB.name, GONE.encode(), b"not even JSON")])
    until(lambda: shop.suppressed() == 4, "suppression")
    letters = shop.keys(shop.prefix + DEAD_LETTERS.name)
    assert [dict(each.headers)["cx-reason"] for each in letters] == [b"forget_key"]
    assert shop.worker.get(f"/customers/{GONE}")[0] == 404
    shop.worker.stop()
    assert shop.cx(rebuild_command, "--yes").exit_code == 0
    shop.worker.start()
    assert shop.worker.get(f"/customers/{GONE}")[0] == 404
    before = shop.suppressed()
    assert json.loads(shop.cx(forget, "nobody", "--yes", "--json").stdout)["known"] is False
    assert json.loads(shop.forget("--json").stdout)["known"] is False  # nothing is kept of whom it forgot
    assert before >= 7  # those of before the request too: the replay began at the first record
    shop.complains(GONE, 1)
    until(lambda: shop.suppressed() == before + 1, "suppression")
    assert not shop.on_disk()
