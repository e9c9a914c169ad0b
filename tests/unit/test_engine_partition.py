"""One transaction's life on a state partition: what it refuses, and when memory moves."""

from collections.abc import Iterable, Mapping, Sequence

import pytest

from streams.engine.errors import Inconsistent, Lost, OldSession, Rewound, SequenceHole
from streams.engine.handler import Bucket, Effects, Run, Standing
from streams.engine.marker import MARKER_KEY, decode_marker, new_marker
from streams.engine.memory import MemoryRecord
from streams.engine.partition import Chunk, Draft, Partition

WEB, STORE = "web", "store"


class Echo:
    """Keeps the last value of each key; a record without a value is forgotten, `!` is a tombstone."""

    def __init__(self) -> None:
        self.heard: list[Effects] = []
        self.begun: list[Standing] = []
        self.tokens: dict[str, Bucket | None] = {}

    def begin(self, partition: int, rows: Mapping[bytes, bytes], standing: Standing) -> "EchoWork":
        """Start a unit of work."""
        del partition, rows
        self.begun.append(standing)
        return EchoWork(self.tokens)

    def committed(self, partition: int, effects: Effects) -> None:
        """Remember what was committed."""
        del partition
        self.heard.append(effects)


class EchoWork:
    """One unit of work."""

    def __init__(self, tokens: dict[str, Bucket | None]) -> None:
        self.effects = Effects()
        self.effects.tokens = tokens

    @property
    def urgent(self) -> bool:
        """Nobody waits for an echo."""
        return False

    def apply(self, runs: Sequence[Run]) -> None:
        """Keep the value of each record."""
        for topic, record in ((topic, record) for topic, records in runs for record in records):
            if record.value is None:
                continue
            self.effects.counts.accepted += 1
            self.effects.rows[record.key or b""] = None if record.value == b"!" else record.value
            self.effects.newest_event_s[topic] = record.timestamp / 1000

    def settle(self) -> None:
        """Keep all until the end."""

    def sweep(self, keys: Iterable[bytes], now_s: float, *, begins: bool = False) -> None:
        """Write the time into each row."""
        del begins
        for key in keys:
            self.effects.rows[key] = b"%d" % int(now_s)

    def finish(self) -> Effects:
        """Return what changed."""
        return self.effects


def record(offset: int, value: bytes | None = b"v", key: bytes = b"c1") -> MemoryRecord:
    """Return a record of the offset's own second."""
    return MemoryRecord(key, value, (), offset, offset * 1000)


def chunk(*offsets: int, sequence: int = 0, session: int = 1, topic: str = WEB, after: int = -1) -> Chunk:
    """Return a chunk of records at `offsets`."""
    records = [record(offset) for offset in offsets]
    return Chunk(topic, 0, records, after if after >= 0 else offsets[-1] + 1, sequence, session)


@pytest.fixture
def partition() -> Partition:
    """Return a loaded partition at the start of its inputs."""
    made = Partition(0, Echo(), session=1)
    made.load({}, new_marker({WEB: 0, STORE: 0}))
    return made


def applied(partition: Partition, *chunks: Chunk) -> Draft:
    """Return a draft with `chunks` applied."""
    draft = partition.draft(float("-inf"))
    for each in chunks:
        draft.add(each)
    return draft


def test_memory_moves_at_the_commit_and_not_before(partition: Partition) -> None:
    """A transaction that was not committed leaves rows, marker and sequence numbers as they were."""
    before = partition.marker
    transaction = applied(partition, chunk(0, 1)).seal()
    assert (partition.rows, partition.marker, partition.expected) == ({}, before, {})
    partition.commit(transaction)
    assert partition.rows == {b"c1": b"v"}
    assert partition.marker.inputs[WEB].next_offset == 2
    assert partition.expected == {WEB: 1}


def test_the_handler_hears_of_a_commit(partition: Partition) -> None:
    """`committed` is called with the effects of the transaction."""
    transaction = applied(partition, chunk(0)).seal()
    partition.commit(transaction)
    assert isinstance(partition.handler, Echo)
    assert partition.handler.heard == [transaction.effects]


def test_the_handler_hears_where_the_partition_stands(partition: Partition) -> None:
    """`begin` is told up to when inputs were read, and whether anything is left."""
    partition.commit(applied(partition, chunk(0, 7, after=8)).seal())
    partition.draft(12.5, caught_up=True)
    assert isinstance(partition.handler, Echo)
    generation = partition.marker.generation
    assert partition.handler.begun[-1] == Standing(generation, 12.5, caught_up=True)


def test_tokens_travel_with_the_marker(partition: Partition) -> None:
    """What a transaction takes from a bucket is known to the next one, and to whoever reads the log."""
    assert isinstance(partition.handler, Echo)
    partition.handler.tokens = {"day": Bucket(2.0, 10.0), "hour": Bucket(1.0, 10.0)}
    partition.commit(applied(partition, chunk(0)).seal())
    partition.handler.tokens = {"day": Bucket(1.0, 20.0), "hour": None}
    transaction = applied(partition, chunk(1, sequence=1)).seal()
    assert partition.marker.tokens["day"] == Bucket(2.0, 10.0)
    partition.commit(transaction)
    kept = {"day": Bucket(1.0, 20.0)}
    assert decode_marker(dict(transaction.changelog())[MARKER_KEY] or b"").tokens == kept
    partition.draft(0.0)
    assert partition.handler.begun[-1].tokens == kept


def test_a_tombstone_removes_the_row(partition: Partition) -> None:
    """A row of None is deleted in memory, also one that was never there."""
    partition.load({b"c1": b"v"}, partition.marker)
    draft = partition.draft(0.0)
    draft.add(Chunk(WEB, 0, [record(0, b"!"), record(1, b"!", b"c2")], 2, 0, 1))
    partition.commit(draft.seal())
    assert partition.rows == {}


def test_chunks_of_several_inputs_share_a_transaction(partition: Partition) -> None:
    """Each input keeps its own position and its own numbering."""
    transaction = applied(partition, chunk(0, 1), chunk(0, topic=STORE), chunk(2, sequence=1)).seal()
    inputs = transaction.marker.inputs
    assert (inputs[WEB].next_offset, inputs[STORE].next_offset) == (3, 1)
    assert transaction.expected == {WEB: 2, STORE: 1}
    assert transaction.records == 4


def test_a_chunk_of_before_the_rebalance_is_refused(partition: Partition) -> None:
    """Its records are fetched again from the marker."""
    with pytest.raises(OldSession, match="session 0"):
        applied(partition, chunk(0, session=0))


def test_a_hole_in_the_numbering_is_refused(partition: Partition) -> None:
    """A chunk dropped on the way is never stepped over."""
    with pytest.raises(SequenceHole, match="chunk 1 where 0 was due"):
        applied(partition, chunk(5, sequence=1))


def test_a_chunk_twice_is_refused(partition: Partition) -> None:
    """The same chunk again is not the next one."""
    with pytest.raises(SequenceHole):
        applied(partition, chunk(0), chunk(0))


def test_a_chunk_below_the_marker_is_refused(partition: Partition) -> None:
    """A position that the client moved back by itself doubles nothing."""
    partition.commit(applied(partition, chunk(0, 1, 2)).seal())
    with pytest.raises(Rewound, match="2 offsets below"):
        applied(partition, chunk(1, sequence=1))


def test_the_parts_of_a_chunk_go_into_transactions_of_their_own(partition: Partition) -> None:
    """The marker stands within it; both parts have its number, and each is taken once."""
    records = [MemoryRecord(b"k%d" % offset, b"v", (), offset, 0) for offset in (0, 1, 5)]
    first, rest = Chunk(WEB, 0, records, 8, 0, 1, 10).split(2)
    assert (first.size, rest.size) == (6, 4)
    positions = []
    for part in (first, rest):
        draft = partition.draft(0.0)
        draft.add(part)
        with pytest.raises((Rewound, SequenceHole)):
            draft.add(part)
        transaction = draft.seal()
        partition.commit(transaction)
        position = partition.marker.inputs[WEB].next_offset
        positions.append((position, partition.expected[WEB], partition.marker.counts.skipped))
    assert positions == [(5, 0, 3), (8, 1, 5)]
    assert partition.rows.keys() == {b"k0", b"k1", b"k5"}


def test_the_rest_of_a_chunk_is_not_stepped_over(partition: Partition) -> None:
    """The next chunk is refused while it is missing."""
    records = [MemoryRecord(b"k", b"v", (), offset, 0) for offset in range(3)]
    first, _ = Chunk(WEB, 0, records[:2], 2, 0, 1).split(1)
    draft = partition.draft(0.0)
    draft.add(first)
    with pytest.raises(SequenceHole, match="chunk 1 where 0 was due"):
        draft.add(Chunk(WEB, 0, records[2:], 3, 1, 1))


def test_offsets_without_a_record_are_counted_as_skipped(partition: Partition) -> None:
    """Before, between and behind records: commit markers and compaction leave offsets that nobody has."""
    transaction = applied(partition, chunk(2, 5, after=9)).seal()
    assert transaction.marker.counts.skipped == 7
    assert transaction.marker.inputs[WEB].next_offset == 9


def test_a_record_without_an_outcome_is_never_written(partition: Partition) -> None:
    """The counts must add up to the offsets moved (G4)."""
    draft = partition.draft(0.0)
    draft.add(Chunk(WEB, 0, [record(0, None)], 1, 0, 1))
    with pytest.raises(Inconsistent, match="1 offsets moved, but 0 outcomes"):
        draft.seal()


def test_a_sweep_moves_no_offset(partition: Partition) -> None:
    """It writes rows and the marker's number, like any batch."""
    draft = partition.draft(77.0)
    draft.sweep([b"c1"], 77.0)
    transaction = draft.seal()
    assert transaction.effects.rows == {b"c1": b"77"}
    assert transaction.marker.transactions == 1
    assert transaction.marker.inputs == partition.marker.inputs


def test_the_newest_event_time_never_goes_back(partition: Partition) -> None:
    """A batch of older events leaves it; an input without events keeps its own."""
    partition.commit(applied(partition, chunk(0, 9)).seal())
    late = Chunk(WEB, 0, [MemoryRecord(b"c1", b"v", (), 10, 3_000)], 11, 1, 1)
    partition.commit(applied(partition, late).seal())
    assert partition.marker.inputs[WEB].newest_event_s == 9.0
    assert partition.marker.inputs[STORE].newest_event_s == float("-inf")
    assert partition.marker.newest_event_s == 9.0


def test_the_changelog_carries_the_marker_last(partition: Partition) -> None:
    """A reader that has the marker has the rows."""
    transaction = applied(partition, chunk(0)).seal()
    *rows, (key, value) = transaction.changelog()
    assert rows == [(b"c1", b"v")]
    assert key == MARKER_KEY
    assert decode_marker(value or b"") == transaction.marker


def test_a_partition_that_is_not_loaded_cannot_be_worked_on() -> None:
    """There is no marker to start from."""
    with pytest.raises(Lost, match="not loaded"):
        Partition(3, Echo(), session=0).draft(0.0)


def test_a_dirty_partition_is_not_loaded(partition: Partition) -> None:
    """After a failed write only the log knows."""
    assert partition.loaded
    partition.dirty = True
    assert not partition.loaded
    partition.load({}, partition.marker)
    assert partition.loaded


def test_a_new_session_numbers_chunks_from_0(partition: Partition) -> None:
    """Memory kept over a rebalance takes the first chunk of the new session."""
    partition.commit(applied(partition, chunk(0)).seal())
    partition.begin_session(2)
    assert applied(partition, chunk(1, session=2)).records == 1
