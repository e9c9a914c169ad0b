"""A writer for the little YAML that the contract needs, so that nobody installs a library for it."""

import json
import re
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z_$][\w.$-]*")
_NOT_STRINGS: Final = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def to_yaml(document: dict[str, Any]) -> str:
    """Return nested dicts, lists, strings, numbers, booleans and None as YAML in block style."""
    return "\n".join(_mapping(document, 0)) + "\n"


def _mapping(mapping: dict[str, Any], depth: int) -> list[str]:
    lines: list[str] = []
    for key, value in mapping.items():
        lines += _entry(f"{'  ' * depth}{_scalar(key)}:", value, depth)
    return lines


def _sequence(items: list[Any], depth: int) -> list[str]:
    return [f"{'  ' * depth}- {json.dumps(item, ensure_ascii=False)}" for item in items]


def _entry(head: str, value: Any, depth: int) -> list[str]:
    if isinstance(value, dict) and value:
        return [head, *_mapping(value, depth + 1)]
    if isinstance(value, list) and value:
        return [head, *_sequence(value, depth + 1)]
    return [f"{head} {_scalar(value)}"]


def _scalar(value: Any) -> str:
    """Return a scalar (or an empty container); JSON is YAML, so only plain words lose their quotes."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _NOT_STRINGS:
        return value
    return json.dumps(value, ensure_ascii=False)
