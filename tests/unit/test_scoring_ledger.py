"""The ledger on single moments, worked out by hand."""

import pytest

from streams.scoring.explain import assess
from streams.scoring.state import BEST, BEST_SERVICE, WORST, WORST_SERVICE
from tests.customers import DEFAULT, event, row, seconds

ledger = DEFAULT.ledger


def test_one_bad_moment():
    """A failed delivery: Q = 4.5, M = -65 * 4.5/8.5, and a peak of the same moment, four fifths to one."""
    state = row([event("delivery.failed")])

    mean = -65 * 4.5 / (4 + 4.5)
    peak = -65 * (4.5 * 65) / (4 * 65 + 4.5 * 65)
    assert ledger.score(state, seconds(0)) == pytest.approx(65 + 0.8 * mean + 0.2 * peak)
    assert ledger.service_score(state, seconds(0)) == 65.0


def test_it_fades_by_half():
    """After one half-life, 90 days, a moment counts half."""
    state = row([event("delivery.failed")])

    half = -65 * 2.25 / (4 + 2.25)
    assert ledger.score(state, seconds(90)) == pytest.approx(65 + half)
    assert DEFAULT.rules.glance(state, seconds(90)).coverage == pytest.approx(1.5 / 3.5)


def test_routine_saturates():
    """A thousand purchases on a day lift no further than the cap of 6 lets them."""
    state = row(event("order.placed", 0, id=str(n)) for n in range(1000))

    lifted = 6 / (4 + 6) * 35
    assert ledger.score(state, seconds(0)) < 65 + 0.8 * lifted + 0.2 * 35
    assert ledger.score(state, seconds(0)) == pytest.approx(
        65 + 0.8 * lifted + 0.2 * 35 * 20 / (4 * 35 + 20), abs=0.5
    )


def test_the_trend_by_hand():
    """A bad moment after good ones: the means of both half-lives, less by how little is recent."""
    good, bad = 35 * (1.0 * 20 / 35), -65 * 4.5
    state = row([event("order.placed", 0), event("delivery.failed", 30)])

    fast, slow = 0.5, 2 ** (-30 / 90)
    q = 20 / 35
    recent = (good * fast + bad) / (q * fast + 4.5)
    usual = (good * slow + bad) / (q * slow + 4.5)
    weight = (q * fast + 4.5) / (4 + q * fast + 4.5)
    assert ledger.trend(state, seconds(30)) == pytest.approx(weight * (recent - usual))


def test_no_trend_of_nothing():
    """With nothing recent there is no trend."""
    assert ledger.trend(row([event("page.viewed")]), seconds(0)) == 0.0
    assert ledger.trend(row([event("order.placed"), event("delivery.failed", 1)]), seconds(3000)) == 0.0


@pytest.mark.parametrize(
    ("kind", "data", "slots"),
    [
        ("order.placed", {}, {BEST}),
        ("delivery.failed", {}, {WORST}),
        ("ticket.reopened", {}, {WORST, WORST_SERVICE}),
        ("ticket.solved", {}, {BEST_SERVICE}),
        ("visit.assisted", {}, {BEST_SERVICE}),
        ("page.viewed", {}, set()),
        ("survey.answered", {"survey": "nps", "score": 7}, set()),
    ],
)
def test_which_peaks_a_moment_can_be(kind: str, data: dict[str, object], slots: set[int]):
    """Good service is no best moment of the experience; a moment at the prior is no peak at all."""
    peaks = row([event(kind, **data)]).peaks
    assert {slot for slot, peak in enumerate(peaks) if peak is not None} == slots


PEAKS: list[tuple[str, list[tuple[str, float]], str]] = [
    ("the graver", [("complaint.raised", 0), ("delivery.failed", 1)], "failed_delivery"),
    ("the graver, first", [("delivery.failed", 0), ("complaint.raised", 1)], "failed_delivery"),
    ("the newer of equals", [("complaint.raised", 0), ("order.cancelled", 1)], "cancelled_by_company"),
    ("an old grave one faded", [("delivery.failed", 0), ("complaint.raised", 53)], "complaint"),
    ("an old grave one not yet", [("delivery.failed", 0), ("complaint.raised", 52)], "failed_delivery"),
]


@pytest.mark.parametrize(("moments", "worst"), [case[1:] for case in PEAKS], ids=[case[0] for case in PEAKS])
@pytest.mark.parametrize("turn", [1, -1])
def test_the_worst_moment(moments: list[tuple[str, float]], worst: str, turn: int):
    """The worst moment is the one that weighs most once both have faded, whichever came first."""
    life = [event(kind, day, **({"by": "company"} if "cancel" in kind else {})) for kind, day in moments]

    peak = row(life[::turn]).peaks[WORST]
    assert peak is not None
    assert DEFAULT.policy.driver_names[peak.code] == worst


def test_last_points():
    """The last experience adds to the score what it would not have without it, peaks aside."""
    state = row([event("order.placed", 0), event("delivery.failed", 1)])

    q = 20 / 35 * 2 ** (-1 / 90)
    denominator = 4 + q * 6 / (6 + q) + 4.5
    found = assess(DEFAULT, state, seconds(1)).last
    assert found is not None
    assert found["points"] == pytest.approx(0.8 * -65 * 4.5 / denominator)
    assert assess(DEFAULT, row([event("rage.clicked")]), seconds(0)).last is None
