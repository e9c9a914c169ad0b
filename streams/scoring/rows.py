"""The bytes of a row, one field after the other; the first byte is the version.

Nothing in them tells one field from the next: whatever changes a field or adds one raises the version, and so
does what an earlier build would not know in a field. Rows of version 3 have the same fields as those of 4;
those of 1 and 2 were arrays of msgpack, which begin with no such byte (`streams.scoring.earlier_rows`).
"""

from typing import Final, NoReturn

import msgspec
from librt.strings import BytesWriter, write_f64_le
from librt.vecs import vec
from mypy_extensions import i64

from streams.errors import CxError
from streams.scoring.binary import Reader, put_bits, put_bytes, put_optional, put_six, put_text, put_whole
from streams.scoring.earlier_rows import unpack_earlier
from streams.scoring.policy import DAY_S
from streams.scoring.rings import ID_BYTES, take_rings
from streams.scoring.signals import Intent
from streams.scoring.state import (
    PEAKS,
    VERSION,
    Cause,
    CustomerState,
    Episode,
    LastExperience,
    Mass,
    Peak,
    Published,
    Rhythm,
    damaged_row,
)
from streams.scoring.vocabulary import CRITICAL_SEVERITY, LAST_RULE, LOW, Band

_OLDEST: Final = 3
_INTENTS: Final = max(Intent) + 1
_BANDS: Final = max(Band) + 1
_FIRST_DAY: Final = -719_162  # the first of the year 1 ...
_FIRST_S: Final = -62_135_596_800.0  # ... in seconds since 1970: written out, they cost no look-up
_END_S: Final = 7_258_118_400.0  # events of the year 2200 were never taken
_MOST_TIMES: Final = 1 << 53  # nothing is counted so often
_ARRAYS: Final = 0x80
"""No row of msgpack begins with a byte below."""
_MOST_COUNTS: Final = 1 << 15  # a policy has a few horizons


def pack(state: CustomerState) -> bytes:
    """Return the bytes of a row."""
    to = BytesWriter()
    to.append(state.version)
    put_whole(to, state.baked)
    write_f64_le(to, state.ref_s)
    write_f64_le(to, state.newest_s)
    put_whole(to, state.events)
    state.points.write(to)
    _put_mass(to, state.mass)
    _put_peaks(to, state.peaks)
    _put_rhythm(to, state.rhythm)
    state.intents.write(to)
    _put_last(to, state.last)
    to.write(state.packed_rings)
    _put_episodes(to, state)
    _put_published(to, state.published)
    put_bytes(to, state.profile_bytes())
    put_optional(to, state.told_s)
    put_whole(to, state.lost_day)
    put_bytes(to, state.entries.pack())
    put_whole(to, state.failing)
    put_whole(to, state.deadline_s)
    _put_cause(to, state.cause)
    put_whole(to, len(state.outreach))
    for at_s in state.outreach:
        put_whole(to, at_s)
    put_whole(to, state.crowded)
    return to.getvalue()


def _put_mass(to: BytesWriter, mass: Mass) -> None:
    """Add those sums that are not 0, after a byte that tells which."""
    begun = len(to)
    to.append(0)
    held = _put_sum(to, mass.q_plain, 1)
    held |= _put_sum(to, mass.q_routine, 2)
    held |= _put_sum(to, mass.q_service, 4)
    held |= _put_sum(to, mass.q_served, 8)
    held |= _put_sum(to, mass.w_experience, 16)
    held |= _put_sum(to, mass.w_service, 32)
    held |= _put_sum(to, mass.a_recent, 64)
    held |= _put_sum(to, mass.q_recent, 128)
    to[begun] = held


def _put_sum(to: BytesWriter, amount: float, bit: int) -> int:
    if not amount:
        return 0
    write_f64_le(to, amount)
    return bit


def _put_peaks(to: BytesWriter, peaks: list[Peak | None]) -> None:
    """Add those that there are, after a byte that tells which."""
    begun = len(to)
    to.append(0)
    held, bit = 0, 1
    for peak in peaks:
        if peak is not None:
            held |= bit
            put_whole(to, peak.code)
            write_f64_le(to, peak.m)
            write_f64_le(to, peak.at_s)
            _put_event(to, peak)
        bit <<= 1
    to[begun] = held


def _put_event(to: BytesWriter, peak: Peak) -> None:
    named = peak.named
    if named is None:
        to.append(ID_BYTES)
        put_six(to, peak.hashed)
    else:
        put_bytes(to, named)


def _put_rhythm(to: BytesWriter, rhythm: Rhythm | None) -> None:
    if rhythm is None:
        to.append(0)
        return
    put_whole(to, len(rhythm.counts) + 1)
    for count in rhythm.counts:
        write_f64_le(to, count)
    put_whole(to, rhythm.first_day)
    put_whole(to, rhythm.last_day)
    put_whole(to, rhythm.repeats)
    put_bits(to, rhythm.days)
    put_whole(to, rhythm.months)
    write_f64_le(to, rhythm.spend)


def _put_last(to: BytesWriter, last: LastExperience | None) -> None:
    if last is None:
        to.append(0)
        return
    to.append(1)
    put_whole(to, last.key)
    write_f64_le(to, last.at_s)
    write_f64_le(to, last.a)
    to.write(last.packed)


def _put_episodes(to: BytesWriter, state: CustomerState) -> None:
    if not state.has_episodes:
        to.append(0)
        return
    put_whole(to, len(state.episodes))
    for rule, episode in state.episodes.items():
        put_whole(to, rule)
        _put_episode(to, episode)


def _put_episode(to: BytesWriter, episode: Episode) -> None:
    put_whole(to, episode.number)
    write_f64_le(to, episode.opened_s)
    put_optional(to, episode.closed_s)
    put_text(to, episode.cause)
    put_whole(to, episode.severity)
    put_whole(to, episode.last_day)
    put_whole(to, episode.told)
    put_optional(to, episode.told_s)
    put_optional(to, episode.acknowledged_s)
    put_optional(to, episode.snoozed_until_s)
    put_text(to, episode.outcome)
    put_text(to, episode.inferred)
    put_optional(to, episode.risk)
    put_whole(to, 1 if episode.retired else 0)


def _put_published(to: BytesWriter, published: Published | None) -> None:
    if published is None:
        to.append(0)
        return
    to.append(1)
    write_f64_le(to, published.experience)
    write_f64_le(to, published.service)
    put_whole(to, published.band)
    write_f64_le(to, published.at_s)


def _put_cause(to: BytesWriter, cause: Cause | None) -> None:
    if cause is None:
        to.append(0)
        return
    to.append(1)
    write_f64_le(to, cause.at_s)
    to.write(cause.packed)


def unpack(row: bytes) -> CustomerState:
    """Return the row of some bytes.

    A row of an older version is read as one of this version, and held to what such a row may be. Raises
    CxError on a newer one, whose fields could mean something else, and on bytes that are no row.
    """
    try:
        version = row[0]
        if version >= _ARRAYS:
            return unpack(pack(unpack_earlier(row)))
        if _OLDEST <= version <= VERSION:
            found = Reader(row, 1)
            state = _unpacked(found)
            if found.is_at_end():
                return state
    except (IndexError, ValueError, OverflowError, RecursionError, msgspec.DecodeError):
        version = 0
    if version > VERSION:
        msg = f"a row has version {version}, and this cx-signals reads rows up to version {VERSION}"
        raise CxError(msg, mend="install the newer cx-signals, or make the rows anew: cx rebuild")
    why = f"its {len(row)} bytes are not the fields of one"
    raise damaged_row(why)


def _refuse(what: str, number: float) -> NoReturn:
    """Refuse a number that no row holds: it would end the scoring, or be taken for another."""
    msg = f"a row has no {what} {number}"
    raise ValueError(msg)


def _unpacked(found: Reader) -> CustomerState:
    """Take every field after the version, in the order of `pack`."""
    baked = found.whole()
    ref_s = found.number()
    newest_s = found.number()
    if not _FIRST_S <= ref_s <= newest_s < _END_S:  # sums are never as of a later time than the newest event
        _refuse("newest event at", newest_s)
    state = CustomerState(VERSION, baked, ref_s, newest_s)
    state.events = _times(found)
    state.points.read(found)
    _take_mass(found, state.mass)
    _take_peaks(found, state.peaks)
    state.rhythm = _take_rhythm(found, newest_s)
    state.intents.read(found, _INTENTS)
    state.last = _take_last(found)
    state.packed_rings = take_rings(found)
    for _number in range(found.whole()):  # compiled, `_` would be an object each time
        rule = found.whole()
        if not 0 < rule <= LAST_RULE:
            _refuse("rule", rule)
        state.episodes[rule] = _take_episode(found)
    state.published = _take_published(found)
    state.packed_profile = found.data()
    state.told_s = found.optional()
    state.lost_day = found.whole()
    state.entries.packed = found.data()
    state.failing = found.whole()
    state.deadline_s = found.whole()
    state.cause = _take_cause(found)
    for _number in range(found.whole()):
        state.outreach += (found.whole(),)
    state.crowded = _times(found)
    return state


def _times(found: Reader) -> int:
    """Return how often something was counted."""
    times = found.whole()
    if not 0 <= times < _MOST_TIMES:
        _refuse("count of", times)
    return times


def _take_mass(found: Reader, mass: Mass) -> None:
    held = found.eight_bits()
    mass.q_plain = found.number() if held & 1 else 0.0
    mass.q_routine = found.number() if held & 2 else 0.0
    mass.q_service = found.number() if held & 4 else 0.0
    mass.q_served = found.number() if held & 8 else 0.0
    mass.w_experience = found.number() if held & 16 else 0.0
    mass.w_service = found.number() if held & 32 else 0.0
    mass.a_recent = found.number() if held & 64 else 0.0
    mass.q_recent = found.number() if held & 128 else 0.0


def _take_peaks(found: Reader, peaks: list[Peak | None]) -> None:
    held = found.eight_bits()
    for place in range(PEAKS):
        if held & 1:
            code = found.whole()
            if code < 0:
                _refuse("driver", code)
            m = found.number()
            at_s = found.number()
            if found.next_is(ID_BYTES):
                found.short()
                peaks[place] = Peak(code, m, at_s, None, found.six())
            else:
                peaks[place] = Peak(code, m, at_s, found.data())
        held >>= 1
    if held:
        msg = f"a row has no peak at place {PEAKS}"
        raise ValueError(msg)


def _take_rhythm(found: Reader, newest_s: float) -> Rhythm | None:
    length = i64(found.whole())
    if not length:
        return None
    if not 0 < length < _MOST_COUNTS:  # room for them is made at once
        msg = f"a row has no {length - 1} counts"
        raise ValueError(msg)
    counts = vec[float]([0.0] * (length - 1))
    for place in range(length - 1):
        count = found.number()
        if count < 0.0:
            _refuse("count of", count)
        counts[place] = count
    first_day = found.whole()
    last_day = found.whole()
    repeats = _times(found)
    days = found.sixty_four_bits()
    months = found.whole()
    if not _FIRST_DAY <= first_day <= last_day or last_day * DAY_S > newest_s:
        _refuse("occasion on day", last_day)
    return Rhythm(first_day, last_day, repeats, days, counts, months, found.number())


def _take_last(found: Reader) -> LastExperience | None:
    if not found.whole():
        return None
    key = found.whole()
    if key < 0:
        _refuse("driver", key)
    at_s = found.number()
    a = found.number()
    return LastExperience(key, at_s, a, "", "", _take_name(found))


def _take_name(found: Reader) -> bytes:
    """Return the two texts that name an event, as they are."""
    begun = found.place()
    found.skip_data()
    found.skip_data()
    return found.since(begun)


def _take_episode(found: Reader) -> Episode:
    number = _times(found)
    opened_s = found.number()
    closed_s = found.optional()
    cause = found.text()
    severity = found.whole()
    if not LOW <= severity <= CRITICAL_SEVERITY:
        _refuse("severity", severity)
    episode = Episode(number, opened_s, closed_s, cause, severity, found.whole())
    episode.told = found.whole()
    episode.told_s = found.optional()
    episode.acknowledged_s = found.optional()
    episode.snoozed_until_s = found.optional()
    episode.outcome = found.text()
    episode.inferred = found.text()
    episode.risk = found.optional()
    episode.retired = found.whole() == 1
    return episode


def _take_published(found: Reader) -> Published | None:
    if not found.whole():
        return None
    experience = found.number()
    service = found.number()
    band = found.whole()
    if not 0 <= band < _BANDS:
        _refuse("band", band)
    return Published(experience, service, band, found.number())


def _take_cause(found: Reader) -> Cause | None:
    if not found.whole():
        return None
    at_s = found.number()
    return Cause(at_s, "", "", _take_name(found))
