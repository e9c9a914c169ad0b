"""The bytes of a row: what goes in comes out, earlier versions are read, and damage is told."""

from collections.abc import Callable
from typing import Any

import pytest
from librt.vecs import vec

from streams.errors import CxError
from streams.scoring.entry import KINDS, Case
from streams.scoring.facts import (
    BEFORE,
    CHANNEL,
    COMPLAINT,
    GRAVE,
    KIND_NAMES,
    PROMISE,
    REASON,
    all_until,
    read_until,
)
from streams.scoring.rings import packed_rings
from streams.scoring.rows import pack, unpack
from streams.scoring.state import (
    PEAKS,
    VERSION,
    Cause,
    CustomerState,
    Episode,
    LastExperience,
    Peak,
    Published,
    Rhythm,
)
from streams.scoring.sums import sums_of
from streams.scoring.vocabulary import LAST_RULE, Rule
from tests.customers import DEFAULT, event, plain, row
from tests.earlier import packed, version_2

BAKED_THEN = 1761958194
"""Of the default policy when these bytes were written."""
WRITTEN_BY_VERSION_2 = bytes.fromhex(
    "dc001702ce69055932cb41da556e40000000cb41da55c2a000000002820acb403400000000000050cbc068903e66004fa28500cb4008"
    "2f80646e954c01cb3fe249249249249204cb40081faaed9f0e3306cbc06671da63d917d707cb400d21e5189b3d2c82009401cb403400"
    "0000000000cb41da556e40000000c406cb4a4c336bf601940acb4068600000000000cb41da55c2a0000000c406dfccc50ff00f97cd4f"
    "e6cd4fe6000093cb3ff0000000000000cb3ff0000000000000cb3ff000000000000001cb40340000000000008101cb3ff05fbd4d5b4d"
    "5a9550cb41da55c2a0000000cbc068600000000000a52f74657374b2636f6d706c61696e742e72616973656440318100c40ccb4a4c33"
    "6bf6dfccc50ff00f80c080c000800000c09000"
)
"""An order of 20 and a complaint the day after."""
WRITTEN_BY_VERSION_3 = bytes.fromhex(
    "03fe32590569000000406e55da41000000a0c255da4102020a000000000000344050a24f00663e9068c0d34c956e64802f084092"
    "2449922449e23f330e9fedaa1f0840d717d963da7166c02c3d9b18e5210d4003010000000000003440000000406e55da4106cb4a"
    "4c336bf60a0000000000606840000000a0c255da4106dfccc50ff00f04000000000000f03f000000000000f03f000000000000f0"
    "3ffde64ffde64f00000000000000000001000000000000344001015a4d5b4dbd5ff03f0150000000a0c255da4100000000006068"
    "c0052f7465737412636f6d706c61696e742e726169736564403101000ccb4a4c336bf6dfccc50ff00f0000000000000000000000"
)
"""The same."""


def full() -> CustomerState:
    """Return a row in which nothing is empty, with numbers of every width."""
    state = CustomerState(VERSION, 2**32 - 1, 1.5, 7e9)
    state.events = 2**40
    state.points = sums_of({8: -3.25, 4001 * 8 + 3: 2.0**-300})
    mass = state.mass
    mass.q_plain, mass.q_routine, mass.q_service, mass.q_served = 1.0, 2.0, 3.0, 4.0
    mass.w_experience, mass.w_service, mass.a_recent, mass.q_recent = 5.0, 6.0, -7.0, 8.0
    state.peaks = [Peak(place * 90, place + 0.5, -1.0, bytes([place] * 6)) for place in range(PEAKS)]
    state.rhythm = Rhythm(-3, 40_000, 252, 2**64 - 2, vec[float]([0.5, 1.0, 2.0]), 4095, 12.5)
    state.intents = sums_of({1: 1.0, 2: 0.25})
    state.last = LastExperience(253, 5.0, -6.0, "/quelle/ü", "id-1")
    state.packed_rings = packed_rings({0: bytes(range(48)), 2: b"sechs!"})
    state.published = Published(61.0, 62.0, 3, 7.0)
    state.profile.update({1: (3.0, "de"), 4: (4.0, ["a", 5, None])})
    state.told_s, state.lost_day, state.failing, state.deadline_s = 9.0, 20_600, 1, 1_900_000_000
    state.cause = Cause(11.0, "/source", "event")
    state.outreach = (1_800_000_000, 7_200_000_000)
    state.crowded = 70_000
    for rule, at_s in enumerate((None, 13.0), 1):
        episode = state.episodes[rule] = Episode(3, 1.0, at_s, "trend", 2, 20_000)
        episode.told, episode.told_s, episode.acknowledged_s = rule - 2, at_s, at_s
        episode.snoozed_until_s, episode.risk, episode.retired = at_s, at_s, rule > 1
        episode.outcome, episode.inferred = "saved" * rule, "lost" * rule
    for number in range(2):
        facts = {1: -(2**15), 2: 2**15, 3: -(2**31), 4: 2**31}
        name, issue = bytes([number] * 6), b"issue!" if number else None
        case = Case(name, number + 1, facts, issue)
        state.entries.add(case)
        state.entries.failures = state.entries.all()
        case.at_s, case.key, case.weight, case.since_s = 2**31 - 1, 81, 3000, 1_790_000_000
        case.until_s, case.mended_s, case.pending_s, case.settled = 4, 5, 6, 2
        case.credit, case.in_time, case.unanswered = not number, bool(number), not number
    state.entries.change()
    return state


@pytest.mark.parametrize("state", [full(), row([event("order.placed")]), CustomerState(VERSION, 0, 0.0, 0.0)])
def test_what_goes_into_a_row_comes_out(state: CustomerState):
    """Every field of a row has the same value and type after its bytes, full or empty."""
    data = pack(state)

    assert data[0] == VERSION
    assert plain(unpack(data)) == plain(state)
    assert pack(unpack(data)) == data
    assert repr(plain(unpack(data))) == repr(plain(state))


def test_a_register_is_packed_once():
    """A row that is read and written again keeps the bytes of its register; whoever changes it drops them."""
    state = unpack(pack(full()))
    kept = state.entries.packed
    assert kept is not None
    assert kept in pack(state)
    assert state.entries.packed is kept
    for case in list(state.entries.all()):
        state.entries.remove(case)
    state.entries.change()

    assert unpack(pack(state)).entries.all() == []


def test_a_row_that_version_2_wrote():
    """Bytes that a worker of version 2 wrote are read as the row of these events."""
    state = row([event("order.placed", total=20), event("complaint.raised", 1)])
    state.baked = BAKED_THEN

    assert plain(unpack(WRITTEN_BY_VERSION_2)) == plain(state)
    assert packed(version_2(state)) == WRITTEN_BY_VERSION_2


def test_a_row_that_version_3_wrote():
    """Bytes that a worker of version 3 wrote are read as the row of these events, and written as of today."""
    state = row([event("order.placed", total=20), event("complaint.raised", 1)])
    state.baked = BAKED_THEN

    assert plain(unpack(WRITTEN_BY_VERSION_3)) == plain(state)
    assert pack(unpack(WRITTEN_BY_VERSION_3)) == bytes([VERSION]) + WRITTEN_BY_VERSION_3[1:]


def test_every_field_of_version_2_is_read():
    """Nothing of a full row is lost when the version is raised."""
    assert plain(unpack(packed(version_2(full())))) == plain(full())


def test_rows_of_version_1_are_read():
    """A row that was written before there was a register and a spend is read with both empty."""
    state = row([event("order.placed")])
    fields = version_2(state)
    cases, rhythm = 17, 8
    old = [1, *fields[1:cases]]
    old[rhythm] = old[rhythm][:-1]

    assert plain(unpack(packed(old))) == plain(state)


def test_episodes_of_version_1_are_read():
    """Of an episode that was written before alerts had a life nobody was told."""
    state = CustomerState(VERSION, DEFAULT.baked, 1.0, 2.0)
    state.episodes[2] = Episode(3, 1.0, None, "trend", 1, 20_000)
    fields = version_2(state)
    old = [1, *fields[1:14]]
    old[12] = {2: fields[12][2][:6]}

    assert plain(unpack(packed(old))) == plain(state)


@pytest.mark.parametrize("fields", ["text", {}, [], ["2"], [1], [2, 3], [3], [1, 2, 3.0, 4.0, 5, *[7] * 18]])
def test_bytes_that_are_no_row(fields: object):
    """What is no row of any version is refused as such, not half read."""
    with pytest.raises(CxError, match="damaged"):
        unpack(packed(fields))


def test_bytes_that_go_too_deep():
    """A run of bytes that each open an array is no row of an earlier version, and no end of a worker."""
    with pytest.raises(CxError, match="damaged"):
        unpack(b"\x91" * 100_000)


@pytest.mark.parametrize("state", [full(), row([event("order.placed"), event("complaint.raised", 1)])])
def test_a_row_that_ends_early_or_late_is_damaged(state: CustomerState):
    """A row that was cut anywhere, or goes on after its end, is refused with the command that mends it."""
    data = pack(state)
    for end in range(len(data)):
        with pytest.raises(CxError, match="damaged") as caught:
            unpack(data[:end])
        assert caught.value.mend == "make the rows anew: cx rebuild"
    with pytest.raises(CxError, match="damaged"):
        unpack(data + b"\x00")


def _changed(place: int, value: Any) -> bytes:
    fields = version_2(row([event("order.placed")]))
    fields[place] = value
    return packed(fields)


@pytest.mark.parametrize("place", [-1, PEAKS])
def test_a_peak_at_no_place_is_damage(place: int):
    """A moment at a place that no peak has is refused: it would end up in another's, or stop the worker."""
    with pytest.raises(CxError, match="damaged"):
        unpack(_changed(7, {place: [1, 2.0, 3.0, b"event"]}))


def test_an_eighth_peak_is_damage():
    """A row of this version that tells of a peak at no place is refused too."""
    state = CustomerState(VERSION, 0, 0.0, 0.0)
    data = bytearray(pack(state))
    held = 1 + 1 + 8 + 8 + 1 + 1 + 1
    assert data[held] == 0
    data[held] = 1 << PEAKS

    with pytest.raises(CxError, match="damaged"):
        unpack(bytes(data))


@pytest.mark.parametrize("source", ["", "s", "/quelle/ü", "x" * 63, "x" * 300, "x" * 70_000])
def test_whether_the_last_experience_has_a_source_is_known_without_reading_it(source: str):
    """A row tells by the first byte whether its last experience came from a source or is of the register."""
    state = CustomerState(VERSION, 0, 0.0, 0.0)
    state.last = LastExperience(0, 0.0, 0.0, source, "id")

    read = unpack(pack(state)).last
    assert read is not None
    assert read.has_source == state.last.has_source == bool(source)
    assert (read.source, read.has_source) == (source, bool(source)), "nor does reading it change that"


def test_a_length_below_nothing_is_damage():
    """A length that is negative would take bytes a second time."""
    state = CustomerState(VERSION, 0, 0.0, 0.0)
    state.last = LastExperience(0, 0.0, 0.0, "x" * 300, "")
    data = pack(state)
    assert data.count(b"\xfd\x2c\x01") == 1

    with pytest.raises(CxError, match="damaged"):
        unpack(data.replace(b"\xfd\x2c\x01", b"\xfd\xff\xff"))


@pytest.mark.parametrize("length", [2**63 - 1, -(2**63)])
def test_a_length_beyond_all_bytes_is_damage(length: int):
    """Nor does a length that the end would overflow by read anything."""
    state = CustomerState(VERSION, 0, 0.0, 0.0)
    state.last = LastExperience(0, 0.0, 0.0, "x" * 300, "")
    long = b"\xff" + length.to_bytes(8, "little", signed=True)

    with pytest.raises(CxError, match="damaged"):
        unpack(pack(state).replace(b"\xfd\x2c\x01", long))


@pytest.mark.parametrize("state", [full(), row([event("order.placed"), event("complaint.raised", 1)])])
def test_any_byte_may_be_damaged(state: CustomerState):
    """A row with any other byte in it is read, or refused as damaged: at once, or by who asks for a text."""
    data = pack(state)
    for place in range(1, len(data)):
        for other in (0, 1, 0x7F, 0x80, 0xFC, 0xFD, 0xFE, 0xFF):
            damaged = bytearray(data)
            damaged[place] = other
            try:
                found = unpack(bytes(damaged))
                assert all(case.facts is not None for case in found.cases.values())
                assert plain(found.profile) == plain(found)["profile"]
            except CxError as error:
                assert error.mend == "make the rows anew: cx rebuild"  # noqa: PT017  # some are read


def _case(kind: int, key: int) -> Case:
    case = Case(b"entry!", kind, {})
    case.key = key
    return case


IMPOSSIBLE: dict[str, Callable[[CustomerState], object]] = {
    "a sum of a driver below 0": lambda state: state.points.put(-8, 1.0),
    "a sum of a driver beyond all codes": lambda state: state.points.put(1 << 15, 1.0),
    "an intent that is none": lambda state: state.intents.put(4, 1.0),
    "a peak of a driver below 0": lambda state: state.peaks.__setitem__(0, Peak(-1, 1.0, 1.0, b"e")),
    "a last experience of a driver below 0": lambda state: setattr(
        state, "last", LastExperience(-8, 1.0, 1.0, "", "")
    ),
    "a rule that is none": lambda state: state.episodes.__setitem__(7, Episode(1, 1.0, None, "lost", 1, 0)),
    "a severity that is none": lambda state: state.episodes.__setitem__(
        1, Episode(1, 1.0, None, "lost", -1, 0)
    ),
    "repeats below 0": lambda state: setattr(state, "rhythm", Rhythm(1, 2, -1, 0, vec[float]([]), 0)),
    "a last occasion before the first": lambda state: setattr(
        state, "rhythm", Rhythm(3, 2, 1, 0, vec[float]([]), 0)
    ),
    "an occasion of no calendar": lambda state: setattr(
        state, "rhythm", Rhythm(3, 5_000_000, 1, 0, vec[float]([]), 0)
    ),
    "sums as of a later time than the newest event": lambda state: setattr(state, "ref_s", 3.0),
    "a time that is none": lambda state: setattr(state, "newest_s", float("nan")),
    "an entry of no kind": lambda state: state.entries.add(_case(7, 8)),
    "an entry with a failure of a driver below 0": lambda state: state.entries.add(_case(1, -8)),
}


def test_every_rule_and_every_kind_of_entry_is_read():
    """Rows are read against numbers written out: they are those of the last rule and of the last kind."""
    assert (max(Rule), max(KIND_NAMES)) == (LAST_RULE, KINDS)


@pytest.mark.parametrize("damage", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_number_that_no_row_holds_is_damage(damage: Callable[[CustomerState], object]):
    """What reads well, and would end the scoring or be taken for another, is refused when it is read."""
    state = CustomerState(VERSION, 0, 1.0, 2.0)
    state.entries.change()
    damage(state)

    with pytest.raises(CxError, match="damaged") as caught:
        unpack(pack(state)).entries.all()
    assert caught.value.mend == "make the rows anew: cx rebuild"


def _read_facts(case: Case) -> None:
    DEFAULT.register.judge.judge(case, None)
    read_until(case, all_until(0.0), ())


@pytest.mark.parametrize("facts", [{BEFORE: 1 << 32}, {GRAVE: 1 << 13}, {CHANNEL: 12}, {CHANNEL: -1}])
def test_facts_that_do_not_go_together_are_damage(facts: dict[int, int]):
    """A fact without the one that it came with, or a channel that is none, is told by who reads it."""
    kind = {BEFORE: REASON, GRAVE: COMPLAINT, CHANNEL: PROMISE}[next(iter(facts))]
    case = Case(b"entry!", kind, facts)

    with pytest.raises(CxError, match="a register is damaged") as caught:
        _read_facts(case)
    assert caught.value.mend == "make the rows anew: cx rebuild"


def test_names_are_read_when_somebody_asks():
    """An event's source and id stay the row's bytes, are written back as such, and told as texts."""
    state = unpack(pack(full()))
    data = pack(state)
    assert state.last is not None
    assert state.cause is not None
    assert (state.last.source, state.last.id) == ("/quelle/\u00fc", "id-1")
    assert (state.cause.source, state.cause.id) == ("/source", "event")
    assert pack(state) == data == pack(full())


def test_a_name_that_is_no_text_is_told_late():
    """A row whose last event has a broken name is scored; whoever asks for the name hears of the damage."""
    state = unpack(pack(full()).replace("/quelle/\u00fc".encode(), b"/quelle/\xff\xff"))
    assert state.last is not None
    with pytest.raises(CxError, match="the id of an event is no text") as caught:
        state.last.id  # noqa: B018  # it is read then
    assert caught.value.mend == "make the rows anew: cx rebuild"


def test_a_profile_is_read_when_somebody_asks():
    """Until then it stays the row's bytes; what is changed in it afterwards is written."""
    state = unpack(pack(full()))
    kept = state.packed_profile
    assert kept in pack(state)
    assert state.packed_profile is kept
    state.profile[1] = (5.0, "at")

    assert unpack(pack(state)).profile == {1: (5.0, "at"), 4: (4.0, ["a", 5, None])}


@pytest.mark.parametrize("profile", [b"\x91\x01", b"\x81\x01" + b"\x92\x01" * 100_000])
def test_a_profile_that_is_none_is_told_late(profile: bytes):
    """A row with a broken profile is scored; whoever asks for the profile hears of the damage."""
    state = CustomerState(VERSION, 0, 0.0, 0.0)
    state.packed_profile = profile
    with pytest.raises(CxError, match="its profile is none") as caught:
        unpack(pack(state)).profile  # noqa: B018  # it is read then
    assert caught.value.mend == "make the rows anew: cx rebuild"


def test_a_weight_of_no_sum_is_damage():
    """A sum that nobody knows is refused: it would be taken for another."""
    with pytest.raises(CxError, match="damaged"):
        unpack(_changed(6, {8: 5.0}))


def test_rows_of_a_newer_version_are_refused():
    """A row that a newer version wrote is refused with the command that mends: its fields may mean more."""
    state = row([event("order.placed")])
    state.version = VERSION + 1

    with pytest.raises(CxError, match="version 5, and this cx-signals reads rows up to version 4") as caught:
        unpack(pack(state))
    assert "cx rebuild" in caught.value.mend
    with pytest.raises(CxError, match="version 5"):
        unpack(pack(state) + b"a field of the newer version")
