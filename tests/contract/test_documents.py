"""The checked-in documents of the contract are those of the code, and break nobody."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from schemas import export
from schemas.codec import decode_line
from schemas.codec import encode as encode_touchpoint
from schemas.envelope import Touchpoint
from schemas.fields import Data
from schemas.touchpoints import TYPES
from streams.cli.schema import topic_docs
from streams.routing import topic_for
from streams.topics import INPUTS, TOPICS

FOLDER = Path(export.__file__).parent
NAMES = [*TYPES, *export.OUTPUTS]


def document(name: str) -> dict[str, Any]:
    """Return a checked-in JSON Schema."""
    loaded: dict[str, Any] = json.loads((FOLDER / "json" / f"{name}.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    """Return the checked-in AsyncAPI document."""
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())
    return loaded


def test_checked_in_documents_are_the_codes(tmp_path: Path):
    """An export into an empty folder gives the checked-in files: mend with `cx schema export schemas`."""
    export.write(tmp_path, topic_docs())
    written = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.*")}
    kept = {path.relative_to(FOLDER): path.read_text() for path in (FOLDER / "json").iterdir()}

    assert written == {**kept, Path("asyncapi.yaml"): (FOLDER / "asyncapi.yaml").read_text()}


def test_the_code_breaks_nothing_published():
    """No field was removed, none is newly required and no value was removed since the checked-in schemas."""
    assert export.broken(FOLDER) == []


def test_a_break_is_found(tmp_path: Path):
    """A field or a type that the published schemas had and the code has not is named."""
    export.write(tmp_path, topic_docs())
    path = tmp_path / "json" / "cx.page.viewed.v1.json"
    old = json.loads(path.read_text())
    old["$defs"]["PageViewedData"]["properties"]["colour"] = {"type": "string"}
    path.write_text(json.dumps(old))
    (tmp_path / "json" / "cx.page.printed.v1.json").write_text("{}")

    assert export.broken(tmp_path) == [
        "cx.page.viewed.v1: $.data.colour was removed",
        "cx.page.printed.v1 was removed",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_documents_are_json_schema(name: str):
    """Each document is a valid JSON Schema in which every field has a meaning."""
    schema = document(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    for struct in schema["$defs"].values():
        for field, kind in struct["properties"].items():
            assert field in {"type", "data"} or kind.get("description"), f"{struct['title']}.{field}"


@pytest.mark.parametrize("name", TYPES)
def test_golden_example(name: str):
    """Each type has one example that decodes, is valid by its schema and shows the fields of its own."""
    text = (FOLDER / "examples" / f"{name}.json").read_bytes()
    event = json.loads(text)
    found = decode_line(text)

    assert isinstance(found, Touchpoint), found.detail
    assert found.type == name
    assert found.time.year == 2026
    assert export.example(name) == text
    jsonschema.Draft202012Validator(document(name)).validate(event)
    assert event["data"].keys() <= set(TYPES[name].data.__struct_fields__), (
        "an example sends no unknown field"
    )
    assert set(event) <= {"type", *TYPES[name].touchpoint.__struct_fields__}
    own = set(TYPES[name].data.__struct_fields__) - set(Data.__struct_fields__)
    assert own <= {*event["data"], *_ALTERNATIVES.get(name, ())}, "an example shows every field of its own"
    assert decode_line(encode_touchpoint(found)) == found


_ALTERNATIVES = {
    "cx.order.cancelled.v1": {"requested_at"},
    "cx.promise.made.v1": {"due_at"},
    "cx.help.searched.v1": {"opened_at"},
    "cx.ticket.created.v1": {"first_reply", "full_resolution"},
    "cx.ticket.replied.v1": {"reopens", "full_resolution", "sentiment"},
    "cx.ticket.solved.v1": {"sentiment"},
    "cx.ticket.reopened.v1": {"first_reply", "full_resolution"},
    "cx.ticket.escalated.v1": {"replies", "first_reply", "full_resolution", "sentiment"},
}
"""Fields that would contradict the example's story."""


def test_each_example_has_a_type():
    """No example is left behind by a type that went, and ids are unique."""
    paths = sorted((FOLDER / "examples").iterdir())

    assert sorted(path.stem for path in paths) == sorted(TYPES)
    assert len({json.loads(path.read_text())["id"] for path in paths}) == len(paths)


@pytest.mark.parametrize("name", TYPES)
def test_schema_wants_somebody(name: str):
    """An event about nobody is invalid by the schema too."""
    event = json.loads(export.example(name))
    del event["subject"]
    validator = jsonschema.Draft202012Validator(document(name))

    assert not validator.is_valid(event)
    assert validator.is_valid(event | {"anonymousid": "visitor-7"})


@pytest.mark.parametrize("name", TYPES)
def test_family_is_the_topic(name: str):
    """The family of a type names the topic that routing gives an event without a channel."""
    assert topic_for(name, None).name in {f"cx.touchpoints.{TYPES[name].family}", f"cx.{TYPES[name].family}"}


class TestAsyncApi:
    """The document has the structure of AsyncAPI 3.0, and every reference leads somewhere."""

    def test_is_complete(self, asyncapi: dict[str, Any]):
        """Every topic is a channel with one operation, received or sent."""
        assert asyncapi["asyncapi"] == "3.0.0"
        assert set(asyncapi) == {
            "asyncapi",
            "info",
            "defaultContentType",
            "channels",
            "operations",
            "components",
        }
        assert {"title", "version"} <= set(asyncapi["info"])
        assert list(asyncapi["channels"]) == [topic.name for topic in TOPICS]
        actions = {op["channel"]["$ref"]: op["action"] for op in asyncapi["operations"].values()}
        assert actions == {
            f"#/channels/{topic.name}": "receive" if topic in INPUTS else "send" for topic in TOPICS
        }

    def test_references_resolve(self, asyncapi: dict[str, Any]):
        """Each reference within the document, and each to a schema beside it, has a target."""
        found = list(references(asyncapi))
        for reference in found:
            if reference.startswith("#/"):
                here = asyncapi
                for step in reference[2:].split("/"):
                    here = here[step]
            else:
                assert (FOLDER / reference).is_file()

        assert {f"./json/{name}.json" for name in NAMES} <= set(found)

    def test_messages_are_used(self, asyncapi: dict[str, Any]):
        """Every message is carried by a channel, and says what it is."""
        carried = {name for channel in asyncapi["channels"].values() for name in channel["messages"]}

        assert carried == set(asyncapi["components"]["messages"])
        assert all(message["summary"] for message in asyncapi["components"]["messages"].values())

    def test_who_carries_a_trace(self, asyncapi: dict[str, Any]):
        """Touchpoints and alerts may have the headers of W3C Trace Context; no other message has."""
        messages = asyncapi["components"]["messages"]
        traced = {name for name, message in messages.items() if "traits" in message}
        headers = asyncapi["components"]["messageTraits"]["traced"]["headers"]

        assert traced == {*TYPES, "ChurnAlert"}
        assert set(headers["properties"]) == {"traceparent", "tracestate"}
        assert "required" not in headers

    def test_topic_configuration(self, asyncapi: dict[str, Any]):
        """A topic's configuration is shown as the Kafka binding types it."""
        alerts = asyncapi["channels"]["cx.alerts"]["bindings"]["kafka"]["topicConfiguration"]

        assert alerts["cleanup.policy"] == ["compact", "delete"]
        assert alerts["retention.ms"] == 180 * 86_400_000


def references(node: object) -> list[str]:
    """Return the targets of all references within."""
    if isinstance(node, list):
        return [target for item in node for target in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if "$ref" in node else []
    return own + [target for value in node.values() for target in references(value)]
