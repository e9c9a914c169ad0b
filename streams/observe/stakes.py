"""What is at stake, split by store and by journey stage; by driver the census has it.

A store is the profile's `home_store_id`, which producers choose: only the stores with most customers get a
label of their own, and none by which a single customer could be told.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from streams.scoring.apply import PROFILE_FIELDS, Scorer
from streams.scoring.episodes import open_of
from streams.scoring.rhythm import season_open
from streams.scoring.state import CustomerState
from streams.scoring.vocabulary import Rule

NEW: Final = "new"
"""Not engaged yet: nothing is at stake, so no sum has this stage."""
FIRST: Final = "first"
REPEAT: Final = "repeat"
LAPSING: Final = "lapsing"
NO_STORE: Final = "none"
OTHER: Final = "other"
RESERVED: Final = (NO_STORE, OTHER)
"""Labels that are no store's: one that calls itself so is counted with the others."""
MOST_STORES: Final = 20
"""Stores with a label of their own: whatever profiles say, series stay bounded."""
LEAST_CUSTOMERS: Final = 5
"""A store with fewer is `other`: an id that only one customer has would name that customer in a label."""
MOST_COUNTED: Final = 2_000
"""Stores counted apart within a pass over a partition, the first met: memory stays bounded too."""
_HOME_STORE: Final = PROFILE_FIELDS.index("home_store_id")


def stage_of(scorer: Scorer, state: CustomerState, at_s: float) -> str:
    """Return how far the customer is on the way with us: new, first, repeat or lapsing.

    `new`: has not engaged yet. `lapsing`: `silence` or `churn_risk` is open, or silence has cost the policy's
    share (`rules.lost`) and no season of theirs is still to come. Else `first` or `repeat`: one occasion, or
    more.
    """
    rhythm = state.rhythm
    if rhythm is None:
        return NEW
    if open_of(state, Rule.SILENCE) is not None or open_of(state, Rule.CHURN_RISK) is not None:
        return LAPSING
    limits, silence = scorer.policy.rules, scorer.churn.silence
    horizon = float(scorer.policy.churn.alert_horizon_days)
    # In this order: what costs least tells of most.
    if (
        not silence.surely_below(rhythm, at_s, limits.lost)
        and silence.lost(rhythm, at_s, horizon) >= limits.lost
        and not season_open(rhythm, at_s, span_days=limits.seasonal_span_days, months=limits.seasonal_months)
    ):
        return LAPSING
    return REPEAT if rhythm.repeats else FIRST


@dataclass(slots=True)
class Stores:
    """Customers by their home store, and what is at stake with them, in minor units."""

    customers: Counter[str] = field(default_factory=Counter)
    at_risk: dict[str, float] = field(default_factory=dict)

    def take(self, state: CustomerState, value: float | None) -> None:
        """Count a customer; `value` None: nothing is known to be at stake."""
        store = NO_STORE
        if held := state.profile.get(_HOME_STORE):
            named = str(held[1])
            known = named in self.customers or len(self.customers) < MOST_COUNTED
            store = named if known and named not in RESERVED else OTHER
        self.customers[store] += 1
        if value is not None:
            self.at_risk[store] = self.at_risk.get(store, 0.0) + value


def at_risk_by_store(found: Iterable[Stores]) -> dict[str, float]:
    """Return what is at stake by store: the largest by name, `other`, and `none` without a store."""
    customers: Counter[str] = Counter()
    at_risk: dict[str, float] = {}
    for stores in found:
        customers.update(stores.customers)
        for store, value in stores.at_risk.items():
            at_risk[store] = at_risk.get(store, 0.0) + value
    large = [store for store, number in customers.items() if number >= LEAST_CUSTOMERS]
    ranked = sorted({*large} - {NO_STORE, OTHER}, key=lambda store: (-customers[store], store))
    labels = {NO_STORE, *ranked[:MOST_STORES]}
    shown: dict[str, float] = {}
    for store, value in at_risk.items():
        label = store if store in labels else OTHER
        shown[label] = shown.get(label, 0.0) + value
    return shown
