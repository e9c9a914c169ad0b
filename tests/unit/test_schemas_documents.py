"""The writer of YAML and the judge of breaking changes."""

from typing import Any

import pytest
import yaml

from schemas.compat import breaking_changes
from schemas.yaml import to_yaml

BEFORE: dict[str, Any] = {
    "$ref": "#/$defs/A",
    "$defs": {
        "A": {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string", "minLength": 1, "maxLength": 9},
                "kind": {"anyOf": [{"enum": ["x", "y"]}, {"type": "null"}]},
                "count": {"type": "integer", "minimum": 0, "maximum": 9},
                "free": {"type": "string"},
                "items": {"type": "array", "items": {"$ref": "#/$defs/B"}, "maxItems": 3},
            },
        },
        "B": {"type": "object", "properties": {"amount": {"type": "number"}}},
    },
}


def changed(name: str, **schema: Any) -> dict[str, Any]:
    """Return the schema with one field's schema replaced."""
    fields = {**BEFORE["$defs"]["A"]["properties"], name: schema}
    return {**BEFORE, "$defs": {**BEFORE["$defs"], "A": {**BEFORE["$defs"]["A"], "properties": fields}}}


def without(name: str) -> dict[str, Any]:
    """Return the schema without one field."""
    fields = {field: schema for field, schema in BEFORE["$defs"]["A"]["properties"].items() if field != name}
    return {**BEFORE, "$defs": {**BEFORE["$defs"], "A": {**BEFORE["$defs"]["A"], "properties": fields}}}


def requiring(*names: str) -> dict[str, Any]:
    """Return the schema with other fields required."""
    return {**BEFORE, "$defs": {**BEFORE["$defs"], "A": {**BEFORE["$defs"]["A"], "required": list(names)}}}


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        changed("new", type="string"),
        changed("kind", enum=["x", "y", "z"]),
        changed("kind", type="string"),
        changed("count", type="integer", minimum=-1),
        changed("free", type=["string", "null"]),
        requiring(),
    ],
)
def test_harmless_changes(after: dict[str, Any]):
    """New optional fields, new values and wider bounds break nobody."""
    assert breaking_changes(BEFORE, after) == []


@pytest.mark.parametrize(
    ("after", "finding"),
    [
        (without("free"), "$.free was removed"),
        (requiring("id", "free"), "$.free is newly required"),
        (changed("kind", enum=["x"]), "$.kind no longer takes the values y"),
        (changed("free", enum=["x"]), "$.free is newly closed"),
        (changed("free", type="integer"), "$.free no longer takes string"),
        (changed("free", type="string", pattern="^x"), "$.free has another pattern"),
        (changed("free", type="string", maxLength=4), "$.free has a lower maxLength"),
        (changed("count", type="integer", minimum=1, maximum=9), "$.count has a higher minimum"),
        (
            changed("items", type="array", items={"type": "object", "properties": {}}),
            "$.items[].amount was removed",
        ),
    ],
)
def test_breaking_changes(after: dict[str, Any], finding: str):
    """What a publisher's valid event may trip over is named by its path."""
    assert breaking_changes(BEFORE, after) == [finding]


def test_readers_need_every_field():
    """For a reader, a field that may newly be absent or null is a break, and a newly required one is not."""
    nullable = changed("id", anyOf=[{"type": "string", "minLength": 1, "maxLength": 9}, {"type": "null"}])

    assert breaking_changes(BEFORE, requiring(), published=True) == ["$.id may newly be absent"]
    assert breaking_changes(BEFORE, nullable, published=True) == ["$.id may newly be null"]
    assert breaking_changes(BEFORE, requiring("id", "free"), published=True) == []


@pytest.mark.parametrize(
    "value",
    [
        {"a": {"b": [1, 2.5, "x", None, True]}, "empty": {}, "none": [], "n": None},
        {"yes": "no", "on": "off", "null": "null", "3": "3", "~": "~", "1.0": "1e3"},
        {"colon: here": "a: b", "#": "# no comment", "quote": "'\"", "lines": "a\nb", "ü": "ß€😀"},
        {"$ref": "#/a/b", "cx.a.v1": "-", "list": [{"a": [1]}, "b: c"], "space": " x "},
    ],
)
def test_yaml_reads_back(value: dict[str, Any]):
    """What is written as YAML is read back as what it was."""
    assert yaml.safe_load(to_yaml(value)) == value
