"""Worlds with known truth: who left, when, and what of their experience had a part in it.

Customers buy by the MBG process that the rhythm assumes: each has a rate of buying, drawn from a gamma
distribution, and a chance of leaving after each purchase (the first too), drawn from a beta distribution.
Around each purchase they live through moments: deliveries, queues, calls, complaints. A moment's planted
log-odds are added to the log-odds of leaving after that purchase. In the world of zero effect all are 0:
there, experience says nothing, and a model that listens to it loses.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

Kind = Literal[
    "on_time",
    "late",
    "failed",
    "bad_call",
    "good_call",
    "complaint",
    "waiting",
    "stockout",
    "assisted",
    "rage_click",
    "glad_survey",
]

PLANTED: Final[Mapping[Kind, float]] = {
    "late": 0.7,
    "failed": 2.0,
    "bad_call": 1.5,
    "good_call": -0.8,
    "complaint": 1.8,
    "waiting": 0.4,
    "stockout": 0.3,
    "glad_survey": -0.6,
}
"""Log-odds of leaving that each moment adds; a kind that is not named adds nothing."""

RATES: Final[Mapping[Kind, float]] = {
    "late": 0.08,
    "failed": 0.03,
    "bad_call": 0.04,
    "good_call": 0.04,
    "complaint": 0.03,
    "waiting": 0.10,
    "stockout": 0.08,
    "assisted": 0.10,
    "rage_click": 0.10,
    "glad_survey": 0.06,
}
"""How often each moment comes with a purchase; a delivery that is neither late nor failed is on time."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Days on which nothing of a channel reaches the log, though it happens."""

    channel: str
    first_day: float
    last_day: float


@dataclass(frozen=True, slots=True)
class World:
    """A population, what its experience does to it, and what of that the log tells."""

    name: str
    says: str
    """What it is there to show, in one line."""
    customers: int = 1500
    days: int = 720
    r: float = 1.0
    alpha_days: float = 30.0
    a: float = 0.5
    b: float = 3.0
    effects: Mapping[Kind, float] = field(default_factory=lambda: PLANTED)
    rates: Mapping[Kind, float] = field(default_factory=lambda: RATES)
    announced: float = 0.25
    """Share of those who leave that look at the cancel page first; 0.03 of those who stay do."""
    drift: float = 0.0
    """Log-odds of leaving, and of each bad moment, added per year."""
    missing: frozenset[str] = frozenset()
    """Channels that never reach the log."""
    outages: tuple[Outage, ...] = ()
    bad_store: int | None = None
    """A store whose queues and empty shelves are five times as many from the middle of the time on."""


_PLAIN: Final = World("planted", "moments have the effects that the model believes in, more or less")

WORLDS: Final[dict[str, World]] = {
    world.name: world
    for world in (
        _PLAIN,
        replace(
            _PLAIN,
            name="zero",
            says="moments and the cancel page say nothing: experience must neither alarm nor cost",
            effects={},
            announced=0.03,
        ),
        replace(
            _PLAIN, name="drift", says="moments get worse and leaving more frequent each month", drift=0.8
        ),
        replace(
            _PLAIN,
            name="missing-channel",
            says="calls and chats are never told: what they do is seen in the silence only",
            missing=frozenset({"phone"}),
        ),
        replace(
            _PLAIN,
            name="outage",
            says="the web shop tells nothing for two weeks: silence of a source, not of customers",
            outages=(Outage("web", 400.0, 414.0),),
        ),
        replace(
            _PLAIN,
            name="bad-store",
            says="one store of eight makes its customers wait and go without",
            bad_store=3,
            effects={**PLANTED, "waiting": 1.2, "stockout": 1.0},
        ),
    )
}
"""Every world by its name."""
