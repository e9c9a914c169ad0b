"""How fetches become chunks."""

from faust.transport.drivers import by_url

from streams.engine.memory import MemoryRecord
from streams.engine.transport import SCHEME, Fetched, Reach, cut, register


def records(*sizes: int) -> list[MemoryRecord]:
    """Return records of these sizes."""
    return [MemoryRecord(b"k", b"x" * (size - 1), (), offset, 0) for offset, size in enumerate(sizes)]


def shapes(cuts: object) -> list[tuple[list[int], int]]:
    """Return offsets and bytes of each run."""
    return [([record.offset for record in run], size) for run, size in cuts]  # type: ignore[attr-defined]


def test_runs_are_bounded_in_records() -> None:
    """No run is longer than told, none is empty."""
    assert shapes(cut(records(5, 5, 5, 5, 5), 2, 1000)) == [([0, 1], 10), ([2, 3], 10), ([4], 5)]


def test_runs_are_bounded_in_bytes() -> None:
    """The record that would break the bound begins the next run."""
    assert shapes(cut(records(60, 30, 30, 10), 100, 100)) == [([0, 1], 90), ([2, 3], 40)]


def test_a_record_beyond_the_bound_runs_alone() -> None:
    """It is neither dropped nor an endless loop."""
    assert shapes(cut(records(5, 500, 5), 100, 100)) == [([0], 5), ([1], 500), ([2], 5)]


def test_nothing_makes_no_run() -> None:
    """An empty fetch has no chunk."""
    assert shapes(cut([], 10, 10)) == []


def test_tombstones_and_keyless_records_have_a_size() -> None:
    """None counts as no bytes."""
    assert shapes(cut([MemoryRecord(None, None, (), 7, 0)], 10, 10)) == [([7], 0)]


def test_a_fetch_knows_how_far_it_reached() -> None:
    """Records by partition, with the reach of every input."""
    fetched = Fetched({("web", 1): records(3)}, {("web", 1): Reach(5, 9, 1.0)})
    assert [tp.topic for tp in fetched] == ["web"]
    assert fetched.reaches["web", 1].end == 9


def test_the_scheme_is_known_to_faust() -> None:
    """`lane://` names our transport."""
    register()
    assert by_url(f"{SCHEME}://localhost:9092").__name__ == "LaneTransport"
