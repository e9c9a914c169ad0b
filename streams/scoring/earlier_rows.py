"""Rows as versions 1 and 2 wrote them: arrays of msgpack, read with their types checked.

A row, rhythm or episode of version 1 is shorter and is filled up at its end (`*_ENDS`).
"""

from typing import Any, Final

import msgspec
from librt.vecs import vec

from streams.scoring.entry import NO_CODE, Case
from streams.scoring.rings import packed_rings
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
)
from streams.scoring.sums import sums_of

EARLIER: Final = (1, 2)

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
    dict[bytes, _Case],
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
_decode_any: Final = msgspec.msgpack.Decoder().decode


def unpack_earlier(row: bytes) -> CustomerState:
    """Return a row of an earlier version as one of this; raises msgspec.DecodeError on what is none."""
    fields = _lengthened(row)
    state = CustomerState(VERSION, fields[1], fields[2], fields[3])
    state.events = fields[4]
    state.points = sums_of(fields[5])
    _mass_in(state.mass, fields[6])
    _peaks_in(state.peaks, fields[7])
    rhythm = fields[8]
    if rhythm is not None:
        counts = vec[float](rhythm[4])
        state.rhythm = Rhythm(rhythm[0], rhythm[1], rhythm[2], rhythm[3], counts, rhythm[5], rhythm[6])
    state.intents = sums_of(fields[9])
    last = fields[10]
    if last is not None:
        state.last = LastExperience(last[0], last[1], last[2], last[3], last[4])
    state.packed_rings = packed_rings(fields[11])
    for rule, episode in fields[12].items():
        state.episodes[rule] = _episode_in(episode)
    published = fields[13]
    if published is not None:
        state.published = Published(published[0], published[1], published[2], published[3])
    state.profile.update(fields[14])
    state.told_s = fields[15]
    state.lost_day = fields[16]
    for name, case in fields[17].items():
        state.entries.add(_case_in(name, case))
    state.entries.change()
    state.entries.failures = [case for case in state.entries.all() if case.key != NO_CODE]
    state.failing = fields[18]
    state.deadline_s = fields[19]
    cause = fields[20]
    if cause is not None:
        state.cause = Cause(cause[0], cause[1], cause[2])
    state.outreach = tuple(fields[21])
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


def _case_in(name: bytes, fields: _Case) -> Case:
    case = Case(name, fields[0], fields[1], fields[2])
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


def _lengthened(row: bytes) -> _Row:
    """Return the fields of a row; what version 1 did not have is empty."""
    fields: Any = _decode_any(row)
    if not isinstance(fields, list) or not fields or fields[0] not in EARLIER:
        msg = "an earlier row is an array that begins with its version"
        raise msgspec.ValidationError(msg)
    _lengthen(fields, _ROW_ENDS, len(_ROW_ENDS) + 5)
    _lengthen(fields[_RHYTHM_AT], _RHYTHM_ENDS, 7)
    episodes = fields[_EPISODES_AT]
    for episode in episodes.values() if isinstance(episodes, dict) else ():
        _lengthen(episode, _EPISODE_ENDS, 14)
    found: _Row = _decode(_encode(fields))
    return found


def _lengthen(fields: Any, ends: tuple[Any, ...], length: int) -> None:
    """Fill up the last fields of an array that is too short; what is no array is judged with the row."""
    if isinstance(fields, list) and len(fields) < length:
        fields.extend(ends[len(fields) - length :])
