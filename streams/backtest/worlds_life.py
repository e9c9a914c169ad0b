"""Lives in a world: purchases by MBG, moments around them, and who leaves of what."""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from schemas.times import at_time
from streams.backtest.worlds import Kind, World
from streams.scoring.churn import sigmoid

DAY_S: Final = 86400.0
START_S: Final = 1_672_531_200.0
"""2023-01-01, so that no world lies in anybody's future."""
STORES: Final = 8
STORE_SHARE: Final = 0.4
"""Of the customers: they buy in their store, the others in the web shop."""
ARRIVE_WITHIN: Final = 0.5
"""Of the time: later comers would leave no history to judge."""
STAY_AND_LOOK: Final = 0.03
BAD: Final[frozenset[Kind]] = frozenset({"late", "failed", "bad_call", "complaint", "waiting", "stockout"})
WORSE_IN_BAD_STORE: Final = 5.0
_ELSEWHERE: Final[dict[str, frozenset[Kind]]] = {
    "store": frozenset({"on_time", "late", "failed", "rage_click"}),
    "web": frozenset({"waiting", "stockout", "assisted"}),
}
"""Moments that cannot happen to a customer of that channel."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One touchpoint: when, what, where."""

    at_s: float
    type: str
    channel: str
    data: dict[str, Any]


@dataclass(slots=True)
class Life:
    """A customer and the truth about them; `left_s` None is still there at the end."""

    customer_id: str
    channel: str
    store: int
    left_s: float | None = None
    because: tuple[Kind, ...] = ()
    """The moments of the last purchase that raised the chance of leaving."""
    purchases: list[float] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)


def live(world: World, seed: int) -> list[Life]:
    """Return every life of a world; the same seed gives the same lives."""
    rng = np.random.default_rng([seed, *world.name.encode()])
    return [_life(world, number, rng) for number in range(world.customers)]


def lines(world: World, lives: list[Life]) -> list[bytes]:
    """Return the log as JSON lines in order of time, without what a missing channel or an outage hides."""
    told = [
        (moment.at_s, life.customer_id, number, moment)
        for life in lives
        for number, moment in enumerate(life.moments)
        if _reaches(world, moment)
    ]
    told.sort(key=lambda entry: entry[:3])
    return [_line(*entry) for entry in told]


def _reaches(world: World, moment: Moment) -> bool:
    day = (moment.at_s - START_S) / DAY_S
    return moment.channel not in world.missing and not any(
        outage.channel == moment.channel and outage.first_day <= day < outage.last_day
        for outage in world.outages
    )


def _line(at_s: float, customer_id: str, number: int, moment: Moment) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"{customer_id}-{number}",
            "source": f"/worlds/{moment.channel}",
            "type": f"cx.{moment.type}.v1",
            "time": at_time(at_s),
            "subject": customer_id,
            "channel": moment.channel,
            "data": moment.data,
        }
    )


def _life(world: World, number: int, rng: np.random.Generator) -> Life:
    channel = "store" if rng.random() < STORE_SHARE else "web"
    life = Life(f"w-{number:05d}", channel, int(rng.integers(STORES)))
    rate = rng.gamma(world.r, 1.0 / world.alpha_days)
    leaving = _logit(rng.beta(world.a, world.b))
    day = rng.random() * world.days * ARRIVE_WITHIN
    while day < world.days:
        life.purchases.append(START_S + day * DAY_S)
        kinds = _draw(world, life, day, rng)
        effect = sum(world.effects.get(kind, 0.0) for kind in kinds)
        leaves = rng.random() < sigmoid(leaving + effect + world.drift * day / 365.0)
        _tell(life, day, kinds, rng)
        if rng.random() < (world.announced if leaves else STAY_AND_LOOK):
            _add(life, day + 5.0 + rng.random(), "cancel_page.viewed", "web")
        if leaves:
            life.left_s = life.purchases[-1]
            life.because = tuple(kind for kind in kinds if world.effects.get(kind, 0.0) > 0.0)
            break
        day += rng.exponential(1.0 / rate)
    return life


def _logit(probability: float) -> float:
    bounded = min(max(probability, 1e-12), 1.0 - 1e-12)
    return math.log(bounded / (1.0 - bounded))


def _draw(world: World, life: Life, day: float, rng: np.random.Generator) -> list[Kind]:
    """Return the moments around one purchase."""
    drawn: list[Kind] = []
    worse = math.exp(world.drift * day / 365.0)
    bad_store = life.channel == "store" and life.store == world.bad_store and day > world.days / 2
    for kind, share in world.rates.items():
        chance = share * (worse if kind in BAD else 1.0)
        if bad_store and kind in ("waiting", "stockout"):
            chance *= WORSE_IN_BAD_STORE
        if rng.random() < chance and kind not in _ELSEWHERE[life.channel]:
            drawn.append(kind)
    if life.channel == "web" and "failed" not in drawn and "late" not in drawn:
        drawn.append("on_time")
    return drawn


def _tell(life: Life, day: float, kinds: list[Kind], rng: np.random.Generator) -> None:
    """Write the purchase and its moments into the life, as touchpoints within five days."""
    total = int(rng.lognormal(8.3, 0.6))
    data: dict[str, Any] = {"total": total, "currency": "EUR"}
    if life.channel == "store":
        data["store_id"] = f"store-{life.store}"
    _add(life, day, "order.placed", life.channel, data)
    for kind in kinds:
        _add(life, day + _DELAYS[kind] + 0.2 * rng.random(), *_touchpoint(kind, life, day))


_DELAYS: Final[dict[Kind, float]] = {
    "waiting": 0.0,
    "stockout": 0.0,
    "assisted": 0.0,
    "rage_click": 0.0,
    "on_time": 2.0,
    "failed": 3.0,
    "late": 4.0,
    "bad_call": 4.0,
    "good_call": 4.0,
    "complaint": 4.5,
    "glad_survey": 4.7,
}
"""Days after the purchase."""


def _touchpoint(kind: Kind, life: Life, day: float) -> tuple[str, str, dict[str, Any]]:
    """Return type, channel and data of a moment."""
    promised = {"promised_at": at_time(START_S + (day + 3.0) * DAY_S)}
    store = {"store_id": f"store-{life.store}"}
    table: dict[Kind, tuple[str, str, dict[str, Any]]] = {
        "on_time": ("delivery.delivered", "product", promised),
        "late": ("delivery.delivered", "product", promised),
        "failed": ("delivery.failed", "product", promised),
        "bad_call": ("call.ended", "phone", {"direction": "inbound", "resolved": "no", "wait_s": 700}),
        "good_call": ("call.ended", "phone", {"direction": "inbound", "resolved": "yes", "sentiment": 0.8}),
        "complaint": ("complaint.raised", "email", {}),
        "waiting": ("queue.waited", "store", {"wait_s": 700, **store}),
        "stockout": ("stockout.hit", "store", store),
        "assisted": ("visit.assisted", "store", store),
        "rage_click": ("rage.clicked", "web", {}),
        "glad_survey": ("survey.answered", "email", {"survey": "csat", "score": 5}),
    }
    return table[kind]


def _add(life: Life, day: float, kind: str, channel: str, data: dict[str, Any] | None = None) -> None:
    life.moments.append(Moment(START_S + day * DAY_S, kind, channel, data or {}))
