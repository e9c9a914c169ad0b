"""What the pages say is so: links, commands, test names, shown output and numbers."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from streams.cli.main import COMMANDS, cx
from streams.observe.metrics import BY_NAME
from streams.scoring.explain import assess
from tests.customers import DEFAULT, row, seconds
from tests.unit.test_stories import STORIES

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
ENGINE_WORDS = re.compile(r"\b(lane|fence|sweep)s?\b", re.IGNORECASE)
ENGINE_PAGES = ("docs/operations.md", "docs/decisions/", "docs/reference.md")

each_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)


def prose(text: str) -> str:
    """Return a page without its code blocks."""
    return FENCED.sub("", text)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(prose(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[str, str]]:
    """Return text and target of each link to a file of the repository."""
    found = LINK.findall(prose(page.read_text()))
    return [(text, target) for text, target in found if not target.startswith(("http:", "https:", "mailto:"))]


@each_page
def test_links_resolve(page: Path):
    """Each relative link leads to a file, and to a heading in it where it names one."""
    for _, target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page

        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@each_page
def test_named_tests_exist(page: Path):
    """A link whose text is a test's name leads to the file that has it."""
    for text, target in links(page):
        if name := re.fullmatch(r"`(test_\w+)`", text):
            assert f"def {name[1]}(" in (page.parent / target).read_text(), text


def commands(page: Path) -> Iterator[list[str]]:
    """Yield each `cx` command of the page's code blocks as words, without comment and redirection."""
    for _, block in FENCED.findall(page.read_text()):
        for line in block.splitlines():
            for part in re.split(r"\s*(?:\||&&|;)\s*", line.removeprefix("$ ")):
                if part.startswith("cx "):
                    yield shlex.split(re.split(r"\s(?:>|&$)", part)[0], comments=True)[1:]


def leaf(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that the words name, and the words left for it."""
    command: click.Command = cx
    words = list(words)
    while isinstance(command, click.Group):
        context = click.Context(command)
        found = command.get_command(context, words[0]) if words else None
        assert found is not None, f"no command for {words}"
        command, words = found, words[1:]
    return command, words


@each_page
def test_commands_parse(page: Path, monkeypatch: pytest.MonkeyPatch):
    """Each `cx` command of a code block is one, and its options and arguments are taken."""
    monkeypatch.chdir(ROOT)
    for words in commands(page):
        command, rest = leaf(words)
        command.make_context(command.name, rest)


@each_page
def test_commands_named_in_text_exist(page: Path):
    """`cx NAME` within a sentence names a command."""
    named = set(re.findall(r"`cx ([a-z]+(?:-[a-z]+)*)", prose(page.read_text())))

    assert named <= set(COMMANDS)


@each_page
def test_metrics_named_exist(page: Path):
    """A metric that a page names is one of the table of metrics."""
    named = set(re.findall(r"`(cx_\w+)`", page.read_text()))

    assert named <= set(BY_NAME)


@each_page
def test_words_of_the_engine_stay_with_it(page: Path):
    """What only operators need to know is named where operators read."""
    if not str(page.relative_to(ROOT)).startswith(ENGINE_PAGES):
        assert ENGINE_WORDS.findall(page.read_text()) == []


def shown() -> list[tuple[str, str]]:
    """Return each command of the README's console blocks with the output shown below it."""
    blocks = [block for kind, block in FENCED.findall((ROOT / "README.md").read_text()) if kind == "console"]
    parts = [
        part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part.strip()
    ]
    return [(part.split("\n", 1)[0], part.split("\n", 1)[1].rstrip()) for part in parts]


@pytest.mark.parametrize(("command", "output"), shown(), ids=[command for command, _ in shown()])
def test_shown_output_is_real(command: str, output: str):
    """What the README shows below a command is what the command prints."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONUTF8": "1"}
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert [line.rstrip() for line in result.stdout.strip("\n").splitlines()] == output.splitlines()


def test_the_table_of_stories_is_right():
    """The scores and bands that concepts.md gives for the stories are those of the default policy."""
    text = (ROOT / "docs/concepts.md").read_text()
    told = re.findall(r"^\| ([^|]+) \| ([\d.]+) \| `(\w+)` \|$", text, re.MULTILINE)
    found = {name: assess(DEFAULT, row(story.life), seconds(story.day)) for name, story in STORIES.items()}

    assert told == [(name, f"{each.experience.score:.1f}", each.band.label) for name, each in found.items()]
