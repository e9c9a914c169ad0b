"""Alerts as documents and in words."""

import math
from typing import Any

import msgspec
import pytest
from librt.vecs import vec

from schemas.envelope import Touchpoint
from schemas.outputs import ChurnAlert
from streams.scoring import lifecycle
from streams.scoring.alerttexts import worst_of
from streams.scoring.apply import Scorer
from streams.scoring.cases import (
    FILE_GENERATION,
    alert_document,
    alert_id,
    alert_step,
)
from streams.scoring.drivers import Parts
from streams.scoring.rules import Because, Decision, Rule
from streams.scoring.state import PEAKS, CustomerState
from streams.scoring.sums import sums_of
from tests.customers import DEFAULT, event, live, row, scorer, seconds

Life = list[Touchpoint]
LOYAL = [event("order.placed", 15 * n) for n in range(24)]
FAILED = event("delivery.failed", 346)


def decided(life: Life, until: float | None = None, by: Scorer = DEFAULT) -> tuple[CustomerState, Decision]:
    """Return the row and the last step that a life leaves, folding aside."""
    state, steps = live(life, by, until=until)
    return state, [step for step in steps if step.because is not Because.FOLDED][-1]


def alert(life: Life, until: float | None = None, by: Scorer = DEFAULT, **options: Any) -> dict[str, Any]:
    """Return the last step of a life as the document of customer anna."""
    state, step = decided(life, until, by)
    return alert_document(by, "anna", state, step, **{"generation": "g", "announced": True, **options})


def test_alerts_keep_the_contract():
    """An alert document is a ChurnAlert, with each of its fields and no other."""
    found = alert([*LOYAL, FAILED])

    assert msgspec.convert(found, ChurnAlert)
    assert set(found) == {field.name for field in msgspec.structs.fields(ChurnAlert)}


def test_alert_ids_are_stable():
    """An episode's id is a function of generation, customer, rule and number alone, and of each of them."""
    assert alert_id("file", "anna", Rule.SILENCE, 1) == "a603ca2553c3c37a145eb9eb"
    others = [
        alert_id("other", "anna", Rule.SILENCE, 1),
        alert_id("file", "ann", Rule.SILENCE, 1),
        alert_id("file", "anna", Rule.CHURN_RISK, 1),
        alert_id("file", "anna", Rule.SILENCE, 2),
    ]
    assert len({alert_id("file", "anna", Rule.SILENCE, 1), *others}) == 5
    assert alert_id("f", "ile\x00anna", Rule.SILENCE, 1) != alert_id("f\x00ile", "anna", Rule.SILENCE, 2)


def test_steps_of_an_episode_share_its_id():
    """Opening and resolution of an episode carry the same id."""
    state, steps = live([event("order.placed"), event("order.placed", 200)])
    ids = {alert_step(DEFAULT, "anna", state, step)["alert_id"] for step in steps}

    assert len(steps) == 2
    assert ids == {alert_id(FILE_GENERATION, "anna", Rule.SILENCE, 1)}


def test_an_alert_is_a_case():
    """An alert carries who, what was lived through, when they are expected and who owns the cause."""
    profile = {"segment": "family", "tier": "gold", "locale": "de-DE", "since": "2019-05-03", "owner": "kim"}
    life = [*LOYAL, event("customer.updated", 340, timezone="Europe/Berlin", **profile), FAILED]
    found = alert(life, link_template="https://crm.example/{customer_id}")

    assert found | profile | {"timezone": "Europe/Berlin"} == found
    assert found["link"] == "https://crm.example/anna"
    assert found["cause_owner"] == "logistics"
    assert found["evidence"] == [{"source": "/test", "id": "delivery.failed@346"}]
    assert 0.0 <= found["lost"] < 0.1
    assert found["expected_by"] > found["at"]
    assert found["announced"] is True


def test_nothing_is_to_be_mended_that_did_not_go_wrong():
    """Who cancels though nothing went wrong is asked; there is no worst driver to fix."""
    found = alert([*LOYAL, event("subscription.cancelled", 346)])

    assert (found["cause_owner"], found["do"]) == (None, ["Ask what is missing, and mend what they name"])


@pytest.mark.parametrize(
    ("leaving", "reason"),
    [
        ("cancel_page.viewed", "declared intent to leave"),
        ("subscription.cancelled", "The customer cancelled"),
    ],
)
def test_who_says_that_they_leave_is_evidence(leaving: str, reason: str):
    """What raised an alert about who declares to leave is among its evidence, though it is no moment."""
    wary = scorer(rules={"churn_open": 0.08, "churn_close": 0.05})
    found = alert([*LOYAL, event(leaving, 346)], by=wary)

    assert reason in found["reason"]
    assert found["evidence"] == [
        {"source": "/test", "id": f"{leaving}@346"},
        {"source": "/test", "id": "order.placed@345"},
    ]


def keys_in_order(value: Any) -> bool:
    """Tell whether the keys of every object within are in order."""
    if isinstance(value, dict):
        return list(value) == sorted(value) and all(map(keys_in_order, value.values()))
    return all(map(keys_in_order, value)) if isinstance(value, list) else True


def test_the_keys_of_an_alert_are_in_order():
    """Nothing is sorted when an alert is written: its keys and those of its parts stand in order."""
    late = event("order.placed", 301, order_id="o1", promised_at="2026-11-01T00:00:00Z")
    bought = event("order.placed", 344, total=5000, currency="EUR")
    broken = event("delivery.failed", 346, order_id="o1")
    life = [event("complaint.raised", 0), event("delivery.failed", 1), *LOYAL, late, bought, broken]
    found = alert(life)
    parts = ("drivers", "churn_drivers", "evidence", "churn_by_horizon", "open_issues", "promises")

    assert all(found[name] for name in (*parts, "earlier_alerts", "last_experience", "value_at_risk"))
    assert keys_in_order(found)


def test_a_link_quotes_its_customer():
    """A customer id cannot break out of a link."""
    state, step = decided([*LOYAL, FAILED])
    found = alert_document(
        DEFAULT,
        "a/b?c",
        state,
        step,
        generation="g",
        announced=False,
        link_template="https://x/{customer_id}",
    )

    assert found["link"] == "https://x/a%2Fb%3Fc"


def test_an_alert_of_one_who_never_engaged():
    """Without an engagement nothing is lost, nobody is expected, and the unknown is null."""
    found = alert([event("complaint.raised"), event("delivery.failed", 1)])

    assert found["rule"] == "experience_drop"
    names = ("lost", "expected_by", "churn_probability", "gap", "link", "tier", "resolved_because")
    assert {name: found[name] for name in names} == dict.fromkeys(names)


def test_an_alert_says_what_became_of_the_episode():
    """Times are RFC 3339; what did not happen is null, and so is all of an episode that the row lacks."""
    state, step = decided([*LOYAL, FAILED])
    options: dict[str, Any] = {"generation": "g", "announced": False}
    names = ("announced_at", "acknowledged_at", "snoozed_until", "outcome", "folded_into", "by", "note")
    before = alert_document(DEFAULT, "anna", state, step, **options)
    assert {name: before[name] for name in names} == dict.fromkeys(names)

    held = state.episodes[step.rule]
    lifecycle.mark_told(held, 2, seconds(1))
    lifecycle.snooze(held, seconds(2), seconds(9))
    lifecycle.acknowledge(held, seconds(3))
    lifecycle.close(held, seconds(4), "saved")
    found = alert_document(DEFAULT, "anna", state, step, **options)
    assert found["announced_at"] == "2026-01-02T00:00:00Z"
    assert found["snoozed_until"] == "2026-01-10T00:00:00Z"
    assert found["acknowledged_at"] == "2026-01-04T00:00:00Z"
    assert found["outcome"] == "saved"

    del state.episodes[step.rule]
    assert alert_document(DEFAULT, "anna", state, step, **options) == before


def test_of_equal_drivers_the_lower_code_is_the_worst():
    """Whose failure it is does not depend on the order of the parts, and a trifle is nobody's."""
    drivers = [DEFAULT.drivers.of(code) for code in (3, 1, 2)]
    for amounts, worst in (((-2.0, -2.0, -2.0), 1), ((-2.0, -3.0, -4.0), 2), ((-1.0, -1.0, 1.0), None)):
        parts = Parts(drivers)
        parts.amounts = vec[float](amounts)
        assert worst_of(parts) == (worst and DEFAULT.drivers.name(worst))


def test_a_resolution_says_because():
    """A resolved step names why, one of a closed set."""
    assert alert([LOYAL[0], event("order.placed", 200)])["resolved_because"] == "engaged"


def test_of_what_is_over_nothing_is_to_be_done():
    """A step that ends an alert gives no advice and no time to act by, whatever is still felt."""
    found = alert([LOYAL[0], event("order.placed", 200)])

    assert (found["act_by"], found["do"], found["do_not"]) == (None, [], [])


@pytest.mark.parametrize(
    ("tables", "dropped", "owner"),
    [
        ({}, False, "logistics"),
        ({"drivers": {"failed_delivery": {"owner": ""}}}, False, None),
        ({}, True, None),
    ],
)
def test_cause_owner(tables: dict[str, Any], owner: str | None, *, dropped: bool):
    """The owner of the cause is the worst driver's, null where the policy names none or lacks it."""
    by = scorer(**tables)
    state, step = decided([*LOYAL, FAILED], by=by)
    if dropped:
        state.points = sums_of({4001 * 8: sum(a for a in state.points.amounts if a < 0)})
        state.peaks = [None] * PEAKS

    found = alert_document(by, "anna", state, step, generation="g", announced=False)
    assert found["cause_owner"] == owner


def test_no_bad_driver_has_no_owner():
    """An alert of pure silence has no cause to own."""
    assert alert([LOYAL[0]], 66)["cause_owner"] is None


def test_expected_by_is_when_half_the_chance_is_lost():
    """The customer was expected by the time at which the policy's share of the chance was lost."""
    state, step = decided([LOYAL[0]], 66)
    found = alert_document(DEFAULT, "anna", state, step, generation="g", announced=False)

    assert found["expected_by"][:10] == "2026-03-07"
    assert found["lost"] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(("years", "words"), [(1.0, "1 year"), (2.5, "2.5 years"), (0.5, "0.5 years")])
def test_value_at_risk_is_reckoned_in_words(years: float, words: str):
    """The formula has the years of the policy, as a person says them, and is what was reckoned."""
    bought = [event("order.placed", 15 * n, total=5000, currency="EUR") for n in range(24)]
    found = alert([*bought, FAILED], by=scorer(value={"years": years}))
    value = found["value_at_risk"]
    share, yearly = (float(part.split()[0]) for part in value["formula"].split(" x ")[:2])

    assert value["formula"].endswith(f" EUR a year x {words}")
    assert value["amount"] == pytest.approx(share * yearly * years * 100, rel=0.05)


def test_one_purchase_is_no_rate():
    """A customer of a day is read as one of a year: what they spent once is not spent each day."""
    state = row([event("order.placed", 0, total=10_000, currency="EUR")])
    half_life = 1.4 * 90

    expected = 10_000 * math.log(2) * 365.25 / (half_life * (1 - 2 ** (-365.25 / half_life)))
    assert DEFAULT.rules.value.yearly(state, seconds(0)) == pytest.approx(expected)


def test_never_expected():
    """Who would not lose half the chance within 20 years is expected by no day."""
    patient = scorer(rhythm={"alpha_days": 1e6, "a": 1e-9})
    state, step = decided([*LOYAL, FAILED], by=patient)

    found = alert_document(patient, "anna", state, step, generation="g", announced=False)
    assert found["expected_by"] is None
