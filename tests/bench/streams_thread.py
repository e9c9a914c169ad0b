"""A Kafka Streams thread beside a worker and the floor: what an event costs each, on the same records.

python -m tests.bench.streams_thread [--events N] [--rounds N]

Needs Maven and a JDK. Kafka Streams does a far smaller job (`kafka_streams/Decayed.java`): of each event it
reads type and time, and keeps one decayed sum and a count; no score, no alert. Of it the second half of the
records is told too: by then the JVM has compiled it.
"""

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import orjson

from streams.local_kafka.node import LocalKafka
from streams.topics import STORE, SUPPORT, WEB
from tests.bench.cases import CUSTOMERS
from tests.bench.measure import cores, pinned
from tests.bench.processes import Run, compared
from tests.bench.stage import Stage

SOURCE = Path(__file__).parent / "kafka_streams"
NAMES = ("Kafka Streams", "its second half", "worker", "floor")


def build(folder: Path) -> str:
    """Fetch Kafka Streams and compile the program into `folder`; return the class path."""
    if missing := [name for name in ("mvn", "javac", "java") if shutil.which(name) is None]:
        sys.exit(f"not measured: no {', '.join(missing)} here (Maven and a JDK are needed)")
    libraries, made = folder / "lib", folder / "classes"
    pom, copies = SOURCE / "pom.xml", f"-DoutputDirectory={libraries}"
    _run("mvn", "--quiet", "--batch-mode", "--file", pom, "dependency:copy-dependencies", copies)
    _run("javac", "-cp", f"{libraries}/*", "-d", made, SOURCE / "Decayed.java")
    return f"{made}:{libraries}/*"


def streams_run(stage: Stage, class_path: str, name: str, events: int) -> list[Run]:
    """Return what one thread took for all, and for the second half; its core is all that the JVM has."""
    topics = ["lane." + topic.name for topic in (WEB, STORE, SUPPORT)]
    state = stage.folder / name
    with pinned({stage.core}):
        said = _run(
            "java", "-Xmx1g", "-cp", class_path, "Decayed", stage.bootstrap, name, events, state, *topics
        )
    return [Run(**each) for each in orjson.loads(said)]


def _run(*command: object) -> bytes:
    """Return what a program prints; raises RuntimeError with its last words if it fails."""
    done = subprocess.run([str(each) for each in command], capture_output=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
        msg = f"{command[0]} ended with {done.returncode}:\n{said}"
        raise RuntimeError(msg)
    return done.stdout


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="A Kafka Streams thread beside a worker and the floor.")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    free = cores()
    others = free[2:] or free[1:] or free
    with tempfile.TemporaryDirectory(prefix="cx-streams-") as made:
        folder = Path(made)
        class_path = build(folder)
        with pinned(others), LocalKafka(folder / "kafka") as broker:
            stage = Stage(broker.bootstrap_servers, folder, free[0], None)
            stage.backlog("lane.", CUSTOMERS, options.events)
            for number in range(options.rounds):
                thread, warm = streams_run(stage, class_path, f"streams-{number}", options.events)
                with stage.worker("lane.", f"lane-{number}") as worker:
                    own = worker.run(options.events)
                floor = compared("floor", (stage.bootstrap, "lane.", str(options.events)), stage.core, folder)
                costs = zip(NAMES, (thread, warm, own, floor), strict=True)
                said = ", ".join(f"{name} {run.cpu_s_per_million:.2f}" for name, run in costs)
                sys.stdout.write(f"CPU s per million events: {said}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
