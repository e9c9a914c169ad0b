"""Figures of a backtest against definitions that are slow and plain."""

import itertools

import numpy as np
import pytest

from streams.backtest.budget import Docket, Losses, _median, alerts, losses, spend
from streams.backtest.history import Rows
from streams.backtest.log import Engagements, Floats
from streams.backtest.metrics import (
    Bootstrap,
    auc,
    auc_within,
    brier,
    ece,
    interval,
    precision_at,
    reliability,
)
from streams.scoring.policy import DAY_S


def plain_auc(scores: Floats, labels: Floats, weights: Floats) -> float:
    """Return the AUC by its definition: over all pairs of a row of label 1 and one of label 0."""
    right = total = 0.0
    for one, other in itertools.product(np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)):
        weight = weights[one] * weights[other]
        total += weight
        right += weight * (scores[one] > scores[other]) + 0.5 * weight * (scores[one] == scores[other])
    return right / total


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_the_share_of_pairs(seed: int):
    """With ties and with weights, the AUC is the share of pairs in the right order."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, 6, 60).astype(float)
    labels = random.integers(0, 2, 60).astype(float)
    weights = random.integers(0, 3, 60).astype(float)

    assert auc(scores, labels, weights) == pytest.approx(plain_auc(scores, labels, weights))
    assert auc(scores, labels) == pytest.approx(plain_auc(scores, labels, np.ones(60)))


def test_auc_of_one_class_is_nothing():
    """Where all labels are alike, or there is no row, there is no AUC."""
    assert auc(np.array([1.0, 2.0]), np.ones(2)) is None
    assert auc(np.zeros(0), np.zeros(0)) is None


def test_auc_within_knows_no_trend():
    """A score that only tells periods apart is worth nothing within them; periods of one class pass."""
    periods = np.array([0, 0, 0, 1, 1, 1, 2.0])
    labels = np.array([0, 0, 1, 1, 1, 0, 1.0])

    assert auc_within(periods, labels, periods) == 0.5
    assert auc_within(labels, labels, periods) == 1.0
    assert auc_within(labels[:2], np.ones(2), periods[:2]) is None


def test_precision_of_the_top():
    """The highest of each period are taken, at least one, and ties share the last place."""
    scores = np.array([5, 4, 3, 3, 1, 9.0])
    labels = np.array([1, 0, 1, 0, 0, 1.0])
    periods = np.array([0, 0, 0, 0, 0, 1.0])

    assert precision_at(scores, labels, periods, 0.01) == 1.0
    assert precision_at(scores, labels, periods, 0.6) == pytest.approx((1 + 0 + 0.5 + 1) / 4)
    assert precision_at(scores[:0], labels[:0], periods[:0], 0.1) is None


def test_calibration_is_the_distance_in_bins():
    """ECE weighs by its rows how far each bin's mean probability lies from what came true."""
    told = np.array([0.1, 0.1, 0.9, 1.0])
    labels = np.array([0.0, 1.0, 1.0, 1.0])

    assert ece(told, labels) == pytest.approx((2 * 0.4 + 2 * 0.05) / 4)
    assert brier(told, labels) == pytest.approx((0.01 + 0.81 + 0.01 + 0.0) / 4)
    assert [(line.low, line.rows) for line in reliability(told, labels)] == [(0.1, 2), (0.9, 2)]


def test_resamples_are_of_customers():
    """Each resample has as many customers as there are; all rows of one weigh the same; the draw is fixed."""
    bootstrap = Bootstrap(np.array([7, 7, 3, 9]), replicates=20)
    weights = bootstrap.weights()

    assert len(weights) == 20
    assert all(each.sum() == 3 for each in weights)
    assert bootstrap.places(np.array([7, 3, 9, 7])).tolist() == [1, 0, 2, 1]
    assert all(np.array_equal(a, b) for a, b in zip(weights, bootstrap.weights(), strict=True))


def test_an_interval_needs_most_of_its_resamples():
    """An interval is the middle 95%; where most resamples gave nothing there is none."""
    assert interval([float(value) for value in range(201)]) == (5.0, 195.0)
    assert interval([None, None, 1.0]) is None
    assert interval([]) is None


def rows(customers: list[int], days: list[float], last: list[float]) -> Rows:
    """Return rows of customers at days, who last engaged on the days `last`."""
    zero = np.zeros(len(customers))
    at_s = np.array(days) * DAY_S
    return Rows(
        np.array(customers), at_s, zero, np.array(last), at_s / DAY_S, zero, zero[:, None], zero, zero, zero
    )


def test_a_budget_tells_of_each_silence_once():
    """What is left of the budget is carried on, and who was told of is passed over until they engage."""
    table = rows([1, 2, 3] * 3, [7.0] * 3 + [14.0] * 3 + [21.0] * 3, [0, 0, 0, 0, 0, 0, 15.0, 0, 0])
    periods = np.repeat([0.0, 1.0, 2.0], 3)
    scores = np.array([0.9, 0.8, 0.1] * 3)

    assert alerts(table, scores, periods, 167, 14).tolist() == [0, 4, 6]
    assert alerts(table, scores, periods, 1, 7).tolist() == []


def test_losses_are_silences_of_twice_the_horizon():
    """A silence is a loss when it reaches twice the horizon while alerts can be given."""
    engaged = Engagements(np.array([1, 1, 2, 3]), np.array([0.0, 30.0, 5.0, 90.0]) * DAY_S)
    found = losses(engaged, 10, 20 * DAY_S, 100 * DAY_S)

    assert list(zip(found.customer, found.at_s / DAY_S, strict=True)) == [(1, 50.0), (2, 25.0)]


def test_precision_recall_and_lead_of_a_budget():
    """Of two alerts one is right; of two losses one was told of, ten days before."""
    table = rows([1, 2, 3], [10.0, 10.0, 10.0], [0.0, 4.0, 9.0])
    labels = np.array([1.0, 0.0, 0.0])
    lost = Losses(np.array([1, 3]), np.array([0.0, 9.0]) * DAY_S, np.array([20.0, 29.0]) * DAY_S)
    bootstrap = Bootstrap(table.customer, replicates=200)
    docket = Docket(table, labels, np.zeros(3), lost, 7, bootstrap, bootstrap.weights())
    found = spend(docket, np.array([3.0, 2.0, 1.0]), 667)

    assert (found.alerts, found.precision, found.recall, found.lead_days) == (2, 0.5, 0.5, 10.0)
    assert found.precision_ci95 is not None
    assert found.lead_days_ci95 == (10.0, 10.0), "of every resample that has the loss"
    none = spend(docket, np.array([3.0, 2.0, 1.0]), 0)
    assert (none.alerts, none.precision, none.recall, none.lead_days) == (0, None, 0.0, None)
    assert none.lead_days_ci95 is None


def test_the_lead_of_a_resample_is_its_weighted_median():
    """Each loss counts as often as its customer was drawn; without any there is none."""
    leads = np.array([30.0, 10.0, 20.0])

    assert _median(leads, np.array([1.0, 1.0, 1.0])) == 20.0
    assert _median(leads, np.array([3.0, 1.0, 1.0])) == 30.0
    assert _median(leads, np.zeros(3)) is None
