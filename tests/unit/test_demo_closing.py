"""A demo ends with what it did and what the publisher, the retention team and the operator would see."""

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from schemas.rejects import REASONS, RejectReason
from streams.demo.closing import closing, did, operator_view, publisher_view, retention_view, summary
from streams.demo.view import DemoSnapshot

SNAPSHOT = DemoSnapshot(
    source="CDNOW",
    log="the in-memory log",
    elapsed_s=10.0,
    produced=24_100,
    consumed=24_000,
    duplicates=40,
    rejected={"not_json": 7, "schema_violation": 12, "of_tomorrow": 1},
    bands={"critical": 12, "steady": 800},
    alerts_by_rule={"silence": 3, "churn_risk": 2},
    lag=100,
    rates=(2_000, 3_000),
    metrics_url="http://127.0.0.1:9464/metrics",
)


def driver(name: str, points: float, ledger: str = "experience") -> dict[str, Any]:
    """Return a driver's points as an alert has them."""
    return {"driver": name, "ledger": ledger, "points": points}


ALERT: dict[str, Any] = {
    "customer_id": "c7-000042",
    "at": "2024-03-05T10:00:00Z",
    "rule": "churn_risk",
    "step": "opened",
    "severity": "high",
    "reason": "The delivery failed and the call about it solved nothing",
    "experience": 38.2,
    "service": 31.0,
    "gap": -7.2,
    "trend": -12.3,
    "band": "at_risk",
    "churn_probability": 0.78,
    "horizon_days": 90,
    "lost": 0.31,
    "expected_by": "2024-03-20T00:00:00Z",
    "drivers": [
        driver("failed_delivery", -14.2),
        driver("purchase", 9.1),
        driver("rage_click", -0.01),
        driver("waiting", -6.0),
        driver("waiting", -66.0, "service"),
    ],
    "last_experience": {"driver": "waiting", "age_s": 7_300.0, "points": -6.0},
    "segment": "family",
    "tier": "gold",
    "since": "2023-11-04",
    "owner": "Ada",
    "cause_owner": "logistics",
}


def text(view: RenderableType, width: int = 100) -> str:
    """Return a view as text."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_what_the_demo_did_is_counted():
    """The summary has consumed, scored, alerts by rule, rejects and seconds."""
    words = text(summary(SNAPSHOT))
    for part in (
        "24,000 events in 10.0 s (2,400/s)",
        "812 customers: 12 critical, 800 steady",
        "5: 2 churn risk, 3 silence",
        "20: 7 not_json, 1 of_tomorrow, 12 schema_violation",
    ):
        assert part in words


def test_what_the_demo_did_can_be_read_by_a_program():
    """The same counts come as plain data."""
    done = did(SNAPSHOT)
    assert (done["consumed"], done["customers"], done["seconds"]) == (24_000, 812, 10.0)
    assert done["alerts_by_rule"] == {"churn_risk": 2, "silence": 3}
    assert sum(done["rejected"].values()) == 20


def test_the_publisher_sees_what_was_accepted_and_how_to_mend_the_rest():
    """Counts add up to what was consumed, each known reason has its mend, the most frequent comes first."""
    words = text(publisher_view(SNAPSHOT))
    assert "23,940 accepted, 40 repeats counted once, 20 rejected" in words
    assert REASONS[RejectReason.NOT_JSON].mend in words
    assert words.index("schema_violation") < words.index("not_json") < words.index("of_tomorrow")
    assert "cx deadletters list" in words


def test_without_rejects_the_publisher_is_not_sent_to_dead_letters():
    """Where all was accepted there is nothing to look up."""
    words = text(publisher_view(replace(SNAPSHOT, rejected={})))
    assert "0 rejected" in words
    assert "deadletters" not in words
    assert "cx check" in words


@pytest.mark.parametrize(
    "part",
    [
        "c7-000042, family, gold, customer since 2023-11-04, looked after by Ada",
        "The delivery failed and the call about it solved nothing",
        "high (churn risk, 2024-03-05): 78% likely not to buy within 90 days",
        "silence has cost 31% of the chance",
        "is expected back by 2024-03-20",
        "experience 38 (at risk), service 31: service drags it down; worse than usual (-12)",
        "waiting, 2 hours before, -6.0 points",
        "-14.2  failed delivery  the promise was broken at the door",
        "+9.1  purchase",
        "2024-03-01  delivery failed",
        "belongs to logistics",
    ],
)
def test_the_retention_team_sees_a_case(part: str):
    """An alert tells who, why now, the risk, what drives it and what the customer lived through."""
    reasons = {"failed_delivery": "the promise was broken at the door"}
    words = text(retention_view(ALERT, lived=["2024-03-01  delivery failed"], reasons=reasons), width=200)
    assert part in words


def test_drivers_are_those_of_the_experience_the_worst_first():
    """Drivers of the other ledger and those rounded to nothing are left out."""
    words = text(retention_view(ALERT))
    assert words.index("failed delivery") < words.index("-6.0  waiting") < words.index("+9.1  purchase")
    assert "-66.0" not in words
    assert "rage click" not in words


@pytest.mark.parametrize(
    ("gap", "experience", "words"),
    [
        (16.0, 40.0, "service carries a failing experience: mend the cause"),
        (12.0, 40.0, "service is failing too, only less: mend the cause"),
        (12.0, 70.0, "service is its best part"),
        (-12.0, 40.0, "service drags it down"),
        (-12.0, 70.0, "service spoils a good one"),
    ],
)
def test_the_gap_is_told_in_words(gap: float, experience: float, words: str):
    """Service against experience is a sentence, and differs where the experience fails."""
    assert words in text(retention_view(ALERT | {"gap": gap, "experience": experience}), width=200)


def test_silence_is_told_as_such():
    """Who should have been back by now was expected; a chance that is hardly less is not worth a word."""
    overdue = text(retention_view(ALERT | {"expected_by": "2024-03-01T00:00:00Z", "lost": 0.09}), width=200)
    assert "was expected back by 2024-03-01" in overdue
    assert "silence" not in overdue


def test_what_is_unknown_is_left_out():
    """An alert with no profile, probability, trend or drivers is still a case, without blanks."""
    unknown = dict.fromkeys(
        (
            "segment",
            "tier",
            "since",
            "owner",
            "cause_owner",
            "gap",
            "churn_probability",
            "lost",
            "expected_by",
        )
    )
    bare = ALERT | unknown | {"drivers": [], "last_experience": None, "trend": 0.2}
    words = text(retention_view(bare))
    assert "None" not in words
    assert not any(
        label in words for label in ("because", "last moment", "lived", "usual", "%", "service 31:")
    )
    assert "better than usual (+3)" in text(retention_view(bare | {"trend": 3.0}))


def test_no_alert_is_said():
    """A demo too short for an alert says so and what to do."""
    words = text(retention_view(None))
    assert "no alert was raised" in words
    assert "cx demo --for" in words


def test_the_operator_sees_metrics_lag_and_throughput():
    """Who runs it sees where to look and how far behind it is."""
    words = text(operator_view(SNAPSHOT))
    throughput = "2,400 events/s, at most 3,000/s"
    for part in ("http://127.0.0.1:9464/metrics, while it ran", "100 events", throughput):
        assert part in words
    assert "not served" in text(operator_view(DemoSnapshot(source="s", log="l")))


def test_the_end_has_all_views_in_order():
    """What the demo did comes first, then the three people."""
    words = text(closing(SNAPSHOT, ALERT), width=80)
    heads = ["What the demo did", "You publish events", "You answer alerts", "You run it"]
    assert sorted(heads, key=words.index) == heads
    assert all(len(line) <= 80 for line in words.splitlines())


def test_an_empty_demo_ends_without_error():
    """A demo that consumed nothing has an end, too."""
    words = text(closing(DemoSnapshot(source="s", log="l"), None))
    assert "0 events in 0.0 s (0/s)" in words


def test_data_cannot_steer_the_terminal():
    """Control characters and markup in what producers or policies say are shown, not obeyed."""
    evil = "\x1b[2J[bold]e[/]"
    names = ("customer_id", "reason", "segment", "owner", "cause_owner")
    reasons = {"failed_delivery": "[bold]why[/]"}
    words = text(retention_view(ALERT | dict.fromkeys(names, evil), lived=[evil], reasons=reasons), width=200)
    assert "\x1b" not in words
    assert words.count("?[2J[bold]e[/]") == len(names) + 1
    assert "[bold]why[/]" in words
