"""The silence of a source: when a channel falls silent for many customers at once, it is not the customers.

Of each channel three figures are kept in the partition's marker, as buckets:

- `seen:CHANNEL`: the decayed number of events (half-life a week) as of the newest event time;
- `usual:CHANNEL`: its longest usual silence in seconds, which fades by half in four weeks, and since when it
  is watched;
- `silent:CHANNEL`: the newest event and the start of the incident that stands.

A channel is silent if, with everything read, its newest event is older than `hours`, than `usual_times` its
longest usual silence and than the time in which `events` events were to be expected of it. The usual silence
is what caught-up sweeps have seen between two events, so that nights, week-ends and sources that send once a
day are usual; that is why a channel has to be watched for `watched_days` first.
"""

import math
from dataclasses import dataclass
from typing import Final

import orjson

from schemas.times import at_time
from streams.engine.handler import Bucket
from streams.scoring.hours import HOUR_S
from streams.scoring.policy import DAY_S, OutageSection

HALF_LIFE_S: Final = 7 * DAY_S
USUAL_HALF_LIFE_S: Final = 28 * DAY_S
LN2: Final = math.log(2.0)
SAME_START_S: Final = 6 * HOUR_S
"""Partitions of a worker whose channel fell silent within this time of each other share the start."""
KIND: Final = "source_silent"
SEEN: Final = "seen:"
USUAL: Final = "usual:"
SILENT: Final = "silent:"

Tokens = dict[str, Bucket]


@dataclass(frozen=True, slots=True)
class Turn:
    """An incident that was opened or closed: its key and its document on `cx.incidents`."""

    channel: str
    state: str
    key: bytes
    value: bytes


@dataclass(slots=True)
class Watched:
    """What a watch of the channels has found."""

    tokens: dict[str, Bucket | None]
    """Buckets that changed."""
    turns: list[Turn]


def count(before: Bucket | None, events: int, newest_s: float) -> Bucket:
    """Return `seen:` of a channel after `events` more, the newest at `newest_s`.

    They are taken as spread evenly over the time since the newest one before: history that is loaded in one
    piece must not look like a rush. The first ones tell no rate, for nothing came before them.
    """
    if before is None:
        return Bucket(0.0, newest_s)
    before_s: float = before.at_s
    level: float = before.level
    if newest_s <= before_s:
        return Bucket(level + events, before_s)
    half_lives = (newest_s - before_s) / HALF_LIFE_S
    decay = math.exp2(-half_lives)
    spread = (1.0 - decay) / (LN2 * half_lives)
    return Bucket(level * decay + events * spread, newest_s)


def expected(seen: Bucket, lasted_s: float) -> float:
    """Return how many events were to be expected in `lasted_s` seconds, by the rate of the last week."""
    return seen.level * LN2 / HALF_LIFE_S * lasted_s


def held_since(tokens: Tokens, now_s: float, limits: OutageSection) -> float:
    """Return the start of the oldest outage for which silence is held back at `now_s`; inf without one."""
    oldest_s = math.inf
    for name, bucket in tokens.items():
        if name.startswith(SILENT) and now_s - bucket.at_s < limits.hold_days * DAY_S:
            oldest_s = min(oldest_s, bucket.at_s)
    return oldest_s


def newest_by_channel(tokens: Tokens) -> dict[str, float]:
    """Return the newest event time applied from each channel, seconds since the epoch."""
    return {name.removeprefix(SEEN): seen.at_s for name, seen in tokens.items() if name.startswith(SEEN)}


class Watchman:
    """Watches the channels of one partition.

    He remembers between two sweeps what each had been silent for, and what is usual: most sweeps write
    nothing, so that the marker may be behind.
    """

    def __init__(self, limits: OutageSection) -> None:
        self._limits = limits
        self._usual: dict[str, Bucket] = {}
        self._quiet: dict[str, tuple[float, float]] = {}
        """Channel -> its newest event, and how long it had been silent."""

    def look(self, tokens: Tokens, now_s: float, starts: dict[str, float]) -> Watched:
        """Look at every channel at `now_s`, with every input read to its end.

        `starts` are the incidents of the whole worker by channel: a partition joins one that stands. One that
        was found by another worker, whose partition has come here, is added to them.
        """
        found = Watched({}, [])
        for name, seen in tokens.items():
            if not name.startswith(SEEN):
                continue
            channel = name.removeprefix(SEEN)
            silent = tokens.get(SILENT + channel)
            usual = self._learn(channel, tokens, seen, now_s, silent=silent is not None)
            found.tokens[USUAL + channel] = usual
            if silent is not None and seen.at_s > silent.level:
                found.tokens[SILENT + channel] = None
                found.turns.append(_turn(channel, silent.at_s, now_s, f"{channel} sends again"))
            elif silent is not None:
                starts[channel] = max(silent.at_s, starts.get(channel, silent.at_s))
            elif self._is_silent(seen, usual, now_s):
                start_s = starts[channel] = _start(seen.at_s, starts.get(channel))
                found.tokens[SILENT + channel] = Bucket(seen.at_s, start_s)
                found.turns.append(_turn(channel, start_s, None, _detail(channel, seen, usual, now_s)))
        return found

    def _learn(self, channel: str, tokens: Tokens, seen: Bucket, now_s: float, *, silent: bool) -> Bucket:
        """Return what silence is usual now: one that ended counts, unless it was an incident."""
        usual = self._usual.get(channel) or tokens.get(USUAL + channel) or Bucket(0.0, now_s)
        newest_s, lasted_s = self._quiet.get(channel, (seen.at_s, 0.0))
        if seen.at_s > newest_s:
            fade = math.exp2((newest_s - seen.at_s) / USUAL_HALF_LIFE_S)
            ended_s = 0.0 if silent else lasted_s
            usual = Bucket(max(usual.level * fade, ended_s), usual.at_s)
        self._usual[channel] = usual
        self._quiet[channel] = (seen.at_s, max(0.0, now_s - seen.at_s))
        return usual

    def _is_silent(self, seen: Bucket, usual: Bucket, now_s: float) -> bool:
        limits = self._limits
        lasted_s = now_s - seen.at_s
        least_s = max(limits.hours * HOUR_S, limits.usual_times * usual.level)
        return (
            now_s - usual.at_s >= limits.watched_days * DAY_S
            and least_s <= lasted_s < limits.hold_days * DAY_S
            and expected(seen, lasted_s) >= limits.events
        )


def _start(newest_s: float, other_s: float | None) -> float:
    """Return the hour in which a channel fell silent; another partition's where that is about the same."""
    if other_s is not None and abs(newest_s - other_s) < SAME_START_S:
        return other_s
    return newest_s // HOUR_S * HOUR_S


def _detail(channel: str, seen: Bucket, usual: Bucket, now_s: float) -> str:
    lasted_s = now_s - seen.at_s
    return (
        f"no event of {channel} for {lasted_s / HOUR_S:.1f} h, its longest usual silence is "
        f"{usual.level / HOUR_S:.1f} h; about {expected(seen, lasted_s):.0f} were to be expected"
    )


def _turn(channel: str, start_s: float, until_s: float | None, detail: str) -> Turn:
    since = at_time(start_s)
    incident_id = f"{KIND}:{channel}:{since}"
    document = {
        "incident_id": incident_id,
        "kind": KIND,
        "channel": channel,
        "since": since,
        "until": None if until_s is None else at_time(until_s),
        "detail": detail,
    }
    state = "opened" if until_s is None else "closed"
    value = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    return Turn(channel, state, incident_id.encode(), value)
