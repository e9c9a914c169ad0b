"""The parts of the benchmark that only compute: customers, percentiles, the report, the verdict of a soak."""

import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest

from schemas.codec import decode
from schemas.envelope import Touchpoint
from streams.settings import Settings
from tests.bench import report, soak
from tests.bench.beside import beside
from tests.bench.measure import cores, cpu_s, percentile, pinned, rss_bytes
from tests.bench.processes import READY, RECORDS, Run
from tests.bench.stock import Baseline
from tests.bench.workload import MIX, Workload, customer_id, probe, weights

NOW_S = 1_780_000_000.0
LANE: dict[str, Any] = {
    "worker": {"cpu_s_per_million": 8.0, "events_per_s": 110_000, "core_use": 0.9},
    "stock": {"cpu_s_per_million": 200.0},
    "floor": {"cpu_s_per_million": 4.0},
    "load_average": [0.5],
}
RECOVERY = {
    "rows": 1000,
    "rows_per_s": 250_000,
    "mb_per_s": 70.0,
    "row_bytes": 280,
    "ready_beyond_recovery_s": 0.8,
    "bytes_per_customer": 500,
    "base_mib": 70,
}
LATENCY = {"rate": 1000, "p50": 12.0, "p99": 40.0, "core_share": 0.1}
MACHINE: dict[str, Any] = dict.fromkeys(
    (
        *("processor", "cores", "memory_gib", "system", "python", "core", "kafka", "java"),
        *("faust-streaming", "aiokafka", "msgspec", "orjson", "uvloop"),
    ),
    "x",
)
NAMED = {
    "cpu_s_per_million",
    "ratio_stock",
    "ratio_floor",
    "recovery_rows_per_s",
    "latency_ms",
    "bytes_per_customer",
}


def test_weights_fall_with_the_rank():
    """Customer number `rank` comes as 1 / (rank + 50) ** 1.1, in a sample of every so many-th too."""
    assert weights(3) == pytest.approx([50**-1.1, 51**-1.1, 52**-1.1])
    assert weights(2, step=50) == pytest.approx([50**-1.1, 100**-1.1])


def test_the_mix_is_whole():
    """The shares of the mix add up to a hundred."""
    assert sum(share for share, *_ in MIX) == 100


def test_every_touchpoint_is_accepted_and_about_330_bytes():
    """What is sent decodes, carries its customer as key, and has the size that the page states."""
    feed = list(Workload(1_000).backlog(2_000, NOW_S))
    events = [decode(each.value, each.key, ()) for each in feed]

    assert all(isinstance(event, Touchpoint) for event in events)
    assert {event.subject for event in events if isinstance(event, Touchpoint)} <= set(
        map(customer_id, range(1_000))
    )
    assert 315 <= sum(len(each.value) for each in feed) / len(feed) <= 345
    assert len({each.topic for each in feed}) == 3


def test_a_seed_fixes_the_stream():
    """The same seed gives the same bytes, another one does not."""
    first, second, other = (list(Workload(50, seed=seed).backlog(20, NOW_S)) for seed in (1, 1, 2))

    assert first == second
    assert first != other


def test_a_backlog_ends_now():
    """Events come in order of time, the last one just before the end."""
    times = [each.time or 0.0 for each in Workload(50).backlog(100, NOW_S)]

    assert times == sorted(times)
    assert NOW_S - 86_400 <= times[-1] < NOW_S


def test_a_probe_is_a_valid_event_of_its_own_customer():
    """Each probe has a customer of its own, so that its alert can be told from all others."""
    event = decode(probe(7, NOW_S).value, b"probe-7", ())

    assert isinstance(event, Touchpoint)
    assert event.subject == "probe-7"


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2.0), (0.99, 4.0), (0.25, 1.0), (1.0, 4.0)])
def test_percentile_is_a_value_that_was_seen(share: float, expected: float):
    """The percentile is the smallest value that so large a share does not exceed."""
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == expected


def test_percentile_of_nothing_is_refused():
    """Without a value there is no percentile, not a zero that looks good."""
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_a_run_is_read_in_three_ways():
    """Cost per million, events a second and use of the core follow from one measurement."""
    run = Run(records=200_000, cpu_s=1.6, wall_s=2.0, rss_bytes=1)

    assert (run.cpu_s_per_million, run.per_s, run.core_use) == (8.0, 100_000, 0.8)


def test_a_process_is_read():
    """CPU time and memory of this very process are above zero."""
    assert cpu_s(os.getpid()) > 0
    assert rss_bytes(os.getpid()) > 1 << 20


def test_pinning_ends_with_its_block():
    """Whatever is pinned for a while gets all its cores back."""
    before = cores()
    with pinned(before[:1]):
        assert cores() == before[:1]
    assert cores() == before


def test_stock_scores_what_its_table_holds():
    """Compiled, the handler takes no mapping but a dict: the one in which the table keeps what it has."""
    baseline = Baseline(Settings(), 1)
    assert type(baseline.rows()) is dict
    baseline.table.data[b"anna"] = b"row"
    assert baseline.rows() == {b"anna": b"row"}


def test_the_worker_is_understood():
    """The ready line and the counters of a worker are read as it writes them."""
    ready = READY.search(
        "ready: partitions 0, 1; 1,234 customers recovered in 0.55 s; metrics http://h:1/metrics"
    )
    page = (
        'cx_records_total{outcome="accepted",partition="0"} 12.0\n'
        'cx_records_total{outcome="rejected",partition="1"} 3.0\ncx_scores_total 9.0\n'
    )

    assert ready is not None
    assert ready.groups() == ("1,234", "0.55", "http://h:1")
    assert RECORDS.findall(page) == ["12.0", "3.0"]


def test_the_report_has_the_figures_by_name():
    """The JSON carries each agreed figure, and the ratios are of the same run."""
    found = report.figures({"lane": LANE, "recovery": RECOVERY, "latency": LATENCY}, MACHINE, "make bench")

    assert orjson.loads(orjson.dumps(found)).keys() >= NAMED
    assert (found["ratio_stock"], found["ratio_floor"]) == (25.0, 2.0)
    assert found["latency_ms"] == {"p50": 12.0, "p99": 40.0}


def test_what_was_not_measured_is_null():
    """A figure whose part did not run is null, never a zero."""
    found = report.figures({}, MACHINE, "make bench")

    assert all(found[name] is None for name in NAMED)
    assert report.rows(found) == []


def test_two_workers_are_said_not_to_be_measured():
    """Where there are too few cores the table says so."""
    pair = {"measured": False, "why": "needs 3 cores or more"}
    found = report.figures({"two_workers": pair}, MACHINE, "make bench")

    assert "| two workers against one | not measured: needs 3 cores or more |" in report.table(found)


def test_the_page_is_written_between_its_marks(tmp_path: Path):
    """Only what lies between the marks is replaced; the plot is well-formed."""
    page = tmp_path / "benchmarks.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_docs(report.figures({"lane": LANE}, MACHINE, "make bench"), tmp_path)
    text = page.read_text()

    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "25.0 x" in text
    assert ET.fromstring((tmp_path / "benchmarks.svg").read_text()).tag.endswith("svg")  # noqa: S314  # our own


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("10m", 600), ("1h", 3600), ("1.5h", 5400)])
def test_durations_are_read(text: str, expected: float):
    """Durations are a number and a unit."""
    assert soak.duration_s(text) == expected


@pytest.mark.parametrize("text", ["", "10", "h", "1d", "-1s"])
def test_other_durations_are_refused(text: str):
    """What is no duration is refused, not guessed."""
    with pytest.raises(ValueError, match="no duration"):
        soak.duration_s(text)


def samples(memory: list[int], waits: list[float | None]) -> list[soak.Sample]:
    """Return samples with this memory and these latencies."""
    return [
        soak.Sample(float(at), rss, 0.5, at, wait)
        for at, (rss, wait) in enumerate(zip(memory, waits, strict=True))
    ]


@pytest.mark.parametrize(
    ("memory", "waits", "behind", "flat"),
    [
        ([50, 100, 100, 109], [0.5, 0.03, 0.03, 0.1], 0, True),
        ([100, 100, 100, 111], [0.03, 0.03, 0.03, 0.03], 0, False),
        ([100, 100, 100, 100], [0.03, 0.03, 0.03, 0.12], 0, False),
        ([100, 100, 100, 100], [0.03, 0.03, 0.03, None], 1, False),
    ],
    ids=["flat after warming up", "memory grows", "latency grows", "falls behind"],
)
def test_a_soak_is_flat_or_not(memory: list[int], waits: list[float | None], behind: int, *, flat: bool):
    """The last quarter is held to the second: memory, latency, and nothing left behind."""
    assert soak.judge(samples(memory, waits), behind).flat is flat


def test_a_soak_is_drawn():
    """The curves of a soak are well-formed SVG with a line each."""
    drawing = ET.fromstring(soak.plot(samples([1, 2, 3, 4], [None, 0.1, 0.2, 0.1])))  # noqa: S314  # our own

    assert sum(each.tag.endswith("polyline") for each in drawing) == 2


def test_builds_are_measured_side_by_side(tmp_path: Path):
    """Each checkout has its cost of an event; a folder that is none is named."""
    root = Path(__file__).resolve().parents[2]
    assert all(cost > 0.0 for cost in beside([root], 24_000))
    with pytest.raises(SystemExit, match=f"{tmp_path}: no checkout"):
        beside([tmp_path], 24_000)
