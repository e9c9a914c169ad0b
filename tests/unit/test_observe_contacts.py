"""First-contact resolution: which contacts were repeated, and when that is known."""

import pytest

from streams.observe.contacts import MOST_PENDING, REPEAT_S, Contact, FirstContacts
from tests.customers import DAY


def test_a_contact_repeated_within_seven_days_was_not_resolved():
    """The first one is judged by the second; the second is pending until its own week is over."""
    judged = FirstContacts()
    judged.take(0, [Contact(1, 0.0, "phone"), Contact(1, 3 * DAY, "email"), Contact(2, 3 * DAY, "chat")])
    assert judged.results == {("phone", "repeated"): 1}
    judged.take(0, [Contact(3, 3 * DAY + REPEAT_S + 1, "phone")])
    assert judged.results == {("phone", "repeated"): 1, ("email", "resolved"): 1, ("chat", "resolved"): 1}


def test_a_later_contact_on_the_issue_leaves_the_first_resolved():
    """After more than a week it is another contact."""
    judged = FirstContacts()
    judged.take(0, [Contact(1, 0.0, "phone"), Contact(1, REPEAT_S + 1, "phone")])
    assert judged.results == {("phone", "resolved"): 1}


def test_a_contact_that_comes_more_than_a_week_late_is_judged_at_once():
    """It does not wait behind contacts of today; what repeats it came with it."""
    judged = FirstContacts()
    judged.take(0, [Contact(1, 100 * DAY, "phone")])
    judged.take(
        0, [Contact(2, 90 * DAY, "chat"), Contact(3, 90 * DAY, "email"), Contact(3, 91 * DAY, "email")]
    )
    assert judged.results == {("chat", "resolved"): 1, ("email", "repeated"): 1, ("email", "resolved"): 1}


@pytest.mark.sources
def test_partitions_are_judged_apart_and_stay_bounded(monkeypatch: pytest.MonkeyPatch):
    """A partition that is ahead judges nothing of one behind; beyond the bound the oldest go unjudged."""
    judged = FirstContacts()
    judged.take(0, [Contact(1, 0.0, "phone")])
    judged.take(1, [Contact(2, 100 * DAY, "phone")])
    assert not judged.results
    monkeypatch.setattr("streams.observe.contacts.MOST_PENDING", 2)
    judged.take(2, [Contact(number, 0.0, "phone") for number in range(5)])
    judged.take(2, [Contact(9, REPEAT_S + 1, "phone")])
    assert judged.results == {("phone", "resolved"): 2}
    assert MOST_PENDING > 2
