"""Advice on valid policies: what is seldom meant is named, and the defaults need none."""

from pathlib import Path
from typing import Any

import pytest

from streams.rulebook.advice import advise
from streams.scoring.policy import default_policy, load_policy, policy_from_tables

DEFAULT = default_policy()
POLICIES = sorted((Path(__file__).parents[2] / "policies").glob("*/policy.toml"))


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.parent.name)
def test_the_policies_of_the_product_need_no_advice(path: Path):
    """Nothing in the policies that come with the product is worth a second look."""
    assert advise(load_policy(path), DEFAULT) == []


ADVISED: list[tuple[str, dict[str, Any]]] = [
    ("ledger.half_life_days", {"ledger": {"half_life_days": 7.0, "trend_half_life_days": 3.0}}),
    ("ledger.trend_half_life_days", {"ledger": {"trend_half_life_days": 90.0}}),
    ("ledger.peak_share", {"ledger": {"peak_share": 0.9}}),
    ("ledger.asymmetry", {"ledger": {"asymmetry": 9.0}}),
    ("bands.at_risk_below", {"bands": {"at_risk_below": 70.0}}),
    ("rhythm.engagement", {"rhythm": {"engagement": []}}),
    ("churn.alert_horizon_days", {"churn": {"alert_horizon_days": 30}}),
    ("rules.churn_terms", {"rules": {"churn_terms": 3.0}}),
    ("rules.reopen_after_days", {"rules": {"reopen_after_days": 0.0}}),
    ("rules.drop_open", {"rules": {"drop_open": -80.0}}),
    ("rules.lost", {"rules": {"lost": 0.0}}),
    ("announcements.per_1000_a_week", {"announcements": {"per_1000_a_week": 0.0}}),
    ("announcements.holdout_share", {"announcements": {"holdout_share": 1.0}}),
    ("drivers.stockout.value", {"drivers": {"stockout": {"value": 70.0}}}),
    ("drivers.purchase.value", {"drivers": {"purchase": {"value": 30.0}}}),
    ("drivers.returned.weight", {"drivers": {"returned": {"weight": 2.0}}}),
    ("drivers.ces.weight", {"drivers": {"ces": {"weight": 3.0}}}),
    ("drivers.waiting.weight", {"drivers": {"waiting": {"weight": 9.0}}}),
    ("drivers.waiting.owner", {"drivers": {"waiting": {"owner": ""}}}),
]


@pytest.mark.parametrize(("key", "tables"), ADVISED, ids=[key for key, _ in ADVISED])
def test_what_is_worth_a_second_look(key: str, tables: dict[str, Any]):
    """A value that works badly is named by its key, with why and what to try; nothing else is."""
    [advice] = advise(policy_from_tables(tables), DEFAULT)

    assert advice.key == key
    assert advice.why
    assert advice.suggestion


def test_satisfaction_beside_the_service():
    """Who weighs CSAT otherwise hears that answers about other things do not follow, until they do."""
    csat = {name: {"weight": 1.5} for name in ("csat", "csat_price")}
    advice = advise(policy_from_tables({"drivers": csat}), DEFAULT)

    assert [each.key for each in advice] == ["drivers.csat_product.weight", "drivers.csat_other.weight"]
    assert advice[0].suggestion == "1.5, as much as drivers.csat"
