"""Figures as JSON, as a table of Markdown and as a plot (SVG), each beside what it must reach."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

Found = dict[str, Any]
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of figures -->"
WIDTH, BAR, GAP, LEFT, RIGHT = 760, 22, 10, 260, 120
COLOURS = {"stock": "#b5482f", "worker": "#2f6f9f", "floor": "#7a8791"}
NAMES = {"stock": "stock Faust, same scoring", "worker": "cx worker", "floor": "floor: read, decode, dict"}


def figures(details: Found, machine: Found, command: str) -> Found:
    """Return the report: the figures that have names of their own, then all details.

    A figure that was not measured is None.
    """
    lane, recovery = details.get("lane"), details.get("recovery")
    latency = details.get("latency")
    worker = lane["worker"]["cpu_s_per_million"] if lane else None
    return {
        "cpu_s_per_million": worker,
        "ratio_stock": round(lane["stock"]["cpu_s_per_million"] / worker, 1) if lane else None,
        "ratio_floor": round(worker / lane["floor"]["cpu_s_per_million"], 2) if lane else None,
        "recovery_rows_per_s": recovery["rows_per_s"] if recovery else None,
        "latency_ms": {name: latency[name] for name in ("p50", "p99")} if latency else None,
        "bytes_per_customer": recovery["bytes_per_customer"] if recovery else None,
        "command": command,
        "machine": machine,
        "details": details,
    }


def rows(found: Found) -> list[tuple[str, str, str]]:
    """Return (figure, measured, must / stretch), one a line of the table."""
    details: Found = found["details"]
    return [
        *_lane_rows(found, details.get("lane")),
        *_recovery_rows(details.get("recovery")),
        *_latency_rows(details.get("latency")),
        *_pair_rows(details.get("two_workers")),
        *_cost_rows(details.get("cost", ())),
        *_score_rows(details.get("score", {})),
    ]


def _lane_rows(found: Found, lane: Found | None) -> list[tuple[str, str, str]]:
    if lane is None:
        return []
    worker, stock, floor = lane["worker"], lane["stock"], lane["floor"]
    return [
        ("CPU seconds per million events, one worker", f"{worker['cpu_s_per_million']:.2f}", "10 / 6"),
        ("events a second (wall), one worker on one core", f"{worker['events_per_s']:,}", ""),
        ("share of the wall time in which the worker's core was used", f"{worker['core_use']:.0%}", "85%"),
        ("CPU seconds per million events, stock Faust", f"{stock['cpu_s_per_million']:.1f}", ""),
        ("stock Faust / worker", f"{found['ratio_stock']:.1f} x", "20 / 35 x"),
        ("CPU seconds per million events, floor", f"{floor['cpu_s_per_million']:.2f}", ""),
        ("worker / floor", f"{found['ratio_floor']:.2f} x", "3.2 / 2 x"),
    ]


def _recovery_rows(recovery: Found | None) -> list[tuple[str, str, str]]:
    if recovery is None:
        return []
    rate = f"{recovery['rows_per_s']:,} ({recovery['mb_per_s']} MB/s, {recovery['row_bytes']} bytes a row)"
    return [
        (f"rows a second in recovery of {recovery['rows']:,} customers", rate, "200,000 / 500,000"),
        (
            "ready after kill -9, beyond the recovery itself (process start included)",
            f"{recovery['ready_beyond_recovery_s']:.2f} s",
            "2 / 1 s",
        ),
        ("bytes of memory per customer, beyond the base", f"{recovery['bytes_per_customer']}", "600 / 400"),
        ("memory of a worker with an empty table", f"{recovery['base_mib']} MiB", ""),
    ]


def _latency_rows(latency: Found | None) -> list[tuple[str, str, str]]:
    if latency is None:
        return []
    return [
        (
            f"event produced to alert readable at {latency['rate']:,} events/s, p50 / p99",
            f"{latency['p50']} / {latency['p99']} ms",
            "40 / 120 ms (15 / 50)",
        ),
        ("share of a core at that rate", f"{latency['core_share']:.2f}", "0.15"),
    ]


def _pair_rows(pair: Found | None) -> list[tuple[str, str, str]]:
    if pair is None:
        return []
    said = f"{pair['ratio']} x" if pair["measured"] else f"not measured: {pair['why']}"
    return [("two workers against one", said, "1.7 x")]


def _cost_rows(cost: Sequence[Found]) -> list[tuple[str, str, str]]:
    return [
        (
            f"CPU seconds per million events with {each['customers']:,} customers in the table",
            f"{each['cpu_s_per_million']:.2f}",
            "",
        )
        for each in cost
    ]


def _score_rows(score: Found) -> list[tuple[str, str, str]]:
    return [
        (
            f"`cx score`, events a second of CPU, {name} ({each['events']:,} events, {kind})",
            f"{each[kind]['events_per_cpu_s']:,}",
            "",
        )
        for name, each in score.items()
        for kind in ("compiled", "sources")
        if kind in each
    ]


def table(found: Found) -> str:
    """Return the table as Markdown."""
    lines = ["| figure | measured | must / stretch |", "|---|---|---|"]
    lines += [f"| {name} | {value} | {goal} |" for name, value, goal in rows(found)]
    return "\n".join(lines) + "\n"


def about(found: Found) -> str:
    """Return machine, versions, command and load as a paragraph."""
    machine: Found = found["machine"]
    details: Found = found["details"]
    versions = ", ".join(
        f"{name} {machine[name]}" for name in ("faust-streaming", "aiokafka", "msgspec", "orjson", "uvloop")
    )
    loads = [details.get("load_average_before", 0.0), *details.get("lane", {}).get("load_average", ())]
    return (
        f"Command: `{found['command']}`; {details.get('seconds', 0)} s. "
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}. Python {machine['python']} (core: {machine['core']}), "
        f"Kafka {machine['kafka']} on Java {machine['java']}, {versions}. "
        f"Load average before the run {loads[0]}, after each round {', '.join(map(str, loads[1:])) or '-'}.\n"
    )


def plot(lane: Found) -> str:
    """Return bars of CPU seconds per million events as SVG."""
    costs = {name: float(lane[name]["cpu_s_per_million"]) for name in NAMES}
    scale = (WIDTH - LEFT - RIGHT) / max(costs.values())
    parts = []
    for number, (name, cost) in enumerate(costs.items()):
        y = 44 + number * (BAR + GAP)
        parts += [
            f'<text x="{LEFT - 10}" y="{y + 16}" text-anchor="end">{NAMES[name]}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{cost * scale:.1f}" height="{BAR}" fill="{COLOURS[name]}"/>',
            f'<text x="{LEFT + cost * scale + 8:.1f}" y="{y + 16}">{cost:.1f} s</text>',
        ]
    return svg("CPU seconds per million events, one process on one core", parts, 44 + 3 * (BAR + GAP))


def svg(title: str, parts: Sequence[str], height: int) -> str:
    """Return a drawing with a title."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
        f'<text x="10" y="24" font-weight="bold">{title}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def line(points: Sequence[tuple[float, float]], top: int, height: int, colour: str) -> str:
    """Return a curve from 0 to its greatest value, `height` high, whose upper edge lies at `top`."""
    last = max(x for x, _ in points) or 1.0
    most = max(y for _, y in points) or 1.0
    drawn = " ".join(
        f"{60 + x / last * (WIDTH - 80):.1f},{top + height - y / most * height:.1f}" for x, y in points
    )
    return f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def write_docs(found: Found, docs: Path) -> None:
    """Put the table into docs/benchmarks.md between its marks, and the plot beside it."""
    page = docs / "benchmarks.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{about(found)}\n{table(found)}{END}{after}")
    if lane := found["details"].get("lane"):
        (docs / "benchmarks.svg").write_text(plot(lane))
