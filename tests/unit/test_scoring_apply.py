"""Touchpoints into a row: each counted once, at its own time, by the last word of the profile."""

import math
from typing import Any

import pytest

from schemas.envelope import Touchpoint, time_s
from streams.scoring.apply import Applied, Scorer, event_hash, profile_of
from streams.scoring.churn import sigmoid
from streams.scoring.explain import assess
from streams.scoring.policy import policy_from_tables
from streams.scoring.rhythm import count_half_lives_s
from streams.scoring.rings import RING_IDS
from streams.scoring.rows import pack, unpack
from streams.scoring.signals import Intent
from streams.scoring.state import CustomerState
from tests.customers import DEFAULT, event, plain, row, scorer, seconds
from tests.unit.test_scoring_signals import READ

FULL_ROW_BYTES = 2048
CAUSE_BYTES = 2 * 128 + 16
"""Of the event that an alert may be about: its source, its id and its time."""
SMALL_ROW_BYTES = 300


def apply(state: CustomerState, each: Touchpoint, topic: int = 0) -> Applied:
    """Apply an event that came in on a topic."""
    return DEFAULT.apply(state, each, time_s(each), topic)


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("page.viewed", {}, Applied.ACCEPTED),
        ("order.placed", {}, Applied.ACCEPTED),
        ("complaint.raised", {}, Applied.STRONG),
        ("cancel_page.viewed", {}, Applied.ACCEPTED),
        ("customer.updated", {"tier": "gold"}, Applied.ACCEPTED),
        ("message.unsubscribed", {}, Applied.ACCEPTED),
    ],
)
def test_outcome(kind: str, data: dict[str, Any], expected: Applied):
    """An event is accepted, and said to be strong if it gives a bad signal of weight 2 or more."""
    state = row([event("page.viewed", -1)])

    assert apply(state, event(kind, **data)) is expected
    assert (state.events, state.newest_s) == (2, seconds(0))


@pytest.mark.parametrize("kind", ["order.placed", "cancel_page.viewed", "customer.updated", "rage.clicked"])
def test_a_repeat_counts_once(kind: str):
    """A second event with the same source and id is a duplicate and changes nothing."""
    state = row([event(kind, tier="gold") if kind == "customer.updated" else event(kind)])
    before = pack(state)

    assert apply(state, event(kind, 3, id=f"{kind}@0.0")) is Applied.DUPLICATE
    assert pack(state) == before


def test_neutral_events_are_not_remembered():
    """What changes no evidence is counted each time and takes no place in the ring."""
    state = row([event("page.viewed")] * 3)

    assert (state.events, state.rings) == (3, {})


def numbered(number: int) -> Touchpoint:
    """Return a state-changing event of its own."""
    return event("rage.clicked", number, id=str(number))


@pytest.mark.parametrize(("later", "found"), [(7, Applied.DUPLICATE), (8, Applied.ACCEPTED)])
def test_ring_of_eight(later: int, found: Applied):
    """A repeat is known as one while at most 7 other state-changing events of its topic came since."""
    state = row(numbered(number) for number in range(1 + later))

    assert apply(state, numbered(0)) is found
    assert len(state.rings[0]) == RING_IDS * 6


def test_rings_are_a_topic_each():
    """Events of another topic push nothing out, and the same id on another topic is another event."""
    state = row([numbered(0)])
    for number in range(1, 20):
        apply(state, numbered(number), topic=1)

    assert apply(state, numbered(0)) is Applied.DUPLICATE
    assert apply(state, numbered(0), topic=1) is Applied.ACCEPTED


@pytest.mark.parametrize(
    ("source", "identity"), [("/b", "1"), ("/a", "2"), ("/a1", ""), ("", "/a1")], ids=repr
)
def test_identity_is_source_and_id(source: str, identity: str):
    """Only the same source with the same id is the same event."""
    assert event_hash(source, identity) != event_hash("/a", "1")


PROFILES: list[tuple[list[tuple[float, dict[str, Any]]], dict[str, object]]] = [
    ([(0, {"tier": "gold"}), (1, {"tier": "silver"})], {"tier": "silver"}),
    ([(1, {"tier": "silver"}), (0, {"tier": "gold"})], {"tier": "silver"}),
    ([(1, {"tier": "silver"}), (0, {"tier": "gold", "owner": "kim"})], {"tier": "silver", "owner": "kim"}),
    ([(0, {"tier": "gold"}), (1, {"segment": "family"})], {"segment": "family", "tier": "gold"}),
    ([(0, {"tier": "gold"}), (0, {"tier": "silver"})], {"tier": "silver"}),
    ([(0, {"tier": "silver"}), (0, {"tier": "gold"})], {"tier": "silver"}),
    ([(0, {"since": "2020-02-29", "lifetime_value": -3})], {"since": "2020-02-29", "lifetime_value": -3}),
    ([(0, {})], {}),
]


@pytest.mark.parametrize(("updates", "profile"), PROFILES)
def test_profile(updates: list[tuple[float, dict[str, Any]]], profile: dict[str, object]):
    """Of each field the last word by event time stays, whatever came later; of equal times the greater."""
    state = row(event("customer.updated", day, id=str(n), **data) for n, (day, data) in enumerate(updates))

    assert profile_of(state) == profile


@pytest.mark.parametrize("first", [["phone", "email"], ["sms"]])
def test_profile_lists_after_a_round_trip(first: list[str]):
    """A tie between lists is judged the same before and after the row was packed."""
    (second,) = [each for each in (["phone", "email"], ["sms"]) if each != first]
    state = unpack(pack(row([event("customer.updated", id="a", contact_by=first)])))
    apply(state, event("customer.updated", id="b", contact_by=second))

    assert list(profile_of(state)["contact_by"]) == ["sms"]  # type: ignore[call-overload]


def test_engagement_is_inbound():
    """What the company placed for the customer is no engagement."""
    assert row([event("order.placed", direction="outbound")]).rhythm is None
    assert row([event("order.placed", direction="inbound")]).rhythm is not None


def test_engagement_is_the_policys():
    """The policy says what an engagement is."""
    visits = scorer(rhythm={"engagement": ["cx.store.visited.v1"]})

    assert row([event("order.placed")], visits).rhythm is None
    assert row([event("store.visited")], visits).rhythm is not None


def test_declared_intent_decays():
    """Intents of a kind add up, and halve in the policy's half-life."""
    state = row(
        [event("cancel_page.viewed", 0), event("cancel_page.viewed", 30), event("message.unsubscribed", 30)]
    )

    assert dict(DEFAULT.churn.intents(state, seconds(60))) == {
        Intent.CANCEL_PAGE: pytest.approx(0.75),
        Intent.UNSUBSCRIBE: pytest.approx(0.5),
    }


def test_the_reference_moves():
    """A row's reference follows its customer over decades, so that no sum overflows, and never goes back."""
    state = row([event("order.placed", 365.25 * year) for year in range(60)])
    moved_to = state.ref_s

    assert moved_to > seconds(365 * 30)
    assert max(map(abs, [*state.points.amounts, *plain(state.mass).values()])) < 2.0**260
    apply(state, event("complaint.raised", -365 * 30))
    assert state.ref_s == moved_to
    assert all(
        map(math.isfinite, [*state.points.amounts, *plain(state.mass).values(), *state.intents.amounts])
    )


def test_the_last_experience():
    """The newest moment of weight 1 or more is remembered with its event, and ties go to source and id."""
    life = [
        event("complaint.raised", 2, id="b", source="/b"),
        event("delivery.failed", 2, id="c", source="/a"),
        event("stockout.hit", 3),
        event("order.placed", 1),
    ]
    for events in (life, life[::-1]):
        last = row(events).last
        assert last is not None
        assert (last.source, last.id, last.at_s) == ("/b", "b", seconds(2))


SPENT: list[tuple[dict[str, Any], float]] = [
    ({}, 0.0),
    ({"total": 2000}, 2000.0),
    ({"total": 2000, "currency": "EUR"}, 2000.0),
    ({"total": 2000, "currency": "USD"}, 1840.0),
    ({"total": 2000, "currency": "XAU"}, 0.0),
    ({"total": 2000, "direction": "outbound"}, 0.0),
]


@pytest.mark.parametrize(("data", "spent"), SPENT)
def test_spend_is_in_the_policys_currency(data: dict[str, Any], spent: float):
    """An engagement's amount counts in the policy's currency by its fixed rates, another's not at all."""
    rhythm = row([event("order.placed", 0, id="a"), event("order.placed", 0, id="b", **data)]).rhythm

    assert rhythm is not None
    assert rhythm.spend == pytest.approx(spent)


def test_spend_decays_with_the_longest_count():
    """Amounts of one day add up, and spend over the last count is the mean spend an occasion."""
    orders = [event("order.placed", 40 * n, id=f"{n}{half}", total=500) for n in range(9) for half in "ab"]
    rhythm = row(orders).rhythm

    assert rhythm is not None
    assert rhythm.spend / rhythm.counts[-1] == pytest.approx(1000.0)


def test_a_renewal_is_spend():
    """What a period of a subscription costs is spent when it is renewed."""
    rhythm = row([event("subscription.renewed", amount=999)]).rhythm

    assert rhythm is not None
    assert rhythm.spend == 999.0


def test_a_small_row_is_small():
    """A customer of two events takes at most 300 bytes."""
    state = row([event("order.placed", id="5f2b1c9e-0d5a-4a5e-9f0e-3f8a"), event("delivery.failed", 2)])

    assert len(pack(state)) <= SMALL_ROW_BYTES


def test_a_full_row_is_bounded():
    """A row with every driver, episode, field and ring and the longest ids takes 2 KiB, and its cause."""
    long = {"source": "s" * 128}
    life = [event(kind, n, id=f"{n:0>128}", **long, **data) for n, (kind, data, _) in enumerate(READ)]
    profile = dict.fromkeys(("segment", "tier", "owner", "home_store_id"), "x" * 128)
    life.append(event("customer.updated", 0, **profile, since="2020-01-01", timezone="Europe/Berlin"))
    life.append(event("cancel_page.viewed", 1))
    state = DEFAULT.new(seconds(0))
    for topic in range(4):
        for each in life:
            DEFAULT.apply(state, each, time_s(each), topic)
    DEFAULT.rules.evaluate(state, seconds(2000), absence_until_s=seconds(2000))

    caused = len(pack(state))
    assert state.cause is not None
    state.cause = None
    assert len(pack(state)) <= FULL_ROW_BYTES
    assert caused <= len(pack(state)) + CAUSE_BYTES


@pytest.mark.parametrize(
    ("tables", "baked"),
    [
        ({"ledger": {"prior": 60}}, True),
        ({"ledger": {"asymmetry": 1}}, True),
        ({"ledger": {"half_life_days": 60}}, True),
        ({"ledger": {"trend_half_life_days": 20}}, True),
        ({"drivers": {"purchase": {"weight": 2}}}, True),
        ({"signals": {"transfers": 3}}, True),
        ({"churn": {"intent_half_life_days": 20}}, True),
        ({"rhythm": {"engagement": ["cx.store.visited.v1"]}}, True),
        ({"ledger": {"mass": 5, "peak_share": 0.3, "routine_cap": 5, "service_cap": 1}}, False),
        ({"bands": {"at_risk_below": 50}}, False),
        ({"rules": {"lost": 0.6}}, False),
        ({"churn": {"terms_cap": 2}}, False),
        ({"rhythm": {"r": 1}}, False),
        ({"drivers": {"purchase": {"reason": "other", "owner": "else", "severity_floor": "high"}}}, False),
    ],
)
def test_what_is_baked_into_rows(tables: dict[str, Any], *, baked: bool):
    """A row's hash changes with what is baked into its sums, and with nothing else of the policy."""
    assert (Scorer(policy_from_tables(tables)).baked != DEFAULT.baked) is baked


def test_what_is_not_baked_acts_at_once():
    """A row that was made under one policy is read under another's kappa, caps and bands."""
    state = row([event("complaint.raised")])
    heavy = scorer(ledger={"mass": 40})

    assert assess(heavy, state, 0).experience.score > assess(DEFAULT, state, 0).experience.score


def test_counts_of_every_horizon():
    """A row keeps a decayed count for each horizon, of half-life 1.4 times the horizon."""
    state = row([event("order.placed", 0), event("order.placed", 42)])
    assert state.rhythm is not None

    assert count_half_lives_s(DEFAULT.policy) == tuple(1.4 * days * 86_400 for days in (30, 60, 90))
    assert state.rhythm.counts[0] == pytest.approx(1 + 2.0)


@pytest.mark.parametrize("logit", [-800.0, -12.0, 0.0, 0.1, 12.0, 800.0])
def test_sigmoid(logit: float):
    """A probability of any log-odds is finite, and its complement that of the opposite."""
    assert 0.0 <= sigmoid(logit) <= 1.0
    assert sigmoid(logit) + sigmoid(-logit) == pytest.approx(1.0)


def churn_of(by: Scorer, state: CustomerState, day: float) -> dict[str, float]:
    """Return the drivers of churn on a day, log-odds."""
    return {each["driver"]: each["logit"] for each in assess(by, state, seconds(day)).churn_drivers}


def test_the_decayed_count_lowers_the_risk():
    """A policy that weighs the decayed count reads it, not below .05, as a driver of its own."""
    counting = scorer(churn={"engagement": -0.5})
    state = row([event("order.placed", 0)], counting)

    for day, count in ((0.0, 1.0), (126.0, 0.5), (4000.0, 0.05)):
        assert churn_of(counting, state, day)["engagement"] == pytest.approx(-0.5 * math.log(count))


def test_the_experience_terms_are_capped():
    """Terms beyond the cap are scaled together, so that each keeps its share."""
    capped = scorer(churn={"terms_cap": 0.5})
    state = row([event("order.placed"), event("cancel_page.viewed", 1), event("complaint.raised", 1)])
    free_terms, terms = (
        {name: logit for name, logit in churn_of(by, state, 0).items() if name not in BESIDE}
        for by in (DEFAULT, capped)
    )

    assert sum(terms.values()) == pytest.approx(0.5)
    share = 0.5 / sum(free_terms.values())
    assert terms == {name: pytest.approx(logit * share) for name, logit in free_terms.items()}


BESIDE = {"base", "rhythm", "engagement", "spend", "recency", "calibration"}


def test_cap_of_good_terms():
    """A good experience lowers the risk by no more than the cap."""
    capped = scorer(churn={"terms_cap": 0.1})
    state = row([event("order.placed", day) for day in range(50)], capped)

    assert capped.churn.terms(state, [], seconds(49), 99.0, 0.0) == -0.1
    assert assess(capped, state, 0).churn is not None


def test_a_driver_that_the_policy_dropped():
    """A row's driver without a name in the policy keeps its number, so that sums stay exact."""
    state = row([event("order.placed"), event("complaint.raised")])
    purchase, dropped = 10 * 8, 4001 * 8
    state.points.put(dropped, state.points.get(purchase))
    state.points.drop(purchase)
    found = assess(DEFAULT, state, 0)

    assert "driver_4001" in {each["driver"] for each in found.drivers}
    assert "driver_4001" in churn_of(DEFAULT, state, 0)
