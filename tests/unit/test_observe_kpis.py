"""The field's own figures, who sent what, and whether alerts were right: counted from touchpoints."""

import math
from dataclasses import dataclass
from itertools import count
from typing import Any

import orjson
import pytest

from schemas.arrivals import Arrival
from schemas.codec import decode_line
from schemas.envelope import Touchpoint, time_s
from schemas.families.orders import OrderPlaced
from schemas.families.web import PageViewed
from schemas.rejects import source_of
from schemas.touchpoints import TYPES
from streams.engine.handler import Standing
from streams.observe.census import Census
from streams.observe.contacts import MOST_PENDING, REPEAT_S, Contact, FirstContacts
from streams.observe.histogram import Histogram
from streams.observe.intake import LATE_S, MOST_SOURCES, Intake, Meter, is_late, named_sources
from streams.observe.kpis import COUNTED, MOST_CURRENCIES, PRICED, Kpis, answer_of, priced_by
from streams.observe.outcomes import Outcomes, bin_of
from streams.observe.tally import Latencies, Tally
from streams.processing import Processor
from streams.scoring.policy import Policy
from streams.scoring.rows import pack
from streams.scoring.state import PEAKS, Episode, LastExperience
from streams.scoring.sums import sums_of
from streams.topics import SUPPORT, WEB
from tests.customers import DAY, DEFAULT, event, line, row, scorer, seconds

BAD = LastExperience(key=8, at_s=seconds(1), a=-90.0, source="/s", event_id="1")


@dataclass(frozen=True)
class Rec:
    """A record as the engine hands it over."""

    value: bytes | None
    key: bytes | None = b"anna"
    headers: tuple[tuple[str, bytes], ...] = ()
    offset: int = 0
    timestamp: int = int(seconds(2) * 1000)


def seen(*events: Touchpoint, channel: str = "phone", last: LastExperience | None = None) -> Kpis:
    """Return the figures that events of anna leave."""
    kpis = Kpis()
    for each in events:
        counting = COUNTED.get(type(each))
        if counting is not None:
            kpis.see(counting, Arrival(each), channel, b"anna", time_s(each), last)
    return kpis


@pytest.mark.parametrize(
    ("survey", "score", "answer"),
    [
        ("csat", 5, "good"),
        ("csat", 4, "good"),
        ("csat", 3, "neutral"),
        ("csat", 2, "bad"),
        ("nps", 9, "good"),
        ("nps", 8, "neutral"),
        ("nps", 7, "neutral"),
        ("nps", 6, "bad"),
        ("ces", 5, "good"),
        ("ces", 4, "neutral"),
        ("ces", 3, "bad"),
    ],
)
def test_an_answer_is_sorted_by_the_definition_of_its_survey(survey: str, score: int, answer: str):
    """CSAT by the top two of five boxes, NPS by promoters and detractors, CES 2.0 by agreement."""
    kpis = seen(event("survey.answered", survey=survey, score=score), channel="email")
    assert kpis.answers == {(survey, "email", answer): 1}


def test_an_answer_on_a_turned_scale_is_sorted_by_what_it_means():
    """Where a low answer is the good one, the best answer is good in spite of rounding."""
    turned = {"scale_min": 1, "scale_max": 5, "high_is_good": False}
    kpis = seen(event("survey.answered", survey="ces", score=2, **turned))
    assert kpis.answers == {("ces", "phone", "good"): 1}
    assert answer_of("csat", 1.0 - 0.25) == "good"


def test_a_call_is_a_contact_that_was_answered_or_abandoned():
    """Waiting and handling times go to the channel's histograms; an abandoned call has no handling."""
    kpis = seen(
        event("call.ended", 1, wait_s=45, talk_s=200, hold_s=50, acw_s=30),
        event("call.ended", 2, wait_s=900, abandoned=True),
        event("chat.ended", 3, duration_s=100),
    )
    assert kpis.offered == {("phone", "answered"): 2, ("phone", "abandoned"): 1}
    assert kpis.contacts == {("phone", "other"): 3}
    assert kpis.wait_s["phone"].total == 945
    assert kpis.handling_s["phone"].total == 280 + 100
    assert sum(kpis.handling_s["phone"].counts) == 2


def test_what_goes_out_is_no_contact():
    """A call that we made is neither contact nor wait."""
    kpis = seen(event("call.ended", 1, wait_s=45, direction="outbound"))
    assert not any((kpis.contacts, kpis.offered, kpis.wait_s, kpis.pending))


def test_a_contact_after_a_failure_is_failure_demand():
    """Within 14 days of a bad experience, not later, not before it and not after a good one."""
    for day, last, after in (
        (2, BAD, "failure"),
        (14.9, BAD, "failure"),
        (15.1, BAD, "other"),
        (0.5, BAD, "other"),
        (2, None, "other"),
        (2, LastExperience(key=8, at_s=seconds(1), a=20.0, source="/s", event_id="1"), "other"),
    ):
        assert seen(event("ticket.created", day), last=last).contacts == {("phone", after): 1}


def test_promises_queues_and_first_replies_are_counted():
    """Late and failed deliveries are broken promises; a reopened ticket's first reply counts once."""
    promised = "2026-01-03T00:00:00Z"
    kpis = seen(
        event("delivery.delivered", 1, promised_at=promised),
        event("delivery.delivered", 3, promised_at=promised),
        event("delivery.delivered", 3.5),
        event("delivery.failed", 4),
        event("promise.kept", 5, promise_id="p1"),
        event("promise.withdrawn", 5, promise_id="p2"),
        event("queue.waited", 6, wait_s=100),
        event("ticket.solved", 7, first_reply={"calendar_s": 600}),
        event("ticket.solved", 8, first_reply={"calendar_s": 600}, reopens=1),
        event("page.viewed", 9),
        channel="web",
    )
    assert kpis.promises == {("web", "kept"): 2, ("web", "broken"): 2, ("web", "withdrawn"): 1}
    assert kpis.offered == {("web", "answered"): 1}
    assert kpis.first_reply_s["web"].total == 600


def test_moments_are_weighed_by_driver_and_channel():
    """Weight times distance from the prior, bad and good apart: where it hurts."""
    processor = Processor(DEFAULT)
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    work.apply(WEB.name, [Rec(line("delivery.failed", 1)), Rec(line("order.placed", 1))])
    processor.committed(0, work.finish())
    assert processor.tally.intake.moments(DEFAULT.policy.driver_names) == {
        ("failed_delivery", "web", "bad"): pytest.approx(3 * 1.5 * 65),
        ("purchase", "web", "good"): pytest.approx(20.0),
    }


def test_a_type_from_several_sources_and_channels_is_counted_apart():
    """Also where they take turns."""
    processor = Processor(DEFAULT)
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    places = [("/shop", "web"), ("/shop", "app"), ("/other", "app"), ("/shop", "web")]
    for number, (source, channel) in enumerate(places):
        visited = line("store.visited", 1, id=f"v{number}", source=source)
        work.apply(WEB.name, [Rec(visited.replace(b'"data"', f'"channel":"{channel}","data"'.encode()))])
    accepted = work.finish().tally.intake.accepted
    assert {(channel, source): meter.number for (_, channel, source), meter in accepted.items()} == {
        ("web", "/shop"): 2,
        ("app", "/shop"): 1,
        ("app", "/other"): 1,
    }


def test_moments_of_several_drivers_that_take_turns_add_up():
    """A kind that knows more than one driver has the sum of each."""
    meter = Meter()
    for code, weight in ((1, 2.0), (-2, 3.0), (1, 4.0), (1, 1.0), (-2, 5.0)):
        meter.feel(code, weight)
    assert meter.felt == {1: 7.0, -2: 8.0}
    meter.feel(-2, 1.0)
    assert meter.felt == {1: 7.0, -2: 9.0}
    total = Meter()
    total.feel(1, 1.0)
    for each in (meter, Meter(), meter):
        total.add(each)
    assert total.felt == {1: 15.0, -2: 18.0}


def test_a_moment_of_a_driver_that_no_policy_has_is_other():
    """Codes that are kept from an earlier policy are one series together."""
    meter = Meter()
    meter.feel(3999, 2.0)
    meter.feel(-3998, 1.0)
    intake = Intake()
    intake.accepted[PageViewed, "web", "other"] = meter
    assert intake.moments({}) == {
        ("other", "web", "bad"): 2.0,
        ("other", "web", "good"): 1.0,
    }


def unpriced(kpis: Kpis, policy: Policy = DEFAULT.policy) -> dict[tuple[str, str], int]:
    """Return the engagements whose amount counts nothing under a policy."""
    return kpis.unpriced(policy.rhythm.engagement, {policy.currency, *policy.currencies})


@pytest.mark.parametrize("kind", sorted(each.__name__ for each in PRICED))
def test_an_amount_in_a_currency_without_a_rate_is_counted(kind: str):
    """For every type with an amount that a policy may call an engagement, once it does."""
    (name,) = (name for name, info in TYPES.items() if info.touchpoint.__name__ == kind)
    needed = {"order_id": "o", "total": 900, "amount": 900, "currency": "JPY"}
    kpis = seen(event(name.removeprefix("cx.").removesuffix(".v1"), 0, **needed), channel="web")
    policy = scorer(rhythm={"engagement": [name]}).policy
    assert unpriced(kpis, policy) == {("web", "JPY"): 1}


@pytest.mark.parametrize(
    "data",
    [
        {"total": 900, "currency": "EUR"},
        {"total": 900, "currency": "USD"},
        {"total": 900},
        {"currency": "JPY"},
        {"total": 0, "currency": "JPY"},
    ],
    ids=["the policy's own", "with a rate", "none named", "no amount", "nothing paid"],
)
def test_an_amount_that_counts_is_not_reported(data: dict[str, Any]):
    """The policy's own currency, one with a rate, and where there is no amount to lose."""
    assert unpriced(seen(event("order.placed", 0, order_id="o", **data), channel="web")) == {}


def test_an_amount_of_no_engagement_is_not_reported():
    """A refund has an amount, and the default policy counts no spend by it."""
    refund = event("order.refunded", 0, order_id="o", amount=900, currency="JPY")
    assert unpriced(seen(refund, channel="web")) == {}


def spent(*currencies: str) -> Kpis:
    """Return the figures of a transaction with an order in each of these currencies."""
    kpis = Kpis()
    for currency in currencies:
        kpis.spend(OrderPlaced, "web", currency)
    return kpis


STRANGE = [f"X{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(MOST_CURRENCIES + 5)]


def scraped(kpis: Kpis) -> Kpis:
    """Return the figures as a scrape copies them."""
    tally = Tally()
    tally.kpis = kpis
    return tally.copy().kpis


def test_currencies_without_end_share_a_label():
    """Beyond a number of them new ones are `other`, in the sum of tallies and in a copy of it (G8)."""
    total = Kpis()
    for currency in STRANGE:
        total.add(spent(currency))
    total.add(spent("XAA"))
    for each in (total, scraped(total)):
        found = unpriced(each)
        assert len(found) == MOST_CURRENCIES + 1
        assert (found["web", "other"], found["web", "XAA"]) == (5, 2)


def test_a_currency_with_a_rate_is_never_one_of_the_others():
    """However many codes without a rate came before it, in one transaction or in many."""
    total = Kpis(priced=priced_by(DEFAULT.policy))
    total.add(spent(*STRANGE, "USD"))
    total.add(spent("EUR", "USD"))
    for each in (total, scraped(total)):
        assert sum(unpriced(each).values()) == len(STRANGE)
        assert each.spent[OrderPlaced, "web", "USD"] == 2


def test_a_worker_and_its_scrapes_know_the_currencies_with_a_rate():
    """From the first transaction on: later one of them may be among the others already."""
    tally = Processor(DEFAULT).tally
    for each in (tally, tally.copy()):
        assert each.kpis.priced == {"EUR", *DEFAULT.policy.currencies}


def test_what_an_engagement_without_a_rate_is_worth():
    """What is counted here is what the scorer leaves out: no spend, where one in euros has some."""
    for currency, spends in (("JPY", False), ("EUR", True)):
        order = event("order.placed", 0, order_id="o", total=900, currency=currency)
        rhythm = row([order]).rhythm
        assert rhythm is not None
        assert bool(rhythm.spend) is spends
        assert bool(unpriced(seen(order, channel="web"))) is not spends


def test_a_contact_repeated_within_seven_days_was_not_resolved():
    """The first one is judged by the second; the second is pending until its own week is over."""
    judged = FirstContacts()
    judged.take(0, [Contact(1, 0.0, "phone"), Contact(1, 3 * DAY, "email"), Contact(2, 3 * DAY, "chat")])
    assert judged.results == {("phone", "repeated"): 1}
    judged.take(0, [Contact(3, 3 * DAY + REPEAT_S + 1, "phone")])
    assert judged.results == {("phone", "repeated"): 1, ("email", "resolved"): 1, ("chat", "resolved"): 1}


def test_a_later_contact_on_the_issue_leaves_the_first_resolved():
    """After more than a week it is another contact."""
    judged = FirstContacts()
    judged.take(0, [Contact(1, 0.0, "phone"), Contact(1, REPEAT_S + 1, "phone")])
    assert judged.results == {("phone", "resolved"): 1}


def test_a_contact_that_comes_more_than_a_week_late_is_judged_at_once():
    """It does not wait behind contacts of today; what repeats it came with it."""
    judged = FirstContacts()
    judged.take(0, [Contact(1, 100 * DAY, "phone")])
    judged.take(
        0, [Contact(2, 90 * DAY, "chat"), Contact(3, 90 * DAY, "email"), Contact(3, 91 * DAY, "email")]
    )
    assert judged.results == {("chat", "resolved"): 1, ("email", "repeated"): 1, ("email", "resolved"): 1}


@pytest.mark.sources
def test_partitions_are_judged_apart_and_stay_bounded(monkeypatch: pytest.MonkeyPatch):
    """A partition that is ahead judges nothing of one behind; beyond the bound the oldest go unjudged."""
    judged = FirstContacts()
    judged.take(0, [Contact(1, 0.0, "phone")])
    judged.take(1, [Contact(2, 100 * DAY, "phone")])
    assert not judged.results
    monkeypatch.setattr("streams.observe.contacts.MOST_PENDING", 2)
    judged.take(2, [Contact(number, 0.0, "phone") for number in range(5)])
    judged.take(2, [Contact(9, REPEAT_S + 1, "phone")])
    assert judged.results == {("phone", "resolved"): 2}
    assert MOST_PENDING > 2


def test_a_source_has_a_label_only_if_the_policy_lists_it():
    """All others count together, so that a producer cannot make series (G8)."""
    intake = Intake(named_sources(["/shop", *map(str, range(100))]))
    assert len(intake.sources) == MOST_SOURCES
    raw = Intake()
    raw.accepted = {(PageViewed, "web", f"/{name}"): Meter(1, 5.0) for name in ("shop", "x", "y")}
    intake.add(raw)
    intake.seen(event("page.viewed", source="/shop"), "web", "duplicate")
    assert intake.outcomes() == {
        ("web", "/shop", "accepted"): 1,
        ("web", "other", "accepted"): 2,
        ("web", "/shop", "duplicate"): 1,
    }
    assert intake.of_type(PageViewed) == {"web": 3}
    assert intake.types() == {("cx.page.viewed.v1", "/shop"): 1, ("cx.page.viewed.v1", "other"): 2}


def test_an_event_is_late_by_when_it_was_recorded():
    """More than an hour between its recording (without one, its time) and the log."""
    recorded = decode_line(line("page.viewed", 1)[:-1] + b',"recordedtime":"2026-01-02T02:00:00Z"}')
    assert isinstance(recorded, Touchpoint)
    for each, delay_s, late in (
        (event("page.viewed", 1), LATE_S, 0),
        (event("page.viewed", 1), LATE_S + 1, 1),
        (recorded, LATE_S + 1, 0),
        (recorded, 2 * 3600 + LATE_S + 1, 1),
    ):
        assert is_late(each, seconds(1), seconds(1) + delay_s) is bool(late)


def test_the_handler_keeps_the_newest_time_and_the_late_ones():
    """By source and by channel; records that are old when they come are late."""
    processor = Processor(scorer(sources=["/shop"]))
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    lines = [line("page.viewed", day, source="/shop") for day in (1.99, 1.0, 0.5)]
    work.apply(WEB.name, [Rec(each) for each in lines])
    processor.committed(0, work.finish())
    intake = processor.tally.intake
    assert intake.late() == {"/shop": 2}
    assert intake.newest_by_source() == {"/shop": seconds(1.99)}
    assert processor.tally.newest_event_s == {"web": seconds(1.99)}


def test_arrivals_of_a_large_piece_of_work_are_sampled():
    """Every record is counted once: a few stand for many."""
    intake = Intake()
    intake.arrived([Rec(b"", timestamp=number * 100) for number in range(1001)])
    assert sum(intake.arrivals.values()) == 1001
    assert len(intake.arrivals) <= 18
    few = Intake()
    few.arrived([Rec(b"", timestamp=100), Rec(b"", timestamp=300)])
    assert few.arrivals == {1: 1, 3: 1}


@pytest.mark.parametrize(
    ("value", "headers", "source"),
    [
        (b'{"source": "/shop", "type": 7}', (), "/shop"),
        (b"", (("ce_source", None), ("ce_source", b"/shop")), "/shop"),
        (b"", (("ce_source", None),), "unknown"),
        (b"not json", (), "unknown"),
        (b'{"source": 7}', (), "unknown"),
        (None, (), "unknown"),
    ],
)
def test_a_rejected_record_counts_for_the_source_that_it_names(value: Any, headers: Any, source: str):
    """Whoever can be read in a broken record is named; else it is unknown."""
    assert (source_of(value, headers) or "unknown") == source
    intake = Intake(frozenset({"/shop"}))
    intake.rejected(value, headers, "not_json")
    assert intake.rejects == {(source, "not_json"): 1}


def test_rejects_are_not_read_again_where_no_source_is_listed():
    """Without a list every source is `other`."""
    intake = Intake()
    intake.rejected(b"not json", (), "not_json")
    assert intake.rejects == {("other", "not_json"): 1}


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


@pytest.mark.parametrize(
    ("probability", "label"), [(0.0, "0.1"), (0.1, "0.1"), (0.11, "0.2"), (0.7, "0.7"), (1.0, "1")]
)
def test_a_probability_lies_in_the_bin_of_its_upper_bound(probability: float, label: str):
    """Ten bins, each with its upper bound."""
    assert bin_of(probability) == label


def test_outcomes_give_the_brier_score_and_the_calibration():
    """Predictions, outcomes and squared errors are sums, so they add up over workers."""
    one, both = Outcomes(), Outcomes()
    one.predict(0.8, churned=True)
    one.predict(0.75, churned=False)
    one.matured("churn_risk", "churned", lead_s=5 * DAY)
    one.matured("churn_risk", "false_alarm")
    both.add(one)
    both.add(one)
    assert both.predicted == {"0.8": 4}
    assert both.came_true == {"0.8": 2}
    assert both.probability == {"0.8": pytest.approx(3.1)}
    assert both.squared_error == pytest.approx(2 * (0.04 + 0.5625))
    assert both.results == {("churn_risk", "churned"): 2, ("churn_risk", "false_alarm"): 2}
    assert both.lead_s["churn_risk"].total == 10 * DAY


def test_latencies_are_taken_when_a_transaction_was_committed():
    """Each record's time from its timestamp, to a tenth of a second; contacts are judged then too."""
    tally, latencies = Tally(), Latencies()
    tally.intake.arrivals[10_000] = 3  # second 1000
    tally.kpis.pending += [Contact(1, 0.0, "phone"), Contact(1, 1.0, "phone")]
    latencies.take(0, tally, 1002.0)
    assert latencies.scored.total == pytest.approx(6.0)
    assert latencies.contacts.results == {("phone", "repeated"): 1}


def test_a_copy_of_a_tally_shares_nothing_with_it():
    """A scrape reads a copy while the worker counts on."""
    tally = Tally(frozenset({"/shop"}))
    tally.kpis.wait_s["phone"] = Histogram((1.0,))
    copy = tally.copy()
    tally.kpis.wait_s["phone"].observe(3.0)
    tally.intake.accepted[PageViewed, "web", "/shop"] = Meter(1, 2.0)
    tally.outcomes.raised["before_complaint"] = 1
    assert copy.kpis.wait_s["phone"].total == 0.0
    assert copy.intake.sources == {"/shop"}
    assert not copy.intake.accepted
    assert not copy.outcomes.raised


def test_the_handler_counts_every_record_for_who_sent_it():
    """Accepted, duplicate, anonymous and rejected: each once, with its channel and source, when committed."""
    processor = Processor(scorer(sources=["/shop"]), clock=lambda: seconds(2) + 3.0)
    anonymous = orjson.loads(line("page.viewed", 1)) | {"subject": None, "anonymousid": "x"}
    call = line("call.ended", 1, id="1", source="/shop", wait_s=700)
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    work.apply(SUPPORT.name, [Rec(call), Rec(call), Rec(b"{"), Rec(orjson.dumps(anonymous), key=None)])
    processor.committed(0, work.finish())
    intake, kpis = processor.tally.intake, processor.tally.kpis
    assert intake.outcomes() == {
        ("phone", "/shop", "accepted"): 1,
        ("phone", "/shop", "duplicate"): 1,
        ("phone", "other", "anonymous"): 1,
    }
    assert intake.rejects == {("unknown", "not_json"): 1}
    assert kpis.contacts == {("phone", "other"): 1}
    assert ("waiting", "phone", "bad") in intake.moments(DEFAULT.policy.driver_names)
    assert processor.latencies.scored.total == pytest.approx(4 * 3.0)
    assert processor.tally.compute_s > 0.0
    assert processor.tally.changelog_bytes > 0


def test_the_handler_counts_amounts_without_a_rate():
    """Each accepted one once: a repeat of the event changes nothing."""
    processor = Processor(scorer())
    order = line("order.placed", 1, order_id="o", total=900, currency="JPY")
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    work.apply(WEB.name, [Rec(order), Rec(order)])
    processor.committed(0, work.finish())
    assert unpriced(processor.tally.kpis) == {("web", "JPY"): 1}


def test_a_pass_of_the_sweep_tells_when_it_began_and_ended():
    """The age of the last whole pass is how old an unseen silence can be."""
    clock = count(100)
    processor = Processor(DEFAULT, clock=lambda: float(next(clock)))
    rows = {b"anna": pack(row([event("order.placed", 0)]))}
    processor.begin(0, rows, Standing("generation", seconds(1))).sweep([b"anna"], seconds(1))
    census = processor.censuses[0]
    assert 100.0 <= census.began_s < census.ended_s < next(clock)


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


@pytest.mark.sources
def test_a_record_that_cannot_be_scored_is_found_by_its_place(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Where it lies and whose it is go to the log; what it says does not, and the error goes on."""
    processor = Processor(scorer())
    monkeypatch.setattr(processor.scorer, "count", lambda *_: 1 / 0)
    work = processor.begin(3, {}, Standing("generation", -math.inf))
    with pytest.raises(ZeroDivisionError):
        work.apply(WEB.name, [Rec(b"{"), Rec(line("order.placed", 1), offset=41)])
    (said,) = caplog.records
    found = vars(said)
    assert (found["topic"], found["partition"], found["offset"]) == (WEB.name, 3, 41)
    assert found["customer"] == b"anna"
    assert "anna" not in said.getMessage()
