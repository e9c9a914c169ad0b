"""Worlds with known truth: what was planted is there, and what alerts are worth by it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import orjson
import pytest

from schemas.codec import decode_line
from schemas.envelope import Touchpoint, time_s
from streams.backtest.worlds import WORLDS, Kind, World
from streams.backtest.worlds_life import DAY_S, START_S, Life, lines, live
from streams.backtest.worlds_truth import Alarms, Cycles, cycles, judge

SMALL = 400


def small(name: str, **changes: object) -> World:
    """Return a world with few customers."""
    return replace(WORLDS[name], **{"customers": SMALL, **changes})  # type: ignore[arg-type]


def log(world: World, seed: int = 0) -> list[Touchpoint]:
    """Return the events of a world, which a worker would all accept."""
    found = [decode_line(line) for line in lines(world, live(world, seed))]
    assert all(isinstance(event, Touchpoint) for event in found)
    return [event for event in found if isinstance(event, Touchpoint)]


@pytest.mark.parametrize("name", WORLDS)
def test_logs_are_what_a_worker_accepts(name: str):
    """Every line of every world is a valid touchpoint, and they come in order of time."""
    times = [time_s(event) for event in log(small(name))]

    assert times == sorted(times)
    assert WORLDS[name].name == name


def test_a_seed_makes_a_world():
    """The same seed gives the same lives to the bit, another one gives others."""
    world = small("planted")

    assert lines(world, live(world, 1)) == lines(world, live(world, 1))
    assert lines(world, live(world, 1)) != lines(world, live(world, 2))


def test_who_left_does_not_come_back():
    """Nobody buys after leaving, and whoever stays is there at the end."""
    lives = live(small("planted"), 0)

    assert 0.3 < sum(life.left_s is not None for life in lives) / SMALL < 0.8
    assert all(life.left_s in (None, life.purchases[-1]) for life in lives)


def test_rates_of_buying_are_those_of_the_process():
    """The gaps of customers who never leave are those of a gamma mixture: mean rate r / alpha."""
    world = small("zero", a=1e-9, b=1.0, customers=800)
    lives = live(world, 0)
    bought = sum(len(life.purchases) - 1 for life in lives)
    watched = sum(world.days - (life.purchases[0] - START_S) / DAY_S for life in lives)

    assert bought / watched == pytest.approx(world.r / world.alpha_days, rel=0.08)


def share_left(world: World, type_of: str) -> tuple[float, float]:
    """Return the share of purchases followed by leaving, with and without a moment of a type."""
    counts: Counter[tuple[bool, bool]] = Counter()
    for life in live(world, 0):
        for number, bought_s in enumerate(life.purchases):
            felt = any(
                bought_s <= moment.at_s < bought_s + 5 * DAY_S and moment.type == type_of
                for moment in life.moments
            )
            left = life.left_s is not None and number == len(life.purchases) - 1
            counts[felt, left] += 1
    with_it, without = (
        counts[felt, True] / (counts[felt, True] + counts[felt, False]) for felt in (True, False)
    )
    return with_it, without


def test_what_is_planted_grows():
    """Who had a failed delivery leaves more often in the planted world, and not in that of zero effect."""
    planted = share_left(small("planted", customers=700), "delivery.failed")
    zero = share_left(small("zero", customers=700), "delivery.failed")

    assert planted[0] > 2 * planted[1]
    assert zero[0] < 1.4 * zero[1]


def test_what_is_known_of_leaving():
    """A customer who left of something has its moments by name."""
    reasons: Counter[Kind] = Counter(kind for life in live(small("planted"), 0) for kind in life.because)

    assert reasons["failed"] > 0
    assert "on_time" not in reasons


def test_a_missing_channel_is_missing():
    """No call reaches the log of the world whose telephone is silent, though calls happen."""
    world = small("missing-channel")
    happened = {moment.channel for life in live(world, 0) for moment in life.moments}

    assert "phone" in happened
    assert "phone" not in {event.channel for event in log(world)}


def test_an_outage_hides_its_days():
    """The web shop tells nothing on the days of its outage; the stores go on."""
    days = {
        channel: {
            int((time_s(event) - START_S) / DAY_S)
            for event in log(small("outage"))
            if event.channel == channel
        }
        for channel in ("web", "store")
    }

    assert not days["web"] & set(range(400, 414))
    assert days["store"] & set(range(400, 414))


def test_a_bad_store_is_bad():
    """Customers of the bad store wait far more often than those of the others, from the middle on."""
    world = small("bad-store", customers=1500)
    waits: Counter[str] = Counter()
    for event in log(world):
        if event.type == "cx.queue.waited.v1" and time_s(event) > START_S + world.days / 2 * DAY_S:
            waits[str(event.data.store_id)] += 1

    others = [count for store, count in waits.items() if store != "store-3"]
    assert waits["store-3"] > 2 * max(others)


def test_drift_makes_it_worse():
    """In the drifting world deliveries fail more often towards the end than in the beginning."""
    world = small("drift", customers=700)
    late = Counter[bool]()
    orders = Counter[bool]()
    for event in log(world):
        half = time_s(event) > START_S + world.days / 2 * DAY_S
        orders[half] += event.type == "cx.order.placed.v1"
        late[half] += event.type == "cx.complaint.raised.v1"

    assert late[True] / orders[True] > 1.2 * late[False] / orders[False]


def test_lines_are_of_their_customer():
    """An event names its customer, its source by channel, and an id of its own."""
    found = [orjson.loads(line) for line in lines(small("zero"), live(small("zero"), 0))]

    assert len({(each["source"], each["id"]) for each in found}) == len(found)
    assert {each["source"] for each in found} == {f"/worlds/{each['channel']}" for each in found}


def life(purchases: list[float], left: float | None) -> Life:
    """Return a life by days of purchases."""
    return Life("x", "web", 0, left and left * DAY_S, purchases=[day * DAY_S for day in purchases])


def days(*values: float) -> np.ndarray:
    """Return days as seconds."""
    return np.array(values) * DAY_S


ANNA, BORIS = 0, 1
LIVES = [life([0, 10, 20], 20.0), life([0, 40], None)]
CUSTOMER = np.array([ANNA, ANNA, ANNA, ANNA, BORIS, BORIS, BORIS])
AT = days(7, 14, 28, 35, 7, 35, 49)
SCORE = np.array([0.2, 0.3, 0.8, 0.9, 0.1, 0.6, 0.2])


def test_a_purchase_begins_a_cycle():
    """Rows are told apart by how many purchases were made before them."""
    assert cycles(LIVES, CUSTOMER, AT).tolist() == [1, 2, 3, 3, 1, 1, 2]


@pytest.mark.parametrize(
    ("most", "raised"),
    [
        (1, [(ANNA, 35)]),
        (2, [(ANNA, 28), (BORIS, 35)]),
        (3, [(ANNA, 14), (ANNA, 28), (BORIS, 35)]),
        (99, [(ANNA, 14), (ANNA, 28), (BORIS, 35), (BORIS, 49)]),
    ],
)
def test_one_alert_a_cycle(most: int, raised: list[tuple[int, float]]):
    """The threshold is the one at which so many cycles reach it; each raises one alert, at its first row."""
    scored = Cycles(CUSTOMER, AT, cycles(LIVES, CUSTOMER, AT), SCORE)
    found = scored.alarms(scored.threshold(most))

    pairs = zip(found.customer.tolist(), (found.at_s / DAY_S).tolist(), strict=True)
    assert sorted(pairs) == raised


def test_what_was_above_before_is_no_alert():
    """Who is above the threshold in the first period raises no alert in that cycle: it is not new."""
    score = np.array([0.9, 0.3, 0.8, 0.9, 0.1, 0.6, 0.2])
    scored = Cycles(CUSTOMER, AT, cycles(LIVES, CUSTOMER, AT), score)
    found = scored.alarms(scored.threshold(3))

    assert (ANNA, 7.0) not in zip(found.customer.tolist(), (found.at_s / DAY_S).tolist(), strict=True)
    assert len(found.customer) == 3


def test_what_alerts_are_worth():
    """Detection, false alarms and lead are told by who had really left."""
    alarms = Alarms(np.array([ANNA, ANNA, BORIS]), days(14, 30, 35))
    seen = judge(LIVES, alarms, horizon_days=30, span=(0.0, 100 * DAY_S), weeks=1500.0)

    assert (seen.alerts, seen.per_1000_a_week, seen.detected) == (3, 2.0, 1.0)
    assert seen.false_alarms == pytest.approx(2 / 3)
    assert seen.lead_days == pytest.approx(50.0)  # given up on day 80, seen on day 30
    assert seen.detected_driven is None


def test_who_was_driven_out_is_counted_apart():
    """Of those who left of what they lived through, the share that was seen is told by itself."""
    lives = [replace(LIVES[ANNA], because=("failed",)), replace(LIVES[ANNA])]
    seen = judge(
        lives, Alarms(np.array([ANNA]), days(30)), horizon_days=30, span=(0.0, 100 * DAY_S), weeks=1.0
    )

    assert (seen.detected, seen.detected_driven) == (0.5, 1.0)


@pytest.mark.parametrize(("day", "span"), [(85.0, 100.0), (30.0, 60.0), (15.0, 100.0)])
def test_what_is_no_detection(day: float, span: float):
    """An alert after two horizons of silence, before leaving, or of who left too late to tell is none."""
    alarms = Alarms(np.array([ANNA]), days(day))
    seen = judge(LIVES, alarms, horizon_days=30, span=(0.0, span * DAY_S), weeks=1.0)

    assert (seen.detected, seen.lead_days) == (0.0, 0.0)


def test_no_alerts_at_all():
    """Without alerts nothing is seen, and nothing is divided by nothing."""
    none = Alarms(CUSTOMER[:0], AT[:0])
    seen = judge(LIVES, none, horizon_days=30, span=(0.0, 100 * DAY_S), weeks=0.0)

    assert (seen.alerts, seen.per_1000_a_week, seen.detected, seen.false_alarms) == (0, 0.0, 0.0, 0.0)
