"""YAML as people mean it, each value with its line: the core schema of YAML 1.2.

PyYAML reads YAML 1.1, where `resolved: yes` is true, `010` is eight and a time becomes a date object. Here
only true, false, null and decimal numbers are more than text; a key given twice is an error.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from streams.errors import CxError, Exit, unreadable

MAX_NODES: Final = 200_000
"""Aliases may repeat nodes; a file that grows beyond this repeats itself without end."""
_INT: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None, "~": None, "": None}
_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
)


@dataclass(slots=True)
class YamlFile:
    """A file's content as plain values, and the line of each by its path: `tests[0].expect[1].band`."""

    name: str
    content: Any = None
    lines: dict[str, int] = field(default_factory=dict)

    def line(self, path: str) -> int:
        """Return the line of a path, or of the nearest value around it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)

    def refuse(self, *problems: tuple[str, str]) -> CxError:
        """Return the error that names each problem, given as (path, what is wrong), with its line."""
        told = "\n".join(f"  {self.name}:{self.line(path)}: {problem}" for path, problem in problems)
        mend = "docs/concepts.md, chapter Testing a policy, shows every key"
        return CxError(f"{self.name} is no file of policy tests:\n{told}", mend=mend, code=Exit.USAGE)


class _Refused(Exception):  # noqa: N818  # carries a message to `read_yaml`, which raises the error
    """A place and what is wrong there."""


def read_yaml(path: Path | str) -> YamlFile:
    """Read a YAML file; raises CxError (exit code 2) with the line where it is no YAML."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error, "give a YAML file, or a folder of them") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> YamlFile:
    """Return what `text` says; `name` stands for it in messages. Raises CxError as `read_yaml` does."""
    found = YamlFile(name)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        found.content = None if node is None else _Reader(found).value(node, "")
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        msg = f"{name}:{line}: not YAML: {error.problem or error.context}"
        raise CxError(msg, mend="mend the line", code=Exit.USAGE) from error
    except RecursionError as error:
        msg = f"{name}: an alias stands within what it names, or values are nested without end"
        raise CxError(msg, mend="write out what the alias stands for", code=Exit.USAGE) from error
    except yaml.YAMLError as error:
        msg = f"{name}: not YAML that can be read: {error}"
        raise CxError(msg, mend="save it as text without control characters", code=Exit.USAGE) from error
    except _Refused as error:
        msg = f"{name}:{error}"
        raise CxError(msg, mend="mend the line", code=Exit.USAGE) from error
    return found


class _Reader:
    """Turns nodes into values and notes their lines."""

    def __init__(self, file: YamlFile) -> None:
        self.lines = file.lines
        self.nodes = 0

    def value(self, node: yaml.Node, path: str) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self.nodes += 1
        if self.nodes > MAX_NODES:
            msg = f"{line}: more than {MAX_NODES} values; does an alias repeat itself?"
            raise _Refused(msg)
        if node.tag not in _TAGS:
            msg = f"{line}: tags such as {node.tag} mean nothing here"
            raise _Refused(msg)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        return _scalar(str(node.value), plain=isinstance(node, yaml.ScalarNode) and node.style is None)

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                msg = f"{line}: a key must be a word"
                raise _Refused(msg)
            key = str(key_node.value)
            if key in mapping:
                msg = f"{line}: key `{key}` is given twice"
                raise _Refused(msg)
            below = f"{path}.{key}" if path else key
            self.lines.setdefault(below, line)
            mapping[key] = self.value(value_node, below)
        return mapping


def _scalar(text: str, *, plain: bool) -> Any:
    """Return a plain scalar by the core schema, a quoted one as text."""
    if not plain:
        return text
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
