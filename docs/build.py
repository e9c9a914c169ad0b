"""Write docs/reference.md from the code's own tables: python docs/build.py."""  # noqa: INP001  # a script

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import msgspec

from schemas import export
from schemas.rejects import DEAD_LETTER_HEADERS, REASONS
from schemas.touchpoints import TYPES
from schemas.tracing import TRACE_HEADERS
from streams.acls import acl_table
from streams.cli.main import COMMANDS, cx
from streams.cli.schema import field_rows
from streams.errors import Exit
from streams.observe.metrics import metrics_table
from streams.routing import topic_for
from streams.scoring.apply import Scorer
from streams.scoring.policy import Policy, default_policy
from streams.scoring.signals import intent_of
from streams.settings import settings_table
from streams.topics import TOPICS

PAGE = Path(__file__).with_name("reference.md")
MODULE = "the code's own tables: `python docs/build.py` writes it, a test compares it"
Row = Sequence[object]


def reference() -> str:
    """Return the whole page."""
    return "\n".join(
        [
            "# Reference",
            "",
            f"This page is generated from {MODULE}.",
            "Ideas and formulas are in [concepts.md](concepts.md), running it is in",
            "[operations.md](operations.md).",
            "",
            *_program(),
            *_events(),
            *_policies(),
            *_records(),
            *_operation(),
        ]
    )


def _program() -> Iterator[str]:
    yield from _section("Commands", "`cx COMMAND --help` shows every option.", _commands())
    yield from _section("Exit codes", "Of every `cx` command.", _exit_codes())
    yield from _section(
        "Topics",
        "`cx topics create` makes them, with equal partition counts, inputs with `retention_days`.",
        _topics(),
    )


def _events() -> Iterator[str]:
    yield from _section(
        "Envelope",
        "CloudEvents 1.0, as one JSON object or in Kafka's binary mode (`ce_*` headers). "
        "Unknown attributes are ignored.",
        _envelope(),
    )
    yield from _section(
        "Touchpoint types",
        "`cx schema show TYPE` has the fields, `cx schema example TYPE` a valid event. The last "
        "column is what that example says: its signals and declared intents.",
        _types(),
    )


def _policies() -> Iterator[str]:
    yield from _section(
        "Drivers",
        "The default policy: `v` is how the moment felt (0 to 100), `w` how much it matters. "
        "Every number is a prior, meant to be replaced by your own. In a policy file the table of a driver "
        "is `[drivers.NAME]`, with the keys `value` (`v`), `weight` (`w`), `service` (true: it counts in "
        "both ledgers), `group`, `severity_floor`, `owner` and `reason`; what it leaves out stays as it is.",
        _drivers(),
    )
    yield from _section(
        "Policy", "All other numbers of the default policy; `cx policy show` prints them.", _policy()
    )


def _records() -> Iterator[str]:
    yield from _section(
        "Reject reasons",
        "A closed set: the same word is the metric's label and the dead letter's header.",
        _reasons(),
    )
    yield from _section(
        "Dead-letter headers",
        "Value, key and headers of a dead letter are the original's bytes; these headers are added.",
        _headers(DEAD_LETTER_HEADERS),
    )
    yield from _section(
        "Trace headers",
        "Optional, on touchpoints; the steps of an alert have those of the event that raised them.",
        _headers(TRACE_HEADERS),
    )
    for name in export.OUTPUTS:
        yield from _output(name)


def _operation() -> Iterator[str]:
    yield from _section(
        "Settings",
        "The later one wins: default, `cx.toml`, environment, option of the command. `cx.toml` is looked for "
        "in the folder where the command starts; the option `--config`, else `CX_CONFIG`, names another "
        "file. It has a line a setting, such as `partitions = 12`, and no tables. One more variable is no "
        "setting: `CX_KAFKA_HOME` names an unpacked Kafka 4 for the local Kafka, instead of "
        "one that Maven fetches.",
        settings_table().splitlines(),
    )
    yield from _section(
        "Rights",
        "What each role may do on Kafka, and nothing beyond; `cx topics acls` prints the commands.",
        acl_table().splitlines(),
    )
    yield from _section("Metrics", "Served at `/metrics` on `metrics_port`.", metrics_table().splitlines())


def _section(title: str, intro: str, table: Iterable[str]) -> Iterator[str]:
    yield from (f"## {title}", "", intro, "", *table, "")


def _table(head: Row, rows: Iterable[Row]) -> Iterator[str]:
    yield _line(head)
    yield "|" + "---|" * len(head)
    yield from map(_line, rows)


def _line(cells: Row) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _commands() -> Iterator[str]:
    context = click.Context(cx, info_name="cx")
    return _table(("command", "what it does"), _leaves(cx, "cx", context))


def _leaves(command: click.Command, name: str, context: click.Context) -> Iterator[Row]:
    """Yield each command that can be run; `cx` knows its own by name before they are imported."""
    if not isinstance(command, click.Group):
        yield f"`{name}`", command.get_short_help_str(limit=200)
        return
    for inner in COMMANDS if command is cx else command.list_commands(context):
        found = command.get_command(context, inner)
        if found is not None:
            yield from _leaves(found, f"{name} {inner}", context)


def _exit_codes() -> Iterator[str]:
    """Return the codes with the line of text that follows each in the source."""
    [definition] = ast.parse(inspect.getsource(Exit)).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    meanings = {
        assigned.targets[0].id: text.value.value
        for assigned, text in pairwise(body)
        if isinstance(assigned, ast.Assign) and isinstance(assigned.targets[0], ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }
    rows = ((code.value, code.name, meanings.get(code.name, "Done.")) for code in Exit)
    return _table(("code", "name", "meaning"), rows)


def _topics() -> Iterator[str]:
    rows = (
        (
            f"`{topic.name}`",
            topic.role.value,
            topic.key,
            topic.value,
            ", ".join(f"`{key}={value}`" for key, value in topic.config.items()),
        )
        for topic in TOPICS
    )
    return _table(("topic", "role", "key", "value", "created with"), rows)


def _envelope() -> Iterator[str]:
    """Return the attributes of the envelope: what any type's own schema says, but for type and data."""
    own = {"type": ("one of the types below", "What happened."), "data": ("object", "The type's own fields.")}
    rows = []
    for path, kind, needed, meaning in field_rows(export.json_schema("cx.page.viewed.v1")):
        if "." not in path:
            shown, says = own.get(path, (kind, meaning))
            rows.append((f"`{path}`", shown, needed, says))
    return _table(("attribute", "type", "", "meaning"), rows)


def _types() -> Iterator[str]:
    scorer = Scorer(default_policy())
    rows = []
    for info in TYPES.values():
        event = msgspec.json.decode(export.example(info.name), type=info.touchpoint)
        _, _, signals = scorer.read(event)
        said = [f"`{signal.driver}`" for signal in signals]
        if (intent := intent_of(event)) is not None:
            said.append(f"intent `{intent.name.lower()}`")
        topic = topic_for(info.name, None).name
        rows.append(
            (f"`{info.name}`", info.channel, f"`{topic}`", info.meaning, ", ".join(said) or "neutral")
        )
    return _table(("type", "usual channel", "topic", "meaning", "its example says"), rows)


def _drivers() -> Iterator[str]:
    rows = (
        (
            f"`{name}`",
            f"{driver.value:g}",
            f"{driver.weight:g}",
            "both" if driver.service else "experience",
            driver.group,
            driver.severity_floor if driver.severity_floor != "low" else "",
            driver.owner,
            driver.reason,
        )
        for name, driver in default_policy().drivers.items()
    )
    return _table(("driver", "v", "w", "ledger", "group", "severity at least", "owner", "reason"), rows)


def _policy() -> Iterator[str]:
    policy = default_policy()
    tables: dict[str, Any] = msgspec.to_builtins(policy)
    names = (name for name in Policy.__struct_fields__ if name != "drivers")
    rows: Iterator[Row] = (row for name in names for row in _keys(name, tables[name]))
    return _table(("key", "default"), rows)


def _keys(name: str, value: object) -> Iterator[Row]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _keys(f"{name}.{key}", inner)
    else:
        yield f"`{name}`", _value(value)


def _value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_value, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _reasons() -> Iterator[str]:
    rows = ((f"`{reason.value}`", info.meaning, info.mend) for reason, info in REASONS.items())
    return _table(("reason", "meaning", "mend"), rows)


def _headers(headers: Mapping[str, str]) -> Iterator[str]:
    return _table(("header", "meaning"), ((f"`{name}`", meaning) for name, meaning in headers.items()))


def _output(name: str) -> Iterator[str]:
    rows = ((f"`{path}`", kind, meaning) for path, kind, _, meaning in field_rows(export.json_schema(name)))
    meaning = inspect.cleandoc(export.OUTPUTS[name].__doc__ or "")
    return _section(name, meaning, _table(("field", "type", "meaning"), rows))


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
