"""The row of one customer: what is kept between events, and its bytes.

Sums decay lazily: each is kept as of `ref_s`, so that an event at t adds `x * 2**((t - ref_s) / half_life)`
and a sum is read at t by multiplying with `2**((ref_s - t) / half_life)`. Nothing is touched while time
passes, late events are exact, and the order of events does not matter.
"""

from typing import Any, Final

import msgspec

from streams.errors import CxError

VERSION: Final = 2
"""2 since the register and the spend; rows of version 1 are read with both empty."""
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
BEST_KEPT: Final = 4  # the newest delivery of the register that came in time
WORST_ENDED: Final = 5  # the worst failure of the register that has ended
WORST_SERVICE_ENDED: Final = 6  # the worst of service of those

# How an ended failure of the register lies in the sums.
NOT_SETTLED: Final = 0
SETTLED: Final = 1
SETTLED_REPAIRED: Final = 2

NO_CODE: Final = 0
"""No driver: codes begin at 1."""


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
    spend: float = 0.0
    """Amounts of engagements in minor units of the policy's currency, as of `ref_s`, decayed with the
    half-life of the last of `counts`: `spend / counts[-1]` is the mean spend an occasion."""


class Case(msgspec.Struct, array_like=True, gc=False):
    """An entry of the register: what is known of one promise, order, ticket, complaint or issue.

    The facts are a union that does not depend on the order in which they were learned
    (`streams.scoring.facts`); all below them is derived from the facts. Times are whole seconds.
    """

    kind: int
    facts: dict[int, int]
    issue: bytes | None = None
    """The key of the issue that it belongs to."""
    at_s: int = 0
    """The newest event of it; of an order, only of those that tie it to an issue."""
    key: int = NO_CODE
    """The failure that stands: driver code * 8 + in service, as in `CustomerState.points`; 0 for none."""
    weight: int = 0
    """Its weight in thousandths."""
    since_s: int = 0
    until_s: int = 0
    """Until then it counts in full: when it ended, and at most the policy's standing days."""
    mended_s: int = 0
    """When it was repaired, 0 for never."""
    credit: bool = True
    """False if an earlier failure stood so close that a repair earns nothing."""
    in_time: bool = False
    """The delivery came in time: that moment lies in the sums already."""
    pending_s: int = 0
    """The next deadline that can still be missed, 0 for none."""
    settled: int = NOT_SETTLED
    """Whether the failure has ended and lies in the sums, until its facts change or it is folded."""
    unanswered: bool = False
    """A complaint in public that nobody answered in time."""


class Cause(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The newest event that the register took: entries keep hashes of ids, and people need the id."""

    at_s: float
    source: str
    id: str


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
    cases: dict[bytes, Case] = {}
    """The register of standing signals, by the hash of each one's own id: at most 16."""
    failing: int = 0
    """How many of them hold a failure that has not ended: 0 spares every reading a look at them."""
    deadline_s: int = 0
    """The earliest deadline of the register that can still be missed, 0 for none."""
    cause: Cause | None = None
    outreach: list[int] = []
    """Times of the last 8 messages that the company sent, whole seconds, oldest first."""
    crowded: int = 0
    """Entries that were folded into the sums before their time, because the register was full."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(CustomerState)
pack = _ENCODER.encode
"""CustomerState -> bytes: versioned, array-like msgpack."""


def unpack(row: bytes) -> CustomerState:
    """Return the row of some bytes; raises msgspec.DecodeError on bytes that are no row.

    A row of an older version is read as one of this version. One of a newer version raises CxError: its
    fields could mean something else.
    """
    state = _DECODER.decode(row)
    if state.version != VERSION:
        _upgrade(state)
    return state


def _upgrade(state: CustomerState) -> None:
    """Make a row of version 1 one of version 2: what that one did not have is empty."""
    if state.version > VERSION:
        msg = f"a row has version {state.version}, and this cx-signals reads rows up to version {VERSION}"
        raise CxError(msg, mend="install the newer cx-signals, or make the rows anew: cx rebuild")
    state.version = VERSION


def new_state(baked: int, at_s: float) -> CustomerState:
    """Return the row of a customer first heard of at `at_s` (event time, seconds)."""
    return CustomerState(VERSION, baked, at_s, at_s)
