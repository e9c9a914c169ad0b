"""Alerts in the trace of the event that raised them: which steps carry a context, and which carry none."""

from typing import Any

import pytest

from streams.engine.handler import Output
from streams.observe.tally import Processed
from streams.topics import ALERTS, DEAD_LETTERS, SCORES
from tests.customers import line, seconds
from tests.handling import ANNA, Rec, Rig, changed, documents, orders, silent, written

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = b"00-11111111111111111111111111111111-2222222222222222-00"
HEADERS = (("traceparent", PARENT), ("tracestate", b"vendor=x"))
COMPLAINTS = [line("complaint.raised", 300.0), line("complaint.raised", 300.01)]
"""After orders long ago, the first drops the experience and the second makes the risk of churn critical."""


def upset(*complaints: Rec | bytes, **options: Any) -> tuple[Rig, Processed]:
    """Return what complaints have raised, after orders without any context."""
    rig = Rig(now_day=300, **options)
    rig.apply(*orders([0, 10, 20, 30]))
    return rig, rig.apply(*complaints)


def contexts(done: Processed) -> set[tuple[tuple[str, bytes], ...]]:
    """Return the different headers of the steps; there are some."""
    found = {each.headers for each in written(done, ALERTS.name)}
    assert found
    return found


def values(outputs: list[Output]) -> list[tuple[bytes | None, bytes | None]]:
    """Return keys and values."""
    return [(each.key, each.value) for each in outputs]


def test_steps_carry_the_context_of_the_event_that_raised_them():
    """Opened, announced and folded: each has both headers of its own event, and not of the one before."""
    _, done = upset(
        Rec(COMPLAINTS[0], headers=(("traceparent", OTHER),)), Rec(COMPLAINTS[1], headers=HEADERS)
    )
    assert contexts(done) == {(("traceparent", OTHER),), HEADERS}
    steps = zip(documents(done, ALERTS.name), written(done, ALERTS.name), strict=True)
    assert all(output.headers == HEADERS for step, output in steps if step["step"] == "announced")
    folded = [each for each in documents(done, ALERTS.name) if each["folded_into"]]
    assert folded


def test_an_event_without_a_header_may_have_the_attribute():
    """The attribute of the event is as good as a header of its record, in both modes of CloudEvents."""
    _, done = upset(*(changed(each, traceparent=PARENT.decode()) for each in COMPLAINTS))
    assert contexts(done) == {(("traceparent", PARENT),)}


def test_the_header_of_the_record_wins():
    """It is of the hop that wrote the record."""
    found = [Rec(changed(each, traceparent=OTHER.decode()), headers=HEADERS) for each in COMPLAINTS]
    assert contexts(upset(*found)[1]) == {HEADERS}


@pytest.mark.parametrize("text", [b"00-broken", b"\xff", PARENT + b"-01"])
def test_a_malformed_context_is_dropped(text: bytes):
    """The event counts and its alert is written, as if nothing had been there."""
    broken = [Rec(each, headers=(("traceparent", text), ("tracestate", b"vendor=x"))) for each in COMPLAINTS]
    rig, done = upset(*broken)
    assert contexts(done) == {()}
    assert done.counts.accepted == 2
    assert not rig.processor.tally.rejects


def test_a_step_is_the_same_with_a_context_and_without():
    """Keys, values, scores and rows are equal byte for byte: only headers tell the two apart (G2)."""
    plain, traced = upset(*COMPLAINTS), upset(*(Rec(each, headers=HEADERS) for each in COMPLAINTS))
    for topic in (ALERTS.name, SCORES.name):
        assert values(written(plain[1], topic)) == values(written(traced[1], topic))
    assert plain[0].rows == traced[0].rows
    assert {each.headers for each in written(traced[1], SCORES.name)} == {()}
    assert not written(traced[1], DEAD_LETTERS.name)


def test_who_raises_no_alert_pays_nothing(monkeypatch: pytest.MonkeyPatch):
    """Nearly all events raise none: their context is not even looked at."""
    monkeypatch.setattr("streams.work.trace_of", None)
    done = Rig(now_day=300).apply(*(Rec(each, headers=HEADERS) for each in orders([0, 10, 20, 30])))
    assert done.counts.accepted == 4


def test_what_the_sweep_writes_has_no_context():
    """Time raised it, or the budget chose it: no event did."""
    rig = Rig(now_day=300)
    *bought, viewed = silent()
    rig.apply(*(Rec(each, headers=HEADERS) for each in bought))
    assert contexts(rig.apply(Rec(viewed, headers=HEADERS))) == {HEADERS}
    assert contexts(rig.sweep(300.1)) == {()}
    late = Rig(now_day=300)
    late.apply(*(Rec(each, headers=HEADERS) for each in bought))
    assert contexts(late.sweep(300)) == {()}


def test_history_carries_its_context_too():
    """A backfilled event raises steps that people are not told of; they belong to its trace all the same."""
    _, done = upset(*(Rec(changed(each, backfill=True), headers=HEADERS) for each in COMPLAINTS))
    assert contexts(done) == {HEADERS}
    assert not any(each["announced"] for each in documents(done, ALERTS.name))


def test_the_end_of_an_alert_belongs_to_the_event_that_ended_it():
    """Whoever comes back resolves it: the step carries the context of the order."""
    rig, _ = upset(*(Rec(each, headers=HEADERS) for each in COMPLAINTS))
    rig.now_s = seconds(300.2)
    done = rig.apply(Rec(line("order.placed", 300.2), headers=(("traceparent", OTHER),)))
    assert {each["step"] for each in documents(done, ALERTS.name)} >= {"resolved"}
    assert contexts(done) == {(("traceparent", OTHER),)}


def test_an_action_gives_its_context_to_its_step():
    """Who took the alert on is a trace of its own."""
    rig, done = upset(*(Rec(each, headers=HEADERS) for each in COMPLAINTS))
    alert_id = documents(done, ALERTS.name)[0]["alert_id"]
    taken = changed(line("alert.acknowledged", 300.1), data={"alert_id": alert_id})
    acknowledged = rig.apply(Rec(taken, ANNA, (("traceparent", OTHER),)), topic="cx.actions")
    assert [each["step"] for each in documents(acknowledged, ALERTS.name)] == ["acknowledged"]
    assert contexts(acknowledged) == {(("traceparent", OTHER),)}
