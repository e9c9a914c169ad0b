"""What the doctor says of `cx deliver`; how it looks is tested on a real Kafka (test_delivery_kafka.py)."""

from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError

from streams.observe import doctor_delivery
from streams.observe.doctor_delivery import START, Delivering, delivery, told
from streams.observe.findings import Status
from streams.settings import Settings

NOW_S = 1_000_000.0


@pytest.mark.parametrize(
    ("members", "begun", "waits_s", "status", "message"),
    [
        (0, False, None, Status.OK, f"none runs, and none has settled an alert so far: {START}"),
        (1, False, None, Status.OK, "1 at work: nothing waits"),
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


async def test_without_the_right_the_mend_names_it(monkeypatch: pytest.MonkeyPatch):
    """Who may not look at the group is told by which role they may."""

    async def refuse(_: Any) -> Delivering:
        raise GroupAuthorizationFailedError

    monkeypatch.setattr(doctor_delivery, "_look", refuse)
    found = await delivery(Settings())

    assert (found.status, "cx topics acls --role operator" in found.mend) == (Status.WARNING, True)
