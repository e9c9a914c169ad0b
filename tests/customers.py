"""Customers for tests of scoring: touchpoints as JSON lines, and the rows that are made of them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from librt.vecs import vec
from msgspec.msgpack import decode

from schemas.codec import decode_line
from schemas.envelope import Touchpoint, time_s
from schemas.times import at_time
from schemas.touchpoints import TYPES
from streams.scoring.apply import Applied, Scorer
from streams.scoring.binary import pairs_of
from streams.scoring.entries import Entries
from streams.scoring.entry import Case
from streams.scoring.policy import policy_from_tables
from streams.scoring.rules import Decision
from streams.scoring.state import CustomerState, LastExperience, Origin, Peak
from streams.scoring.sums import Sums

DAY = 86400.0
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
DEFAULT = Scorer(policy_from_tables({}))


def scorer(**tables: Any) -> Scorer:
    """Return the scorer of the default policy with `tables` laid over it."""
    return Scorer(policy_from_tables(tables))


def line(kind: str, day: float = 0.0, /, *, id: str = "", source: str = "/test", **data: Any) -> bytes:  # noqa: A002
    """Return an event of customer anna as JSON; `day` counts from START, `kind` is short for its type."""
    name = f"cx.{kind}.v1"
    assert name in TYPES, name
    event = {
        "specversion": "1.0",
        "id": id or f"{kind}@{day}",
        "source": source,
        "type": name,
        "time": at_time(START + day * DAY),
        "subject": "anna",
        "data": data,
    }
    return orjson.dumps(event)


def event(kind: str, day: float = 0.0, /, **fields: Any) -> Touchpoint:
    """Return the touchpoint that the codec reads from `line`."""
    found = decode_line(line(kind, day, **fields))
    assert isinstance(found, Touchpoint), found
    return found


def by_key(sums: Sums) -> dict[int, float]:
    """Return the amounts as a dict, in their order."""
    return dict(zip(sums.keys, sums.amounts, strict=True))


def row(events: Iterable[Touchpoint], scorer: Scorer = DEFAULT) -> CustomerState:
    """Return the row that the events leave, applied as they come, without any rule."""
    events = list(events)
    state = scorer.new(time_s(events[0]))
    for each in events:
        scorer.apply(state, each, time_s(each), 0)
    return state


def live(
    events: Iterable[Touchpoint], scorer: Scorer = DEFAULT, *, until: float | None = None, every: float = 1.0
) -> tuple[CustomerState, list[Decision]]:
    """Live through the events as a worker does: each is evaluated, and `every` so many days the sweep comes.

    Returns the row and all steps of alerts; `until` (days from START) is the last sweep.
    """
    events = sorted(events, key=lambda each: (each.time, each.source, each.id))
    state = scorer.new(time_s(events[0]))
    steps: list[Decision] = []
    sweep_s = time_s(events[0])
    for each in events:
        sweep_s = _sweep(scorer, state, sweep_s, time_s(each), every, steps)
        at_s = time_s(each)
        steps += scorer.rules.evaluate(state, at_s, absence_until_s=at_s)
        steps += then(state, each, scorer)
    if until is not None:
        _sweep(scorer, state, sweep_s, START + until * DAY, every, steps)
    return state, steps


def then(
    state: CustomerState, touchpoint: Touchpoint, scorer: Scorer = DEFAULT, *, topic: int = 0
) -> list[Decision]:
    """Apply one more event, evaluate as of the row's newest and return the steps."""
    applied = scorer.apply(state, touchpoint, time_s(touchpoint), topic)
    strong, cancelled = applied is Applied.STRONG, applied is Applied.CANCELLED
    at_s = state.newest_s
    return scorer.rules.evaluate(state, at_s, absence_until_s=at_s, strong=strong, cancelled=cancelled)


def _sweep(
    scorer: Scorer, state: CustomerState, from_s: float, to_s: float, every: float, steps: list[Decision]
) -> float:
    while from_s + every * DAY <= to_s:
        from_s += every * DAY
        steps += scorer.rules.evaluate(state, from_s, absence_until_s=from_s)
    return from_s


def told(steps: Iterable[Decision]) -> list[tuple[str, str]]:
    """Return each step as (rule, step)."""
    return [(step.rule.label, step.step) for step in steps]


def seconds(day: float) -> float:
    """Return the time of a day from START, in seconds since the epoch."""
    return START + day * DAY


def plain(value: Any) -> Any:
    """Return a row, or a part of one, as dicts and lists that can be compared."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, vec)):
        return [plain(each) for each in value]
    parts = parts_of(value)
    return value if parts is None else {name: plain(part) for name, part in parts}


def parts_of(value: Any) -> list[tuple[str, Any]] | None:
    """Return what a row, or a part of one, is made of by name; None for a value.

    The entries of a register are read from its bytes without telling the row that somebody has asked.
    """
    if isinstance(value, Origin):
        names = ("at_s", "source", "id", *(("key", "a") if isinstance(value, LastExperience) else ()))
        return [(name, getattr(value, name)) for name in names]
    names = getattr(type(value), "__slots__", None) or getattr(type(value), "__mypyc_attrs__", None)
    if names is None or isinstance(value, int):  # an IntEnum has slots too
        return None
    if isinstance(value, Case):
        facts = pairs_of(value.source, value.facts_at, value.ends) if value.ends else value.facts
        own = [name for name in names if name not in {"_facts", "begins", "ends", "facts_at", "source"}]
        return [("facts", facts), *((name, getattr(value, name)) for name in own)]
    if isinstance(value, Peak):
        names = ("code", "m", "at_s", "event")
    if not isinstance(value, CustomerState):
        return [(name, getattr(value, name)) for name in names]
    cases = entries_of(value.entries)
    failures = value.entries.failures if value.entries._read else [case for case in cases if case.key]
    profile = decode(value.profile_bytes() or b"\x80")
    kept = {"entries", "_profile", "packed_profile", "_episodes", "_by_rule", "packed_rings", "calm_s"}
    own = [name for name in names if name not in kept]
    return [
        *(("cases", cases), ("failures", failures), ("profile", profile)),
        *(("episodes", value.episodes), ("rings", value.rings)),
        *((name, getattr(value, name)) for name in own),
    ]


def entries_of(entries: Entries) -> list[Case]:
    """Return the entries of a register, those in bytes read for the caller alone."""
    if entries._read:
        return entries.all()
    found = Entries()
    found.packed = entries.packed
    return found.all()


def packed_anew(entries: Entries) -> bytes:
    """Return the bytes of a register of which no entry has kept its own."""
    found = Entries()
    for case in entries_of(entries):
        found.add(anew(case))
    found.change()
    return found.pack()


def anew(case: Case) -> Case:
    """Return an entry without its bytes."""
    found = Case(case.name, case.kind, case.facts, case.issue)
    for name, part in parts_of(case) or ():
        if name != "facts":
            setattr(found, name, part)
    return found
