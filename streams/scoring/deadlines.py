"""Which deadline a promise is held against, where more than one was said: a broken promise stays broken.

A word on the deadline holds from when it was said until another one is. A deadline that passes while it holds
is missed for good: the word that comes after it makes a new promise and takes nothing back. A word that comes
by then moves the deadline. A delivery that names its promise says nothing to the customer. It tells what had
been promised, and decides where the words show no missed deadline.

A late word may fall between any two others, so nothing less than all words tells of any number of them what
was missed. Kept are the first `FIRST_WORDS` and the last, in whatever order they come: a deadline is missed
for good among the first ones, and from then on the last word moves it.

`SAID` and `DUE` are the last word as long as that is all; then `DUE` is the deadline that the promise is held
against.
"""

from itertools import pairwise
from typing import Final

from streams.scoring.entry import Case
from streams.scoring.facts import DUE, SAID, say_due

FIRST_WORDS: Final = 4

# Facts of deadlines; the numbers are what rows keep, and no other fact may have them.
RECITED: Final = 40  # instead of SAID, where deliveries name the very deadline of the only word
NAMED: Final = 41  # latest: the deadline that deliveries name, where it is not that one
WORDS: Final = 42  # the words, the first one first: when it was said, then the deadline
_OWN: Final = range(RECITED, WORDS + 2 * (FIRST_WORDS + 1))

Words = list[tuple[int, int]]
"""(when it was said, the deadline or 0 for none) by time; of two said at once the later deadline."""


def say_again(case: Case, due_s: int, channel: int, at_s: int) -> None:
    """Take another statement of the deadline; 0 is none."""
    facts = case.facts
    words, named_s = _words(facts), _named_s(facts)
    if words:
        facts[SAID], facts[DUE] = words[-1]
    say_due(case, due_s, channel, at_s)  # the last word says where the fulfilment will be reported
    said = dict(words)
    said[at_s] = max(due_s, said.get(at_s, due_s))
    words = sorted(said.items())
    _enter(facts, words[:FIRST_WORDS] + words[FIRST_WORDS:][-1:], named_s)


def name_due(case: Case, due_s: int) -> None:
    """Take the deadline that a delivery names as its own: of several the latest counts."""
    facts = case.facts
    if SAID not in facts and RECITED not in facts and WORDS not in facts:
        # Nothing was ever said, as for most deliveries: what `_enter` makes of that, and in its order.
        named_s = max(due_s, facts.pop(NAMED, due_s))
        facts[DUE] = named_s
        facts[NAMED] = named_s
        return
    before_s = _named_s(facts)
    _enter(facts, _words(facts), due_s if before_s is None else max(due_s, before_s))


def _words(facts: dict[int, int]) -> Words:
    words = [(facts[fact], facts[fact + 1]) for fact in _OWN[WORDS - RECITED :: 2] if fact in facts]
    last_s = facts.get(SAID, facts.get(RECITED))
    if last_s is not None and (not words or words[-1][0] < last_s):
        words.append((last_s, facts[DUE]))
    return words


def _named_s(facts: dict[int, int]) -> int | None:
    return facts[DUE] if RECITED in facts else facts.get(NAMED)


def _enter(facts: dict[int, int], words: Words, named_s: int | None) -> None:
    """Keep the words, one at least, in the least room: the last one is not repeated where `DUE` has it."""
    for fact in (SAID, *_OWN):
        facts.pop(fact, None)
    facts[DUE] = _held_s(words, named_s)
    if len(words) == 1 and words[0][1] == named_s:
        facts[RECITED] = words[0][0]
        return
    if named_s is not None:
        facts[NAMED] = named_s
    facts[SAID], last_due_s = words[-1]
    kept = words[:-1] if last_due_s == facts[DUE] else words
    for fact, (said_s, due_s) in zip(_OWN[WORDS - RECITED :: 2], kept, strict=False):
        facts[fact], facts[fact + 1] = said_s, due_s


def _held_s(words: Words, named_s: int | None) -> int:
    """Return the first deadline that was missed for good, else the one that holds in the end; 0 for none."""
    first = words[:FIRST_WORDS]
    for (_, due_s), (next_s, _) in pairwise(first):
        if due_s and next_s > due_s:
            return due_s
    return words[-1][1] if named_s is None else named_s
