"""One message on its way: in virtual time, to a receiver that answers as it is told."""

import asyncio
import random
from datetime import time
from zoneinfo import ZoneInfo

import pytest

from schemas.deliveries import Pause, Pauses
from streams.delivery.breaker import FIRST_REST_S, LONGEST_REST_S, Breaker
from streams.delivery.client import Answer, Result
from streams.delivery.courier import LONGEST_BACKOFF_S, STALL_S, Courier, Message, Outcome, WallClock
from streams.delivery.quiet import QuietHours
from tests.delivering import NOON, ScriptedClient, VirtualClock, a_message, a_receiver, a_shared, night

OK = Answer(Result.ACCEPTED, 200)
BROKEN = Answer(Result.STATUS_5XX, 500)
DAY_S = 86_400.0


class Way:
    """A courier with its clock and its receiver's answers."""

    def __init__(self, *answers: Answer, takes_s: float = 0.0, **more: object) -> None:
        self.clock = VirtualClock()
        self.client = ScriptedClient(list(answers) or [OK], takes_s=takes_s)
        self.shared = a_shared(self.client, self.clock, spread=random.Random(5), **more)
        self.courier = Courier(a_receiver(), self.shared)

    @property
    def times(self) -> list[float]:
        """Return when attempts were made, seconds after the alert."""
        return [at_s - NOON for at_s, _, _ in self.client.sent]

    async def outcome(self, **message: object) -> Outcome | None:
        """Deliver one message."""
        return await self.clock.finish(self.deliver(a_message(**message)))

    async def deliver(self, message: Message) -> Outcome | None:
        """Deliver a message and return how it ended, None where it was recalled."""
        ends: list[Outcome] = []

        async def end(outcome: Outcome) -> None:
            ends.append(outcome)

        await self.courier.deliver(message, end)
        return ends[0] if ends else None

    def attempts(self, result: str) -> float:
        """Return what the metric counts."""
        found = self.shared.figures.registry.get_sample_value(
            "cx_delivery_attempts_total", {"receiver": "care", "result": result}
        )
        return found or 0.0


async def test_an_accepted_message_is_sent_once():
    """One attempt at once, signed, with the id of the step and the time of the attempt."""
    way = Way()
    assert await way.outcome() == Outcome("accepted", 200)
    ((at_s, headers, _),) = way.client.sent
    assert at_s == NOON
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_1", str(int(NOON)))
    assert headers["webhook-signature"].startswith("v1,")
    assert way.attempts("accepted") == 1


async def test_a_failure_is_tried_again_after_growing_waits():
    """1, 2, 4, ... seconds, each shortened by chance by up to a half; each attempt has its own timestamp."""
    way = Way(*[BROKEN] * 4, OK)
    assert await way.outcome() == Outcome("accepted", 200)
    waits = [after - before for before, after in zip(way.times, way.times[1:], strict=False)]
    for number, wait_s in enumerate(waits):
        assert 0.5 * 2**number <= wait_s <= 2**number
    assert all(headers["webhook-timestamp"] == str(int(at_s)) for at_s, headers, _ in way.client.sent)
    assert len({headers["webhook-id"] for _, headers, _ in way.client.sent}) == 1
    assert (way.attempts("status_5xx"), way.attempts("accepted")) == (4, 1)


async def test_a_receiver_that_never_answers_is_given_up_after_a_day():
    """Attempts end with the endpoint's max_age_s; the last ones are at most 5 minutes of rest apart."""
    way = Way(Answer(Result.TIMEOUT, why="no answer within 10 s"))
    assert await way.outcome() == Outcome("expired", None, "no answer within 10 s")
    assert way.clock.at_s == pytest.approx(NOON + DAY_S, abs=0.1)
    assert 250 < len(way.times) < 700
    waits = [after - before for before, after in zip(way.times, way.times[1:], strict=False)]
    assert max(waits) <= LONGEST_BACKOFF_S + LONGEST_REST_S


async def test_what_has_expired_says_what_was_answered_last():
    """The dead letter tells a receiver that failed all day from one that was away."""
    way = Way(BROKEN)
    found = await way.outcome()
    assert found is not None
    assert (found.ending, found.status) == ("expired", 500)
    assert found.why == f"the last of {len(way.times)} attempts was answered 500"


async def test_a_step_that_is_too_old_is_not_sent():
    """Nobody is told today what was to be done yesterday."""
    way = Way()
    found = await way.outcome(published_s=NOON - DAY_S)
    assert found == Outcome("expired", None, "it was too old at its first attempt")
    assert way.client.sent == []


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_a_message_that_is_refused_is_given_up_soon(status: int):
    """Five refusals; they say nothing of the next message, so the breaker stays closed."""
    way = Way(Answer(Result.STATUS_4XX, status))
    assert await way.outcome() == Outcome("refused", status, "refused 5 times")
    assert len(way.times) == 5
    assert not way.courier.breaker.open


@pytest.mark.parametrize("status", [302, 401, 404, 408, 500])
async def test_other_answers_are_tried_again(status: int):
    """A redirect, a wrong password, a missing page: somebody mends that, and the message arrives."""
    result = Result.REDIRECT if status < 400 else Result.STATUS_4XX
    way = Way(Answer(result, status), OK)
    assert await way.outcome() == Outcome("accepted", 200)
    assert len(way.times) == 2


async def test_a_receiver_that_wants_no_more_gets_no_more():
    """410 Gone ends the delivery at once."""
    found = await Way(Answer(Result.STATUS_4XX, 410)).outcome()
    assert found == Outcome("gone", 410, "the receiver wants no more messages")


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_holds_all_messages_of_the_receiver(status: int):
    """Nothing is sent to the receiver before the time it asked for, by other messages either."""
    result = Result.STATUS_4XX if status == 429 else Result.STATUS_5XX
    way = Way(Answer(result, status, retry_after_s=120.0), OK)
    first = asyncio.ensure_future(way.deliver(a_message()))
    await way.clock.settle()
    second = asyncio.ensure_future(way.deliver(a_message()))
    assert await way.clock.finish(asyncio.gather(first, second)) == [Outcome("accepted", 200)] * 2
    assert way.times[0] == 0
    assert len(way.times) == 3
    assert min(way.times[1:]) >= 120


async def test_a_throttling_receiver_is_no_failing_one():
    """429 does not open the breaker: the receiver works."""
    way = Way(*[Answer(Result.STATUS_4XX, 429)] * 10, OK)
    assert await way.outcome() == Outcome("accepted", 200)
    assert way.shared.figures.registry.get_sample_value("cx_delivery_breaker_open", {"receiver": "care"}) == 0


async def test_a_failing_receiver_is_left_alone_and_asked_with_one_message():
    """After five failures in a row nothing is sent for 30 s; then one message, then the others."""
    way = Way(*[BROKEN] * 5, OK)
    messages = [asyncio.ensure_future(way.deliver(a_message())) for _ in range(20)]
    await way.clock.settle()
    await way.clock.until(NOON + FIRST_REST_S - 1)
    assert len(way.times) == 5
    assert way.courier.breaker.open
    assert way.shared.figures.registry.get_sample_value("cx_delivery_breaker_open", {"receiver": "care"}) == 1
    way.client.takes_s = 3.0
    way.client.most_at_once = 0
    await way.clock.until(NOON + FIRST_REST_S + 2)
    assert way.client.most_at_once == 1
    assert await way.clock.finish(asyncio.gather(*messages)) == [Outcome("accepted", 200)] * 20
    assert not way.courier.breaker.open
    assert way.client.most_at_once == 4
    assert way.shared.figures.registry.get_sample_value("cx_delivery_breaker_open", {"receiver": "care"}) == 0


def test_rests_grow_while_probes_fail():
    """30, 60, 120, 240, then 300 seconds; a success begins anew."""
    breaker, now_s, rests = Breaker(), 0.0, []
    for _ in range(5):
        breaker.began()
        breaker.failed(now_s)
    for _ in range(6):
        rests.append(breaker.wait_s(now_s))
        now_s += rests[-1]
        assert breaker.wait_s(now_s) == 0
        breaker.began()
        assert breaker.wait_s(now_s) > 0
        breaker.failed(now_s)
    assert rests == [30, 60, 120, 240, 300, 300]
    breaker.succeeded()
    for _ in range(5):
        breaker.failed(now_s)
    assert breaker.wait_s(now_s) == 30


def test_a_probe_that_was_given_up_lets_another_one_through():
    """A probe that was cancelled says nothing, and must not keep the breaker open for ever."""
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(0.0)
    breaker.began()
    assert breaker.wait_s(30.0) > 0
    breaker.left()
    assert breaker.wait_s(30.0) == 0


async def test_a_message_keeps_its_place_until_its_end_is_written_down():
    """What a crash could send twice is bounded by most_at_once, however slowly ends are written down."""
    way = Way()
    written = asyncio.Event()

    async def end(_: Outcome) -> None:
        await written.wait()

    tasks = [asyncio.ensure_future(way.courier.deliver(a_message(), end)) for _ in range(10)]
    await way.clock.settle()
    assert len(way.times) == 4
    written.set()
    await way.clock.finish(asyncio.gather(*tasks))
    assert len(way.times) == 10


async def test_no_more_are_sent_at_once_than_the_endpoint_takes():
    """Most_at_once bounds the messages on their way."""
    way = Way(takes_s=5.0)
    await way.clock.finish(asyncio.gather(*(way.deliver(a_message()) for _ in range(10))))
    assert way.client.most_at_once == 4
    assert way.times == [0] * 4 + [5] * 4 + [10] * 2


async def test_a_message_waits_for_the_end_of_quiet_hours():
    """It is sent when the quiet ends where the customer lives."""
    way = Way(quiet=night())
    assert await way.outcome() == Outcome("accepted", 200)
    assert way.times == [2 * 3600]
    elsewhere = Way(quiet=night())
    await elsewhere.outcome(timezone="Asia/Tokyo")
    assert elsewhere.times == [0]


async def test_what_passes_does_not_wait():
    """A critical alert is told at once where the file says so."""
    way = Way(quiet=night("critical"))
    await way.outcome(severity="critical")
    assert way.times == [0]


async def test_a_retry_respects_quiet_hours_too():
    """A message that failed before the night is tried again after it."""
    way = Way(BROKEN, OK, quiet=QuietHours(time(12, 0, 0, 500), time(14), ZoneInfo("UTC")))
    await way.outcome()
    assert way.times == [0, 2 * 3600]


def paused(from_s: float, until_s: float | None = None) -> Pauses:
    """Return one pause."""
    return Pauses(pauses=[Pause(from_s=from_s, until_s=until_s)])


async def test_nothing_is_sent_in_a_pause():
    """A step that meets a pause is dropped, not kept."""
    way = Way(pauses=paused(NOON - 100))
    assert await way.outcome() == Outcome("paused", None)
    assert way.client.sent == []


async def test_nothing_is_flushed_after_a_pause():
    """A step from before or within a pause that has ended is dropped; a later one is sent."""
    for published_s, ending in ((NOON - 300, "paused"), (NOON - 100, "paused"), (NOON - 10, "accepted")):
        way = Way(pauses=paused(NOON - 200, NOON - 50))
        found = await way.outcome(published_s=published_s)
        assert found is not None
        assert found.ending == ending


async def test_a_pause_stops_retries():
    """What was tried before the pause is not tried in it."""
    way = Way(BROKEN)
    task = asyncio.ensure_future(way.deliver(a_message()))
    await way.clock.until(NOON + 5)
    sent = len(way.times)
    way.shared.pauses = paused(NOON + 5)
    assert await way.clock.finish(task) == Outcome("paused", 500)
    assert len(way.times) == sent


async def test_what_was_withdrawn_before_the_first_attempt_is_not_sent():
    """The alert was resolved in the night: nobody is called in the morning."""
    way = Way(quiet=night())
    message = a_message()
    task = asyncio.ensure_future(way.deliver(message))
    await way.clock.settle()
    message.withdrawn = True
    assert await way.clock.finish(task) == Outcome("withdrawn", None)
    assert way.client.sent == []


async def test_what_was_attempted_is_seen_through():
    """The receiver may have it already: it must hear the rest in order."""
    way = Way(BROKEN, OK)
    message = a_message()
    task = asyncio.ensure_future(way.deliver(message))
    await way.clock.settle()
    message.withdrawn = True
    assert await way.clock.finish(task) == Outcome("accepted", 200)


async def test_a_recalled_message_has_not_ended():
    """The partition goes: whoever gets it next goes on with the message."""
    way = Way(BROKEN)
    message = a_message()
    task = asyncio.ensure_future(way.deliver(message))
    await way.clock.settle()
    message.recalled = True
    assert await way.clock.finish(task) is None
    assert len(way.times) == 1


async def test_after_a_standstill_the_broker_is_heard_first():
    """A process that stood still may have been replaced: it waits before it sends."""
    way = Way()
    way.shared.alive = lambda: way.clock.at_s >= NOON + 1
    await way.outcome()
    assert way.times == [STALL_S]


async def test_a_client_that_fails_without_an_answer_is_an_error():
    """A bug ends the delivery; it does not become a lost message or a breaker that stays open."""

    class Failing(ScriptedClient):
        async def post(self, *_: object) -> Answer:
            raise ZeroDivisionError

    way = Way()
    way.shared.client = Failing()
    with pytest.raises(ZeroDivisionError):
        await way.outcome()
    assert way.courier.breaker.wait_s(NOON) == 0


async def test_the_wall_clock_is_everybodys():
    """Outside of tests, time is that of the machine."""
    clock = WallClock()
    before = clock.now_s()
    await clock.sleep(0.001)
    assert clock.now_s() > before > NOON / 2
