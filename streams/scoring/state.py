"""The row of one customer: what is kept between events (its bytes: `streams.scoring.rows`).

Sums decay lazily: each is kept as of `ref_s`, so that an event at t adds `x * 2**((t - ref_s) / half_life)`
and a sum is read at t by multiplying with `2**((ref_s - t) / half_life)`. Nothing is touched while time
passes, late events are exact, and the order of events does not matter.
"""

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from librt.strings import BytesWriter
from librt.vecs import vec
from mypy_extensions import i64, mypyc_attr

from streams.errors import CxError
from streams.scoring.binary import Reader, put_text
from streams.scoring.entries import Entries
from streams.scoring.entry import Case
from streams.scoring.rings import ID_BYTES, NO_RINGS, rings_of
from streams.scoring.sums import Sums
from streams.scoring.vocabulary import Rule

if TYPE_CHECKING:
    from streams.scoring.episodes import Glance

VERSION: Final = 4
"""2 since the register and the spend; 3 since its bytes are no msgpack; 4 since a cancellation is an intent.

Rows of earlier versions are read.
"""
# To make a hash anew costs twice as much as to copy an empty one, and methods are cheaper to call unbound.
_begin: Final = blake2b(digest_size=ID_BYTES).copy
_update: Final = blake2b.update
_digest: Final = blake2b.digest

# Places in `CustomerState.peaks`.
BEST: Final = 0
WORST: Final = 1
BEST_SERVICE: Final = 2
WORST_SERVICE: Final = 3
BEST_KEPT: Final = 4  # the newest delivery of the register that came in time
WORST_ENDED: Final = 5  # the worst failure of the register that has ended
WORST_SERVICE_ENDED: Final = 6  # the worst of service of those
PEAKS: Final = 7

PROFILE_FIELDS: Final = 10
"""How many fields a profile has (`streams.scoring.apply`)."""
_encode_profile: Final = msgspec.msgpack.Encoder().encode
_Field = Annotated[int, msgspec.Meta(ge=0, lt=PROFILE_FIELDS)]
_Told = str | int | list[str | int | None]
_decode_profile: Final = msgspec.msgpack.Decoder(dict[_Field, tuple[float, _Told]]).decode


@mypyc_attr(acyclic=True, free_list_len=1)
class Peak:
    """The best or worst moment of a ledger: magnitude m = w'|v - mu| at its own time. Not to be changed."""

    __slots__ = ("at_s", "code", "hashed", "m", "named")

    def __init__(self, code: int, m: float, at_s: float, named: bytes | None, hashed: i64 = 0) -> None:
        self.code = code
        self.m = m
        self.at_s = at_s
        self.named = named
        """By what event it came, None where that is `hashed`."""
        self.hashed = hashed
        """Six bytes as a number: nobody reads them but where two moments are equal."""

    @property
    def event(self) -> bytes:
        """The hash of its event, none where the register knows which."""
        named = self.named
        return int(self.hashed).to_bytes(ID_BYTES, "little", signed=True) if named is None else named


_NO_PEAKS: Final[list[Peak | None]] = [None] * PEAKS
_RULES: Final = max(Rule) + 1


@mypyc_attr(acyclic=True)
class Origin:
    """When something came, and by which event: what a row says of that is read when somebody asks.

    Not to be changed.
    """

    __slots__ = ("_id", "_packed", "_source", "at_s")

    def __init__(self, at_s: float, source: str, event_id: str, packed: bytes = b"") -> None:
        self.at_s = at_s
        self._source = source
        self._id = event_id
        self._packed = packed

    @property
    def has_source(self) -> bool:
        """Whether there is a source, without reading it: what is of the register has none."""
        packed = self._packed
        return packed[0] > 0 if packed else bool(self._source)

    @property
    def source(self) -> str:
        """The source of the event."""
        self._read()
        return self._source

    @property
    def id(self) -> str:
        """Its id."""
        self._read()
        return self._id

    @property
    def packed(self) -> bytes:
        """Both as a row has them."""
        if not self._packed:
            to = BytesWriter()
            put_text(to, self._source)
            put_text(to, self._id)
            self._packed = to.getvalue()
        return self._packed

    def _read(self) -> None:
        packed = self._packed
        if packed and not self._id:
            found = Reader(packed)
            try:
                self._source, self._id = found.text(), found.text()
            except ValueError:
                why = "the id of an event is no text"
                raise damaged_row(why) from None


@mypyc_attr(acyclic=True, free_list_len=1)
class LastExperience(Origin):
    """The newest signal that mattered (w >= 1); `a` = w'(v - mu), `key` as in `CustomerState.points`."""

    __slots__ = ("a", "key")

    def __init__(
        self, key: int, at_s: float, a: float, source: str, event_id: str, packed: bytes = b""
    ) -> None:
        super().__init__(at_s, source, event_id, packed)
        self.key = key
        self.a = a


@mypyc_attr(acyclic=True, free_list_len=1)
class Cause(Origin):
    """The newest event that the register took, or that told of leaving: people need its id."""

    __slots__ = ()


@mypyc_attr(acyclic=True)
class Rhythm:
    """When the customer engaged: UTC days, counted from 1970-01-01.

    `days` has 64 bits: bit n tells of the day n + 1 days before `last_day`. `counts` are decayed occasions as
    of `ref_s`, one a horizon of the policy. `months` has twelve bits: the calendar months engaged in. `spend`
    are amounts of engagements in minor units of the policy's currency, as of `ref_s`, decayed with the
    half-life of the last of `counts`: `spend / counts[-1]` is the mean spend an occasion.
    """

    __slots__ = ("counts", "days", "first_day", "last_day", "months", "repeats", "spend")

    def __init__(
        self,
        first_day: int,
        last_day: int,
        repeats: int,
        days: int,
        counts: vec[float],
        months: int,
        spend: float = 0.0,
    ) -> None:
        self.first_day = first_day
        self.last_day = last_day
        self.repeats = repeats
        self.days = days
        self.counts = counts
        self.months = months
        self.spend = spend


@mypyc_attr(acyclic=True)
class Episode:
    """The newest episode of a rule for this customer."""

    __slots__ = (
        "acknowledged_s",
        "cause",
        "closed_s",
        "inferred",
        "last_day",
        "number",
        "opened_s",
        "outcome",
        "retired",
        "risk",
        "severity",
        "snoozed_until_s",
        "told",
        "told_s",
    )

    def __init__(
        self,
        number: int,
        opened_s: float,
        closed_s: float | None,
        cause: str,
        severity: int,
        last_day: int,
    ) -> None:
        self.number = number
        self.opened_s = opened_s
        self.closed_s = closed_s
        self.cause = cause
        self.severity = severity
        self.last_day = last_day
        """The last engagement day when the episode was opened; a later one is an engagement since."""
        self.told = -1
        """The severity that people were last told; -1: they wait to be told, or never will be."""
        self.told_s: float | None = None
        """When people were first told."""
        self.acknowledged_s: float | None = None
        self.snoozed_until_s: float | None = None
        self.outcome = ""
        """How it turned out, as somebody recorded it."""
        self.inferred = ""
        """How it turned out, as the customer's engagement tells."""
        self.risk: float | None = None
        """Churn probability when the episode was opened."""
        self.retired = False
        """Its alert was taken off `cx.alerts`, some time after it was closed."""


_NO_EPISODES: Final[list[Episode | None]] = [None] * _RULES


@mypyc_attr(acyclic=True, free_list_len=1)
class Published:
    """What `cx.scores` last said. Not to be changed."""

    __slots__ = ("at_s", "band", "experience", "service")

    def __init__(self, experience: float, service: float, band: int, at_s: float) -> None:
        self.experience = experience
        self.service = service
        self.band = band
        self.at_s = at_s


@mypyc_attr(acyclic=True)
class Mass:
    """The weights that the sums are taken over, as of `ref_s`: Q of each group, W, and the trend's sums."""

    __slots__ = (
        "a_recent",
        "q_plain",
        "q_recent",
        "q_routine",
        "q_served",
        "q_service",
        "w_experience",
        "w_service",
    )

    def __init__(self) -> None:
        self.q_plain = 0.0
        """Q of the experience ledger, signals of no group."""
        self.q_routine = 0.0
        """Q of the experience ledger, routine good moments."""
        self.q_service = 0.0
        """Q of the experience ledger, good service moments."""
        self.q_served = 0.0
        """Q of the service ledger."""
        self.w_experience = 0.0
        self.w_service = 0.0
        self.a_recent = 0.0
        """A of the experience ledger at the trend's half-life, unsaturated."""
        self.q_recent = 0.0


@mypyc_attr(acyclic=True)
class CustomerState:
    """Everything kept of one customer; bounded, whatever is sent."""

    __slots__ = (
        "_by_rule",
        "_episodes",
        "_profile",
        "baked",
        "calm_s",
        "cause",
        "crowded",
        "deadline_s",
        "entries",
        "events",
        "failing",
        "glance",
        "intents",
        "last",
        "lost_day",
        "mass",
        "newest_s",
        "outreach",
        "packed_profile",
        "packed_rings",
        "peaks",
        "points",
        "published",
        "ref_s",
        "rhythm",
        "told_s",
        "version",
    )

    def __init__(self, version: int, baked: int, ref_s: float, newest_s: float) -> None:
        self.version = version
        self.baked = baked
        """The policy numbers that are baked into the sums, as a 32-bit hash."""
        self.ref_s = ref_s
        self.newest_s = newest_s
        self.events = 0
        self.points = Sums()
        """A of each (driver, group, in service): key = driver code * 8 + group * 2 + in service."""
        self.mass = Mass()
        self.peaks = _NO_PEAKS[:]
        self.rhythm: Rhythm | None = None
        self.intents = Sums()
        self.last: LastExperience | None = None
        self.packed_rings = NO_RINGS
        """The last 8 state-changing ids of each source topic (`streams.scoring.rings`)."""
        self._episodes: dict[int, Episode] | None = None
        self._by_rule: list[Episode | None] | None = None
        self.published: Published | None = None
        self._profile: dict[int, tuple[float, Any]] | None = None
        self.packed_profile = b""
        """The profile as the row has it, until somebody asks for it."""
        self.told_s: float | None = None
        """When people were last told anything about the customer."""
        self.lost_day = 0
        """The last engagement day before the silence by which the customer was counted as lost."""
        self.entries = Entries()
        """The register of standing signals: at most 16."""
        self.failing = 0
        """How many of them hold a failure that has not ended: 0 spares every reading a look at them."""
        self.deadline_s = 0
        """The earliest deadline of the register that can still be missed, 0 for none."""
        self.cause: Cause | None = None
        self.outreach: tuple[int, ...] = ()
        """Times of the last 8 messages that the company sent, whole seconds, oldest first."""
        self.crowded = 0
        """Entries that were folded into the sums before their time, because the register was full."""
        self.calm_s = -math.inf
        """As of when the rules last decided nothing, if nothing but time may have changed since.

        No part of the row: it spares a look that would find the same.
        """
        self.glance: Glance | None = None
        """The figures that the rules read last in the unit of work under way; no part of the row."""

    def learn(self) -> None:
        """Tell that evidence came: the rules may find something as of a time that they have looked at."""
        self.calm_s = -math.inf

    @property
    def rings(self) -> dict[int, bytes]:
        """The ring of each topic, for whoever looks at a row."""
        return rings_of(self.packed_rings)

    @property
    def has_episodes(self) -> bool:
        """Whether any rule ever opened one: most rows have none, and nothing is made for them."""
        return bool(self._episodes)

    @property
    def episodes(self) -> dict[int, Episode]:
        """The newest episode of each rule that ever opened one: whoever asks may change them."""
        self._by_rule = None
        self.calm_s = -math.inf
        episodes = self._episodes
        if episodes is None:
            episodes = self._episodes = {}
        return episodes

    @property
    def by_rule(self) -> list[Episode | None]:
        """The newest episode of each rule, by its number; not to be changed."""
        by_rule = self._by_rule
        if by_rule is None:
            if not self._episodes:
                return _NO_EPISODES
            by_rule = [None] * _RULES
            for rule, episode in self._episodes.items():
                by_rule[rule] = episode
            self._by_rule = by_rule
        return by_rule

    @property
    def profile(self) -> dict[int, tuple[float, Any]]:
        """Field -> (event time, value), to be changed; raises CxError on damage."""
        profile = self._profile
        if profile is None:
            packed = self.packed_profile
            try:
                profile = self._profile = _decode_profile(packed) if packed else {}
            except (ValueError, RecursionError, msgspec.DecodeError):
                why = "its profile is none"
                raise damaged_row(why) from None
            self.packed_profile = b""
        return profile

    def profile_bytes(self) -> bytes:
        """Return the profile as a row has it: none where nothing is known."""
        return _encode_profile(self._profile) if self._profile else self.packed_profile

    @property
    def cases(self) -> dict[bytes, Case]:
        """The entries of the register by their names, all read."""
        return {case.name: case for case in self.entries.all()}


def damaged_row(why: str) -> CxError:
    """Return the error of a row of which something is not what was written."""
    return CxError(f"a row is damaged: {why}", mend="make the rows anew: cx rebuild")


def short_hash(text: str) -> bytes:
    """Return the 6 bytes by which a row knows something with an id."""
    hashed = _begin()
    _update(hashed, text.encode())
    return _digest(hashed)


def new_state(baked: int, at_s: float) -> CustomerState:
    """Return the row of a customer first heard of at `at_s` (event time, seconds)."""
    return CustomerState(VERSION, baked, at_s, at_s)
