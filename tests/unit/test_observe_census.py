"""What a pass of the sweep finds: scores, drivers, open alerts and the value at risk."""

import math
from itertools import count

import orjson
import pytest

from streams.engine.handler import Standing
from streams.engine.memory import MemoryLog, MemoryWorker
from streams.engine.settings import EngineSettings
from streams.observe.census import Census
from streams.processing import Processor
from streams.scoring.rows import pack
from streams.scoring.state import PEAKS, Episode
from streams.scoring.sums import sums_of
from streams.suppression import FORGOTTEN, GUARD, Suppression
from streams.topics import INPUTS, OUTPUTS, WEB
from tests.customers import DEFAULT, event, line, row, seconds


def test_a_census_takes_a_customer_as_the_scorer_reads_it():
    """Score, driver points, open alerts and bytes of the row; the points are the score's distance (G5)."""
    state = row([event("order.placed", 0), event("call.ended", 1, resolved="no", wait_s=900)])
    state.episodes[1] = Episode(1, seconds(1), None, "lost", 2, 0)
    census, packed = Census(), pack(state)
    glance = census.take(DEFAULT, packed, state, seconds(2))
    experience = sum(points for (ledger, _), points in census.points.items() if ledger == "experience")
    assert 65.0 + experience == pytest.approx(glance.score)
    assert census.experience.total == pytest.approx(glance.score)
    assert census.service.total == pytest.approx(DEFAULT.ledger.service_score(state, seconds(2)))
    assert census.gap.total == pytest.approx(census.service.total - glance.score)
    assert (census.customers, census.row_bytes, census.other_policy) == (1, len(packed), 0)
    assert census.open_alerts == {("churn_risk", "high"): 1}


def test_of_whom_little_is_known_no_score_is_counted():
    """Unknown is not healthy: scores near the prior would hide how the others feel (G6)."""
    census = Census()
    census.take(DEFAULT, b"", row([event("rage.clicked", 0)]), seconds(1))
    census.take(DEFAULT, b"", row([event("complaint.raised", 0)]), seconds(1))
    assert census.bands["unknown"] == 1
    assert sum(census.experience.counts) == 1
    assert sum(census.service.counts) == sum(census.gap.counts) == 0


def test_a_driver_that_the_policy_dropped_is_other():
    """Codes of rows that no policy names any more are one series together."""
    state = row([event("order.placed", 0)])
    state.points = sums_of({3999 * 8: -50.0})
    state.peaks = [None] * PEAKS
    census = Census()
    census.take(DEFAULT, b"", state, seconds(1))
    assert ("experience", "other") in census.points


def test_a_pass_of_the_sweep_tells_when_it_began_and_ended():
    """The age of the last whole pass is how old an unseen silence can be."""
    clock = count(100)
    processor = Processor(DEFAULT, clock=lambda: float(next(clock)))
    rows = {b"anna": pack(row([event("order.placed", 0)]))}
    processor.begin(0, rows, Standing("generation", seconds(1))).sweep([b"anna"], seconds(1))
    census = processor.censuses[0]
    assert 100.0 <= census.began_s < census.ended_s < next(clock)


def test_a_pass_counts_each_customer_once_whoever_comes_and_goes():
    """A pass visits those who were there when it began, and the next begins anew."""
    processor = Processor(DEFAULT)
    rows = {name: pack(row([event("order.placed", 0)])) for name in (b"anna", b"berta", b"clara")}

    def sweep(*keys: bytes) -> None:
        processor.begin(0, rows, Standing("generation", seconds(1))).sweep(keys, seconds(1))

    sweep(b"anna", b"berta")
    assert 0 not in processor.censuses
    rows |= dict.fromkeys((b"dora", b"emma"), rows[b"anna"])
    sweep(b"clara")
    assert processor.censuses[0].customers == 3
    sweep(b"anna", b"berta", b"clara")
    del rows[b"dora"]
    sweep(b"dora", b"emma")
    assert processor.censuses[0].customers == 4


def test_a_pass_that_finds_nobody_ends_too():
    """Where all were forgotten since the last one: else that one's customers would be told for ever."""
    processor = Processor(DEFAULT)
    processor.suppression = Suppression(b"a key that nobody can guess")
    for rows, customers in (
        ({b"anna": pack(row([event("order.placed", 0)]))}, 1),
        ({GUARD: processor.suppression.guard, processor.suppression.row_key(b"anna"): FORGOTTEN}, 0),
    ):
        processor.begin(0, rows, Standing("generation", seconds(1))).sweep(rows, seconds(1))
        assert processor.censuses[0].customers == customers


class Swept:
    """A partition whose rows come from a log and are visited by the sweep as time passes."""

    def __init__(self) -> None:
        self.log, self.now_s = MemoryLog(1), seconds(10)
        self.processor = Processor(DEFAULT, clock=lambda: self.now_s)
        settings = EngineSettings(
            bootstrap_servers="",
            app_id="census",
            inputs=tuple(topic.name for topic in INPUTS),
            outputs=tuple(topic.name for topic in OUTPUTS),
            sweep_interval_s=100.0,
        )
        self.worker = MemoryWorker(self.log, settings, self.processor, now=lambda: self.now_s)
        self.worker.assign([0])
        self.customers = 0

    def grow(self, number: int) -> None:
        """Let customers come."""
        for _ in range(number):
            self.customers += 1
            key = f"c{self.customers}"
            value = orjson.loads(line("order.placed", 0, id=key)) | {"subject": key}
            at_ms = int(self.now_s * 1000)
            self.log.append(WEB.name, key.encode(), orjson.dumps(value), timestamp_ms=at_ms)
        assert self.worker.step(0) == number

    def sweep(self, for_s: int) -> list[int]:
        """Let time pass; return the customers of each census that a pass has ended with."""
        found = [self.processor.censuses.get(0)]
        for _ in range(for_s):
            self.now_s += 1.0
            self.worker.sweep_due()
            if (last := self.processor.censuses.get(0)) is not found[-1]:
                found.append(last)
        return [census.customers for census in found[1:] if census is not None]


def test_a_pass_counts_those_who_were_there_when_it_began():
    """Not when the one before had ended: until the interval is over, many may come."""
    swept = Swept()
    swept.grow(1)
    assert swept.sweep(10) == [1]
    swept.grow(50)
    assert swept.sweep(200) == [51]
    census = swept.processor.censuses[0]
    assert census.ended_s - census.began_s == pytest.approx(100.0, abs=5.0)
    assert swept.processor.desks[0].active == 51


def test_a_partition_that_is_loaded_again_is_counted_from_the_beginning():
    """The sweep visits all of its customers again; who was counted before would count twice."""
    swept = Swept()
    swept.grow(40)
    swept.sweep(70)
    swept.grow(20)
    swept.sweep(30)
    swept.worker.load(0)
    assert set(swept.sweep(300)) == {60}
    assert swept.processor.desks[0].active == 60


def test_what_is_at_stake_counts_for_the_driver_that_takes_most():
    """Probability times spend a year, as an alert says it; without a failure it is nobody's."""
    bought = [event("order.placed", day, total=10_000, currency="EUR") for day in range(0, 60, 20)]
    for events, driver in (
        (bought, ("none", "")),
        (
            [*bought, event("call.ended", 61, wait_s=900, resolved="no")],
            ("unresolved", DEFAULT.policy.drivers["unresolved"].owner),
        ),
    ):
        state, census = row(events), Census()
        glance = census.take(DEFAULT, b"", state, seconds(70))
        logit = DEFAULT.churn.logit(state, glance.at_s, glance.terms, DEFAULT.policy.alert_horizon)
        assert logit is not None
        wanted = DEFAULT.rules.value.at_risk(state, glance.at_s, 1.0 / (1.0 + math.exp(-logit)))
        assert census.value_at_risk == {driver: pytest.approx(wanted)}


def test_nothing_is_at_stake_without_a_purchase():
    """Who never bought has no probability of leaving and no value."""
    census = Census()
    census.take(DEFAULT, b"", row([event("complaint.raised", 0)]), seconds(1))
    assert census.value_at_risk == {}
