"""What the doctor says of `cx deliver`; how it looks is tested on a real Kafka (test_delivery_kafka.py)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from streams.errors import CxError
from streams.observe import doctor_delivery
from streams.observe.doctor_delivery import MEND, START, Delivering, delivery, told
from streams.observe.findings import Status
from streams.settings import Settings

NOW_S = 1_000_000.0


@pytest.mark.parametrize(
    ("members", "begun", "waits_s", "status", "message"),
    [
        (0, False, None, Status.OK, f"none runs ({START}), and none has settled an alert so far"),
        (1, False, None, Status.OK, "1 at work, and none has settled an alert so far"),
        (2, True, 30, Status.OK, "2 at work: the oldest record waits for 30 s"),
        (2, True, -5, Status.OK, "2 at work: the oldest record waits for 0 s"),
        (1, True, 900, Status.WARNING, "1 at work: the oldest record waits for 15 min"),
        (0, True, None, Status.OK, "none runs: nothing waits"),
        (0, True, 10_800, Status.WARNING, "none runs: the oldest record waits for 3 h"),
        (0, True, 10 * 86_400, Status.WARNING, "none runs: the oldest record waits for 10 d"),
    ],
)
def test_what_waits_is_told(members: int, begun: bool, waits_s: float | None, status: Status, message: str):  # noqa: FBT001  # a column of the table
    """That nobody delivers is no fault, but that alerts wait for it is; one at work may take two minutes."""
    found = told(Delivering(members, begun, None if waits_s is None else NOW_S - waits_s), NOW_S)

    assert (found.status, found.message) == (status, message)
    assert bool(found.mend) is (status is Status.WARNING)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (CxError("the group could not be looked at", mend=MEND), "the group could not be looked at"),
        (TopicAuthorizationFailedError(), "the alerts cannot be read"),
    ],
)
async def test_without_the_right_the_mend_names_it(
    problem: Exception, message: str, monkeypatch: pytest.MonkeyPatch
):
    """Who may not look is told by which role they may; the doctor goes on."""

    async def refuse(_: Any) -> Delivering:
        raise problem

    monkeypatch.setattr(doctor_delivery, "_look", refuse)
    found = await delivery(Settings())

    assert (found.status, found.mend) == (Status.WARNING, MEND)
    assert message in found.message


async def test_a_group_that_may_not_be_seen_is_an_error(monkeypatch: pytest.MonkeyPatch):
    """That there is no delivery is not said of one that we may not see."""

    @asynccontextmanager
    async def admin(_: Any) -> AsyncIterator[None]:
        yield

    async def unseen(*_: Any) -> None:
        return None

    monkeypatch.setattr(doctor_delivery, "admin_client", admin)
    monkeypatch.setattr(doctor_delivery, "group_of", unseen)
    found = await delivery(Settings())
    assert (found.message, found.mend) == ("the group cx-signals-delivery could not be looked at", MEND)


async def test_alerts_that_cannot_be_read_in_time_are_not_said_to_be_none(monkeypatch: pytest.MonkeyPatch):
    """Where a broker is slow, nobody knows since when something waits."""
    alerts = TopicPartition("cx.alerts", 0)

    class Slow:
        def assign(self, _: Any) -> None: ...

        def seek(self, *_: Any) -> None: ...

        async def getmany(self, *_: Any, **__: Any) -> dict[TopicPartition, Any]:
            return {}

        async def position(self, _: Any) -> int:
            return 3

    async def bounds(*_: Any) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        return {alerts: 0}, {alerts: 5}

    monkeypatch.setattr(doctor_delivery, "bounds", bounds)
    monkeypatch.setattr(doctor_delivery, "LOOK_S", 0.01)
    with pytest.raises(CxError, match="nothing was read of the alerts"):
        await doctor_delivery._oldest_s(Slow(), {alerts: 3})
