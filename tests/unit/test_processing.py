"""The way of an event through the handler: outcomes, rows, scores, alerts, dead letters, the sweep."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import orjson
import pytest

from schemas.outputs import ChurnAlert, ScoreUpdated
from schemas.rejects import RejectReason, dead_letter_headers, reject
from streams.engine.handler import Counts, Effects, Output, Standing
from streams.observe.placement import CHECKED_ROWS, partition_of
from streams.processing import FORGET_AFTER_S, FRESH_S, Processed, Processor, build_processor
from streams.scoring.apply import Scorer
from streams.scoring.rules import Rule
from streams.scoring.state import CustomerState, Episode, Published, pack, unpack
from streams.settings import Settings
from streams.topics import ACTIONS, ALERTS, DEAD_LETTERS, INPUTS, SCORES, STORE, SUPPORT, WEB
from tests.customers import DAY, DEFAULT, START, event, line, row, scorer, seconds
from tests.lives import evidence

ANNA = b"anna"
LATER_MS = int((START + 3000 * DAY) * 1000)
"""Record timestamps after every event time of these tests."""


@dataclass(frozen=True)
class Rec:
    """A raw record as Kafka delivers it."""

    value: bytes | None
    key: bytes | None = ANNA
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int = 0
    timestamp: int = LATER_MS


class Rig:
    """A handler and the rows of one partition; what it does is committed at once."""

    def __init__(self, scorer: Scorer = DEFAULT, *, now_day: float = 3000.0, **options: Any) -> None:
        self.now_s = seconds(now_day)
        self.processor = Processor(scorer, clock=lambda: self.now_s, **options)
        self.rows: dict[bytes, bytes] = {}

    def apply(
        self,
        *records: Rec | bytes,
        topic: str = WEB.name,
        partition: int = 0,
        watermark_s: float = float("inf"),
    ) -> Processed:
        """Apply records of one topic in one unit of work."""
        work = self.processor.begin(partition, self.rows, Standing("generation", watermark_s))
        work.apply(topic, numbered(records))
        return self._commit(partition, work.finish())

    def sweep(self, day: float, keys: Iterable[bytes] | None = None) -> Processed:
        """Let the sweep visit all customers, or `keys`, at a day."""
        work = self.processor.begin(0, self.rows, Standing("generation", seconds(day)))
        work.sweep(list(self.rows) if keys is None else keys, seconds(day))
        return self._commit(0, work.finish())

    def _commit(self, partition: int, done: Processed) -> Processed:
        for key, value in done.rows.items():
            if value is None:
                del self.rows[key]
            else:
                self.rows[key] = value
        self.processor.committed(partition, done)
        return done

    def hold(self, state: CustomerState, key: bytes = ANNA) -> None:
        """Put a row in the table."""
        self.rows[key] = pack(state)


def numbered(records: Iterable[Rec | bytes]) -> list[Rec]:
    """Return records with offsets from 0; bytes become a record of anna's."""
    return [
        replace(each if isinstance(each, Rec) else Rec(each), offset=number)
        for number, each in enumerate(records)
    ]


def changed(line: bytes, **changes: Any) -> bytes:
    """Return an event with other attributes."""
    return orjson.dumps({**orjson.loads(line), **changes})


def written(done: Effects, topic: str) -> list[Output]:
    """Return what was written to a topic."""
    return [each for each in done.outputs if each.topic == topic]


def documents(done: Effects, topic: str) -> list[Any]:
    """Return the documents written to a topic."""
    return [orjson.loads(each.value or b"null") for each in written(done, topic)]


def orders(days: Sequence[float]) -> list[bytes]:
    """Return one order a day of `days`."""
    return [line("order.placed", day) for day in days]


def shopper(last_day: float = 30.0) -> CustomerState:
    """Return a row that bought every ten days."""
    return row(event("order.placed", day) for day in range(0, int(last_day) + 1, 10))


def test_an_event_makes_a_row_with_its_evidence():
    """What is applied to a row is what scoring applies, with the number of the topic it came on."""
    rig = Rig()
    done = rig.apply(line("complaint.raised", 1.0), topic=SUPPORT.name)
    state = unpack(rig.rows[ANNA])
    assert evidence(state, seconds(5)) == evidence(row([event("complaint.raised", 1.0)]), seconds(5))
    assert list(state.rings) == [INPUTS.index(SUPPORT)]
    assert done.newest_event_s == {SUPPORT.name: seconds(1)}
    assert done.tally.newest_event_s == {"phone": seconds(1)}


def test_the_newest_time_of_a_channel_is_its_own():
    """An event's channel goes before the topic's; an older event takes nothing back."""
    rig = Rig()
    done = rig.apply(
        changed(line("page.viewed", 2.0), channel="app"), line("page.viewed", 1.0), line("page.viewed", 0.5)
    )
    assert done.tally.newest_event_s == {"app": seconds(2), "web": seconds(1)}
    assert done.newest_event_s == {WEB.name: seconds(2)}


def test_every_record_has_exactly_one_outcome():
    """Accepted, duplicate, anonymous and rejected sum to the records of the work (G4)."""
    nobody = changed(line("page.viewed", 4.0), anonymousid="a1")
    del (document := orjson.loads(nobody))["subject"]
    anonymous = orjson.dumps(document)
    done = Rig().apply(
        line("order.placed", 1.0),
        line("order.placed", 1.0),
        Rec(anonymous, key=None),
        Rec(anonymous, key=b"a1"),
        b"{",
        line("page.viewed", 2.0),
    )
    assert done.counts == Counts(accepted=2, duplicate=1, anonymous=2, suppressed=0, rejected=1)
    assert list(done.rows) == [ANNA]


def test_a_reject_becomes_a_dead_letter_byte_for_byte():
    """Value, key and headers are the original's; reason, detail and origin are added as headers."""
    rig = Rig(prefix="p.")
    headers = (("trace", b"\x00\xff"), ("trace", b""))
    done = rig.apply(b"fine?", Rec(b"\xff\x00{", b"k\xff", headers), topic=f"p.{STORE.name}", partition=3)
    first, second = written(done, f"p.{DEAD_LETTERS.name}")
    assert (second.value, second.key) == (b"\xff\x00{", b"k\xff")
    added = dict(second.headers[2:])
    assert second.headers[:2] == headers
    assert added["cx-reason"] == b"not_json"
    assert (added["cx-topic"], added["cx-partition"]) == (b"p.cx.touchpoints.store", b"3")
    assert (added["cx-offset"], added["cx-timestamp"]) == (b"1", str(LATER_MS).encode())
    assert (first.key, dict(first.headers)["cx-offset"]) == (ANNA, b"0")
    assert done.tally.rejects == {(f"p.{STORE.name}", "not_json"): 2}
    assert not done.rows


@pytest.mark.parametrize(
    ("skew_s", "accepted"), [(300.0, 1), (300.01, 0)], ids=["within the skew", "beyond it"]
)
def test_the_future_is_judged_against_the_record_timestamp(skew_s: float, accepted: int):
    """An event more than five minutes after its record's timestamp is `clock_future`, whatever the clock."""
    recorded_ms = int((seconds(9) - skew_s) * 1000)
    done = Rig(now_day=0).apply(Rec(line("page.viewed", 9.0), timestamp=recorded_ms))
    assert done.counts.accepted == accepted
    wanted = {} if accepted else {(WEB.name, RejectReason.CLOCK_FUTURE): 1}
    assert done.tally.rejects == wanted


def test_the_ancient_is_judged_by_the_policy():
    """An event before the policy's earliest date is `clock_ancient` and moves no watermark."""
    done = Rig().apply(changed(line("page.viewed"), time="1970-01-20T06:13:20Z"))
    assert done.tally.rejects == {(WEB.name, RejectReason.CLOCK_ANCIENT): 1}
    assert done.newest_event_s == {}


def test_beyond_the_capacity_new_customers_are_rejected():
    """Customers who are known go on; new ones are rejects `capacity`, kept as dead letters (G8)."""
    rig = Rig(max_customers=2)
    rig.apply(line("order.placed"))
    berta, clara = (
        Rec(changed(line("order.placed", 1.0), subject=name), key=name.encode())
        for name in ("berta", "clara")
    )
    done = rig.apply(berta, clara, line("order.placed", 2.0))
    assert done.counts == Counts(accepted=2, rejected=1)
    assert set(rig.rows) == {ANNA, b"berta"}
    (letter,) = written(done, DEAD_LETTERS.name)
    found = reject(RejectReason.CAPACITY, "$.subject", "a new customer")
    assert letter.headers == dead_letter_headers(
        found, topic=WEB.name, partition=0, offset=1, timestamp_ms=LATER_MS
    )
    assert (letter.key, letter.value) == (b"clara", clara.value)


def test_a_duplicate_changes_nothing_in_its_own_topic_only():
    """A repeat is counted and moves no time; the same id on another topic is another event."""
    rig = Rig()
    rig.apply(line("order.placed"))
    before = rig.rows[ANNA]
    done = rig.apply(line("order.placed"))
    assert done.counts == Counts(duplicate=1)
    assert rig.rows[ANNA] == before
    assert done.newest_event_s == {}
    assert rig.apply(line("order.placed"), topic=STORE.name).counts == Counts(accepted=1)


def test_a_neutral_act_leaves_no_evidence():
    """A page view moves the newest time and the count of events, and nothing else of a row."""
    rig = Rig()
    rig.apply(line("order.placed"))
    before = evidence(unpack(rig.rows[ANNA]), seconds(9))
    done = rig.apply(line("page.viewed", 0.001))
    after = evidence(unpack(rig.rows[ANNA]), seconds(9))
    assert {name for name in before if before[name] != after[name]} == {"newest", "events"}
    assert not done.outputs


def test_committed_rows_are_never_changed_in_place():
    """Until the transaction is committed the rows are as before, and a dropped work leaves no trace."""
    rig = Rig()
    rig.hold(shopper())
    before = dict(rig.rows)
    work = rig.processor.begin(0, rig.rows, Standing("generation", seconds(400)))
    work.apply(WEB.name, numbered([line("complaint.raised", 40.0), Rec(b"{")]))
    work.sweep([ANNA], seconds(400))
    done = work.finish()
    assert rig.rows == before
    assert done.rows[ANNA] != before[ANNA]
    assert rig.processor.tally.scores == 0


def test_effects_of_another_handler_are_refused():
    """Counters of somebody else are not added up."""
    with pytest.raises(TypeError, match="effects of another handler: Effects"):
        Processor(DEFAULT).committed(0, Effects())


def test_what_is_committed_is_added_up():
    """The worker's counters are the sums over its transactions."""
    rig = Rig()
    rig.apply(line("order.placed"), b"{")
    rig.apply(line("order.placed", 9.0), b"{")
    assert rig.processor.tally.scores == 2
    assert rig.processor.tally.rejects == {(WEB.name, "not_json"): 2}
    assert rig.processor.tally.newest_event_s == {"web": seconds(9)}


def test_documents_are_those_of_the_contract():
    """Scores and alerts convert strictly to the Structs of `schemas.outputs`."""
    rig = Rig(link_template="https://crm/{customer_id}")
    done = rig.apply(line("customer.updated", tier="gold"), *orders([0, 10, 20, 30]))
    done_later = rig.apply(line("complaint.raised", 300.0))
    scores = [*written(done, SCORES.name), *written(done_later, SCORES.name)]
    assert len(scores) == 2
    for each in scores:
        msgspec.json.decode(each.value or b"", type=ScoreUpdated, strict=True)
        assert each.key == ANNA
    alerts = written(done_later, ALERTS.name)
    assert alerts
    for each in alerts:
        found = msgspec.json.decode(each.value or b"", type=ChurnAlert, strict=True)
        assert each.key == found.alert_id.encode()
        assert (found.tier, found.link, found.customer_id) == ("gold", "https://crm/anna", "anna")
        assert each.value == orjson.dumps(orjson.loads(each.value or b""), option=orjson.OPT_SORT_KEYS)


def first_score() -> tuple[Rig, Processed]:
    """Return what the first complaint of a customer does."""
    rig = Rig()
    return rig, rig.apply(line("complaint.raised"))


def test_the_first_score_with_coverage_is_published():
    """A customer of whom something is known for the first time is on `cx.scores` at once."""
    _, done = first_score()
    (found,) = documents(done, SCORES.name)
    assert found["events"] == 1
    assert done.tally.scores == 1


@pytest.mark.parametrize(
    ("kind", "data"),
    [("survey.answered", {"survey": "nps", "score": 7}), ("rage.clicked", {})],
    ids=["known, not moved", "moved, hardly known"],
)
def test_a_first_score_is_published_by_coverage_or_by_move(kind: str, data: dict[str, Any]):
    """A passive answer moves nothing but is known; a rage click is hardly known but moves a point."""
    (found,) = documents(Rig().apply(line(kind, **data)), SCORES.name)
    moved = abs(found["experience"] - found["prior"]) >= 1
    assert moved != (found["coverage"]["experience"] >= 0.05)


def test_of_whom_nothing_is_known_nothing_is_published():
    """Page views alone, now or a year later, are no news."""
    rig = Rig()
    assert not rig.apply(line("page.viewed")).outputs
    assert not rig.sweep(365).outputs


def test_a_score_that_did_not_move_is_not_published_again():
    """A minute later nothing has moved by a point."""
    rig, _ = first_score()
    done = rig.apply(line("page.viewed", 1 / 1440))
    assert not done.outputs
    assert list(done.rows) == [ANNA]


def remembered(**changes: Any) -> Rig:
    """Return a shopper whose published score is the row's at day 30, but for `changes`."""
    rig, state = Rig(), shopper()
    reading = DEFAULT.ledger.read(state, seconds(30))
    band = DEFAULT.rules.glance(state, seconds(30)).band
    held = {
        "experience": reading[0].score,
        "service": reading[1].score,
        "band": int(band),
        "at_s": seconds(30),
    }
    moved = {name: held[name] + by for name, by in changes.items()}
    state.published = Published(**{**held, **moved})
    rig.hold(state)
    return rig


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        ({}, False),
        ({"experience": 0.99}, False),
        ({"experience": -1.001}, True),
        ({"service": 0.99}, False),
        ({"service": 1.001}, True),
        ({"band": -1}, True),
        ({"at_s": -0.99 * DAY}, False),
        ({"at_s": -DAY}, True),
    ],
    ids=str,
)
def test_a_score_is_published_when_it_is_news(changes: dict[str, float], published: bool):  # noqa: FBT001
    """It is news by a point in either ledger, another band, or a day since the last; otherwise it is not."""
    rig = remembered(**changes)
    done = rig.sweep(30)
    assert len(written(done, SCORES.name)) == published
    assert (ANNA in done.rows) == published
    if published:
        held = unpack(rig.rows[ANNA]).published
        assert held is not None
        assert held.at_s == seconds(30)
        assert held.experience == documents(done, SCORES.name)[0]["experience"]


def test_a_day_is_no_news_where_hardly_anything_is_known():
    """Below a coverage of .05 an unmoved score is not repeated every day."""
    rig, state = Rig(), row([event("complaint.raised", 0.0)])
    experience, service = DEFAULT.ledger.read(state, seconds(700))
    assert experience.coverage < 0.05
    state.published = Published(experience.score, service.score, 0, seconds(30))
    rig.hold(state)
    assert not rig.sweep(700)


def test_neutral_acts_after_a_signal_are_in_the_published_time():
    """The score of a transaction is read at the row's newest time."""
    rig = Rig()
    (found,) = documents(rig.apply(line("complaint.raised"), line("page.viewed", 2.0)), SCORES.name)
    assert found["at"] == "2026-01-03T00:00:00Z"
    assert found["events"] == 2
    held = unpack(rig.rows[ANNA]).published
    assert held is not None
    assert held.at_s == seconds(2)
    assert held.experience == pytest.approx(found["experience"], abs=1e-9)


def silent(kind: str = "page.viewed", **changes: Any) -> list[bytes]:
    """Return orders, then something small 270 days later: silence has cost most of the chance."""
    return [*orders([0, 10, 20, 30]), changed(line(kind, 300.0), **changes)]


@pytest.mark.parametrize("kind", ["page.viewed", "rage.clicked"])
def test_silence_opens_up_to_the_watermark_only(kind: str):
    """Beside an event, absence is told only of a time up to which every input was read."""
    assert not written(Rig().apply(*silent(kind), watermark_s=seconds(299)), ALERTS.name)
    found = documents(Rig().apply(*silent(kind), watermark_s=seconds(300)), ALERTS.name)
    assert {each["rule"] for each in found} == {"churn_risk"}


def test_the_sweep_opens_silence_up_to_the_watermark_only():
    """A row that is ahead of the watermark is left until every input has come as far."""
    rig = Rig()
    rig.apply(*silent(), watermark_s=seconds(30))
    assert not written(rig.sweep(299), ALERTS.name)
    done = rig.sweep(300)
    assert [each["step"] for each in documents(done, ALERTS.name)] == ["opened"]
    assert ANNA in done.rows
    assert not written(rig.sweep(300.5), ALERTS.name)


@pytest.mark.parametrize(
    ("options", "changes", "announced"),
    [
        ({"now_day": 300 + 0.99 * FRESH_S / DAY}, {}, True),
        ({"now_day": 300 + 1.01 * FRESH_S / DAY}, {}, False),
        ({"now_day": 300 - 1.01 * FRESH_S / DAY}, {}, False),
        ({"now_day": 9000, "event_clock": True}, {}, True),
        ({"now_day": 300}, {"backfill": True}, False),
        ({"now_day": 9000, "event_clock": True}, {"backfill": True}, False),
    ],
    ids=["fresh", "a day old", "ahead of the clock", "event clock", "backfill", "backfill, event clock"],
)
def test_only_fresh_steps_are_told_to_people(options: dict[str, Any], changes: Any, announced: bool):  # noqa: FBT001
    """A step is announced within a day of the clock, and never where history caused it (G7)."""
    found = documents(Rig(**options).apply(*silent(**changes)), ALERTS.name)
    assert [each["announced"] for each in found] == [announced]


def test_the_latency_of_an_alert_counts_from_the_record_that_raised_it():
    """Seconds from the record's timestamp to the commit, once an event; a clock behind counts as none."""
    rig = Rig(now_day=300)
    recorded_ms = int((seconds(300) - 2.0) * 1000)
    *before, cause = silent()
    rig.apply(*before, Rec(cause, timestamp=recorded_ms))
    assert sum(rig.processor.alert_latency.counts) == 1
    assert rig.processor.alert_latency.total == pytest.approx(2.0)
    berta = Rig(now_day=0)
    berta.apply(*silent())
    assert berta.processor.alert_latency.total == 0.0
    assert rig.processor.tally.alert_records_s == []


def test_alerts_are_counted_by_rule_severity_and_step():
    """The counters tell what was written to `cx.alerts`."""
    done = Rig().apply(*silent())
    (found,) = documents(done, ALERTS.name)
    assert done.tally.alerts == {(found["rule"], found["severity"], found["step"]): 1}


def test_the_sweep_publishes_the_score_of_a_day():
    """Who is silent is on `cx.scores` again a day later, at the time of the sweep."""
    rig, _ = first_score()
    assert not rig.sweep(0.5).outputs
    (found,) = documents(rig.sweep(1.5), SCORES.name)
    assert found["at"] == "2026-01-02T12:00:00Z"
    assert found["events"] == 1


def test_a_sweep_in_the_same_work_sees_the_applied_row():
    """What was just applied is what the sweep evaluates, and it is written once."""
    rig = Rig()
    rig.hold(shopper())
    work = rig.processor.begin(0, rig.rows, Standing("generation", seconds(40)))
    work.apply(WEB.name, numbered([line("complaint.raised", 40.0)]))
    work.sweep([ANNA], seconds(41))
    (found,) = documents(work.finish(), SCORES.name)
    assert (found["at"], found["events"]) == ("2026-02-11T00:00:00Z", 5)


def test_a_customer_gone_in_between_is_passed_over():
    """A key without a row is no customer any more."""
    rig = Rig()
    assert not rig.sweep(10, [b"nobody"])


FORGOTTEN_DAY = FORGET_AFTER_S / DAY


def test_a_row_of_which_nothing_is_left_is_forgotten():
    """After three years without an event the row and its score are tombstoned, and not a day before."""
    rig = Rig()
    rig.hold(row([event("complaint.raised", 0.0)]))
    assert rig.sweep(FORGOTTEN_DAY - 1).rows.get(ANNA, b"") is not None
    done = rig.sweep(FORGOTTEN_DAY)
    assert done.rows == {ANNA: None}
    assert written(done, SCORES.name) == [Output(SCORES.name, ANNA, None)]
    assert rig.rows == {}


def test_a_forgotten_customer_is_not_written_again_in_the_same_work():
    """A tombstone is the last word on a row that was touched before it."""
    rig = Rig()
    rig.hold(row([event("order.placed", 0.0)]))
    work = rig.processor.begin(0, rig.rows, Standing("generation", seconds(FORGOTTEN_DAY)))
    work.apply(WEB.name, numbered([line("page.viewed", 0.1)]))
    work.sweep([ANNA], seconds(FORGOTTEN_DAY + 1))
    done = work.finish()
    assert done.rows[ANNA] is not None, "an open episode of silence keeps the row"
    rig.hold(row([event("complaint.raised", 0.0)]))
    work = rig.processor.begin(0, rig.rows, Standing("generation", seconds(FORGOTTEN_DAY)))
    work.apply(WEB.name, numbered([line("page.viewed", 0.1)]))
    work.sweep([ANNA], seconds(FORGOTTEN_DAY + 1))
    done = work.finish()
    assert done.rows == {ANNA: None}
    assert [each.value for each in written(done, SCORES.name)] == [None]


def test_an_open_episode_keeps_a_row():
    """What somebody may still be working on is not forgotten."""
    rig, state = Rig(), row([event("complaint.raised", 0.0)])
    state.episodes[Rule.EXPERIENCE_DROP] = Episode(1, seconds(0), seconds(9), "critical", 2, 0)
    rig.hold(state)
    still = copy.deepcopy(state)
    still.rhythm = shopper().rhythm
    still.episodes[Rule.SILENCE] = Episode(1, seconds(0), None, "lost", 0, still.rhythm.last_day)  # type: ignore[union-attr]  # a shopper has one
    rig.hold(still, b"berta")
    assert rig.sweep(FORGOTTEN_DAY + 10).rows[ANNA] is None
    assert set(rig.rows) == {b"berta"}


def test_a_whole_pass_of_the_sweep_is_a_census():
    """Bands, scores, open alerts and rows of another policy are known when all customers were visited."""
    rig = Rig()
    rig.hold(shopper())
    other = row([event("complaint.raised", 30.0)], scorer(ledger={"prior": 50.0}))
    rig.hold(other, b"berta")
    rig.sweep(30, [ANNA])
    assert rig.processor.censuses == {}
    rig.sweep(30, [b"berta"])
    census = rig.processor.censuses[0]
    assert (census.customers, census.other_policy) == (2, 1)
    assert sum(census.bands.values()) == 2
    assert sum(census.experience.counts) == sum(census.service.counts) == 2
    assert sum(census.open_alerts.values()) == sum(
        episode.closed_s is None for value in rig.rows.values() for episode in unpack(value).episodes.values()
    )
    rig.sweep(31)
    assert rig.processor.censuses[0].customers == 2, "the next pass counts anew"


def test_open_alerts_are_in_the_census_by_rule_and_severity():
    """A closed episode is not counted."""
    rig, state = Rig(), shopper()
    state.episodes[Rule.EXPERIENCE_DROP] = Episode(1, seconds(0), seconds(1), "trend", 1, 0)
    rig.hold(state)
    rig.sweep(300)
    assert dict(rig.processor.censuses[0].open_alerts) == {("churn_risk", "high"): 1}


def strangers(count: int) -> list[Rec]:
    """Return the first event of so many customers."""
    names = [f"c{number}" for number in range(count)]
    return [Rec(changed(line("page.viewed"), subject=name), key=name.encode()) for name in names]


def test_new_customers_on_the_wrong_partition_are_counted_by_topic():
    """A producer with another partitioner is seen by where its new customers lie."""
    rig = Rig()
    rig.processor.partitions = 4
    records = strangers(CHECKED_ROWS)
    done = rig.apply(*records, topic=ACTIONS.name, partition=1)
    wrong = sum(partition_of(each.key or b"", 4) != 1 for each in records)
    assert done.tally.misplaced == {ACTIONS.name: wrong}
    assert rig.processor.tally.misplaced == {ACTIONS.name: wrong}
    assert not rig.apply(*records, topic=ACTIONS.name, partition=1).tally.misplaced, "known by now"


def test_only_some_new_customers_of_a_work_are_looked_at():
    """Hashing each of a flood of new customers would cost more than it tells."""
    rig = Rig()
    rig.processor.partitions = 1000
    done = rig.apply(*strangers(5 * CHECKED_ROWS), partition=999)
    assert sum(done.tally.misplaced.values()) <= CHECKED_ROWS


def test_while_partitions_are_unknown_nobody_is_misplaced():
    """Without the count of partitions nothing can be said."""
    assert not Rig().apply(*strangers(3), partition=7).tally.misplaced


def test_the_settings_make_the_handler():
    """Prefix, capacity, link and clock of the settings are the handler's."""
    settings = Settings(topic_prefix="p.", max_customers=7, link_template="l", clock="event")
    found = build_processor(settings)
    assert found.topics == {f"p.{topic.name}": index for index, topic in enumerate(INPUTS)}
    assert (found.scores_topic, found.alerts_topic) == ("p.cx.scores", "p.cx.alerts")
    assert found.dead_letters_topic == "p.cx.deadletter"
    assert (found.max_customers, found.link_template, found.event_clock) == (7, "l", True)
    assert build_processor(Settings()).event_clock is False
