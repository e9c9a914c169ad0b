"""The words of the alert rules: bands, rules, causes, reasons to resolve, and severities."""

from enum import IntEnum, StrEnum
from typing import Final

SEVERITIES: Final = ("low", "medium", "high", "critical")
LOW: Final = 0
MEDIUM: Final = 1
HIGH: Final = 2
CRITICAL_SEVERITY: Final = 3


class Band(IntEnum):
    """The experience score in words."""

    UNKNOWN = 0
    CRITICAL = 1
    AT_RISK = 2
    STEADY = 3
    DELIGHTED = 4

    @property
    def label(self) -> str:
        """The band as outputs write it."""
        return _BANDS[self]


class Rule(IntEnum):
    """The rules; the number is what rows keep."""

    CHURN_RISK = 1
    EXPERIENCE_DROP = 2
    SILENCE = 3
    SERVICE_FAILURE = 4
    PROMISE_BROKEN = 5
    ADVOCATE = 6

    @property
    def label(self) -> str:
        """The rule as outputs write it."""
        return RULE_LABELS[self]


LAST_RULE: Final = 6  # written out, as rows are read against it: a member of an enum would be looked up


class Cause(StrEnum):
    """What opened an episode."""

    LOST = "lost"
    EXPERIENCE = "experience"
    LEAVING = "leaving"
    TREND = "trend"
    CRITICAL = "critical"
    COMPLAINT = "complaint"
    UNANSWERED = "unanswered"
    FAILURE = "failure"
    TARGET = "target"
    REOPENED = "reopened"
    REPEAT = "repeat"
    BROKEN = "broken"
    DELIGHT = "delight"


class Because(StrEnum):
    """What resolved an episode."""

    ENGAGED = "engaged"
    RECOVERED = "recovered"
    FOLDED = "folded"


# A member's name costs a function call each time it is asked for.
_BANDS: Final = {each: each.name.lower() for each in Band}
RULE_LABELS: Final[dict[int, str]] = {each: each.name.lower() for each in Rule}
"""The number of a rule -> its name in outputs."""
