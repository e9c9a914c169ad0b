"""`cx schema`: what a publisher sends and a reader gets, with an example of each type."""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich import box
from rich.table import Table

from schemas import export as contract
from schemas.codec import to_binary
from schemas.diagnosis import suggest
from schemas.touchpoints import TYPES, TypeInfo
from streams.cli.tables import print_tables
from streams.errors import CxError, Exit
from streams.routing import topic_for
from streams.topics import ACTIONS, ALERTS, DEAD_LETTERS, DELIVERY, INCIDENTS, INPUTS, SCORES, Topic

_BOTH_ENDS: Final = 2
_TELLING: Final = 1000
"""Bounds beyond are guards against nonsense and tell a reader nothing."""


@click.group()
def schema() -> None:
    """Types of touchpoints: their fields, a valid example, the documents of the contract."""


@schema.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON array instead of a table.")
def list_types(*, as_json: bool) -> None:
    """List every type with the topic it is usual on and its meaning."""
    if as_json:
        rows = [
            {"type": t.name, "topic": _topic(t), "channel": t.channel, "meaning": t.meaning}
            for t in TYPES.values()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("type", "topic", "channel", "meaning", box=box.SIMPLE)
    for info in TYPES.values():
        table.add_row(info.name, _topic(info), info.channel, info.meaning)
    print_tables(table)


@schema.command()
@click.argument("type_name", metavar="TYPE")
@click.option("--json", "as_json", is_flag=True, help="The JSON Schema instead of a table.")
def show(type_name: str, *, as_json: bool) -> None:
    """Show the fields of TYPE (or of ScoreUpdated, ChurnAlert, Incident, Settlement, Pauses)."""
    name = type_name if type_name in contract.OUTPUTS else _resolve(type_name)
    document = contract.json_schema(name)
    if as_json:
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    if name in TYPES:
        click.echo(f"{name}: {TYPES[name].meaning}")
    table = Table("field", "type", "", "meaning", box=box.SIMPLE)
    for row in field_rows(document):
        table.add_row(*row)
    print_tables(table)


@schema.command()
@click.argument("type_name", metavar="TYPE")
@click.option("--pretty", is_flag=True, help="Indented, instead of the one line that `cx check -` reads.")
@click.option("--binary", is_flag=True, help="As key, headers and value of CloudEvents' binary mode.")
def example(type_name: str, *, pretty: bool, binary: bool) -> None:
    """Print a valid event of TYPE."""
    if type_name in contract.OUTPUTS:
        msg = f"{type_name} is what the product writes: nobody sends one"
        raise CxError(msg, mend=f"cx schema show {type_name}", code=Exit.USAGE)
    name = _resolve(type_name)
    text = contract.example(name)
    if not binary:
        event = json.loads(text)
        click.echo(json.dumps(event, indent=2 if pretty else None, ensure_ascii=False))
        return
    touchpoint = msgspec.json.decode(text, type=TYPES[name].touchpoint)
    value, headers = to_binary(touchpoint)
    click.echo(f"key: {touchpoint.subject}")
    for header, content in headers:
        click.echo(f"header {header}: {content.decode()}")
    click.echo(f"value: {value.decode()}")


@schema.command("export")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--breaking", is_flag=True, help="Write even what breaks the documents that DIR holds.")
def export_documents(folder: Path, *, breaking: bool) -> None:
    """Write json/*.json and asyncapi.yaml into DIR, unless they would break those already there."""
    findings = [] if breaking else contract.broken(folder)
    if findings:
        msg = "the contract breaks what was published:\n" + "\n".join(f"  {line}" for line in findings)
        mend = "keep the field, or give the type a new major version beside the old one"
        raise CxError(msg, mend=mend, code=Exit.FINDING)
    try:
        paths = contract.write(folder, topic_docs())
    except OSError as error:
        msg = f"{folder} cannot be written: {error.strerror}"
        raise CxError(msg, mend="name a folder of your own", code=Exit.USAGE) from error
    click.echo(f"{len(paths)} documents in {folder}")


def topic_docs() -> list[contract.TopicDoc]:
    """Return the table of topics as the AsyncAPI document shows it."""
    inputs = [_topic_doc(topic, "actions" if topic is ACTIONS else "touchpoints") for topic in INPUTS]
    outputs = [
        _topic_doc(SCORES, "ScoreUpdated"),
        _topic_doc(ALERTS, "ChurnAlert"),
        _topic_doc(DEAD_LETTERS, "DeadLetter"),
        _topic_doc(INCIDENTS, "Incident"),
        _topic_doc(DELIVERY, "delivery"),
    ]
    return inputs + outputs


def field_rows(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the fields of a JSON Schema: path, type in words, "required" or nothing, meaning."""
    return list(_rows(document, document, ""))


def _rows(node: dict[str, Any], root: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    struct = _follow(node, root)
    required = struct.get("required", ())
    for name, field in struct["properties"].items():
        path = f"{prefix}{name}"
        inner = _follow(field, root)
        inner = _follow(inner["items"], root) if isinstance(inner.get("items"), dict) else inner
        meaning = field.get("description") or inner.get("description", "")
        null = " or null" if name in required and _nullable(field) else ""
        yield path, _words(field, root) + null, "required" if name in required else "", meaning
        if "properties" in inner:
            yield from _rows(inner, root, f"{path}.")


def _follow(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Return a field's schema behind references and without null."""
    if "$ref" in node:
        return _follow(root["$defs"][node["$ref"].rsplit("/", 1)[1]], root)
    options = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
    return _follow(options[0], root) if options else node


def _nullable(field: dict[str, Any]) -> bool:
    return any(option.get("type") == "null" for option in field.get("anyOf", ()))


def _words(field: dict[str, Any], root: dict[str, Any]) -> str:
    """Return a field's type and bounds in a few words."""
    kind = _follow(field, root)
    if "enum" in kind:
        return " | ".join(kind["enum"])
    if "items" in kind:
        return f"list of {_words(kind['items'], root)}"
    bounds = [kind[bound] for bound in ("minimum", "maximum") if bound in kind]
    telling = len(bounds) == _BOTH_ENDS and max(map(abs, bounds)) <= _TELLING
    span = f" {bounds[0]:g}..{bounds[1]:g}" if telling else ""
    return f"{kind.get('format', kind.get('type'))}{span}"


def _topic(info: TypeInfo) -> str:
    """Return the topic that an event of a type belongs on if it gives no channel."""
    return topic_for(info.name, None).name


def _topic_doc(topic: Topic, carries: contract.Carries) -> contract.TopicDoc:
    return contract.TopicDoc(topic.name, carries, topic.key, topic.config)


def _resolve(name: str) -> str:
    """Return the full name of a type given with or without `cx.` and `.v1`; CxError where there is none."""
    for candidate in (name, f"cx.{name}", f"{name}.v1", f"cx.{name}.v1"):
        if candidate in TYPES:
            return candidate
    near = get_close_matches(name, contract.OUTPUTS, n=1, cutoff=0.8)
    close = near[0] if near else suggest(name)
    mend = f"did you mean {close}? `cx schema list` has all types" if close else "cx schema list"
    msg = f"no type is named {name}"
    raise CxError(msg, mend=mend, code=Exit.USAGE)
