"""What becomes of the old alerts when a partition was replayed."""

from typing import Any

import orjson
import pytest

from streams.rebuilding import Alerts
from streams.scoring.cases import alert_id
from streams.scoring.rows import pack, unpack
from streams.scoring.rules import Rule
from streams.scoring.state import Episode, new_state

GENERATION = "g"
TOLD = "2026-03-01T00:00:00Z"
TOLD_S = 1_772_323_200.0


def row(**changes: Any) -> bytes:
    """Return a row with an episode of silence, open unless told otherwise."""
    state = new_state(1, 0.0)
    about = {"number": 1, "opened_s": 0.0, "closed_s": None, "cause": "lost", "severity": 1, "last_day": 0}
    state.episodes[Rule.SILENCE] = Episode(**about | changes)
    return pack(state)


def old(number: int = 1, *, generation: str = GENERATION, **changes: Any) -> dict[str, Any]:
    """Return the newest step of an old alert: told to people and open, unless told otherwise."""
    return {
        "alert_id": alert_id(generation, "c", Rule.SILENCE, number),
        "customer_id": "c",
        "rule": "silence",
        "episode": number,
        "step": "announced",
        "severity": "high",
        "announced": True,
        "announced_at": TOLD,
        "acknowledged_at": None,
        "snoozed_until": None,
        "outcome": None,
        "act_by": TOLD,
        "do": ["Call her"],
        "do_not": ["Send a voucher"],
    } | changes


def settled(rows: dict[bytes, bytes], *documents: dict[str, Any]) -> tuple[Episode | None, list[str]]:
    """Return the episode afterwards (None where the row was left alone), and the alerts that were closed."""
    effects = Alerts("alerts", 0.0).reconcile(rows, documents, GENERATION)
    closings = [orjson.loads(each.value or b"") for each in effects.outputs]
    assert all((each["step"], each["resolved_because"]) == ("resolved", "rebuilt") for each in closings)
    assert not any(each["announced"] for each in closings)
    assert all((each["act_by"], each["do"], each["do_not"]) == (None, [], []) for each in closings)
    changed = effects.rows.get(b"c")
    episode = unpack(changed).episodes[Rule.SILENCE] if changed else None
    return episode, [each["alert_id"] for each in closings]


def test_an_alert_that_is_open_in_both_goes_on() -> None:
    """It keeps its id, and people who know of it are not told again."""
    episode, closed = settled({b"c": row(number=1)}, old(3))
    assert episode is not None
    assert (episode.number, episode.told, episode.told_s) == (3, 2, TOLD_S)
    assert closed == []


def test_what_people_did_with_it_is_kept() -> None:
    """Taken on, put off, outcome: nobody has to do it twice."""
    document = old(acknowledged_at=TOLD, snoozed_until="2026-03-02T00:00:00Z", outcome="saved")
    episode, _ = settled({b"c": row()}, document)
    assert episode is not None
    assert (episode.acknowledged_s, episode.snoozed_until_s) == (TOLD_S, TOLD_S + 86_400)
    assert episode.outcome == "saved"


def test_the_customer_is_left_alone_for_the_rest_of_the_day() -> None:
    """One message a customer a day holds through a rebuild."""
    effects = Alerts("alerts", 0.0).reconcile({b"c": row()}, [old()], GENERATION)
    assert unpack(effects.rows[b"c"] or b"").told_s == TOLD_S


def test_an_alert_nobody_was_told_of_still_waits() -> None:
    """Only what people know counts as known."""
    episode, closed = settled({b"c": row()}, old(2, announced_at=None, announced=False))
    assert episode is not None
    assert (episode.told, episode.told_s, closed) == (-1, None, [])


@pytest.mark.parametrize("rows", [{}, {b"c": pack(new_state(1, 0.0))}, {b"c": row(closed_s=5.0)}])
def test_an_alert_without_a_counterpart_is_closed(rows: dict[bytes, bytes]) -> None:
    """No customer, no episode, or one that is over: the old alert would stay open for ever."""
    assert settled(rows, old())[1] == [old()["alert_id"]]


def test_an_ended_alert_is_left_alone_and_its_number_is_not_used_again() -> None:
    """A new episode must not look like the old one coming back to life."""
    episode, closed = settled({b"c": row(number=1)}, old(4, step="resolved"))
    assert episode is not None
    assert (episode.number, closed) == (5, [])


def test_the_next_episode_gets_a_fresh_number_too() -> None:
    """Also where the rule does not hold now."""
    episode, closed = settled({b"c": row(number=1, closed_s=5.0)}, old(4, step="closed"))
    assert episode is not None
    assert (episode.number, closed) == (4, [])


def test_an_alert_of_an_earlier_table_is_closed_and_remembered_as_told() -> None:
    """Its id cannot go on; people know of it all the same."""
    document = old(generation="before")
    episode, closed = settled({b"c": row()}, document)
    assert episode is not None
    assert (episode.told_s, closed) == (TOLD_S, [document["alert_id"]])


def test_a_rule_that_is_gone_is_passed_over() -> None:
    """What another release wrote is not ours to close."""
    assert settled({b"c": row()}, old(rule="moon_phase")) == (None, [])
