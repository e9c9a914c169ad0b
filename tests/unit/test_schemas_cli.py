"""`cx schema` answers publishers in words and programs in JSON."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.codec import decode, decode_line
from schemas.envelope import Touchpoint
from schemas.touchpoints import TYPES
from streams.cli.schema import schema
from streams.errors import CxError, Exit


def run(*args: str) -> str:
    """Run `cx schema` and return what it printed; its errors are raised."""
    result = CliRunner().invoke(schema, args, catch_exceptions=False, standalone_mode=False)
    return result.output


def failed(*args: str) -> CxError:
    """Run `cx schema` and return the error it ends with."""
    result = CliRunner().invoke(schema, args, standalone_mode=False)
    assert isinstance(result.exception, CxError), result.output
    return result.exception


def test_list():
    """Every type is listed with its meaning."""
    output = run("list")

    assert all(name in output for name in TYPES)
    assert "The customer bought." in output


def test_list_as_json():
    """The list is one JSON array for a program."""
    rows = json.loads(run("list", "--json"))

    assert [row["type"] for row in rows] == list(TYPES)
    assert rows[0] == {
        "type": "cx.page.viewed.v1",
        "topic": "cx.touchpoints.web",
        "channel": "web",
        "meaning": "A page or screen was viewed: neutral.",
    }


@pytest.mark.parametrize(
    "name", ["cx.survey.answered.v1", "survey.answered", "cx.survey.answered", "survey.answered.v1"]
)
def test_show(name: str):
    """A type's fields are shown with type, need and meaning, however its name is abbreviated."""
    lines = run("show", name).splitlines()

    assert lines[0] == "cx.survey.answered.v1: The customer answered a survey."
    row = next(line for line in lines if "data.survey " in line)
    assert row.split() == [
        "data.survey",
        "ces",
        "|",
        "csat",
        "|",
        "nps",
        "required",
        *["Its", "kind:", "nps,", "csat", "or", "ces."],
    ]


def test_show_nested_fields():
    """Fields of nested objects and of the items of lists are shown by their path."""
    output = run("show", "order.placed") + run("show", "ticket.solved")

    assert "data.lines.sku" in output
    assert "list of object" in output
    assert "data.first_reply.business_s" in output


def test_show_output():
    """The fields of an output are shown too, with those that may be null."""
    row = next(line for line in run("show", "ScoreUpdated").splitlines() if " gap " in line)

    assert row.split()[:5] == ["gap", "number", "or", "null", "required"]


def test_show_as_json():
    """For a program, a type is shown as its JSON Schema."""
    assert json.loads(run("show", "call.ended", "--json"))["title"] == "cx.call.ended.v1"


@pytest.mark.parametrize("name", TYPES)
def test_example_is_accepted(name: str):
    """The example is one line that the codec accepts."""
    output = run("example", name)
    found = decode_line(output)

    assert output.count("\n") == 1
    assert isinstance(found, Touchpoint)
    assert found.type == name


def test_example_indented():
    """The example can be read by a person."""
    assert json.loads(run("example", "call.ended", "--pretty")) == json.loads(run("example", "call.ended"))
    assert run("example", "call.ended", "--pretty").count("\n") > 10


def test_example_in_binary_mode():
    """The binary form shows key, headers and value that the codec accepts."""
    key, *headers, value = run("example", "call.ended", "--binary").splitlines()
    pairs = [line.removeprefix("header ").split(": ", 1) for line in headers]
    found = decode(
        value.removeprefix("value: ").encode(),
        key.removeprefix("key: ").encode(),
        [(name, content.encode()) for name, content in pairs],
    )

    assert found == decode_line(run("example", "call.ended"))


def test_nobody_sends_an_output():
    """There is no example of what the product writes, but its fields can be shown."""
    error = failed("example", "ScoreUpdated")

    assert "nobody sends one" in error.message
    assert (error.mend, error.code) == ("cx schema show ScoreUpdated", Exit.USAGE)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ScoreUpdate", "ScoreUpdated"),
        ("cal.ended", "cx.call.ended.v1"),
        ("cx.order.plcaed.v1", "cx.order.placed.v1"),
        ("zzz", "cx schema list"),
    ],
)
def test_unknown_type(name: str, hint: str):
    """A type that does not exist ends with exit code 2 and the nearest name."""
    for command in ("show", "example"):
        error = failed(command, name)
        assert error.code == Exit.USAGE
        assert hint in error.mend


def test_export(tmp_path: Path):
    """The documents are written into a folder that need not exist, again and again."""
    folder = tmp_path / "new"

    assert run("export", str(folder)) == f"{len(TYPES) + 6} documents in {folder}\n"
    assert run("export", str(folder)) == f"{len(TYPES) + 6} documents in {folder}\n"
    assert (folder / "asyncapi.yaml").is_file()


def test_export_refuses_a_break(tmp_path: Path):
    """Documents that would break those already there are not written unless asked for."""
    run("export", str(tmp_path))
    path = tmp_path / "json" / "cx.gone.away.v1.json"
    path.write_text("{}")

    error = failed("export", str(tmp_path))
    assert error.code == Exit.FINDING
    assert "cx.gone.away.v1 was removed" in error.message
    assert "documents" in run("export", str(tmp_path), "--breaking")


def test_export_into_a_file(tmp_path: Path):
    """A folder that cannot be made is named."""
    (tmp_path / "json").write_text("")

    error = failed("export", str(tmp_path))
    assert error.message.startswith(f"{tmp_path} cannot be written")
    assert error.code is Exit.USAGE
