"""Compile the hot modules with mypyc, in place: the same source and the same results, about twice as fast.

        python scripts/compile_core.py                  build the extension modules beside their sources
        python scripts/compile_core.py --into FOLDER    build them beside the sources installed in FOLDER
        python scripts/compile_core.py --clean          remove them

Optional: without a C compiler the sources run as they are. Tests import the sources, unless
CX_TEST_COMPILED is set.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("streams", "schemas")
MODULES = (
    "schemas/arrivals.py",
    "schemas/codec.py",
    "schemas/currencies.py",
    "schemas/times.py",
    "streams/aftermath.py",
    "streams/announcing.py",
    "streams/casework.py",
    "streams/engine/cutting.py",
    "streams/engine/effects.py",
    "streams/engine/grouping.py",
    "streams/observe/contacts.py",
    "streams/observe/counted.py",
    "streams/observe/histogram.py",
    "streams/observe/intake.py",
    "streams/observe/kpis.py",
    "streams/observe/outcomes.py",
    "streams/observe/tally.py",
    "streams/outages.py",
    "streams/processing.py",
    "streams/publishing.py",
    "streams/replay.py",
    "streams/scoring/alerttexts.py",
    "streams/scoring/apply.py",
    "streams/scoring/binary.py",
    "streams/scoring/calibration.py",
    "streams/scoring/cases.py",
    "streams/scoring/churn.py",
    "streams/scoring/claims.py",
    "streams/scoring/compiled.py",
    "streams/scoring/complaints.py",
    "streams/scoring/deadlines.py",
    "streams/scoring/drivers.py",
    "streams/scoring/entries.py",
    "streams/scoring/entry.py",
    "streams/scoring/episodes.py",
    "streams/scoring/explain.py",
    "streams/scoring/facts.py",
    "streams/scoring/grievances.py",
    "streams/scoring/heads.py",
    "streams/scoring/hours.py",
    "streams/scoring/kinds.py",
    "streams/scoring/ledger.py",
    "streams/scoring/lifecycle.py",
    "streams/scoring/lived.py",
    "streams/scoring/maths.py",
    "streams/scoring/reasons.py",
    "streams/scoring/register.py",
    "streams/scoring/rhythm.py",
    "streams/scoring/rings.py",
    "streams/scoring/rows.py",
    "streams/scoring/rules.py",
    "streams/scoring/severity.py",
    "streams/scoring/signals.py",
    "streams/scoring/standing.py",
    "streams/scoring/state.py",
    "streams/scoring/sums.py",
    "streams/scoring/texts.py",
    "streams/scoring/unresolved.py",
    "streams/scoring/value.py",
    "streams/scoring/verdict.py",
    "streams/scoring/warm.py",
    "streams/scoring/weighing.py",
    "streams/suppression.py",
    "streams/taken.py",
    "streams/work.py",
)
PLAIN_C = "streams/engine/_hugepages.c"
"""Where the interpreter takes its memory from, only C can say (decision 0027)."""
BUILD_C = """
import sys
from setuptools import Extension, setup
name = sys.argv.pop(1)
setup(name="cx-signals", ext_modules=[Extension(name.removesuffix(".c").replace("/", "."), [name])])
"""
MYPY_INI = """[mypy]
strict = True
[mypy-aiokafka.*,mode.*,faust.*]
ignore_missing_imports = True
follow_imports = skip
"""
FLAGS = "-fvisibility=hidden -fno-plt -ffp-contract=off"
"""Nobody else calls what is compiled, so no other library could replace its functions: they are inlined and
called directly, and the interpreter's without a detour (decision 0026). A product and a sum are two
operations, as in the sources, also where a processor could do both at once."""


def clean(root: Path) -> None:
    """Remove every extension module from the tree."""
    for found in _extensions(root):
        found.unlink()


def _extensions(root: Path) -> list[Path]:
    """Return the extension modules that were built here; other packages beside them have their own."""
    others = "".join(record.read_text() for record in root.glob("*.dist-info/RECORD"))
    return [
        *(path for path in root.glob("*__mypyc*.so") if path.name not in others),
        *(path for name in PACKAGES for path in root.glob(f"{name}/**/*.so")),
    ]


def compile_core(root: Path) -> None:
    """Build in a copy (the compiler leaves much behind) and put the modules beside the sources in `root`."""
    with tempfile.TemporaryDirectory(prefix="cx-compile-") as folder:
        copy = Path(folder)
        for name in PACKAGES:
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        (copy / "mypy.ini").write_text(MYPY_INI)
        _run(copy, "-m", "mypyc", *MODULES)
        if sys.platform == "linux":
            _run(copy, "-c", BUILD_C, PLAIN_C, "build_ext", "--inplace")
        clean(root)
        for built in _extensions(copy):
            shutil.copy2(built, root / built.relative_to(copy))


def _run(folder: Path, *arguments: str) -> None:
    """Run Python in `folder`, and end with the last lines of what it said if it fails."""
    env = {**os.environ, "CFLAGS": f"{os.environ.get('CFLAGS', '')} {FLAGS}"}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)  # noqa: S603  # compilers
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        sys.exit(f"the hot modules could not be compiled; the sources work without:\n{tail}")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="Compile the hot modules with mypyc.")
    parser.add_argument("--clean", action="store_true", help="remove the extension modules")
    parser.add_argument("--into", type=Path, default=ROOT, help="where the packages are installed")
    options = parser.parse_args()
    if options.clean:
        clean(options.into)
    else:
        compile_core(options.into)


if __name__ == "__main__":
    main()
