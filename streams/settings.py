"""The one table of settings. Values come from: defaults < `cx.toml` < `CX_*` environment < flags."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from streams.errors import CxError, Exit, unreadable

DEFAULT_FILE = "cx.toml"
CONFIG_VARIABLE = "CX_CONFIG"
NOT_SETTINGS = frozenset({CONFIG_VARIABLE, "CX_KAFKA_HOME", "CX_TEST_KAFKA"})
MIB = 1 << 20
TOPIC_CHARACTERS = "[a-zA-Z0-9._-]"
CUSTOMER_ID = "{customer_id}"
KIND_WORDS: dict[Any, str] = {int: "a whole number", float: "a number", str: "a text"}


def _setting(
    default: Any,
    meaning: str,
    *,
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str = "",
) -> Any:
    """Declare a setting: its default, what it means, and the values it may have (both ends included)."""
    return field(
        default=default,
        metadata={
            "meaning": meaning,
            "unit": unit,
            "ge": ge,
            "le": le,
            "choices": choices,
            "pattern": pattern,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a worker and of the commands beside it.

    A name that ends in `_file` names a file; `read_secret` reads one whose content is a secret.
    """

    bootstrap_servers: str = _setting("127.0.0.1:9092", "Addresses of the brokers, comma-separated.")
    security_protocol: str = _setting(
        "PLAINTEXT",
        "How brokers are spoken to; SSL is TLS, SASL is a user with a password.",
        choices=("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    )
    sasl_mechanism: str = _setting(
        "SCRAM-SHA-512",
        "How the password is shown; PLAIN needs SASL_SSL.",
        choices=("SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"),
    )
    sasl_username: str = _setting("", "User towards the brokers.")
    sasl_password_file: str = _setting("", "File of that user's password.")
    ssl_cafile: str = _setting("", "PEM file of the authorities that sign brokers; empty: the system's.")
    ssl_certfile: str = _setting("", "PEM file of the certificate that is shown to brokers (mTLS).")
    ssl_keyfile: str = _setting("", "PEM file of its key; empty: it is in ssl_certfile.")
    ssl_key_password_file: str = _setting("", "File of the password that opens the key.")
    topic_prefix: str = _setting("", "Put before the name of every topic.", pattern=f"{TOPIC_CHARACTERS}*")
    app_id: str = _setting(
        "cx-signals",
        "Name of the consumer group, the changelog and the transactions.",
        pattern=f"{TOPIC_CHARACTERS}+",
    )
    partitions: int = _setting(4, "Partitions of every topic when it is created.", ge=1, le=10_000)
    replication_factor: int = _setting(1, "Copies of every topic when it is created.", ge=1, le=32)
    retention_days: int = _setting(
        0,
        "Days for which inputs are kept when they are created; 0: as long as the policy's memory reaches.",
        unit="d",
        ge=0,
        le=36_500,
    )
    policy: str = _setting("", "Path of the policy file; empty: the default policy.")
    clock: str = _setting(
        "wall",
        "What the sweep takes for now: the wall clock, or the newest event time (demos, data sets).",
        choices=("wall", "event"),
    )
    sweep_interval_s: float = _setting(
        900.0, "Time in which every customer is looked at once for silence and deadlines.", unit="s", ge=0.05
    )
    session_timeout_s: float = _setting(
        10.0, "A worker silent for longer loses its partitions.", unit="s", ge=6, le=1800
    )
    heartbeat_interval_s: float = _setting(
        3.0, "Time between two signs of life to the broker.", unit="s", ge=1, le=3
    )
    rebalance_timeout_s: float = _setting(
        30.0, "Time in which every worker has to join a rebalance.", unit="s", ge=1, le=3600
    )
    transaction_timeout_s: float = _setting(
        15.0, "The broker aborts a transaction left open for longer.", unit="s", ge=1, le=900
    )
    static_id: str = _setting(
        "", "Static member name of this worker, for quick restarts; empty: a new member at each start."
    )
    metrics_host: str = _setting("127.0.0.1", "Address on which metrics and health are served.")
    api_token_file: str = _setting(
        "", "File of the token that callers must show; needed where metrics_host is not loopback."
    )
    metrics_port: int = _setting(
        9464, "Port on which metrics and health are served; 0: a free one.", ge=0, le=65535
    )
    routes: str = _setting("", "Path of the routes file of `cx deliver`: who is told of which alert.")
    ready_lag_s: float = _setting(
        0.0,
        "A worker that is further behind answers /readyz with 503, and so does a delivery that heard of no "
        "broker for so long; 0: neither does.",
        unit="s",
        ge=0,
    )
    deliver_metrics_port: int = _setting(
        9465, "Port on which `cx deliver` serves metrics and health; 0: a free one.", ge=0, le=65535
    )
    max_customers: int = _setting(
        2_000_000, "Customers kept a partition; events of new ones beyond it are rejected.", ge=1
    )
    forget_key_file: str = _setting(
        "",
        "File of the key by which forgotten customers are remembered without their ids; the same on every "
        "worker, and never changed.",
    )
    data_dir: str = _setting(
        "", "Folder for Faust's own files; empty: APP_ID-data in the folder where the worker starts."
    )
    chunk_records: int = _setting(
        2000, "Most records of a chunk; a partition where so many wait is behind.", ge=1, le=1_000_000
    )
    chunk_bytes: int = _setting(4 * MIB, "Most bytes of a chunk.", unit="bytes", ge=1024)
    queue_bytes: int = _setting(64 * MIB, "Most bytes fetched and not yet scored.", unit="bytes", ge=MIB)
    link_template: str = _setting(
        "", "Address of a customer in your own system, with {customer_id}; put into alerts."
    )
    log_key_file: str = _setting(
        "",
        "File of the key by which customer ids are made pseudonyms in logs; empty: a random one a process.",
    )
    log_level: str = _setting(
        "info", "Least grave line that is logged.", choices=("debug", "info", "warning", "error")
    )
    log_format: str = _setting(
        "auto", "How lines are logged; auto: text on a terminal, else json.", choices=("auto", "text", "json")
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            _check_range(each, getattr(self, each.name), each.name)
        if self.session_timeout_s < 3 * self.heartbeat_interval_s:
            # Kafka's own advice: a worker must be able to lose two heartbeats and keep its partitions.
            msg = (
                f"session_timeout_s {self.session_timeout_s:g} is shorter than three times "
                f"heartbeat_interval_s {self.heartbeat_interval_s:g}"
            )
            raise _usage(msg, f"set heartbeat_interval_s to {self.session_timeout_s / 3:g} or less")
        if self.link_template and CUSTOMER_ID not in self.link_template:
            msg = f"link_template {self.link_template} names no customer: every alert would have one address"
            raise _usage(msg, f"write {CUSTOMER_ID} where the id goes: https://crm.example.com/{CUSTOMER_ID}")


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    env: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Return the settings after all sources were read; a flag that is None was not given.

    `file` None reads the file named by CX_CONFIG, else `cx.toml` where there is one. Raises `CxError` (exit
    code 2) naming the source, the setting and what it may be.
    """
    env = os.environ if env is None else env
    values = _from_file(file, env) | _from_env(env) | _from_flags(flags or {})
    return Settings(**values)


def read_secret(path: str) -> str:
    """Return the content of a secret's file without white space around it; empty where `path` is empty.

    Raises `CxError` (exit code 2) where it cannot be read.
    """
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        mend = "name the file that holds the secret, or make it"
        raise unreadable(path, error, mend, what="the secret's file") from error


def settings_table() -> str:
    """Return the table of settings as Markdown, for the reference."""
    lines = ["| setting | environment | default | unit | meaning |", "|---|---|---|---|---|"]
    for each in fields(Settings):
        choices = " | ".join(each.metadata["choices"])
        meaning = each.metadata["meaning"] + (f" One of: `{choices}`." if choices else "")
        cells = (f"`{each.name}`", f"`{variable(each.name)}`", f"`{each.default!r}`", each.metadata["unit"])
        lines.append("| " + " | ".join((*cells, meaning.replace("|", "\\|"))) + " |")
    return "\n".join(lines) + "\n"


def variable(name: str) -> str:
    """Return the environment variable of the setting `name`."""
    return f"CX_{name.upper()}"


def _from_file(file: Path | None, env: Mapping[str, str]) -> dict[str, Any]:
    named = file or (Path(env[CONFIG_VARIABLE]) if env.get(CONFIG_VARIABLE) else None)
    path = named or Path(DEFAULT_FILE)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        if named is None and isinstance(error, FileNotFoundError):
            return {}
        mend = "name a TOML file of settings, or none"
        raise unreadable(path, error, mend, what="the settings file") from error
    except tomllib.TOMLDecodeError as error:
        msg = f"{path} is not TOML: {error}"
        raise _usage(msg, f"mend {path} at the line named") from error
    return {key: _typed(_known(key, f"{path}: "), value, f"{path}: {key}") for key, value in table.items()}


def _from_env(env: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for name in _BY_NAME:
        if (text := env.get(variable(name))) is not None:
            values[name] = _parsed(name, text, variable(name))
    for key in env.keys() - {variable(name) for name in _BY_NAME} - NOT_SETTINGS:
        # Other programs may have variables with this prefix: only a near miss is taken for a typo.
        if key.startswith("CX_") and (near := _near(key.removeprefix("CX_").lower(), cutoff=0.85)):
            msg = f"unknown variable {key}, did you mean {variable(near)}?"
            raise _usage(msg, f"unset {key}, or set {variable(near)}")
    return values


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in flags.items() if value is not None}
    return {
        name: _typed(_known(name, "flags: "), value, f"--{name.replace('_', '-')}")
        for name, value in given.items()
    }


def _known(key: str, source: str) -> str:
    if key in _BY_NAME:
        return key
    near = _near(key)
    hint = f", did you mean `{near}`?" if near else ""
    msg = f"{source}unknown setting `{key}`{hint}"
    raise _usage(msg, f"use `{near}`" if near else "see docs/reference.md for all settings")


def _near(key: str, cutoff: float = 0.6) -> str | None:
    return next(iter(difflib.get_close_matches(key, _BY_NAME, n=1, cutoff=cutoff)), None)


def _typed(name: str, value: Any, where: str) -> Any:
    """Return a value that already has a type; text is parsed only where the setting is text."""
    kind = _BY_NAME[name].type
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise _wrong(name, value, where)
    _check_range(_BY_NAME[name], value, where)
    return value


def _parsed(name: str, text: str, where: str) -> Any:
    kind: Any = _BY_NAME[name].type
    try:
        value = kind(text)
    except ValueError:
        raise _wrong(name, text, where) from None
    _check_range(_BY_NAME[name], value, where)
    return value


def _wrong(name: str, value: Any, where: str) -> CxError:
    each = _BY_NAME[name]
    return _usage(f"{where} must be {KIND_WORDS[each.type]}, not {value!r}", f"for example {each.default!r}")


def _check_range(each: "Field[Any]", value: Any, where: str) -> None:
    if problem := _problem(each.metadata, value):
        msg = f"{where} must {problem}, not {value!r}"
        raise _usage(msg, f"for example {each.default!r}")


def _problem(rules: Mapping[str, Any], value: Any) -> str:
    ge, le = rules["ge"], rules["le"]
    if rules["choices"] and value not in rules["choices"]:
        return f"be one of {', '.join(rules['choices'])}"
    if rules["pattern"] and re.fullmatch(rules["pattern"], value) is None:
        return f"match {rules['pattern']}"
    # Not < and >: NaN must fail too.
    if (ge is not None and not value >= ge) or (le is not None and not value <= le):
        return f"be at least {ge}" + (f" and at most {le}" if le is not None else "")
    return ""


def _usage(message: str, mend: str) -> CxError:
    return CxError(message, mend=mend, code=Exit.USAGE)


_BY_NAME: dict[str, "Field[Any]"] = {each.name: each for each in fields(Settings)}
