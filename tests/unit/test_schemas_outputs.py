"""Outputs are written whole, with sorted keys."""

import json

import msgspec

from schemas.outputs import (
    ChurnAlert,
    Coverage,
    DriverLogit,
    DriverPoints,
    Evidence,
    Incident,
    LastExperience,
    ScoreUpdated,
    encode,
)

SNAPSHOT = {
    "customer_id": "c-1",
    "at": "2026-05-03T12:00:00Z",
    "experience": 48.5,
    "service": 61.0,
    "gap": 12.5,
    "trend": -4.0,
    "coverage": Coverage(experience=0.8, service=0.4),
    "band": "at_risk",
    "churn_probability": 0.41,
    "horizon_days": 90,
    "drivers": [DriverPoints(driver="late_delivery", ledger="experience", points=-16.5)],
    "churn_drivers": [DriverLogit(driver="base", logit=-0.364)],
    "last_experience": LastExperience(driver="late_delivery", age_s=3600.0, points=-16.5),
    "policy_version": "1f3a",
}
SCORE = ScoreUpdated(prior=65.0, churn_reason=None, events=7, **SNAPSHOT)
ALERT = ChurnAlert(
    alert_id="al-1",
    rule="churn_risk",
    episode=1,
    step="opened",
    severity="high",
    reason="Her chance of buying within 90 days has halved since 3 May.",
    evidence=[Evidence(source="/shop", id="e-1")],
    **SNAPSHOT,
)
INCIDENT = Incident(
    incident_id="i-1", kind="source_silent", channel="phone", since="2026-05-03T12:00:00Z", detail="Quiet."
)


def keys_sorted(value: object) -> bool:
    """Tell whether the keys of every object within are in order."""
    if isinstance(value, dict):
        return list(value) == sorted(value) and all(map(keys_sorted, value.values()))
    return all(map(keys_sorted, value)) if isinstance(value, list) else True


def test_keys_are_sorted():
    """Equal outputs are equal bytes: keys are sorted at every depth."""
    for output in (SCORE, ALERT, INCIDENT):
        assert keys_sorted(json.loads(encode(output)))


def test_unknown_is_written_as_null():
    """A field without a value is written as null, so that a reader finds every field every time."""
    alert = json.loads(encode(ALERT))

    assert set(alert) == set(ChurnAlert.__struct_fields__)
    assert alert["expected_by"] is None
    assert json.loads(encode(SCORE))["churn_reason"] is None


def test_outputs_read_back():
    """What is written decodes to the Struct it was made from."""
    for output in (SCORE, ALERT, INCIDENT):
        assert msgspec.json.decode(encode(output), type=type(output)) == output
