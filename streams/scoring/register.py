"""The register: signals that stand as long as their matter does, instead of fading from the start.

A failed delivery that nobody mended is as bad after a month as on its day. So the signals of promises,
deliveries, tickets and complaints are not added to the sums; they are kept here, at most 16 a customer, and
counted in full until they end (at most the policy's standing days) and decaying from then on. An entry whose
end lies long enough in the past is folded into the sums, where it weighs exactly what it weighed here.
"""

from collections.abc import Mapping
from math import floor
from typing import Final

from schemas.arrivals import Arrival
from streams.scoring.claims import Learning, Reader
from streams.scoring.entry import (
    NO_CODE,
    NOT_SETTLED,
    SETTLED,
    SETTLED_REPAIRED,
    Case,
    damaged_register,
)
from streams.scoring.facts import (
    BROKEN,
    CHANNEL,
    COMPLAINT,
    GONE,
    ISSUE,
    KEPT,
    ORDER,
    PROMISE,
    REASON,
    SAID,
    THOUSANDTHS,
    latest,
    read_until,
    replied_of,
    told_of,
)
from streams.scoring.hours import HOUR_S
from streams.scoring.policy import DAY_S, Policy
from streams.scoring.signals import Signals, SignalTable
from streams.scoring.standing import newest_kept_s
from streams.scoring.state import BEST_KEPT, WORST_ENDED, Cause, CustomerState, Peak
from streams.scoring.verdict import ENDLESS, Judge
from streams.scoring.weighing import Weigher

ENTRIES: Final = 16
FAILURE_WEIGHT: Final = THOUSANDTHS
"""From this weight on a failure uses up the credit of a repair (thousandths)."""


def name_cause(state: CustomerState, at_s: float, source: str, event_id: str) -> None:
    """Remember by its id an event that leaves no moment in the sums, if it is the newest of them."""
    cause = state.cause
    if (
        cause is None
        or at_s > cause.at_s
        or (at_s == cause.at_s and (source, event_id) > (cause.source, cause.id))
    ):
        state.cause = Cause(at_s, source, event_id)


class Register:
    """Enters facts, derives what stands, and folds what is over, under one policy."""

    def __init__(self, policy: Policy, weigher: Weigher, signals: SignalTable) -> None:
        section = policy.promises
        self.judge = Judge(policy)
        self._weigher = weigher
        (self._on_time,) = signals.full("delivery_on_time")
        self._deliveries = section.delivery_channels
        self._fold_s = int(section.fold_after_days * DAY_S)
        self._credit_s = int(section.credit_after_days * DAY_S)
        self._repeat_s = int(section.contacts_within_days * DAY_S)
        self.grace_s = section.grace_hours * HOUR_S

    def take(
        self,
        state: CustomerState,
        arrival: Arrival,
        teach: Reader,
        at_s: float,
        event: bytes,
        signals: Signals,
    ) -> Signals:
        """Enter what an event tells, as `teach` does, and return its signals that belong to the sums."""
        to = Learning(state, arrival, int(at_s), event)
        try:
            left = teach(to, arrival.data, signals)
        except KeyError:  # a fact without the one that it came with
            raise damaged_register(state.entries.packed or b"") from None
        if to.touched:
            state.entries.change()
            if len(to.touched) > 1 or not self._settle_quickly(state, to):
                self._settle(state, to.touched, to.kept_s, to.told_of, retold=to.retold)
            if len(left) < len(signals) and any(signal.a < 0.0 for signal in signals):
                name_cause(state, at_s, arrival.source, arrival.id)
        return left

    def _settle_quickly(self, state: CustomerState, to: Learning) -> bool:
        """Bring the row up to date where an order goes as it should; False where more is to be looked at.

        Nearly all that the register sees are parcels that come in time.
        """
        case, before_s, entries = to.touched[0], to.kept_s[0], state.entries
        if case.kind != ORDER or case.key != NO_CODE:
            return False
        is_new = not entries.holds(case)
        if is_new and not self._has_room(state):
            return False
        pending_s = case.pending_s
        self._derive(state, case, before_s)
        if case.key != NO_CODE:
            to.kept_s[0] = _in_time_s(case)
            return False
        if is_new:
            entries.add(case)
        if case.pending_s != pending_s:
            if pending_s and pending_s == state.deadline_s:
                state.deadline_s = _first_deadline_s(entries.all())
            elif case.pending_s and (not state.deadline_s or case.pending_s < state.deadline_s):
                state.deadline_s = case.pending_s
        if before_s:
            self._rank_kept(state, newest_kept_s(entries.all()))
        elif case.in_time:
            self._rank_new(state, case.facts[KEPT])
        return True

    def _rank_new(self, state: CustomerState, kept_s: int) -> None:
        """Let one more delivery in time be the best, if it is the newest."""
        held, signal = state.peaks[BEST_KEPT], self._on_time
        if signal.a > 0.0 and (held is None or kept_s > held.at_s):
            state.peaks[BEST_KEPT] = Peak(signal.code, signal.m, float(kept_s), b"")

    def _has_room(self, state: CustomerState) -> bool:
        """Tell whether an entry can be added without a look at what is over: the oldest entry is not."""
        cases = state.entries.all()
        if len(cases) >= ENTRIES:
            return False
        return not cases or not _is_over(cases[0], floor(state.newest_s) - self._fold_s)

    def _rank_kept(self, state: CustomerState, newest_s: int) -> None:
        """Let the newest delivery that came in time be the best: all weigh the same. 0 is none."""
        signal = self._on_time
        if newest_s and signal.a > 0.0:
            state.peaks[BEST_KEPT] = Peak(signal.code, signal.m, float(newest_s), b"")
        else:
            state.peaks[BEST_KEPT] = None

    def _settle(
        self,
        state: CustomerState,
        touched: list[Case],
        kept_s: list[int],
        told: list[bytes],
        *,
        retold: bool = False,
    ) -> None:
        """Derive again what the touched entries mean, and what they mean to others.

        `kept_s` has for each when the delivery came that lies in the sums, 0 for none. `told` are issues of
        which a ticket among them says something else now. `retold`: the issue among them is told more of
        than that somebody asked.
        """
        entries = state.entries
        for index, case in enumerate(touched):
            if not entries.holds(case):
                if len(entries.all()) >= ENTRIES:
                    self._make_room(state)
                entries.add(case)
            self._derive(state, case, kept_s[index])
        for index, case in enumerate(touched):
            if case.kind == ISSUE:
                whole = retold or not entries.holds(case)  # another one may have taken its place
                self._derive_about(state, case.name, touched[index + 1 :], retold=whole)
        for name in told:
            issue = entries.get(name)
            if issue is not None:
                self._derive(state, issue, 0)
            self._derive_about(state, name, [], retold=True)
        self._refresh(state, state.newest_s)

    def _derive_about(self, state: CustomerState, issue: bytes, derived: list[Case], *, retold: bool) -> None:
        """Derive again what the entries mean that belong to an issue, but for those `derived` after it.

        That somebody asked about an issue means nothing to the others. Those that lie in the sums are taken
        out and put in again even so: their sums keep the last bits that they have always had. And those
        without credit have it until it is given anew: one that is over by then is folded with it.
        """
        for case in state.entries.all():
            about = case.issue
            if about is None or about != issue or case in derived:
                continue
            if retold or case.settled != NOT_SETTLED or not case.credit:
                self._derive(state, case, _in_time_s(case))

    def _derive(self, state: CustomerState, case: Case, before_s: int) -> None:
        """Derive what a case means; a delivery in time lies in the sums, and is taken out if it was not.

        `before_s` is when the delivery came that lies there, 0 for none.
        """
        case.change()
        self._unsettle(state, case)
        entries, name = state.entries, case.name if case.kind == ISSUE else case.issue
        if name is None:
            self.judge.judge(case, None)
        else:
            issue = case if case.kind == ISSUE else entries.get(name)
            cases = entries.all()
            replied_s = replied_of(cases, name) if case.kind == COMPLAINT else 0
            self.judge.judge(case, issue, told_of(cases, name), replied_s)
        kept_s = _in_time_s(case)
        if kept_s != before_s:
            if before_s:
                self._weigher.unweigh(state, self._on_time, float(before_s))
            if kept_s:
                self._weigher.weigh(state, self._on_time, float(kept_s))

    def _refresh(self, state: CustomerState, now_s: float) -> None:
        """Fold what is over, and bring up to date what the row keeps of the register as a whole."""
        over_s = floor(now_s) - self._fold_s
        over: list[Case] = []
        first_s = newest_s = 0
        failures: list[Case] = []
        for case in state.entries.all():  # once through all of them, as each look costs
            kept_s = case.known(KEPT) if case.in_time else 0
            if kept_s <= over_s or case.key != NO_CODE:  # most came in time, not long ago
                if _is_over(case, over_s):
                    over.append(case)
                    continue
                if case.key != NO_CODE:
                    failures.append(case)
            pending_s = case.pending_s
            if pending_s and (not first_s or pending_s < first_s):
                first_s = pending_s
            if kept_s > newest_s:  # noqa: PLR1730  # max() costs several times as much
                newest_s = kept_s
        for case in over:
            self._fold(state, case, now_s)
        state.deadline_s = first_s
        state.failing = 0
        state.entries.failures = failures
        if failures:
            state.failing = self._settle_ended(state, failures, now_s)
        elif state.peaks[WORST_ENDED] is not None:
            self._weigher.rank_ended(state)
        self._rank_kept(state, newest_s)

    def _settle_ended(self, state: CustomerState, failures: list[Case], now_s: float) -> int:
        """Let ended failures lie in the sums, where reading them costs nothing; count the others."""
        failing = 0
        self._give_credit(state, failures)
        for case in failures:
            if case.settled != NOT_SETTLED:
                continue
            if now_s < max(case.until_s, case.mended_s) or now_s < self._told_until_s(case):
                failing += 1
                continue
            repaired = self._weigher.failures.is_repaired(case, now_s)
            case.change()
            case.settled = SETTLED_REPAIRED if repaired else SETTLED
            self._weigher.weigh_failure(state, case, float(case.until_s))
        self._weigher.rank_ended(state)
        return failing

    def _told_until_s(self, case: Case) -> int:
        """Return until when the rules look at a failure that is only a moment: a repeated contact."""
        return case.since_s + self._repeat_s if case.kind == REASON else 0

    def _unsettle(self, state: CustomerState, case: Case) -> None:
        if case.settled != NOT_SETTLED:
            self._weigher.weigh_failure(state, case, float(case.until_s), -1.0)
            case.settled = NOT_SETTLED

    def _give_credit(self, state: CustomerState, failures: list[Case]) -> None:
        """Let a repair count only where no other failure came shortly before: apologies wear out."""
        before_s = -self._credit_s
        for case in _by_time(failures):
            credit = case.since_s - before_s >= self._credit_s
            if credit != case.credit:
                case.change()
                self._unsettle(state, case)
                case.credit = credit
            before_s = case.since_s

    def _make_room(self, state: CustomerState) -> None:
        """Fold an entry; counted, as late events about it will not find it.

        A delivery in time goes first, as it lies in the sums already: the orders of a frequent shopper must
        not push out what stands or is still due. Of equals the one that began first goes.
        """
        cases = state.entries.all()
        first = cases[0]
        first_s = _leaves_s(first)
        for case in cases:
            leaves_s = _leaves_s(case)
            if leaves_s < first_s or (leaves_s == first_s and case.name < first.name):
                first, first_s = case, leaves_s
        self._fold(state, first, state.newest_s)
        state.crowded += 1

    def _fold(self, state: CustomerState, case: Case, now_s: float) -> None:
        """Move an entry into the sums, dated when it ended."""
        state.entries.remove(case)
        if case.key != NO_CODE:
            at_s = float(case.until_s)
            if case.settled == NOT_SETTLED:
                at_s = min(at_s, now_s)
                repaired = self._weigher.failures.is_repaired(case, now_s)
                case.settled = SETTLED_REPAIRED if repaired else SETTLED
                self._weigher.weigh_failure(state, case, at_s)
            self._weigher.remember_failure(state, case, at_s)
        if case.in_time:
            self._weigher.remember_kept(state, float(case.known(KEPT)))

    def expire(self, state: CustomerState, now_s: float, fulfilled_until_s: Mapping[str, float]) -> bool:
        """Break what is overdue at `now_s` as far as the fulfilling channels tell; True if anything was.

        `fulfilled_until_s` is the newest event time of each channel that has been read to its end.
        """
        broken: list[Case] = []
        for case in state.entries.all():
            pending_s = case.pending_s
            if pending_s:
                known_s = read_until(case, fulfilled_until_s, self._deliveries)
                if pending_s + self.grace_s < min(now_s, known_s):
                    latest(case.facts, BROKEN, pending_s)
                    broken.append(case)
        if broken:
            state.learn()
            state.entries.change()
            self._settle(state, broken, [0] * len(broken), [])  # a deadline is missed: none lies in the sums
        return bool(broken)


def _first_deadline_s(cases: list[Case]) -> int:
    """Return the earliest deadline that can still be missed, 0 for none."""
    first_s = 0
    for case in cases:
        pending_s = case.pending_s
        if pending_s and (not first_s or pending_s < first_s):
            first_s = pending_s
    return first_s


def _by_time(failures: list[Case]) -> list[Case]:
    """Return the grave ones of the failures by when they came: insertion is the quickest for so few."""
    found: list[Case] = []
    for case in failures:
        if case.weight >= FAILURE_WEIGHT:
            at = len(found)
            while at and _came_before(case, found[at - 1]):
                at -= 1
            found.insert(at, case)
    return found


def _came_before(case: Case, other: Case) -> bool:
    return case.since_s < other.since_s or (case.since_s == other.since_s and case.name < other.name)


def _in_time_s(case: Case) -> int:
    """Return when the delivery came that lies in the sums, 0 for none."""
    return case.known(KEPT) if case.in_time else 0


def _is_settled(case: Case) -> bool:
    """Tell whether a case is a delivery in time and nothing else."""
    return case.in_time and case.key == NO_CODE


def _leaves_s(case: Case) -> int:
    """Return what orders the entries of a full register: those go first that lie in the sums already."""
    return _began_s(case) if _is_settled(case) else ENDLESS + _began_s(case)


def _began_s(case: Case) -> int:
    return case.since_s or case.at_s or case.known(KEPT) or case.known(SAID)


def _is_over(case: Case, at_s: int) -> bool:
    """Tell whether nothing was left to happen to a case from `at_s` on."""
    if case.pending_s > at_s:
        return False
    if case.key != NO_CODE:
        return case.until_s <= at_s
    if case.at_s > at_s:
        return False
    if case.kind == ORDER or case.kind == PROMISE:  # noqa: PLR1714  # only they have facts that are such times
        for fact, value in case.facts.items():
            if fact <= GONE and fact != CHANNEL and value > at_s:
                return False
    return True
