"""What is at stake by store and by stage of the journey, in labels that stay few and name nobody."""

import pytest

from streams.observe import stakes
from streams.observe.census import Census
from streams.observe.stakes import Stores, at_risk_by_store, stage_of
from streams.scoring.rules import Rule
from streams.scoring.state import CustomerState, Episode
from tests.customers import DEFAULT, event, row, seconds


def bought(*days: float, store: str = "") -> CustomerState:
    """Return the row of a customer who bought on these days, with a home store if one is named."""
    orders = [event("order.placed", day, total=10_000, currency="EUR") for day in days]
    named = [event("customer.updated", days[0], home_store_id=store)] if store else []
    return row([*orders, *named])


def with_episode(rule: Rule, *, closed: bool = False) -> CustomerState:
    """Return the row of a regular customer with an episode of a rule."""
    state = bought(0, 20, 40)
    state.episodes[rule] = Episode(1, seconds(40), seconds(41) if closed else None, "lost", 1, 0)
    return state


@pytest.mark.parametrize(
    ("state", "day", "stage"),
    [
        (row([event("complaint.raised", 0)]), 1, "new"),
        (bought(0), 5, "first"),
        (bought(0, 20, 40), 45, "repeat"),
        (bought(*range(0, 60, 3)), 150, "lapsing"),
        (with_episode(Rule.SILENCE), 41, "lapsing"),
        (with_episode(Rule.CHURN_RISK), 41, "lapsing"),
        (with_episode(Rule.CHURN_RISK, closed=True), 42, "repeat"),
        (with_episode(Rule.PROMISE_BROKEN), 41, "repeat"),
    ],
    ids=["never bought", "bought once", "bought again", "silent", "silence", "risk", "risk over", "promise"],
)
def test_the_stage_of_a_customer(state: CustomerState, day: float, stage: str):
    """New, first, repeat; lapsing where silence has cost too much or a rule says that they leave."""
    assert stage_of(DEFAULT, state, seconds(day)) == stage


def test_who_waits_for_a_season_is_not_lapsing():
    """Who buys around New Year only is silent in July, and that says nothing until December is over."""
    state = bought(*range(-390, -367, 2), *range(2, 28, 2))
    assert state.rhythm is not None
    assert DEFAULT.churn.silence.lost(state.rhythm, seconds(200), 90.0) >= DEFAULT.policy.rules.lost
    assert stage_of(DEFAULT, state, seconds(200)) == "repeat"
    assert stage_of(DEFAULT, state, seconds(400)) == "lapsing"


def test_each_split_has_the_same_sum():
    """What is at stake by driver, by stage and by store is one amount, split in three ways."""
    census = Census()
    for state, day in ((bought(0, store="north"), 5), (bought(0, 20), 25), (bought(*range(0, 60, 3)), 150)):
        census.take(DEFAULT, b"", state, seconds(day))
    total = sum(census.value_at_risk.values())
    assert total > 0.0
    assert set(census.at_risk_by_stage) == {"first", "repeat", "lapsing"}
    assert sum(census.at_risk_by_stage.values()) == pytest.approx(total)
    assert set(census.stores.at_risk) == {"north", "none"}
    assert sum(census.stores.at_risk.values()) == pytest.approx(total)


def test_a_customer_without_anything_at_stake_counts_for_the_size_of_the_store():
    """Stores are ranked by their customers, and not by who has bought."""
    stores = Stores()
    stores.take(row([event("customer.updated", 0, home_store_id="north")]), None)
    assert stores.customers == {"north": 1}
    assert stores.at_risk == {}


def a_store(name: str, customers: int, value: float) -> Stores:
    """Return a pass in which one store has so many customers, and so much is at stake with them."""
    stores = Stores(at_risk={name: value})
    stores.customers[name] = customers
    return stores


def test_the_largest_stores_have_a_label_and_the_others_share_one():
    """Twenty of most customers over all partitions, equal ones by name; nothing gets lost."""
    passes = [a_store(f"s{number:02}", 10, 1.0) for number in range(24)]
    passes += [a_store("s23", 1, 5.0), a_store("none", 1000, 7.0)]
    shown = at_risk_by_store(passes)
    assert shown == {
        **{f"s{number:02}": 1.0 for number in range(19)},
        "s23": 6.0,
        "other": 4.0,
        "none": 7.0,
    }


def test_a_store_of_few_customers_is_not_named():
    """An id that one customer alone has would be a customer's name in a label."""
    assert at_risk_by_store([a_store("anna's", 4, 1.0)]) == {"other": 1.0}
    assert at_risk_by_store([a_store("anna's", 4, 1.0), a_store("anna's", 1, 1.0)]) == {"anna's": 2.0}


def test_a_store_that_is_called_as_no_store_is_one_of_the_others():
    """`none` is who has no store, and nobody else, however large a store of that name is."""
    stores = Stores()
    for store in ("none", "none", "other", "north", ""):
        stores.take(bought(0, store=store), 1.0)
    assert stores.customers == {"other": 3, "north": 1, "none": 1}
    assert at_risk_by_store([stores] * 5) == {"other": 15.0, "north": 5.0, "none": 5.0}


def test_stores_without_end_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch):
    """Beyond a number of them new ones are counted together; those that are known go on (G8)."""
    monkeypatch.setattr(stakes, "MOST_COUNTED", 2)
    stores = Stores()
    for store in ("north", "south", "east", "west", "north"):
        stores.take(bought(0, store=store), 1.0)
    assert stores.customers == {"north": 2, "south": 1, "other": 2}
    assert stores.at_risk == {"north": 2.0, "south": 1.0, "other": 2.0}
