"""The row of one customer: what is kept between events, and its bytes.

Sums decay lazily: each is kept as of `ref_s`, so that an event at t adds `x * 2**((t - ref_s) / half_life)`
and a sum is read at t by multiplying with `2**((ref_s - t) / half_life)`. Nothing is touched while time
passes, late events are exact, and the order of events does not matter.
"""

from typing import Any, Final

import msgspec

VERSION: Final = 1
RING_IDS: Final = 8
ID_BYTES: Final = 6

# Keys of `CustomerState.mass`.
Q_PLAIN: Final = 0  # experience ledger, signals of no group
Q_ROUTINE: Final = 1  # experience ledger, routine good moments
Q_SERVICE: Final = 2  # experience ledger, good service moments
Q_SERVED: Final = 3  # service ledger
W_EXPERIENCE: Final = 4
W_SERVICE: Final = 5
A_RECENT: Final = 6  # experience ledger at the trend's half-life, unsaturated
Q_RECENT: Final = 7

# Keys of `CustomerState.peaks`.
BEST: Final = 0
WORST: Final = 1
BEST_SERVICE: Final = 2
WORST_SERVICE: Final = 3


class Peak(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The best or worst moment of a ledger: magnitude m = w'|v - mu| at its own time."""

    code: int
    m: float
    at_s: float
    event: bytes


class LastExperience(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The newest signal that mattered (w >= 1); `a` = w'(v - mu), `key` as in `CustomerState.points`."""

    key: int
    at_s: float
    a: float
    source: str
    id: str


class Rhythm(msgspec.Struct, array_like=True, gc=False):
    """When the customer engaged: UTC days, counted from 1970-01-01."""

    first_day: int
    last_day: int
    repeats: int
    days: int
    """64 bits: bit n tells of the day n + 1 days before `last_day`."""
    counts: list[float]
    """Decayed occasions as of `ref_s`, one a horizon of the policy."""
    months: int
    """Twelve bits: the calendar months engaged in."""


class Episode(msgspec.Struct, array_like=True, gc=False):
    """The newest episode of a rule for this customer."""

    number: int
    opened_s: float
    closed_s: float | None
    cause: str
    severity: int
    last_day: int
    """The last engagement day when the episode was opened; a later one is an engagement since."""
    told: int = -1
    """The severity that people were last told; -1: they wait to be told, or never will be."""
    told_s: float | None = None
    """When people were first told."""
    acknowledged_s: float | None = None
    snoozed_until_s: float | None = None
    outcome: str = ""
    """How it turned out, as somebody recorded it."""
    inferred: str = ""
    """How it turned out, as the customer's engagement tells."""
    risk: float | None = None
    """Churn probability when the episode was opened."""
    retired: bool = False
    """Its alert was taken off `cx.alerts`, some time after it was closed."""


class Published(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What `cx.scores` last said."""

    experience: float
    service: float
    band: int
    at_s: float


class CustomerState(msgspec.Struct, array_like=True, gc=False):
    """Everything kept of one customer; bounded, whatever is sent."""

    version: int
    baked: int
    """The policy numbers that are baked into the sums, as a 32-bit hash."""
    ref_s: float
    newest_s: float
    events: int = 0
    points: dict[int, float] = {}  # msgspec copies mutable defaults
    """A of each (driver, group, in service): key = driver code * 8 + group * 2 + in service."""
    mass: dict[int, float] = {}
    """Q, W and the trend's sums, by the keys above; an absent one is 0."""
    peaks: dict[int, Peak] = {}
    rhythm: Rhythm | None = None
    intents: dict[int, float] = {}
    last: LastExperience | None = None
    rings: dict[int, bytes] = {}
    """The last 8 state-changing ids of each source topic, 6 bytes each, oldest first."""
    episodes: dict[int, Episode] = {}
    published: Published | None = None
    profile: dict[int, tuple[float, Any]] = {}
    """Field -> (event time, value)."""
    told_s: float | None = None
    """When people were last told anything about the customer."""
    lost_day: int = 0
    """The last engagement day before the silence by which the customer was counted as lost."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(CustomerState)
pack = _ENCODER.encode
"""CustomerState -> bytes: versioned, array-like msgpack."""
unpack = _DECODER.decode
"""Bytes -> CustomerState; raises msgspec.DecodeError on bytes that are no row."""


def new_state(baked: int, at_s: float) -> CustomerState:
    """Return the row of a customer first heard of at `at_s` (event time, seconds)."""
    return CustomerState(VERSION, baked, at_s, at_s)
