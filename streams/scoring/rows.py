"""The bytes of a row: versioned msgpack arrays, read with their types checked.

The first field is the version. A row, rhythm or episode that is too short is filled up at its end (`*_ENDS`):
so rows of version 1 are read. A longer array is refused, so whatever adds a field raises the version.
"""

from typing import Any, Final

import msgspec

from streams.errors import CxError
from streams.scoring.state import (
    PEAKS,
    VERSION,
    Case,
    Cause,
    CustomerState,
    Episode,
    LastExperience,
    Mass,
    Peak,
    Published,
    Rhythm,
)

_Peak = tuple[int, float, float, bytes]
_Last = tuple[int, float, float, str, str]
_Rhythm = tuple[int, int, int, int, list[float], int, float]
_Case = tuple[int, dict[int, int], bytes | None, int, int, int, int, int, int, bool, bool, int, int, bool]
_Cause = tuple[float, str, str]
_Episode = tuple[
    int,
    float,
    float | None,
    str,
    int,
    int,
    int,
    float | None,
    float | None,
    float | None,
    str,
    str,
    float | None,
    bool,
]
_Published = tuple[float, float, int, float]
_Row = tuple[
    int,  # version
    int,  # baked
    float,  # ref_s
    float,  # newest_s
    int,  # events
    dict[int, float],  # points
    dict[int, float],  # mass
    dict[int, _Peak],  # peaks
    _Rhythm | None,
    dict[int, float],  # intents
    _Last | None,
    dict[int, bytes],  # rings
    dict[int, _Episode],
    _Published | None,
    dict[int, tuple[float, Any]],  # profile
    float | None,  # told_s
    int,  # lost_day
    msgspec.Raw,  # cases
    int,  # failing
    int,  # deadline_s
    _Cause | None,
    list[int],  # outreach
    int,  # crowded
]

_RHYTHM_AT: Final = 8
_EPISODES_AT: Final = 12
_ROW_ENDS: Final[tuple[Any, ...]] = (
    *({}, {}, {}, None, {}, None, {}, {}, None),
    *({}, None, 0, {}, 0, 0, None, [], 0),
)
"""What a row has that ends after its fifth field."""
_RHYTHM_ENDS: Final = (0.0,)
_EPISODE_ENDS: Final = (-1, None, None, None, "", "", None, False)

# Keys of the row's mass; an absent one is 0.
_Q_PLAIN: Final = 0
_Q_ROUTINE: Final = 1
_Q_SERVICE: Final = 2
_Q_SERVED: Final = 3
_W_EXPERIENCE: Final = 4
_W_SERVICE: Final = 5
_A_RECENT: Final = 6
_Q_RECENT: Final = 7

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Row).decode
_decode_cases: Final = msgspec.msgpack.Decoder(dict[bytes, _Case]).decode
_decode_any: Final = msgspec.msgpack.Decoder().decode


def pack(state: CustomerState) -> bytes:
    """Return the bytes of a row."""
    rhythm, last, published, cause = state.rhythm, state.last, state.published, state.cause
    cases = state.packed_cases
    if cases is None:
        cases = state.packed_cases = msgspec.Raw(_encode(_cases_out(state.cases)))
    return bytes(
        _encode(
            (
                state.version,
                state.baked,
                state.ref_s,
                state.newest_s,
                state.events,
                state.points,
                _mass_out(state.mass),
                _peaks_out(state.peaks),
                None if rhythm is None else _rhythm_out(rhythm),
                state.intents,
                None if last is None else (last.key, last.at_s, last.a, last.source, last.id),
                state.rings,
                _episodes_out(state.episodes),
                None
                if published is None
                else (published.experience, published.service, published.band, published.at_s),
                state.profile,
                state.told_s,
                state.lost_day,
                cases,
                state.failing,
                state.deadline_s,
                None if cause is None else (cause.at_s, cause.source, cause.id),
                state.outreach,
                state.crowded,
            )
        )
    )


def _mass_out(mass: Mass) -> dict[int, float]:
    found: dict[int, float] = {}
    if mass.q_plain:
        found[_Q_PLAIN] = mass.q_plain
    if mass.q_routine:
        found[_Q_ROUTINE] = mass.q_routine
    if mass.q_service:
        found[_Q_SERVICE] = mass.q_service
    if mass.q_served:
        found[_Q_SERVED] = mass.q_served
    if mass.w_experience:
        found[_W_EXPERIENCE] = mass.w_experience
    if mass.w_service:
        found[_W_SERVICE] = mass.w_service
    if mass.a_recent:
        found[_A_RECENT] = mass.a_recent
    if mass.q_recent:
        found[_Q_RECENT] = mass.q_recent
    return found


def _peaks_out(peaks: list[Peak | None]) -> dict[int, _Peak]:
    found: dict[int, _Peak] = {}
    for place in range(PEAKS):
        peak = peaks[place]
        if peak is not None:
            found[place] = (peak.code, peak.m, peak.at_s, peak.event)
    return found


def _rhythm_out(rhythm: Rhythm) -> _Rhythm:
    return (
        rhythm.first_day,
        rhythm.last_day,
        rhythm.repeats,
        rhythm.days,
        rhythm.counts,
        rhythm.months,
        rhythm.spend,
    )


def _episodes_out(episodes: dict[int, Episode]) -> dict[int, _Episode]:
    found: dict[int, _Episode] = {}
    for rule, each in episodes.items():
        found[rule] = (
            each.number,
            each.opened_s,
            each.closed_s,
            each.cause,
            each.severity,
            each.last_day,
            each.told,
            each.told_s,
            each.acknowledged_s,
            each.snoozed_until_s,
            each.outcome,
            each.inferred,
            each.risk,
            each.retired,
        )
    return found


def _cases_out(cases: dict[bytes, Case]) -> dict[bytes, _Case]:
    found: dict[bytes, _Case] = {}
    for name, case in cases.items():
        found[name] = (
            case.kind,
            case.facts,
            case.issue,
            case.at_s,
            case.key,
            case.weight,
            case.since_s,
            case.until_s,
            case.mended_s,
            case.credit,
            case.in_time,
            case.pending_s,
            case.settled,
            case.unanswered,
        )
    return found


def unpack(row: bytes) -> CustomerState:
    """Return the row of some bytes; raises msgspec.DecodeError on bytes that are no row.

    A row of an older version is read as one of this version. One of a newer version raises CxError: its
    fields could mean something else.
    """
    try:
        fields: _Row = _decode(row)
    except msgspec.ValidationError:
        fields = _older(row)
    if fields[0] > VERSION:
        _refuse(fields[0])
    state = CustomerState(VERSION, fields[1], fields[2], fields[3])
    state.events = fields[4]
    state.points = fields[5]
    _mass_in(state.mass, fields[6])
    _peaks_in(state.peaks, fields[7])
    rhythm = fields[8]
    if rhythm is not None:
        state.rhythm = Rhythm(rhythm[0], rhythm[1], rhythm[2], rhythm[3], rhythm[4], rhythm[5], rhythm[6])
    state.intents = fields[9]
    last = fields[10]
    if last is not None:
        state.last = LastExperience(last[0], last[1], last[2], last[3], last[4])
    state.rings = fields[11]
    for rule, episode in fields[12].items():
        state.episodes[rule] = _episode_in(episode)
    published = fields[13]
    if published is not None:
        state.published = Published(published[0], published[1], published[2], published[3])
    state.profile = fields[14]
    state.told_s = fields[15]
    state.lost_day = fields[16]
    state.packed_cases = fields[17]
    for name, case in _decode_cases(fields[17]).items():
        state.cases[name] = _case_in(case)
    state.failing = fields[18]
    state.deadline_s = fields[19]
    cause = fields[20]
    if cause is not None:
        state.cause = Cause(cause[0], cause[1], cause[2])
    state.outreach = fields[21]
    state.crowded = fields[22]
    return state


def _mass_in(mass: Mass, found: dict[int, float]) -> None:
    for key, amount in found.items():
        if key == _Q_PLAIN:
            mass.q_plain = amount
        elif key == _Q_ROUTINE:
            mass.q_routine = amount
        elif key == _Q_SERVICE:
            mass.q_service = amount
        elif key == _Q_SERVED:
            mass.q_served = amount
        elif key == _W_EXPERIENCE:
            mass.w_experience = amount
        elif key == _W_SERVICE:
            mass.w_service = amount
        elif key == _A_RECENT:
            mass.a_recent = amount
        elif key == _Q_RECENT:
            mass.q_recent = amount
        else:
            msg = f"a row has no sum {key}"
            raise msgspec.ValidationError(msg)


def _peaks_in(peaks: list[Peak | None], found: dict[int, _Peak]) -> None:
    for place, peak in found.items():
        if not 0 <= place < PEAKS:
            msg = f"a row has no peak at place {place}"
            raise msgspec.ValidationError(msg)
        peaks[place] = Peak(peak[0], peak[1], peak[2], peak[3])


def _episode_in(fields: _Episode) -> Episode:
    episode = Episode(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5])
    episode.told = fields[6]
    episode.told_s = fields[7]
    episode.acknowledged_s = fields[8]
    episode.snoozed_until_s = fields[9]
    episode.outcome = fields[10]
    episode.inferred = fields[11]
    episode.risk = fields[12]
    episode.retired = fields[13]
    return episode


def _case_in(fields: _Case) -> Case:
    case = Case(fields[0], fields[1], fields[2])
    case.at_s = fields[3]
    case.key = fields[4]
    case.weight = fields[5]
    case.since_s = fields[6]
    case.until_s = fields[7]
    case.mended_s = fields[8]
    case.credit = fields[9]
    case.in_time = fields[10]
    case.pending_s = fields[11]
    case.settled = fields[12]
    case.unanswered = fields[13]
    return case


def _older(row: bytes) -> _Row:
    """Return a row of version 1 as one of this version: what that one did not have is empty."""
    fields: Any = _decode_any(row)
    if not isinstance(fields, list) or not fields or not isinstance(fields[0], int):
        msg = "a row is an array that begins with its version"
        raise msgspec.ValidationError(msg)
    if fields[0] > VERSION:
        _refuse(fields[0])
    fields[0] = VERSION
    _lengthen(fields, _ROW_ENDS, len(_ROW_ENDS) + 5)
    _lengthen(fields[_RHYTHM_AT], _RHYTHM_ENDS, 7)
    episodes = fields[_EPISODES_AT]
    for episode in episodes.values() if isinstance(episodes, dict) else ():
        _lengthen(episode, _EPISODE_ENDS, 14)
    older: _Row = _decode(_encode(fields))
    return older


def _lengthen(fields: Any, ends: tuple[Any, ...], length: int) -> None:
    """Fill up the last fields of an array that is too short; what is no array is judged with the row."""
    if isinstance(fields, list) and len(fields) < length:
        fields.extend(ends[len(fields) - length :])


def _refuse(version: int) -> None:
    msg = f"a row has version {version}, and this cx-signals reads rows up to version {VERSION}"
    raise CxError(msg, mend="install the newer cx-signals, or make the rows anew: cx rebuild")
