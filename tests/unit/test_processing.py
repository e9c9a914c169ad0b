"""The way of an event through the handler: outcomes, rows, dead letters, and where customers lie."""

import math

import orjson
import pytest

from schemas.codec import LATEST_S
from schemas.rejects import RejectReason, dead_letter_headers, reject
from streams.engine.handler import Counts, Effects, Standing
from streams.observe.placement import CHECKED_ROWS, partition_of
from streams.processing import Processor, build_processor
from streams.scoring.rows import unpack
from streams.settings import Settings
from streams.topics import ACTIONS, ALERTS, DEAD_LETTERS, INPUTS, STORE, SUPPORT, WEB
from streams.work import STAGED
from tests.customers import DEFAULT, event, line, row, scorer, seconds
from tests.handling import ANNA, LATER_MS, Rec, Rig, angry, changed, documents, numbered, shopper, written
from tests.lives import evidence


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


ENDS_OF_TIME = ["0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59.999999Z"]


@pytest.mark.parametrize("time", ENDS_OF_TIME)
def test_an_event_at_an_end_of_time_is_rejected(time: str):
    """A time that UTC has no date for is judged like any other that cannot be true: nothing stops."""
    done = Rig().apply(changed(line("page.viewed", 1.0), time=time), line("page.viewed", 2.0))
    assert done.counts == Counts(accepted=1, rejected=1)
    ((topic, reason),) = done.tally.rejects
    assert (topic, reason[:6]) == (WEB.name, "clock_")


@pytest.mark.parametrize("due", ENDS_OF_TIME)
def test_a_promise_for_an_end_of_time_is_kept_and_told(due: str):
    """Nor does a deadline without a date in UTC stop the alert that names it."""
    failed = [line("delivery.failed", day, order_id=f"o{day}") for day in (1, 2)]
    rig = Rig()
    done = rig.apply(line("promise.made", 0.5, promise_id="p", due_at=due), *failed)
    assert done.counts == Counts(accepted=3)
    alert = documents(done, ALERTS.name)[-1]
    assert [each["due"][:4] for each in alert["promises"]] == (["9999"] if due[0] == "9" else [])


def test_a_stamp_of_the_last_second_fits_a_row():
    """The newest event time that is taken can be packed: a fact keeps its second above 31 other bits."""
    day = (LATEST_S - 1.0 - seconds(0)) / 86_400.0
    late = Rec(line("ticket.created", day, ticket_id="t", issue_id="i"), timestamp=int(LATEST_S * 1000))
    done = Rig().apply(late)
    assert done.counts == Counts(accepted=1)
    assert unpack(done.rows[ANNA] or b"").newest_s == LATEST_S - 1.0


def test_a_reject_becomes_a_dead_letter_byte_for_byte():
    """Value, key and headers are the original's; reason, detail and origin are added as headers."""
    rig = Rig(prefix="p.")
    headers = (("trace", b"\x00\xff"), ("trace", b""), ("ce_source", None))
    done = rig.apply(b"fine?", Rec(b"\xff\x00{", b"k\xff", headers), topic=f"p.{STORE.name}", partition=3)
    first, second = written(done, f"p.{DEAD_LETTERS.name}")
    assert (second.value, second.key) == (b"\xff\x00{", b"k\xff")
    added = dict(second.headers[3:])
    assert second.headers[:3] == headers
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
    work.apply([(WEB.name, numbered([line("complaint.raised", 40.0), Rec(b"{")]))])
    work.sweep([ANNA], seconds(400))
    done = work.finish()
    assert rig.rows == before
    assert done.rows[ANNA] != before[ANNA]
    assert rig.processor.tally.scores == 0


def test_a_state_that_is_kept_has_no_figures():
    """What the rules read in a unit of work is let go with it: ten thousand states are kept for the next."""
    rig = Rig()
    work = rig.begin(0, seconds(400))
    work.apply([(WEB.name, numbered([line("complaint.raised")]))])
    kept = work.finish().states
    assert kept[ANNA].glance is None


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
    link = "https://crm/{customer_id}"
    settings = Settings(topic_prefix="p.", max_customers=7, link_template=link, clock="event")
    found = build_processor(settings)
    assert found.topics == {f"p.{topic.name}": index for index, topic in enumerate(INPUTS)}
    assert (found.scores_topic, found.office.alerts_topic) == ("p.cx.scores", "p.cx.alerts")
    assert found.office.incidents_topic == "p.cx.incidents"
    assert found.dead_letters_topic == "p.cx.deadletter"
    assert (found.max_customers, found.office.link_template, found.event_clock) == (7, link, True)
    assert build_processor(Settings()).office.event_clock is False


def test_stages_leave_nothing_out():
    """A run longer than the stages take at once is applied whole, and in order."""
    number = 2 * STAGED + 1
    rig = Rig()
    orders = [line("order.placed", float(day)) for day in range(number)]
    done = rig.apply(*orders, orders[-1], b"{")
    assert done.counts == Counts(accepted=number, duplicate=1, rejected=1)
    assert done.newest_event_s == {WEB.name: seconds(number - 1)}
    assert unpack(rig.rows[ANNA]).events == number


@pytest.mark.sources
def test_a_record_that_cannot_be_scored_is_found_by_its_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Where it lies and whose it is go to the log; what it says does not, and the error goes on."""
    processor = Processor(scorer())
    monkeypatch.setattr(processor.scorer, "count", lambda *_: 1 / 0)
    work = processor.begin(3, {}, Standing("generation", -math.inf))
    with pytest.raises(ZeroDivisionError):
        work.apply([(WEB.name, [Rec(b"{"), Rec(line("order.placed", 1), offset=41)])])
    (said,) = caplog.records
    found = vars(said)
    assert (found["topic"], found["partition"], found["offset"]) == (WEB.name, 3, 41)
    assert found["customer"] == b"anna"
    assert "anna" not in said.getMessage()


def test_stages_across_inputs_keep_where_each_record_came_from():
    """Dead letters, channels and newest times are of the input, also where a stage ends within a run."""
    number = STAGED - 2
    runs = [
        (WEB.name, numbered([line("order.placed", float(day)) for day in range(number)])),
        (
            STORE.name,
            numbered([line("order.placed", number + 0.1), b"{", line("order.placed", number + 0.2)]),
        ),
        (SUPPORT.name, numbered([b"[", line("complaint.raised", number + 0.3)])),
    ]
    work = Rig().begin(0, math.inf)
    work.apply(runs)
    done = work.finish()
    assert done.counts == Counts(accepted=number + 3, rejected=2)
    assert done.tally.rejects == {(STORE.name, "not_json"): 1, (SUPPORT.name, "not_json"): 1}
    assert done.newest_event_s == {
        WEB.name: seconds(number - 1),
        STORE.name: seconds(number + 0.2),
        SUPPORT.name: seconds(number + 0.3),
    }
    assert [dict(each.headers)["cx-topic"] for each in written(done, DEAD_LETTERS.name)] == [
        STORE.name.encode(),
        SUPPORT.name.encode(),
    ]


@pytest.mark.parametrize(
    ("records", "urgent"),
    [
        ([line("order.placed", 1.0), line("page.viewed", 2.0), line("page.viewed", 2.0)], False),
        ([line("page.viewed", 1.0), b"{"], True),
        (angry(), True),
    ],
    ids=["a score", "a dead letter", "an alert"],
)
def test_somebody_waits_for_what_is_more_than_a_score(records: list[bytes], urgent: bool):  # noqa: FBT001
    """A unit of work with rows and scores alone may gather (decision 0032), although it will publish one."""
    work = Rig(now_day=300).begin(0, seconds(300))
    assert not work.urgent
    work.apply([(WEB.name, numbered(records))])
    assert work.urgent is urgent
    assert work.finish().outputs
