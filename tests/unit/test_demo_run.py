"""A demo plays to its limit or until all is scored; what it sees adds up, with and without a fake stage."""

import asyncio
import json
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

import orjson
import pytest

from streams.demo import run as module
from streams.demo.feed import Pace, Record
from streams.demo.generator import generate
from streams.demo.memory import MemoryStage
from streams.demo.observer import ALERTS_KEPT, Observer
from streams.demo.run import Demo, Play
from streams.demo.view import DemoSnapshot
from streams.engine.handler import Counts
from streams.engine.marker import MARKER_KEY, Marker
from streams.errors import CxError
from streams.replay import replay
from tests.customers import DEFAULT, line

CHANGELOG = "app-customers-changelog"


def marker(**counts: int) -> bytes:
    """Return a partition's marker with these counts."""
    return Marker(1, "g", {}, Counts(**counts), 1).encode()


class FakeStage:
    """Scores at once what it is given, or never."""

    name = "a fake"
    metrics_url = None

    def __init__(self, *, scores: bool = True, fails: Exception | None = None) -> None:
        self.observer = Observer("", CHANGELOG)
        self.sink = self
        self.scores = scores
        self.fails = fails
        self.taken = 0
        self.flushed = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def add(self, _: Record) -> None:
        """Take a record, or fail."""
        if self.fails:
            raise self.fails
        self.taken += 1

    async def flush(self) -> None:
        """Remember that it was asked for."""
        self.flushed += 1

    async def poll(self) -> None:
        """Write the marker that a worker would write, where there is news."""
        if self.scores and self.observer.counts.total() < self.taken:
            self.observer.take(CHANGELOG, 0, MARKER_KEY, marker(accepted=self.taken), ())


RECORD = Record(line("page.viewed"), b"anna", "cx.touchpoints.web", 0.0)


def endless() -> Iterator[Record]:
    """Yield records for ever."""
    while True:
        yield RECORD


def play(records: Any, *, limit_s: float | None = None, rate: float = 0.0) -> Play:
    """Return what is played."""
    return Play(source="test", records=records, pace=Pace(rate=rate), total=None, limit_s=limit_s)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that a demo of a test ends soon."""
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "QUIET_S", 0.02)


async def test_a_demo_ends_when_everything_was_scored():
    """Without a limit it ends as soon as the worker has counted what was sent."""
    shown: list[DemoSnapshot] = []
    last = await Demo(FakeStage(), play([RECORD] * 7)).run(shown.append)
    assert (last.produced, last.consumed, last.lag) == (7, 7, 0)
    assert shown
    assert (last.source, last.log, last.limit_s) == ("test", "a fake", None)


async def test_a_demo_ends_at_its_limit_whatever_is_still_to_come():
    """The feed is stopped, what it took is flushed, and the figures are those of the end."""
    stage = FakeStage()
    last = await asyncio.wait_for(Demo(stage, play(endless(), limit_s=0.05, rate=500)).run(_ignore), 5)
    assert 0 < last.produced == stage.taken
    assert stage.flushed > 0
    assert last.elapsed_s >= 0.05


async def test_a_demo_waits_only_so_long_for_the_last_scores(monkeypatch: pytest.MonkeyPatch):
    """A worker that scores nothing does not hold the demo for ever: the rest is told as lag."""
    monkeypatch.setattr(module, "SETTLE_S", 0.01)
    last = await asyncio.wait_for(Demo(FakeStage(scores=False), play([RECORD] * 3)).run(_ignore), 5)
    assert (last.produced, last.consumed, last.lag) == (3, 0, 3)


async def test_a_demo_ends_when_nothing_new_comes(monkeypatch: pytest.MonkeyPatch):
    """What is told after the last event was scored, such as a last look at every customer, is waited for."""
    monkeypatch.setattr(module, "QUIET_S", 0.1)
    stage = FakeStage()
    late = [alert("opened")] * 5

    def show(_: DemoSnapshot) -> None:
        if late and stage.taken:
            stage.observer.take("cx.alerts", 0, b"id", late.pop(), ())

    last = await asyncio.wait_for(Demo(stage, play([RECORD])).run(show), 5)
    assert last.alerts_by_rule == {"churn_risk": 5}
    assert last.elapsed_s >= 0.1


async def test_what_stops_the_feed_is_told():
    """A broker that takes no record ends the demo with its words."""
    with pytest.raises(CxError, match="did not take a batch"):
        await Demo(FakeStage(fails=CxError("the broker did not take a batch")), play([RECORD])).run(_ignore)


async def test_the_rate_is_what_was_counted_in_a_second(monkeypatch: pytest.MonkeyPatch):
    """Events a second come from the worker's counts, a second at a time."""
    clock = iter([float(number) for number in range(100)])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    demo = Demo(FakeStage(), play([]))
    demo.stage.observer.take(CHANGELOG, 0, MARKER_KEY, marker(accepted=30), ())
    demo._count_rate(2.0)
    demo._count_rate(2.5)
    found = demo.snapshot("a word")
    assert (found.rates, found.events_per_s, found.note) == ((15.0,), 15.0, "a word")


def _ignore(_: DemoSnapshot) -> None:
    """Show nothing."""


def alert(step: str, rule: str = "churn_risk", severity: str = "medium", name: str = "anna") -> bytes:
    """Return as much of an alert as an observer reads."""
    return orjson.dumps({"step": step, "rule": rule, "severity": severity, "customer_id": name})


def watching(*alerts: bytes) -> Observer:
    """Return an observer of these alerts."""
    observer = Observer("p.", CHANGELOG)
    for each in alerts:
        observer.take("p.cx.alerts", 0, b"id", each, ())
    return observer


def test_an_observer_counts_openings_and_shows_what_people_are_told():
    """Resolved steps are no news; the newest alert is first, and only the latest are kept."""
    observer = watching(alert("opened"), alert("escalated", severity="high"), alert("resolved"))
    assert observer.opened == Counter(churn_risk=1)
    assert [each["step"] for each in observer.alerts] == ["escalated", "opened"]
    assert len(watching(*[alert("opened")] * (ALERTS_KEPT + 5)).alerts) == ALERTS_KEPT


def test_the_case_is_the_latest_of_the_gravest():
    """Silence tells little; of equals the latest; before any alert there is no case."""
    assert watching().case is None
    observer = watching(
        alert("opened", "silence", "critical", "silent"),
        alert("opened", severity="high", name="first"),
        alert("opened", severity="high", name="second"),
        alert("opened", severity="low", name="third"),
        alert("opened", "silence", "critical", "fourth"),
    )
    assert observer.case is not None
    assert observer.case["customer_id"] == "second"


def test_an_observer_knows_customers_by_their_last_band():
    """A later score replaces the earlier, a tombstone takes the customer away, and time goes forward only."""
    observer = watching()
    assert observer.topics == ("p.cx.scores", "p.cx.alerts", "p.cx.deadletter")
    for key, band, at in (
        (b"a", "steady", "2024-02"),
        (b"b", "critical", "2024-01"),
        (b"a", "at_risk", "2024-03"),
    ):
        observer.take("p.cx.scores", 0, key, orjson.dumps({"band": band, "at": at}), ())
    assert observer.bands == {"at_risk": 1, "critical": 1}
    observer.take("p.cx.scores", 0, b"b", None, ())
    observer.take("p.cx.scores", 0, b"never", None, ())
    observer.take("p.cx.alerts", 0, b"id", None, ())
    assert observer.bands == {"at_risk": 1}
    assert observer.newest_event == "2024-03"


def test_an_observer_counts_dead_letters_by_reason_and_records_by_marker():
    """The last marker of each partition counts; rows of customers do not."""
    observer = watching()
    observer.take("p.cx.deadletter", 1, None, b"?", (("x", b"y"), ("cx-reason", b"not_json")))
    observer.take(CHANGELOG, 0, MARKER_KEY, marker(accepted=1), ())
    observer.take(CHANGELOG, 0, MARKER_KEY, marker(accepted=5, rejected=1), ())
    observer.take(CHANGELOG, 1, MARKER_KEY, marker(duplicate=2), ())
    observer.take(CHANGELOG, 1, b"anna", b"row", ())
    observer.take(CHANGELOG, 1, MARKER_KEY, None, ())
    observer.take("another.topic", 1, MARKER_KEY, b"whatever", ())
    assert observer.rejected == {"not_json": 1}
    assert observer.counts == Counts(accepted=5, duplicate=2, rejected=1)


async def test_a_demo_in_memory_adds_up():
    """Every record has an outcome, alerts come, and figures are those of `cx score` on the same events."""
    records = list(generate(4000, seed=7, poison=0.005))
    shown: list[DemoSnapshot] = []
    async with MemoryStage() as stage:
        last = await Demo(stage, play(records)).run(shown.append)
    found = replay((each.value for each in records), DEFAULT)
    assert last.produced == last.consumed == 4000
    assert (last.lag, last.duplicates) == (0, found.duplicates)
    assert last.rejected == {reason.value: count for reason, count in found.rejects.items()}
    counts = stage.observer.counts
    assert counts == Counts(found.accepted, found.duplicates, 0, 0, sum(found.rejects.values()))
    assert sum(last.bands.values()) <= len(found.customers)
    assert last.alerts_by_rule.keys() >= {"churn_risk", "experience_drop"}
    assert stage.observer.case is not None
    assert stage.observer.case["announced"], "event time is the clock of a demo"


def fetched(url: str) -> tuple[int, str]:
    """Return status and body of a GET."""
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # a loopback address
        return answer.status, answer.read().decode()


async def test_a_demo_in_memory_serves_metrics_and_customers():
    """The address it names answers as a worker's does while it plays, and no more when it is over."""
    async with MemoryStage() as stage:
        await Demo(stage, play(generate(1500, seed=2))).run(_ignore)
        assert stage.metrics_url is not None
        url = stage.metrics_url.removesuffix("/metrics")
        status, text = await asyncio.to_thread(fetched, stage.metrics_url)
        assert status == 200
        lines = [each for each in text.splitlines() if each.startswith("cx_records_total{")]
        assert sum(float(each.rsplit(" ", 1)[1]) for each in lines) == 1500
        status, text = await asyncio.to_thread(fetched, f"{url}/readyz")
        assert (status, json.loads(text)["partitions"]) == (200, [0, 1, 2, 3])
        assert json.loads(text)["lag"] == 0
        status, text = await asyncio.to_thread(fetched, f"{url}/customers/c2-000000")
        assert json.loads(text)["customer_id"] == "c2-000000"
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(fetched, f"{url}/readyz")
