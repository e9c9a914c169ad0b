"""What reads well and no row holds is told as damage by whoever comes upon it."""

import pytest
from librt.vecs import vec

from schemas.times import at_time
from streams.errors import CxError
from streams.scoring.cases import alert_document
from streams.scoring.entry import Case
from streams.scoring.facts import DUE, ORDER, PROMISE, REOPENED, SAID, TICKET, key_of
from streams.scoring.lived import allowed_contact
from streams.scoring.rows import pack, unpack
from streams.scoring.state import WORST, CustomerState, Episode, LastExperience, Peak, Published, Rhythm
from tests.customers import DEFAULT, event, live, row, seconds, then
from tests.earlier import packed, version_2

CENTURIES = seconds(300 * 365)


def plain() -> CustomerState:
    """Return a row of an order and a complaint."""
    return row([event("order.placed"), event("complaint.raised", 1)])


def put(state: CustomerState, **fields: object) -> CustomerState:
    """Return a row with other values in some of its fields."""
    for name, value in fields.items():
        setattr(state, name, value)
    return state


IMPOSSIBLE: dict[str, CustomerState] = {
    "a number that is none": put(plain(), told_s=float("nan")),
    "a number without an end": put(plain(), told_s=float("-inf")),
    "a number that is too large": put(plain(), told_s=1e300),
    "a newest event of a year that no event is taken of": put(plain(), newest_s=7.3e9),
    "a newest event before all years": put(plain(), ref_s=-7e10, newest_s=-7e10),
    "events below 0": put(plain(), events=-1),
    "more events than can be counted": put(plain(), events=2**63 - 1),
    "an occasion after the newest event": put(
        plain(), rhythm=Rhythm(20_000, 99_000, 1, 0, vec[float]([]), 0)
    ),
    "an occasion before all years": put(plain(), rhythm=Rhythm(-800_000, 2, 1, 0, vec[float]([]), 0)),
    "a count of occasions below 0": put(plain(), rhythm=Rhythm(1, 2, 1, 0, vec[float]([-1.0]), 0)),
    "a band that is none": put(plain(), published=Published(1.0, 2.0, 5, 3.0)),
}


@pytest.mark.parametrize("state", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_number_that_no_row_holds_is_damage_in_each_version(state: CustomerState):
    """Rows of versions before are held to the same as those of today."""
    for data in (pack(state), packed(version_2(state))):
        with pytest.raises(CxError, match="a row is damaged") as caught:
            unpack(data)
        assert caught.value.mend == "make the rows anew: cx rebuild"


@pytest.mark.parametrize("peak", [Peak(10, 1.0, CENTURIES, b""), Peak(10, 0.0, 0.0, b"")])
def test_a_moment_that_is_none_is_damage(peak: Peak):
    """A moment centuries ahead of its row, or of no magnitude, is told instead of an error of mathematics."""
    state = plain()
    state.peaks[WORST] = peak
    with pytest.raises(CxError, match="a row is damaged: one of its times or moments is none"):
        then(state, event("rage.clicked", 2))


def test_a_last_experience_centuries_ahead_is_damage():
    """So is an experience that was not made yet."""
    state = put(plain(), last=LastExperience(80, CENTURIES, -195.0, "/test", "x"))
    last = DEFAULT.ledger.last_of(state)
    assert last is not None
    with pytest.raises(CxError, match="a row is damaged"):
        DEFAULT.ledger.last_points(state, seconds(2), last, 1.0)


@pytest.mark.parametrize(
    "case",
    [Case(b"entry!", TICKET, {REOPENED: 1 << 50}), Case(b"entry!", PROMISE, {SAID: 1, DUE: 1 << 50})],
    ids=["a failure", "a deadline"],
)
def test_a_fact_of_no_calendar_is_damage(case: Case):
    """A failure or a deadline beyond all times is refused when it is derived."""
    with pytest.raises(CxError, match="a register is damaged"):
        DEFAULT.register.judge.judge(case, None)


def test_a_fact_without_its_other_is_damage_to_an_event():
    """An event about an order of which a deadline was said, and not which, tells of the damage."""
    state = plain()
    state.entries.add(Case(key_of(ORDER, "o1"), ORDER, {SAID: int(seconds(1))}))
    state.entries.change()
    state = unpack(pack(state))
    again = event("delivery.promised", 2, order_id="o1", promised_at=at_time(seconds(5)))

    with pytest.raises(CxError, match="a register is damaged") as caught:
        DEFAULT.apply(state, again, seconds(2), 0)
    assert caught.value.mend == "make the rows anew: cx rebuild"


def test_an_alert_of_a_time_of_no_calendar_is_damage():
    """An alert that would tell of a time without a date tells of the damage."""
    state, (step, *_) = live([event("store.visited"), event("complaint.raised", 1)])
    state.episodes[5] = Episode(1, 1e12, None, "reopened", 1, 0)

    with pytest.raises(CxError, match="what an alert tells of it is no time or word"):
        alert_document(DEFAULT, "anna", state, step, generation="g", announced=True)


@pytest.mark.parametrize("profile", [{10: (1.0, "de")}, {-1: (1.0, "de")}, {1: (1.0, {"a": 1})}])
def test_a_profile_of_other_fields_is_damage(profile: dict[int, tuple[float, object]]):
    """A field that there is not, or a value of no field, is refused by who reads the profile."""
    state = unpack(pack(put(plain(), _profile=profile)))
    with pytest.raises(CxError, match="its profile is none"):
        state.profile  # noqa: B018  # it is read then


def test_channels_that_are_none_are_damage():
    """A contact may be allowed on channels, and not on a number."""
    assert allowed_contact(plain(), ["phone"]) == ["phone"]
    with pytest.raises(CxError, match="its profile is none"):
        allowed_contact(plain(), 5)
