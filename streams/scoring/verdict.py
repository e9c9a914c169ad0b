"""What follows from the facts of a case: the failure that stands, when it ended, and the next deadline.

A case gives at most one failure, the gravest: an order that failed at the door and came late is one failure.
"""

from typing import Final

from streams.scoring.entry import NO_CODE, NOT_SETTLED, Case, damaged_register
from streams.scoring.facts import (
    AGAIN,
    AGREED,
    BEFORE,
    BROKEN,
    COMPLAINT,
    CONTACT,
    DUE,
    FAILED,
    GLAD,
    GONE,
    GRAVE,
    ISSUE,
    KEPT,
    OPENED,
    ORDER,
    REASON,
    REOPENED,
    REPLIED,
    SOLVED,
    STATE,
    THOUSANDTHS,
    TICKET,
    WAITED,
    grade_of,
    stamped_s,
    weighed_of,
)
from streams.scoring.hours import HOUR_S, BusinessHours
from streams.scoring.policy import DAY_S, Policy

ENDLESS: Final = 1 << 40
Facts = dict[int, int]
_NO_FACTS: Final[Facts] = {}


class Judge:
    """Derives what a case means under one policy."""

    def __init__(self, policy: Policy) -> None:
        section = policy.promises
        self.policy = policy
        self._hours = BusinessHours(section)
        self._reply_hours = section.first_reply_business_hours
        self._reply_s = int(section.first_reply_business_hours * HOUR_S)
        self._solve_s = int(section.solved_hours * HOUR_S)
        self._answer_s = int(section.answer_public_hours * HOUR_S)
        self._standing_s = int(section.standing_days * DAY_S)
        self._mend_s = int(section.repaired_after_days * DAY_S)
        self._repeat_s = int(section.contacts_within_days * DAY_S)
        self._late_share = section.kept_late_share
        self.public_code = policy.drivers["public_complaint"].code
        self.order_key, self._order = self._driver("promise_broken", service=False)
        self.promise_key, self._promise = self._driver("promise_broken", service=True)
        self.target_key, self._target = self._driver("target_missed")
        self.failed_key, self._failed = self._driver("failed_delivery")
        self.reopened_key, self._reopened = self._driver("reopened")
        self.repeat_key, self._repeat = self._driver("repeat_contact")
        self.waiting_key, _ = self._driver("waiting")
        self._services = {each.code: each.service for each in policy.drivers.values()}

    def _driver(self, name: str, *, service: bool | None = None) -> tuple[int, int]:
        """Return a driver's key and its weight in thousandths."""
        section = self.policy.drivers[name]
        in_service = section.service if service is None else service
        return section.code * 8 + in_service, round(section.weight * THOUSANDTHS)

    def judge(self, case: Case, issue: Case | None, told: int = 0, replied_s: int = 0) -> None:
        """Derive everything of `case` from its facts and from those of its issue.

        `told` is what tickets say of that issue last, as a STATE, and `replied_s` when the first of them was
        replied to; 0 for nothing.

        Raises CxError where a fact is missing that another came with, or is a time of no calendar.
        """
        try:
            self._judge(case, _about(issue, told, replied_s))
        except (KeyError, OverflowError, ValueError):
            raise damaged_register(case.source) from None

    def _judge(self, case: Case, about: Facts) -> None:
        case.key = NO_CODE
        case.weight = case.since_s = case.until_s = case.mended_s = case.pending_s = 0
        case.in_time = False
        case.unanswered = False
        case.credit = True
        case.settled = NOT_SETTLED
        kind = case.kind  # the kinds one by one: a table of methods would be asked for each of many cases
        if kind == ORDER:
            self._judge_order(case, about)
        elif kind == ISSUE:
            self._judge_contacts(case, about, ended=False)
        elif kind == TICKET:
            self._judge_ticket(case, about)
        elif kind == REASON:  # nobody can solve a reason
            self._judge_contacts(case, about, ended=True)
        elif kind == COMPLAINT:
            self._judge_complaint(case, about)
        else:
            self._judge_promise(case, about)
        if case.pending_s >= ENDLESS or case.since_s >= ENDLESS:
            raise OverflowError

    def _fail(self, case: Case, about: Facts, key: int, weight: int, since_s: int, ended_s: int = 0) -> None:
        """Let a failure stand, unless a graver one does (of equal ones the earlier stays)."""
        if weight < case.weight or (weight == case.weight and since_s >= case.since_s):
            return
        case.key, case.weight, case.since_s = key, weight, since_s
        facts = about if case.kind == ISSUE else case.facts  # of an issue, tickets may know better
        solved_s = _solved_s(facts, about, since_s)
        end_s = ended_s or _first_end(facts, solved_s, since_s)
        case.until_s = min(end_s, since_s + self._standing_s)
        glad_s = about.get(GLAD, 0)
        case.mended_s = solved_s + self._mend_s if solved_s else 0
        if glad_s > since_s and (not case.mended_s or glad_s < case.mended_s):
            case.mended_s = glad_s

    def _judge_order(self, case: Case, about: Facts) -> None:
        failed_s = case.facts.get(FAILED)
        if failed_s is not None:
            self._fail(case, about, self.failed_key, self._failed, failed_s)
        else:
            self._judge_due(case, about, self.order_key, self._order)
        waited = case.facts.get(WAITED)
        if waited is not None and case.key == NO_CODE:
            weight, at_s = weighed_of(waited)
            self._fail(case, about, self.waiting_key, weight, at_s, at_s)

    def _judge_promise(self, case: Case, about: Facts) -> None:
        self._judge_due(case, about, self.promise_key, self._promise)
        case.in_time = False  # what was promised was done: that is no moment of its own

    def _judge_due(self, case: Case, about: Facts, key: int, weight: int) -> None:
        """Hold what came against the deadline."""
        facts = case.facts
        due_s, kept_s, gone_s = facts.get(DUE, 0), facts.get(KEPT, 0), facts.get(GONE, 0)
        if not due_s or 0 < gone_s <= due_s:
            return
        if kept_s:
            if kept_s <= due_s:
                case.in_time = True
            else:
                self._fail(case, about, key, round(weight * self._late_share), due_s, kept_s)
        elif gone_s or facts.get(BROKEN, 0) >= due_s:
            self._fail(case, about, key, weight, due_s)
        else:
            case.pending_s = due_s

    def _judge_ticket(self, case: Case, about: Facts) -> None:
        facts = case.facts
        if (reopened_s := facts.get(REOPENED)) is not None:
            self._fail(case, about, self.reopened_key, self._reopened, reopened_s)
        if (grade := facts.get(GRAVE)) is not None:
            weight, code = grade_of(grade)
            self._fail(case, about, code * 8 + self._services.get(code, False), weight, facts[FAILED])
        opened_s = facts.get(OPENED)
        if opened_s is None:
            return
        solved_s = facts.get(SOLVED, 0)
        replied_s = min(facts.get(REPLIED, ENDLESS), solved_s or ENDLESS)
        # Who is answered within as many hours of any kind is answered in time.
        if self._reply_hours and replied_s - opened_s >= self._reply_s:
            due_s = self._hours.due_s(opened_s, self._reply_hours)
            self._judge_target(case, about, due_s, replied_s)
        if self._solve_s:
            self._judge_target(case, about, opened_s + self._solve_s, solved_s or ENDLESS)

    def _judge_target(self, case: Case, about: Facts, due_s: int, met_s: int) -> None:
        """Hold a ticket against a target of the policy, unless an agent agreed on something else before."""
        if due_s > about.get(AGREED, ENDLESS):
            return
        if met_s < ENDLESS:
            if met_s > due_s:
                self._fail(case, about, self.target_key, round(self._target * self._late_share), due_s, met_s)
        elif case.facts.get(BROKEN, 0) >= due_s:
            self._fail(case, about, self.target_key, self._target, due_s)
        else:
            case.pending_s = min(case.pending_s or due_s, due_s)

    def _judge_complaint(self, case: Case, about: Facts) -> None:
        facts = case.facts
        grade = facts.get(GRAVE)
        if grade is None:  # only an answer is known so far
            return
        weight, code = grade_of(grade)
        since_s = facts[FAILED]
        self._fail(case, about, code * 8 + self._services.get(code, False), weight, since_s)
        answered = REPLIED in facts or REPLIED in about or _is_ended(facts, about, since_s)
        if code == self.public_code and not answered:
            due_s = since_s + self._answer_s
            if facts.get(BROKEN, 0) >= due_s:
                case.unanswered = True
            else:
                case.pending_s = due_s

    def _judge_contacts(self, case: Case, about: Facts, *, ended: bool) -> None:
        before = case.facts.get(BEFORE)
        if before is None:
            return
        last_s = stamped_s(case.facts[CONTACT])
        if last_s - stamped_s(before) > self._repeat_s:
            return
        # The contact that settles the matter is no open one, though it was one too many.
        status = about.get(STATE, 0)
        ended = ended or bool(status & 1 and stamped_s(status) == last_s)
        self._fail(case, about, self.repeat_key, self._repeat, last_s, last_s if ended else 0)


def _about(issue: Case | None, told: int, replied_s: int) -> Facts:
    """Return the facts of an issue with what tickets say of it."""
    facts = _NO_FACTS if issue is None else issue.facts
    if told > facts.get(STATE, 0):
        facts = dict(facts)
        facts[STATE] = told
    if replied_s and REPLIED not in facts:
        facts = dict(facts)
        facts[REPLIED] = replied_s
    return facts


def _solved_s(facts: Facts, about: Facts, since_s: int) -> int:
    """Return when the case or its issue was solved after `since_s`, 0 if it is not."""
    own_s, issue_s = _solved_after(facts, since_s), _solved_after(about, since_s)
    return min(own_s, issue_s) if own_s and issue_s else own_s or issue_s


def _solved_after(facts: Facts, since_s: int) -> int:
    status = facts.get(STATE, 0)
    at_s = stamped_s(status)
    return at_s if status & 1 and at_s > since_s else 0


def _first_end(facts: Facts, solved_s: int, since_s: int) -> int:
    """Return when what failed at `since_s` was first made good or called off, ENDLESS if it was not.

    `solved_s` is when it was solved after that, 0 if it is not.
    """
    first = solved_s or ENDLESS
    for fact in (KEPT, AGAIN, GONE):
        at_s = facts.get(fact, 0)
        if since_s < at_s < first:
            first = at_s
    return first


def _is_ended(facts: Facts, about: Facts, since_s: int) -> bool:
    return _first_end(facts, _solved_s(facts, about, since_s), since_s) < ENDLESS
