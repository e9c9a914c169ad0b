"""What becomes of records does not depend on which of them go through the stages together."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streams.suppression import Suppression
from streams.topics import ACTIONS
from tests.customers import line, seconds
from tests.handling import Rec, Rig, changed, numbered

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


def become(runs: list[list[Rec]], *, one_by_one: bool) -> list[Any]:
    """Return what each run of records, a transaction, becomes; outputs are sorted by topic and key."""
    rig, found = Rig(max_customers=2), []
    rig.processor.suppression = Suppression(SECRET)
    for run in runs:
        work = rig.begin(0, seconds(2))
        for records in [[each] for each in run] if one_by_one else [run]:
            work.apply(ACTIONS.name, records)
        done = rig._commit(0, work.finish())
        outputs = sorted(
            (each.topic, each.key or b"", each.value or b"", repr(each.headers)) for each in done.outputs
        )
        found.append((done.counts, done.rows, outputs, done.newest_event_s, done.tokens))
    return found


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(("anna", "berta", "clara")), st.sampled_from(KINDS)), max_size=8),
        max_size=3,
    )
)
def test_stages_change_nothing(wanted: list[list[tuple[str, str]]]) -> None:
    """Each record finds what those before it left, as if it had come alone."""
    runs = [
        numbered(record(*each, 10 * number + place) for place, each in enumerate(run))
        for number, run in enumerate(wanted)
    ]
    assert become(runs, one_by_one=False) == become(runs, one_by_one=True)
