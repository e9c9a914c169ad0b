"""A policy as TOML: only what differs from the default."""

from collections.abc import Iterator
from typing import Any

import msgspec

from streams.scoring.policy import Policy, default_policy

Tables = dict[str, Any]


def policy_toml(policy: Policy, heading: str) -> str:
    """Return the text of a policy file that `load_policy` reads back as `policy`."""
    changed = _changed(msgspec.to_builtins(policy), msgspec.to_builtins(default_policy()))
    lines = [f"# {line}" for line in heading.splitlines()]
    return "\n".join([*lines, "", *_table(changed, "")]) + "\n"


def _changed(found: Tables, default: Tables) -> Tables:
    changed: Tables = {}
    for key, value in found.items():
        before = default.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := _changed(value, before):
                changed[key] = inner
        elif value != before:
            changed[key] = value
    return changed


def _table(table: Tables, path: str) -> Iterator[str]:
    """Yield the lines of a table: its values first, then the tables in it."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    if path and plain:
        yield f"[{path}]"
    for key, value in plain.items():
        yield f"{key} = {_value(value)}"
    if plain:
        yield ""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _table(value, f"{path}.{_key(key)}" if path else _key(key))


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else _value(name)


def _value(value: Any) -> str:
    """Return a value in TOML; what JSON and TOML write alike is written by the JSON encoder."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    return msgspec.json.encode(value).decode()
