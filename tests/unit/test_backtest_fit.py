"""What a fit is made of: populations, regressions, curves, and the file that it writes."""

from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from streams.backtest.isotonic import fit_curve, pooled
from streams.backtest.logistic import Prior, fit_logistic
from streams.backtest.plan import policy_with
from streams.backtest.population import (
    BOUNDS,
    Lives,
    Population,
    fit_population,
    gone,
    log_likelihood,
    logit_p0,
)
from streams.backtest.written import policy_toml
from streams.scoring.policy import default_policy, load_policy, policy_from_tables
from streams.scoring.rhythm import Silence

CALIBRATION_ENDS = date(1997, 9, 30)
DEFAULT = Population(0.525, 43.28, 0.891, 1.614)


@pytest.fixture(scope="module")
def cdnow() -> Lives:
    """Return the first 39 weeks of the CDNOW sample, 2,357 customers, or skip without its package."""
    spec = find_spec("lifetimes")
    if spec is None or spec.origin is None:
        pytest.skip("the CDNOW sample comes with the package lifetimes")
    bought: dict[str, set[date]] = {}
    text = (Path(spec.origin).parent / "datasets" / "CDNOW_sample.txt").read_text(encoding="ascii")
    for fields in map(str.split, text.splitlines()):
        day = datetime.strptime(fields[2], "%Y%m%d").replace(tzinfo=UTC).date()
        if day <= CALIBRATION_ENDS:
            bought.setdefault(fields[1], set()).add(day)
    rows = [
        (len(days) - 1, (max(days) - min(days)).days, (CALIBRATION_ENDS - min(days)).days)
        for days in bought.values()
    ]
    table = np.array(rows, dtype=np.float64)
    return Lives(table[:, 0], table[:, 1], table[:, 2])


def in_weeks(lives: Lives) -> Lives:
    """Return the same lives counted in weeks."""
    return Lives(lives.repeats, lives.last / 7, lives.age / 7)


def test_bg_nbd_has_the_published_likelihood(cdnow: Lives):
    """In weeks BG/NBD has the likelihood of Fader, Hardie and Lee (2005), and its maximum there."""
    published = Population(0.243, 4.414, 0.793, 2.426)
    likely = log_likelihood(published, in_weeks(cdnow), modified=False).sum()

    assert likely == pytest.approx(-9582.4, abs=0.1)
    found = fit_population(in_weeks(cdnow), published, published, modified=False)
    assert found.r == pytest.approx(0.243, abs=0.003)
    assert found.alpha == pytest.approx(4.414, rel=0.02)
    assert found.a == pytest.approx(0.793, rel=0.05)
    assert found.b == pytest.approx(2.426, rel=0.08)


def test_mbg_nbd_finds_the_default_population(cdnow: Lives):
    """The fit on the first 39 weeks, begun far away, is the default policy's rhythm."""
    far = Population(2.0, 10.0, 0.2, 8.0)
    found = fit_population(cdnow, far, DEFAULT)

    assert log_likelihood(found, cdnow).sum() == pytest.approx(-14363.2, abs=0.2)
    assert found.r == pytest.approx(0.525, abs=0.01)
    assert found.alpha == pytest.approx(43.28, rel=0.03)
    section = default_policy().rhythm
    assert Population(section.r, section.alpha_days, section.a, section.b) == DEFAULT


def test_little_data_stays_near_the_prior():
    """Three customers do not move the population far, and nothing leaves the bounds."""
    lives = Lives(np.array([0.0, 1.0, 40.0]), np.array([0.0, 3.0, 41.0]), np.array([5.0, 9.0, 42.0]))
    found = fit_population(lives, DEFAULT, DEFAULT)

    for value, prior, (low, high) in zip(
        (found.r, found.alpha, found.a, found.b), (0.525, 43.28, 0.891, 1.614), BOUNDS, strict=True
    ):
        assert low <= value <= high
        assert abs(np.log(value / prior)) < 2.5


def test_p0_is_the_scorings_own(cdnow: Lives):
    """The columns' logit P0 is what the scoring computes row by row."""
    silence = Silence(default_policy().rhythm)
    found = logit_p0(DEFAULT, cdnow, 90.0)

    for row in range(0, len(cdnow), 211):
        log_active = silence.log_active(
            int(cdnow.repeats[row]), float(cdnow.last[row]), float(cdnow.age[row]), 90.0
        )
        assert found[row] == pytest.approx(np.log(-np.expm1(log_active)) - log_active, abs=1e-9)


def test_bg_nbd_calls_no_one_time_buyer_gone():
    """BG/NBD takes who bought once for alive; after many purchases a long silence says the contrary."""
    found = gone(DEFAULT, Lives(np.array([0.0, 30.0]), np.array([0.0, 60.0]), np.array([900.0, 900.0])))

    assert found[0] == 0.0
    assert found[1] > 0.99


def test_a_regression_keeps_its_bounds_and_finds_the_truth():
    """With many rows the coefficients are those that made the labels; a bound holds one of the wrong sign."""
    random = np.random.default_rng(3)
    x = np.column_stack([np.ones(20_000), random.normal(size=(20_000, 2))])
    labels = (random.random(20_000) < 1 / (1 + np.exp(-(x @ [0.5, 1.0, -0.7])))).astype(float)
    free = fit_logistic(x, labels, np.ones(20_000), [Prior(0.0, 1.0)] * 3)
    held = fit_logistic(x, labels, np.ones(20_000), [*[Prior(0.0, 1.0)] * 2, Prior(1.0, 1.0, 0.0)])

    assert free == pytest.approx([0.5, 1.0, -0.7], abs=0.06)
    assert held[2] == 0.0


def test_a_regression_without_rows_is_its_prior():
    """Nothing seen, nothing learnt."""
    found = fit_logistic(np.zeros((0, 2)), np.zeros(0), np.zeros(0), [Prior(0.3, 5.0), Prior(-1.0, 5.0)])

    assert found == pytest.approx([0.3, -1.0])


def test_pooling_gives_the_closest_rising_values():
    """Neighbours that fall are replaced by their weighted mean."""
    values, weights = np.array([0.1, 0.4, 0.2, 0.9, 0.7]), np.array([1.0, 1.0, 3.0, 1.0, 1.0])

    assert pooled(values, weights) == pytest.approx([0.1, 0.25, 0.25, 0.8, 0.8])


def test_a_curve_mends_what_is_too_sure():
    """Log-odds that are twice too large come back halved, in knots that rise strictly."""
    random = np.random.default_rng(4)
    true = random.normal(size=40_000)
    labels = (random.random(40_000) < 1 / (1 + np.exp(-true))).astype(float)
    x, y = fit_curve(2.0 * true, labels, np.ones(40_000))

    assert np.all(np.diff(x) > 0)
    assert np.all(np.diff(y) > 0)
    assert np.interp([-2.0, 0.0, 2.0], x, y) == pytest.approx([-1.0, 0.0, 1.0], abs=0.1)


@pytest.mark.parametrize("labels", [[1.0] * 50, [0.0] * 50, [1.0, 0.0] * 25])
def test_a_curve_of_few_rows_is_finite(labels: list[float]):
    """A handful of rows, even all alike or all at one place, gives finite knots."""
    x, y = fit_curve(np.zeros(50), np.array(labels), np.ones(50))

    assert len(x) == len(y) >= 1
    assert np.all(np.isfinite(y))


def test_a_file_says_only_what_differs(tmp_path: Path):
    """What is written is what differs from the default, with its heading, and it loads as the same policy."""
    calibration = {
        "kind": "isotonic",
        "slope": 1.0,
        "shifts": [],
        "x": [[-1.0, 1.0]] * 3,
        "y": [[0.0, 0.5]] * 3,
    }
    changed = {"rhythm": 0.5, "base": [0.2, 0.1, 0.0], "calibration": calibration}
    policy = policy_with(default_policy(), changed, {"r": 0.7})
    path = tmp_path / "policy.toml"
    path.write_text(policy_toml(policy, "Fitted to a log.\nTwo lines."))

    assert load_policy(path) == policy
    text = path.read_text()
    assert text.startswith("# Fitted to a log.\n# Two lines.\n")
    assert "drivers" not in text
    assert [line for line in text.splitlines() if line.startswith("[")] == [
        "[rhythm]",
        "[churn]",
        "[churn.calibration]",
    ]


def test_every_kind_of_value_comes_back(tmp_path: Path):
    """Words with quotes, dates, lists and drivers survive the file."""
    policy = policy_from_tables(
        {
            "version": 'my "own" \\ policy',
            "ancient_before": date(2000, 1, 1),
            "sources": ["shop", "till"],
            "drivers": {"complaint": {"reason": "said é"}},
        }
    )
    path = tmp_path / "policy.toml"
    path.write_text(policy_toml(policy, "x"), encoding="utf-8")

    assert load_policy(path) == policy
