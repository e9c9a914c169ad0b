"""A worker under load for the ops tests: the in-memory log, the product's own handler and metrics server.

Everything that a panel or a rule asks for is made by events that are fed, but for what takes months to
mature (outcomes) and what another program serves (delivery): those are counted by hand.
"""

import asyncio
import itertools
import random
import threading
import time
from typing import Any

import orjson
from prometheus_client import start_http_server

from schemas import export
from schemas.times import at_time
from schemas.touchpoints import TYPES
from streams.delivery.figures import Figures
from streams.demo.memory import MemoryEngine
from streams.engine.memory import MemoryLog, MemoryWorker
from streams.engine.settings import engine_settings
from streams.observe.counted import count_up
from streams.observe.server import AdminServer
from streams.observe.watch import Watch
from streams.processing import Processor
from streams.routing import topic_for
from streams.scoring.apply import Scorer
from streams.scoring.policy import policy_from_tables
from streams.settings import Settings
from streams.topics import WEB

TICK_S = 0.1
CUSTOMERS = 150
ABANDONED, REPEATED = 0.1, 0.25
UNHAPPY = 30
"""Those of the customers to whom everything that can happen happens."""
EXAMPLES = [
    orjson.loads(export.example(name)) for name in TYPES if not name.startswith("cx.customer.forgotten")
]
DAY_S = 86400.0


def touchpoint(kind: str, number: int, at_s: float, customer: str = "", **other: Any) -> bytes:
    """Return an event of `kind` with its own id and time; `other` are attributes beside the data."""
    document = {
        "specversion": "1.0",
        "id": f"{kind}-{number}",
        "source": "/shop" if number % 2 else "/stranger",
        "type": f"cx.{kind}.v1",
        "time": at_time(at_s),
        "subject": customer or f"c{number % CUSTOMERS}",
        **other,
    }
    return orjson.dumps(document)


class LiveWorker:
    """Scores what it feeds itself, in a thread of its own, and serves /metrics as a worker does."""

    def __init__(self) -> None:
        settings = Settings(partitions=2, metrics_port=0, sweep_interval_s=1.0)
        engine = engine_settings(settings)
        self.processor = Processor(Scorer(policy_from_tables({"sources": ["/shop"]})))
        self.processor.partitions = settings.partitions
        self.log = MemoryLog(settings.partitions)
        self.worker = MemoryWorker(self.log, engine, self.processor)
        self.server = AdminServer(settings, Watch(self.processor, lane=MemoryEngine(self.worker)))
        self.server.bind()
        self.silent: set[str] = set()
        """Channels that send nothing for now."""
        self._numbers = itertools.count()
        self._random = random.Random(1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    @property
    def target(self) -> str:
        """Return host:port of /metrics."""
        return self.server.url.removeprefix("http://")

    def start(self) -> None:
        """Begin to feed and to score."""
        self._thread.start()

    def stop(self) -> None:
        """End the feed, then the server."""
        self._stopping.set()
        self._thread.join()

    async def _run(self) -> None:
        self.worker.assign(range(self.log.partitions))
        self.server.start(asyncio.get_running_loop())
        self._feed_history(time.time())
        for tick in itertools.count():
            if self._stopping.is_set():
                break
            self._feed(tick, time.time())
            for number in self.worker.partitions:
                self.worker.step(number)
            self.worker.sweep_due()
            self._mature(tick)
            await asyncio.sleep(TICK_S)
        await asyncio.to_thread(self.server.stop)

    def _send(self, value: bytes | None, topic: str = WEB.name, key: bytes | None = b"c1") -> None:
        self.log.append(topic, key, value)

    def _event(self, document: dict[str, Any], number: int, at_s: float) -> None:
        info = TYPES[document["type"]]
        channel = document.get("channel") or info.channel
        if channel in self.silent:
            return
        customer = f"c{number % UNHAPPY}"
        changed = {
            "id": f"e{number}",
            "time": at_time(at_s),
            "subject": customer,
            "source": "/shop" if number % 3 else "/stranger",
            "channel": channel,
        }
        topic = topic_for(document["type"], channel).name
        self._send(orjson.dumps(document | changed), topic, customer.encode())

    def _feed_history(self, now_s: float) -> None:
        """Contacts of last week: the first is repeated, the others can be judged; customers long silent."""
        for days, customer in ((9.0, "h1"), (8.5, "h1"), (9.0, "h2")):
            event = touchpoint(
                "call.ended", next(self._numbers), now_s - days * DAY_S, customer, data={"reason": "late"}
            )
            self._send(event, topic_for("cx.call.ended.v1", "phone").name, customer.encode())
        for week in range(30, 60):
            order = touchpoint("order.placed", next(self._numbers), now_s - week * 7 * DAY_S, "h3")
            self._send(order, WEB.name, b"h3")

    def _feed(self, tick: int, now_s: float) -> None:
        for document in EXAMPLES[tick % 5 :: 5]:
            self._event(document, next(self._numbers), now_s)
        for survey, score in (
            ("csat", 5),
            ("csat", 4),
            ("csat", 2),
            ("nps", 10),
            ("nps", 9),
            ("nps", 3),
            ("ces", 6),
        ):
            number = next(self._numbers)
            customer = f"c{number % CUSTOMERS}"
            channel = self._random.choice(("email", "email", "app"))
            answer = touchpoint(
                "survey.answered", number, now_s, channel=channel, data={"survey": survey, "score": score}
            )
            self._send(answer, topic_for("cx.survey.answered.v1", "email").name, customer.encode())
        self._feed_usual(now_s)
        self._feed_last_week(now_s)
        self._feed_strange(now_s)

    def _feed_usual(self, now_s: float) -> None:
        """Send a good day of three customers; now and then somebody waits in vain."""
        for _ in range(3):
            number = next(self._numbers)
            customer = f"c{number % CUSTOMERS}"
            arrival = {"promised_at": at_time(now_s + 3600.0)}
            for kind, data in (("order.placed", {}), ("delivery.delivered", arrival)):
                if "web" not in self.silent:
                    self._send(
                        touchpoint(kind, number, now_s, customer, data=data), WEB.name, customer.encode()
                    )
            call = {"wait_s": 20 + number % 200, "talk_s": 180, "resolved": "yes", "issue_id": f"i{number}"}
            lost = {"wait_s": 400, "abandoned": True, "issue_id": f"i{number}"}
            ended = touchpoint(
                "call.ended",
                number,
                now_s,
                customer,
                data=lost if self._random.random() < ABANDONED else call,
            )
            self._send(ended, topic_for("cx.call.ended.v1", "phone").name, customer.encode())

    def _feed_last_week(self, now_s: float) -> None:
        """Send contacts of eight days ago, which can be judged: some of them called again."""
        issue = next(self._numbers)
        for again in range(2 if self._random.random() < REPEATED else 1):
            at_s = now_s - (8.0 - again) * DAY_S
            data = {"issue_id": f"w{issue}", "resolved": "yes"}
            call = touchpoint("call.ended", next(self._numbers), at_s, "h2", data=data)
            self._send(call, topic_for("cx.call.ended.v1", "phone").name, b"h2")

    def _feed_strange(self, now_s: float) -> None:
        """Send what a pipeline meets: a broken record, a repeat, a stranger, a late event, a new currency."""
        number = next(self._numbers)
        page = touchpoint("page.viewed", number, now_s, "c1")
        if number % 20 == 0:
            self._send(b'{"source": "/shop", "type": 7}')
        self._send(touchpoint("order.placed", 1, now_s, "c1"))
        self._send(page)
        self._send(touchpoint("page.viewed", number, now_s - 2 * 3600.0, "c1", anonymousid="x"))
        self._send(orjson.dumps(orjson.loads(page) | {"subject": None, "anonymousid": "x"}), key=None)
        yen = touchpoint("order.placed", number, now_s, "c1", data={"total": 900, "currency": "JPY"})
        self._send(yen)
        broken = touchpoint("delivery.failed", number, now_s, f"c{number % UNHAPPY}")
        self._send(broken, WEB.name, f"c{number % UNHAPPY}".encode())

    def _mature(self, tick: int) -> None:
        """Count outcomes by hand: the real ones need months."""
        outcomes = self.processor.tally.outcomes
        outcomes.predict(0.75, churned=tick % 4 != 0)
        outcomes.predict(0.25, churned=tick % 4 == 0)
        count_up(outcomes.inferred, ("churn_risk", "lost" if tick % 3 else "returned", "told"))
        outcomes.matured("churn_risk", "churned")
        count_up(outcomes.passed, "churn_risk")
        count_up(outcomes.actions, ("alert.closed", "applied"))
        count_up(outcomes.incidents, ("store", "opened"))
        outcomes.losses += 1
        count_up(outcomes.foretold, "any")
        outcomes.lead("churn_risk", 5 * DAY_S)
        outcomes.suppress("silence", "budget")
        count_up(outcomes.raised, "before_complaint" if tick % 2 else "after_complaint")


class LiveDelivery:
    """The metrics of a `cx deliver` whose only receiver accepts everything."""

    def __init__(self) -> None:
        self._figures = Figures(["crm"])
        self._figures.lag.labels("0").set(0)
        self._figures.answered.labels("0").set(time.time())
        self._server, self._thread = start_http_server(0, "127.0.0.1", self._figures.registry)
        self.target = f"127.0.0.1:{self._server.server_port}"

    def deliver(self) -> None:
        """Count one alert that was accepted."""
        self._figures.deliveries.labels("crm", "accepted").inc()
        self._figures.attempts.labels("crm", "accepted").inc()
        self._figures.seconds.labels("crm").observe(0.7)

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
