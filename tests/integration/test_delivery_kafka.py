"""`cx deliver` on a real Kafka: killed, paused, shared, and what it leaves behind."""

import asyncio
import dataclasses
import json
import os
import signal
import sys
import time
import urllib.request
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from click.testing import CliRunner

from schemas.deliveries import Settlement
from streams.admin import admin_client, ensure_topics
from streams.cli.deadletters import deadletters
from streams.cli.deliver import deliver
from streams.delivery import again, courier, service
from streams.delivery.book import KafkaBook
from streams.delivery.client import HttpClient
from streams.delivery.courier import Shared
from streams.delivery.figures import Figures
from streams.delivery.log import writer
from streams.delivery.pauses import pause, read_pauses, resume
from streams.delivery.receivers import read_receivers
from streams.delivery.routes import load_routes
from streams.delivery.service import Delivery
from streams.errors import CxError
from streams.observe.doctor_delivery import delivery
from streams.observe.findings import Finding, Status
from streams.settings import Settings
from streams.topics import ALERTS, DEAD_LETTERS, DELIVERY
from tests.delivering import SECRET, alert_bytes, receiving
from tests.live_worker import read_topic

pytestmark = pytest.mark.kafka

PARTITIONS = 2
AT_ONCE = 4
WAIT_S = 30.0
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass
class Place:
    """Topics of one prefix, a receiver, and the files that a delivery is run with."""

    settings: Settings
    folder: Path
    status: int = 204
    takes_s: float = 0.0
    ids: list[str] = field(default_factory=list)
    """The webhook-id of each message that was accepted, in the order of arrival."""
    traces: set[str | None] = field(default_factory=set)
    """The different contexts that accepted messages came with."""
    running: "asyncio.Future[None] | None" = None
    """The last delivery in this process."""

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one message."""
        await request.read()
        await asyncio.sleep(self.takes_s)  # the time that a receiver takes is what kills are to fall into
        if self.status < 300:
            self.ids.append(request.headers["webhook-id"])
            self.traces.add(request.headers.get("traceparent"))
        return web.Response(status=self.status)

    def name(self, topic: str) -> str:
        """Return a topic with its prefix."""
        return self.settings.topic_prefix + topic

    def read(self, topic: str) -> list[Any]:
        """Return what lies on a topic."""
        return read_topic(self.settings.bootstrap_servers, self.name(topic))

    async def settled(self) -> dict[str, Settlement]:
        """Return the endings by message id."""
        records = await asyncio.to_thread(self.read, DELIVERY.name)
        found = [each for each in records if each.key != b"pauses"]
        return {each.key.decode(): msgspec.json.decode(each.value, type=Settlement) for each in found}

    async def announce(self, *numbers: int, age_s: float = 0.0) -> None:
        """Publish announced alerts, one of each number, with a step that is none between them."""
        at_ms = int((time.time() - age_s) * 1000)
        async with writer(self.settings) as producer:
            for number in numbers:
                for changes in ({}, {"step": "opened", "announced": False}):
                    value = alert_bytes(alert_id=f"a{number}", **changes)
                    await producer.send(
                        self.name(ALERTS.name),
                        value,
                        f"a{number}".encode(),
                        partition=number % PARTITIONS,
                        timestamp_ms=at_ms,
                        headers=[("traceparent", TRACE.encode())],
                    )
            await producer.flush()

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a `cx deliver` of this place."""
        ours = {
            "CX_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "CX_TOPIC_PREFIX": self.settings.topic_prefix,
            "CX_APP_ID": self.settings.app_id,
            "CX_SESSION_TIMEOUT_S": "6",
            "CX_HEARTBEAT_INTERVAL_S": "1",
            "CX_DELIVER_METRICS_PORT": "0",
            "CX_ROUTES": str(self.folder / "routes.toml"),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        return {**os.environ, **ours}

    async def start(self, *arguments: str, static_id: str = "") -> Process:
        """Start `cx deliver` as a process; with a static id it need not wait for one that was killed."""
        command = ("nice", sys.executable, "-m", "streams.cli.main", "deliver", *arguments)
        with (self.folder / "err").open("ab") as err:
            return await asyncio.create_subprocess_exec(
                *command, env={**self.environment, "CX_STATIC_ID": static_id}, stderr=err
            )

    async def again(self, *, failures: int = 5, since_ms: int = 0) -> dict[str, int]:
        """Send the dead letters again."""
        routes = load_routes(self.folder / "routes.toml")
        receivers = read_receivers(routes, self.folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(again, "FAILURES", failures)
            async with HttpClient(time.time) as client:
                found = await again.deliver_again(
                    self.settings, routes=routes, receivers=receivers, client=client, since_ms=since_ms
                )
        return dict(found)

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run `cx deliver` in this process; return exit code and output."""
        ours = {name: text for name, text in self.environment.items() if name.startswith("CX_")}
        result = await asyncio.to_thread(CliRunner(env=ours).invoke, deliver, arguments)
        return result.exit_code, result.output

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[Delivery]:
        """Deliver in this process while the block runs."""
        routes = load_routes(self.folder / "routes.toml")
        receivers = read_receivers(routes, self.folder)
        async with HttpClient(time.time) as client, KafkaBook(self.settings) as book:
            shared = Shared(client=client, figures=Figures(receivers))
            delivery = Delivery(self.settings, routes=routes, receivers=receivers, shared=shared, book=book)
            self.running = running = asyncio.ensure_future(delivery.run())
            try:
                await until(lambda: delivery.health.partitions or running.done(), "partitions")
                yield delivery
            finally:
                delivery.stop()
                await running


async def until(condition: Callable[[], Any], what: str) -> None:
    """Return once `condition` is true; fails after half a minute."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} not seen within {WAIT_S:g} s"
        await asyncio.sleep(0.02)


@pytest.fixture
async def place(kafka: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Place]:
    """Return topics of its own and a receiver that takes everything."""
    settings = Settings(
        bootstrap_servers=kafka,
        topic_prefix=topic_prefix,
        app_id=f"{topic_prefix}cx",
        partitions=PARTITIONS,
        session_timeout_s=6.0,
        heartbeat_interval_s=1.0,
    )
    await ensure_topics(settings)
    found = Place(settings, tmp_path)
    async with receiving(found.receive) as port:
        (tmp_path / "care.key").write_text(SECRET)
        (tmp_path / "routes.toml").write_text(
            f'default = "care"\n[endpoints.care]\nurl = "http://127.0.0.1:{port}/cx"\n'
            f'key_files = ["care.key"]\nallow_http = true\nallow_private = true\nmost_at_once = {AT_ONCE}\n'
        )
        yield found


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.long)])
async def test_no_step_is_lost_or_sent_twice_over_kills(place: Place, kills: int):
    """Killed in mid-flight: each announced step arrives, and only what was on its way arrives twice."""
    steps = 120 * (kills + 1)
    place.takes_s = 0.02
    await place.announce(*range(steps))
    for number in range(kills):
        process = await place.start(static_id="one")
        await until(lambda wanted=(number + 1) * 100: len(place.ids) >= wanted, "messages")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    process = await place.start(static_id="one")
    await until(lambda: len(set(place.ids)) >= steps, "every step")
    await place.announce(steps)
    await until(lambda: len(set(place.ids)) > steps, "the next step")
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    counts = Counter(place.ids)
    assert len(counts) == steps + 1
    assert counts.total() - len(counts) <= kills * AT_ONCE
    settled = await place.settled()
    assert settled.keys() == counts.keys()
    assert {each.ending for each in settled.values()} == {"accepted"}


@pytest.mark.long
async def test_a_frozen_delivery_that_comes_back_sends_nothing_of_its_successors(place: Place):
    """Frozen for longer than its session and thawed, it repeats at most what it had on its way."""
    steps = 400
    place.takes_s = 0.05
    frozen = await place.start()
    await place.announce(*range(steps))
    await until(lambda: len(place.ids) >= 40, "messages")
    frozen.send_signal(signal.SIGSTOP)
    successor = await place.start()
    await until(lambda: len(set(place.ids)) >= steps - AT_ONCE, "the successor's messages")
    frozen.send_signal(signal.SIGCONT)
    await place.announce(*range(steps, steps + 20))
    await until(lambda: len(set(place.ids)) >= steps + 20, "every step")
    for process in (frozen, successor):
        process.send_signal(signal.SIGTERM)
    assert [await process.wait() for process in (frozen, successor)] == [0, 0]
    assert len(place.ids) - len(set(place.ids)) <= 2 * AT_ONCE
    assert {each.ending for each in (await place.settled()).values()} == {"accepted"}


async def test_a_pause_drops_and_flushes_nothing(place: Place):
    """Steps of a pause are dropped, also by a delivery that starts after it; later ones are sent."""
    assert await pause(place.settings, reason="campaign")
    assert not await pause(place.settings)
    found = await read_pauses(place.settings)
    assert found.current is not None
    assert found.current.reason == "campaign"
    async with place.delivering() as delivery:
        await place.announce(1, 2)
        await until(lambda: figure(delivery, "cx_deliveries_total", "paused") == 2, "dropped steps")
        assert delivery.health.paused
    await place.announce(3)
    assert await resume(place.settings)
    assert not await resume(place.settings)
    await place.announce(4)
    async with place.delivering() as delivery:
        await until(lambda: place.ids, "the step after the pause")
        await pause(place.settings)
        await until(lambda: delivery.health.paused, "the pause")
        await resume(place.settings)
        await until(lambda: not delivery.health.paused, "its end")
    endings = {each.alert_id: each.ending for each in (await place.settled()).values()}
    assert endings == {"a1": "paused", "a2": "paused", "a3": "paused", "a4": "accepted"}
    assert len(place.ids) == 1


def figure(delivery: Delivery, name: str, result: str) -> float:
    """Return the value of a metric of the receiver."""
    labels = {"receiver": "care", "result": result}
    return delivery._shared.figures.registry.get_sample_value(name, labels) or 0.0


async def test_the_end_of_a_transaction_is_no_alert_that_waits(place: Place):
    """Workers write in transactions: when all is read the lag is 0, marker or not."""
    producer = AIOKafkaProducer(
        bootstrap_servers=place.settings.bootstrap_servers, transactional_id=place.name("a-worker")
    )
    await producer.start()
    async with producer.transaction():
        await producer.send(place.name(ALERTS.name), alert_bytes(), b"a1", partition=0)
    await producer.stop()
    async with place.delivering() as delivery:
        read = delivery._shared.figures.registry.get_sample_value
        await until(
            lambda: place.ids and read("cx_delivery_lag_records", {"partition": "0"}) == 0.0, "no lag at all"
        )


async def test_an_empty_topic_has_a_lag_as_of_the_last_answer(place: Place):
    """Soon after the start every partition has its lag, and goes on to say that the broker answers."""
    async with place.delivering() as delivery:
        read = delivery._shared.figures.registry.get_sample_value

        def shown(name: str) -> list[float | None]:
            return [read(name, {"partition": number}) for number in ("0", "1")]

        await until(lambda: shown("cx_delivery_lag_records") == [0.0, 0.0], "the lag of an empty topic")
        started_s = time.time()
        await until(
            lambda: all(
                (at_s or 0.0) > started_s for at_s in shown("cx_delivery_answered_timestamp_seconds")
            ),
            "answers after the start",
        )
        assert max(filter(None, shown("cx_delivery_answered_timestamp_seconds"))) <= time.time()


async def test_two_share_the_partitions_and_hand_them_over(place: Place):
    """A second delivery gets a partition; when the first leaves, nothing is lost and nothing sent twice."""
    async with place.delivering() as second:
        async with place.delivering() as first:
            await until(lambda: first.health.partitions and len(second.health.partitions) == 1, "sharing")
            await place.announce(*range(20))
            await until(lambda: len(place.ids) >= 20, "the first steps")
        await place.announce(*range(20, 40))
        await until(lambda: len(place.ids) >= 40, "the steps after the hand-over")
        await until(lambda: second.health.partitions == (0, 1), "both partitions")
    assert len(set(place.ids)) == len(place.ids) == 40
    assert place.traces == {TRACE}


async def test_reading_waits_while_too_much_is_under_way(place: Place, monkeypatch: pytest.MonkeyPatch):
    """A receiver that is away fills no memory: reading stops at a bound and goes on when there is room."""
    monkeypatch.setattr(service, "MOST_UNDER_WAY", 5)
    monkeypatch.setattr(service, "MOST_READ", 4)
    monkeypatch.setattr(courier, "FIRST_BACKOFF_S", 0.1)
    place.status = 429
    await place.announce(*range(40))
    async with place.delivering() as delivery:
        await until(delivery._consumer.paused, "the bound")
        assert sum(desk.under_way for desk in delivery._desks.values()) <= 5 + 4
        place.status = 204
        await until(lambda: len(place.ids) >= 40, "every step")
    assert len(set(place.ids)) == len(place.ids) == 40


async def test_a_delivery_that_cannot_write_down_ends(place: Place, monkeypatch: pytest.MonkeyPatch):
    """The error ends the process: nothing goes on in the dark, and the step is still there for the next."""

    async def full(*_: object) -> None:
        msg = "no room"
        raise CxError(msg)

    async def deliver() -> None:
        async with place.delivering():
            await until(lambda: place.running and place.running.done(), "the end")

    await place.announce(1)
    with monkeypatch.context() as patch:
        patch.setattr(KafkaBook, "settle", full)
        with pytest.raises(CxError, match="no room"):
            await deliver()
    async with place.delivering():
        await until(lambda: len(place.ids) == 2, "the step again")
    assert len(set(place.ids)) == 1


async def test_a_first_start_does_not_tell_of_history(place: Place):
    """Without a position it begins with what is not too old; nothing older becomes a dead letter."""
    await place.announce(1, 2, age_s=30 * 86_400.0)
    await place.announce(3)
    async with place.delivering():
        await until(lambda: place.ids, "the new step")
    assert len(place.ids) == 1
    assert len(await place.settled()) == 1
    assert await asyncio.to_thread(place.read, DEAD_LETTERS.name) == []


async def test_what_nobody_takes_is_a_dead_letter(place: Place):
    """Record, reason, origin, receiver and message id are on it; `cx deadletters` shows it and leaves it."""
    place.status = 410
    await place.announce(1)
    async with place.delivering() as delivery:
        await until(lambda: figure(delivery, "cx_deliveries_total", "gone") == 1, "the ending")
    (letter,) = await asyncio.to_thread(place.read, DEAD_LETTERS.name)
    said = {name: value.decode() for name, value in letter.headers}
    assert (letter.key, orjson.loads(letter.value)["alert_id"]) == (b"a1", "a1")
    assert (said["cx-reason"], said["cx-receiver"]) == ("delivery_gone", "care")
    assert (said["cx-topic"], said["cx-partition"], said["cx-offset"]) == (place.name(ALERTS.name), "1", "0")
    assert said["cx-message-id"] in await place.settled()
    where = ["--bootstrap-servers", place.settings.bootstrap_servers]
    where += ["--topic-prefix", place.settings.topic_prefix, "--json"]
    listed = await asyncio.to_thread(CliRunner().invoke, deadletters, ["list", *where])
    assert [each["reason"] for each in json.loads(listed.stdout)] == ["delivery_gone"]
    again = await asyncio.to_thread(CliRunner().invoke, deadletters, ["replay", *where])
    assert json.loads(again.stdout)["left"] == 1


async def test_dead_letters_are_sent_again_once(place: Place):
    """After the mend each goes out with its old id and trace; a second run sends none, a failure is told."""
    place.status = 410
    await place.announce(1, 2, 3)
    async with place.delivering() as delivery:
        await until(lambda: figure(delivery, "cx_deliveries_total", "gone") == 3, "the endings")
    ids = (await place.settled()).keys()
    place.status = 500
    assert await place.again() == {"failed": 3}
    assert (await place.command("--again"))[0] == 1
    assert await place.again(failures=2) == {"failed": 2, "left": 1}
    place.status = 204
    assert await place.again(since_ms=int(time.time() * 1000) + 60_000) == {}
    assert await place.again() == {"accepted": 3}
    assert await place.again() == {"before": 3}
    assert sorted(place.ids) == sorted(ids)
    assert place.traces == {TRACE}
    assert {each.ending for each in (await place.settled()).values()} == {"accepted"}
    code, said = await place.command("--again", "--since", "2020-01-01T00:00:00Z")
    assert (code, said) == (0, "0 dead letters were accepted, 3 had been before\n")


async def test_a_shadow_writes_and_sends_nothing(place: Place):
    """It writes each message without its signature; the delivery that starts afterwards sends them all."""
    await place.announce(*range(6))
    out = place.folder / "shadow.jsonl"
    process = await place.start("--shadow", "--out", str(out))
    await until(lambda: out.exists() and out.read_text().count("\n") >= 6, "the lines")
    url = (place.folder / "err").read_text().split("metrics ")[1].split("/metrics")[0]
    ready = await asyncio.to_thread(fetch, url + "/readyz")
    metrics = ""
    async with asyncio.timeout(WAIT_S):
        while 'cx_delivery_lag_records{partition="0"}' not in metrics:  # noted at the end of a turn
            metrics = await asyncio.to_thread(fetch, url + "/metrics")
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    lines = [json.loads(each) for each in out.read_text().splitlines()]
    assert {each["body"]["data"]["alert_id"] for each in lines} == {f"a{number}" for number in range(6)}
    assert lines[0]["url"].endswith("/...")
    assert set(lines[0]["headers"]) == {"webhook-id", "webhook-timestamp", "traceparent"}
    assert json.loads(ready) == {"ready": True, "partitions": [0, 1], "paused": False}
    assert 'cx_deliveries_total{receiver="care",result="accepted"} 6.0' in metrics
    assert 'cx_delivery_lag_records{partition="0"} 0.0' in metrics
    assert place.ids == []
    assert await place.settled() == {}
    async with place.delivering():
        await until(lambda: len(place.ids) >= 6, "the messages")


def fetch(url: str) -> str:
    """Return the body of a GET."""
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310  # our own
        body: bytes = response.read()
    return body.decode()


async def test_missing_topics_are_named(place: Place):
    """A delivery does not wait for a topic that nobody has made."""
    place.settings = dataclasses.replace(place.settings, topic_prefix="none.")
    with pytest.raises(CxError, match=r"the topic none\.cx\.alerts does not exist"):
        async with place.delivering():
            pass


async def test_topics_that_do_not_fit_are_named(place: Place):
    """Endings on another number of partitions would not be found again."""
    settings = dataclasses.replace(place.settings, topic_prefix=f"{place.settings.topic_prefix}other.")
    async with admin_client(settings) as admin:
        for topic, count in ((ALERTS, 2), (DELIVERY, 1), (DEAD_LETTERS, 2)):
            await admin.create_topics([NewTopic(settings.topic_prefix + topic.name, count, 1)])
    place.settings = settings
    with pytest.raises(CxError, match=r"cx\.alerts 2, .*cx\.delivery 1"):
        async with place.delivering():
            pass


async def test_a_broker_that_is_away_is_told():
    """The address is named, for the pauses as for the delivery."""
    with pytest.raises(CxError, match=r"127\.0\.0\.1:1"):
        await read_pauses(Settings(bootstrap_servers="127.0.0.1:1"))


async def test_the_doctor_tells_what_is_not_delivered(place: Place):
    """None so far; one at work; steps that wait for a receiver, and steps that wait for a delivery."""
    never = await delivery(place.settings)
    assert (never.status, "none has settled an alert so far" in never.message) == (Status.OK, True)

    await place.announce(0, 1)
    async with place.delivering():
        await until(lambda: len(place.ids) == 2, "the first are sent")
        await until_async(lambda: delivery(place.settings), "1 at work: nothing waits")
        place.status = 500
        await place.announce(2, age_s=900)
        late = await until_async(lambda: delivery(place.settings), "waits for 15 min")
        assert (late.status, "receiver" in late.mend) == (Status.WARNING, True)
    left = await until_async(lambda: delivery(place.settings), "none runs")
    assert (left.status, left.mend) == (Status.WARNING, "cx deliver --routes FILE")


async def test_the_doctor_warns_of_a_delivery_that_stopped_before_the_first_alert(place: Place):
    """It has a place on the topic from its start on: what comes after it has stopped, is missed."""
    async with place.delivering():
        await until_async(lambda: delivery(place.settings), "1 at work: nothing waits")
    await place.announce(0, 1, age_s=900)
    left = await delivery(place.settings)
    said = "none runs: the oldest record waits for 15 min"
    assert (left.status, left.message) == (Status.WARNING, said)

    async with place.delivering():
        await until(lambda: len(place.ids) == 2, "nothing was lost by the stop")


async def until_async(look: Callable[[], Awaitable[Finding]], words: str) -> Finding:
    """Return the first finding that says `words`."""
    deadline_s = time.monotonic() + WAIT_S
    while words not in (found := await look()).message:
        assert time.monotonic() < deadline_s, found
        await asyncio.sleep(0.2)
    return found
