"""Of several complaints the alert ends with the last that is settled, and with no other."""

import pytest

from schemas.envelope import Touchpoint
from tests.customers import event, live, scorer, seconds

VISITS = [event("store.visited", 4 * n) for n in range(-20, 1)]
BY_COMPLAINTS = scorer(
    bands={"critical_below": 1, "at_risk_below": 90, "steady_below": 95},
    rules={"drop_open": -60, "drop_close": -50},
)
"""A policy under which neither the trend nor the score holds an alert open."""


def complaint(day: float, **data: object) -> Touchpoint:
    """Complain; without an id nobody can say that it was settled."""
    return event("complaint.raised", day, **data)


def solved(day: float, issue: str = "i") -> Touchpoint:
    """Call about an issue and have it solved."""
    return event("call.ended", day, id=f"{issue}@{day}", direction="inbound", issue_id=issue, resolved="yes")


FIRST = complaint(1, complaint_id="a", issue_id="i")
SECOND = complaint(3, complaint_id="b", issue_id="j")
POST = {"sentiment": -0.9, "reach": 10}

ENDS: dict[str, tuple[list[Touchpoint], float | None]] = {
    "one": ([FIRST, solved(5)], 5),
    "two, of which one stands": ([FIRST, SECOND, solved(5)], None),
    "two": ([FIRST, SECOND, solved(5), solved(7, "j")], 7),
    "two about one issue": ([FIRST, complaint(3, complaint_id="b", issue_id="i"), solved(5)], 5),
    "an issue that was complained about twice": (
        [*(complaint(d, issue_id="i") for d in (1, 3)), solved(5)],
        5,
    ),
    "an issue that was complained about again once it was solved": (
        [complaint(1, issue_id="i"), solved(2), complaint(3, issue_id="i")],
        None,
    ),
    "and then it was solved again": (
        [complaint(1, issue_id="i"), solved(2), complaint(3, issue_id="i"), solved(5)],
        5,
    ),
    "two in public": (
        [
            complaint(1, complaint_id="a", issue_id="i", public=True),
            complaint(3, complaint_id="b", issue_id="j", public=True),
            event("social.mentioned", 3.1, direction="outbound", post_id="a"),
            event("social.mentioned", 3.2, direction="outbound", post_id="b"),
            solved(5),
            solved(7, "j"),
        ],
        7,
    ),
    "one without an id beside it": ([FIRST, complaint(3), solved(5)], None),
    "a post without an id beside it": ([FIRST, event("social.mentioned", 3, **POST), solved(5)], 5),
    "one without an id, and a post that was settled": (
        [complaint(1), event("social.mentioned", 3, post_id="p", issue_id="i", **POST), solved(5)],
        None,
    ),
    "one without an id long ago": ([complaint(-70), FIRST, solved(5)], 5),
    "one that nobody settled long ago": ([complaint(-70, complaint_id="z"), FIRST, solved(5)], 5),
    "one that nobody settled, until that is old": ([complaint(-50, complaint_id="z"), FIRST, solved(5)], 10),
    "twice, and one that nobody settled long ago": (
        [complaint(-70, complaint_id="z"), *(complaint(d, issue_id="i") for d in (1, 3)), solved(5)],
        5,
    ),
}


@pytest.mark.parametrize(("life", "ends"), ENDS.values(), ids=list(ENDS))
def test_the_alert_of_complaints_ends_with_the_last_that_is_settled(
    life: list[Touchpoint], ends: float | None
):
    """What stands is held against what was declared, settled, and never had an id."""
    _, steps = live([*VISITS, *life], BY_COMPLAINTS, until=20)
    last = steps[-1]

    assert (last.glance.at_s if last.step == "resolved" else None) == (ends and seconds(ends))
