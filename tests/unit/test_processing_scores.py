"""What is published on `cx.scores`, and when."""

from typing import Any

import msgspec
import orjson
import pytest

from schemas.outputs import ChurnAlert, ScoreUpdated
from streams.observe.tally import Processed
from streams.scoring.rows import unpack
from streams.scoring.state import Published
from streams.topics import ALERTS, SCORES
from tests.customers import DAY, DEFAULT, event, line, row, seconds
from tests.handling import ANNA, Rig, documents, orders, shopper, written


def test_documents_are_those_of_the_contract():
    """Scores and alerts convert strictly to the Structs of `schemas.outputs`."""
    rig = Rig(link_template="https://crm/{customer_id}")
    done = rig.apply(line("customer.updated", tier="gold"), *orders([0, 10, 20, 30]))
    done_later = rig.apply(line("complaint.raised", 300.0))
    scores = [*written(done, SCORES.name), *written(done_later, SCORES.name)]
    assert len(scores) == 2
    for each in scores:
        msgspec.json.decode(each.value or b"", type=ScoreUpdated, strict=True)
        assert each.key == ANNA
    alerts = written(done_later, ALERTS.name)
    assert alerts
    for each in alerts:
        found = msgspec.json.decode(each.value or b"", type=ChurnAlert, strict=True)
        assert each.key == found.alert_id.encode()
        assert (found.tier, found.link, found.customer_id) == ("gold", "https://crm/anna", "anna")
        assert each.value == orjson.dumps(orjson.loads(each.value or b""), option=orjson.OPT_SORT_KEYS)


def first_score() -> tuple[Rig, Processed]:
    """Return what the first complaint of a customer does."""
    rig = Rig()
    return rig, rig.apply(line("complaint.raised"))


def test_the_first_score_with_coverage_is_published():
    """A customer of whom something is known for the first time is on `cx.scores` at once."""
    _, done = first_score()
    (found,) = documents(done, SCORES.name)
    assert found["events"] == 1
    assert done.tally.scores == 1


@pytest.mark.parametrize(
    ("kind", "data"),
    [("survey.answered", {"survey": "nps", "score": 7}), ("rage.clicked", {})],
    ids=["known, not moved", "moved, hardly known"],
)
def test_a_first_score_is_published_by_coverage_or_by_move(kind: str, data: dict[str, Any]):
    """A passive answer moves nothing but is known; a rage click is hardly known but moves a point."""
    (found,) = documents(Rig().apply(line(kind, **data)), SCORES.name)
    moved = abs(found["experience"] - found["prior"]) >= 1
    assert moved != (found["coverage"]["experience"] >= 0.05)


def test_of_whom_nothing_is_known_nothing_is_published():
    """Page views alone, now or a year later, are no news."""
    rig = Rig()
    assert not rig.apply(line("page.viewed")).outputs
    assert not rig.sweep(365).outputs


def test_a_score_that_did_not_move_is_not_published_again():
    """A minute later nothing has moved by a point."""
    rig, _ = first_score()
    done = rig.apply(line("page.viewed", 1 / 1440))
    assert not done.outputs
    assert list(done.rows) == [ANNA]


def remembered(**changes: Any) -> Rig:
    """Return a shopper whose published score is the row's at day 30, but for `changes`."""
    rig, state = Rig(), shopper()
    reading = DEFAULT.ledger.read(state, seconds(30))
    band = DEFAULT.rules.glance(state, seconds(30)).band
    held = {
        "experience": reading[0].score,
        "service": reading[1].score,
        "band": int(band),
        "at_s": seconds(30),
    }
    moved = {name: held[name] + by for name, by in changes.items()}
    state.published = Published(**{**held, **moved})
    rig.hold(state)
    return rig


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        ({}, False),
        ({"experience": 0.99}, False),
        ({"experience": -1.001}, True),
        ({"service": 0.99}, False),
        ({"service": 1.001}, True),
        ({"band": -1}, True),
        ({"at_s": -0.99 * DAY}, False),
        ({"at_s": -DAY}, True),
    ],
    ids=str,
)
def test_a_score_is_published_when_it_is_news(changes: dict[str, float], published: bool):  # noqa: FBT001
    """It is news by a point in either ledger, another band, or a day since the last; otherwise it is not."""
    rig = remembered(**changes)
    done = rig.sweep(30)
    assert len(written(done, SCORES.name)) == published
    assert (ANNA in done.rows) == published
    if published:
        held = unpack(rig.rows[ANNA]).published
        assert held is not None
        assert held.at_s == seconds(30)
        assert held.experience == documents(done, SCORES.name)[0]["experience"]


def test_a_day_is_no_news_where_hardly_anything_is_known():
    """Below a coverage of .05 an unmoved score is not repeated every day."""
    rig, state = Rig(), row([event("complaint.raised", 0.0)])
    experience, service = DEFAULT.ledger.read(state, seconds(700))
    assert experience.coverage < 0.05
    state.published = Published(experience.score, service.score, 0, seconds(30))
    rig.hold(state)
    assert not rig.sweep(700)


def test_neutral_acts_after_a_signal_are_in_the_published_time():
    """The score of a transaction is read at the row's newest time."""
    rig = Rig()
    (found,) = documents(rig.apply(line("complaint.raised"), line("page.viewed", 2.0)), SCORES.name)
    assert found["at"] == "2026-01-03T00:00:00Z"
    assert found["events"] == 2
    held = unpack(rig.rows[ANNA]).published
    assert held is not None
    assert held.at_s == seconds(2)
    assert held.experience == pytest.approx(found["experience"], abs=1e-9)


def test_the_sweep_publishes_the_score_of_a_day():
    """Who is silent is on `cx.scores` again a day later, at the time of the sweep."""
    rig, _ = first_score()
    assert not rig.sweep(0.5).outputs
    (found,) = documents(rig.sweep(1.5), SCORES.name)
    assert found["at"] == "2026-01-02T12:00:00Z"
    assert found["events"] == 1
