"""A log of touchpoints in order of event time, and when each customer engaged."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from schemas.envelope import Touchpoint, time_s
from schemas.families.customers import CustomerForgotten
from schemas.rejects import Reject
from schemas.touchpoints import TYPES
from streams.errors import CxError, Exit
from streams.replay import judge
from streams.routing import topic_for
from streams.scoring.apply import Scorer
from streams.scoring.policy import Policy
from streams.topics import INPUTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TOPIC_INDEX = {topic.name: index for index, topic in enumerate(INPUTS)}
Entry = tuple[float, str, str, int, int, Touchpoint]
"""Event time, source, id, number of the customer, number of the input topic, the event."""


@dataclass(slots=True)
class Log:
    """What a backtest replays: `entries` in the order (time, source, id)."""

    customers: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    rejects: Counter[str] = field(default_factory=Counter)
    anonymous: int = 0
    forgotten: set[str] = field(default_factory=set)
    """Customers whose events are left out, as a worker would from the moment it is told."""

    def engagements(self, policy: Policy) -> "Engagements":
        """Return when customers engaged; raises CxError where nobody ever did."""
        kinds = {TYPES[name].touchpoint for name in policy.rhythm.engagement}
        engaged = [
            (customer, at_s)
            for at_s, _, _, customer, _, event in self.entries
            if type(event) in kinds and event.data.direction != "outbound"
        ]
        if not engaged:
            names = ", ".join(policy.rhythm.engagement)
            msg = f"no customer of the log engages: there is no event of the types {names}"
            mend = "name yours in [rhythm] engagement of a policy file, and give it by --policy"
            raise CxError(msg, mend=mend, code=Exit.USAGE)
        pairs = np.array(engaged, dtype=np.float64)
        return Engagements(pairs[:, 0].astype(np.int64), pairs[:, 1])


class Engagements:
    """Each engagement of each customer, for looking up what came next."""

    def __init__(self, customers: Ints, times_s: Floats) -> None:
        order = np.lexsort((times_s, customers))
        self.customers = customers[order]
        self.times_s = times_s[order]
        self.first_s = float(times_s.min())
        self.last_s = float(times_s.max())
        self._span = self.last_s - self.first_s + 1.0
        self._keys = self.customers * self._span + (self.times_s - self.first_s)

    def next_s(self, customers: Ints, at_s: Floats) -> Floats:
        """Return each customer's first engagement at or after a time, infinity where there is none."""
        from_first = np.clip(at_s - self.first_s, 0.0, self._span)
        found = np.searchsorted(self._keys, customers * self._span + from_first, side="left")
        inside = np.minimum(found, len(self._keys) - 1)
        known = (found < len(self._keys)) & (self.customers[inside] == customers)
        return np.where(known, self.times_s[inside], np.inf)

    def silent(self, customers: Ints, at_s: Floats, days: float) -> NDArray[np.bool_]:
        """Tell for each row whether no engagement came within `days` of its time: the label of churn."""
        return self.next_s(customers, at_s) >= at_s + days * 86400.0


def read_log(lines: Iterable[bytes], policy: Policy) -> Log:
    """Read touchpoints as JSON lines; rejected and anonymous ones are counted. CxError on an empty log."""
    log = Log()
    scorer = Scorer(policy)
    numbers: dict[str, int] = {}
    for line in lines:
        if not line or line.isspace():
            continue
        event = judge(line, scorer)
        if isinstance(event, Reject):
            log.rejects[event.reason] += 1
        elif event.subject is None:
            log.anonymous += 1
        elif isinstance(event, CustomerForgotten):
            log.forgotten.add(event.subject)
        else:
            number = numbers.setdefault(event.subject, len(numbers))
            topic = _topic_index(type(event), event.channel)
            log.entries.append((time_s(event), event.source, event.id, number, topic, event))
    if log.forgotten:
        gone = {numbers[name] for name in log.forgotten if name in numbers}
        log.entries = [entry for entry in log.entries if entry[3] not in gone]
    if not log.entries:
        msg = "the log has no event of a known customer"
        if log.rejects:
            msg += f"; {log.rejects.total()} lines were rejected"
        raise CxError(msg, mend="cx check EVENTS names what is wrong with each line", code=Exit.USAGE)
    log.entries.sort(key=lambda entry: entry[:3])
    log.customers = list(numbers)
    return log


@lru_cache(maxsize=1024)  # types and channels are closed sets
def _topic_index(kind: type[Touchpoint], channel: str | None) -> int:
    return _TOPIC_INDEX[topic_for(str(kind.__struct_config__.tag), channel).name]
