"""The field's own figures, counted from touchpoints: surveys, contacts, promises and amounts."""

import math
from typing import Any

import pytest

from schemas.arrivals import Arrival
from schemas.envelope import Touchpoint, time_s
from schemas.families.orders import OrderPlaced
from schemas.touchpoints import TYPES
from streams.engine.handler import Standing
from streams.observe.kpis import COUNTED, MOST_CURRENCIES, PRICED, Kpis, answer_of, priced_by
from streams.observe.tally import Tally
from streams.processing import Processor
from streams.scoring.policy import Policy
from streams.scoring.state import LastExperience
from streams.topics import WEB
from tests.customers import DEFAULT, event, line, row, scorer, seconds
from tests.handling import Rec

BAD = LastExperience(key=8, at_s=seconds(1), a=-90.0, source="/s", event_id="1")


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


def test_the_handler_counts_amounts_without_a_rate():
    """Each accepted one once: a repeat of the event changes nothing."""
    processor = Processor(scorer())
    order = line("order.placed", 1, order_id="o", total=900, currency="JPY")
    work = processor.begin(0, {}, Standing("generation", -math.inf))
    work.apply([(WEB.name, [Rec(order), Rec(order)])])
    processor.committed(0, work.finish())
    assert unpriced(processor.tally.kpis) == {("web", "JPY"): 1}
