"""The desk of a partition: what is taken, what is remembered, and where a restart begins."""

import asyncio
from datetime import datetime
from typing import Any

import orjson
import pytest

from schemas.tracing import Trace
from streams.delivery.book import Memory
from streams.delivery.client import Answer, Result
from streams.delivery.courier import Courier
from streams.delivery.desk import KEPT_S, Desk
from streams.delivery.quiet import QuietHours
from streams.delivery.routes import Routes
from tests.delivering import (
    NOON,
    MemoryBook,
    Record,
    ScriptedClient,
    VirtualClock,
    a_receiver,
    a_shared,
    alert_bytes,
    night,
)

BROKEN = Answer(Result.STATUS_5XX, 500)
OK = Answer(Result.ACCEPTED, 200)


DAY_S = 86_400.0
TRACE = (
    ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("tracestate", b"vendor=x"),
)


class Office:
    """A desk with everything around it, in virtual time."""

    def __init__(
        self, *answers: Answer, routes: Routes | None = None, quiet: QuietHours | None = None, **more: Any
    ) -> None:
        self.clock = VirtualClock()
        self.client = ScriptedClient(list(answers) or [OK])
        self.shared = a_shared(self.client, self.clock, quiet=quiet)
        self.book = more.pop("book", None) or MemoryBook()
        receiver = a_receiver()
        self.desk = Desk(
            routes=routes or Routes(default="care", endpoints={"care": receiver.endpoint}),
            couriers=more.pop("couriers", {"care": Courier(receiver, self.shared)}),
            shared=self.shared,
            book=self.book,
            memory=more.pop("memory", Memory()),
        )

    def take(self, offset: int, timestamp: int = int(NOON * 1000), headers: Trace = (), **alert: Any) -> None:
        """Have the desk take one step."""
        self.desk.take(Record(offset, alert_bytes(**alert), timestamp=timestamp, headers=headers))

    async def finish(self) -> None:
        """Let time pass until nothing is under way."""

        async def idle() -> None:
            while self.desk.under_way:
                await self.clock.sleep(60.0)

        await self.clock.finish(idle())

    @property
    def steps(self) -> list[str]:
        """Return the steps in the order in which they were sent."""
        return [orjson.loads(body)["data"]["step"] for _, _, body in self.client.sent]

    def figure(self, name: str, **labels: str) -> float | None:
        """Return the value of a metric."""
        return self.shared.figures.registry.get_sample_value(name, {"receiver": "care", **labels})


def remembered(office: Office) -> Memory:
    """Return what a restart reads of the endings that an office has written down."""
    memory = Memory()
    for _, settlement in office.book.settled:
        memory.settle(settlement.message_id, datetime.fromisoformat(settlement.at).timestamp())
    return memory


async def test_an_announced_step_is_delivered_and_written_down():
    """The ending names id, alert, step, endpoint, attempts and status, on the alert's own partition."""
    office = Office(BROKEN, OK)
    office.take(7)
    assert office.desk.under_way == 1
    await office.finish()
    ((partition, settlement),) = office.book.settled
    assert (partition, settlement.ending, settlement.endpoint) == (2, "accepted", "care")
    assert (settlement.alert_id, settlement.step, settlement.attempts) == ("a1", "announced", 2)
    assert settlement.status == 200
    assert settlement.message_id == office.client.sent[0][1]["webhook-id"]
    assert office.figure("cx_deliveries_total", result="accepted") == 1
    assert office.figure("cx_delivery_seconds_count") == 1
    assert office.figure("cx_delivery_pending") == 0


async def test_the_night_is_no_time_of_delivery():
    """What quiet hours kept is not late: nobody was to be told before they ended."""
    office = Office(quiet=night())
    office.take(0)
    await office.finish()
    assert office.client.sent
    assert office.figure("cx_delivery_seconds_bucket", le="60.0") == 1


async def test_an_ending_names_no_customer():
    """What is remembered for months says nothing of who it was about."""
    office = Office()
    office.take(0, customer_id="anna-the-customer")
    await office.finish()
    assert "anna" not in repr(office.book.settled)


async def test_other_steps_are_passed_over():
    """A step that nobody announced is state, not a message."""
    office = Office()
    for offset, step in enumerate(("opened", "escalated", "acknowledged", "resolved", "closed")):
        office.take(offset, step=step, announced=False)
    assert (office.desk.under_way, office.desk.position) == (0, 5)
    assert office.client.sent == []


async def test_the_position_is_the_first_step_that_has_not_ended():
    """A restart reads from there: nothing that is under way is lost."""
    office = Office(BROKEN)
    office.take(3)
    office.take(4, alert_id="a2", announced=False)
    assert (office.desk.position, office.desk.next_offset) == (3, 5)
    office.client.answers = [OK]
    await office.finish()
    assert office.desk.position == 5


async def test_a_step_that_was_settled_before_is_not_sent_again():
    """After a restart from an earlier offset, what has ended is known by its id."""
    first = Office()
    first.take(0)
    await first.finish()
    again = Office(memory=remembered(first))
    again.take(0)
    again.take(1, step="resolved")
    await again.finish()
    assert again.steps == ["resolved"]


async def test_what_can_no_longer_come_is_forgotten():
    """Ids are kept for an endpoint's longest age behind what is read: a year fills no memory (G8)."""
    memory = Memory()
    office = Office(memory=memory)
    for day in range(365):
        office.clock.at_s = NOON + day * DAY_S
        office.take(day, int(office.clock.at_s * 1000), alert_id=f"a{day}")
        await office.finish()
    assert len(office.client.sent) == 365
    assert len(memory) == 2


async def test_whoever_reads_from_an_earlier_place_still_knows_what_was_settled_since():
    """Back after a month, or put back by somebody, a delivery sends nothing again and buries nothing."""
    first = Office()
    for day in (0, 1, 2):
        first.clock.at_s = NOON + day * DAY_S
        first.take(day, int(first.clock.at_s * 1000), alert_id=f"a{day}")
        await first.finish()
    again = Office(memory=remembered(first))
    again.clock.at_s = NOON + 30 * DAY_S
    for day in (0, 1, 2):
        again.take(day, int((NOON + day * DAY_S) * 1000), alert_id=f"a{day}")
    await again.finish()
    assert again.client.sent == again.book.settled == again.book.buried == []


async def test_what_is_under_way_is_never_forgotten():
    """A step that waits is known however much time the others have seen; with its end it grows old."""
    memory = Memory()
    memory.begin("waits")
    memory.settle("ended", NOON)
    memory.forget(NOON + 1.0)
    assert "waits" in memory
    memory.settle("waits", NOON + 2.0)
    memory.forget(NOON + 1.0)
    assert ("waits" in memory, "ended" in memory) == (True, False)
    memory.forget(NOON + 3.0)
    assert len(memory) == 0


async def test_a_record_of_the_future_takes_no_memory():
    """A worker whose clock is wrong must not make the delivery forget what it has just sent."""
    office = Office()
    office.take(0)
    await office.finish()
    office.take(1, int((NOON + 900 * DAY_S) * 1000), alert_id="a2")
    office.take(2)
    await office.finish()
    assert len(office.client.sent) == 2


async def test_ids_are_kept_for_an_hour_at_least():
    """Where nobody is told at all, or for a minute only, clocks that differ must not bring a step twice."""
    office = Office(routes=Routes(default="nowhere", endpoints={}), couriers={})
    office.take(0)
    await office.finish()
    office.take(1, int((NOON + 0.9 * KEPT_S) * 1000), alert_id="a2")
    office.clock.at_s = NOON + 0.9 * KEPT_S
    office.take(2)
    await office.finish()
    assert len(office.book.settled) == 2


async def test_the_trace_goes_on_in_every_attempt():
    """The receiver gets the alert's context beside the headers of the webhook, in retries too."""
    office = Office(BROKEN, OK)
    office.take(0, headers=TRACE)
    await office.finish()
    assert len(office.client.sent) == 2
    for _, headers, _ in office.client.sent:
        assert {"webhook-id", "webhook-timestamp", "webhook-signature"} < headers.keys()
        assert (headers["traceparent"], headers["tracestate"]) == (TRACE[0][1].decode(), "vendor=x")


async def test_a_context_that_is_none_is_not_sent():
    """Whatever stands in the headers of a record, no line of it gets into those of HTTP."""
    office = Office()
    office.take(0, headers=(("traceparent", b"00-1\r\nevil: 1"), ("tracestate", b"vendor=x")))
    await office.finish()
    assert office.client.sent[0][1].keys() == {"webhook-id", "webhook-timestamp", "webhook-signature"}


async def test_a_step_that_comes_twice_is_sent_once():
    """A record that is read again while it is under way, or at another offset, is no second message."""
    office = Office()
    office.take(5)
    office.take(5)
    office.take(6)
    office.take(2, alert_id="a2")
    await office.finish()
    assert len(office.client.sent) == 1
    assert office.desk.position == 7


async def test_the_steps_of_an_alert_arrive_in_their_order():
    """A later step waits until the earlier one has ended; other alerts do not wait."""
    office = Office(BROKEN, OK)
    office.take(0)
    await office.clock.settle()
    office.take(1, step="escalated", severity="critical")
    office.take(2, alert_id="a2", step="opened")
    await office.finish()
    assert office.steps == ["announced", "opened", "announced", "escalated"]


@pytest.mark.parametrize("step", ["acknowledged", "snoozed", "resolved", "closed"])
async def test_what_is_over_before_it_was_told_is_not_told(step: str):
    """The alert was resolved in the night: neither the announcement nor its end is sent in the morning."""
    office = Office(quiet=night())
    office.take(0)
    await office.clock.settle()
    office.take(1, step=step)
    await office.finish()
    assert office.client.sent == []
    assert office.book.endings == [("announced", "withdrawn"), (step, "withdrawn")]


async def test_what_goes_on_in_a_graver_alert_is_told():
    """The graver one waits for the next day, because people are told of this one today."""
    office = Office(quiet=night())
    office.take(0, rule="promise_broken")
    await office.clock.settle()
    office.take(1, alert_id="a2", rule="experience_drop", step="opened", announced=False)
    office.take(2, rule="promise_broken", step="resolved", announced=False, resolved_because="folded")
    await office.finish()
    assert office.steps == ["announced"]


async def test_an_end_that_nobody_announced_withdraws_too():
    """Whoever is told of nothing needs no end either."""
    office = Office(quiet=night())
    office.take(0)
    await office.clock.settle()
    office.take(1, step="resolved", announced=False, resolved_because="recovered")
    await office.finish()
    assert office.book.endings == [("announced", "withdrawn")]


async def test_an_erased_alert_is_not_sent():
    """A tombstone of the alert withdraws what waits for it."""
    office = Office(quiet=night())
    office.take(0)
    office.take(1, alert_id="a2")
    await office.clock.settle()
    office.desk.take(Record(2, None, key=b"a1"))
    office.desk.take(Record(3, None, key=None))
    await office.finish()
    assert sorted(ending for _, ending in office.book.endings) == ["accepted", "withdrawn"]


async def test_an_erased_alert_is_not_tried_again():
    """The customer was forgotten: what a failed receiver has not accepted yet, it never gets."""
    office = Office(BROKEN)
    office.take(0)
    await office.clock.settle()
    office.desk.take(Record(1, None, key=b"a1"))
    await office.finish()
    assert len(office.client.sent) == 1
    assert office.book.endings == [("announced", "withdrawn")]
    assert office.book.buried == []


async def test_people_hear_the_end_of_what_they_were_told():
    """A resolved step of an alert that was delivered is delivered."""
    office = Office()
    office.take(0)
    await office.finish()
    office.take(1, step="resolved")
    await office.finish()
    assert office.steps == ["announced", "resolved"]


async def test_a_route_to_nowhere_is_counted_and_not_sent():
    """What goes to nowhere has ended."""
    routes = Routes(default="nowhere", endpoints={})
    office = Office(routes=routes)
    office.take(0)
    await office.finish()
    assert office.book.endings == [("announced", "muted")]
    assert office.client.sent == []


async def test_what_cannot_be_delivered_is_a_dead_letter():
    """The dead letter is written before the ending, with the record and the reason."""
    office = Office(Answer(Result.STATUS_4XX, 410))
    office.take(0)
    await office.finish()
    ((record, settlement, why),) = office.book.buried
    assert (record.offset, settlement.ending, why) == (0, "gone", "the receiver wants no more messages")
    assert office.book.endings == [("announced", "gone")]


async def test_what_is_no_alert_is_a_dead_letter_once():
    """A record that cannot be read does not stop those behind it, and is not buried again after a restart."""
    office = Office()
    office.desk.take(Record(0, b"{"))
    office.take(1)
    await office.finish()
    assert [settlement.ending for _, settlement in office.book.settled] == ["undecodable", "accepted"]
    assert "truncated" in office.book.buried[0][2]
    again = Office(memory=remembered(office))
    again.desk.take(Record(0, b"{"))
    await again.finish()
    assert again.book.settled == again.book.buried == []


async def test_who_leaves_begins_nothing_and_ends_what_is_on_its_way():
    """What is on its way is seen to its end and written down; what waits stays for whoever comes next."""
    office = Office(OK)
    office.client.takes_s = 3.0
    office.take(0)
    office.take(1, alert_id="a2", timezone="Asia/Tokyo")
    await office.clock.settle()
    office.shared.quiet = night()
    office.take(2, alert_id="a3")
    await office.clock.settle()
    await office.clock.finish(office.desk.leave(60.0))
    assert office.book.endings == [("announced", "accepted")] * 2
    assert office.desk.position == 2
    assert len(office.client.sent) == 2


async def test_who_must_leave_does_not_wait_for_ever():
    """An attempt that does not end is given up: whoever comes next makes it again, with the same id."""
    office = Office(OK)
    office.client.takes_s = 1e9
    office.take(0)
    await office.clock.settle()
    await office.desk.leave(0.01)
    assert (office.book.settled, office.desk.position) == ([], 0)


async def test_a_failed_retry_is_left_to_the_next():
    """An attempt that fails while its desk is left is no ending."""
    office = Office(BROKEN)
    office.client.takes_s = 3.0
    office.take(0)
    await office.clock.settle()
    await office.clock.finish(office.desk.leave(60.0))
    assert (office.book.settled, office.desk.position) == ([], 0)


async def test_what_cannot_be_written_down_is_an_error():
    """An ending that is lost would become a second message: the delivery must stop."""

    class Full(MemoryBook):
        async def settle(self, *_: Any) -> None:
            raise OSError

    office = Office(book=Full())
    assert office.desk.failure() is None
    office.take(0)
    await office.clock.settle()
    assert isinstance(office.desk.failure(), OSError)
    assert office.desk.position == 0
    await office.desk.leave(1.0)


async def test_nothing_is_left_running():
    """A desk that has been left holds no task."""
    office = Office(BROKEN)
    before = asyncio.all_tasks()
    office.take(0)
    await office.clock.settle()
    await office.desk.leave(1.0)
    assert asyncio.all_tasks() == before
