"""`cx demo` on a Kafka of its own: it ends by itself, tells what it did and leaves no process behind."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams.demo.feed import Pace
from streams.demo.generator import generate
from streams.demo.run import Demo, Play
from streams.demo.stage import KafkaStage
from streams.errors import CxError
from streams.replay import replay
from tests.customers import DEFAULT

pytestmark = pytest.mark.kafka


def processes(mark: str) -> list[str]:
    """Return the command lines of processes that have `mark` in them or in their environment."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            texts = [
                (each / name).read_bytes().replace(b"\0", b" ").decode() for name in ("cmdline", "environ")
            ]
        except (OSError, UnicodeDecodeError):
            continue
        if mark in "".join(texts):
            found.append(texts[0])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_a_demo_ends_by_itself_and_leaves_nothing_behind(kafka: str, tmp_path: Path):  # noqa: ARG001  # skips
    """After --for it exits with 0 and JSON that adds up; broker, worker and folder are gone."""
    done = subprocess.run(
        ["nice", sys.executable, "-m", "streams.cli.main", "demo", "--for", "5s", "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path), "CX_TOPIC_PREFIX": "of.another."},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["log"].startswith("Kafka at 127.0.0.1:")
    assert 0 < found["consumed"] <= found["produced"]
    assert found["duplicates"] + sum(found["rejected"].values()) < found["consumed"]
    assert sum(found["bands"].values()) == found["customers"] > 0
    assert found["alerts_by_rule"]
    assert any(each.startswith("first alert after ") for each in done.stderr.splitlines())
    assert f"metrics at {found['metrics_url']}" in done.stderr.splitlines()
    assert processes(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


async def test_a_demo_on_kafka_counts_as_cx_score_does(
    kafka: str,  # noqa: ARG001  # skips without one
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Outcomes of all records are those of the file; a worker that is killed ends the stage with its log."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    records = list(generate(3000, seed=4, poison=0.01))
    play = Play(source="test", records=records, pace=Pace(), total=3000, limit_s=None)
    async with KafkaStage() as stage:
        last = await asyncio.wait_for(Demo(stage, play).run(lambda _: None), 90)
        assert stage._worker is not None
        stage._worker.kill()
        stage._worker.wait()
        with pytest.raises(CxError, match="the demo's worker ended with -9"):
            await stage.poll()
    found = replay((each.value for each in records), DEFAULT)
    assert (last.produced, last.consumed, last.lag) == (3000, 3000, 0)
    assert last.duplicates == found.duplicates
    assert last.rejected == {reason.value: count for reason, count in found.rejects.items()}
    assert last.alerts_by_rule.keys() >= {"churn_risk", "experience_drop"}
    assert os.listdir(tmp_path) == []  # noqa: PTH208  # pathlib's would block by the linter's word
