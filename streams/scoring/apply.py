"""Apply touchpoints to a row. Pure: the time comes from the events or from the caller."""

import hashlib
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import msgspec
from librt.vecs import vec

from schemas.arrivals import Arrival
from schemas.envelope import Touchpoint
from streams.scoring.churn import Churn
from streams.scoring.complaints import Complaints
from streams.scoring.drivers import Drivers
from streams.scoring.episodes import Decision
from streams.scoring.heads import Heads
from streams.scoring.kinds import Kind, kinds_of
from streams.scoring.ledger import Ledger
from streams.scoring.maths import exp2
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.register import Register, name_cause
from streams.scoring.rhythm import count_half_lives_s, engage
from streams.scoring.rings import remembered
from streams.scoring.rules import Rules
from streams.scoring.signals import Intent, Signals, SignalTable, intent_of, is_outbound
from streams.scoring.standing import Failures
from streams.scoring.state import CustomerState, new_state, short_hash
from streams.scoring.weighing import Weigher, fade

PROFILE_FIELDS: Final = (
    "segment",
    "tier",
    "lifetime_value",
    "currency",
    "owner",
    "home_store_id",
    "locale",
    "timezone",
    "since",
    "contact_by",
)
REFERENCE_HALF_LIVES: Final = 200.0  # powers of two stay far from the end of a double


class Applied(Enum):
    """What became of an event: a closed set, as in the counts of guarantee G4."""

    ACCEPTED = "accepted"
    STRONG = "accepted, with a serious signal"
    CANCELLED = "accepted, and the customer leaves"
    DUPLICATE = "duplicate"


_rank: Final = msgspec.json.encode
_ACCEPTED: Final = Applied.ACCEPTED
_STRONG: Final = Applied.STRONG
_LEAVES: Final = Applied.CANCELLED
_CANCELLED: Final = Intent.CANCELLED
_SILENT: Final = (Intent.CANCEL_PAGE, _CANCELLED)
"""Intents whose events are no moment, and yet what an alert may be raised by."""


def event_hash(source: str, event_id: str) -> bytes:
    """Return the 6 bytes by which a row remembers an event."""
    return short_hash(f"{source}\x00{event_id}")


def identify(arrival: Arrival, kind: Kind, signals: Signals) -> bytes | None:
    """Return the hash of an event, None for one that changes no evidence.

    `kind` and `signals` are what the policy makes of it (see `Scorer.read`).
    """
    return event_hash(arrival.source, arrival.id) if signals or kind.changes else None


def admit(state: CustomerState, topic: int, event: bytes | None) -> bool:
    """Remember an event of input `topic` by what `identify` says of it; False for one that is remembered."""
    if event is not None:
        rings = remembered(state.packed_rings, topic, event)
        if rings is None:
            return False
        state.packed_rings = rings
    return True


class Scorer:
    """The scoring of one policy: everything that is computed from it once, and the functions on rows."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.signals = SignalTable(policy)
        self.drivers = Drivers(policy)
        self.heads = Heads(policy)
        failures = Failures(policy)
        self.weigher = Weigher(policy, failures, self.signals)
        self.ledger = Ledger(policy, self.drivers, failures, self.signals)
        self.churn = Churn(policy)
        self.register = Register(policy, self.weigher, self.signals)
        complaints = Complaints(policy, self.churn, self.weigher, self.signals)
        self.rules = Rules(policy, self.ledger, self.churn, self.register.judge, complaints)
        # A policy's own fields are slow to read, and every score is held against these.
        self.min_move = policy.publish.min_move
        self.told_coverage = policy.publish.min_coverage
        self.told_again_s = policy.publish.max_age_days * DAY_S
        self.known_coverage = policy.bands.min_coverage
        self.horizon = policy.alert_horizon
        self.baked = baked_hash(policy)
        self._half_lives_s = count_half_lives_s(policy)
        self._rates = {**policy.currencies, policy.currency: 1.0}
        self._reopen_weight = policy.rules.reopen_weight
        self._reopened = policy.drivers["reopened"].code
        self.kinds = kinds_of(policy, self.signals)
        shortest_s = min(
            self.ledger.half_life_s,
            self.ledger.recent_half_life_s,
            self.churn.intent_half_life_s,
            *self._half_lives_s,
        )
        self._reach_s = REFERENCE_HALF_LIVES * shortest_s

    def new(self, touchpoint_s: float) -> CustomerState:
        """Return an empty row for a customer first heard of at `touchpoint_s` (event time, seconds)."""
        return new_state(self.baked, touchpoint_s)

    def apply(self, state: CustomerState, touchpoint: Touchpoint, at_s: float, topic: int) -> Applied:
        """Count `touchpoint`, which came in on input `topic`, in `state`, which the caller owns.

        `at_s` is its event time in seconds. A repeat of one of the last 8 state-changing events of the same
        topic changes nothing. Events may come in any order.
        """
        arrival, kind, signals = self.read(touchpoint)
        event = identify(arrival, kind, signals)
        if not admit(state, topic, event):
            return Applied.DUPLICATE
        return self.count(state, arrival, kind, signals, at_s, event)

    def read(self, touchpoint: Touchpoint) -> tuple[Arrival, Kind, Signals]:
        """Return what `identify` and `count` are to be given of an event."""
        arrival = Arrival(touchpoint)
        kind = self.kinds[arrival.kind]
        return arrival, kind, kind.signals(arrival)

    def count(
        self,
        state: CustomerState,
        arrival: Arrival,
        kind: Kind,
        signals: Signals,
        at_s: float,
        event: bytes | None,
    ) -> Applied:
        """Count an admitted event, and return what it was.

        Nothing rests after a `STRONG` one: a bad signal of the `reopen_weight`, or a ticket that is reopened.
        """
        # Never back: a long late event weighs nothing, while sums as of its time would overflow.
        if at_s - state.ref_s > self._reach_s:
            self._move_reference(state, at_s)
        state.events += 1
        state.newest_s = max(state.newest_s, at_s)
        if event is None:  # a neutral act
            return _ACCEPTED
        state.learn()
        strong = False
        for signal in signals:
            if signal.a < 0.0 and (signal.weight >= self._reopen_weight or signal.code == self._reopened):
                strong = True
        teach = kind.teach
        if teach is not None:
            signals = self.register.take(state, arrival, teach, at_s, event, signals)
        for signal in signals:
            self.weigher.add(state, signal, at_s, arrival.source, arrival.id, event)
        if self._count_beside_signals(state, arrival, kind, at_s):
            return _LEAVES
        return _STRONG if strong else _ACCEPTED

    def expire(self, state: CustomerState, now_s: float, fulfilled_until_s: Mapping[str, float]) -> bool:
        """Break the promises that are overdue at `now_s`; True if one was, so that the row changed.

        `fulfilled_until_s` is, for each channel that was read to its end, the time of its newest event
        (seconds): a source that fell silent breaks no promise. Costs one comparison where nothing is due.
        """
        if not state.deadline_s or now_s <= state.deadline_s + self.register.grace_s:
            return False
        return self.register.expire(state, now_s, fulfilled_until_s)

    def sweep(
        self,
        state: CustomerState,
        at_s: float,
        *,
        absence_until_s: float,
        fulfilled_until_s: Mapping[str, float],
    ) -> list[Decision]:
        """Look at a row at `at_s` without an event: break what is overdue, then evaluate the rules."""
        if self.expire(state, at_s, fulfilled_until_s):
            return self.rules.evaluate(state, at_s, absence_until_s=absence_until_s, strong=True)
        return self.rules.evaluate_silence(state, at_s, absence_until_s=absence_until_s)

    def _count_beside_signals(self, state: CustomerState, arrival: Arrival, kind: Kind, at_s: float) -> bool:
        """Count engagement, declared intent and the profile; True if nobody knew of a later cancellation."""
        if kind.engages and not is_outbound(arrival.data):
            engage(state, at_s, self._half_lives_s, self._spent(arrival.data, kind))
        if kind.updates:
            _update_profile(state, arrival.data, at_s)
        if not kind.declares:
            return False
        intent = intent_of(arrival.event)
        if intent is None:
            return False
        if intent in _SILENT:
            name_cause(state, at_s, arrival.source, arrival.id)
        is_last = self.churn.declare(state, intent, at_s)
        return is_last and intent is _CANCELLED and self.churn.cancels

    def _spent(self, data: Any, kind: Kind) -> float:
        """Return an engagement's amount in minor units of the policy's currency, 0 where none is known."""
        for name in kind.amounts:
            amount: int | None = getattr(data, name)
            if amount:
                currency: str | None = getattr(data, "currency", None)
                return amount * self._rates.get(currency, 0.0) if currency else float(amount)
        return 0.0

    def _move_reference(self, state: CustomerState, to_s: float) -> None:
        """Express all sums as of `to_s`."""
        span = to_s - state.ref_s
        slow = exp2(-span / self.weigher.half_life_s)
        fast = exp2(-span / self.weigher.recent_half_life_s)
        state.points.fade(slow)
        fade(state.mass, slow, fast)
        state.intents.fade(exp2(-span / self.churn.intent_half_life_s))
        rhythm = state.rhythm
        if rhythm is not None:
            half_lives = zip(rhythm.counts, self._half_lives_s, strict=True)
            rhythm.counts = vec[float]([count * exp2(-span / half_life) for count, half_life in half_lives])
            rhythm.spend *= exp2(-span / self._half_lives_s[-1])
        state.ref_s = to_s


def _update_profile(state: CustomerState, data: Any, at_s: float) -> None:
    """Take each field of a later event; at the same time the greater value wins, whatever the order."""
    for index, name in enumerate(PROFILE_FIELDS):
        value = msgspec.to_builtins(getattr(data, name))
        if value is None:
            continue
        held = state.profile.get(index)
        # Ties are judged by JSON: a tuple comes back from a row's bytes as a list.
        if held is None or (at_s, _rank(value)) > (held[0], _rank(held[1])):
            state.profile[index] = (at_s, value)


def profile_of(state: CustomerState) -> dict[str, object]:
    """Return the profile fields that are known."""
    return {PROFILE_FIELDS[index]: value for index, (_, value) in state.profile.items()}


def baked_hash(policy: Policy) -> int:
    """Return a 32-bit hash of what is baked into a row's sums: mu, asymmetry, weights, half-lives."""
    ledger = policy.ledger
    baked = (
        ledger.prior,
        ledger.asymmetry,
        ledger.half_life_days,
        ledger.trend_half_life_days,
        policy.churn.intent_half_life_days,
        policy.churn.horizons_days,
        policy.rhythm.engagement,
        (policy.currency, policy.currencies),
        msgspec.to_builtins(policy.signals),
        msgspec.to_builtins(policy.promises),
        {
            name: (each.code, each.value, each.weight, each.service, each.group)
            for name, each in policy.drivers.items()
        },
    )
    digest = hashlib.sha256(msgspec.json.encode(baked, order="sorted")).digest()
    return int.from_bytes(digest[:4], "big")
