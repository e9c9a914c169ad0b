"""The reference is the code's own tables."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_reference_is_the_codes():
    """docs/reference.md is what the tables of the code give: mend with `python docs/build.py`."""
    build = runpy.run_path(str(DOCS / "build.py"))

    assert (DOCS / "reference.md").read_text() == build["reference"]()


def test_every_table_has_rows():
    """No table of the reference is empty: each heading is followed by a table of at least one row."""
    _, *sections = (DOCS / "reference.md").read_text().split("\n## ")

    assert {section.split("\n", 1)[0]: section.count("\n| ") > 1 for section in sections} == {
        section.split("\n", 1)[0]: True for section in sections
    }
