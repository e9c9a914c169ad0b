"""Prometheus and Alertmanager as processes, a webhook receiver, and how they are asked."""

import json
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.local_kafka.wire import free_port
from tests.live_worker import until

ROOT = Path(__file__).parents[2]
RULES = ROOT / "grafana/rules"
RULE_TESTS = sorted((RULES / "tests").glob("*.yml"))
WEEK_S = 7 * 86400


def program(*names: str) -> str:
    """Return the path of a program by one of its names; skips the test where there is none."""
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.skip(f"no {names[0]} (Debian: apt-get install prometheus prometheus-alertmanager)")


def run(name: str, *arguments: object) -> None:
    """Run a program to its end; what it says is shown where it fails."""
    done = subprocess.run([program(name), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Webhook:
    """Keeps what Alertmanager posts: (status, labels) of each alert, in order."""

    def __init__(self) -> None:
        received: list[tuple[str, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                received.extend((each["status"], each["labels"]) for each in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        self.received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def got(self, status: str, **labels: str) -> bool:
        """Tell whether an alert with these labels came in that state."""
        return any(each == status and labels.items() <= found.items() for each, found in self.received)

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def quick(text: str) -> str:
    """Return rules that decide within seconds: evaluated each second, without a wait, on short windows."""
    text = re.sub(r"interval: \w+", "interval: 1s", text)
    text = re.sub(r"for: \w+", "for: 0s", text)
    return re.sub(r"(cx_touchpoints_total)\[1h", r"\1[8s", text)


class Monitoring:
    """Prometheus with our rules, and Alertmanager behind it, with the same route for every alert."""

    def __init__(self, folder: Path, targets: dict[str, str], webhook: str) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self._alerts_url = f"http://127.0.0.1:{free_port()}"
        self._write_config(targets, webhook)
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start both and wait until they answer."""
        self._run(
            program("prometheus"),
            f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        )
        self._run(
            program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/alerts",
            f"--web.listen-address={self._alerts_url.removeprefix('http://')}",
            "--cluster.listen-address=",
        )
        for url in (self.url, self._alerts_url):
            until(lambda url=url: answers(f"{url}/-/ready"), f"{url} is ready")  # type: ignore[misc]

    def stop(self) -> None:
        """End both."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(10)

    def query(self, promql: str) -> list[dict[str, Any]]:
        """Return the series that an instant query gives."""
        found = self.ask("query", query=promql)
        return [found] if not isinstance(found, list) else found

    def ask(self, what: str, **parameters: str) -> Any:
        """Return the result of the HTTP API; an error of the query fails with its text."""
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310  # a loopback address
                data = json.load(response)["data"]
        except urllib.error.HTTPError as error:
            msg = f"{parameters}: {error.read().decode()}"
            raise AssertionError(msg) from error
        return data.get("result", data)

    def evaluated(self) -> None:
        """Return when each rule has been evaluated once more."""
        begun = max(self._evaluations())
        until(lambda: min(self._evaluations()) > begun, "another evaluation of the rules")

    def _evaluations(self) -> list[datetime]:
        return [datetime.fromisoformat(each["lastEvaluation"]) for each in self.ask("rules")["groups"]]

    def backfill(self, lines: list[str]) -> None:
        """Put samples of the past into the database, before it is started."""
        path = self.folder / "past.txt"
        path.write_text("\n".join([*lines, "# EOF"]) + "\n")
        command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics"]
        subprocess.run([*command, path, self.folder / "data"], check=True, capture_output=True)

    def _run(self, *command: str) -> None:
        with (self.folder / f"{Path(command[0]).name}.log").open("wb") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))

    def _write_config(self, targets: dict[str, str], webhook: str) -> None:
        for path in RULES.glob("*.yml"):
            (self.folder / f"rules-{path.name}").write_text(quick(path.read_text()))
        scrapes = [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ]
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{self.folder}/rules-*.yml"],
            "alerting": {
                "alertmanagers": [
                    {"static_configs": [{"targets": [self._alerts_url.removeprefix("http://")]}]}
                ]
            },
            "scrape_configs": scrapes,
        }
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        route = {"receiver": "all", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
        receivers = [{"name": "all", "webhook_configs": [{"url": webhook}]}]
        alerts = {"route": route, "receivers": receivers}
        (self.folder / "alertmanager.yml").write_text(yaml.safe_dump(alerts))


def answers(url: str) -> bool:
    """Tell whether a program answers 200 there."""
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  # as above
            return bool(response.status == 200)
    except OSError:
        return False


def last_week(channel: str, now_s: float) -> list[str]:
    """Return a channel's touchpoints around this time a week ago, one a second, as OpenMetrics."""
    labels = f'job="cx-worker",instance="past",channel="{channel}",source="other",outcome="accepted"'
    samples = [
        f"cx_touchpoints_total{{{labels}}} {1000 + second} {now_s - WEEK_S + second:.0f}"
        for second in range(-60, 900)
    ]
    return ["# TYPE cx_touchpoints counter", *samples]
