"""Whether alerts were right: bins, Brier score and leads."""

import pytest

from streams.observe.outcomes import Outcomes, bin_of
from tests.customers import DAY


@pytest.mark.parametrize(
    ("probability", "label"), [(0.0, "0.1"), (0.1, "0.1"), (0.11, "0.2"), (0.7, "0.7"), (1.0, "1")]
)
def test_a_probability_lies_in_the_bin_of_its_upper_bound(probability: float, label: str):
    """Ten bins, each with its upper bound."""
    assert bin_of(probability) == label


def test_outcomes_give_the_brier_score_and_the_calibration():
    """Predictions, outcomes and squared errors are sums, so they add up over workers."""
    one, both = Outcomes(), Outcomes()
    one.predict(0.8, churned=True)
    one.predict(0.75, churned=False)
    one.matured("churn_risk", "churned", lead_s=5 * DAY)
    one.matured("churn_risk", "false_alarm")
    both.add(one)
    both.add(one)
    assert both.predicted == {"0.8": 4}
    assert both.came_true == {"0.8": 2}
    assert both.probability == {"0.8": pytest.approx(3.1)}
    assert both.squared_error == pytest.approx(2 * (0.04 + 0.5625))
    assert both.results == {("churn_risk", "churned"): 2, ("churn_risk", "false_alarm"): 2}
    assert both.lead_s["churn_risk"].total == 10 * DAY
