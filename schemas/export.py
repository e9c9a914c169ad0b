"""The contract as documents: JSON Schema, AsyncAPI 3 and golden examples, generated from the Structs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from schemas.compat import breaking_changes
from schemas.deliveries import Pauses, Settlement
from schemas.outputs import ChurnAlert, Incident, ScoreUpdated
from schemas.rejects import DEAD_LETTER_HEADERS, REASONS, RejectReason
from schemas.touchpoints import TYPES
from schemas.tracing import PARENT, STATE, TRACE_HEADERS
from schemas.yaml import to_yaml

CONTRACT_VERSION: Final = "1.0.0"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
OUTPUTS: Final[dict[str, type[msgspec.Struct]]] = {
    "ScoreUpdated": ScoreUpdated,
    "ChurnAlert": ChurnAlert,
    "Incident": Incident,
    "Settlement": Settlement,
    "Pauses": Pauses,
}
DEAD_LETTER: Final = "DeadLetter"
TRACED: Final = "traced"
Carries = Literal[
    "touchpoints", "actions", "ScoreUpdated", "ChurnAlert", "DeadLetter", "Incident", "delivery"
]


@dataclass(frozen=True, slots=True)
class TopicDoc:
    """A topic as the AsyncAPI document shows it; `config` is what the topic is created with."""

    name: str
    carries: Carries
    key: str
    config: Mapping[str, str]


def json_schema(name: str) -> dict[str, Any]:
    """Return the self-contained JSON Schema of a touchpoint type or an output; KeyError for no such name."""
    head = {"$schema": DIALECT, "$id": f"{name}.json", "title": name}
    if name in TYPES:
        # What the Structs leave to the codec: an event is about a customer or about a visitor not yet known.
        known = {"anyOf": [{"required": ["subject"]}, {"required": ["anonymousid"]}]}
        return {**head, **msgspec.json.schema(TYPES[name].touchpoint), **known}
    schema = msgspec.json.schema(OUTPUTS[name])
    for struct in schema["$defs"].values():
        struct["required"] = list(struct["properties"])  # an output is written with all its fields
    return {**head, **schema}


def documents() -> dict[str, str]:
    """Return all JSON Schemas by their path within an export, as text."""
    return {
        f"json/{name}.json": json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n"
        for name in (*TYPES, *OUTPUTS)
    }


def example(name: str) -> bytes:
    """Return the golden example of a touchpoint type as the bytes of one indented JSON object."""
    return files("schemas").joinpath("examples", f"{name}.json").read_bytes()


def asyncapi(topics: Sequence[TopicDoc]) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document; its payloads refer to the JSON Schemas beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "cx-signals",
            "version": CONTRACT_VERSION,
            "description": "Touchpoints of customers in; explained experience scores and churn alerts out. "
            "Events are CloudEvents 1.0 in JSON, structured or in Kafka's binary mode, keyed by `subject`. "
            "An input topic takes every type: the lists below say what is usual there.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in topics},
        "operations": {_operation_id(topic): _operation(topic) for topic in topics},
        "components": {"messages": _messages(), "messageTraits": {TRACED: _traced()}},
    }


def broken(folder: Path) -> list[str]:
    """Return, one line each, how the contract breaks the JSON Schemas that `folder` holds from before."""
    findings: list[str] = []
    for name in (*TYPES, *OUTPUTS):
        path = folder / "json" / f"{name}.json"
        if path.exists():
            old = json.loads(path.read_text(encoding="utf-8"))
            changes = breaking_changes(old, json_schema(name), published=name in OUTPUTS)
            findings += [f"{name}: {change}" for change in changes]
    kept = {f"{name}.json" for name in (*TYPES, *OUTPUTS)}
    gone = sorted(path for path in (folder / "json").glob("*.json") if path.name not in kept)
    return findings + [f"{path.stem} was removed" for path in gone]


def write(folder: Path, topics: Sequence[TopicDoc]) -> list[Path]:
    """Write the JSON Schemas and asyncapi.yaml into `folder` and return their paths. OSError if it cannot."""
    texts = {**documents(), "asyncapi.yaml": to_yaml(asyncapi(topics))}
    (folder / "json").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _names(topic: TopicDoc) -> list[str]:
    """Return the messages a topic carries: a touchpoint may be on the topic of any channel it happens on."""
    if topic.carries == "touchpoints":
        return [info.name for info in TYPES.values() if info.family != "actions"]
    if topic.carries == "actions":
        return [info.name for info in TYPES.values() if info.family == "actions"]
    return ["Settlement", "Pauses"] if topic.carries == "delivery" else [topic.carries]


def _is_input(topic: TopicDoc) -> bool:
    return topic.carries in {"touchpoints", "actions"}


def _channel(topic: TopicDoc) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"Keyed by {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(topic)},
        "bindings": {"kafka": {"topic": topic.name, "topicConfiguration": _topic_config(topic.config)}},
    }


def _topic_config(config: Mapping[str, str]) -> dict[str, Any]:
    """Return a topic's configuration as the Kafka binding types it: a list of policies, else numbers."""
    typed: dict[str, Any] = {}
    for key, value in config.items():
        typed[key] = value.split(",") if key == "cleanup.policy" else int(value) if value.isdigit() else value
    return typed


def _operation_id(topic: TopicDoc) -> str:
    return f"{'receive' if _is_input(topic) else 'send'}-{topic.name}"


def _operation(topic: TopicDoc) -> dict[str, Any]:
    return {
        "action": "receive" if _is_input(topic) else "send",
        "channel": {"$ref": f"#/channels/{topic.name}"},
    }


def _messages() -> dict[str, Any]:
    messages: dict[str, Any] = {
        info.name: {
            "name": info.name,
            "summary": info.meaning,
            "contentType": "application/cloudevents+json",
            "payload": {"$ref": f"./json/{info.name}.json"},
            "traits": [{"$ref": f"#/components/messageTraits/{TRACED}"}],
            "bindings": {"kafka": {"key": {"type": "string", "description": "The bytes of `subject`."}}},
        }
        for info in TYPES.values()
    }
    for name, struct in OUTPUTS.items():
        summary = (struct.__doc__ or "").splitlines()[0]
        messages[name] = {"name": name, "summary": summary, "payload": {"$ref": f"./json/{name}.json"}}
    messages["ChurnAlert"]["traits"] = [{"$ref": f"#/components/messageTraits/{TRACED}"}]
    messages[DEAD_LETTER] = _dead_letter()
    return messages


def _traced() -> dict[str, Any]:
    """Return the headers that a touchpoint may have, and an alert has of the event that raised it."""
    properties: dict[str, Any] = {
        name: {"type": "string", "description": meaning} for name, meaning in TRACE_HEADERS.items()
    }
    return {
        "headers": {
            "type": "object",
            "properties": properties,
            "dependencies": {STATE: [PARENT]},
        }
    }


def _dead_letter() -> dict[str, Any]:
    headers: dict[str, Any] = {
        name: {"type": "string", "description": meaning} for name, meaning in DEAD_LETTER_HEADERS.items()
    }
    headers["cx-reason"]["enum"] = [reason.value for reason in RejectReason]
    return {
        "name": DEAD_LETTER,
        "summary": "A rejected record: key, value and headers are the original's bytes.",
        "description": "\n".join(f"{reason}: {info.meaning}" for reason, info in REASONS.items()),
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "required": list(headers), "properties": headers},
        "payload": {"type": "string", "format": "binary"},
    }
