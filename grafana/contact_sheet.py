"""Draw each dashboard from a live Prometheus, for a person to look at.

        python -m grafana.contact_sheet --prometheus http://127.0.0.1:9090 --png

The queries, units, thresholds and places are those of the dashboards; Grafana takes no part in it.
"""

import argparse
import html
import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from grafana.boards.drawing import CELL_PX, ROW_PX, STYLE, Series, panel_html

DASHBOARDS: Final = Path(__file__).parent / "dashboards"
POINTS: Final = 120
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")


class Prometheus:
    """A Prometheus and the time that is looked at; `rate_s` stands for Grafana's $__rate_interval."""

    def __init__(self, url: str, minutes: float, rate_s: float) -> None:
        self.url = url.rstrip("/")
        self.minutes = minutes
        self.rate_s = rate_s

    def series(self, target: Mapping[str, Any]) -> list[Series]:
        """Return what a panel's query gives: a range, or one value where the panel asks for one."""
        now_s = time.time()
        query = chosen(target["expr"], self.rate_s)
        if target.get("instant"):
            result = self._ask("query", query=query, time=f"{now_s:.3f}")
        else:
            span_s = 60.0 * self.minutes
            result = self._ask(
                "query_range",
                query=query,
                start=f"{now_s - span_s:.3f}",
                end=f"{now_s:.3f}",
                step=f"{max(1.0, span_s / POINTS):.3f}",
            )
        return list(_series(result, target.get("legendFormat", "")))

    def _ask(self, what: str, **parameters: str) -> list[dict[str, Any]]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310  # what the user named
                found: list[dict[str, Any]] = json.load(response)["data"]["result"]
        except urllib.error.HTTPError as error:
            sys.exit(f"Prometheus refuses {parameters['query']}: {error.read().decode()}")
        except OSError as error:
            sys.exit(f"no Prometheus answers at {self.url}: {error}")
        return found


def chosen(query: str, rate_s: float) -> str:
    """Return a query with the variables that Grafana would fill in: every job and every instance."""
    for name, value in {"$__rate_interval": f"{rate_s:g}s", "$job": ".+", "$instance": ".+"}.items():
        query = query.replace(name, value)
    return query


def _series(result: Sequence[dict[str, Any]], legend: str) -> Iterator[Series]:
    for each in result:
        points = tuple((float(at_s), float(value)) for at_s, value in each.get("values") or [each["value"]])
        numbers = tuple(point for point in points if math.isfinite(point[1]))
        if numbers:
            yield Series(_named(legend, each["metric"]), numbers)


def _named(legend: str, labels: Mapping[str, str]) -> str:
    """Return the legend with the labels that it names."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), legend).strip() or "value"


def page(board: Mapping[str, Any], prometheus: Prometheus) -> str:
    """Return a dashboard as one HTML page."""
    panels = [
        panel_html(panel, [each for target in panel["targets"] for each in prometheus.series(target)])
        for panel in board["panels"]
    ]
    title, question = html.escape(board["title"]), html.escape(board["description"])
    head = f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
    drawn = (
        f"Drawn {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, the last {prometheus.minutes:g} min."
    )
    return f'{head}<h1>{title}</h1><p class="question">{question} {drawn}</p><main>{"".join(panels)}</main>\n'


def height_px(board: Mapping[str, Any]) -> int:
    """Return how high the page is."""
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"])
    return int(rows * ROW_PX + 110)


def photograph(source: Path, target: Path, height: int) -> None:
    """Have a Chromium draw an HTML file to a PNG; ends the program where it fails."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("no Chromium for PNG: the HTML pages are there; or leave --png out")
    with tempfile.TemporaryDirectory(prefix="cx-sheet-") as profile:
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *(f"--user-data-dir={profile}", f"--window-size={24 * CELL_PX + 40},{height}"),
            *(f"--screenshot={target}", source.as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)  # noqa: S603  # a browser
    if done.returncode or not target.exists():
        sys.exit(f"{browser} drew nothing: {done.stderr.decode(errors='replace')[-500:]}")


def draw(prometheus: Prometheus, folder: Path, *, png: bool) -> list[Path]:
    """Write a page a dashboard into `folder`, and a PNG of each if asked to; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in sorted(DASHBOARDS.glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        target = folder.resolve() / f"{path.stem}.html"
        target.write_text(page(board, prometheus), encoding="utf-8")
        written.append(target)
        if png:
            picture = target.with_suffix(".png")
            photograph(target, picture, height_px(board))
            written.append(picture)
    return written


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(prog="grafana.contact_sheet", description=__doc__)
    parser.add_argument("--prometheus", default="http://127.0.0.1:9090", help="its address")
    parser.add_argument("--minutes", type=float, default=60.0, help="how far to look back")
    parser.add_argument("--rate-seconds", type=float, default=60.0, help="window of rates: four scrapes")
    parser.add_argument("--out", type=Path, default=Path("contact-sheet"), help="folder to write to")
    parser.add_argument("--png", action="store_true", help="draw PNGs too, with a Chromium")
    given = parser.parse_args()
    for path in draw(
        Prometheus(given.prometheus, given.minutes, given.rate_seconds), given.out, png=given.png
    ):
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
