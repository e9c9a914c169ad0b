"""`cx check`: what would become of each event, for who publishes them."""

import sys
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
import orjson
from rich.console import Console
from rich.progress import Progress

from schemas.envelope import Touchpoint, time_s
from schemas.families.customers import CustomerUpdated
from schemas.rejects import Reject
from streams.amounts import counted
from streams.cli.files import open_events, policy_option
from streams.demo.words import printable
from streams.errors import Exit
from streams.replay import judge
from streams.routing import topic_for
from streams.scoring.apply import Scorer, admit, event_hash, identify
from streams.scoring.explain import assess
from streams.scoring.policy import load_policy
from streams.scoring.reasons import words
from streams.scoring.signals import Intent, Signal, intent_of
from streams.scoring.state import CustomerState
from streams.strays import strays
from streams.topics import INPUTS

INTENT_WORDS = {
    Intent.CANCELLED: "leaves",
    Intent.CANCEL_PAGE: "wants to leave",
    Intent.COMPLAINT: "complains",
    Intent.UNSUBSCRIBE: "wants no messages",
}
EVERY_LINES = 1000
"""Lines between two movements of the progress bar."""
MOST_UNKNOWN: Final = 10
"""So many kinds of fields that nobody reads are counted in the summary; each stands at its event."""
Document = dict[str, Any]


@click.command()
@click.argument("file")
@policy_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of words.")
@click.option("--rejected", "rejected_only", is_flag=True, help="Show rejected events only.")
@click.pass_context
def check(
    ctx: click.Context, file: str, policy_path: str | None, *, as_json: bool, rejected_only: bool
) -> None:
    """Check the events in FILE (touchpoints as JSON lines; - is standard input) as a worker would.

    Each is accepted, with its signals and the points by which they move a customer of whom nothing else is
    known; or neutral; or rejected, with the place, what was seen there and what to send instead; or a
    duplicate; or of a visitor not yet known. A field in `data` that its type does not know is named: nobody
    reads it. Exit codes: 0 nothing rejected, 1 something rejected, 2 unreadable file or policy.
    """
    checker = Checker(Scorer(load_policy(policy_path)))
    with open_events(file) as lines:
        for found in checker.run(_watched(lines, file)):
            if rejected_only and found["outcome"] != "rejected":
                continue
            click.echo(orjson.dumps(found) if as_json else in_words(found))
    click.echo(summary(checker), err=as_json)
    if checker.outcomes["rejected"]:
        ctx.exit(Exit.FINDING)


@dataclass(slots=True)
class Checker:
    """Judges events one by one as a worker that reads them in the order of the file."""

    scorer: Scorer
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    _customers: dict[str, CustomerState] = field(default_factory=dict)
    _lines: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def run(self, lines: Iterable[bytes]) -> Iterator[Document]:
        """Yield each line's number and outcome with what belongs to it; blank lines give none."""
        for number, line in enumerate(lines, 1):
            if line.strip():
                found = {"line": number, **self._judge(line, number)}
                self.outcomes[found["outcome"]] += 1
                yield found

    def _judge(self, line: bytes, number: int) -> Document:
        event = judge(line, self.scorer)
        if isinstance(event, Reject):
            self.reasons[event.reason.value] += 1
            return {
                "outcome": "rejected",
                "reason": event.reason.value,
                "path": event.path,
                "seen": event.seen,
                "mend": event.mend,
            }
        return self._read(event, number) | self._unread(line, event)

    def _unread(self, line: bytes, event: Touchpoint) -> Document:
        """Return the fields that a worker ignores, with what was probably meant."""
        found = strays(line, event)
        self.unknown.update(f"{stray.path.removeprefix('$.')} of {_kind(event.type)}" for stray in found)
        return {"unknown": [stray._asdict() for stray in found]} if found else {}

    def _read(self, event: Touchpoint, number: int) -> Document:
        topic = topic_for(event.type, event.channel)
        about = {"type": event.type, "topic": topic.name, "customer_id": event.subject, "id": event.id}
        if event.subject is None:
            return {"outcome": "anonymous", **about}
        state = self._customers.setdefault(event.subject, self.scorer.new(time_s(event)))
        hashed = identify(*self.scorer.read(event))
        identity = topic.name, hashed or event_hash(event.source, event.id)
        first = self._lines.get(identity)
        if not admit(state, INPUTS.index(topic), hashed):
            return {"outcome": "duplicate", **about, "of_line": first}
        if hashed:
            self._lines[identity] = number
        effects = self._effects(event)
        repeats = {} if first is None else {"repeats_line": first}
        return {"outcome": "accepted" if effects else "neutral", **about, **effects, **repeats}

    def _effects(self, event: Touchpoint) -> Document:
        """Return what the event changes for a customer of whom nothing else is known; empty for nothing."""
        at_s = time_s(event)
        state = self.scorer.new(at_s)
        self.scorer.apply(state, event, at_s, 0)
        effects: Document = {}
        _, _, signals = self.scorer.read(event)
        if signals:
            found = assess(self.scorer, state, at_s)
            points = {(each["ledger"], each["driver"]): each["points"] for each in found.drivers}
            effects["signals"] = [
                {
                    "driver": driver,
                    "weight": signal.weight,
                    "experience": points.get(("experience", driver), 0.0),
                    "service": points.get(("service", driver)),
                }
                for signal in signals
                for driver in [self._felt_as(signal, state, points)]
            ]
        if state.rhythm is not None:
            effects["engagement"] = True
        if (intent := intent_of(event)) is not None:
            effects["intent"] = intent.name.lower()
        if isinstance(event, CustomerUpdated):
            effects["profile"] = True
        return effects

    def _felt_as(self, signal: Signal, state: CustomerState, points: Container[tuple[str, str]]) -> str:
        """Return the driver that a signal counts for: who gave up waiting for an order has waited for it.

        One that the policy makes nothing of keeps its own.
        """
        failures = state.entries.failures
        if ("experience", signal.driver) in points or not failures:
            return signal.driver
        return self.scorer.drivers.name(failures[0].key >> 3)


def in_words(found: Document) -> str:
    """Return what became of a line as a person reads it; nothing in it can steer a terminal."""
    head = f"{found['line']:>6}  {found['outcome']:<9}"
    if found["outcome"] == "rejected":
        return printable(
            f"{head}  {found['reason']} at {found['path']}: saw {found['seen']}. {found['mend']}"
        )
    about = f"{head}  {_kind(found['type'])}"
    if found["outcome"] == "anonymous":
        told = f"{about}  counted, not scored: no subject"
    else:
        told = f"{about}  {found['customer_id']}  {_told(found)}".rstrip()
    return printable(told + "".join(_unread(each) for each in found.get("unknown", ())))


def _kind(name: str) -> str:
    return name.removeprefix("cx.")


def _unread(stray: Document) -> str:
    meant = f": {stray['meant']}" if stray["meant"] else ""
    return f"; IGNORED: no field {stray['path']}{meant}"


def _told(found: Document) -> str:
    if found["outcome"] == "duplicate":
        return f"has source and id of line {found['of_line']}: counts once"
    told = [_signal(each) for each in found.get("signals", ())]
    if "engagement" in found:
        told.append("an engagement")
    if "intent" in found:
        told.append(INTENT_WORDS[Intent[found["intent"].upper()]])
    if "profile" in found:
        told.append("updates the profile")
    if "repeats_line" in found:
        told.append(f"counts AGAIN: source and id are of line {found['repeats_line']}, too long before")
    return "; ".join(told)


def _signal(each: Document) -> str:
    service = "" if each["service"] is None else f" (service {each['service']:+.1f})"
    return f"{words(each['driver'])} {each['experience']:+.1f}{service}"


def summary(checker: Checker) -> str:
    """Return how many events came to what, and which fields nobody reads, in one line."""
    told = [f"{count:,} {outcome}" for outcome, count in checker.outcomes.most_common()]
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in checker.reasons.most_common())
    total = counted(checker.outcomes.total(), "event", "events")
    if not told:
        return "no events"
    unknown = ", ".join(f"{count:,} {name}" for name, count in checker.unknown.most_common(MOST_UNKNOWN))
    more = ", ..." if len(checker.unknown) > MOST_UNKNOWN else ""
    return (
        f"{total}: {', '.join(told)}"
        + (f" ({reasons})" if reasons else "")
        + (printable(f"; ignored fields: {unknown}{more}") if unknown else "")
    )


def _watched(lines: Iterable[bytes], file: str) -> Iterator[bytes]:
    """Yield the lines, with a progress bar where a person looks and the results go elsewhere."""
    if sys.stdout.isatty() or not sys.stderr.isatty() or file == "-":
        yield from lines
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("checking", total=Path(file).stat().st_size)
        read = 0
        for number, line in enumerate(lines, 1):
            read += len(line)
            if number % EVERY_LINES == 0:
                progress.update(task, completed=read)
            yield line
