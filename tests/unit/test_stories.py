"""The stories that the default policy must tell: lives in touchpoints, and what is made of them."""

from dataclasses import dataclass

import pytest

from schemas.envelope import Touchpoint
from schemas.times import at_time
from streams.scoring.explain import assess
from streams.scoring.rules import Band, Cause
from tests.customers import DEFAULT, event, live, row, scorer, seconds, told

AT_RISK = {Band.AT_RISK}
STEADY = {Band.STEADY}
DELIGHTED = {Band.DELIGHTED}
UNHAPPY = {Band.AT_RISK, Band.CRITICAL}
Life = list[Touchpoint]


def orders(every: float, count: int, first: float = 0.0) -> Life:
    """Buy `count` times, one each `every` days."""
    return [event("order.placed", first + every * n) for n in range(count)]


def contact(day: float, **outcome: object) -> Life:
    """Call the contact centre."""
    return [event("call.ended", day, direction="inbound", **outcome)]


def csat(day: float) -> Life:
    """Contact support and answer CSAT with 5 of 5."""
    return [*contact(day), event("survey.answered", day + 0.1, survey="csat", score=5)]


def bad_calls(*days: float) -> Life:
    """Call about one issue on each of `days`, without an end to it."""
    return [each for day in days for each in contact(day, resolved="no", issue_id="i1")]


LOYAL = orders(15, 24)
"""24 orders, the last on day 345."""
WEEKLY = orders(7, 52)
"""The last on day 357."""
FAILURE = [event("delivery.delivered", 345.5, promised_at=at_time(seconds(344)))]
GREAT_SERVICE = contact(346, resolved="yes", sentiment=0.8)


@dataclass(frozen=True)
class Story:
    """A life, the day it is looked at, and the bands that may come of it."""

    life: Life
    day: float
    bands: set[Band]


STORIES = {
    "one order each 15 days": Story(LOYAL, 345, DELIGHTED),
    "weekly shopper": Story(WEEKLY, 357, DELIGHTED),
    "one order each 15 days, a terrible delivery today": Story(
        [*LOYAL, event("delivery.failed", 346)], 346, AT_RISK
    ),
    "weekly shopper, a terrible delivery today": Story(
        [*WEEKLY, event("delivery.failed", 358)], 358, AT_RISK
    ),
    "one order each 15 days, 60 days and four orders after a terrible delivery": Story(
        [*LOYAL, event("delivery.failed", 346), *orders(15, 4, 360)], 406, UNHAPPY | STEADY
    ),
    "weekly shopper, 60 days and four orders after a terrible delivery": Story(
        [*WEEKLY, event("delivery.failed", 358), *orders(15, 4, 372)], 418, UNHAPPY | STEADY
    ),
    "one purchase, nothing else": Story(orders(1, 1), 0, STEADY | {Band.UNKNOWN}),
    "one complaint": Story([event("complaint.raised")], 0, UNHAPPY),
    "loyal, a failure, great service the next day": Story(
        [*LOYAL, *FAILURE, *GREAT_SERVICE], 346, AT_RISK | STEADY
    ),
    "loyal, an angry post with reach": Story(
        [*LOYAL, event("social.mentioned", 346, sentiment=-0.9, reach=50_000)], 346, UNHAPPY
    ),
    "complains monthly, buys weekly": Story(
        [*WEEKLY, *(event("complaint.raised", 30 * n) for n in range(1, 12))], 357, UNHAPPY
    ),
    "loyal, two bad calls about one issue in a day": Story([*LOYAL, *bad_calls(346, 346.5)], 346.5, AT_RISK),
    "loyal, a complaint that stands for 60 days": Story(
        [*LOYAL, event("complaint.raised", 346, complaint_id="c1")], 406, UNHAPPY
    ),
    "loyal, a delivery that failed and came two days later, 60 days and four orders on": Story(
        [
            *LOYAL,
            event("delivery.failed", 346, order_id="o"),
            event("delivery.delivered", 348, order_id="o"),
            *orders(15, 4, 360),
        ],
        406,
        UNHAPPY | STEADY,
    ),
    "only ever contacts support, six times CSAT 5 of 5": Story(
        [each for n in range(6) for each in csat(20 * n)], 101, STEADY
    ),
    "one rage click": Story([event("rage.clicked")], 0, {Band.UNKNOWN}),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
def test_band(story: Story):
    """The life ends in one of the bands of its story."""
    found = assess(DEFAULT, row(story.life), seconds(story.day))

    assert found.band in story.bands, found.experience


def test_page_views_say_nothing():
    """200 page views and a complaint are as the complaint alone."""
    complaint = event("complaint.raised", 200)
    browsing = [event("page.viewed", n) for n in range(200)]

    alone = assess(DEFAULT, row([complaint]), seconds(200))
    amid = assess(DEFAULT, row([*browsing, complaint]), seconds(200))

    assert amid.experience.score == pytest.approx(alone.experience.score, abs=1e-9)
    assert amid.experience.coverage == pytest.approx(alone.experience.coverage, abs=1e-9)
    assert amid.band is alone.band


def test_no_alert_at_checkout():
    """A first purchase raises no alert when it is made."""
    assert live(orders(1, 1))[1] == []


def test_service_after_a_failure_helps():
    """Great service after a failure lifts the score above the same without it; service alone is good."""
    without = assess(DEFAULT, row([*LOYAL, *FAILURE]), seconds(346))
    saved = assess(DEFAULT, row([*LOYAL, *FAILURE, *GREAT_SERVICE]), seconds(346))

    assert saved.experience.score > without.experience.score
    assert saved.service.score > 70


def test_service_alone_delights_only_in_its_own_ledger():
    """Who only ever contacts support and is served well is delighted with the service."""
    found = assess(DEFAULT, row(STORIES["only ever contacts support, six times CSAT 5 of 5"].life), 0)

    assert found.service.score >= DEFAULT.policy.bands.steady_below
    assert found.gap is not None
    assert found.gap > 0


def test_anger_is_not_improving():
    """The trend of a loyal customer who complained stays at or below zero in the silence after."""
    state = row([*LOYAL, event("complaint.raised", 346)])

    assert [DEFAULT.ledger.trend(state, seconds(346 + day)) <= 0 for day in range(61)] == [True] * 61


@pytest.mark.parametrize("name", [None, "c1"])
def test_silence_after_anger_is_no_improvement(name: str | None):
    """A complaint that stands weighs after 60 days what it weighed; one that nobody can name fades."""
    state = row([event("complaint.raised", complaint_id=name)])
    scores = [DEFAULT.ledger.score(state, seconds(day)) for day in (0, 59)]

    assert (scores[1] == pytest.approx(scores[0])) is (name is not None)


def test_unhappy_but_staying():
    """Who complains monthly and buys weekly is unhappy, hardly a churn risk, and one alert."""
    state, steps = live(STORIES["complains monthly, buys weekly"].life)
    found = assess(DEFAULT, state, seconds(357))

    assert found.churn is not None
    assert found.churn.probability < 0.3
    assert told(steps) == [("experience_drop", "opened")]


def test_a_rage_click_is_trifling():
    """One rage click moves the score by less than 4 points."""
    found = assess(DEFAULT, row([event("rage.clicked")]), 0)

    assert 0 < 65 - found.experience.score < 4


def decembers(years: int) -> Life:
    """Buy once each December from 2026 on, not always on the same day."""
    return [event("order.placed", day) for day in (347, 347 + 369, 347 + 725, 347 + 1102)[:years]]


JANUARY = {2: 1096, 3: 1461, 4: 1826}
"""The first day after the December that follows so many Decembers with an order, from START."""


@pytest.mark.parametrize("years", JANUARY)
def test_christmas_shoppers_are_not_missed_in_summer(years: int):
    """Who buys each December is seasonal from the second on, and not missed before the next is over."""
    first_year = told(live(decembers(years)[:2])[1])

    assert told(live(decembers(years), until=JANUARY[years] - 1e-6)[1]) == first_year


def test_christmas_shoppers_are_missed_after_christmas():
    """The silence of a seasonal customer is told on the day after the December that she stayed away."""
    *_, last = live(decembers(2), until=JANUARY[2], every=0.25)[1]

    assert (last.step, last.cause, last.glance.at_s) == ("opened", Cause.LOST, seconds(JANUARY[2]))


def test_the_season_is_what_keeps_christmas_shoppers_from_being_missed():
    """Without the seasonal rule the same customer would be missed in summer."""
    blind = scorer(rules={"seasonal_months": 0})

    assert len(live(decembers(2), blind, until=JANUARY[2] - 1)[1]) > len(live(decembers(2))[1])
