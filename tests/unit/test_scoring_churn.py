"""The churn logit: what the rhythm, the spend and a calibration make of it, and that it stays a sum."""

import math
from typing import Any

import pytest

from streams.errors import CxError
from streams.scoring.apply import Scorer
from streams.scoring.churn import ChurnReading
from streams.scoring.policy import policy_from_tables
from streams.scoring.state import CustomerState
from tests.customers import DEFAULT, event, row, scorer, seconds

BASE = [0.3, 0.1, 0.0]
RISING = {"x": [[-1.0, 1.0]] * 3, "y": [[-0.5, 0.5]] * 3}
CALIBRATIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "platt": {"kind": "platt", "slope": 0.7, "shifts": [0.2, 0.0, -0.4]},
    "isotonic": {"kind": "isotonic", "x": [[-2.0, 0.0, 2.0]] * 3, "y": [[-1.0, 0.2, 1.5]] * 3},
    "crossing": {"kind": "isotonic", "x": [[0.0], [0.0], [0.0]], "y": [[-1.0], [2.0], [1.0]]},
}


def calibrated(name: str, **churn: Any) -> Scorer:
    """Return a scorer whose every churn term is in use, under one of the calibrations."""
    return scorer(
        churn={
            "base": BASE,
            "engagement": -0.5,
            "spend": -0.3,
            "recency": 0.4,
            "calibration": CALIBRATIONS[name],
            **churn,
        }
    )


def complaining(under: Scorer) -> CustomerState:
    """Return a customer of three orders and a complaint."""
    orders = [
        event("order.placed", day, order_id=f"o{day}", total=9_000, currency="EUR") for day in (0, 20, 50)
    ]
    return row([*orders, event("complaint.raised", 60)], under)


def reading(under: Scorer, state: CustomerState, day: float, index: int) -> ChurnReading:
    """Return the churn of `state` on `day` at a horizon."""
    at_s = seconds(day)
    experience, _ = under.ledger.read(state, at_s)
    found = under.churn.read(state, at_s, experience, under.ledger.trend(state, at_s), index)
    assert found is not None
    return found


def logit_of(under: Scorer, state: CustomerState, day: float) -> float:
    """Return the log-odds by which the rules go."""
    glance = under.rules.glance(state, seconds(day))
    logit = under.churn.logit(state, seconds(day), glance.terms, under.policy.alert_horizon)
    assert logit is not None
    return logit


def drivers(found: ChurnReading) -> dict[str, float]:
    """Return each contribution by its name."""
    return dict(found.parts.named(by_name=True))


def quick(under: Scorer, state: CustomerState, day: float, index: int) -> float:
    """Return what the rules see of it: the logit without its drivers."""
    glance = under.rules.glance(state, seconds(day))
    found = under.churn.logit(state, seconds(day), glance.terms, index)
    assert found is not None
    return found


@pytest.mark.parametrize("name", CALIBRATIONS)
@pytest.mark.parametrize("cap", [2.5, 0.1])
def test_the_drivers_sum_to_the_logit(name: str, cap: float):
    """Under every calibration, capped or not, the named contributions are the logit that the rules see."""
    under = calibrated(name, terms_cap=cap)
    state = complaining(under)

    for index in range(3):
        for day in (60, 75, 200, 900):
            found = reading(under, state, day, index)
            assert sum(drivers(found).values()) == pytest.approx(found.logit, abs=1e-9)
            assert quick(under, state, day, index) == pytest.approx(found.logit, abs=1e-9)


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_a_longer_horizon_is_never_the_higher_risk(name: str):
    """The probabilities go down with the horizon, even where the curves of the horizons cross."""
    under = calibrated(name)
    state = complaining(under)

    for day in (60, 90, 200, 900):
        told = [reading(under, state, day, index).probability for index in range(3)]
        assert told == sorted(told, reverse=True)


def test_platt_scales_each_contribution():
    """Platt's slope scales every driver, its shift goes to the base, and no driver is left for it."""
    plain, platt = calibrated("none"), calibrated("platt")
    before = reading(plain, complaining(plain), 75, 1)
    after = reading(platt, complaining(platt), 75, 1)

    scaled = {name: 0.7 * logit for name, logit in drivers(before).items()}
    assert drivers(after) == pytest.approx(scaled, abs=1e-12)
    assert drivers(after)["calibration"] == 0.0
    assert quick(platt, complaining(platt), 75, 0) == pytest.approx(
        0.7 * quick(plain, complaining(plain), 75, 0) + 0.2
    )


def test_isotonic_is_a_driver_of_its_own():
    """An isotonic curve bends the whole logit, and the difference is the driver `calibration`."""
    plain, bent = calibrated("none"), calibrated("isotonic")
    before, after = (reading(under, complaining(under), 75, 0) for under in (plain, bent))

    assert drivers(after)["calibration"] == pytest.approx(after.logit - before.logit)
    assert {k: v for k, v in drivers(after).items() if k != "calibration"} == pytest.approx(
        {k: v for k, v in drivers(before).items() if k != "calibration"}
    )


@pytest.mark.parametrize(
    ("told", "true"), [(-3.0, -2.5), (-1.0, -0.5), (-0.5, -0.25), (0.0, 0.0), (1.0, 0.5), (4.0, 3.5)]
)
def test_a_curve_is_linear_in_log_odds(told: float, true: float):
    """Between knots a curve is a line; beyond them it goes on with slope 1."""
    under = scorer(churn={"calibration": {"kind": "isotonic", **RISING}})

    assert under.churn.calibration.curves[0].at(told) == pytest.approx(true)


def test_the_rhythm_is_held_within_its_limit():
    """However long the silence, the rhythm adds at most the limit times its coefficient."""
    bounded = scorer(churn={"rhythm": 0.5, "rhythm_limit": 1.5})
    state = complaining(bounded)

    assert drivers(reading(bounded, state, 4000, 2))["rhythm"] == 0.75
    assert drivers(reading(DEFAULT, state, 4000, 2))["rhythm"] > 0.75


def test_spend_is_weighed_against_the_typical():
    """Who spends more an occasion than is typical is less at risk, who spends nothing more; both bounded."""
    under = scorer(churn={"spend": -1.0, "typical_spend": 5000.0})
    rich, poor, free = (
        row([event("order.placed", 0, order_id="o", total=total, currency="EUR")], under)
        for total in (50_000, 500, 0)
    )
    half_lives = 30 / (1.4 * 90)
    count = 2.0 ** -(half_lives + 0.0)

    found = [drivers(reading(under, state, 30, 2))["spend"] for state in (rich, poor, free)]
    assert found[0] == pytest.approx(-math.log((10 * count + 2) / (count + 2)))
    assert found[0] < 0 < found[1] < found[2] < math.log(3) + 1e-9


def test_recency_counts_in_horizons():
    """A silence adds its length over the horizon, three horizons at most, and nothing before it has begun."""
    under = scorer(churn={"recency": 0.5})
    state = complaining(under)

    found = [
        drivers(reading(under, state, day, index))["recency"] for day, index in ((60, 0), (95, 2), (410, 2))
    ]
    assert found == pytest.approx([0.5 * 10 / 30, 0.5 * 0.5, 1.5])


def test_nothing_is_said_without_an_engagement():
    """Whoever never engaged has no churn probability, calibrated or not."""
    for name in CALIBRATIONS:
        under = calibrated(name)
        state = row([event("complaint.raised", 0)], under)
        experience, _ = under.ledger.read(state, seconds(1))

        assert under.churn.read(state, seconds(1), experience, 0.0, 0) is None
        assert under.churn.logit(state, seconds(1), 0.5, 0) is None


MISTAKES = [
    ({"kind": "platt"}, "churn.calibration.shifts needs one value a horizon"),
    ({"kind": "platt", "shifts": [0.0, 0.1, 0.0]}, "shifts must not go up with the horizon"),
    ({"kind": "platt", "shifts": [0.0] * 3, "slope": -0.1}, "Expected `float` >= 0.0"),
    ({"slope": 0.5}, 'churn.calibration.slope and .shifts belong to kind = "platt"'),
    ({"x": [[0.0]]}, 'churn.calibration.x and .y belong to kind = "isotonic"'),
    ({"kind": "isotonic", "x": [[0.0]], "y": [[0.0]]}, "x and .y need one list a horizon"),
    ({"kind": "isotonic", "x": [[0.0]] * 3, "y": [[0.0], [], [0.0]]}, "list 2 of x and of y need as many"),
    (
        {"kind": "isotonic", "x": [[0.0, 1.0]] * 3, "y": [[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]]},
        "churn.calibration.y: list 3 must go up strictly",
    ),
    ({"kind": "isotonc"}, "not `isotonc`, did you mean `isotonic`?"),
]


@pytest.mark.parametrize(("calibration", "words"), MISTAKES)
def test_mistakes_of_a_calibration_are_named(calibration: dict[str, Any], words: str):
    """A calibration that could change the order of customers or horizons is refused, in words."""
    with pytest.raises(CxError) as refused:
        policy_from_tables({"churn": {"calibration": calibration}})
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("kind", "name", "driver", "each"),
    [
        ("complaint.raised", "complaint_id", "open_issue", 0.9),
        ("delivery.failed", "order_id", "broken_promise", 0.6),
    ],
)
def test_at_most_two_of_a_kind_stand_in_the_way(kind: str, name: str, driver: str, each: float):
    """An open issue and a broken promise raise the risk, a second one again, and a third no further."""
    loose = scorer(churn={"terms_cap": 100})
    life = [event("order.placed", 0)]
    for number, told in enumerate((each, 2 * each, 2 * each)):
        life.append(event(kind, number + 1, **{name: f"n{number}"}))
        found = reading(loose, row(life, loose), number + 1, 2)
        assert drivers(found)[driver] == pytest.approx(told)
        assert found.logit == pytest.approx(logit_of(loose, row(life, loose), number + 1))
