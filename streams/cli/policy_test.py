"""`cx policy test`: what must come of lives that somebody wrote down, held against what comes of them."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click
import msgspec
import orjson
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from streams.cli.tables import print_tables
from streams.errors import CxError, Exit, unreadable
from streams.rulebook.checks import Difference, Look, Outcome, run_file
from streams.rulebook.spec import read_spec
from streams.scoring.apply import Scorer
from streams.scoring.policy import load_policy

SUFFIXES = (".yaml", ".yml")
MEND = "name the folder of the tests, or a file"


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="DIR|FILE...")
@click.option(
    "--policy", "policy_path", metavar="FILE", help="Test this policy, not those that the files name."
)
@click.option("--only", metavar="TEXT", default="", help="Run the tests whose name contains TEXT.")
@click.option("-v", "--verbose", is_flag=True, help="Name the tests that passed too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with every test.")
def test(paths: tuple[str, ...], policy_path: str | None, only: str, *, verbose: bool, as_json: bool) -> None:
    """Run the policy tests in YAML files, or in all of a folder: lives, and what must come of them.

    A file names its policy beside it; --policy tests another one, such as a change. Exit codes: 0 all
    passed, 1 a test failed, 2 a file that cannot be read as tests.
    """
    outcomes: list[Outcome] = []
    broken: list[CxError] = []
    for path in _files(paths):
        try:
            found = _run(path, policy_path, only)
        except CxError as error:
            broken.append(error)
            continue
        outcomes += found
        if not as_json and found:
            print_tables(*_report(found, verbose=verbose))
    if not outcomes and not broken:
        msg = f"no test has {only!r} in its name"
        raise CxError(msg, mend="leave --only out to run all", code=Exit.USAGE)
    if outcomes:
        _conclude(outcomes, as_json=as_json)
    if broken:
        raise CxError("\n".join(error.message for error in broken), mend=broken[0].mend, code=Exit.USAGE)
    if not all(outcome.passed for outcome in outcomes):
        raise SystemExit(Exit.FINDING)


def _files(paths: tuple[str, ...]) -> list[Path]:
    """Return the files named, and those of each folder in order of their names."""
    found: list[Path] = []
    for path in map(Path, paths):
        if not os.path.isdir(path):  # noqa: PTH112  # a path that nobody may look at is told of as a file
            found.append(path)
            continue
        within = sorted(each for each in _below(path) if each.suffix in SUFFIXES)
        if not within:
            msg = f"no policy tests in {path}: no file ends in .yaml or .yml"
            raise CxError(msg, mend=MEND, code=Exit.USAGE)
        found += within
    return found


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of those in it; tests that cannot be looked for are not left out."""
    for within, _, names in os.walk(folder, onerror=_refuse):
        yield from (Path(within, name) for name in names)


def _refuse(error: OSError) -> NoReturn:
    raise unreadable(error.filename, error, MEND, what="the folder") from error


def _run(path: Path, policy_path: str | None, only: str) -> list[Outcome]:
    spec, file = read_spec(path)
    own = path.parent / spec.policy if spec.policy else None
    chosen = [case for case in spec.tests if only in case.name]
    scorer = Scorer(load_policy(policy_path or own))
    return run_file(msgspec.structs.replace(spec, tests=chosen), file, scorer)


def _conclude(outcomes: list[Outcome], *, as_json: bool) -> None:
    counts = Counter(outcome.passed for outcome in outcomes)
    if as_json:
        content = {"passed": counts[True], "failed": counts[False], "tests": msgspec.to_builtins(outcomes)}
        click.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2))
        return
    total = f"{len(outcomes)} tests: {counts[True]} passed"
    click.echo(f"{total}, {counts[False]} failed" if counts[False] else total)


def _report(outcomes: list[Outcome], *, verbose: bool) -> Iterator[RenderableType]:
    """Yield the lines of one file: a count, and each failed test with its differences."""
    passed = sum(outcome.passed for outcome in outcomes)
    yield Text.assemble((outcomes[0].file, "bold"), f"  {passed} of {len(outcomes)} passed")
    for outcome in outcomes:
        if outcome.passed and verbose:
            yield _indented(Text.assemble(("ok", "green"), f"      {outcome.test}"), 2)
        elif not outcome.passed:
            yield _indented(Text.assemble(("FAILED", "bold red"), f"  {outcome.test}"), 2)
            for look in outcome.failures:
                yield from _failure(look)


def _failure(look: Look) -> Iterator[RenderableType]:
    when = look.at.replace("T", " ").removesuffix(":00Z").removesuffix("Z")
    yield _indented(Text(f"at {look.day} ({when} UTC), line {look.line}"), 4)
    for difference in look.differences:
        yield from _told(difference)
    if any(_about_score(difference.what) for difference in look.differences):
        made = ", ".join(f"{name} {points:+.1f}" for name, points in look.drivers.items())
        yield _indented(Text(f"experience is the prior and {made or 'nothing else'}", "dim"), 6)


def _told(difference: Difference) -> Iterator[RenderableType]:
    """Yield a figure as a sentence, and the steps of alerts as a diff."""
    if difference.what != "alerts":
        found, expected = (difference.found, "red"), (difference.expected, "green")
        yield _indented(Text.assemble(f"{difference.what} is ", found, ", expected ", expected), 6)
        return
    yield _indented(Text("alerts: - expected, + found"), 6)
    for sign, steps, style in (("-", difference.expected, "green"), ("+", difference.found, "red")):
        for step in steps.splitlines() or ["none"]:
            yield _indented(Text(f"{sign} {step}", style), 8)


def _about_score(what: str) -> bool:
    return what in ("experience", "band", "gap") or what.startswith("drivers.")


def _indented(part: RenderableType, by: int) -> Padding:
    return Padding(part, (0, 0, 0, by), expand=False)
