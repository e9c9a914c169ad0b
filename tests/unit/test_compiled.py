"""The compiled modules give what their sources give."""

import ctypes
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import streams.scoring.ledger
from streams.cli.main import cx
from streams.demo.generator import generate
from tests.handled import digest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = (
    "import sys; from streams.cli.main import cx; import streams.scoring.ledger as ledger; {check}; cx()"
)


def score(events: Path, check: str) -> bytes:
    """Return what `cx score --json` prints in a process of its own."""
    command = [sys.executable, "-c", PROGRAM.format(check=check), "score", "--json", str(events)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout


def skip_unless_compiled() -> None:
    """Leave the test where there is nothing to compare."""
    if not list((ROOT / "streams" / "scoring").glob("ledger.*.so")):
        pytest.skip("the hot modules are not compiled: no C compiler, or `make` was not asked to")


def test_tests_run_the_sources():
    """Coverage and breakpoints mean the sources, whatever was compiled."""
    assert streams.scoring.ledger.__file__.endswith(".py")


def test_compiled_and_source_agree_to_the_bit(tmp_path: Path):
    """Scores, drivers and alerts of generated journeys are the same bytes, compiled or not."""
    skip_unless_compiled()
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"".join(record.value + b"\n" for record in generate(5_000, seed=3, poison=0.01)))
    compiled = score(events, "assert ledger.__file__.endswith('.so')")
    source = CliRunner().invoke(cx, ["score", "--json", str(events)])

    assert source.stdout_bytes == compiled


def test_the_compiled_handler_agrees_to_the_bit():
    """Rows, scores, alerts and dead letters of a worker are the same bytes, compiled or not."""
    skip_unless_compiled()
    command = [sys.executable, "-m", "tests.handled", "5000"]
    compiled = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    assert compiled.decode() == digest(5000)


def test_what_is_compiled_can_be_called_directly():
    """Its functions are nobody else's to call or to replace: else none would be inlined."""
    skip_unless_compiled()
    (built,) = ROOT.glob("*__mypyc*.so")
    assert not hasattr(ctypes.CDLL(str(built)), "CPyDef_ledger___Ledger___read")


def test_no_class_is_compiled_whose_options_would_be_lost():
    """Of a msgspec class mypyc drops `array_like` in silence: markers that are kept could not be read."""
    for module in runpy.run_path(str(ROOT / "scripts" / "compile_core.py"))["MODULES"]:
        assert "(msgspec.Struct" not in (ROOT / module).read_text(), module


def test_clean_removes_what_was_built_and_nothing_else(tmp_path: Path):
    """`--clean` takes the extension modules out of the packages, wherever they are installed."""
    sources, others = tmp_path / "streams" / "scoring", tmp_path / "elsewhere"
    for folder in (sources, others):
        folder.mkdir(parents=True)
    of_another = tmp_path / "4567__mypyc.cpython-311.so"
    kept = [sources / "ledger.py", others / "fast.so", tmp_path / "other.so", of_another]
    built = [sources / "ledger.cpython-311.so", tmp_path / "0123__mypyc.cpython-311.so"]
    for path in kept + built:
        path.write_bytes(b"")
    (tmp_path / "another-1.0.dist-info").mkdir()
    (tmp_path / "another-1.0.dist-info" / "RECORD").write_text(f"{of_another.name},sha256=abc,0\n")
    command = [sys.executable, str(ROOT / "scripts" / "compile_core.py"), "--clean", "--into", str(tmp_path)]
    subprocess.run(command, check=True)

    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in built)
