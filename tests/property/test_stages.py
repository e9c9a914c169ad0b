"""What becomes of records does not depend on which of them go through the stages together."""

from dataclasses import replace
from itertools import groupby
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.suppression import Suppression
from streams.topics import ACTIONS, STORE
from tests.customers import line, seconds
from tests.handling import Rec, Rig, changed

SECRET = b"a key that nobody can guess"
KINDS = ("complaint.raised", "order.placed", "page.viewed", "customer.forgotten", "unreadable", "again")


def record(who: str, kind: str, number: int) -> Rec:
    """Return an event of a customer, what is none, or an event that came before."""
    key, day = who.encode(), 1.0 + number / 1000
    if kind == "unreadable":
        return Rec(b"{", key=key)
    if kind == "again":
        return Rec(changed(line("complaint.raised", 1.0), subject=who), key=key)
    proof = Suppression(SECRET).proof(who, f"e{number}", ())
    data: dict[str, Any] = {"proof": proof, "alert_ids": []} if kind == "customer.forgotten" else {}
    return Rec(changed(line(kind, day, id=f"e{number}", **data), subject=who), key=key)


def become(transactions: list[list[tuple[str, Rec]]], *, one_by_one: bool) -> list[Any]:
    """Return what the records of each transaction become; outputs are sorted by topic and key."""
    rig, found = Rig(max_customers=2), []
    rig.processor.suppression = Suppression(SECRET)
    for records in transactions:
        work = rig.begin(0, seconds(2))
        if one_by_one:
            for topic, each in records:
                work.apply([(topic, [each])])
        else:
            runs = groupby(records, key=lambda each: each[0])
            work.apply([(topic, [each for _, each in run]) for topic, run in runs])
        done = rig._commit(0, work.finish())
        outputs = sorted(
            (each.topic, each.key or b"", each.value or b"", repr(each.headers)) for each in done.outputs
        )
        found.append((done.counts, done.rows, outputs, done.newest_event_s, done.tokens))
    return found


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from((ACTIONS.name, ACTIONS.name, STORE.name)),
                st.sampled_from(("anna", "berta", "clara")),
                st.sampled_from(KINDS),
            ),
            max_size=8,
        ),
        max_size=3,
    )
)
def test_stages_change_nothing(wanted: list[list[tuple[str, str, str]]]) -> None:
    """Each record finds what those before it left, as if it had come alone, also those of other inputs."""
    transactions = [
        [
            (topic, replace(record(who, kind, 10 * number + place), offset=10 * number + place))
            for place, (topic, who, kind) in enumerate(each)
        ]
        for number, each in enumerate(wanted)
    ]
    assert become(transactions, one_by_one=False) == become(transactions, one_by_one=True)
