"""Tickets and their issues: what is told of a ticket holds for the issue that it is known to be about."""

from itertools import permutations
from typing import Any

import pytest

from schemas.envelope import Touchpoint
from streams.scoring.facts import COMPLAINT as COMPLAINT_KIND
from streams.scoring.facts import ISSUE
from tests.customers import event, row, seconds
from tests.register import call, failures, ticket

COMPLAINT = event("complaint.raised", 0, complaint_id="c1", issue_id="i1")
CREATED = ticket("created", 0.1)
ESCALATED = ticket("escalated", 0.2)


def nameless(kind: str, at: float, **data: Any) -> Touchpoint:
    """Return an event of ticket t1 that does not name its issue."""
    return event(f"ticket.{kind}", at, ticket_id="t1", **data)


SOLVED, REOPENED = nameless("solved", 1), nameless("reopened", 2)


@pytest.mark.parametrize("tied", [CREATED, ticket("replied", 0.1), ESCALATED])
@pytest.mark.parametrize("solved", [SOLVED, ticket("solved", 1)])
def test_a_solved_ticket_solves_its_issue(tied: Touchpoint, solved: Touchpoint):
    """A complaint ends with the ticket about its issue, whether or not the solution names the issue."""
    for life in permutations([COMPLAINT, tied, solved]):
        ends = [until for driver, _, _, until in failures(row(life)) if driver == "complaint"]

        assert ends == [1.0]


def test_a_ticket_without_an_issue_solves_no_issue():
    """Nobody can say what a ticket was about that never named an issue."""
    state = row([COMPLAINT, nameless("created", 0.1), SOLVED])

    assert ("complaint", 2.0, 0.0, 60.0) in failures(state)


def test_a_ticket_solves_no_other_issue():
    """The issue is solved that the ticket names, and of two the same one in any order."""
    other = ticket("escalated", 0.3, issue_id="i2")
    about_other = event("complaint.raised", 0.4, complaint_id="c2", issue_id="i2")
    lives = [row(life) for life in permutations([COMPLAINT, CREATED, SOLVED, other, about_other])]
    found = [failures(state) for state in lives]

    assert all(each == found[0] for each in found)
    assert sorted(until for driver, _, _, until in found[0] if driver == "complaint") == [1.0, 60.4]


def test_a_reopened_ticket_reopens_its_issue():
    """A complaint stands again where its ticket was reopened after it was solved."""
    for life in permutations([COMPLAINT, CREATED, SOLVED, REOPENED]):
        ends = [until for driver, _, _, until in failures(row(life)) if driver == "complaint"]

        assert ends == [60.0]


def test_a_repeated_contact_ends_with_its_ticket():
    """Who came twice about an issue is heard out when the ticket about it is solved."""
    for life in permutations([call(0), CREATED, call(0.5), SOLVED]):
        assert ("repeat_contact", 1.0, 0.5, 1.0) in failures(row(life))


def test_a_repeated_contact_stands_again_with_its_ticket():
    """A ticket that was reopened since says more of its issue than the call that solved it."""
    for life in permutations(
        [call(0), CREATED, call(0.5), call(1.0, direction="outbound", resolved="yes"), REOPENED]
    ):
        assert ("repeat_contact", 1.0, 0.5, 60.5) in failures(row(life))


def test_the_solution_of_a_ticket_is_told_where_there_is_no_entry_of_its_issue():
    """What an issue is tied by may be all that is known of it."""
    state = row([COMPLAINT, ESCALATED, SOLVED])

    assert ISSUE not in {case.kind for case in state.entries.all()}
    assert [until for _, _, _, until in failures(state)] == [1.0, 1.0]


@pytest.mark.parametrize("replied", [nameless("replied", 0.3), ticket("replied", 0.3)])
def test_a_reply_to_a_ticket_answers_its_issue(replied: Touchpoint):
    """A complaint in public waits for no answer where the ticket about its issue has one."""
    post = event("social.mentioned", 0, post_id="s", issue_id="i1", sentiment=-0.9)
    for life in permutations([post, CREATED, replied]):
        (found,) = [case for case in row(life).entries.all() if case.kind == COMPLAINT_KIND]

        assert found.pending_s == 0


def test_a_reply_to_a_ticket_without_an_issue_answers_nothing():
    """A complaint in public waits for its answer while nobody knows what the ticket was about."""
    post = event("social.mentioned", 0, post_id="s", issue_id="i1", sentiment=-0.9)
    for life in permutations([post, nameless("created", 0.1), nameless("replied", 0.3)]):
        (found,) = [case for case in row(life).entries.all() if case.kind == COMPLAINT_KIND]

        assert found.pending_s == seconds(1)


@pytest.mark.parametrize("solved", [SOLVED, ticket("solved", 1)])
@pytest.mark.parametrize("again", [nameless("created", 2), ticket("created", 2)])
def test_a_ticket_that_is_created_again_takes_back_what_it_alone_said(solved: Touchpoint, again: Touchpoint):
    """A ticket that is open again has solved nothing, unless its issue was said to be, in any order."""
    ends = {
        until
        for life in permutations([COMPLAINT, ESCALATED, solved, again])
        for driver, _, _, until in failures(row(life))
        if driver == "complaint"
    }

    assert ends == {60.0 if solved is SOLVED else 1.0}


def test_a_ticket_of_no_issue_that_is_created_again_takes_nothing_back():
    """Nor does one that nobody tied to an issue."""
    state = row([COMPLAINT, nameless("created", 0.1), SOLVED, nameless("created", 2)])

    assert ("complaint", 2.0, 0.0, 60.0) in failures(state)
