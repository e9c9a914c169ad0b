"""Forgotten customers: everything goes in one transaction, and nothing comes back."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas.families.customers import CustomerForgotten
from streams.engine.handler import Counts
from streams.errors import CxError, Exit
from streams.processing import build_processor
from streams.replay import replay
from streams.scoring.cases import alert_id
from streams.scoring.rows import unpack
from streams.scoring.rules import Rule
from streams.settings import Settings
from streams.suppression import GUARD, Suppression, build_suppression, is_reserved
from streams.topics import ACTIONS, ALERTS, DEAD_LETTERS, SCORES, WEB
from tests.customers import DEFAULT, line, seconds
from tests.handling import ANNA, Rec, Rig, changed, numbered, written

SECRET = b"a key that nobody can guess"
OTHER = b"another key that nobody can guess"


def rig(secret: bytes = SECRET, **options: Any) -> Rig:
    """Return a partition whose worker holds a key."""
    made = Rig(**options)
    made.processor.suppression = Suppression(secret)
    return made


def request(day: float, alert_ids: tuple[str, ...] = (), *, secret: bytes = SECRET) -> bytes:
    """Return what `cx forget anna` sends."""
    proof = Suppression(secret).proof("anna", f"f{day}", alert_ids)
    return line("customer.forgotten", day, id=f"f{day}", proof=proof, alert_ids=alert_ids)


def test_who_was_forgotten_stays_so_in_any_version():
    """Rows lie in the changelog for ever: derived in another way, they would let everybody come back."""
    kept = Suppression(SECRET)

    assert kept.row_key(ANNA).startswith(GUARD + b":")
    assert (
        kept.row_key(ANNA)[-32:].hex() == "60ad1c9b9b8947d147950071041f41b8465dfd70c41f4bc900d9acefddc5fe5f"
    )
    assert kept.guard.hex() == "74f82f43ad3596baa3bad9f0a8765949b1b27ab56107052a62089e916a0f0c7b"


def test_everything_kept_of_a_customer_goes_at_once():
    """Row, score and every alert are tombstones of the one transaction that remembers the forgetting."""
    partition = rig()
    partition.apply(*(line("complaint.raised", day) for day in (1.0, 1.5, 2.0)))
    state = unpack(partition.rows[ANNA])
    assert state.episodes
    done = partition.apply(request(3.0, ("of an earlier generation",)), topic=ACTIONS.name)
    assert done.rows == {
        ANNA: None,
        GUARD: Suppression(SECRET).guard,
        Suppression(SECRET).row_key(ANNA): b"\x01",
    }
    assert [(each.key, each.value) for each in written(done, SCORES.name)] == [(ANNA, None)]
    gone = {each.key for each in written(done, ALERTS.name) if each.value is None}
    theirs = {
        alert_id("generation", "anna", Rule(rule), number).encode()
        for rule, episode in state.episodes.items()
        for number in range(1, episode.number + 1)
    }
    assert gone == theirs | {b"of an earlier generation"}
    assert done.counts == Counts(accepted=1)


def test_the_id_is_not_kept():
    """What remembers a forgotten customer is an HMAC: neither the id nor the secret is in it."""
    partition = rig()
    partition.apply(line("order.placed", 1.0))
    partition.apply(request(2.0), topic=ACTIONS.name)
    kept = b"".join(key + value for key, value in partition.rows.items())
    assert ANNA not in kept
    assert SECRET not in kept
    assert all(map(is_reserved, partition.rows))
    assert repr(SECRET) not in repr(Suppression(SECRET))


def test_later_events_are_suppressed():
    """Counted, not stored and not dead-lettered, valid or not: also those in the same transaction."""
    partition = rig()
    partition.apply(line("order.placed", 1.0))
    work = partition.begin(0, seconds(2))
    work.apply([(ACTIONS.name, numbered([request(2.0)]))])
    work.apply([(WEB.name, numbered([line("page.viewed", 2.5), Rec(b"{", key=ANNA)]))])
    done = partition._commit(0, work.finish())
    assert done.counts == Counts(accepted=1, suppressed=2)
    assert done.rows[ANNA] is None
    done = partition.apply(line("complaint.raised", 3.0), Rec(b"not json", key=ANNA))
    assert done.counts == Counts(suppressed=2)
    assert not done.rows
    assert not done.outputs


def test_other_customers_go_on():
    """Who is not forgotten is scored as ever, new customers too."""
    partition = rig()
    partition.apply(request(1.0), topic=ACTIONS.name)
    berta = Rec(changed(line("order.placed", 2.0), subject="berta"), key=b"berta")
    assert partition.apply(berta).counts == Counts(accepted=1)
    assert partition.apply(changed_day(berta, 3.0)).counts == Counts(accepted=1)
    assert b"berta" in partition.rows


def changed_day(record: Rec, day: float) -> Rec:
    """Return the record of another day."""
    return Rec(changed(line("order.placed", day), subject="berta"), key=record.key)


def test_forgetting_twice_changes_nothing():
    """The second request of a forgotten customer is taken again: alerts that turned up later go too."""
    partition = rig()
    partition.apply(request(1.0), topic=ACTIONS.name)
    rows = dict(partition.rows)
    done = partition.apply(request(2.0, ("late",)), topic=ACTIONS.name)
    assert done.counts == Counts(accepted=1)
    assert [each.key for each in done.outputs] == [b"late"]
    assert partition.rows == rows
    # A tombstone would bring the id back into the log.
    assert ANNA not in done.rows


@pytest.mark.parametrize(
    ("asked", "topic", "secret"),
    [
        (request(2.0, secret=OTHER), ACTIONS.name, SECRET),
        (request(2.0), ACTIONS.name, b""),
        (request(2.0), WEB.name, SECRET),
        (changed(request(2.0), id="another"), ACTIONS.name, SECRET),
    ],
    ids=["another key", "no key", "another topic", "a proof of another request"],
)
def test_only_who_holds_the_key_has_a_customer_forgotten(asked: bytes, topic: str, secret: bytes):
    """Any other request is a reject, and the customer stays."""
    partition = rig(secret)
    partition.apply(line("order.placed", 1.0))
    done = partition.apply(asked, topic=topic)
    assert done.counts == Counts(rejected=1)
    assert dict(written(done, DEAD_LETTERS.name)[0].headers)["cx-reason"] == b"forget_key"
    assert ANNA in partition.rows
    assert not done.rows, "nor is the row written anew"


def test_a_request_divides_the_events_that_it_stands_among():
    """Of one run of records, those before it go with the customer, those behind it are kept out."""
    partition = rig()
    partition.apply(line("order.placed", 1.0), topic=ACTIONS.name)
    events = line("page.viewed", 2.0), request(3.0), line("page.viewed", 4.0)
    done = partition.apply(*events, topic=ACTIONS.name)
    assert done.counts == Counts(accepted=2, suppressed=1)
    assert done.rows[ANNA] is None
    assert ANNA not in partition.rows


def test_a_request_divides_the_rejects_that_it_stands_among():
    """Of what could not be read, nothing is kept behind it: a dead letter would bring the customer back."""
    partition = rig()
    records = Rec(b"{1", key=ANNA), request(3.0), Rec(b"{2", key=ANNA), Rec(b"{3", key=b"berta")
    done = partition.apply(*records, topic=ACTIONS.name)
    assert done.counts == Counts(accepted=1, suppressed=1, rejected=2)
    assert [each.value for each in written(done, DEAD_LETTERS.name)] == [b"{1", b"{3"]


@pytest.mark.parametrize(("secret", "said"), [(b"", "no key"), (OTHER, "another key than theirs")])
def test_a_worker_that_would_bring_them_back_stops(secret: bytes, said: str):
    """A lost or changed key ends the worker before it scores a forgotten customer."""
    partition = rig()
    partition.apply(request(1.0), topic=ACTIONS.name)
    partition.processor.suppression = Suppression(secret)
    with pytest.raises(CxError, match=said) as caught:
        partition.apply(line("order.placed", 2.0))
    assert caught.value.code is Exit.STOPPED
    assert "CX_FORGET_KEY_FILE" in caught.value.mend


def test_the_sweep_passes_over_the_forgotten():
    """Rows that only say that somebody is forgotten are no customers, and a pass ends with them."""
    partition = rig()
    berta = Rec(changed(line("order.placed", 1.0), subject="berta"), key=b"berta")
    partition.apply(line("order.placed", 1.0), berta)
    partition.apply(request(2.0), topic=ACTIONS.name)
    partition.sweep(3.0)
    census = partition.processor.censuses[0]
    assert (census.customers, census.forgotten) == (1, 2)


def test_a_key_that_can_be_guessed_is_refused(tmp_path: Path):
    """The key's file must hold a key; the command that makes one is named."""
    path = tmp_path / "key"
    path.write_text("short\n")
    with pytest.raises(CxError, match="has 5 characters") as caught:
        build_suppression(Settings(forget_key_file=str(path)))
    assert "openssl rand -hex 32" in caught.value.mend
    path.write_text("f" * 64)
    held = build_processor(Settings(forget_key_file=str(path))).suppression
    assert held == Suppression(b"f" * 64)


def test_a_file_forgets_too():
    """`cx score` keeps nothing of a customer whom the file says to forget, and counts what comes later."""
    berta = changed(line("order.placed", 1.0), subject="berta")
    done = replay([line("order.placed", 1.0), berta, request(2.0), line("page.viewed", 3.0)], DEFAULT)
    assert list(done.customers) == ["berta"]
    assert (done.accepted, done.suppressed) == (3, 1)


def test_the_proof_names_customer_request_and_alerts():
    """It serves for no other customer, request or alert, and a request without one is not read."""
    ours = Suppression(SECRET)
    made = ours.proof("anna", "f1", ("a",))
    assert made not in (ours.proof("anna", "f2", ("a",)), ours.proof("berta", "f1", ("a",)))
    assert made != ours.proof("anna", "f1", ())
    document = orjson.loads(request(1.0))
    assert CustomerForgotten.__struct_config__.tag == document["type"]


def test_reserved_rows_are_told_from_customers() -> None:
    """A customer's key never begins with the byte 0."""
    assert [is_reserved(key) for key in (b"\x00cx", b"c", b"")] == [True, False, False]
